package floor

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

var (
	inboxColumns = []string{
		"tenant", "event_id", "source", "fingerprint", "outcome", "topic", "partition", "incarnation", "offset",
		"message_id",
	}
	movementColumns = []string{
		"tenant", "sku", "location", "version", "delta", "on_hand", "kind", "event_id", "event_source", "message_id",
	}
)

// copyRows writes what none but this writer does.
func (w *writer) copyRows(ctx context.Context, tx pgx.Tx) error {
	events := pgx.CopyFromSlice(len(w.batch), w.inboxRow)
	if _, err := tx.CopyFrom(ctx, pgx.Identifier{"inbox"}, inboxColumns, events); err != nil {
		return fmt.Errorf("copy into inbox: %w", err)
	}
	columns := movementColumns
	if len(w.settled) > 0 {
		columns = append(columns[:len(columns):len(columns)], "reserved")
	}
	movements := pgx.CopyFromSlice(len(w.movements), func(i int) ([]any, error) {
		return w.movements[i].values(len(columns)), nil
	})
	if _, err := tx.CopyFrom(ctx, pgx.Identifier{"movements"}, columns, movements); err != nil {
		return fmt.Errorf("copy into movements: %w", err)
	}
	if len(w.settled) == 0 {
		return nil
	}
	return w.writePromises(ctx, tx)
}

func (w *writer) inboxRow(i int) ([]any, error) {
	r := &w.batch[i]
	e := &r.event
	return []any{
		e.Tenant, e.ID, e.Source, e.Fingerprint, "applied", w.job.Topic, r.partition, int32(1), r.offset, r.message,
	}, nil
}

// values are those of the first n columns.
func (m *movement) values(n int) []any {
	var reserved *int64 // null = 0
	if m.reserved != 0 {
		reserved = &m.reserved
	}
	return []any{
		m.key.tenant, m.key.sku, m.key.location, m.version, m.delta, m.onHand, m.by.body.Kind.String(), m.by.event.ID,
		m.by.event.Source, m.id, reserved,
	}[:n]
}

// changeRows writes what others write too: stock, if it is shared, and the positions.
func (w *writer) changeRows(ctx context.Context, tx pgx.Tx) error {
	q := &pgx.Batch{}
	w.queueStock(q)
	w.queueOffsets(q)
	return tx.SendBatch(ctx, q).Close()
}
