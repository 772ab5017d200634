package inbox

import (
	"fmt"
	"time"

	"onhand/offsets"
)

// lead is how far a producer's clock may be ahead (see offsets.ClockLead). Without it an event would be remembered as
// of its own record's time, and a copy in a later record would count as later than that.
const lead = offsets.ClockLead

// MemoryTime is when an event happened as far as dedupe memory believes it: what the event says, to the microsecond,
// but no later than a minute after its record was written; false if it does not say, or nothing that a calendar has.
// What the memory keeps is capped by the database's clock as well, with the same minute: one event dated 2099 must not
// close the door to all before it.
func MemoryTime(e *Event, r *Record) (time.Time, bool) {
	t := e.Time
	if !inCalendar(t) {
		return time.Time{}, false
	}
	if latest := r.Timestamp.Add(lead); inCalendar(r.Timestamp) && latest.Before(t) {
		t = latest
	}
	// As the database keeps it: a copy must not be later than what its first left behind.
	return t.Truncate(time.Microsecond), true
}

// forgotten reports whether w, which the inbox does not know, may have been dropped from it. An event without a time is
// always new.
func (w *work) forgotten(horizon time.Time) bool {
	if horizon.IsZero() {
		return false
	}
	t, ok := MemoryTime(&w.item.Event, &w.record)
	return ok && !t.After(horizon)
}

// CodeBeyondMemory is the reason of a dead letter whose event may have been decided long ago.
const CodeBeyondMemory = "beyond_memory"

func beyondMemory(e *Event, horizon time.Time) *Refusal {
	return &Refusal{
		Code: CodeBeyondMemory, Position: -1, Parked: true,
		Detail: fmt.Sprintf("the event is of %s; of those up to %s not all are remembered, so nobody can know whether "+
			"it was applied. If it was not, send it again with a time after that", instant(e.Time), instant(horizon)),
	}
}

func instant(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// remember notes w's time for the day on which its inbox row is dropped.
func (p *part) remember(w *work) {
	t, ok := MemoryTime(&w.item.Event, &w.record)
	switch {
	case !ok:
		p.decided.Timeless++
	case t.After(p.decided.Newest):
		p.decided.Newest = t
	}
}
