package verify

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// closeTimeout bounds the rollback that ends a snapshot; a connection that does not take it is closed.
const closeTimeout = 5 * time.Second

// snapshot is one moment of the database: a transaction that sees what was committed before its first statement, and
// nothing after.
type snapshot struct {
	tx pgx.Tx
}

// The server's own timeouts are for clients that serve somebody: here the transaction is idle while the log is read,
// and a statement may go over whole tables. Cursors are read to their end, which the planner should know. The memory is
// for a sort and a few hash tables at a time; what does not fit goes to the server's disk.
const settle = `
select set_config('statement_timeout', '0', true), set_config('idle_in_transaction_session_timeout', '0', true),
       set_config('cursor_tuple_fraction', '1', true), set_config('work_mem', '32MB', true),
       set_config('jit', 'off', true)`

// A generation of the inbox that is dropped takes its rows out of older snapshots too. The lock comes before the
// snapshot, and keeps what it sees from being dropped.
const keepInbox = `lock table inbox in access share mode`

func takeSnapshot(ctx context.Context, pool *pgxpool.Pool, withInbox bool) (*snapshot, error) {
	tx, err := pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, err
	}
	s := &snapshot{tx: tx}
	statements := []string{settle}
	if withInbox {
		statements = []string{keepInbox, settle}
	}
	for _, sql := range statements {
		if _, err := tx.Exec(ctx, sql); err != nil {
			s.close()
			return nil, err
		}
	}
	return s, nil
}

func (s *snapshot) close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	_ = s.tx.Rollback(ctx) // it has written nothing
}

// cursor reads the rows of a declared cursor in order, fetchRows at a time, so that several can be read side by side in
// one transaction.
type cursor[T any] struct {
	tx    pgx.Tx
	fetch string
	rows  []T
	ended bool
}

// fetchRows is also the number in the fetch statements.
const fetchRows = 2000

func openCursor[T any](ctx context.Context, s *snapshot, declare, fetch string) (*cursor[T], error) {
	if _, err := s.tx.Exec(ctx, declare); err != nil {
		return nil, fmt.Errorf("read rows in order: %w", err)
	}
	return &cursor[T]{tx: s.tx, fetch: fetch}, nil
}

// peek returns the next row without going past it; nil at the end.
func (c *cursor[T]) peek(ctx context.Context) (*T, error) {
	if len(c.rows) == 0 && !c.ended {
		rows, err := c.tx.Query(ctx, c.fetch)
		if err == nil {
			c.rows, err = pgx.AppendRows(c.rows[:0:cap(c.rows)], rows, pgx.RowToStructByName[T])
		}
		if err != nil {
			return nil, fmt.Errorf("read rows in order: %w", err)
		}
		c.ended = len(c.rows) < fetchRows
	}
	if len(c.rows) == 0 {
		return nil, nil
	}
	return &c.rows[0], nil
}

// skip goes past the row that peek returned.
func (c *cursor[T]) skip() { c.rows = c.rows[1:] }
