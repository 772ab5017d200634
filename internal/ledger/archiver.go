// Package ledger keeps the movements affordable. Old movements of a row of stock move to movements_archive, and the
// newest of them stays behind as an opening balance: a row of kind ledger.opened with the version of the movement that
// it was, with what that left on hand, reserved, damaged and in transit, and with all that was on hand as its delta. So
// the ledger of each row still sums to what is on hand (I4), and its versions have no gap from the opening balance on.
// The next archiving folds that row in like a movement: there is never more than one.
//
// No batch waits for it, because it touches only rows that batches never touch again. A batch inserts the version after
// the one that it found in stock under a lock, and reads no movement at all; an archived movement is committed, and
// below the version of its stock. So it locks neither stock nor offsets nor the inbox's generation and has no place in
// the lock order; an advisory lock of its own keeps a second archiver out.
package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Config is what an Archiver needs.
type Config struct {
	Pool *pgxpool.Pool

	// OlderThan is the age, by recorded_at and the database's clock, from which a movement may be archived.
	OlderThan time.Duration
	// Chunk bounds the movements that one transaction moves, and the rows of stock that it looks at. At least 2, or 0,
	// which is 10,000.
	Chunk int
	// Record, if set, is called in each transaction that archives something, with what is archived so far, this
	// transaction included. Its error ends the run, without that transaction.
	Record func(ctx context.Context, tx pgx.Tx, soFar Result) error
}

const defaultChunk = 10_000

// Archiver moves old movements out of the ledger. It remembers nothing: what a run that ended early has not done, the
// next one does.
type Archiver struct {
	cfg  Config
	done atomic.Int64
}

// New returns an Archiver that has not begun.
func New(cfg Config) *Archiver {
	cfg.Chunk = cmp.Or(cfg.Chunk, defaultChunk)
	return &Archiver{cfg: cfg}
}

// Result is what a run has come to.
type Result struct {
	// Before is the moment before which movements are archived.
	Before time.Time `json:"before"`
	// Stock counts the rows of stock that were looked at.
	Stock int64 `json:"stock"`
	// Archived counts the movements that moved to the archive.
	Archived int64 `json:"archived"`
	// Broken counts the rows of stock that were left alone, because their ledger does not add up; Examples are the first.
	Broken   int64    `json:"broken"`
	Examples []Broken `json:"examples"`
	// Complete says that all rows of stock were looked at.
	Complete bool `json:"complete"`
}

// ErrBusy means that another archiver is at work on this installation.
var ErrBusy = errors.New("another archiver is at work on this ledger")

// Done is how many rows of stock Run has looked at. It may be called while Run runs.
func (a *Archiver) Done() int64 { return a.done.Load() }

// Run archives what is old enough. When ctx ends it finishes the transaction under way and returns ctx's error. The
// Result is right in any case, but for the last transaction if the connection was lost over its commit.
func (a *Archiver) Run(ctx context.Context) (Result, error) {
	result := Result{Examples: []Broken{}}
	conn, err := a.cfg.Pool.Acquire(ctx)
	if err != nil {
		return result, fmt.Errorf("archive movements: %w", err)
	}
	defer conn.Release()
	if err := lock(ctx, conn.Conn()); err != nil {
		return result, err
	}
	defer unlock(conn.Conn())
	if result.Before, err = moment(ctx, conn.Conn(), a.cfg.OlderThan); err != nil {
		return result, err
	}
	c := chunk{cfg: &a.cfg, conn: conn.Conn()}
	for !result.Complete {
		if err := ctx.Err(); err != nil {
			return result, err
		}
		if result, err = c.archive(ctx, result); err != nil {
			return result, fmt.Errorf("archive movements: %w", err)
		}
		a.done.Store(result.Stock)
	}
	return result, nil
}

// lockKey lies in a key space of its own; see offsets for why it carries the schema's name.
const lockKey = `hashtextextended('onhand ledger ' || current_schema(), 0)`

const tryLock = `select pg_try_advisory_lock(` + lockKey + `)`

// lock keeps other archivers out until unlock, or for as long as conn lives.
func lock(ctx context.Context, conn *pgx.Conn) error {
	var locked bool
	if err := conn.QueryRow(ctx, tryLock).Scan(&locked); err != nil {
		return fmt.Errorf("lock the ledger: %w", err)
	}
	if !locked {
		return ErrBusy
	}
	return nil
}

const unlockTimeout = 5 * time.Second

const release = `select pg_advisory_unlock(` + lockKey + `)`

// unlock closes conn if it has no answer: that unlocks too, but a little later.
func unlock(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), unlockTimeout)
	defer cancel()
	if _, err := conn.Exec(ctx, release); err != nil {
		_ = conn.Close(ctx)
	}
}

func moment(ctx context.Context, conn *pgx.Conn, ago time.Duration) (t time.Time, err error) {
	if err := conn.QueryRow(ctx, `select now() - $1::interval`, ago).Scan(&t); err != nil {
		return t, fmt.Errorf("ask for the time: %w", err)
	}
	return t, nil
}
