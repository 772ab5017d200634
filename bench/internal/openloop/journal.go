package openloop

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// Journal notes when transactions commit, as a replica learns of it: the write-ahead log is sent to it as soon as it is
// on disk, and then the transaction's own client is answered. Which of the two is woken first is not said: a commit may
// be noted a moment before its client knows. Nobody is asked for anything meanwhile: one who looked at the positions
// every millisecond would take a tenth of two cores.
type Journal struct {
	replica  *pgconn.PgConn
	database *pgx.Conn
	topic    string
	scanner  *walScanner
	since    time.Time // when the server was last told that we are there

	received  atomic.Uint64        // how far the log has come here
	committed map[uint32]time.Time // by transaction; of Watch until it has returned
}

// NewJournal connects. Close is the caller's duty.
func NewJournal(ctx context.Context, databaseURL, topic string) (*Journal, error) {
	database, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return nil, fmt.Errorf("connect to Postgres: %w", err)
	}
	j := &Journal{database: database, topic: topic, committed: make(map[uint32]time.Time)}
	if err := j.replicate(ctx, databaseURL); err != nil {
		j.Close()
		return nil, fmt.Errorf("follow Postgres's log: %w", err)
	}
	return j, nil
}

func (j *Journal) replicate(ctx context.Context, databaseURL string) error {
	config, err := pgconn.ParseConfig(databaseURL)
	if err != nil {
		return err
	}
	config.RuntimeParams["replication"] = "true"
	if j.replica, err = pgconn.ConnectConfig(ctx, config); err != nil {
		return err
	}
	identity, err := j.replica.Exec(ctx, "IDENTIFY_SYSTEM").ReadAll()
	if err != nil {
		return err
	}
	position := string(identity[0].Rows[0][2])
	var high, low uint64
	if _, err := fmt.Sscanf(position, "%X/%X", &high, &low); err != nil {
		return fmt.Errorf("position %q: %w", position, err)
	}
	j.scanner, j.since = newWALScanner(high<<32|low), time.Now()
	j.received.Store(j.scanner.at)
	j.replica.Frontend().SendQuery(&pgproto3.Query{String: "START_REPLICATION PHYSICAL " + position})
	if err := j.replica.Frontend().Flush(); err != nil {
		return err
	}
	switch m, err := j.replica.ReceiveMessage(ctx); m := m.(type) {
	case *pgproto3.CopyBothResponse:
		return nil
	case *pgproto3.ErrorResponse:
		return pgconn.ErrorResponseToPgError(m)
	default:
		return fmt.Errorf("answered with %T: %w", m, err)
	}
}

// Kinds of what a server sends a replica, and of what that answers, with the lengths of what stands before the log in
// the first: where it begins and the server stands, and the time.
const (
	logPiece   = 'w'
	keepAlive  = 'k'
	status     = 'r'
	pieceHead  = 1 + 8 + 8 + 8
	askedAt    = 1 + 8 + 8 // in keepAlive: whether an answer is wanted
	statusSize = 1 + 8 + 8 + 8 + 8 + 1

	tellEvery     = 10 * time.Second // the server gives up after a minute
	catchUpWithin = 10 * time.Second
)

// Watch follows the log until ctx ends.
func (j *Journal) Watch(ctx context.Context) error {
	for {
		message, err := j.replica.ReceiveMessage(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("follow Postgres's log: %w", err)
		}
		now := time.Now()
		if refusal, ok := message.(*pgproto3.ErrorResponse); ok {
			return fmt.Errorf("follow Postgres's log: %w", pgconn.ErrorResponseToPgError(refusal))
		}
		piece, ok := message.(*pgproto3.CopyData)
		if !ok || len(piece.Data) == 0 {
			return fmt.Errorf("follow Postgres's log: it sent %T", message)
		}
		asked := false
		switch {
		case piece.Data[0] == logPiece && len(piece.Data) >= pieceHead:
			j.scanner.scan(piece.Data[pieceHead:], func(xid uint32) { j.committed[xid] = now })
			j.received.Store(j.scanner.received())
		case piece.Data[0] == keepAlive && len(piece.Data) > askedAt:
			asked = piece.Data[askedAt] == 1
		}
		if asked || now.Sub(j.since) > tellEvery {
			j.since = now
			if err := j.tell(now); err != nil && ctx.Err() == nil {
				return fmt.Errorf("follow Postgres's log: %w", err)
			}
		}
	}
}

// tell says how far the log has come here.
func (j *Journal) tell(now time.Time) error {
	b := append(make([]byte, 0, statusSize), status)
	for range 3 { // written, on disk, applied
		b = binary.BigEndian.AppendUint64(b, j.scanner.at)
	}
	epoch := time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC)
	b = binary.BigEndian.AppendUint64(b, uint64(now.Sub(epoch).Microseconds()))
	j.replica.Frontend().Send(&pgproto3.CopyData{Data: append(b, 0)})
	return j.replica.Frontend().Flush()
}

// Total is how many of the topic's records are committed, in partitions whose logs begin at 0.
func (j *Journal) Total(ctx context.Context) (n int64, err error) {
	const sum = `select coalesce(sum(next), 0)::bigint from offsets where topic = $1`
	err = j.database.QueryRow(ctx, sum, j.topic).Scan(&n)
	return n, err
}

// CatchUp returns when Watch has seen all that was committed before. It gives up after ten seconds.
func (j *Journal) CatchUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, catchUpWithin)
	defer cancel()
	const flushed = `select (pg_current_wal_flush_lsn() - '0/0')::bigint`
	var end int64
	if err := j.database.QueryRow(ctx, flushed).Scan(&end); err != nil {
		return err
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for j.received.Load() < uint64(end) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("Postgres's log has come as far as %d of %d: %w", j.received.Load(), end, ctx.Err())
		}
	}
	return nil
}

// Seen returns when records of the topic were committed, as far as they left something in the inbox, once Watch has
// returned; a record that left nothing there counts with the next one that did. It fails if a commit since NewJournal
// was not seen: see CatchUp.
func (j *Journal) Seen(ctx context.Context) (map[int32][]Seen, error) {
	// A row that was frozen keeps its xmin.
	rows, err := j.database.Query(ctx, `
select partition, max("offset") + 1, xmin::text::bigint from inbox where topic = $1
group by partition, xmin::text::bigint order by 1, 2`, j.topic)
	if err != nil {
		return nil, err
	}
	var partition int32
	var next, xid int64
	seen := make(map[int32][]Seen)
	_, err = pgx.ForEachRow(rows, []any{&partition, &next, &xid}, func() error {
		at, ok := j.committed[uint32(xid)]
		if !ok {
			return fmt.Errorf("the commit of transaction %d was not seen in Postgres's log", xid)
		}
		seen[partition] = append(seen[partition], Seen{at, next})
		return nil
	})
	return seen, err
}

// Close ends the connections, and with them Watch.
func (j *Journal) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), tellEvery)
	defer cancel()
	err := j.database.Close(ctx)
	if j.replica != nil {
		err = errors.Join(err, j.replica.Close(ctx))
	}
	return err
}
