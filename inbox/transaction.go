package inbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"onhand/internal/pgbatch"
	"onhand/offsets"
)

// transaction applies one batch in two round trips, whatever its size: the first begins, locks and reads; the second
// writes and commits. Nothing is sent in between but what a Handler of the simple form does. Only a batch that follows
// another one has a third, see Follower.
type transaction struct {
	conn      *pgxpool.Conn
	batch     *batch
	isolation pgx.TxIsoLevel
	timeouts  Timeouts
	picture   picture // what the statements are sent for

	server time.Time // when it was started: another one that has taken over may lack commits

	ahead    *turn    // of the batch that is followed; nil = none is
	follower Follower // who follows it
	letGo    func()   // of what it has promised

	found     picture // what there is
	known     map[*work]int64
	begun     bool
	committed bool // the server said COMMIT
	sent      bool // the commit was sent
	unknown   bool // ... and no answer came: its fate must be asked for
}

// The planner's settings, the timeouts, the transaction id and the shared lock on the inbox's generation, in one
// statement: they are evaluated from left to right, so the lock is waited for under the timeout. The id is drawn before
// any lock that orders outbox messages: the relay's safe horizon rests on that.
//
// Every statement of a batch looks rows up by key. A plan that was made while a table was small would scan it, be kept
// with the connection, and go on scanning when the table has millions of rows: statistics come minutes late.
const prelude = `
select set_config('enable_seqscan', 'off', true), set_config('plan_cache_mode', 'force_generic_plan', true),
       set_config('lock_timeout', $1, true), set_config('statement_timeout', $2, true),
       set_config('idle_in_transaction_session_timeout', $2, true), pg_current_xact_id()::text,
       ` + offsets.LockGeneration + `,
       pg_postmaster_start_time()`

// first is round trip one. Its statements lock in the order that all batches keep: generation, offsets, then whatever
// the handler locks. The inbox is read last: under read committed that statement sees everything that was committed
// before our locks were granted, so an event that another batch applied meanwhile is simply known.
//
// lineUp is called before anything is sent, with what there is for the handler.
func (t *transaction) first(ctx context.Context, h BatchHandler, lineUp func([]*Item) error) error {
	events := t.batch.events()
	keeper, _ := h.(Timekeeper)
	clocks := t.batch.clocks(keeper)
	is, writes := items(events), len(events)+len(clocks) > 0 // into the inbox, perhaps
	if writes || t.batch.behind() != nil {
		if err := lineUp(is); err != nil {
			return err
		}
	}
	q := &pgx.Batch{}
	q.Queue("begin isolation level " + string(t.isolation))
	entered := false
	q.Queue(prelude, milliseconds(t.timeouts.Lock), milliseconds(t.timeouts.Statement)).QueryRow(func(row pgx.Row) error {
		err := row.Scan(nil, nil, nil, nil, nil, nil, nil, &t.server)
		entered = err == nil
		return err
	})
	if p := t.batch.behind(); p == nil || !p.deferred {
		offsets.Lock(q, t.batch.expected(), func(i int, l offsets.Locked) { t.batch.parts[i].locked = &l })
	}
	if len(clocks) > 0 {
		keeper.LoadDue(q, clocks)
	}
	if writes {
		if h != nil {
			h.Load(q, is, t.batch.locks())
		}
		t.readMemory(q)
	}
	if len(events) > 0 {
		t.readKnown(q, events)
	}
	t.begun = true
	if err := pgbatch.Send(ctx, t.conn.Conn(), q).Close(); err != nil {
		if !entered && sqlstate(err) == lockNotAvailable {
			return fmt.Errorf("%w: %w", errRollover, err)
		}
		return err
	}
	if t.ahead != nil && !t.server.Equal(t.ahead.promise.server) {
		return errServer
	}
	if writes && t.found != t.picture {
		return errPicture
	}
	return nil
}

func items(works []*work) []*Item {
	is := make([]*Item, len(works))
	for i, w := range works {
		is[i] = &w.item
	}
	return is
}

func (t *transaction) readKnown(q *pgx.Batch, events []*work) {
	tenants, ids, sources := make([]string, len(events)), make([]string, len(events)), make([]string, len(events))
	for i, w := range events {
		tenants[i], ids[i], sources[i] = w.item.Tenant, w.item.ID, w.item.Source
	}
	t.known = make(map[*work]int64)
	q.Queue(knownEvents[t.picture.live], tenants, ids, sources, len(events)).Query(func(rows pgx.Rows) error {
		var ord int32
		var fingerprint int64
		_, err := pgx.ForEachRow(rows, []any{&ord, &fingerprint}, func() error {
			t.known[events[ord]] = fingerprint
			return nil
		})
		return err
	})
}

// second is round trip two: the handler's writes, then the inbox, dead letters and positions, then the commit, sent as
// one, or as two where the batch ahead has to be waited for. ctx must not be one that a shutdown cancels: a commit cut
// off half way has an unknown fate.
func (t *transaction) second(ctx context.Context, h BatchHandler, fresh []*work, decided func()) error {
	q := &pgx.Batch{}
	applies := h != nil && (len(fresh) > 0 || t.batch.passes())
	if applies {
		if err := h.Apply(q, items(fresh)); err != nil {
			return &handlerError{err}
		}
	}
	t.batch.countRejections()
	t.writeInbox(q, append(t.batch.made(), fresh...))
	t.writeDeadLetters(q)
	if applies {
		decided()
	}
	if t.ahead != nil {
		t.letGo()
		if q.Len() > 0 {
			if err := pgbatch.Send(ctx, t.conn.Conn(), q).Close(); err != nil {
				return err
			}
		}
		var err error
		if q, err = t.confirm(ctx, applies); err != nil {
			return err
		}
	}
	var steps []offsets.Advance
	for _, p := range t.batch.parts {
		if p.moves() {
			p.decided.Made = int64(p.made())
			steps = append(steps, p.decided)
		}
	}
	offsets.Queue(q, steps)
	q.Queue("commit").Exec(func(tag pgconn.CommandTag) error {
		// A transaction that failed before answers ROLLBACK, without an error.
		if tag.String() != "COMMIT" {
			return fmt.Errorf("commit answered %s", tag)
		}
		t.committed = true
		return nil
	})
	t.sent = true
	return pgbatch.Send(ctx, t.conn.Conn(), q).Close()
}

// writeInbox inserts in the order of the key: two batches that hold the same new identities wait for each other in one
// direction only.
func (t *transaction) writeInbox(q *pgx.Batch, decided []*work) {
	n := len(decided)
	if n == 0 {
		return
	}
	incarnation := make(map[offsets.TopicPartition]int32, len(t.batch.parts))
	for _, p := range t.batch.parts {
		if p.locked != nil {
			incarnation[p.claim.TopicPartition] = p.locked.Incarnation
		}
	}
	sorted := slices.Clone(decided)
	slices.SortFunc(sorted, compareIdentity)
	tenants, ids, sources, topics := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	fingerprints, at := make([]int64, n), make([]int64, n)
	// None: an array that is shorter than the others goes on with nulls.
	var reasons []*string
	var effects []int64
	partitions, incarnations := make([]int32, n), make([]int32, n)
	for i, w := range sorted {
		r := &w.record
		tenants[i], ids[i], sources[i], fingerprints[i] = w.item.Tenant, w.item.ID, w.item.Source, w.item.Fingerprint
		if w.item.rejected != "" {
			if reasons == nil {
				reasons = make([]*string, n)
			}
			reasons[i] = &w.item.rejected
		}
		if w.item.Effect != 0 {
			if effects == nil {
				effects = make([]int64, n)
			}
			effects[i] = w.item.Effect
		}
		topics[i], partitions[i], at[i] = r.Topic, r.Partition, r.Offset
		incarnations[i] = incarnation[offsets.TopicPartition{Topic: r.Topic, Partition: r.Partition}]
	}
	q.Queue(insertInbox[t.picture.open],
		tenants, ids, sources, fingerprints, reasons, topics, partitions, incarnations, at, effects)
}

// abandon ends a transaction that was not committed. A connection that cannot even roll back is closed: the server
// rolls back when it notices.
func (t *transaction) abandon(ctx context.Context) {
	if !t.begun || t.committed || t.conn.Conn().IsClosed() {
		return
	}
	if t.conn.Conn().PgConn().TxStatus() == 'I' {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.timeouts.Statement)
	defer cancel()
	if _, err := t.conn.Exec(ctx, "rollback"); err != nil {
		_ = t.conn.Conn().Close(ctx)
	}
}

// handlerError is an error of the handler's own, not of the database.
type handlerError struct{ err error }

func (e *handlerError) Error() string { return "handler: " + e.err.Error() }
func (e *handlerError) Unwrap() error { return e.err }

// unknownFate reports whether err leaves open if the batch was committed: the commit was sent, and no answer to it
// came, nor an error that rules it out.
func (t *transaction) unknownFate(err error) bool {
	if err == nil || !t.sent || t.committed {
		return false
	}
	var pg *pgconn.PgError
	return !errors.As(err, &pg) || t.conn.Conn().IsClosed()
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) + "ms" }
