package floor

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"onhand/bench/internal/peer"
)

// key names a row of stock.
type key struct{ tenant, sku, location string }

// total is a row of stock as this writer left it.
type total struct {
	onHand, version int64
	partition       int32
	stored          bool
}

// writer commits one batch after another. All events of a SKU come from one partition and so to one writer, which can
// keep the sums in memory; a service could not (I10).
type writer struct {
	job  peer.Job
	ids  *atomic.Int64
	done *atomic.Int64

	stock map[key]*total
	next  map[int32]int64 // by partition

	batch     []row
	changed   []key // rows of stock that the batch changes, each once
	movements []movement
}

// movement is what an event makes of a row of stock, and the id of the message about it.
type movement struct{ delta, onHand, version, id int64 }

func newWriter(job peer.Job, ids, done *atomic.Int64) *writer {
	return &writer{
		job: job, ids: ids, done: done,
		stock: make(map[key]*total), next: make(map[int32]int64),
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
		w.fold()
		if err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return w.write(ctx, tx) }); err != nil {
			return fmt.Errorf("write a batch: %w", err)
		}
		for _, k := range w.changed {
			w.stock[k].stored = true
		}
		w.done.Add(int64(len(w.batch)))
	}
	return ctx.Err()
}

// fill takes a full batch, or what is left; false when that is nothing.
func (w *writer) fill(queue <-chan row) bool {
	w.batch = w.batch[:0]
	for len(w.batch) < w.job.Batch {
		r, open := <-queue
		if !open {
			break
		}
		w.batch = append(w.batch, r)
	}
	return len(w.batch) > 0
}

// fold adds the batch up: no decision, everything is applied.
func (w *writer) fold() {
	w.movements, w.changed = w.movements[:0], w.changed[:0]
	touched := make(map[key]struct{}, len(w.batch))
	for i := range w.batch {
		r := &w.batch[i]
		k := key{r.event.Tenant, r.body.Lines[0].SKU, r.body.Lines[0].Location}
		t, ok := w.stock[k]
		if !ok {
			t = &total{partition: r.partition}
			w.stock[k] = t
		}
		if _, ok := touched[k]; !ok {
			touched[k] = struct{}{}
			w.changed = append(w.changed, k)
		}
		delta := peer.Delta(r.body)
		t.onHand += delta
		t.version++
		w.movements = append(w.movements, movement{
			delta: delta, onHand: t.onHand, version: t.version, id: w.ids.Add(1),
		})
		w.next[r.partition] = r.offset + 1
	}
}
