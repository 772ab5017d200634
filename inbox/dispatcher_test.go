package inbox

import (
	"testing"

	"onhand/offsets"
)

func TestRecordsComeBackInTheirOrder(t *testing.T) {
	t.Parallel()
	for _, first := range []int{0, 1} {
		d := newDispatcher(2, 1<<20)
		d.follows = true
		d.divide(1<<20, nil)
		s := &session{member: &member{dispatcher: d}, over: make(chan struct{})}
		c := &claim{session: s}
		works := make([]*work, 8)
		for i := range works {
			works[i] = &work{record: Record{Offset: int64(i)}}
		}
		c.put(d, works)
		bs := []*batch{d.take(), d.take()}
		if bs[1].behind() == nil || bs[1].parts[0].ahead != bs[0].parts[0] || bs[1].parts[0].works[0].record.Offset != 2 {
			t.Fatalf("the second batch is not behind the first: %+v", bs[1].parts[0])
		}
		if c.listed {
			t.Error("a third lane may take the partition")
		}
		for _, i := range []int{first, 1 - first} {
			if d.finish(bs[i], []result{{}}); i == first && c.listed {
				t.Errorf("the partition may be taken while a batch of it is under way that will fail")
			}
		}
		again := d.take()
		if at := again.parts[0].works[0].record.Offset; at != 0 || again.behind() != nil {
			t.Errorf("it goes on at %d, want 0, behind none", at)
		}
		again.parts[0].decided = offsets.Advance{Next: 2}
		next := d.take()
		next.parts[0].decided = offsets.Advance{Next: 4}
		d.finish(next, []result{{done: 2, moved: true}}) // its lane was faster
		d.finish(again, []result{{done: 2, moved: true}})
		if c.next != 4 {
			t.Errorf("the position is %d, want 4", c.next)
		}
		if at := d.take().parts[0].works[0].record.Offset; at != 4 {
			t.Errorf("it goes on at %d, want 4", at)
		}
	}
}

func TestBatchesWeighLessAfterOneWaitedTooLongForALock(t *testing.T) {
	t.Parallel()
	const records, weight = 512, 4
	d := newDispatcher(records, 1<<20)
	d.divide(1<<20, nil)
	s := &session{member: &member{dispatcher: d}, over: make(chan struct{})}
	c, offset := &claim{session: s}, int64(0)
	take := func() *batch {
		works := make([]*work, heaviest*records/weight)
		for i := range works {
			works[i] = &work{record: Record{Offset: offset}, item: Item{Event: Event{Weight: weight}}}
			offset++
		}
		c.put(d, works)
		b := d.take()
		d.finish(b, []result{{done: b.records()}})
		d.forget(c)
		return b
	}
	expect := func(when string, want int) *batch {
		t.Helper()
		b := take()
		if b.records() != want || !b.heavy {
			t.Errorf("%s a batch has %d records, heavy %v; want %d", when, b.records(), b.heavy, want)
		}
		return b
	}
	b := expect("at first", records/weight)
	d.burden(b)
	expect("after one that was full", (records+records/16)/weight)
	for range 2 * 16 {
		d.burden(b)
	}
	expect("after many", heaviest*records/weight)
	d.lighten()
	expect("after one wait", heaviest*records/weight/2)
	for range 20 {
		d.lighten()
	}
	expect("after many waits", records/8/weight)
	for range 2 {
		d.burden(b)
	}
	expect("carefully, after two that were full", (records/8+2*records/256)/weight)
	d.burden(&batch{})
	expect("after one that says nothing, because it was not full", (records/8+2*records/256)/weight)
}
