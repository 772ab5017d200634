package floor

import (
	"context"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"onhand/bench/internal/peer"
)

// key names a row of stock.
type key struct{ tenant, sku, location string }

// total is a row of stock as it has been added up.
type total struct {
	onHand, reserved, version int64
	stored                    bool // guarded by writing
}

// ledger is stock in memory, of one writer or of all of them; a service could not keep it there (I10). Where several
// writers change the same rows, each batch gets its versions when it is added up, and what it changes by is written
// later, perhaps in another order: sums do not mind.
type ledger struct {
	adding sync.Mutex // held while a batch is added up
	stock  map[key]*total

	// Held from a batch's change of stock to its commit. Rows of stock are locked as long as that anyway, and nearly every
	// batch has nearly all of them; one after another, writers cannot deadlock either.
	writing sync.Mutex
}

// newLedgers returns one for each writer, which may be the same one for all.
func newLedgers(ctx context.Context, pool *pgxpool.Pool, job peer.Job) ([]*ledger, error) {
	ledgers := make([]*ledger, job.Writers)
	for i := range ledgers {
		if i > 0 && job.Shared {
			ledgers[i] = ledgers[0]
			continue
		}
		var err error
		if ledgers[i], err = newLedger(ctx, pool); err != nil {
			return nil, err
		}
	}
	return ledgers, nil
}

const selectStock = `select tenant, sku, location, on_hand, reserved, version from stock`

// newLedger begins with the stock that is there.
func newLedger(ctx context.Context, pool *pgxpool.Pool) (*ledger, error) {
	l := &ledger{stock: make(map[key]*total)}
	rows, err := pool.Query(ctx, selectStock)
	if err != nil {
		return nil, fmt.Errorf("read stock: %w", err)
	}
	var k key
	var t total
	_, err = pgx.ForEachRow(rows, []any{&k.tenant, &k.sku, &k.location, &t.onHand, &t.reserved, &t.version}, func() error {
		l.stock[k] = &total{onHand: t.onHand, reserved: t.reserved, version: t.version, stored: true}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read stock: %w", err)
	}
	return l, nil
}

func (l *ledger) row(k key) *total {
	t, ok := l.stock[k]
	if !ok {
		t = &total{}
		l.stock[k] = t
	}
	return t
}
