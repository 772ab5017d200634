package inbox

// budget is what of the records that were read may wait here, in bytes, queued or in a lane. A claim that has all it
// may is paused, and all claims are when together they have too much: what was asked for is still taken, but the client
// asks the broker for no more of a paused partition. A claim must not wait with a record in its hands instead: then its
// client would ask for no partition of that broker. What is over the budget is one answer of the broker, which is in
// memory anyway.
//
// It is guarded by the dispatcher's mutex.
type budget struct {
	memory int64 // of all claims together
	share  int64 // a claim may have that much
	pot    int64 // and more as long as all together have less than that

	claims  []*claim
	queued  int64 // bytes of all of them
	stuck   int64 // of these, bytes of claims that wait out a failure, which must not keep others from working
	overrun bool  // all claims are paused
}

// minShare keeps a claim's queue long enough for a worthwhile batch, however many claims there are.
const minShare = 32 << 10

// divide parts memory bytes among claims: three quarters of it in shares that are for each to use, the rest for those
// that have much to do while others have nothing; a claim may always queue one record. With larger shares the batches
// of many busy partitions are of fewer partitions each, and so of fewer rows.
func (d *dispatcher) divide(memory int64, claims []*claim) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := int64(max(len(claims), 1))
	d.memory, d.claims = memory, claims
	d.share = max(memory/4*3/n, minShare)
	d.pot = max(memory-n*d.share, 0)
}

// account adds bytes to what c has queued.
func (b *budget) account(c *claim, bytes int64) {
	c.queued += bytes
	b.queued += bytes
	if c.wait != nil {
		b.stuck += bytes
	}
}

// crowded reports whether c has more than it may.
func (b *budget) crowded(c *claim) bool { return c.queued > b.share && b.queued > b.pot }

// balance pauses claims, and lets them go on, after any bytes were accounted for. It lets all go on early enough: a
// client whose partitions are all paused looks ten times a second.
func (b *budget) balance() {
	switch moving := b.queued - b.stuck; {
	case moving > b.memory:
		b.overrun = true
	case moving <= b.memory/4*3:
		b.overrun = false
	}
	for _, c := range b.claims {
		if paused := b.overrun || b.crowded(c); paused != c.paused {
			c.paused = paused
			select {
			case c.valve <- struct{}{}:
			default: // it has not looked since the last time
			}
		}
	}
}

// isPaused reports whether c's client is to ask for no more.
func (d *dispatcher) isPaused(c *claim) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return c.paused
}
