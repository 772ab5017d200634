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
	const share = 2 * minShare
	d, cs := shareOut(4*share*4/3, 4)
	if d.share > share || d.share < share-10 || d.pot < share || 4*d.share+d.pot > 4*share*4/3 {
		t.Fatalf("shares of %d and a pot of %d", d.share, d.pot)
	}
	for i, want := range []int64{d.pot, d.share, d.share, d.share} {
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
	if putBytes(d, cs[0], d.share); turned(cs[0]) {
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
	d, cs := shareOut(4*minShare, 4)
	putBytes(d, cs[0], 3*minShare)
	putBytes(d, cs[1], minShare)
	if turned(cs[2]) {
		t.Fatal("one that has nothing is paused before it is too much")
	}
	putBytes(d, cs[1], 1000)
	if !turned(cs[2]) || !d.isPaused(cs[2]) {
		t.Fatal("one that has nothing goes on while all together have too much")
	}
	commitOne(d)
	if !turned(cs[2]) || d.isPaused(cs[2]) {
		t.Error("it stays paused when they have little")
	}
}

func TestWhatWaitsOutAFailureKeepsNobodyElseFromReading(t *testing.T) {
	t.Parallel()
	d, cs := shareOut(4*minShare, 4)
	putBytes(d, cs[0], 5*minShare)
	if !d.isPaused(cs[1]) {
		t.Fatal("it is not too much")
	}
	d.finish(d.take(), []result{{attempt: attempt{failures: 1}, pause: time.Hour}})
	if d.isPaused(cs[1]) || !d.isPaused(cs[0]) {
		t.Error("the others are paused while it waits, or it is not")
	}
	if d.stuck != cs[0].queued {
		t.Errorf("%d bytes wait, want %d", d.stuck, cs[0].queued)
	}
	putBytes(d, cs[0], 1000)
	if d.drain(cs[0]); d.stuck != 0 || d.queued != 0 {
		t.Errorf("%d bytes wait and %d are queued after its end", d.stuck, d.queued)
	}
}

func TestAClaimThatIsOfNoMoreUseLeavesItsRoomToOthers(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*dispatcher, *claim){
		"halted": (*dispatcher).halt, "ended": (*dispatcher).drain,
	} {
		d, cs := shareOut(4*minShare, 2)
		putBytes(d, cs[0], 5*minShare)
		if !d.isPaused(cs[1]) {
			t.Fatal("it does not have too much")
		}
		end(d, cs[0])
		putBytes(d, cs[0], 5*minShare)
		if cs[0].queued != 0 || d.queued != 0 || d.isPaused(cs[1]) {
			t.Errorf("%s: it has %d bytes, and all together %d; the other is paused: %v",
				name, cs[0].queued, d.queued, d.isPaused(cs[1]))
		}
	}
}
