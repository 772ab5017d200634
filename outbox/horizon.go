package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// horizon finds the id up to which every message is committed or will never be (see the package comment). It may be
// remembered: once true it stays true, on this database. A session starts with a new one.
type horizon struct {
	samples []sample // oldest first, both fields ascending
	safe    int64    // every id up to here is final
}

// sample says: who draws an id above last, or begins to run under a transaction id from xid on, came later.
type sample struct {
	last int64  // the highest id that was drawn, or may have been
	xid  uint64 // drawn after last was read
	at   time.Time
}

// maxSamples bounds what is waited for at the same time. When it is reached the newest one is replaced.
const maxSamples = 64

// The function reads the sequence under its lock, which a plain select of last_value does not: while another backend
// writes the sequence to the log, as it does once in 32 numbers, the row says for a moment that those 32 are drawn. Who
// draws them then would come later with an id below what was taken for the last one, and be passed over.
const (
	lastDrawn = `select coalesce(pg_sequence_last_value('outbox_id'::regclass) + $1, 0)`
	ownXID    = `select pg_current_xact_id()::text::bigint`
	xmin      = `select pg_snapshot_xmin(pg_current_snapshot())::text::bigint`
)

// look asks the database how far it is. It draws a transaction id only when ids were drawn since the last look, so that
// an idle relay uses none up.
//
// The statements stand in this order for a reason: an id that is drawn after lastDrawn was read is above it, and a
// transaction that drew one before has an id of its own that is below ours.
func (h *horizon) look(ctx context.Context, q querier) error {
	last, err := drawn(ctx, q)
	if err != nil {
		return err
	}
	newest := h.safe
	if n := len(h.samples); n > 0 {
		newest = h.samples[n-1].last
	}
	var xid, running int64
	b := &pgx.Batch{}
	if last > newest {
		b.Queue(ownXID).QueryRow(func(row pgx.Row) error { return row.Scan(&xid) })
	}
	if last > h.safe {
		b.Queue(xmin).QueryRow(func(row pgx.Row) error { return row.Scan(&running) })
	}
	if b.Len() == 0 {
		return nil
	}
	if err := q.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("find the safe horizon: %w", err)
	}
	if xid > 0 {
		h.note(sample{last, uint64(xid), time.Now()})
	}
	h.advance(uint64(running))
	return nil
}

// drawn is the highest id that was drawn, or may have been: all of a block.
func drawn(ctx context.Context, q querier) (last int64, err error) {
	if err := q.QueryRow(ctx, lastDrawn, blockSize-1).Scan(&last); err != nil {
		return 0, fmt.Errorf("read the last id that was drawn: %w", err)
	}
	return last, nil
}

func (h *horizon) note(s sample) {
	if len(h.samples) == maxSamples {
		h.samples[maxSamples-1] = s
		return
	}
	h.samples = append(h.samples, s)
}

// advance takes in that no transaction below running runs any more.
func (h *horizon) advance(running uint64) {
	n := 0
	for n < len(h.samples) && h.samples[n].xid <= running {
		h.safe = h.samples[n].last
		n++
	}
	h.samples = h.samples[:copy(h.samples, h.samples[n:])]
}

// waiting is the oldest sample that a transaction still holds up.
func (h *horizon) waiting() (s sample, ok bool) {
	if len(h.samples) == 0 {
		return sample{}, false
	}
	return h.samples[0], true
}

// querier is a connection or a pool.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}
