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

// maxStall is what a rollover may hold up a batch for.
const maxStall = 200 * time.Millisecond

// Where a rollover's backend is ended: by a trigger, before each of its statements and, deferred, at its commit.
var crashes = []struct {
	table, sql string
	dropping   bool // only a drop comes by there
}{
	{"inbox", `create trigger crash before truncate on inbox execute function crash()`, true},
	{"inbox_generations", `create trigger crash before delete on inbox_generations execute function crash()`, true},
	{"inbox_forgotten", `create trigger crash before insert on inbox_forgotten execute function crash()`, true},
	{"inbox_generations", `create trigger crash before update on inbox_generations execute function crash()`, false},
	{"inbox_generations", `create trigger crash before insert on inbox_generations execute function crash()`, false},
	{"inbox_memory", `create trigger crash before update on inbox_memory execute function crash()`, false},
	{"inbox_generations", `create constraint trigger crash after insert on inbox_generations
	   deferrable initially deferred for each row execute function crash()`, false},
}

func TestACrashInTheMiddleOfARolloverLeavesAllOfItOrNothing(t *testing.T) {
	t.Parallel()
	for _, live := range []int{1, maxLive} { // without and with a generation to drop
		t.Run(fmt.Sprintf("with %d live", live), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 1)
			w.startDated()
			for i := range live {
				if w.send(0, fmt.Sprintf("%d apple %s", i, at(i))); i > 0 {
					w.rollOver()
				}
				w.waitNext(0, int64(i+1))
			}
			const state = `select string_agg(g::text, ' ' order by generation) || ' ' || min(m::text) || ' '
			  || (select string_agg(i::text, ' ' order by i.event_id) from inbox i) || (select count(*) from inbox_forgotten)
			  from inbox_generations g, inbox_memory m`
			var before, after string
			w.scan([]any{&before}, state)
			seen, err := look(t.Context(), w.pool)
			if err != nil {
				t.Fatal(err)
			}
			w.exec(`create function crash() returns trigger language plpgsql as
			  'begin perform pg_terminate_backend(pg_backend_pid()); perform pg_sleep(10); return new; end'`)
			for _, c := range crashes {
				if c.dropping && live < maxLive {
					continue
				}
				w.exec(c.sql)
				_, err := rollOver(t.Context(), w.pool, seen, rolloverWait)
				w.exec(`drop trigger crash on ` + c.table)
				if w.scan([]any{&after}, state); sqlstate(err) != "57P01" || after != before {
					t.Fatalf("%s: %v, was %s, is %s", c.sql, err, before, after)
				}
			}
			w.rollOver()
			w.send(0, fmt.Sprintf("%d apple %s", live-1, at(live-1)), "0 apple "+at(0), "new apple "+at(live))
			w.waitNext(0, int64(live+3))
			if n := w.counted("apple"); n != int64(live)+1 {
				t.Errorf("counted %d, want %d", n, live+1)
			}
			if n := w.parkedAs("beyond_memory"); (n == 1) != (live == maxLive) {
				t.Errorf("%d parked as beyond memory", n)
			}
		})
	}
}

func TestALongReaderHoldsUpTheDropAndNothingElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.startDated()
	for i := range maxLive {
		w.send(0, fmt.Sprintf("%d apple", i))
		w.waitNext(0, int64(i+1))
		if i < maxLive-1 {
			w.rollOver()
		}
	}
	reader, err := w.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reader.Rollback(context.Background()) }()
	if _, err := reader.Exec(t.Context(), "select count(*) from inbox"); err != nil {
		t.Fatal(err)
	}
	k := &keeper{pool: w.pool, rows: 1, log: w.config().Log}
	for range 3 {
		err := k.turn(t.Context())
		if sqlstate(err) != "55P03" {
			t.Fatalf("%v, want that the slot is in use", err)
		}
		k.held(t.Context(), err)
	}
	m, err := ReadMemory(t.Context(), w.pool)
	if err != nil || m.WaitingSince == nil || m.WaitingFor == nil || len(m.Generations) != maxLive {
		t.Fatalf("%+v, %v", m, err)
	}
	// While it is tried again and again, records flow.
	stop, trying := context.WithCancel(t.Context())
	var turns sync.WaitGroup
	turns.Go(func() {
		for stop.Err() == nil {
			_ = k.turn(stop)
		}
	})
	var slowest time.Duration
	for i := range 20 {
		started := time.Now()
		w.send(0, fmt.Sprintf("r%d apple", i))
		w.waitNext(0, int64(maxLive+i+1))
		slowest = max(slowest, time.Since(started))
	}
	trying()
	turns.Wait()
	t.Logf("the slowest record took %s", slowest)
	if slowest > 2*time.Second {
		t.Errorf("a record took %s", slowest)
	}
	if err := reader.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.eventually("the generation is dropped", func() bool {
		return k.turn(t.Context()) == nil && w.newestGeneration() == maxLive+1
	})
	if m, err := ReadMemory(t.Context(), w.pool); err != nil || m.WaitingFor != nil || m.DroppedRows != 1 {
		t.Errorf("%+v, %v", m, err)
	}
}

// stalls measures, in the database, how long a batch that begins now waits for the generation's lock.
func (w *world) stalls(ctx context.Context) (waits []time.Duration) {
	for ctx.Err() == nil {
		var micros int64
		const wait = `
select (extract(epoch from t.b - t.a) * 1000000)::bigint
from (select clock_timestamp() as a, ` + offsets.LockGeneration + `, clock_timestamp() as b offset 0) t`
		if err := w.pool.QueryRow(ctx, wait).Scan(&micros); err == nil {
			waits = append(waits, time.Duration(micros)*time.Microsecond)
		}
	}
	return waits
}

func TestRolloversUnderLoadHoldUpNoBatchForLong(t *testing.T) {
	t.Parallel()
	const partitions, rollovers, rows = 4, 8, 150_000
	w := newWorld(t, partitions)
	cfg := w.config()
	cfg.DedupeRows = -1
	w.start(cfg)
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	load.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			for p := range int32(partitions) {
				w.send(p, numbered(fmt.Sprintf("%d-%d", n, p), 500, "apple")...)
			}
			sent := int64(500 * (n + 1))
			w.eventually("the load is not far ahead", func() bool { return w.next(0) > sent-5000 || ctx.Err() != nil })
		}
	})
	var waits []time.Duration
	load.Go(func() { waits = w.stalls(ctx) })
	for i := range rollovers {
		if i == maxLive-1 { // the generation that goes next is a large one
			w.exec(fillSlots, rows, w.topic)
		}
		before := w.next(0)
		w.rollOver()
		w.eventually("records flow", func() bool { return w.next(0) > before })
	}
	stop()
	load.Wait()
	slices.Sort(waits)
	t.Logf("of %d waits the median is %s and the longest %s", len(waits), waits[len(waits)/2], waits[len(waits)-1])
	if longest := waits[len(waits)-1]; longest > maxStall {
		t.Errorf("a batch waited for %s", longest)
	}
}
