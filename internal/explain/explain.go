// Package explain finds what became of an event or a record, and what made a row of stock what it is.
//
// The ledger has no index by event, and needs none: an applied event's inbox row names the message of its first
// movement, and messages are indexed. So every question is a few ranges of indexes, whatever the tables hold; only a
// search among dead letters reads values, and is bounded.
package explain

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Database is a pool or a connection.
type Database interface {
	BeginTx(ctx context.Context, options pgx.TxOptions) (pgx.Tx, error)
}

// Statistics that are old or missing make a small table of one that has grown: what is asked here is never worth a
// scan. The price of a scan that nothing can replace would make the planner compile the statement, which takes longer
// than running it.
const byIndex = `select set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true)`

// Read runs fn in a transaction that sees one moment: movements are moved to the archive while they are looked for.
func Read(ctx context.Context, db Database, fn func(tx pgx.Tx) error) error {
	tx, err := db.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return fmt.Errorf("begin to look: %w", err)
	}
	// Nothing was written: how the transaction ends changes nothing.
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if _, err := tx.Exec(ctx, byIndex); err != nil {
		return fmt.Errorf("begin to look: %w", err)
	}
	return fn(tx)
}

// Identity is who an event is.
type Identity struct {
	Tenant  string `db:"tenant" json:"tenant"`
	EventID string `db:"event_id" json:"event_id"`
	Source  string `db:"source" json:"source"`
}

// Position is where in the log a record stood.
type Position struct {
	Topic       string `db:"topic" json:"topic"`
	Partition   int32  `db:"partition" json:"partition"`
	Incarnation int32  `db:"incarnation" json:"incarnation"`
	Offset      int64  `db:"offset" json:"offset"`
}

func (p Position) String() string {
	return fmt.Sprintf("%s/%d offset %d (incarnation %d)", p.Topic, p.Partition, p.Offset, p.Incarnation)
}
