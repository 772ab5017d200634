package inbox

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"onhand/offsets"
)

// dispatcher hands partitions that have records to lanes. A partition is in one lane at a time, which keeps its order;
// or in two, of which one follows the other (Follower), if it has a full batch more, or as much as it may have, while
// nothing else is to be done. A lane takes what is ready at that moment and never waits for more.
type dispatcher struct {
	mu      sync.Mutex
	changed *sync.Cond

	ready []*claim // first come, first served

	budget

	maxRecords int
	maxWeight  int // of the events of a batch; see lighten
	step       int // of maxWeight upwards
	maxBytes   int64
	follows    bool // lanes can follow each other
	closed     bool
}

// Bounds of maxWeight, as a multiple and a fraction of maxRecords, and its steps upwards after each batch that was full
// by its weight, as such fractions. More rows at once cost less each, the more so where many events need the same ones.
// But they are locked for longer, and what is too long depends on who else wants them: that is found out, and once it
// was, slowly.
const (
	heaviest = 2
	lightest = 8
	bold     = 16 // as long as no batch of this process waited too long for a lock
	careful  = 256
)

func newDispatcher(maxRecords int, maxBytes int64) *dispatcher {
	d := &dispatcher{maxRecords: maxRecords, maxWeight: maxRecords, step: maxRecords / bold, maxBytes: maxBytes}
	d.changed = sync.NewCond(&d.mu)
	return d
}

// wake lets everyone who waits look again.
func (d *dispatcher) wake() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.changed.Broadcast()
}

// close lets every lane's take return.
func (d *dispatcher) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	d.changed.Broadcast()
}

// list puts c into the ready list if there is something to do for it now.
func (d *dispatcher) list(c *claim) {
	if c.listed || c.halted || c.ended || c.wait != nil || len(c.queue) == 0 || c.flights > 0 && !d.mayGoBehind(c) {
		return
	}
	c.listed = true
	d.ready = append(d.ready, c)
	d.changed.Broadcast()
}

// mayGoBehind reports whether a second lane may take c's records while a first one has some.
func (d *dispatcher) mayGoBehind(c *claim) bool {
	return d.follows && c.flights == 1 && c.last != nil && c.attempt == (attempt{}) &&
		(len(c.queue) >= d.maxRecords || d.crowded(c))
}

// postpone keeps c out of the lanes for a while.
func (d *dispatcher) postpone(c *claim, pause time.Duration) {
	if c.wait != nil {
		c.wait.Stop() // of the batch ahead, or behind
	}
	var timer *time.Timer
	timer = time.AfterFunc(pause, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if c.wait != timer {
			return // too late to stop it
		}
		c.wait = nil
		d.list(c)
	})
	c.wait = timer
}

// part is one partition's share of a batch.
type part struct {
	claim *claim
	batch *batch
	works []*work
	ahead *part  // the one that holds the partition; nil = it was free
	from  int64  // next, before
	hash  *int64 // of the record before it

	attempt attempt // how this run is to be done
	locked  *offsets.Locked

	deferred bool            // the offsets row is locked at the end: the batch ahead has it
	decided  offsets.Advance // where the partition stands when the batch commits
	keep     int             // records of works that this run decides; the others wait
	refused  *Refusal        // the simple form parks this run's only record
	clock    *Clock          // of this run; nil = nothing falls due

	// Without works.
	passTo   int64     // the offset up to which nothing is visible
	passTime time.Time // all that the log says of the time before is known
}

// take waits until a partition is ready and returns a batch of what is ready, up to the caps; nil when the dispatcher
// is closed.
func (d *dispatcher) take() *batch {
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.ready) == 0 {
		if d.closed {
			return nil
		}
		d.changed.Wait()
	}
	b := newBatch()
	left, full := room{records: d.maxRecords, weight: d.maxWeight, bytes: d.maxBytes}, false
	kept := d.ready[:0]
	for _, c := range d.ready {
		if full || c.flights > 0 || (c.attempt.solo && len(b.parts) > 0) {
			kept = append(kept, c)
			continue
		}
		b.add(c.cut(&left))
		full = c.attempt.solo || left.none()
	}
	behind := len(b.parts) == 0 // all are under way
	if behind {
		b.add(kept[0].cut(&left))
		kept = append(kept[:0], kept[1:]...)
	}
	clear(d.ready[len(kept):])
	d.ready = kept
	b.full, b.heavy = behind || left.none(), left.weight <= 0
	for _, p := range b.parts {
		d.list(p.claim) // another lane may follow
	}
	b.sort()
	return b
}

// lighten halves what batches may weigh: one waited for a lock longer than it may, and those that hold so many are the
// likeliest to keep others waiting.
func (d *dispatcher) lighten() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.step = d.maxRecords / careful
	d.maxWeight = max(d.maxWeight/2, d.maxRecords/lightest, 1)
}

// burden lets batches weigh a little more again after one that weighed all it could was committed.
func (d *dispatcher) burden(b *batch) {
	if !b.heavy {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.maxWeight = min(d.maxWeight+max(d.step, 1), heaviest*d.maxRecords)
}

// room is what a batch may still take.
type room struct {
	records int
	weight  int // of their events
	bytes   int64
}

func (r *room) none() bool { return r.records <= 0 || r.weight <= 0 || r.bytes <= 0 }

// cut takes records from the head of c's queue, at least one and as many as there is room for.
func (c *claim) cut(left *room) *part {
	most := len(c.queue)
	if c.attempt.limit > 0 {
		most = min(most, c.attempt.limit)
	}
	n := 0
	for n < most && (n == 0 || !left.none()) {
		w := c.queue[n]
		left.records--
		left.weight -= max(w.item.Weight, 1)
		left.bytes -= w.bytes()
		n++
	}
	p := &part{claim: c, works: c.queue[:n:n], from: c.next, hash: c.hash, attempt: c.attempt, ahead: c.last}
	c.queue = c.queue[n:]
	c.flights, c.listed, c.last = c.flights+1, false, p
	return p
}

// finish gives a batch's partitions back: each one's committed records leave its account, the others go back to the
// head of its queue, to be run again as the result says.
func (d *dispatcher) finish(b *batch, results []result) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, p := range b.parts {
		c, r := p.claim, results[i]
		if c.listed { // behind p; whether it is still to run is seen below
			d.unlist(c)
		}
		left := c.giveBack(p.works[r.done:])
		for _, w := range p.works[:len(p.works)-left] {
			d.account(c, -w.bytes())
		}
		clear(p.works)
		c.flights--
		if r.done < len(p.works) || c.flights == 0 {
			c.last = nil // whoever is behind p will fail, and is to be back before the partition runs again
		}
		// A batch and the one behind it may come back in either order.
		if r.moved && p.decided.Next > c.next {
			c.next, c.hash = p.decided.Next, p.decided.LastHash
			c.read = max(c.read, c.next)
		}
		if r.halted {
			d.stop(c)
		}
		if p.ahead == nil || r.moved { // else: what the one ahead has learnt counts
			c.attempt = r.attempt
		}
		p.ahead = nil // or all that were ever behind each other would be kept
		if r.pause > 0 && !c.ended {
			d.postpone(c, r.pause)
		}
		d.list(c)
	}
	d.balance()
	d.changed.Broadcast()
}

// giveBack puts records into the queue again: before all that came later, and behind those of the batch ahead of theirs
// if that has come back too. It returns how many: none if they are of no more use.
func (c *claim) giveBack(ws []*work) int {
	if len(ws) == 0 || c.halted || c.ended {
		return 0
	}
	at, _ := slices.BinarySearchFunc(c.queue, ws[0].record.Offset, func(w *work, offset int64) int {
		return cmp.Compare(w.record.Offset, offset)
	})
	c.queue = slices.Concat(c.queue[:at:at], ws, c.queue[at:])
	return len(ws)
}

// halt stops a claim that is in no lane, or will come back from one to find itself stopped.
func (d *dispatcher) halt(c *claim) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c.listed {
		d.unlist(c)
	}
	d.stop(c)
	d.changed.Broadcast()
}

// stop marks a claim whose row says halted: what is queued is of no use until an operator decides, and then it is read
// again.
func (d *dispatcher) stop(c *claim) {
	if c.halted {
		return
	}
	c.halted = true
	d.forget(c)
	close(c.stopped)
}

// forget drops what c has queued. What is in a lane counts until it comes back.
func (d *dispatcher) forget(c *claim) {
	for _, w := range c.queue {
		d.account(c, -w.bytes())
	}
	c.queue = nil
	d.balance()
}

// drain ends a claim: it drops what is queued and waits for a batch that is under way. After it returns nothing is
// written under the claim's token any more.
func (d *dispatcher) drain(c *claim) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c.ended = true
	d.forget(c)
	if c.wait != nil {
		c.wait.Stop()
		c.wait = nil
	}
	if c.listed {
		d.unlist(c)
	}
	d.changed.Broadcast()
	for c.flights > 0 {
		d.changed.Wait()
	}
	d.forget(c)
}

func (d *dispatcher) unlist(c *claim) {
	for i, other := range d.ready {
		if other == c {
			d.ready = append(d.ready[:i], d.ready[i+1:]...)
			break
		}
	}
	c.listed = false
}

// waitEmpty waits until everything that was queued for c is committed; false when ctx ends first or c is halted.
func (d *dispatcher) waitEmpty(ctx context.Context, c *claim) bool {
	stop := context.AfterFunc(ctx, d.wake)
	defer stop()
	d.mu.Lock()
	defer d.mu.Unlock()
	for !c.idle() && !c.halted && !c.session.isOver() && ctx.Err() == nil {
		d.changed.Wait()
	}
	return c.idle() && !c.halted && ctx.Err() == nil
}

// borrow takes an idle claim out of the lanes' reach, to move its position without a record; finish gives it
// back.
func (d *dispatcher) borrow(c *claim) (*part, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !c.idle() || c.halted || c.ended || c.wait != nil {
		return nil, false
	}
	c.flights = 1
	return &part{claim: c, from: c.next, hash: c.hash, attempt: c.attempt}, true
}

// moves reports whether there is something to be stored of the part.
func (p *part) moves() bool { return p.locked != nil && (p.keep > 0 || p.passTo > 0 || p.made() > 0) }

// position is c's stored position and the hash of the record before it, as of its last commit.
func (d *dispatcher) position(c *claim) position {
	d.mu.Lock()
	defer d.mu.Unlock()
	return position{Expected: c.expected(), hash: c.hash, idle: c.idle(), running: !c.halted && !c.ended}
}

// position is a claim at one moment.
type position struct {
	offsets.Expected
	hash    *int64 // of the record before Next; nil = none to compare
	idle    bool   // nothing is queued or under way
	running bool
}
