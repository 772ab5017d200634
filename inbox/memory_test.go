package inbox

import (
	"context"
	"fmt"
	"math"
	"math/bits"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/jackc/pgx/v5"

	"onhand/internal/testenv"
)

// dated reads events of the form `id word time`; without a time the event has none.
type dated struct{}

func (dated) Decode(r *Record) (Event, error) {
	id, rest, _ := strings.Cut(string(r.Value), " ")
	word, said, timed := strings.Cut(rest, " ")
	e := Event{ID: id, Fingerprint: FingerprintBytes([]byte(id + " " + word)), Body: word}
	if !timed {
		return e, nil
	}
	var err error
	e.Time, err = time.Parse(time.RFC3339Nano, said)
	return e, err
}

// startDated runs a member that never rolls over by itself.
func (w *world) startDated() {
	w.t.Helper()
	cfg := w.config()
	cfg.Decoder, cfg.DedupeRows = dated{}, -1
	w.start(cfg)
}

// rollOver waits until the open generation is followed by the next.
func (w *world) rollOver() {
	w.t.Helper()
	seen, err := look(w.t.Context(), w.pool)
	if err != nil {
		w.t.Fatal(err)
	}
	w.eventually("the next generation is open", func() bool {
		_, err := rollOver(w.t.Context(), w.pool, seen, rolloverWait)
		if err != nil && sqlstate(err) != "55P03" {
			w.t.Fatal(err)
		}
		return err == nil
	})
}

func (w *world) newestGeneration() int64 {
	w.t.Helper()
	return w.number(`select max(generation) from inbox_generations`)
}

func (w *world) parkedAs(reason string) int64 {
	w.t.Helper()
	return w.number(`select count(*) from dead_letters where reason = $1`, reason)
}

// at is a time of the past, so many hours after a fixed one.
func at(hours int) string {
	t := time.Date(2026, 1, 31, 12, 0, 0, 123456789, time.UTC)
	return t.Add(time.Duration(hours) * time.Hour).Format(time.RFC3339Nano)
}

func TestAnEventFromBeforeTheHorizonIsParkedAndOneFromAfterItIsNew(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.startDated()
	w.send(0, "old apple "+at(1), "older apple "+at(0))
	w.waitNext(0, 2)
	w.rollOver()
	w.send(0, "kept apple "+at(2))
	w.waitNext(0, 3)
	w.rollOver()
	w.send(0, "old apple "+at(1), "kept apple "+at(2)) // all are remembered still
	w.waitNext(0, 5)
	if n := w.number(`select duplicate from offsets`); n != 2 {
		t.Fatalf("%d duplicates, want 2", n)
	}
	w.rollOver() // drops the first generation
	w.send(0, "old apple "+at(1), "older apple "+at(0), "kept apple "+at(2), "late apple "+at(1), "new apple "+at(3))
	w.waitNext(0, 10)
	if n, d := w.counted("apple"), w.number(`select duplicate from offsets`); n != 4 || d != 3 {
		t.Errorf("counted %d with %d duplicates, want 4 and 3", n, d)
	}
	if n := w.parkedAs("beyond_memory"); n != 3 {
		t.Errorf("%d parked as beyond memory, want the two that were dropped and the late one", n)
	}
	var detail string
	w.scan([]any{&detail}, `select min(detail) from dead_letters`)
	if !strings.Contains(detail, "2026-01-31T13:00:00Z") || !strings.Contains(detail, "send it again") {
		t.Errorf("the detail says %q", detail)
	}
}

func TestAStormOfForgottenEventsStopsItsPartition(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.startDated()
	old := make([]string, 60)
	for i := range old {
		old[i] = fmt.Sprintf("%d apple %s", i, at(0))
	}
	w.send(0, old...)
	w.waitNext(0, 60)
	for range maxLive {
		w.rollOver()
	}
	w.send(0, slices.Concat(old, old)...)
	w.eventually("the partition is halted", func() bool { return w.haltReason(0) == "parked_storm" })
	if n := w.counted("apple"); n != 60 {
		t.Errorf("counted %d, want 60", n)
	}
}

func TestAnEventFromTheFutureDoesNotCloseTheDoor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	anytime := strconv.Itoa(math.MaxInt)
	w.topic = testenv.TopicWith(t, 1, map[string]*string{"message.timestamp.after.max.ms": &anytime})
	w.startDated()
	// The first one's record is from now. The second one's is from the future too: the database's clock is left.
	w.send(0, "a apple 2099-01-01T00:00:00Z")
	future := time.Date(2098, 1, 1, 0, 0, 0, 0, time.UTC)
	if _, _, err := w.producer.SendMessage(&sarama.ProducerMessage{
		Topic: w.topic, Value: sarama.StringEncoder("b apple 2099-01-01T00:00:00Z"), Timestamp: future,
	}); err != nil {
		t.Fatal(err)
	}
	w.waitNext(0, 2)
	for range maxLive {
		w.rollOver()
	}
	ahead := time.Now().Add(2 * lead).Format(time.RFC3339Nano)
	w.send(0, "c apple "+ahead, "d apple "+ahead)
	w.waitNext(0, 4)
	if n := w.counted("apple"); n != 4 {
		t.Errorf("counted %d, want 4", n)
	}
	const recent = `select count(*) from inbox_memory
	  where horizon between now() - interval '1 minute' and now() + interval '1 minute'`
	if w.number(recent) != 1 {
		t.Error("the horizon is not the time at which the events came")
	}
	// The record that is read again is as old as it was.
	w.exec(`update offsets set start = 0, next = 0, incarnation = 2, applied = 0, token = null, last_hash = null`)
	w.waitNext(0, 4)
	if n := w.parkedAs("beyond_memory"); n != 1 {
		t.Errorf("%d parked as beyond memory, want the first", n)
	}
}

func TestACopyOfAnEventWhoseClockWasFastIsToldFromANewOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.startDated()
	fast := "fast apple " + time.Now().Add(lead/2).Format(time.RFC3339Nano)
	w.send(0, fast)
	w.waitNext(0, 1)
	for range maxLive {
		w.rollOver()
	}
	w.send(0, fast) // in a record that is later than the first one's
	w.waitNext(0, 2)
	if n, parked := w.counted("apple"), w.parkedAs("beyond_memory"); n != 1 || parked != 1 {
		t.Errorf("counted %d and parked %d, want 1 and 1", n, parked)
	}
}

func TestAnEventWithoutATimeIsKnownWithinMemoryOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.startDated()
	w.send(0, "a apple", "a apple", "b apple "+at(0), "c no-apple")
	w.waitNext(0, 4)
	w.rollOver()
	w.rollOver()
	w.send(0, "a apple")
	w.waitNext(0, 5)
	if n, d := w.counted("apple"), w.number(`select duplicate from offsets`); n != 2 || d != 2 {
		t.Fatalf("counted %d with %d duplicates, want 2 and 2", n, d)
	}
	w.rollOver()
	w.send(0, "a apple")
	w.waitNext(0, 6)
	if n := w.counted("apple"); n != 3 {
		t.Errorf("counted %d, want 3: nobody can know that it came before", n)
	}
	m, err := ReadMemory(t.Context(), w.pool)
	if err != nil {
		t.Fatal(err)
	}
	if m.Timeless != 3 || m.DroppedRows != 3 || len(m.Generations) != 3 || m.Generations[2].Rows != 1 {
		t.Errorf("%+v", m)
	}
	const off = `select remembered - dropped_rows - (select count(*) from inbox) from offsets, inbox_memory`
	if n := w.number(off); n != 0 {
		t.Errorf("%d more are counted as remembered than were dropped or are there", n)
	}
}

func TestABatchWithAStalePictureRunsAgainAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	var loads atomic.Int64
	cfg := w.config()
	cfg.Lanes, cfg.DedupeRows, cfg.NewBatch = 1, -1, func() BatchHandler { return counting{loads: &loads} }
	w.start(cfg)
	const rounds = 2 * maxLive
	for i := range rounds {
		w.send(0, fmt.Sprintf("%d apple", i), fmt.Sprintf("%d apple", i))
		w.waitNext(0, int64(2*i+2))
		w.rollOver()
	}
	w.send(0, "end apple")
	w.waitNext(0, 2*rounds+1)
	if n := w.counted("apple"); n != rounds+1 {
		t.Errorf("counted %d, want %d", n, rounds+1)
	}
	// A record may come in a batch of its own, so there are up to three batches a round, one of which runs twice.
	if n := loads.Load(); n < 2*rounds || n > 3*rounds+2 {
		t.Errorf("%d batches were sent in %d rounds", n, rounds)
	}
	for _, slot := range []string{"inbox", "inbox_1", "inbox_2"} {
		if n := w.number(`select count(*) from inbox where tableoid = $1::regclass`, slot); n != 1 {
			t.Errorf("%s alone has %d rows, want 1", slot, n)
		}
	}
}

func TestTheInboxStaysBoundedThroughAYear(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.startDated()
	const weeks, events = 52, 400
	k := &keeper{pool: w.pool, rows: events, log: w.config().Log}
	var bound int64
	for week := range weeks {
		values := make([]string, events)
		for i := range values {
			values[i] = fmt.Sprintf("%d-%d apple %s", week, i, at(24*7*week-24*365))
		}
		w.send(0, values...)
		w.waitNext(0, int64(events*(week+1)))
		w.eventually("the week's generation is closed", func() bool {
			return k.turn(t.Context()) == nil && w.newestGeneration() == int64(week+2)
		})
		// Of rows and keys; a vacuum adds maps of them, when it comes.
		size := w.number(`select sum(pg_relation_size(c) + coalesce((
		  select sum(pg_relation_size(indexrelid)) from pg_index where indrelid = c), 0))
		from unnest(array['inbox', 'inbox_1', 'inbox_2', 'inbox_generations', 'inbox_memory',
		  'inbox_forgotten']::regclass[]) c`)
		if week == maxLive {
			bound = 2 * size // of two generations of 53
		}
		if bound > 0 && size > bound {
			t.Fatalf("the inbox takes %d bytes in week %d, want at most %d", size, week, bound)
		}
	}
	if n := w.counted("apple"); n != weeks*events {
		t.Errorf("counted %d, want %d", n, weeks*events)
	}
	if n := w.number(`select count(*) from inbox`); n != 2*events {
		t.Errorf("%d rows are left, want those of two weeks", n)
	}
}

func TestNoLookUpReadsAWholeSlot(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	conn, err := w.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	w.exec(fillSlots, 3000, w.topic)
	for _, analyzed := range []string{"select 1", "analyze inbox"} {
		w.exec(analyzed)
		for live, sql := range knownEvents {
			if live == 0 {
				continue
			}
			plan := planOf(t, conn.Conn(), fmt.Sprintf("known_%d", live), sql, 4)
			byKey := regexp.MustCompile(`Index Cond: \(\(tenant = .*event_id = .*source = `).FindAllString(plan, -1)
			if strings.Contains(plan, "Seq Scan") || len(byKey) != bits.OnesCount(uint(live)) {
				t.Errorf("slots %03b, %s:\n%s", live, analyzed, plan)
			}
		}
		for name, sql := range map[string]string{"memory": readMemory, "memory_serializable": readMemorySerializable} {
			if plan := planOf(t, conn.Conn(), name, sql, 0); strings.Contains(plan, "Seq Scan") {
				t.Errorf("%s:\n%s", name, plan)
			}
		}
	}
}

// planOf is the plan of sql as a batch gets it.
func planOf(t *testing.T, conn *pgx.Conn, name, sql string, parameters int) string {
	t.Helper()
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	call := "explain execute " + name
	if parameters > 0 {
		call += "(" + strings.Repeat(", null", parameters)[2:] + ")"
	}
	for _, statement := range []string{
		"deallocate all", "set local enable_seqscan = off", "set local plan_cache_mode = force_generic_plan",
		"prepare " + name + " as " + sql,
	} {
		if _, err := tx.Exec(t.Context(), statement, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := tx.Query(t.Context(), call, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

// fillSlots writes $1 rows, a third of them into each slot.
const fillSlots = `
with made as materialized (
  select 1::bigint as fingerprint, i::bigint as "offset", null::bigint as message_id, 0 as partition,
         1 as incarnation, 'applied'::inbox_outcome, 'x' as tenant, gen_random_uuid()::text as event_id,
         '' as source, $2 as topic
  from generate_series(1, $1::integer) i
), first as (
  insert into inbox select * from made where "offset" % 3 = 0
), second as (
  insert into inbox_1 select * from made where "offset" % 3 = 1
)
insert into inbox_2 select * from made where "offset" % 3 = 2`
