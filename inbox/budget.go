package inbox

// budget is what of the records that were read may wait here, in bytes, queued or in a lane. A claim that has all it
// may is paused, and all claims are when together they have too much: what was asked for is still taken, but the client
// asks the broker for no more of a paused partition. A claim must not wait with a record in its hands instead: then its
// client would ask for no partition of that broker. Beyond the budget there is, for each broker, the rest of one answer
// and the next one, which is asked for before the last is all accounted for.
//
// It is guarded by the dispatcher's mutex.
type budget struct {
	memory int64 // of all claims together
	share  int64 // a claim may have that much
	pot    int64 // and more as long as all together have less than that

	claims    []*claim
	queued    int64 // bytes of all of them
	overrun   bool  // all claims are paused
	anyPaused bool  // some are; spares most puts of a member that keeps up a look at each
}

// minShare keeps a claim's queue long enough for a worthwhile batch, however many claims there are.
const minShare = 32 << 10

// divide parts memory bytes among claims: three quarters of it in shares that are for each to use. As long as half of
// it is free, a claim may have more, which one that is busy alone needs: until its client asks for more of it a long
// poll of the others may have to end. A claim may always queue one record. With larger shares the batches of many busy
// partitions are of fewer partitions each, and so of fewer rows.
func (d *dispatcher) divide(memory int64, claims []*claim) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := int64(max(len(claims), 1))
	d.claims = claims
	d.share = max(memory/4*3/n, minShare)
	d.pot = memory / 2
	d.memory = max(memory, n*d.share/3*4)
}

// account adds bytes to what c has queued.
func (b *budget) account(c *claim, bytes int64) {
	c.queued += bytes
	b.queued += bytes
}

// crowded reports whether c has more than it may.
func (b *budget) crowded(c *claim) bool { return c.queued > b.share && b.queued > b.pot }

// weight is what c counts for when it is judged whether all together have too much. One claim must not stop the others
// by that, and claims that fail must not even together: their shares are no more than what begin again goes by.
func (b *budget) weight(c *claim) int64 {
	if c.wait != nil || c.attempt.failures > 0 {
		return min(c.queued, b.share)
	}
	return min(c.queued, max(b.share, b.pot))
}

// balance pauses claims, and lets them go on, after any bytes were accounted for. It lets all go on early enough: a
// client whose partitions are all paused looks ten times a second.
func (b *budget) balance() {
	if b.queued <= b.pot && !b.overrun && !b.anyPaused {
		return // nobody is to be paused below that
	}
	var weight int64
	for _, c := range b.claims {
		weight += b.weight(c)
	}
	switch {
	case weight > b.memory:
		b.overrun = true
	case weight <= b.memory/4*3:
		b.overrun = false
	}
	b.anyPaused = false
	for _, c := range b.claims {
		if paused := b.overrun || b.crowded(c); paused != c.paused {
			c.paused = paused
			select {
			case c.valve <- struct{}{}:
			default: // it has not looked since the last time
			}
		}
		b.anyPaused = b.anyPaused || c.paused
	}
}

// isPaused reports whether c's client is to ask for no more.
func (d *dispatcher) isPaused(c *claim) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return c.paused
}
