package floor

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"onhand/bench/internal/peer"
	"onhand/inventory"
)

// writer commits one batch after another. Unless the partitions share their SKUs, all events of one come from one
// partition and so to one writer, which then has the ledger to itself.
type writer struct {
	job    peer.Job
	ids    *atomic.Int64
	done   *atomic.Int64
	ledger *ledger

	promises map[promiseKey]*promise // that are open
	next     map[int32]int64         // by partition

	batch     []row
	movements []movement
	changed   []*change // rows of stock that the batch changes, each once
	changes   map[key]*change
	settled   []*promise // reservations that the batch changes, each once
}

// movement is what an event makes of a row of stock, and the id of the message about it.
type movement struct {
	by                                   *row
	key                                  key
	delta, onHand, reserved, version, id int64
}

// change is what a batch makes of a row of stock.
type change struct {
	key                     key
	total                   *total
	onHand, reserved, moves int64
	partition               int32 // the last one
}

func newWriter(job peer.Job, ids, done *atomic.Int64, l *ledger) *writer {
	return &writer{
		job: job, ids: ids, done: done, ledger: l, promises: make(map[promiseKey]*promise),
		next: make(map[int32]int64), changes: make(map[key]*change),
	}
}

// run writes what the queue holds until it is closed.
func (w *writer) run(ctx context.Context, pool *pgxpool.Pool, queue <-chan row) error {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("connect to Postgres: %w", err)
	}
	defer conn.Release()
	for w.fill(queue) {
		if err := w.add(); err != nil {
			return err
		}
		if err := w.commit(ctx, conn); err != nil {
			return fmt.Errorf("write a batch: %w", err)
		}
		w.done.Add(int64(len(w.batch)))
	}
	return ctx.Err()
}

// fill takes a full batch, which is counted in lines, or what is left; false when that is nothing.
func (w *writer) fill(queue <-chan row) bool {
	w.batch = w.batch[:0]
	for lines := 0; lines < w.job.Batch; {
		r, open := <-queue
		if !open {
			break
		}
		w.batch = append(w.batch, r)
		lines += max(len(r.body.Lines), 1)
	}
	return len(w.batch) > 0
}

// add adds the batch up: no decision, everything is applied.
func (w *writer) add() error {
	w.ledger.adding.Lock()
	defer w.ledger.adding.Unlock()
	w.movements, w.changed, w.settled = w.movements[:0], w.changed[:0], w.settled[:0]
	clear(w.changes)
	for i := range w.batch {
		r := &w.batch[i]
		lines, err := r.body.Lines, error(nil)
		if r.body.Reservation != "" {
			if lines, err = w.promised(r); err != nil {
				return err
			}
		}
		onHand, reserved := effect(r.body.Kind)
		first := len(w.movements)
		for _, l := range lines {
			w.move(r, key{r.event.Tenant, l.SKU, l.Location}, onHand*l.Quantity, reserved*l.Quantity)
		}
		r.message = w.movements[first].id
		w.next[r.partition] = r.offset + 1
	}
	return nil
}

// effect is how one piece of a line counts.
func effect(k inventory.Kind) (onHand, reserved int64) {
	switch k {
	case inventory.Sold:
		return -1, 0
	case inventory.Reserved:
		return 0, 1
	case inventory.Released:
		return 0, -1
	case inventory.Fulfilled:
		return -1, -1
	}
	return 1, 0
}

func (w *writer) move(r *row, k key, onHand, reserved int64) {
	c, ok := w.changes[k]
	if !ok {
		c = &change{key: k, total: w.ledger.row(k)}
		w.changes[k] = c
		w.changed = append(w.changed, c)
	}
	c.onHand, c.reserved, c.moves, c.partition = c.onHand+onHand, c.reserved+reserved, c.moves+1, r.partition
	t := c.total
	t.onHand, t.reserved, t.version = t.onHand+onHand, t.reserved+reserved, t.version+1
	w.movements = append(w.movements, movement{
		by: r, key: k, delta: onHand, onHand: t.onHand, reserved: t.reserved, version: t.version, id: w.ids.Add(1),
	})
}

// commit writes the batch in one transaction.
func (w *writer) commit(ctx context.Context, conn *pgxpool.Conn) error {
	changing := false
	defer func() {
		if changing {
			w.ledger.writing.Unlock()
		}
	}()
	err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if err := w.copyRows(ctx, tx); err != nil {
			return err
		}
		w.ledger.writing.Lock()
		changing = true
		return w.changeRows(ctx, tx)
	})
	if err != nil {
		return err
	}
	for _, c := range w.changed {
		c.total.stored = true
	}
	for _, p := range w.settled {
		p.stored, p.inBatch = true, false
	}
	return nil
}
