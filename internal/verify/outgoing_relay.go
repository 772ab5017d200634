package verify

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
)

// relay is what the database says of the messages that have left.
type relay struct {
	done         int64 // messages up to this id are in Kafka for sure, or set aside
	halt         string
	topic        string
	installation uuid.UUID // zero = there is none yet, so nothing can have left
	aside        []int64   // set aside at that moment
}

const selectRelay = `
select r.done, coalesce(r.halt_reason, ''), coalesce(i.outbox_topic, 'inventory.changes'), i.id,
       array(select id from outbox_aside)
from outbox_relay r
left join installation i on true`

func readRelay(ctx context.Context, pool *pgxpool.Pool) (relay, error) {
	var r relay
	var id *uuid.UUID
	if err := pool.QueryRow(ctx, selectRelay).Scan(&r.done, &r.halt, &r.topic, &id, &r.aside); err != nil {
		return r, fmt.Errorf("ask how far messages have left: %w", err)
	}
	if id != nil {
		r.installation = *id
	}
	return r, nil
}

// sourceOf is what messages of the installation with id say of where they are from.
func sourceOf(id string) string { return "urn:uuid:" + id }
