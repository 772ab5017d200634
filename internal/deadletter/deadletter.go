// Package deadletter reads the records that were parked.
package deadletter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrNone says that there is no such dead letter.
var ErrNone = errors.New("no dead letter there")

// Summary is a dead letter without its bytes.
type Summary struct {
	Topic       string    `db:"topic" json:"topic"`
	Partition   int32     `db:"partition" json:"partition"`
	Incarnation int32     `db:"incarnation" json:"incarnation"`
	Offset      int64     `db:"offset" json:"offset"`
	Reason      string    `db:"reason" json:"reason"`
	Detail      string    `db:"detail" json:"detail"`
	ValueBytes  *int64    `db:"value_bytes" json:"value_bytes"` // nil = a tombstone
	ParkedAt    time.Time `db:"parked_at" json:"parked_at"`
}

// Letter is a whole dead letter.
type Letter struct {
	Summary
	ErrorPosition *int32     `db:"error_position"` // byte of the value at which reading stopped; nil = the whole record
	RecordTime    *time.Time `db:"record_time"`
	Key           []byte     `db:"key"`     // nil = no key
	Value         []byte     `db:"value"`   // nil = a tombstone
	Headers       [][]byte   `db:"headers"` // keys and values in turn; a nil value is null
}

// Filter narrows a list; zero values and nil let everything through.
type Filter struct {
	Topic     string
	Partition *int32
	Reason    string
	Limit     int // most letters returned
}

type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

const list = `
select topic, partition, incarnation, "offset", reason, detail, octet_length(value)::bigint as value_bytes, parked_at
from dead_letters
where ($1 = '' or topic = $1) and ($2::integer is null or partition = $2) and ($3 = '' or reason = $3)
order by parked_at desc, topic, partition, incarnation desc, "offset" desc
limit $4`

// List returns the letters that f lets through, newest first.
func List(ctx context.Context, db querier, f Filter) ([]Summary, error) {
	rows, err := db.Query(ctx, list, f.Topic, f.Partition, f.Reason, f.Limit)
	if err != nil {
		return nil, fmt.Errorf("list dead letters: %w", err)
	}
	letters, err := pgx.CollectRows(rows, pgx.RowToStructByName[Summary])
	if err != nil {
		return nil, fmt.Errorf("list dead letters: %w", err)
	}
	return letters, nil
}

const get = `
select topic, partition, incarnation, "offset", reason, detail, octet_length(value)::bigint as value_bytes, parked_at,
       error_position, record_time, key, value, headers
from dead_letters
where topic = $1 and partition = $2 and "offset" = $3 and ($4 = 0 or incarnation = $4)
order by incarnation desc
limit 1`

// Get returns one letter. Incarnation 0 means the newest that has one at offset. ErrNone if there is none.
func Get(ctx context.Context, db querier, topic string, partition int32, offset int64, incarnation int32,
) (Letter, error) {
	rows, err := db.Query(ctx, get, topic, partition, offset, incarnation)
	if err != nil {
		return Letter{}, fmt.Errorf("read dead letter: %w", err)
	}
	letter, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Letter])
	if errors.Is(err, pgx.ErrNoRows) {
		return Letter{}, ErrNone
	}
	if err != nil {
		return Letter{}, fmt.Errorf("read dead letter: %w", err)
	}
	return letter, nil
}
