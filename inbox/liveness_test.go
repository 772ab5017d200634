package inbox

import (
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestAClaimThatWaitsOutAFailureIsLeftAlone(t *testing.T) {
	t.Parallel()
	d := newDispatcher(10, 1<<20)
	d.divide(minShare, nil)
	s := &session{member: &member{dispatcher: d}, over: make(chan struct{})}
	c := &claim{session: s, stopped: make(chan struct{})}
	p, ok := d.borrow(c)
	if !ok {
		t.Fatal("an idle claim cannot be borrowed")
	}
	d.finish(&batch{parts: []*part{p}}, []result{{attempt: p.attempt, pause: 50 * time.Millisecond}})
	if _, ok = d.borrow(c); ok {
		t.Error("its position is moved again before the pause is over")
	}
	c.put(d, []*work{{}})
	eventually(t, "records that came meanwhile are taken when the pause is over", func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		return len(d.ready) == 1
	})
}

func TestAClaimThatEndsWaitsForItsBatch(t *testing.T) {
	t.Parallel()
	d := newDispatcher(10, 1<<20)
	d.divide(1<<20, nil)
	c := &claim{session: &session{member: &member{dispatcher: d}, over: make(chan struct{})}, stopped: make(chan struct{})}
	c.put(d, []*work{{}, {record: Record{Offset: 1}}})
	b := d.take()
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		d.drain(c)
	}()
	eventually(t, "the claim has ended", func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		return c.ended
	})
	select {
	case <-drained:
		t.Fatal("the next holder could claim while this one still writes")
	case <-time.After(20 * time.Millisecond):
	}
	d.finish(b, []result{{done: 1, attempt: attempt{failures: 1}, pause: time.Millisecond}})
	<-drained
	if len(d.ready) != 0 || len(c.queue) != 0 || c.wait != nil {
		t.Error("what came back from the lane is run again after the end")
	}
}

func TestAnIdleMemberIsReadyAgainWhenTheDatabaseIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	c, _ := w.start(w.config())
	w.send(0, "1 apple")
	w.waitNext(0, 1)
	w.exec(`alter table offsets rename to hidden`)
	w.eventually("it is not ready", func() bool { return c.State().Ready() != nil })
	w.exec(`alter table hidden rename to offsets`)
	w.eventually("it is ready again", func() bool { return c.State().Ready() == nil })
}

func TestAConsumerThatEndedLeavesNothingBehind(t *testing.T) {
	w := newWorld(t, 3)
	w.send(0, "first apple")
	w.waitNext(0, -1) // the pool has its connection
	before := goleak.IgnoreCurrent()
	cfg := w.config()
	cfg.CheckEvery = 20 * time.Millisecond // requests are under way when it ends
	for i := range 10 {
		_, stop := w.start(cfg)
		w.send(0, fmt.Sprintf("%d apple", i))
		w.waitNext(0, int64(i+2))
		stop()
	}
	w.pool.Reset()
	var left error
	defer func() {
		if t.Failed() {
			t.Log(left)
		}
	}()
	eventually(t, "all goroutines have ended", func() bool {
		left = goleak.Find(before)
		return left == nil
	})
}
