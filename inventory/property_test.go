package inventory

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"onhand/internal/testenv"
)

func TestAFoldedHistoryEndsLikeTheModelWhereverItIsCut(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		history := histories("t").Draw(t, "history")
		want, stored := newModel(), make(map[stockKey]storedRow)
		policies := make(map[skuKey]Policy)
		var ledger []modelMovement
		for _, batch := range cut(t, history) {
			f := foldOf(batch, stored, policies)
			for _, o := range batch {
				reason, _, err := f.apply(o)
				if err != nil {
					t.Fatal(err)
				}
				if w := want.apply(o); reason != w {
					t.Fatalf("%+v %+v: %q, want %q", o, o.Event, reason, w)
				}
			}
			ledger = append(ledger, keep(f, stored, policies)...)
		}
		if rows := sortedRows(stored); !reflect.DeepEqual(rows, want.wantRows()) {
			t.Fatalf("rows\n%+v\nwant\n%+v", rows, want.wantRows())
		}
		if !slices.Equal(ledger, want.ledger) {
			t.Fatalf("ledger\n%+v\nwant\n%+v", ledger, want.ledger)
		}
	})
}

// foldOf does in memory what Load does in the database.
func foldOf(batch []occurrence, stored map[stockKey]storedRow, policies map[skuKey]Policy) *fold {
	var f fold
	f.reset()
	load := func(k stockKey) *stockRow {
		r := f.rows[k]
		if r == nil {
			r = &stockRow{key: k}
			f.rows[k] = r
		}
		if s, ok := stored[k]; ok {
			r.stored, r.last, r.moves = true, s.Last, s.Moves
			r.stock = Stock{OnHand: s.OnHand, Version: s.Version, Policy: s.Policy}
		}
		return r
	}
	for _, o := range batch {
		if o.Kind == Defined {
			s := f.sku(skuKey{o.tenant, o.Definition.SKU})
			s.policy, s.stored = policies[s.key], true
			for k := range stored {
				if k.skuKey() == s.key {
					f.attach(load(k))
				}
			}
		}
	}
	for _, o := range batch {
		if o.Kind != Defined {
			r := load(stockKey{o.tenant, o.Lines[0].SKU, o.Lines[0].Location})
			if !r.stored {
				s := f.attach(r)
				s.policy = policies[s.key]
				r.stock.Policy = s.policy
			}
		}
	}
	return &f
}

// keep writes back what f has come to, and returns its movements.
func keep(f *fold, stored map[stockKey]storedRow, policies map[skuKey]Policy) []modelMovement {
	for k, r := range f.rows {
		if r.exists() {
			stored[k] = storedRow{k, r.stock.OnHand, r.stock.Version, r.stock.Policy, r.last, r.moves}
		}
	}
	for k, s := range f.skus {
		policies[k] = s.policy
	}
	ledger := make([]modelMovement, len(f.movements))
	for i, m := range f.movements {
		ledger[i] = modelMovement{m.key, m.after.Version, m.delta, m.after.OnHand, m.kind.String(), m.id, m.source}
	}
	return ledger
}

func sortedRows(stored map[stockKey]storedRow) []storedRow {
	rows := make([]storedRow, 0, len(stored))
	for _, r := range stored {
		rows = append(rows, r)
	}
	slices.SortFunc(rows, func(a, b storedRow) int { return a.Key.compare(b.Key) })
	return rows
}

func TestTheDatabaseEndsLikeTheModelWhereverAHistoryIsCut(t *testing.T) {
	t.Parallel()
	conn := connect(t, testenv.Database(t))
	h := NewHandler(Config{})
	tenants := 0
	rapid.Check(t, func(t *rapid.T) {
		// A tenant for each history, in place of an empty database for each.
		tenants++
		tenant := fmt.Sprintf("tenant-%d", tenants)
		history := histories(tenant).Draw(t, "history")
		want := newModel()
		for _, batch := range cut(t, history) {
			is := items(batch)
			if err := commitBatch(t.Context(), conn, h, is); err != nil {
				t.Fatal(err)
			}
			for i, item := range is {
				if w := want.apply(batch[i]); item.Rejected() != w {
					t.Fatalf("%+v %+v: %q, want %q", batch[i], batch[i].Event, item.Rejected(), w)
				}
			}
		}
		compareWithModel(t.Context(), t, conn, tenant, want)
	})
}

func compareWithModel(ctx context.Context, t rapid.TB, conn *pgx.Conn, tenant string, want *model) {
	t.Helper()
	rows, err := storedRows(ctx, conn, tenant)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(rows, want.wantRows()) {
		t.Fatalf("rows\n%+v\nwant\n%+v", rows, want.wantRows())
	}
	policies, err := storedPolicies(ctx, conn, tenant)
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(policies, want.policies) {
		t.Fatalf("skus\n%+v\nwant\n%+v", policies, want.policies)
	}
	ledger, err := storedLedger(ctx, conn, tenant)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(ledger, want.wantLedger()) {
		t.Fatalf("ledger\n%+v\nwant\n%+v", ledger, want.wantLedger())
	}
	messages, err := storedMessages(ctx, conn, tenant)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(messages, want.ledger) {
		t.Fatalf("messages\n%+v\nwant\n%+v", messages, want.ledger)
	}
}

// storedMessages reads those messages of the outbox that are about movements, in the order of its ids.
func storedMessages(ctx context.Context, conn *pgx.Conn, tenant string) ([]modelMovement, error) {
	rows, err := conn.Query(ctx, `
select payload, key, event_id, headers from outbox
where convert_from(payload, 'UTF8')::jsonb @> jsonb_build_object('tenant', $1::text, 'kind', 'stock.changed')
  and topic = 'inventory.changes'
order by id`, tenant)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (modelMovement, error) {
		var payload, key []byte
		var eventID string
		var headers [][]byte
		if err := row.Scan(&payload, &key, &eventID, &headers); err != nil {
			return modelMovement{}, err
		}
		return asMovement(payload, key, eventID, headers)
	})
}

func asMovement(payload, key []byte, eventID string, headers [][]byte) (modelMovement, error) {
	var m struct {
		Kind      string `json:"kind"`
		Tenant    string `json:"tenant"`
		SKU       string `json:"sku"`
		Location  string `json:"location"`
		OnHand    int64  `json:"on_hand"`
		Reserved  int64  `json:"reserved"`
		Available int64  `json:"available"`
		Version   int64  `json:"version"`
		Follows   int64  `json:"follows"`
		Delta     int64  `json:"delta"`
		EventID   string `json:"event_id"`
		Source    string `json:"source"`
		EventKind string `json:"event_kind"`
	}
	if err := json.Unmarshal(payload, &m); err != nil {
		return modelMovement{}, err
	}
	ok := m.Kind == "stock.changed" && m.SKU == string(key) && m.EventID == eventID && m.Reserved == 0 &&
		m.Available == m.OnHand && m.Follows == m.Version-1 && len(headers) == 10 &&
		string(headers[0]) == "content-type" && string(headers[1]) == "application/json" &&
		string(headers[4]) == "ce_type" && string(headers[5]) == m.Kind
	if !ok {
		return modelMovement{}, fmt.Errorf("payload %s, key %q, event %q, headers %q", payload, key, eventID, headers)
	}
	return modelMovement{
		stockKey{m.Tenant, m.SKU, m.Location}, m.Version, m.Delta, m.OnHand, m.EventKind, m.EventID, m.Source,
	}, nil
}
