package openloop

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"onhand/internal/testenv"
)

// follow connects a journal and a client to a database of the test's own.
func follow(t *testing.T, topic string) (*Journal, *pgx.Conn) {
	t.Helper()
	url := testenv.Database(t)
	j, err := NewJournal(t.Context(), url, topic)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close(context.Background())
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	return j, conn
}

// commit returns the id of a transaction that ran sql.
func commit(t *testing.T, conn *pgx.Conn, sql string, args ...any) (xid uint32) {
	t.Helper()
	err := pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), sql, args...); err != nil {
			return err
		}
		return tx.QueryRow(t.Context(), `select pg_current_xact_id()::xid`).Scan(&xid)
	})
	if err != nil {
		t.Fatal(err)
	}
	return xid
}

func TestACommitIsNotedWhenItIsOnDisk(t *testing.T) {
	t.Parallel()
	topic := "t-" + strings.ToLower(rand.Text()[:8])
	j, conn := follow(t, topic)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	watching := make(chan error, 1)
	go func() { watching <- j.Watch(ctx) }()
	const event = `
insert into inbox (fingerprint, "offset", partition, incarnation, outcome, tenant, event_id, source, topic)
select 1, n, 4, 1, 'applied', '', n::text, 'test', $1 from generate_series($2::int, $3::int) n`
	var before, caughtUp []time.Time
	for _, offsets := range [][2]int{{0, 2}, {3, 3}, {4, 9}} {
		before = append(before, time.Now())
		commit(t, conn, event, topic, offsets[0], offsets[1])
		if err := j.CatchUp(ctx); err != nil {
			t.Fatal(err)
		}
		caughtUp = append(caughtUp, time.Now())
	}
	commit(t, conn, `insert into offsets (topic, partition, start, next, applied) values ($1, 4, 0, 10, 10)`, topic)
	if n, err := j.Total(ctx); n != 10 || err != nil {
		t.Errorf("%d records, %v; want 10", n, err)
	}
	stop()
	if err := <-watching; err != nil {
		t.Fatal(err)
	}
	seen, err := j.Seen(t.Context())
	if err != nil || len(seen) != 1 || len(seen[4]) != 3 {
		t.Fatalf("saw %v, %v", seen, err)
	}
	for i, next := range []int64{3, 4, 10} {
		if s := seen[4][i]; s.Next != next || s.At.Before(before[i]) || s.At.After(caughtUp[i]) {
			t.Errorf("saw %+v, want %d between %v and %v", s, next, before[i], caughtUp[i])
		}
	}
}

func TestARecordWhoseCommitWasNotSeenIsAnError(t *testing.T) {
	t.Parallel()
	j, conn := follow(t, "topic") // and nobody watches
	commit(t, conn, `
insert into inbox (fingerprint, "offset", partition, incarnation, outcome, tenant, event_id, source, topic)
values (1, 0, 0, 1, 'applied', '', 'a', 'test', 'topic')`)
	if seen, err := j.Seen(t.Context()); err == nil {
		t.Errorf("no error, but %v", seen)
	}
}

func TestTheLogIsReadHoweverItArrives(t *testing.T) {
	t.Parallel()
	j, conn := follow(t, "")
	start := j.scanner.at
	commit(t, conn, `create table filler (b text)`)
	var want []uint32
	for i := range 400 { // of lengths that put their commits everywhere on a page
		want = append(want, commit(t, conn, `insert into filler values (repeat('x', $1::integer))`, i*37))
	}
	var middle uint64
	err := conn.QueryRow(t.Context(), `select (pg_current_wal_lsn() - '0/0')::bigint`).Scan(&middle)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 400 {
		want = append(want, commit(t, conn, `insert into filler values (repeat('x', $1::integer))`, i*37))
	}
	rolledBack := uint32(0)
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := tx.QueryRow(t.Context(), `select pg_current_xact_id()::xid`).Scan(&rolledBack); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `insert into filler values ('y')`); err != nil {
		t.Fatal(err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), `select pg_switch_wal()`); err != nil { // leaves a segment before it is full
		t.Fatal(err)
	}
	last := commit(t, conn, `insert into filler values ('z')`)
	want = append(want, last)

	var all []byte
	whole := newWALScanner(start)
	var found []uint32
	for ctx := t.Context(); !slices.Contains(found, last); {
		m, err := j.replica.ReceiveMessage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if d, ok := m.(*pgproto3.CopyData); ok && d.Data[0] == logPiece {
			all = append(all, d.Data[pieceHead:]...)
			whole.scan(d.Data[pieceHead:], func(xid uint32) { found = append(found, xid) })
		}
	}
	if slices.Contains(found, rolledBack) {
		t.Error("a transaction that was rolled back is found committed")
	}
	for _, xid := range want {
		if !slices.Contains(found, xid) {
			t.Errorf("transaction %d of %d to %d is not found", xid, want[0], last)
		}
	}
	busy := all[:middle-start] // what follows ends with a segment that was left early: megabytes of nothing
	var firstHalf []uint32
	newWALScanner(start).scan(busy, func(xid uint32) { firstHalf = append(firstHalf, xid) })
	if n := len(firstHalf); n < 400 || !slices.Equal(firstHalf, found[:n]) {
		t.Errorf("%d transactions in the first half", n)
	}
	for _, size := range []int{1, 23, 8191} {
		var again []uint32
		pieces := newWALScanner(start)
		for piece := range slices.Chunk(busy, size) {
			pieces.scan(piece, func(xid uint32) { again = append(again, xid) })
		}
		if !slices.Equal(again, firstHalf) {
			t.Errorf("in pieces of %d bytes: %d transactions, want %d", size, len(again), len(firstHalf))
		}
	}
	// From a page in the middle of a record on, too.
	var tail []uint32
	skipped := middle/walPage*walPage - start
	newWALScanner(start+skipped).scan(all[skipped:], func(xid uint32) { tail = append(tail, xid) })
	if n := len(tail); n == 0 || n >= len(found) || !slices.Equal(tail, found[len(found)-n:]) {
		t.Errorf("from a later page on: %d of %d transactions", n, len(found))
	}
}
