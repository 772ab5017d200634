package offsets

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"onhand/internal/testenv"
)

func newPool(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), testenv.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func startAt(offset int64) func(context.Context) (map[int32]int64, error) {
	return func(context.Context) (map[int32]int64, error) {
		return map[int32]int64{0: offset, 1: offset, 2: offset}, nil
	}
}

func open(t *testing.T, pool *pgxpool.Pool, topic string) {
	t.Helper()
	if err := Open(t.Context(), pool, topic, uuid.New(), []int32{0, 1, 2}, startAt(7)); err != nil {
		t.Fatal(err)
	}
}

// advanceAll tries the compare-and-set as one batch does, and reports how many of es it moved.
func advanceAll(t *testing.T, pool *pgxpool.Pool, es []Expected) int {
	t.Helper()
	moved := 0
	err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		var as []Advance
		first := &pgx.Batch{}
		Lock(first, es, func(i int, l Locked) {
			as = append(as, Advance{
				TopicPartition: es[i].TopicPartition, Next: es[i].Next + 1, Add: Counters{Applied: 1}, Window: l.Window,
			})
		})
		if err := tx.SendBatch(t.Context(), first).Close(); err != nil || len(as) == 0 {
			return err
		}
		moved = len(as)
		second := &pgx.Batch{}
		Queue(second, as)
		return tx.SendBatch(t.Context(), second).Close()
	})
	if err != nil {
		t.Fatal(err)
	}
	return moved
}

func TestTheFirstToOpenATopicDecidesWhereItStarts(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	var asked atomic.Int64
	var members sync.WaitGroup
	for i := range 8 {
		members.Go(func() {
			err := Open(t.Context(), pool, "t", uuid.Nil, []int32{0, 1, 2}, func(ctx context.Context) (map[int32]int64, error) {
				asked.Add(1)
				return startAt(int64(100 + i))(ctx)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	members.Wait()
	var starts, rows int
	const count = `select count(distinct start), count(*) from offsets`
	if err := pool.QueryRow(t.Context(), count).Scan(&starts, &rows); err != nil {
		t.Fatal(err)
	}
	if asked.Load() != 1 || starts != 1 || rows != 3 {
		t.Errorf("resolved %d times, %d starts in %d rows; want 1, 1, 3", asked.Load(), starts, rows)
	}
}

func TestAPartitionThatAppearsLaterStartsAtZero(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	open(t, pool, "t")
	if err := Open(t.Context(), pool, "t", uuid.Nil, []int32{0, 1, 2, 3}, startAt(99)); err != nil {
		t.Fatal(err)
	}
	rows, err := List(t.Context(), pool)
	if err != nil || len(rows) != 4 || rows[0].Start != 7 || rows[3].Start != 0 {
		t.Errorf("rows %+v, %v; want starts 7, 7, 7, 0", rows, err)
	}
}

func TestAStartThatCannotBeResolvedStoresNothing(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	away := errors.New("away")
	fail := func(context.Context) (map[int32]int64, error) { return nil, away }
	err := Open(t.Context(), pool, "t", uuid.Nil, []int32{0}, fail)
	if !errors.Is(err, away) {
		t.Errorf("error %v, want %v", err, away)
	}
	if rows, err := List(t.Context(), pool); err != nil || len(rows) != 0 {
		t.Errorf("%d rows, %v; want none", len(rows), err)
	}
}

func TestOnlyTheLatestClaimAtTheExpectedPositionAdvances(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	open(t, pool, "t")
	tps := []TopicPartition{{"t", 2}, {"t", 0}, {"t", 1}}
	older, err := Claim(t.Context(), pool, tps, "older")
	if err != nil {
		t.Fatal(err)
	}
	newer, err := Claim(t.Context(), pool, tps[:2], "newer")
	if err != nil {
		t.Fatal(err)
	}
	expected := func(c Claimed, next int64) Expected { return Expected{c.TopicPartition, c.Token, next} }
	if older[0].Partition != 0 || older[1].Partition != 1 || older[2].Partition != 2 || older[0].Next != 7 {
		t.Fatalf("claimed %+v, want partitions 0, 1, 2 at 7", older)
	}
	// The older claim keeps partition 1 only.
	if n := advanceAll(t, pool, []Expected{expected(older[0], 7), expected(older[1], 7), expected(older[2], 7)}); n != 1 {
		t.Errorf("the older claim advanced %d partitions, want 1", n)
	}
	if n := advanceAll(t, pool, []Expected{expected(newer[0], 7), expected(newer[1], 7)}); n != 2 {
		t.Errorf("the newer claim advanced %d partitions, want 2", n)
	}
	// Token right, position wrong: what is in memory is from before a failover, or was moved by hand.
	if n := advanceAll(t, pool, []Expected{expected(newer[0], 7), expected(newer[1], 9)}); n != 0 {
		t.Errorf("%d partitions advanced from a position that is not stored", n)
	}
}

func TestAHaltedPartitionDoesNotAdvanceAndAHaltNeedsTheClaim(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	open(t, pool, "t")
	c, err := Claim(t.Context(), pool, []TopicPartition{{"t", 0}}, "m")
	if err != nil {
		t.Fatal(err)
	}
	e := Expected{c[0].TopicPartition, c[0].Token, 7}
	h := Halt{Reason: HaltParkedStorm, Detail: "why"}
	for name, wrong := range map[string]Expected{
		"token": {e.TopicPartition, uuid.New(), 7}, "position": {e.TopicPartition, e.Token, 8},
	} {
		if stopped, err := StopPartition(t.Context(), pool, wrong, h); err != nil || stopped {
			t.Errorf("wrong %s: stopped %v, %v", name, stopped, err)
		}
	}
	if stopped, err := StopPartition(t.Context(), pool, e, h); err != nil || !stopped {
		t.Fatalf("stopped %v, %v", stopped, err)
	}
	if n := advanceAll(t, pool, []Expected{e}); n != 0 {
		t.Error("a halted partition advanced")
	}
	again, err := Claim(t.Context(), pool, []TopicPartition{{"t", 0}}, "m")
	if err != nil || again[0].Halt == nil || again[0].Halt.Reason != HaltParkedStorm || again[0].Halt.Detail != "why" {
		t.Errorf("claimed %+v, %v; want the halt in it", again, err)
	}
}

func TestSettleSeesWhatACommitDecided(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	open(t, pool, "t")
	c, err := Claim(t.Context(), pool, []TopicPartition{{"t", 0}, {"t", 1}}, "m")
	if err != nil {
		t.Fatal(err)
	}
	es := []Expected{
		{c[1].TopicPartition, c[1].Token, 7}, {c[0].TopicPartition, uuid.New(), 7}, {TopicPartition{"t", 9}, c[0].Token, 7},
	}
	advanceAll(t, pool, es[:1])
	now, err := Settle(t.Context(), pool, es)
	if err != nil {
		t.Fatal(err)
	}
	if now[0] != (Standing{Ours: true, Next: 8}) || now[1].Ours || now[2].Ours {
		t.Errorf("settled %+v", now)
	}
}

func TestClaimingAPartitionWithoutARowFails(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	if _, err := Claim(t.Context(), pool, []TopicPartition{{"t", 0}}, "m"); err == nil {
		t.Error("claimed a partition that has no row")
	}
}
