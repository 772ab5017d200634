package main

import "onhand/internal/cliout"

// outboxTable shows how far messages have left.
func outboxTable(t *cliout.Grid, s *outboxState) {
	t.Row("OUTBOX DONE", "WAITING", "AGE", "SET ASIDE", "LEADER", "STATE")
	t.Row(s.Done, s.waiting(), s.age(), s.aside(), s.leader(), s.word())
	if s.Halted() {
		t.Text("THE OUTBOX IS HALTED since %s: %s: %s; see `onhand outbox show`", instantOrDash(s.HaltedAt), *s.HaltReason,
			orDash(s.HaltDetail))
	} else if s.WaitingFor != nil {
		t.Text("Outgoing messages wait since %s for: %s", instantOrDash(s.WaitingSince), *s.WaitingFor)
	}
	for _, c := range s.Aside {
		t.Text("%d messages for %s are set aside since %s (%s, %s); see `onhand outbox show`", c.Messages, c.Topic,
			instantOrDash(&c.Since), c.Reason, c.State)
	}
}
