package inbox

import (
	"context"
	"errors"
	"hash/fnv"
	"iter"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// pacedBatch is tallyBatch as a Contender, stopped on its way.
type pacedBatch struct {
	tallyBatch
	asks    func()       // called by Want
	applies func() error // called by Apply
}

func (p *pacedBatch) Want(items []*Item) iter.Seq[uint64] {
	p.asks()
	return hashes(items)
}

// hashes are those of the words of items.
func hashes(items []*Item) iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		for _, item := range items {
			h := fnv.New64a()
			_, _ = h.Write([]byte(item.Body.(string)))
			if !yield(h.Sum64()) {
				return
			}
		}
	}
}

func (p *pacedBatch) Apply(q *pgx.Batch, fresh []*Item) error {
	if err := p.applies(); err != nil {
		return err
	}
	return p.tallyBatch.Apply(q, fresh)
}

// startPaced runs a consumer of w's topic, and calls asks and applies from all its lanes.
func (w *world) startPaced(asks func(), applies func() error) {
	w.t.Helper()
	cfg := w.config()
	cfg.NewBatch = func() BatchHandler { return &pacedBatch{asks: asks, applies: applies} }
	w.start(cfg)
}

// arrival is closed by the second one that arrives.
type arrival struct {
	arrived atomic.Int32
	second  chan struct{}
}

func (a *arrival) arrive() {
	if a.arrived.Add(1) == 2 {
		close(a.second)
	}
}

func (a *arrival) wait() error {
	select {
	case <-a.second:
		return nil
	case <-time.After(patience / 2):
		return errors.New("the other lane does not arrive")
	}
}

func TestLanesThatWantTheSameRowsDoNotMeetInTheDatabase(t *testing.T) {
	t.Parallel()
	for range 10 {
		if twoLanesMeetNowhere(t) {
			return
		}
	}
	t.Error("it always took longer to look than a turn is waited for")
}

// twoLanesMeetNowhere is false if nobody can tell: a slow machine has let the turn's time pass before it has looked.
func twoLanesMeetNowhere(t *testing.T) (conclusive bool) {
	t.Helper()
	w := newWorld(t, 2)
	w.exec(`insert into tally values ('apple', 0)`)
	w.send(0, "a apple")
	asked, applied := arrival{second: make(chan struct{})}, atomic.Int32{}
	var took time.Duration // since before there was a second batch
	var waiting []string
	var batches int32
	looked := make(chan struct{})
	w.startPaced(asked.arrive, func() error {
		if applied.Add(1) > 1 {
			return nil
		}
		defer close(looked)
		start := time.Now()
		w.send(1, "b apple")
		if err := asked.wait(); err != nil {
			return err
		}
		const settle = 50 * time.Millisecond // less than a turn is waited for
		<-time.After(settle)
		var err error
		batches = asked.arrived.Load()
		waiting, err = w.waiters("from tally")
		took = time.Since(start)
		return err
	})
	w.eventually("both events are counted", func() bool { return w.counted("apple") == 2 })
	<-looked
	if took > lockTimeout {
		return false
	}
	if batches != 2 || len(waiting) > 0 {
		t.Errorf("%d batches, and after %v these wait for a lock: %q; want two, and none", batches, took, waiting)
	}
	return true
}

// waiters are the statements with a word in them that wait for a lock, each with its kind and who holds it.
func (w *world) waiters(word string) ([]string, error) {
	rows, err := w.pool.Query(w.t.Context(), `
select format('%s waits for %s, which %s hold: %s', pid, wait_event, pg_blocking_pids(pid), query) from pg_stat_activity
where datname = current_database() and wait_event_type = 'Lock' and pid <> pg_backend_pid()
  and position($1 in query) > 0`, word)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

func TestLanesThatWantDifferentRowsDoNotWait(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	w.send(0, "a apple")
	met := arrival{second: make(chan struct{})}
	w.startPaced(func() {}, func() error {
		if met.arrive(); met.arrived.Load() == 1 {
			w.send(1, "b pear")
		}
		return met.wait()
	})
	w.eventually("both events are counted", func() bool { return w.counted("apple")+w.counted("pear") == 2 })
	if n := met.arrived.Load(); n != 2 {
		t.Errorf("%d batches, want two that met", n)
	}
}

func TestATurnIsWaitedForUntilItIsGivenBackAndNoLonger(t *testing.T) {
	t.Parallel()
	var all turns
	enter := func(ctx context.Context, rows ...uint64) (mine *turn, entered <-chan struct{}) {
		mine, done := newTurn(), make(chan struct{})
		before := len(all.now())
		go func() {
			defer close(done)
			all.take(ctx, mine, slices.Values(rows), nil, false)
		}()
		eventually(t, "the turn is asked for", func() bool { return len(all.now()) > before })
		return mine, done
	}
	expect := func(what string, entered <-chan struct{}, want bool) {
		t.Helper()
		patience := patience
		if !want {
			patience = 20 * time.Millisecond
		}
		select {
		case <-entered:
			if !want {
				t.Errorf("%s did not wait", what)
			}
		case <-time.After(patience):
			if want {
				t.Errorf("%s waits", what)
			}
		}
	}
	first, entered := enter(t.Context(), 1, 2, 3)
	expect("the first", entered, true)
	_, entered = enter(t.Context(), 4)
	expect("one that wants something else", entered, true)
	second, secondEntered := enter(t.Context(), 3, 5)
	third, thirdEntered := enter(t.Context(), 5) // of the second, which waits itself
	expect("the second", secondEntered, false)
	expect("the third", thirdEntered, false)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	impatient, entered := enter(ended, 1)
	expect("one without patience", entered, true)
	all.give(impatient, true)
	all.give(first, true)
	expect("the second", secondEntered, true)
	expect("the third", thirdEntered, false)
	all.give(second, true)
	expect("the third", thirdEntered, true)
	all.give(third, true)
	if left := len(all.now()); left != 1 {
		t.Errorf("%d turns are left, want the one that was not given back", left)
	}
}

func (t *turns) now() []*turn {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.taken)
}
