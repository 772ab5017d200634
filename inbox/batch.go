package inbox

import (
	"slices"
	"time"

	"onhand/offsets"
)

// batch is what one transaction applies: one part a partition, in the order of topic and partition. That order is the
// order in which its records count, and the order in which its offsets rows are locked.
type batch struct {
	parts   []*part
	turn    *turn
	full    bool      // there was no more room in it, or more of its partition than may be read ahead
	heavy   bool      // ... because it weighs as much as a batch may
	horizon time.Time // an event that is unknown and not later may have been forgotten; zero = nothing was

	seen map[identity]int64 // fingerprints of the events that it is the first to hold
}

func newBatch(parts ...*part) *batch {
	b := &batch{turn: newTurn()}
	for _, p := range parts {
		b.add(p)
	}
	return b
}

func (b *batch) add(p *part) {
	p.batch = b
	b.parts = append(b.parts, p)
}

func (b *batch) sort() {
	slices.SortFunc(b.parts, func(x, y *part) int {
		return offsets.Compare(x.claim.TopicPartition, y.claim.TopicPartition)
	})
}

// expected is where the batch believes its partitions to be.
func (b *batch) expected() []offsets.Expected {
	es := make([]offsets.Expected, len(b.parts))
	for i, p := range b.parts {
		es[i] = offsets.Expected{TopicPartition: p.claim.TopicPartition, Token: p.claim.token, Next: p.from}
	}
	return es
}

// locks is how the batch meets rows that other clients hold.
func (b *batch) locks() Locks {
	for _, p := range b.parts {
		if p.attempt.skip {
			return SkipLocked
		}
	}
	return WaitForLocks
}

func (b *batch) records() int {
	n := 0
	for _, p := range b.parts {
		n += len(p.works)
	}
	return n
}

// events are the records that were decoded, each an item that the handler may load for, in the batch's order.
func (b *batch) events() []*work {
	ws := make([]*work, 0, b.records())
	for _, p := range b.parts {
		for _, w := range p.works {
			w.item.Blocked, w.item.Effect, w.item.Now, w.item.rejected = false, 0, time.Time{}, ""
			if w.refusal == nil && !w.ignored && p.attempt.condemn == nil {
				ws = append(ws, w)
			}
		}
	}
	return ws
}
