package inbox

import (
	"time"

	"github.com/google/uuid"

	"onhand/offsets"
)

// claim is one partition while this member holds it: the records that were read and not yet committed, in offset
// order, and where its row in the database stands. Its token fences it there; nothing in it is believed without the
// comparison in each batch.
//
// The claim goroutine adds records, one lane at a time takes them, or a second one that follows it. All fields below
// the line are guarded by the dispatcher's mutex.
type claim struct {
	offsets.TopicPartition
	token   uuid.UUID
	session *session

	stopped chan struct{} // closed when the partition was halted under this claim
	valve   chan struct{} // says that paused has changed
	held    bool          // halted in Setup: the client was made to start at a legal offset, not at next
	// ------------------------------------------------------------------
	queue  []*work
	queued int64 // bytes in queue and in lanes
	paused bool  // see budget
	next   int64 // the row's next, as of the last commit
	read   int64 // the offset after the last one queued
	hash   *int64

	flights int   // in lanes, or being advanced over invisible offsets
	last    *part // the latest part in a lane, as long as another one may go behind it; nil = none may
	halted  bool
	ended   bool // the session is over: what comes back from a lane is dropped
	listed  bool // in the ready list

	attempt attempt
	wait    *time.Timer // until it fires the claim stays out of the lanes; nil = it may run
}

// attempt is how the claim's next batch is to be run, after what its last one met.
type attempt struct {
	solo     bool     // alone in its batch
	limit    int      // at most so many records; 0 = no limit
	skip     bool     // with SKIP LOCKED: another client holds rows it needs
	condemn  *Refusal // park the first record, alone, for this
	failures int      // in a row, for the backoff
}

// only names the claim as the client wants to be told which partitions to pause and to resume.
func (c *claim) only() map[string][]int32 { return map[string][]int32{c.Topic: {c.Partition}} }

func (c *claim) expected() offsets.Expected {
	return offsets.Expected{TopicPartition: c.TopicPartition, Token: c.token, Next: c.next}
}

// idle reports whether nothing of the claim is queued or under way.
func (c *claim) idle() bool { return len(c.queue) == 0 && c.flights == 0 }

// put adds records that were read.
func (c *claim) put(d *dispatcher, ws []*work) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c.halted || c.ended {
		return // they are of no more use
	}
	for _, w := range ws {
		if w.record.Offset < c.read {
			continue // the client gave it before, or started too early
		}
		c.read = w.record.Offset + 1
		d.account(c, w.bytes())
		c.queue = append(c.queue, w)
	}
	d.list(c)
	d.balance()
}
