package ledger_test

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"onhand/inbox"
	"onhand/internal/ledger"
	"onhand/internal/testenv"
	"onhand/inventory"
)

// lane is one lane of a running service, with SKUs of its own: if a batch of it waits for a lock, an archiver holds it.
type lane struct {
	conn    *pgx.Conn
	handler *inventory.Handler
	number  int
	longest time.Duration
}

const (
	lanes          = 3
	batchesPerLane = 150
	eventsPerBatch = 20
	skusPerLane    = 7
)

func TestNoBatchWaitsForAnArchiver(t *testing.T) {
	t.Parallel()
	pool := open(t)
	g, ctx := errgroup.WithContext(t.Context())
	running := make([]*lane, lanes)
	for i := range running {
		conn, err := pgx.ConnectConfig(t.Context(), pool.Config().ConnConfig)
		must(t, err)
		defer func() { _ = conn.Close(context.Background()) }()
		running[i] = &lane{conn: conn, handler: inventory.NewHandler(inventory.Config{}), number: i}
		g.Go(func() error {
			for n := range batchesPerLane {
				if err := running[i].apply(ctx, n); err != nil {
					return fmt.Errorf("lane %d, batch %d: %w", i, n, err)
				}
			}
			return nil
		})
	}
	stop := make(chan struct{})
	archivist := make(chan error, 1)
	var runs, archived int64
	go func() { archivist <- archiveUntil(t.Context(), pool, stop, &runs, &archived) }()
	must(t, g.Wait())
	close(stop)
	must(t, <-archivist)
	for _, l := range running {
		t.Logf("lane %d: the longest of %d batches took %s", l.number, batchesPerLane, l.longest)
	}
	t.Logf("%d runs archived %d movements meanwhile", runs, archived)
	if runs < 2 || archived == 0 {
		t.Error("the archiver was not at work meanwhile")
	}
	checkBalance(t, pool)
	if got, want := len(history(t, pool)), lanes*batchesPerLane*eventsPerBatch; got != want {
		t.Errorf("%d movements in ledger and archive, want %d", got, want)
	}
	if n := testenv.Ask[int](t, pool, `
select count(*) from (
  select version, row_number() over (partition by sku order by version) as n
  from (select * from movements where kind <> 'ledger.opened' union all select * from movements_archive) m
) m where version <> n`); n > 0 {
		t.Errorf("%d movements out of place", n)
	}
}

// archiveUntil runs archivers, one after the other, with no mercy for age.
func archiveUntil(ctx context.Context, pool *pgxpool.Pool, stop <-chan struct{}, runs, archived *int64) error {
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		result, err := ledger.New(ledger.Config{Pool: pool, Chunk: 50}).Run(ctx)
		if err != nil {
			return err
		}
		*runs++
		*archived += result.Archived
	}
}

// apply is a batch as the inbox runs it, under the service's timeout for locks.
func (l *lane) apply(ctx context.Context, n int) error {
	began := time.Now()
	items := make([]*inbox.Item, eventsPerBatch)
	for i := range items {
		items[i] = &inbox.Item{Event: inbox.Event{
			Record: &inbox.Record{Topic: "t", Partition: int32(l.number)}, ID: fmt.Sprintf("%d-%d-%d", l.number, n, i),
			Body: &inventory.Event{
				Kind: inventory.Adjusted, Lines: []inventory.Line{{
					SKU: fmt.Sprintf("%d-%d", l.number, (n+i)%skusPerLane), Location: "main",
					Quantity: int64(i%5) - 2, IfVersion: inventory.AnyVersion,
				}},
			},
		}}
	}
	defer func() { l.longest = max(l.longest, time.Since(began)) }()
	return pgx.BeginFunc(ctx, l.conn, func(tx pgx.Tx) error {
		if n == 0 { // on hand may go below zero
			if _, err := tx.Exec(ctx, `insert into skus (tenant, sku, backorder)
				select '', $1::text || '-' || i, 'allow' from generate_series(0, $2::integer - 1) i`,
				strconv.Itoa(l.number), skusPerLane); err != nil {
				return err
			}
		}
		load, apply := &pgx.Batch{}, &pgx.Batch{}
		load.Queue("set local lock_timeout = '250ms'")
		l.handler.Load(load, items, inbox.WaitForLocks)
		if err := tx.SendBatch(ctx, load).Close(); err != nil {
			return err
		}
		if err := l.handler.Apply(apply, items); err != nil {
			return err
		}
		for _, item := range items {
			if item.Rejected() != "" {
				return fmt.Errorf("%s is rejected: %s", item.ID, item.Rejected())
			}
		}
		return tx.SendBatch(ctx, apply).Close()
	})
}
