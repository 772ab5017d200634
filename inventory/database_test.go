package inventory

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"onhand/inbox"
	"onhand/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func connect(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// items makes of a history what the inbox would hand over.
func items(history []occurrence) []*inbox.Item {
	is := make([]*inbox.Item, len(history))
	for i, o := range history {
		is[i] = &inbox.Item{Event: inbox.Event{
			Record: &inbox.Record{Topic: o.from.Topic, Partition: o.from.ID, Offset: int64(i), Timestamp: o.logged},
			Tenant: o.tenant, ID: o.id, Source: o.source, Time: o.time, Body: o.Event,
		}}
	}
	return is
}

// batch is a transaction around one Load and one Apply, which is all that the inbox is to a handler.
type batch struct {
	tx pgx.Tx
	h  *Handler
}

func begin(ctx context.Context, conn *pgx.Conn, h *Handler) (*batch, error) {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return nil, err
	}
	return &batch{tx, h}, nil
}

func (b *batch) load(ctx context.Context, is []*inbox.Item, locks inbox.Locks) error {
	q := &pgx.Batch{}
	b.h.Load(q, is, locks)
	return b.tx.SendBatch(ctx, q).Close()
}

func (b *batch) apply(ctx context.Context, fresh []*inbox.Item) error {
	q := &pgx.Batch{}
	if err := b.h.Apply(q, fresh); err != nil {
		return err
	}
	return b.tx.SendBatch(ctx, q).Close()
}

// commitHistory is commitBatch for events, and fails the test if one is rejected.
func commitHistory(t *testing.T, conn *pgx.Conn, history ...occurrence) {
	t.Helper()
	is := items(history)
	if err := commitBatch(t.Context(), conn, NewHandler(Config{}), is); err != nil {
		t.Fatal(err)
	}
	for _, item := range is {
		if item.Rejected() != "" {
			t.Fatalf("%s is rejected: %s", item.ID, item.Rejected())
		}
	}
}

// The events of the tests that do not draw them.

func moves(kind Kind, sku, location string, quantity int64) occurrence {
	return occurrence{
		Event: &Event{Kind: kind, Lines: []Line{{sku, location, quantity, AnyVersion}}},
		id:    fmt.Sprintf("%s %s %s %d", kind, sku, location, quantity), from: Partition{"inventory.events", 1},
	}
}

func defines(sku string, p Policy) occurrence {
	return occurrence{
		Event: &Event{Kind: Defined, Definition: &Definition{SKU: sku, Policy: p}},
		id:    "define " + sku + p.Backorder.String(), from: Partition{"inventory.events", 1},
	}
}

// commitBatch loads, applies and commits items.
func commitBatch(ctx context.Context, conn *pgx.Conn, h *Handler, is []*inbox.Item) error {
	b, err := begin(ctx, conn, h)
	if err != nil {
		return err
	}
	defer func() { _ = b.tx.Rollback(ctx) }()
	if err := b.load(ctx, is, inbox.WaitForLocks); err != nil {
		return fmt.Errorf("load: %w", err)
	}
	if err := b.apply(ctx, is); err != nil {
		return fmt.Errorf("apply: %w", err)
	}
	return b.tx.Commit(ctx)
}

func storedRows(ctx context.Context, conn *pgx.Conn, tenant string) ([]storedRow, error) {
	rows, err := conn.Query(ctx, `
select s.tenant, s.sku, s.location, s.on_hand, s.version, s.backorder, s.backorder_limit, s.last_topic,
       s.last_partition, s.partition_moves
from stock s join skus u on u.tenant = s.tenant and u.sku = s.sku
 and u.backorder = s.backorder and u.backorder_limit is not distinct from s.backorder_limit
where s.tenant = $1
order by s.tenant, s.sku, s.location`, tenant)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (storedRow, error) {
		var r storedRow
		var backorder string
		var limit *int64
		err := row.Scan(&r.Key.tenant, &r.Key.sku, &r.Key.location, &r.OnHand, &r.Version, &backorder, &limit,
			&r.Last.Topic, &r.Last.ID, &r.Moves)
		r.Policy = storedPolicy([]byte(backorder), limit)
		return r, err
	})
}

func storedPolicies(ctx context.Context, conn *pgx.Conn, tenant string) (map[skuKey]Policy, error) {
	rows, err := conn.Query(ctx, "select sku, backorder, backorder_limit from skus where tenant = $1", tenant)
	if err != nil {
		return nil, err
	}
	policies := make(map[skuKey]Policy)
	var sku, backorder string
	var limit *int64
	_, err = pgx.ForEachRow(rows, []any{&sku, &backorder, &limit}, func() error {
		policies[skuKey{tenant, sku}] = storedPolicy([]byte(backorder), limit)
		return nil
	})
	return policies, err
}

func storedLedger(ctx context.Context, conn *pgx.Conn, tenant string) ([]modelMovement, error) {
	rows, err := conn.Query(ctx, `
select tenant, sku, location, version, delta, on_hand, kind, event_id, event_source
from movements where tenant = $1
order by tenant, sku, location, version`, tenant)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (modelMovement, error) {
		var m modelMovement
		err := row.Scan(&m.key.tenant, &m.key.sku, &m.key.location, &m.version, &m.delta, &m.onHand, &m.kind, &m.id,
			&m.source)
		return m, err
	})
}
