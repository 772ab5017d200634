package inbox

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"onhand/offsets"
)

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

// It has the package to itself, and still others may hold up the machine once. What the rollover does is seen again.
func TestRolloversUnderLoadHoldUpNoBatchForLong(t *testing.T) {
	first := longestStall(t)
	if first <= maxStall {
		return
	}
	for range 2 {
		if again := longestStall(t); again > maxStall {
			t.Fatalf("a batch waited for %s, and for %s", first, again)
		}
	}
}

// longestStall is the longest wait of a batch while generations are rolled over, one of them a large one.
func longestStall(t *testing.T) time.Duration {
	t.Helper()
	const partitions, rollovers, rows = 4, 8, 150_000
	w := newWorld(t, partitions)
	cfg := w.config()
	cfg.DedupeRows = -1
	_, end := w.start(cfg)
	defer end()
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
	return waits[len(waits)-1]
}
