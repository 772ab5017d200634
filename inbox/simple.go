package inbox

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// connTx is the connection of a batch as its Handler sees it: inside the transaction, without its end.
type connTx struct{ conn *pgx.Conn }

func (t connTx) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	return t.conn.Exec(ctx, sql, args...)
}

func (t connTx) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	return t.conn.Query(ctx, sql, args...)
}

func (t connTx) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return t.conn.QueryRow(ctx, sql, args...)
}

func (t connTx) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	return t.conn.SendBatch(ctx, b)
}

// handle calls the simple form for each fresh record, in order. The handler has written what it liked when it refuses a
// record, so the whole transaction is given up: the records before it run again as a batch of their own, then it alone,
// where a savepoint takes back what it wrote and its refusal is stored.
func (l *lane) handle(ctx context.Context, t *transaction, fresh []*work) ([]*work, error) {
	alone := t.batch.records() == 1
	tx := connTx{t.conn.Conn()}
	for _, w := range fresh {
		if alone {
			if _, err := tx.Exec(ctx, "savepoint event"); err != nil {
				return nil, err
			}
		}
		err := l.simple(ctx, tx, w.item.Event)
		if err == nil {
			if tx.conn.PgConn().TxStatus() == 'E' {
				return nil, &handlerError{errors.New("it passed over an error of the database: its transaction is aborted")}
			}
			continue
		}
		var refusal *Refusal
		switch {
		case !errors.As(err, &refusal):
			return nil, &handlerError{err}
		case !alone:
			return nil, &refusedError{w}
		}
		if _, err := tx.Exec(ctx, "rollback to savepoint event"); err != nil {
			return nil, err
		}
		if !refusal.Parked {
			w.item.Reject(refusal.Code)
			continue
		}
		t.batch.parts[0].refused = refusal
		return t.batch.decide(t.known, nil), nil
	}
	return fresh, nil
}

// refusedError says which record of a batch the simple form refused.
type refusedError struct{ work *work }

func (e *refusedError) Error() string { return "a record of the batch was refused" }

// isolate says how a batch is run again of which one record was refused: its partition's records before it, then it
// alone; the other partitions without it.
func (b *batch) isolate(refused *refusedError) []result {
	results := make([]result, len(b.parts))
	for i, p := range b.parts {
		results[i].attempt = p.attempt
		for j, w := range p.works {
			if w == refused.work {
				results[i].attempt.solo = true
				results[i].attempt.limit = max(j, 1)
			}
		}
	}
	return results
}
