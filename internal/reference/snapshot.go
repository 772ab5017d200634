package reference

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// Snapshot is what the tables hold, their rows in the order of the keys. Its names are those of the columns.
type Snapshot struct {
	SKUs         []SKURow
	Stock        []StockRow
	Ledger       []LedgerRow // in the order of its messages
	Inbox        []InboxRow
	Reservations []ReservationRow
	Transfers    []TransferRow
	Messages     []Message // in their order
}

// SKURow is a row of skus.
type SKURow struct {
	Tenant    string  `json:"tenant"`
	SKU       string  `json:"sku"`
	Backorder string  `json:"backorder"`
	Limit     *int64  `json:"backorder_limit"`
	Name      *string `json:"name"`
	Unit      *string `json:"unit"`
	LowStock  *int64  `json:"low_stock"`

	BundleSKUs       []string `json:"bundle_skus"`
	BundleQuantities []int64  `json:"bundle_quantities"`
}

// StockRow is a row of stock.
type StockRow struct {
	Tenant         string     `json:"tenant"`
	SKU            string     `json:"sku"`
	Location       string     `json:"location"`
	OnHand         int64      `json:"on_hand"`
	Reserved       int64      `json:"reserved"`
	Damaged        int64      `json:"damaged"`
	InTransit      int64      `json:"in_transit"`
	Version        int64      `json:"version"`
	Backorder      string     `json:"backorder"`
	Limit          *int64     `json:"backorder_limit"`
	LowStock       *int64     `json:"low_stock"`
	MovedAt        *time.Time `json:"moved_at"`
	LastTopic      string     `json:"last_topic"`
	LastPartition  int32      `json:"last_partition"`
	PartitionMoves int        `json:"partition_moves"`
}

// LedgerRow is a row of movements.
type LedgerRow struct {
	Tenant      string `json:"tenant"`
	SKU         string `json:"sku"`
	Location    string `json:"location"`
	Version     int64  `json:"version"`
	Delta       int64  `json:"delta"`
	OnHand      int64  `json:"on_hand"`
	Reserved    int64  `json:"reserved"` // null is 0 here, as in the next two
	Damaged     int64  `json:"damaged"`
	InTransit   int64  `json:"in_transit"`
	Kind        string `json:"kind"`
	EventID     string `json:"event_id"`
	EventSource string `json:"event_source"`
}

// InboxRow is a row of inbox.
type InboxRow struct {
	Tenant  string  `json:"tenant"`
	EventID string  `json:"event_id"`
	Source  string  `json:"source"`
	Outcome string  `json:"outcome"`
	Reason  *string `json:"reason"`
}

// ReservationRow is a row of reservations. What only counts as long as it is open is left out afterwards.
type ReservationRow struct {
	Tenant      string
	Reservation string
	State       string
	ExpiresAt   *time.Time
	Topic       string
	Partition   int32
	Open        []Quantity
}

// Quantity is so many of a SKU at a location.
type Quantity struct {
	SKU, Location string
	Quantity      int64
}

// TransferRow is a row of transfers, its quantities added by SKU.
type TransferRow struct {
	Tenant   string
	Transfer string
	State    string
	To       string
	Sent     map[string]int64
	Received map[string]int64 // nil = not yet
}

// Snapshot returns what there is of these tenants.
func (i *Installation) Snapshot(tenants ...string) Snapshot {
	var s Snapshot
	ours := func(tenant string) bool { return slices.Contains(tenants, tenant) }
	for key, d := range i.SKUs {
		if ours(key.Tenant) {
			s.SKUs = append(s.SKUs, skuRow(key, d))
		}
	}
	for at, r := range i.Stock {
		if ours(at.Tenant) {
			s.Stock = append(s.Stock, stockRow(at, r, i.SKUs[at.skuKey()]))
		}
	}
	for _, m := range i.Ledger {
		if ours(m.Tenant) {
			s.Ledger = append(s.Ledger, LedgerRow{
				m.Tenant, m.SKU, m.Location, m.Version, m.Delta, m.OnHand, m.Reserved, m.Damaged, m.InTransit, m.Kind,
				m.EventID, m.EventSource,
			})
		}
	}
	for _, m := range i.Messages {
		if ours(m.Tenant) {
			s.Messages = append(s.Messages, m)
		}
	}
	for id, d := range i.Inbox {
		if ours(id.Tenant) {
			outcome := Applied
			if d.Reason != "" {
				outcome = Rejected
			}
			s.Inbox = append(s.Inbox, InboxRow{id.Tenant, id.ID, id.Source, string(outcome), present(d.Reason)})
		}
	}
	for key, r := range i.Reservations {
		if ours(key.Tenant) {
			s.Reservations = append(s.Reservations, reservationRow(key, r))
		}
	}
	for key, t := range i.Transfers {
		if ours(key.Tenant) {
			s.Transfers = append(s.Transfers, TransferRow{
				key.Tenant, key.ID, string(t.State), t.To, maps.Clone(t.Sent), maps.Clone(t.Got),
			})
		}
	}
	s.sort()
	return s
}

func skuRow(key SKUKey, d SKU) SKURow {
	r := SKURow{
		Tenant: key.Tenant, SKU: key.SKU, Backorder: d.Backorder, Limit: d.limit(), Name: present(d.Name),
		Unit: present(d.Unit), LowStock: d.LowStock,
	}
	for _, p := range d.Bundle {
		r.BundleSKUs, r.BundleQuantities = append(r.BundleSKUs, p.SKU), append(r.BundleQuantities, p.Quantity)
	}
	return r
}

func (d SKU) limit() *int64 {
	if d.Backorder != "limit" {
		return nil
	}
	return &d.Limit
}

func stockRow(at Place, r Row, d SKU) StockRow {
	return StockRow{
		at.Tenant, at.SKU, at.Location, r.OnHand, r.Reserved, r.Damaged, r.InTransit, r.Version, d.Backorder, d.limit(),
		d.LowStock, presentTime(r.MovedAt), r.Last.Topic, r.Last.ID, r.Moves,
	}
}

func reservationRow(key PartyKey, r Reservation) ReservationRow {
	row := ReservationRow{Tenant: key.Tenant, Reservation: key.ID, State: string(r.State)}
	if r.State == StateOpen {
		row.ExpiresAt, row.Topic, row.Partition = presentTime(r.Deadline), r.Partition.Topic, r.Partition.ID
		for _, l := range r.lines() {
			row.Open = append(row.Open, Quantity{l.sku, l.location, l.quantity.Int64()})
		}
	}
	return row
}

func present(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func presentTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func (s *Snapshot) sort() {
	byKey(s.SKUs, func(r SKURow) [3]string { return [3]string{r.Tenant, r.SKU} })
	byKey(s.Stock, func(r StockRow) [3]string { return [3]string{r.Tenant, r.SKU, r.Location} })
	byKey(s.Inbox, func(r InboxRow) [3]string { return [3]string{r.Tenant, r.EventID, r.Source} })
	byKey(s.Reservations, func(r ReservationRow) [3]string { return [3]string{r.Tenant, r.Reservation} })
	byKey(s.Transfers, func(r TransferRow) [3]string { return [3]string{r.Tenant, r.Transfer} })
}

func byKey[R any](rows []R, key func(R) [3]string) {
	slices.SortFunc(rows, func(a, b R) int {
		x, y := key(a), key(b)
		return cmp.Or(strings.Compare(x[0], y[0]), strings.Compare(x[1], y[1]), strings.Compare(x[2], y[2]))
	})
}
