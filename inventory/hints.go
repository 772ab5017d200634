package inventory

import (
	"sync/atomic"
	"time"
)

// Hints are what the handlers of one process tell each other of what they met, so that the next batch asks for the
// right rows at once. They decide nothing (I10): a batch that was led wrong finds out, and is run again.
type Hints struct {
	dueUntil atomic.Int64 // reservations lapse, as far as is known; in nanoseconds since 1970
}

// dueSpan is how long batches lock what is due after some of it was met: longer than the usual pause between two
// deadlines of a shop where reservations lapse at all.
const dueSpan = 10 * time.Second

func (h *Hints) lapsing() bool { return time.Now().UnixNano() < h.dueUntil.Load() }

func (h *Hints) sawDue() { h.dueUntil.Store(time.Now().Add(dueSpan).UnixNano()) }
