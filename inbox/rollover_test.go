package inbox

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onhand/offsets"
)

func TestCopiesAtTheSameMomentAcrossRolloversHaveOneEffect(t *testing.T) {
	t.Parallel()
	for _, isolation := range []pgx.TxIsoLevel{pgx.ReadCommitted, pgx.Serializable} {
		t.Run(string(isolation), func(t *testing.T) {
			t.Parallel()
			const partitions, rounds, events = 4, 25, 60
			w := newWorld(t, partitions)
			for range 2 {
				cfg := w.config()
				cfg.Isolation, cfg.Lanes, cfg.MaxBatch, cfg.DedupeRows = isolation, 2, 5, -1
				w.start(cfg)
			}
			for p := range int32(partitions) {
				w.send(p, fmt.Sprintf("first-%d apple", p))
				w.waitNext(p, 1)
			}
			for round := range rounds {
				values := numbered(fmt.Sprintf("r%d", round), events, "apple")
				for p := range int32(partitions) {
					w.send(p, values...)
				}
				// Not one more: what this round decides first must be remembered until it ends.
				for range maxLive - 1 {
					w.rollOver()
				}
				for p := range int32(partitions) {
					w.waitNext(p, int64(1+(round+1)*events))
				}
			}
			if n := w.counted("apple"); n != rounds*events+partitions {
				t.Errorf("counted %d, want %d", n, rounds*events+partitions)
			}
			if n := w.number(`select sum(duplicate) from offsets`); n != (partitions-1)*rounds*events {
				t.Errorf("%d duplicates, want %d", n, (partitions-1)*rounds*events)
			}
			if n := w.newestGeneration(); n != 1+rounds*(maxLive-1) {
				t.Errorf("%d generations, want %d", n, 1+rounds*(maxLive-1))
			}
		})
	}
}

// holding stops once a round in the middle of a batch of partition 0: it has looked its event up, and not written it.
type holding struct {
	tallyBatch
	armed         *atomic.Bool
	held, release chan struct{}
}

func (h holding) Apply(q *pgx.Batch, fresh []*Item) error {
	if len(fresh) > 0 && fresh[0].Record.Partition == 0 && h.armed.CompareAndSwap(true, false) {
		h.held <- struct{}{}
		<-h.release
	}
	return h.tallyBatch.Apply(q, fresh)
}

func TestAnEventInTwoBatchesWithARolloverInBetweenHasOneEffect(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ members, lanes int }{{1, 2}, {2, 1}} {
		t.Run(fmt.Sprintf("%d members with %d lanes", c.members, c.lanes), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 2)
			h := holding{armed: new(atomic.Bool), held: make(chan struct{}), release: make(chan struct{})}
			for range c.members {
				cfg := w.config()
				cfg.Lanes, cfg.DedupeRows, cfg.NewBatch = c.lanes, -1, func() BatchHandler { return h }
				w.start(cfg)
			}
			w.eventually("each member has its part", func() bool {
				return w.number(`select count(distinct owner) from offsets having count(owner) = 2`) == int64(c.members)
			})
			for round := range 20 {
				event := fmt.Sprintf("%d word%d", round, round)
				h.armed.Store(true)
				w.send(0, event)
				select {
				case <-h.held:
				case <-time.After(patience):
					t.Fatal("the batch does not come")
				}
				seen, err := look(t.Context(), w.pool)
				if err != nil {
					t.Fatal(err)
				}
				done, err := rollOver(t.Context(), w.pool, seen, rolloverWait)
				w.send(1, event)
				w.waitNext(1, int64(round+1))
				h.release <- struct{}{}
				w.waitNext(0, int64(round+1))
				if n := w.counted(fmt.Sprintf("word%d", round)); n != 1 {
					t.Fatalf("round %d: counted %d times, want once; rolled over %t, %v", round, n, done, err)
				}
				w.rollOver()
			}
			if n := w.number(`select sum(duplicate) from offsets`); n != 20 {
				t.Errorf("%d duplicates, want 20", n)
			}
		})
	}
}

func TestARolloverWaitsForTheBatchesUnderWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	batch, err := w.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = batch.Rollback(context.Background()) }()
	if _, err := batch.Exec(t.Context(), "select "+offsets.LockGeneration); err != nil {
		t.Fatal(err)
	}
	seen, err := look(t.Context(), w.pool)
	if err != nil {
		t.Fatal(err)
	}
	// What begins meanwhile waits behind it, as long as it waits.
	ctx, stop := context.WithCancel(t.Context())
	var others sync.WaitGroup
	var waits []time.Duration
	others.Go(func() { waits = w.stalls(ctx) })
	for range 3 {
		if _, err := rollOver(t.Context(), w.pool, seen, rolloverWait); sqlstate(err) != "55P03" {
			t.Fatalf("%v, want a lock timeout", err)
		}
	}
	stop()
	others.Wait()
	if longest := slices.Max(waits); longest < rolloverWait/2 || longest > maxStall {
		t.Errorf("a batch waited for %s, want at most %s", longest, maxStall)
	}
	if n := w.newestGeneration(); n != 1 {
		t.Fatalf("generation %d, want 1", n)
	}
	if err := batch.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if done, err := rollOver(t.Context(), w.pool, seen, rolloverWait); err != nil || !done {
		t.Errorf("done %t, %v", done, err)
	}
}

// Under serializable a batch that waits for the lock has its snapshot already.
func TestABatchThatWaitedForARolloverSeesIt(t *testing.T) {
	t.Parallel()
	for _, isolation := range []pgx.TxIsoLevel{pgx.ReadCommitted, pgx.Serializable} {
		t.Run(string(isolation), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 1)
			cfg := w.config()
			cfg.Isolation, cfg.DedupeRows = isolation, -1
			w.start(cfg)
			w.send(0, "first apple")
			w.waitNext(0, 1)
			for i := range 10 {
				tx, err := w.pool.Begin(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = tx.Rollback(context.Background()) }()
				if _, err := tx.Exec(t.Context(), rolloverBegin, "10s"); err != nil {
					t.Fatal(err)
				}
				w.send(0, fmt.Sprintf("%d apple", i))
				w.eventually("a batch waits for the lock", func() bool {
					return w.number(`select count(*) from pg_locks l join pg_stat_activity a using (pid)
					  where l.locktype = 'advisory' and not l.granted and $1 = any (pg_blocking_pids(l.pid))`,
						int64(tx.Conn().PgConn().PID())) > 0
				})
				now, err := look(t.Context(), tx)
				if err != nil {
					t.Fatal(err)
				}
				sql := openNext
				if now.Live == maxLive {
					sql = dropAndOpenNext[now.Oldest]
				}
				if _, err := tx.Exec(t.Context(), sql); err != nil {
					t.Fatal(err)
				}
				if err := tx.Commit(t.Context()); err != nil {
					t.Fatal(err)
				}
				w.waitNext(0, int64(i+2))
				open := []string{"inbox", "inbox_1", "inbox_2"}[w.number(
					`select slot from inbox_generations where closed_at is null`)]
				if n := w.number(`select count(*) from inbox where event_id = $1 and tableoid = $2::regclass`,
					strconv.Itoa(i), open); n != 1 {
					t.Fatalf("round %d: the event is not in %s, which is open", i, open)
				}
			}
		})
	}
}

func TestMembersThatRollOverAtTheSameMomentDoItOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	for range 2 * maxLive {
		seen, err := look(t.Context(), w.pool)
		if err != nil {
			t.Fatal(err)
		}
		var members sync.WaitGroup
		var times atomic.Int64
		for range 4 {
			members.Go(func() {
				eventually(t, "somebody rolls over", func() bool {
					done, err := rollOver(t.Context(), w.pool, seen, rolloverWait)
					if done {
						times.Add(1)
					}
					return err == nil
				})
			})
		}
		members.Wait()
		if n := times.Load(); n != 1 || w.newestGeneration() != seen.Newest+1 {
			t.Fatalf("rolled over %d times, to generation %d", n, w.newestGeneration())
		}
	}
}

func TestAMemberRollsOverBySizeAndByAge(t *testing.T) {
	t.Parallel()
	for name, bound := range map[string]func(*Config){
		"size": func(c *Config) { c.DedupeRows = 100 },
		"age":  func(c *Config) { c.DedupeRows, c.DedupeAge = -1, 500*time.Millisecond },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 1)
			cfg := w.config()
			bound(&cfg)
			w.start(cfg)
			for i := range 2 * maxLive {
				w.send(0, numbered(fmt.Sprintf("g%d", i), 100, "apple")...)
				w.eventually("the generation is closed", func() bool { return w.newestGeneration() == int64(i+2) })
			}
			w.waitNext(0, 2*maxLive*100)
			if n := w.counted("apple"); n != 2*maxLive*100 {
				t.Errorf("counted %d, want %d", n, 2*maxLive*100)
			}
		})
	}
}

func TestAnIdleInboxForgetsNothingForBeingOld(t *testing.T) {
	t.Parallel()
	k := &keeper{age: time.Hour}
	old := (2 * time.Hour).Microseconds()
	if k.due(generations{Age: old}) || !k.due(generations{Age: old, Rows: 1}) {
		t.Error("an old generation is due exactly if it has a row")
	}
}
