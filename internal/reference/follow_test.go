package reference

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"onhand/inbox"
	"onhand/internal/testenv"
)

// chain is two lanes of one process. A batch of the one follows the last one of the other, if it can: it is decided,
// and written as far as that goes, before that one is committed.
type chain struct {
	lanes [2]*lane
	turn  int

	ahead    pgx.Tx // of the batch that was decided last; nil = it is committed
	followed int
	refused  int // could not be loaded, or applied, beside the one ahead
}

// commit decides a batch and commits the one before it.
func (c *chain) commit(ctx context.Context, all, fresh []*inbox.Item) error {
	l, ahead := c.lanes[c.turn%2], c.lanes[(c.turn+1)%2].handler
	c.turn++
	for range l.handler.Want(all) { // as the inbox does, which keeps it
	}
	promise, follows := ahead.Decided(), false
	if c.ahead != nil && promise != nil {
		follows = l.handler.Follow(promise, c.turn%2 == 0)
	}
	if !follows {
		if err := c.settle(ctx); err != nil {
			return err
		}
	}
	tx, err := l.conn.Begin(ctx)
	if err != nil {
		return err
	}
	if err := l.decide(ctx, tx, all, fresh); err != nil {
		_ = tx.Rollback(ctx)
		if !follows && !errors.Is(err, inbox.ErrRunAgain) {
			return err
		}
		c.refused++
		if err := c.settle(ctx); err != nil {
			return err
		}
		return l.commit(ctx, all, fresh)
	}
	if follows {
		c.followed++
		if err := c.settle(ctx); err != nil {
			return err
		}
		q := &pgx.Batch{}
		if l.handler.Confirm(q); q.Len() > 0 {
			if err := tx.SendBatch(ctx, q).Close(); err != nil {
				return fmt.Errorf("confirm: %w", err)
			}
		}
	}
	c.ahead = tx
	return nil
}

// settle commits the batch that was decided last.
func (c *chain) settle(ctx context.Context) error {
	if c.ahead == nil {
		return nil
	}
	defer func() { c.ahead = nil }()
	return c.ahead.Commit(ctx)
}

func TestABatchThatFollowsAnotherDoesWhatTheReferenceDoes(t *testing.T) {
	t.Parallel()
	url := testenv.Database(t)
	c := &chain{lanes: [2]*lane{newLane(connect(t, url)), newLane(connect(t, url))}}
	for _, l := range c.lanes {
		// Should a batch need what the one ahead holds, nobody would end the wait here.
		if _, err := l.conn.Exec(t.Context(), "set lock_timeout = '20ms'"); err != nil {
			t.Fatal(err)
		}
	}
	compareHistories(t, connect(t, url), c.lanes[0], c.commit, c.settle)
	t.Logf("%d batches, of which %d followed another and %d could not", c.turn, c.followed, c.refused)
	if c.followed < c.turn/10 {
		t.Errorf("%d of %d batches followed another", c.followed, c.turn)
	}
}
