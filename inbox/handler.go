package inbox

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Tx is the part of a transaction that a Handler may use: everything but its end, which is the inbox's.
type Tx interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// Handler is the simple form: apply one event within tx. Nil means applied; Reject and Park refuse it, and leave no
// trace of what the handler wrote; any other error is an infrastructure fault and the event is tried again.
type Handler func(ctx context.Context, tx Tx, e Event) error

// Locks says what a BatchHandler does about rows that another client holds.
type Locks int

const (
	// WaitForLocks waits, up to the transaction's lock_timeout.
	WaitForLocks Locks = iota
	// SkipLocked locks what is free and marks the items that need the rest as Blocked.
	SkipLocked
)

// Item is one event on its way through a batch.
type Item struct {
	Event

	// Blocked is set by Load's callbacks under SkipLocked: a row this item needs exists and is held by another client.
	Blocked bool

	// Effect may be set by Apply: an id by which the handler finds again what it did for the item, or how it answered
	// one that it rejected; 0 = none. It is stored in the item's inbox row; the inbox gives it no meaning.
	Effect int64

	// Now, for a Timekeeper, is how far time has passed in the item's partition since the last one of Apply's items
	// there: the latest timestamp of the records in between and of its own. Apply lets it pass before it decides.
	Now time.Time

	rejected string
}

// Reject gives the item its final business "no"; the code is stored and stays; an empty one is `rejected`.
func (i *Item) Reject(code string) { i.rejected = cmp.Or(code, "rejected") }

// Rejected returns the code given to Reject, or the empty string: the item is applied.
func (i *Item) Rejected() string { return i.rejected }

// ErrRunAgain is for Apply to say that what it needs is not what Load has locked, because the rows that led there have
// changed in between. The batch is rolled back and run again.
var ErrRunAgain = errors.New("what was locked is not what is needed any more")

// BatchHandler is the batch form: a whole batch in two round trips. One belongs to one lane and sees one batch after
// another: Load, then Apply, or Load again if the batch could not be finished. What Load read must not outlive its
// batch (I10).
type BatchHandler interface {
	// Load queues onto the first round trip the locks and reads that Apply will decide on. Rows are locked in a fixed
	// order (ARCHITECTURE.md, "Lock order"). items may include duplicates, which Apply will not see. Results reach the
	// callbacks queued with the statements before Apply is called.
	Load(q *pgx.Batch, items []*Item, locks Locks)

	// Apply decides the fresh items in the order given (topic, partition, offset), calls Reject on those it refuses,
	// and queues its writes onto the second round trip. It must not block. An error fails the whole batch, which is
	// tried again after a pause. The commit travels with the writes: what a callback of theirs finds comes too late to
	// stop it, only an error of the database does.
	Apply(q *pgx.Batch, fresh []*Item) error
}
