package offsets

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Row is a partition's whole row, as people look at it. A null is nil.
type Row struct {
	Topic       string     `db:"topic" json:"topic"`
	Partition   int32      `db:"partition" json:"partition"`
	Incarnation int32      `db:"incarnation" json:"incarnation"`
	TopicID     *uuid.UUID `db:"topic_id" json:"topic_id"`
	Start       int64      `db:"start" json:"start"`
	Next        int64      `db:"next" json:"next"`
	Applied     int64      `db:"applied" json:"applied"`
	Rejected    int64      `db:"rejected" json:"rejected"`
	Duplicate   int64      `db:"duplicate" json:"duplicate"`
	Parked      int64      `db:"parked" json:"parked"`
	Ignored     int64      `db:"ignored" json:"ignored"`
	Skipped     int64      `db:"skipped" json:"skipped"`
	Jumped      int64      `db:"jumped" json:"jumped"`
	Token       *uuid.UUID `db:"token" json:"token"`
	Owner       *string    `db:"owner" json:"owner"`
	ClaimedAt   *time.Time `db:"claimed_at" json:"claimed_at"`
	HaltReason  *string    `db:"halt_reason" json:"halt_reason"`
	HaltDetail  *string    `db:"halt_detail" json:"halt_detail"`
	HaltedAt    *time.Time `db:"halted_at" json:"halted_at"`
	LastHash    *int64     `db:"last_hash" json:"last_hash,string"`
	Recent      []byte     `db:"recent" json:"-"`
	Remembered  int64      `db:"remembered" json:"remembered"`
	Timeless    int64      `db:"timeless" json:"timeless"`
	NewestEvent *time.Time `db:"newest_event" json:"newest_event"`
	UpdatedAt   time.Time  `db:"updated_at" json:"updated_at"`
}

// Name is the row's partition.
func (r Row) Name() TopicPartition { return TopicPartition{Topic: r.Topic, Partition: r.Partition} }

// Halted says whether the partition stands still until an operator lets it go on.
func (r Row) Halted() bool { return r.HaltReason != nil }

// Storm is what the storm guard remembers of the latest records: how many it has seen, and how many of those were
// parked.
func (r Row) Storm() (seen, parked int) {
	var w Window
	if w.UnmarshalBinary(r.Recent) != nil {
		return 0, 0
	}
	return w.Seen(), w.Parked()
}

const selectRows = `
select topic, partition, incarnation, topic_id, start, next, applied, rejected, duplicate, parked, ignored, skipped,
       jumped, token, owner, claimed_at, halt_reason, halt_detail, halted_at, last_hash, recent, remembered,
       timeless, newest_event, updated_at
from offsets`

const selectAll = selectRows + `
order by topic, partition`

// List returns every row, by topic and partition, without locking any.
func List(ctx context.Context, db querier) ([]Row, error) {
	rows, err := db.Query(ctx, selectAll)
	if err != nil {
		return nil, fmt.Errorf("list offsets: %w", err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[Row])
	if err != nil {
		return nil, fmt.Errorf("list offsets: %w", err)
	}
	return all, nil
}
