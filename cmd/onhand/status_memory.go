package main

import (
	"fmt"

	"onhand/inbox"
	"onhand/internal/cliout"
)

// memoryTable shows how far a copy of an event is known as one.
func memoryTable(t *cliout.Grid, m *inbox.Memory) {
	t.Row("GENERATION", "STATE", "EVENTS", "SIZE", "OPENED", "CLOSED", "EVENTS UP TO")
	for _, g := range m.Generations {
		state := "open"
		if g.ClosedAt != nil {
			state = "closed"
		}
		t.Row(g.Generation, state, g.Rows, fmt.Sprintf("%.1f MiB", float64(g.Bytes)/(1<<20)), instantOrDash(&g.OpenedAt),
			instantOrDash(g.ClosedAt), instantOrDash(g.Horizon))
	}
	t.Text("")
	if m.DroppedRows == 0 {
		t.Text("Every event that was decided is remembered.")
	} else {
		t.Text("%d events are forgotten. One that is not known and not later than %s is parked as %s.", m.DroppedRows,
			instantOrDash(m.Horizon), inbox.CodeBeyondMemory)
	}
	if m.Timeless > 0 {
		t.Text("%d events had no time: once they are forgotten, a copy of one is taken for new.", m.Timeless)
	}
	if m.WaitingFor != nil {
		t.Text("THE NEXT GENERATION CANNOT BE OPENED since %s, and the open one grows: %s",
			instantOrDash(m.WaitingSince), *m.WaitingFor)
	}
}
