package inbox

import (
	"testing"
	"time"

	"onhand/offsets"
)

// shareOut makes n claims that share memory bytes. A lane takes one record at a time.
func shareOut(memory int64, n int) (d *dispatcher, cs []*claim) {
	d = newDispatcher(1, 1<<20)
	s := &session{member: &member{dispatcher: d}, over: make(chan struct{})}
	for i := range n {
		cs = append(cs, &claim{
			TopicPartition: offsets.TopicPartition{Partition: int32(i)}, session: s,
			stopped: make(chan struct{}), valve: make(chan struct{}, 1),
		})
	}
	d.divide(memory, cs)
	return d, cs
}

// putBytes puts a record of so many bytes, all in all.
func putBytes(d *dispatcher, c *claim, bytes int64) {
	c.put(d, []*work{{record: Record{Offset: c.read, Value: make([]byte, bytes-recordOverhead)}}})
}

// fill puts small records until the claim is paused, and returns what it has then.
func fill(d *dispatcher, c *claim) int64 {
	for !d.isPaused(c) {
		putBytes(d, c, 1000)
	}
	return c.queued
}

// commitOne takes and commits one record, of the claim that has waited longest.
func commitOne(d *dispatcher) {
	d.finish(d.take(), []result{{done: 1}})
}

// turned reports whether the claim was told that it is paused, or not any more, since it was asked last.
func turned(c *claim) bool {
	select {
	case <-c.valve:
		return true
	default:
		return false
	}
}

func TestAClaimMayHaveWhatOthersDoNotNeed(t *testing.T) {
	t.Parallel()
	d, cs := shareOut(16*minShare, 4)
	for i, want := range []int64{d.pot, d.share, d.share} {
		if got := fill(d, cs[i]); got < want || got > want+2000 {
			t.Errorf("claim %d has %d bytes queued, want about %d", i, got, want)
		}
	}
	b := d.take()
	results := make([]result, len(b.parts))
	for i, p := range b.parts {
		results[i].done = len(p.works) / 2
	}
	d.finish(b, results)
	for _, c := range cs {
		d.drain(c)
	}
	if d.queued != 0 {
		t.Errorf("%d bytes are accounted for in the end", d.queued)
	}
}

func TestAClaimThatIsFullIsPausedUntilThereIsRoom(t *testing.T) {
	t.Parallel()
	d, cs := shareOut(4*minShare, 2)
	if putBytes(d, cs[0], d.pot); turned(cs[0]) {
		t.Fatal("it is paused before it is full")
	}
	putBytes(d, cs[0], 1000)
	if !turned(cs[0]) || !d.isPaused(cs[0]) || turned(cs[1]) || d.isPaused(cs[1]) {
		t.Fatal("it is not paused when it is full, or the other is")
	}
	if putBytes(d, cs[0], 1000); turned(cs[0]) {
		t.Error("it is told again what it knows")
	}
	commitOne(d)
	if !turned(cs[0]) || d.isPaused(cs[0]) {
		t.Error("it stays paused when there is room")
	}
}

func TestAllArePausedWhenTogetherTheyHaveTooMuch(t *testing.T) {
	t.Parallel()
	d, cs := shareOut(8*minShare, 8)
	for _, c := range cs[:5] {
		putBytes(d, c, d.memory/6)
	}
	putBytes(d, cs[5], d.memory-5*(d.memory/6))
	if d.isPaused(cs[6]) {
		t.Fatal("one that has nothing is paused before it is too much")
	}
	putBytes(d, cs[5], 1000)
	if !turned(cs[6]) || !d.isPaused(cs[6]) {
		t.Fatal("one that has nothing goes on while all together have too much")
	}
	commitOne(d)
	if turned(cs[6]) {
		t.Error("it goes on when there is hardly any room")
	}
	commitOne(d)
	if !turned(cs[6]) || d.isPaused(cs[6]) {
		t.Error("it stays paused when there is room")
	}
}

func TestOneThatHasTooMuchAloneStopsNoOther(t *testing.T) {
	t.Parallel()
	d, cs := shareOut(8*minShare, 4)
	putBytes(d, cs[0], 100*minShare)
	if !d.isPaused(cs[0]) || d.isPaused(cs[1]) {
		t.Error("it is not paused, or another is")
	}
}

func TestThoseThatFailStopNoOther(t *testing.T) {
	t.Parallel()
	const n = 600 // more than there is memory for
	d, cs := shareOut(8*minShare, n)
	for _, c := range cs[1:] {
		putBytes(d, c, 2*d.share)
	}
	if !d.isPaused(cs[0]) {
		t.Fatal("together they do not have too much")
	}
	for range cs[1:] {
		d.finish(d.take(), []result{{attempt: attempt{failures: 1}, pause: time.Hour}})
	}
	if d.isPaused(cs[0]) || !d.isPaused(cs[1]) {
		t.Error("the other one is paused while they wait, or they are not")
	}
	for _, c := range cs[1:] { // they are tried again
		c.wait.Stop()
		c.wait = nil
	}
	putBytes(d, cs[0], 1000)
	if d.isPaused(cs[0]) {
		t.Error("the other one is paused while they are tried again")
	}
}

func TestAClaimThatIsOfNoMoreUseLeavesItsRoomToOthers(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*dispatcher, *claim){
		"halted": (*dispatcher).halt, "ended": (*dispatcher).drain,
	} {
		d, cs := shareOut(8*minShare, 8)
		size := d.memory / 5
		for _, c := range cs[:6] {
			putBytes(d, c, size)
		}
		if !d.isPaused(cs[7]) {
			t.Fatal("together they do not have too much")
		}
		for _, c := range cs[:3] {
			end(d, c)
			putBytes(d, c, size)
		}
		if d.queued != 3*size || d.isPaused(cs[7]) {
			t.Errorf("%s: all together have %d bytes, want %d; others are paused: %v",
				name, d.queued, 3*size, d.isPaused(cs[7]))
		}
	}
}
