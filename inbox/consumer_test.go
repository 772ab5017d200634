package inbox

import (
	"context"
	"testing"
	"time"

	"onhand/internal/testenv"
)

func TestRecordsAreAppliedOnceAndPositionsAdvance(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3)
	w.send(0, numbered("a", 500, "apple")...)
	w.send(1, numbered("b", 300, "pear")...)
	w.send(1, numbered("a", 100, "apple")...) // duplicates, from another partition
	w.send(2, "x-1 !bad_word", "x-2 no-fig", "x-3 plum", "x-3 other")
	w.start(w.config())
	w.waitNext(0, 500)
	w.waitNext(1, 400)
	w.waitNext(2, 4)
	if n := w.counted("apple"); n != 500 {
		t.Errorf("apple counted %d times, want 500", n)
	}
	if n := w.counted("pear"); n != 300 {
		t.Errorf("pear counted %d times, want 300", n)
	}
	var applied, rejected, duplicate, parked, skipped int64
	w.scan([]any{&applied, &rejected, &duplicate, &parked, &skipped},
		`select sum(applied), sum(rejected), sum(duplicate), sum(parked), sum(skipped) from offsets`)
	if applied != 801 || rejected != 1 || duplicate != 100 || parked != 2 || skipped != 0 {
		t.Errorf("applied %d rejected %d duplicate %d parked %d skipped %d, want 801 1 100 2 0",
			applied, rejected, duplicate, parked, skipped)
	}
	const parkedAs = `select count(*) from dead_letters where (reason, "offset") in (('bad_word', 0), ('id_conflict', 3))`
	if n := w.number(parkedAs); n != 2 {
		t.Errorf("%d dead letters as expected, want 2", n)
	}
}

func TestARestartGoesOnWhereTheDatabaseSays(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	w.send(0, numbered("a", 50, "apple")...)
	_, stop := w.start(w.config())
	w.waitNext(0, 50)
	stop()
	w.send(0, numbered("b", 50, "apple")...)
	w.start(w.config())
	w.waitNext(0, 100)
	if n := w.counted("apple"); n != 100 {
		t.Errorf("counted %d, want 100", n)
	}
	if n := w.number(`select sum(duplicate) from offsets`); n != 0 {
		t.Errorf("%d duplicates: the position was not sought", n)
	}
}

func TestTheSimpleFormLeavesNoTraceOfARefusedEvent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	cfg := w.config()
	cfg.NewBatch = nil
	cfg.Handler = func(ctx context.Context, tx Tx, e Event) error {
		if err := tally(ctx, tx, e); err != nil {
			return err
		}
		switch e.Body {
		case "reject":
			return Reject("not_today")
		case "park":
			return Park("not_ever")
		}
		return nil
	}
	w.send(0, "1 apple", "2 reject", "3 apple", "4 park", "5 apple", "2 reject", "6 reject")
	w.start(cfg)
	w.waitNext(0, 7)
	if a, r, p := w.counted("apple"), w.counted("reject"), w.counted("park"); a != 3 || r != 0 || p != 0 {
		t.Errorf("apple %d reject %d park %d, want 3 0 0", a, r, p)
	}
	if n := w.number(`select count(*) from inbox where outcome = 'rejected' and reason = 'not_today'`); n != 2 {
		t.Errorf("%d rejections stored, want 2", n)
	}
	if n := w.number(`select duplicate from offsets`); n != 1 {
		t.Errorf("%d duplicates, want 1: a rejection is final", n)
	}
	if n := w.number(`select count(*) from dead_letters where reason = 'not_ever' and "offset" = 3`); n != 1 {
		t.Errorf("%d dead letters, want 1", n)
	}
}

func TestATopicThatDoesNotExistYetIsWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	late := w.topic + "-late"
	cfg := w.config()
	cfg.Topics = append(cfg.Topics, late)
	w.send(0, "1 apple")
	w.start(cfg)
	w.waitNext(0, 1)
	createTopic(t, w.brokers, late, 1)
	w.sendTo(late, 0, "2 apple")
	w.eventually("the late topic's record is applied", func() bool { return w.counted("apple") == 2 })
}

func TestPartitionsAddedLaterStartAtZero(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	cfg := w.config()
	cfg.Start = StartNewest()
	w.send(0, "1 apple")
	w.start(cfg)
	w.waitNext(0, 1)
	if n := w.counted("apple"); n != 0 {
		t.Fatalf("counted %d records from before the start", n)
	}
	addPartitions(t, w.brokers, w.topic, 3)
	eventually(t, "the new partition takes records", func() bool {
		return trySend(testenv.Producer(t, w.brokers), w.topic, 2, "2 apple") == nil
	})
	w.eventually("the new partition is read from 0", func() bool { return w.counted("apple") == 1 })
	if start := w.number(`select start from offsets where partition = 2`); start != 0 {
		t.Errorf("start %d, want 0", start)
	}
}

func TestAStandstillOfTheDatabaseIsWaitedOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	c, _ := w.start(w.config())
	w.send(0, "1 apple")
	w.waitNext(0, 1)
	tx, err := w.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `lock table inbox in access exclusive mode`); err != nil {
		t.Fatal(err)
	}
	w.send(0, numbered("a", 20, "apple")...)
	time.AfterFunc(3*time.Second, func() { _ = tx.Rollback(context.Background()) })
	w.waitNext(0, 21)
	if n := w.counted("apple"); n != 21 {
		t.Errorf("counted %d, want 21", n)
	}
	if err := c.State().Ready(); err != nil {
		t.Errorf("not ready after the standstill: %v", err)
	}
}
