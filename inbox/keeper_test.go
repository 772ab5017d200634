package inbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rs/zerolog"

	"onhand/internal/kafkalog"
	"onhand/offsets"
)

// fillGenerations opens as many generations as there may be, each with an event of partition 0, up to at(maxLive).
func (w *world) fillGenerations() {
	w.t.Helper()
	for i := range maxLive {
		if i > 0 {
			w.rollOver()
		}
		before := w.next(0)
		w.send(0, fmt.Sprintf("g%d apple %s", i, at(i+1)))
		w.waitNext(0, before+1)
	}
}

// memory is what people see of it.
func (w *world) memory() *Memory {
	w.t.Helper()
	m, err := ReadMemory(w.t.Context(), w.pool)
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

// keep runs the keeper's turns until the newest generation is the given one.
func (w *world) keep(k *keeper, generation int64) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("generation %d is open", generation), func() bool {
		if err := k.turn(w.t.Context()); err != nil {
			k.held(w.t.Context(), err)
		}
		return w.newestGeneration() == generation
	})
}

func TestAHaltedPartitionHoldsTheDropUntilItHasCaughtUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	w.startDated()
	withReader(t, w.brokers, func(r *kafkalog.Reader) {
		k := &keeper{pool: w.pool, rows: 1, log: w.config().Log, topics: []string{w.topic}, ranges: r.Ranges}
		w.send(1, "first pear "+at(0))
		w.waitNext(1, 1)
		w.exec(`update offsets set halt_reason = 'parked_storm', halt_detail = '', halted_at = now(), token = null
		  where partition = 1`)
		backlog := make([]string, 300)
		for i := range backlog {
			backlog[i] = fmt.Sprintf("b%d pear %s", i, at(0))
		}
		w.send(1, backlog...)
		w.fillGenerations()
		for range 3 {
			err := k.turn(t.Context())
			if !errors.Is(err, errBehind) {
				t.Fatalf("%v, want that a partition is behind", err)
			}
			k.held(t.Context(), err)
		}
		m := w.memory()
		if m.WaitingSince == nil || m.WaitingFor == nil || len(m.Generations) != maxLive {
			t.Fatalf("%+v", m)
		}
		says := *m.WaitingFor
		if !strings.Contains(says, w.topic+"/1 (parked_storm) is") || !strings.Contains(says, "onhand offsets") {
			t.Errorf("it waits for %q", says)
		}
		before := w.next(0)
		w.send(0, "others apple "+at(9))
		w.waitNext(0, before+1)

		w.resume(1, 1)
		w.keep(k, maxLive+1)
		if n, parked := w.counted("pear"), w.parkedAs("beyond_memory"); n != 301 || parked != 0 {
			t.Errorf("counted %d and parked %d, want 301 and 0", n, parked)
		}
		if m := w.memory(); m.WaitingFor != nil || m.DroppedRows != 2 {
			t.Errorf("%+v", m)
		}
	})
}

func TestAHistoryThatIsYetToBeReadHoldsTheDrop(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3)
	cfg := w.config()
	cfg.Decoder, cfg.DedupeRows = dated{}, -1
	_, stop := w.start(cfg)
	w.waitNext(0, 0)
	w.fillGenerations()
	stop()
	w.send(1, "old pear "+at(0), "older pear "+at(-1)) // partition 2 stays empty, and holds up nothing
	withReader(t, w.brokers, func(r *kafkalog.Reader) {
		k := &keeper{pool: w.pool, rows: 1, log: cfg.Log, topics: cfg.Topics, ranges: r.Ranges}
		err := k.turn(t.Context())
		if !errors.Is(err, errBehind) || !strings.Contains(err.Error(), w.topic+"/1 has") {
			t.Fatalf("%v, want that partition 1 is behind", err)
		}
		w.start(cfg)
		w.keep(k, maxLive+1)
		if n, parked := w.counted("pear"), w.parkedAs("beyond_memory"); n != 2 || parked != 0 {
			t.Errorf("counted %d and parked %d, want 2 and 0", n, parked)
		}
	})
}

// overlap keeps the generation's lock taken as batches do that are long: one begins, and 300 ms later the one before it
// ends.
func (w *world) overlap(ctx context.Context) error {
	begin := func() (*pgxpool.Conn, error) {
		conn, err := w.pool.Acquire(ctx)
		if err != nil {
			return nil, err
		}
		if _, err := conn.Exec(ctx, "begin"); err != nil {
			conn.Release()
			return nil, err
		}
		return conn, nil
	}
	last, err := begin()
	if err != nil {
		return err
	}
	for err == nil {
		var next *pgxpool.Conn
		if next, err = begin(); err != nil {
			break
		}
		entered := make(chan error, 1)
		go func() {
			_, err := next.Exec(ctx, "select "+offsets.LockGeneration)
			entered <- err
		}()
		_, err = last.Exec(ctx, "select pg_sleep(0.3)")
		if err == nil {
			_, err = last.Exec(ctx, "rollback")
		}
		err = errors.Join(err, <-entered)
		last.Release()
		last = next
	}
	last.Release()
	return err
}

func TestBatchesThatAreLongDoNotKeepARolloverFromItsTurn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.startDated()
	w.send(0, "1 apple")
	w.waitNext(0, 1)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.overlap(ctx) }()
	w.eventually("batches are under way", func() bool {
		return w.number(`select count(*) from pg_stat_activity where query = 'select pg_sleep(0.3)'
		  and state = 'active' and datname = current_database()`) > 0
	})
	w.keep(&keeper{pool: w.pool, rows: 1, log: w.config().Log}, 2)
	w.send(0, "2 apple")
	w.waitNext(0, 2)
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// written is a log that may be read while it is written.
type written struct {
	mu sync.Mutex
	bytes.Buffer
}

func (w *written) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.Buffer.Write(b)
}

func (w *written) says(s string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Contains(w.String(), s)
}

func TestABatchThatWaitsForARolloverIsRunAgainAsItWas(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.pool = w.named("waits-" + w.group)
	log := &written{}
	cfg := w.config()
	cfg.DedupeRows, cfg.Lanes, cfg.Log = -1, 1, zerolog.New(log)
	w.start(cfg)
	w.send(0, "1 apple")
	w.waitNext(0, 1)
	tx, err := w.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	if _, err := tx.Exec(t.Context(), `select `+offsets.LockGenerationAlone); err != nil {
		t.Fatal(err)
	}
	w.send(0, numbered("many", 20, "apple")...)
	waiters := map[int64]bool{}
	w.eventually("it has given up more than once", func() bool {
		waiters[w.number(`select a.backend_xid::text::bigint from pg_stat_activity a join pg_locks l using (pid)
		  where l.locktype = 'advisory' and not l.granted and a.application_name = $1 and a.backend_xid is not null`,
			w.pool.Config().ConnConfig.RuntimeParams["application_name"])] = true
		return len(waiters) > 3
	})
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.waitNext(0, 21)
	if log.says("rolled back") {
		t.Error("it was taken for a batch that met a row of somebody else's")
	}
}

func TestWhatARolloverMeetsItselfIsSaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	for _, c := range []struct {
		cause error
		said  bool
	}{
		{context.DeadlineExceeded, true},
		{&pgconn.PgError{Code: "57014"}, true},
		{&pgconn.PgError{Code: "25P03"}, true},
		{fmt.Errorf("%w: partition x/1", errBehind), true},
		{&pgconn.PgError{Code: "57P01"}, false},
		{errors.New("connection refused"), false},
	} {
		log := &written{}
		k := &keeper{pool: w.pool, rows: 1, log: zerolog.New(log)}
		k.held(t.Context(), c.cause)
		k.said = time.Now().Add(-2 * reminderPeriod)
		k.held(t.Context(), c.cause)
		if m := w.memory(); log.says(`"level":"warn"`) != c.said || (m.WaitingFor != nil) != c.said {
			t.Errorf("%v: %s%+v", c.cause, log, m)
		}
		// Nothing is due any more: nothing is waited for.
		if err := k.turn(t.Context()); err != nil {
			t.Fatal(err)
		}
		if m := w.memory(); m.WaitingFor != nil || m.WaitingSince != nil {
			t.Errorf("it waits for %q still", *m.WaitingFor)
		}
	}
}

func TestABoundThatIsSwitchedOffIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	k := &keeper{pool: w.pool, log: w.config().Log}
	k.held(t.Context(), errBehind)
	k.run(t.Context(), time.Hour)
	if m := w.memory(); m.WaitingFor != nil || m.WaitingSince != nil {
		t.Errorf("it waits for %q still", *m.WaitingFor)
	}
}
