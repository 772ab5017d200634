package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// AsideCount says how many messages of a topic are set aside for one reason, and what is to become of them.
type AsideCount struct {
	Topic    string    `json:"topic"`
	Reason   string    `json:"reason"`
	State    string    `json:"state"` // waiting, retry or dropped
	Messages int64     `json:"messages"`
	Since    time.Time `json:"since"` // when the first of them was set aside
}

const selectAsideCounts = `
select topic, reason, state, count(*), min(aside_at) from outbox_aside group by 1, 2, 3 order by 1, 2, 3`

// CountAsides counts the messages that are set aside.
func CountAsides(ctx context.Context, q querier) ([]AsideCount, error) {
	rows, err := q.Query(ctx, selectAsideCounts)
	if err != nil {
		return nil, fmt.Errorf("count the messages that are set aside: %w", err)
	}
	counts, err := pgx.CollectRows(rows, pgx.RowToStructByPos[AsideCount])
	if err != nil {
		return nil, fmt.Errorf("count the messages that are set aside: %w", err)
	}
	return counts, nil
}

// Aside is a message that is set aside.
type Aside struct {
	ID       int64
	Topic    string
	Key      []byte // nil = none
	EventID  string
	Bytes    int64 // of key and payload
	Reason   string
	Detail   string
	State    string
	Attempts int32
	Since    time.Time
}

const asideColumns = `
id, topic, key, event_id, coalesce(length(key), 0) + coalesce(length(payload), 0), reason, detail, state, attempts,
aside_at`

const selectAsides = `select ` + asideColumns + ` from outbox_aside order by id limit $1`

// ListAsides returns the first messages that are set aside, in the order in which they would have left.
func ListAsides(ctx context.Context, q querier, most int) ([]Aside, error) {
	rows, err := q.Query(ctx, selectAsides, most)
	if err != nil {
		return nil, fmt.Errorf("list the messages that are set aside: %w", err)
	}
	return collectAsides(rows)
}

func collectAsides(rows pgx.Rows) ([]Aside, error) {
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Aside])
	if err != nil {
		return nil, fmt.Errorf("list the messages that are set aside: %w", err)
	}
	return list, nil
}
