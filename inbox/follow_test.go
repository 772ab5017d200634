package inbox

import (
	"context"
	"iter"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onhand/internal/testenv"
)

// followingBatch is tallyBatch as a Follower. It writes what it counts up to, so that one that counts on from the wrong
// number is seen.
type followingBatch struct {
	seen *sightings

	n   map[string]int64 // of the words of the batch: how often they were counted
	was map[string]int64 // the same as the batch ahead leaves it, of those that it has
}

// sightings are what all lanes of a test have done.
type sightings struct {
	decided   atomic.Int32
	followed  atomic.Int32
	confirms  func() // called by Confirm, when the batch ahead is committed
	confirmed atomic.Int32
}

func (f *followingBatch) Want(items []*Item) iter.Seq[uint64] {
	f.n, f.was = make(map[string]int64), make(map[string]int64)
	for _, item := range items {
		f.n[item.Body.(string)] = 0
	}
	return hashes(items)
}

func (f *followingBatch) Follow(ahead any, _ bool) bool {
	f.seen.followed.Add(1)
	for word := range f.n {
		if n, ok := ahead.(map[string]int64)[word]; ok {
			f.n[word], f.was[word] = n, n
		}
	}
	return true
}

func (f *followingBatch) Load(q *pgx.Batch, _ []*Item, _ Locks) {
	var words []string
	for word := range f.n {
		if _, ok := f.was[word]; !ok {
			words = append(words, word)
		}
	}
	q.Queue(`select word, n from tally where word = any($1) order by word for update`, words).
		Query(func(rows pgx.Rows) error {
			var word string
			var n int64
			_, err := pgx.ForEachRow(rows, []any{&word, &n}, func() error { f.n[word] = n; return nil })
			return err
		})
}

const setWord = `insert into tally (word, n) values ($1, $2) on conflict (word) do update set n = $2`

func (f *followingBatch) Apply(q *pgx.Batch, fresh []*Item) error {
	for _, item := range fresh {
		f.n[item.Body.(string)]++
	}
	for _, word := range slices.Sorted(maps.Keys(f.n)) {
		if _, ok := f.was[word]; !ok && f.n[word] > 0 {
			q.Queue(setWord, word, f.n[word])
		}
	}
	f.seen.decided.Add(1)
	return nil
}

func (f *followingBatch) Decided() any { return maps.Clone(f.n) }

func (f *followingBatch) Confirm(q *pgx.Batch) {
	if f.seen.confirms != nil {
		f.seen.confirms()
	}
	f.seen.confirmed.Add(1)
	for word, was := range f.was {
		q.Queue(`select 1 / (count(*) = 1)::integer
from (select from tally where word = $1 and n = $2 for update nowait) l`, word, was)
		q.Queue(setWord, word, f.n[word])
	}
}

// startFollowing runs a consumer whose batches are of one record each, and so all full.
func (w *world) startFollowing() *sightings {
	w.t.Helper()
	seen := &sightings{}
	w.startSeeing(seen, 1)
	return seen
}

func (w *world) startSeeing(seen *sightings, maxBatch int) {
	w.t.Helper()
	w.startPatient(maxBatch, func() BatchHandler { return &followingBatch{seen: seen} })
}

// startPatient runs a consumer with all the time that a test takes: batches wait for the one ahead, and statements run.
func (w *world) startPatient(maxBatch int, newBatch func() BatchHandler) {
	w.t.Helper()
	cfg := w.config()
	cfg.MaxBatch, cfg.NewBatch, cfg.SessionTimeout = maxBatch, newBatch, time.Minute
	c, err := New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	c.timeouts.Ahead = patience
	testenv.Background(w.t, patience, "the consumer", c.Run)
}

// closeGate keeps transactions that have counted something from committing until the gate is opened, or lets them fail
// then.
func (w *world) closeGate() (open func(fail bool)) {
	w.t.Helper()
	w.exec(`create table gate (fails boolean)`)
	w.exec(`insert into gate values (null)`)
	w.exec(`
create function pass() returns trigger language plpgsql as $$
begin
  while exists (select from gate where fails is null) loop
    perform pg_sleep(0.005);
  end loop;
  if exists (select from gate where fails) then
    raise exception 'the gate is broken';
  end if;
  return null;
end $$`)
	w.exec(`
create constraint trigger pass after insert or update on tally deferrable initially deferred
for each row execute function pass()`)
	return func(fail bool) {
		w.t.Helper()
		w.exec(`update gate set fails = $1`, fail)
	}
}

func (w *world) expectTally(want map[string]int64) {
	w.t.Helper()
	for word, n := range want {
		if got := w.counted(word); got != n {
			w.t.Errorf("%s was counted %d times, want %d", word, got, n)
		}
	}
}

func TestABatchIsDecidedBeforeTheOneAheadIsCommitted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	w.exec(`insert into tally values ('apple', 5)`)
	open := w.closeGate()
	w.send(0, "a apple")
	seen := w.startFollowing()
	w.eventually("a batch is decided", func() bool { return seen.decided.Load() == 1 })
	w.send(1, "b apple")
	w.eventually("another one too", func() bool { return seen.decided.Load() == 2 })
	w.expectTally(map[string]int64{"apple": 5})
	if seen.followed.Load() != 1 || seen.confirmed.Load() != 0 {
		t.Errorf("%d batches followed and %d did not wait, want 1 and 0", seen.followed.Load(), seen.confirmed.Load())
	}
	open(false)
	w.waitNext(0, 1)
	w.waitNext(1, 1)
	w.expectTally(map[string]int64{"apple": 7})
	if n := seen.decided.Load(); n != 2 {
		t.Errorf("%d batches were run, want 2", n)
	}
}

func TestAPartitionsNextBatchIsDecidedBeforeItsLastIsCommitted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	open := w.closeGate()
	w.send(0, "a apple", "b pear", "a apple", "c apple", "b plum", "d pear")
	seen := w.startFollowing()
	w.eventually("two batches are decided", func() bool { return seen.decided.Load() == 2 })
	open(false)
	w.waitNext(0, 6)
	w.expectTally(map[string]int64{"apple": 2, "pear": 2})
	var applied, duplicate, parked, skipped int64
	w.scan([]any{&applied, &duplicate, &parked, &skipped},
		`select applied, duplicate, parked, skipped from offsets where topic = $1`, w.topic)
	if applied != 4 || duplicate != 1 || parked != 1 || skipped != 0 {
		t.Errorf("%d applied, %d duplicates, %d parked, %d skipped; want 4, 1, 1, 0", applied, duplicate, parked, skipped)
	}
	if seen.followed.Load() == 0 {
		t.Error("no batch has followed another")
	}
}

func TestABatchIsRunAgainWhenTheOneAheadIsNotCommitted(t *testing.T) {
	t.Parallel()
	for name, partitions := range map[string][]int32{"of one partition": {0, 0}, "of two": {0, 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 2)
			open := w.closeGate()
			seen := w.startFollowing()
			w.send(partitions[0], "a apple")
			w.eventually("a batch is decided", func() bool { return seen.decided.Load() == 1 })
			w.send(partitions[1], "b apple", "c apple")
			w.eventually("another one too", func() bool { return seen.decided.Load() == 2 })
			open(true)
			w.eventually("both are run again", func() bool { return seen.decided.Load() >= 4 })
			if n := w.number(`select count(*) from inbox`); n != 0 || w.counted("apple") != 0 {
				t.Errorf("%d events are applied, want none", n)
			}
			open(false)
			w.eventually("all is applied", func() bool { return w.counted("apple") == 3 })
			if n := w.number(`select count(*) from inbox`); n != 3 {
				t.Errorf("%d events are in the inbox, want 3", n)
			}
			if n := w.number(`select sum(skipped + duplicate)::integer from offsets`); n != 0 {
				t.Errorf("%d records were passed over", n)
			}
		})
	}
}

func TestABatchIsRunAgainWhenAnotherClientCameInBetween(t *testing.T) {
	t.Parallel()
	for name, between := range map[string]func(w *world){
		"and changed a row": func(w *world) { w.exec(`update tally set n = n + 100 where word = 'apple'`) },
		"and holds a row": func(w *world) {
			tx, err := w.pool.Begin(context.Background())
			if err != nil {
				w.t.Error(err)
				return
			}
			if _, err := tx.Exec(context.Background(), `update tally set n = n + 100 where word = 'apple'`); err != nil {
				w.t.Error(err)
			}
			const most = 100 * time.Millisecond // less than a lock is waited for
			time.AfterFunc(most, func() { _ = tx.Commit(context.Background()) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 2)
			open := w.closeGate()
			seen := &sightings{}
			seen.confirms = func() {
				if seen.confirmed.Load() == 0 {
					between(w)
				}
			}
			w.startSeeing(seen, 1)
			w.send(0, "a apple")
			w.eventually("a batch is decided", func() bool { return seen.decided.Load() == 1 })
			w.send(1, "b apple")
			w.eventually("another one too", func() bool { return seen.decided.Load() == 2 })
			open(false)
			w.waitNext(0, 1)
			w.waitNext(1, 1)
			w.expectTally(map[string]int64{"apple": 102})
			if n := seen.decided.Load(); n != 3 {
				t.Errorf("%d batches were run, want 3", n)
			}
		})
	}
}

// The second batch of a partition loses its claim between the commit of the first and its own.
func TestAClaimThatIsTakenInBetweenWritesNothing(t *testing.T) {
	t.Parallel()
	for name, sql := range map[string]string{
		"by another member": `update offsets set token = gen_random_uuid() where topic = $1`,
		"by an operator": `
update offsets set halt_reason = 'operator', halt_detail = 'test', halted_at = now() where topic = $1`,
		"and its position moved": `
update offsets set next = next + 1, jumped = jumped + 1, last_hash = null where topic = $1`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 1)
			open := w.closeGate()
			seen := &sightings{}
			var atFirst atomic.Int64
			seen.confirms = func() {
				if seen.confirmed.Load() == 0 {
					w.exec(sql, w.topic)
					atFirst.Store(w.counted("apple"))
				}
			}
			w.startSeeing(seen, 1)
			w.send(0, "a apple", "b apple", "c apple")
			w.eventually("two batches are decided", func() bool { return seen.decided.Load() == 2 })
			open(false)
			w.eventually("the second is to be committed", func() bool { return seen.confirmed.Load() == 1 })
			w.eventually("what is left is applied, or the partition stands", func() bool {
				return w.next(0) == 3 || w.haltReason(0) != ""
			})
			want := map[string]int64{"by another member": 3, "by an operator": 1, "and its position moved": 2}[name]
			if got := w.counted("apple"); atFirst.Load() != 1 || got != want {
				t.Errorf("%d events were applied before and %d in the end, want 1 and %d", atFirst.Load(), got, want)
			}
		})
	}
}

func TestABatchThatIsNotFullFollowsNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	open := w.closeGate()
	seen := &sightings{}
	w.startSeeing(seen, 2)
	w.send(0, "a apple")
	w.eventually("a batch is decided", func() bool { return seen.decided.Load() == 1 })
	w.send(1, "b apple")
	w.send(0, "c pear")
	const settle = 100 * time.Millisecond // less than a turn is waited for
	<-time.After(settle)
	if n := seen.decided.Load(); n != 1 {
		t.Errorf("%d batches are decided, want one", n)
	}
	open(false)
	w.waitNext(0, 2)
	w.waitNext(1, 1)
	if n := seen.followed.Load(); n != 0 {
		t.Errorf("%d batches have followed", n)
	}
}

func TestTrustComesBackAfterAWhile(t *testing.T) {
	t.Parallel()
	var tr trust
	for i := range 10 {
		if !tr.given() {
			t.Fatalf("no trust before failure %d", i)
		}
		tr.lose()
		pause := time.Until(tr.until)
		if want := distrust << min(i, maxDoublings); tr.given() || pause > want || pause < want-distrust/2 {
			t.Errorf("after failure %d trust comes back in %v, want %v", i, pause, want)
		}
		tr.until = time.Now()
	}
	tr.gain()
	tr.lose()
	if pause := time.Until(tr.until); pause > distrust {
		t.Errorf("after a success trust comes back in %v", pause)
	}
}

// panickyBatch panics when it is to follow, once.
type panickyBatch struct {
	followingBatch
	panicked *atomic.Bool
}

func (p *panickyBatch) Follow(ahead any, same bool) bool {
	if p.panicked.CompareAndSwap(false, true) {
		panic("cannot follow")
	}
	return p.followingBatch.Follow(ahead, same)
}

func TestAHandlerThatPanicsWhenItIsToFollowStopsNoLane(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	open := w.closeGate()
	seen, panicked := &sightings{}, &atomic.Bool{}
	w.startPatient(1, func() BatchHandler {
		return &panickyBatch{followingBatch: followingBatch{seen: seen}, panicked: panicked}
	})
	w.send(0, "a apple")
	w.eventually("a batch is decided", func() bool { return seen.decided.Load() == 1 })
	w.send(1, "b apple")
	w.eventually("the handler panics", panicked.Load)
	open(false)
	w.send(0, numbered("c", 10, "apple")...)
	w.send(1, numbered("d", 10, "apple")...)
	w.eventually("all is applied", func() bool { return w.counted("apple") == 22 })
}

func TestWhoeverFollowsComesAfterTheLastThatIsNotCommitted(t *testing.T) {
	t.Parallel()
	var all turns
	first, second, third := newTurn(), newTurn(), newTurn()
	all.take(t.Context(), first, slices.Values([]uint64{1}), nil, true)
	all.decide(first, &promise{})
	if ahead := all.take(t.Context(), second, slices.Values([]uint64{1, 2}), nil, true); ahead != first {
		t.Fatal("the second does not follow the first")
	}
	all.decide(second, &promise{settled: first.over})
	done := make(chan *turn)
	go func() { done <- all.take(t.Context(), third, slices.Values([]uint64{2}), nil, true) }()
	select {
	case <-done:
		t.Error("the third reads before the first is committed, and decides on what the second makes of it")
	case <-time.After(20 * time.Millisecond):
		all.give(first, true)
		if <-done != second {
			t.Error("the third does not follow the second")
		}
	}
}

// One commit hangs. The batch behind it waits in another lane, which is there for others too.
func TestACommitThatHangsLeavesALaneToOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	open := w.closeGate()
	w.exec(`drop trigger pass on tally`)
	w.exec(`
create constraint trigger pass after insert or update on tally deferrable initially deferred
for each row when (new.word = 'apple') execute function pass()`)
	seen := &sightings{}
	cfg := w.config()
	cfg.MaxBatch, cfg.SessionTimeout = 1, time.Minute
	cfg.NewBatch = func() BatchHandler { return &followingBatch{seen: seen} }
	w.start(cfg)
	w.send(0, "a apple", "b apple", "c apple")
	w.eventually("two batches are decided", func() bool { return seen.decided.Load() >= 2 })
	began := time.Now()
	w.send(1, "d pear")
	w.waitNext(1, 1)
	if n := w.next(0); n != 0 {
		t.Fatalf("the commit did not hang: partition 0 is at %d", n)
	}
	t.Logf("the other partition waited for %v", time.Since(began))
	open(false)
	w.eventually("all is applied", func() bool { return w.counted("apple") == 3 })
}
