package inbox

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onhand/offsets"
)

// counting counts the batches that a tallyBatch loads.
type counting struct {
	tallyBatch
	loads *atomic.Int64
}

func (c counting) Load(q *pgx.Batch, items []*Item, locks Locks) {
	c.loads.Add(1)
	c.tallyBatch.Load(q, items, locks)
}

func TestABatchIsTwoRoundTrips(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	r := newRelay(t, w.databaseAddress())
	var loads atomic.Int64
	cfg := w.config()
	cfg.Pool, cfg.Lanes, cfg.MaxBatch, cfg.CheckEvery = w.through(r), 1, 10, time.Hour
	cfg.NewBatch = func() BatchHandler { return counting{loads: &loads} }
	w.start(cfg)
	w.send(0, numbered("warm", 50, "apple")...) // statements are prepared once a connection
	w.waitNext(0, 50)
	trips, batches := r.trips.Load(), loads.Load()
	w.send(0, numbered("a", 1000, "apple")...)
	w.waitNext(0, 1050)
	trips, batches = r.trips.Load()-trips, loads.Load()-batches
	if batches < 100 {
		t.Fatalf("%d batches: the test is too small", batches)
	}
	// What watches the rows beside the lanes adds a few.
	if float64(trips) > 2.2*float64(batches) || trips < 2*batches {
		t.Errorf("%d round trips for %d batches, want 2 each", trips, batches)
	}
}

func TestACommitWhoseAnswerIsLostIsNotAppliedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	r := newRelay(t, w.databaseAddress())
	cfg := w.config()
	cfg.Pool = w.through(r)
	w.start(cfg)
	w.send(0, "warm apple")
	w.waitNext(0, 1)
	for i := range 5 {
		r.cutNext.Store(true)
		w.send(0, numbered(fmt.Sprintf("a%d", i), 20, "apple")...)
		w.waitNext(0, int64(1+20*(i+1)))
	}
	if r.cuts.Load() < 5 {
		t.Fatalf("%d answers were swallowed, want 5", r.cuts.Load())
	}
	w.send(0, "end apple")
	w.waitNext(0, 102)
	if n := w.counted("apple"); n != 102 {
		t.Errorf("counted %d, want 102", n)
	}
	if n := w.number(`select duplicate from offsets`); n != 0 {
		t.Errorf("%d duplicates: something was run again that was committed", n)
	}
}

func TestARowThatAnotherClientHoldsStopsOnlyTheRecordsThatNeedIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3)
	w.exec(`insert into tally values ('held', 0), ('free', 0)`)
	w.start(w.config())
	tx, err := w.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	if _, err := tx.Exec(t.Context(), `select from tally where word = 'held' for update`); err != nil {
		t.Fatal(err)
	}
	w.send(0, "1 free", "2 free", "3 held", "4 free")
	for i := range 20 {
		w.send(1, fmt.Sprintf("p1-%d free", i))
		w.send(2, fmt.Sprintf("p2-%d free", i))
	}
	w.waitNext(1, 20)
	w.waitNext(2, 20)
	w.waitNext(0, 2)
	if n := w.counted("free"); n != 42 {
		t.Errorf("counted %d beside the held row, want 42", n)
	}
	started := time.Now()
	for i := range 20 {
		w.send(1, fmt.Sprintf("q1-%d free", i))
	}
	w.waitNext(1, 40)
	if took := time.Since(started); took > 3*time.Second {
		t.Errorf("another partition took %s while the row was held", took)
	}
	if err := tx.Rollback(context.Background()); err != nil {
		t.Fatal(err)
	}
	w.waitNext(0, 4)
	if n := w.counted("held"); n != 1 {
		t.Errorf("held counted %d, want 1", n)
	}
}

func TestAnUncommittedInsertOfAnotherClientStopsOnlyItsRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	w.start(w.config())
	tx, err := w.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	if _, err := tx.Exec(t.Context(), `insert into tally values ('new', 0)`); err != nil {
		t.Fatal(err)
	}
	w.send(0, "1 apple", "2 apple", "3 new", "4 apple")
	w.send(1, numbered("b", 30, "apple")...)
	w.waitNext(1, 30)
	w.waitNext(0, 2)
	if err := tx.Rollback(context.Background()); err != nil {
		t.Fatal(err)
	}
	w.waitNext(0, 4)
	if a, n := w.counted("apple"), w.counted("new"); a != 33 || n != 1 {
		t.Errorf("apple %d new %d, want 33 1", a, n)
	}
}

func TestAValueThatTheDatabaseRefusesParksItsRecordAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	w.exec(`create function picky(w text) returns text language plpgsql as $$
	  begin if w = 'refused' then raise exception using errcode = '22023'; end if; return w; end $$`)
	w.exec(`alter table tally add check (picky(word) is not null)`)
	w.send(0, numbered("a", 40, "apple")...)
	w.send(0, "x refused")
	w.send(0, numbered("b", 40, "apple")...)
	w.send(1, numbered("c", 40, "apple")...)
	w.start(w.config())
	w.waitNext(0, 81)
	w.waitNext(1, 40)
	if n := w.counted("apple"); n != 120 {
		t.Errorf("counted %d, want 120", n)
	}
	if n := w.number(`select count(*) from dead_letters
	  where partition = 0 and "offset" = 40 and reason = 'refused_by_database'`); n != 1 {
		t.Error("the record is not parked")
	}
}

func TestAConstraintOfOursThatFiresStopsThePartitionAtTheRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	w.exec(`insert into tally values ('full', 999999)`)
	w.send(0, numbered("a", 10, "apple")...)
	w.send(0, "x full")
	w.send(0, numbered("b", 10, "apple")...)
	w.send(1, numbered("c", 10, "apple")...)
	w.start(w.config())
	w.waitHalt(0, offsets.HaltConstraintViolated)
	w.waitNext(1, 10)
	if next := w.next(0); next != 10 {
		t.Errorf("stopped at %d, want 10", next)
	}
	if n := w.number(`select count(*) from dead_letters`); n != 0 {
		t.Errorf("%d dead letters: the customer's record is not at fault", n)
	}
}

func TestAnOlderClaimCannotWrite(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.start(w.config())
	w.send(0, "1 apple")
	w.waitNext(0, 1)
	// Another member claims the partition while this one does not know it.
	tp := offsets.TopicPartition{Topic: w.topic}
	claimed, err := offsets.Claim(t.Context(), w.pool, []offsets.TopicPartition{tp}, "another")
	if err != nil {
		t.Fatal(err)
	}
	w.send(0, "2 apple")
	// It is fenced, rejoins, claims anew, and then applies the record: once.
	w.waitNext(0, 2)
	if n := w.counted("apple"); n != 2 {
		t.Errorf("counted %d, want 2", n)
	}
	if n := w.number(`select count(*) from offsets where token = $1`, claimed[0].Token); n != 0 {
		t.Error("the record was applied under the other member's claim")
	}
}

func TestAClaimEndsAFrozenClientsHoldOnItsRows(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.send(0, "1 apple")
	_, stop := w.start(w.config())
	w.waitNext(0, 1)
	stop()
	// A batch of an older claim, frozen inside its transaction: it holds the generation lock and the row.
	frozen, err := w.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = frozen.Rollback(context.Background()) }()
	for _, sql := range []string{`select ` + offsets.LockGeneration, `select from offsets for update`} {
		if _, err := frozen.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	w.send(0, "2 apple")
	started := time.Now()
	w.start(w.config())
	w.waitNext(0, 2)
	if took := time.Since(started); took > 15*time.Second {
		t.Errorf("the claim took %s", took)
	}
	if _, err := frozen.Exec(t.Context(), `select 1`); err == nil {
		t.Error("the frozen client's backend is still there")
	}
}

func TestAClaimWaitsForOthersThanOurBatches(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.send(0, "1 apple")
	_, stop := w.start(w.config())
	w.waitNext(0, 1)
	stop()
	operator, err := w.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = operator.Rollback(context.Background()) }()
	if _, err := operator.Exec(t.Context(), `select from offsets for update`); err != nil {
		t.Fatal(err)
	}
	w.start(w.config())
	timer := time.NewTimer(3 * time.Second)
	<-timer.C
	if _, err := operator.Exec(t.Context(), `select 1`); err != nil {
		t.Fatalf("somebody else's transaction was ended: %v", err)
	}
	if err := operator.Rollback(context.Background()); err != nil {
		t.Fatal(err)
	}
	w.send(0, "2 apple")
	w.waitNext(0, 2)
}

func TestAnOperatorsMoveIsTakenUpByARunningMember(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.start(w.config())
	w.send(0, numbered("a", 5, "apple")...)
	w.waitNext(0, 5)
	w.exec(`update offsets set start = 2, next = 2, incarnation = 2, applied = 0, token = null, last_hash = null`)
	w.waitNext(0, 5)
	if n := w.number(`select duplicate from offsets`); n != 3 {
		t.Errorf("%d duplicates, want the 3 that were read again", n)
	}
	if n := w.counted("apple"); n != 5 {
		t.Errorf("counted %d, want 5", n)
	}
}
