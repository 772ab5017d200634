package reference

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"
)

// querier is a connection or a pool.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// stored reads what the tables hold of these tenants. Rows come as JSON, so that columns which a service does not have
// yet are simply empty.
func stored(ctx context.Context, t rapid.TB, db querier, knows Features, tenants []string) Snapshot {
	t.Helper()
	s := Snapshot{
		SKUs:  rowsOf[SKURow](ctx, t, db, "select to_jsonb(x)::text from skus x where tenant = any($1)", tenants),
		Stock: rowsOf[StockRow](ctx, t, db, "select to_jsonb(x)::text from stock x where tenant = any($1)", tenants),
		Ledger: rowsOf[LedgerRow](ctx, t, db,
			"select to_jsonb(x)::text from movements x where tenant = any($1) order by message_id", tenants),
		Inbox:    rowsOf[InboxRow](ctx, t, db, "select to_jsonb(x)::text from inbox x where tenant = any($1)", tenants),
		Messages: rowsOf[Message](ctx, t, db, selectMessages, tenants),
	}
	for i := range s.Stock {
		utc(s.Stock[i].MovedAt)
	}
	for i := range s.SKUs {
		s.SKUs[i].normalize()
	}
	if slices.Contains(knows.Kinds, Reserved) {
		for _, r := range rowsOf[storedReservation](ctx, t, db,
			"select to_jsonb(x)::text from reservations x where tenant = any($1)", tenants) {
			s.Reservations = append(s.Reservations, r.row())
		}
	}
	if slices.Contains(knows.Kinds, Transferred) {
		for _, r := range rowsOf[storedTransfer](ctx, t, db,
			"select to_jsonb(x)::text from transfers x where tenant = any($1)", tenants) {
			s.Transfers = append(s.Transfers, r.row())
		}
	}
	s.sort()
	return s
}

// What a message says, with its key and the type that its headers give it. A tenant is what the reading is bounded by.
const selectMessages = `
select (x.said || jsonb_build_object('key', convert_from(x.key, 'UTF8'),
          'type', convert_from(x.headers[array_position(x.headers, 'ce_type') + 1], 'UTF8')))::text
from (select id, key, headers, convert_from(payload, 'UTF8')::jsonb as said from outbox offset 0) x
where coalesce(x.said ->> 'tenant', '') = any($1)
order by x.id`

func rowsOf[R any](ctx context.Context, t rapid.TB, db querier, sql string, tenants []string) []R {
	t.Helper()
	rows, err := db.Query(ctx, sql, tenants)
	if err != nil {
		t.Fatal(err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r R, err error) {
		var text string
		if err := row.Scan(&text); err != nil {
			return r, err
		}
		d := json.NewDecoder(strings.NewReader(text))
		if _, isMessage := any(r).(Message); isMessage { // the others have columns that do not compare
			d.DisallowUnknownFields()
		}
		return r, d.Decode(&r)
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// normalize makes one of the ways to say that there is nothing.
func (r *SKURow) normalize() {
	if len(r.BundleSKUs) == 0 {
		r.BundleSKUs, r.BundleQuantities = nil, nil
	}
	for _, text := range []**string{&r.Name, &r.Unit} {
		if *text != nil && **text == "" {
			*text = nil
		}
	}
}

type storedReservation struct {
	Tenant      string     `json:"tenant"`
	Reservation string     `json:"reservation"`
	State       string     `json:"state"`
	ExpiresAt   *time.Time `json:"expires_at"`
	Topic       string     `json:"topic"`
	Partition   int32      `json:"partition"`
	SKUs        []string   `json:"skus"`
	Locations   []string   `json:"locations"`
	Quantities  []int64    `json:"quantities"`
}

// row is the reservation as it compares: of one that is closed only that it is, and that nothing of it is open.
func (r storedReservation) row() ReservationRow {
	row := ReservationRow{Tenant: r.Tenant, Reservation: r.Reservation, State: r.State}
	for i, sku := range r.SKUs {
		if r.Quantities[i] != 0 {
			row.Open = append(row.Open, Quantity{sku, r.Locations[i], r.Quantities[i]})
		}
	}
	if r.State == string(StateOpen) {
		utc(r.ExpiresAt)
		row.ExpiresAt, row.Topic, row.Partition = r.ExpiresAt, r.Topic, r.Partition
	}
	return row
}

type storedTransfer struct {
	Tenant   string   `json:"tenant"`
	Transfer string   `json:"transfer"`
	State    string   `json:"state"`
	To       string   `json:"location"`
	SKUs     []string `json:"skus"`
	Sent     []int64  `json:"sent"`
	Received []int64  `json:"received"`
}

// row is the transfer with its quantities added by SKU.
func (r storedTransfer) row() TransferRow {
	row := TransferRow{Tenant: r.Tenant, Transfer: r.Transfer, State: r.State, To: r.To, Sent: make(map[string]int64)}
	if r.State == string(StateReceived) {
		row.Received = make(map[string]int64)
	}
	for i, sku := range r.SKUs {
		row.Sent[sku] += r.Sent[i]
		if row.Received != nil {
			row.Received[sku] += r.Received[i]
		}
	}
	return row
}
