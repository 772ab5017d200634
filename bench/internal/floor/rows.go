package floor

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// write sends the batch's rows and everything they change.
func (w *writer) write(ctx context.Context, tx pgx.Tx) error {
	for _, table := range []struct {
		name    string
		columns []string
		row     func(i int) ([]any, error)
	}{
		{"inbox", []string{
			"tenant", "event_id", "source", "fingerprint", "outcome", "topic", "partition", "incarnation", "offset",
		}, w.inboxRow},
		{"movements", []string{
			"tenant", "sku", "location", "version", "delta", "on_hand", "kind", "event_id", "event_source",
			"message_id",
		}, w.movementRow},
	} {
		source := pgx.CopyFromSlice(len(w.batch), table.row)
		if _, err := tx.CopyFrom(ctx, pgx.Identifier{table.name}, table.columns, source); err != nil {
			return fmt.Errorf("copy into %s: %w", table.name, err)
		}
	}
	q := &pgx.Batch{}
	w.queueStock(q)
	w.queueOffsets(q)
	return tx.SendBatch(ctx, q).Close()
}

func (w *writer) inboxRow(i int) ([]any, error) {
	r := &w.batch[i]
	e := &r.event
	return []any{e.Tenant, e.ID, e.Source, e.Fingerprint, "applied", w.job.Topic, r.partition, int32(1), r.offset}, nil
}

func (w *writer) movementRow(i int) ([]any, error) {
	r, m := &w.batch[i], &w.movements[i]
	return []any{
		r.event.Tenant, r.body.Lines[0].SKU, r.body.Lines[0].Location, m.version, m.delta, m.onHand, r.body.Kind.String(),
		r.event.ID, r.event.Source, m.id,
	}, nil
}
