package inbox

import (
	"cmp"
	"fmt"
	"time"

	"onhand/internal/kafkalog"
	"onhand/offsets"
)

// fingerprintVersion is the part of a fingerprint that names its algorithm.
func fingerprintVersion(f int64) uint8 { return uint8(uint64(f) >> 56) }

// sameEvent reports whether two fingerprints of one identity are of one event. Fingerprints of different algorithms
// cannot be compared; the identity alone decides then.
func sameEvent(a, b int64) bool {
	return a == b || fingerprintVersion(a) != fingerprintVersion(b)
}

// decide finds, for each record that this run keeps, whether it is the handler's to decide (fresh), a duplicate, parked
// or ignored, and what its partition's step is if the handler applies them all. known holds the fingerprints of the
// identities that the inbox has, ahead those of what the batch ahead puts there. Fresh records are returned in order.
//
// Everything is judged record by record, in the batch's order, so that where a batch was cut changes nothing: a later
// item with an identity that this batch already holds counts as if the earlier one were stored, and the storm guard
// stops a partition at the very record that makes the storm.
func (b *batch) decide(known map[*work]int64, ahead map[identity]int64) []*work {
	var fresh []*work
	b.seen = make(map[identity]int64, b.records())
	e := earlier{known: known, ahead: ahead, seen: b.seen, horizon: b.horizon}
	for _, p := range b.parts {
		if p.locked == nil {
			p.keep = 0
			continue
		}
		fresh = p.decide(&e, fresh)
	}
	return fresh
}

// earlier is what came before a record, by fingerprints, and what may have been forgotten of it.
type earlier struct {
	known   map[*work]int64    // in the inbox
	ahead   map[identity]int64 // in the batch that is followed
	seen    map[identity]int64 // in this batch
	horizon time.Time
}

// stored is the fingerprint of the first event of w's identity, if there was one.
func (e *earlier) stored(w *work, id identity) (fingerprint int64, ok bool) {
	if fingerprint, ok = e.known[w]; !ok {
		fingerprint, ok = e.ahead[id]
	}
	if !ok {
		fingerprint, ok = e.seen[id]
	}
	return fingerprint, ok
}

func (p *part) decide(e *earlier, fresh []*work) []*work {
	p.keep = 0
	p.decided = offsets.Advance{TopicPartition: p.claim.TopicPartition, Next: p.from, Window: p.locked.Window}
	for _, w := range p.works {
		if w.item.Blocked || !p.clock.admits(w) {
			break
		}
		w.parked = w.refusal
		if p.keep == 0 {
			w.parked = cmp.Or(p.refused, p.attempt.condemn, w.refusal)
		}
		w.outcome = w.judge(e)
		if w.outcome == outcomeFresh {
			p.clock.stamp(&w.item)
			fresh = append(fresh, w)
		}
		p.count(w)
		p.keep++
		if p.decided.Window.Add(w.outcome == outcomeParked) {
			p.decided.Halt = &offsets.Halt{Reason: offsets.HaltParkedStorm, Detail: fmt.Sprintf(
				"%d of the latest %d records are wrong; the last one: %s",
				p.decided.Window.Parked(), p.decided.Window.Seen(), w.parked.Code)}
			break
		}
	}
	switch {
	case p.keep > 0:
		last := &p.works[p.keep-1].record
		hash := recordHash(last)
		p.decided.LastHash = &hash
	case p.passTo > p.from:
		p.decided.Next, p.decided.Add.Skipped = p.passTo, p.passTo-p.from
	default:
		p.decided.LastHash = p.hash // it stays where it was
		if p.clock != nil {
			p.clock.pass(p.passTime)
		}
	}
	return fresh
}

// judge says what becomes of w, and notes its identity when it is the first of it.
func (w *work) judge(e *earlier) outcome {
	switch {
	case w.parked != nil:
		return outcomeParked
	case w.ignored:
		return outcomeIgnored
	}
	id := w.identity()
	stored, ok := e.stored(w, id)
	switch {
	case !ok && w.forgotten(e.horizon):
		w.parked = beyondMemory(&w.item.Event, e.horizon)
		return outcomeParked
	case !ok:
		e.seen[id] = w.item.Fingerprint
		return outcomeFresh
	case sameEvent(stored, w.item.Fingerprint):
		return outcomeDuplicate
	}
	w.parked = &Refusal{
		Code: "id_conflict", Detail: "the same id came before with another content", Position: -1, Parked: true,
	}
	return outcomeParked
}

// count adds w and the invisible offsets before it to its partition's step. Fresh ones count as applied until the
// handler rejects them.
func (p *part) count(w *work) {
	add := &p.decided.Add
	add.Skipped += w.record.Offset - p.decided.Next
	p.decided.Next = w.record.Offset + 1
	switch w.outcome {
	case outcomeFresh:
		add.Applied++
		p.remember(w)
	case outcomeDuplicate:
		add.Duplicate++
	case outcomeParked:
		add.Parked++
	case outcomeIgnored:
		add.Ignored++
	}
}

// countRejections moves what the handler rejected from applied to rejected.
func (b *batch) countRejections() {
	for _, p := range b.parts {
		for _, w := range p.works[:p.keep] {
			if w.outcome == outcomeFresh && w.item.rejected != "" {
				p.decided.Add.Applied--
				p.decided.Add.Rejected++
			}
		}
	}
}

func recordHash(r *Record) int64 { return kafkalog.Hash(r.Key, r.Value, r.Headers, r.Timestamp) }
