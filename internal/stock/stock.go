// Package stock reads what is on hand.
package stock

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// Key names a row of stock.
type Key struct {
	Tenant   string `db:"tenant" json:"tenant"`
	SKU      string `db:"sku" json:"sku"`
	Location string `db:"location" json:"location"`
}

// Row is a row of stock.
type Row struct {
	Key
	OnHand         int64     `db:"on_hand" json:"on_hand"`
	Reserved       int64     `db:"reserved" json:"reserved"`
	Available      int64     `db:"available" json:"available"`
	Damaged        int64     `db:"damaged" json:"damaged"`       // beside what is on hand
	InTransit      int64     `db:"in_transit" json:"in_transit"` // on the way to the location
	Version        int64     `db:"version" json:"version"`
	Backorder      string    `db:"backorder" json:"backorder"`
	BackorderLimit *int64    `db:"backorder_limit" json:"backorder_limit"` // only of the policy limit
	LowStock       *int64    `db:"low_stock" json:"low_stock"`             // nil = the SKU has no threshold
	UpdatedAt      time.Time `db:"updated_at" json:"updated_at"`
}

// Filter narrows a list; zero values and nil let everything through.
type Filter struct {
	Tenant   *string // "" is a tenant too
	SKUs     []string
	Prefix   string // of the SKU
	Location string
	Low      *int64 // available is at or below it
	OwnLow   bool   // available is at or below the SKU's low_stock, or 0 if it has none
	Negative bool   // available is below zero
	Reserved bool   // something is reserved
	After    Key    // rows behind it in the order of the key
	Limit    int    // most rows returned
}

type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// What is not asked for is folded away when the statement is planned, so a tenant is a range of the key, and so are a
// prefix, the SKUs from the first to the last one that is named, and what comes after a row.
const list = `
select tenant, sku, location, on_hand, reserved, on_hand - reserved as available, damaged, in_transit, version,
       backorder, backorder_limit, low_stock, updated_at
from stock
where (tenant, sku, location) > ($1, $2, $3)
  and ($4::text is null or tenant = $4)
  and ($5::text[] is null or sku = any($5))
  and sku >= $6 and ($7 = '' or sku <= $7)
  and starts_with(sku, $8)
  and ($9 = '' or location = $9)
  and ($10::bigint is null or on_hand - reserved <= $10)
  and (not $11 or on_hand - reserved <= coalesce(low_stock, 0))
  and (not $12 or on_hand - reserved < 0)
  and (not $13 or reserved > 0)
order by tenant, sku, location
limit $14`

// List returns the rows that f lets through, in the order of their key, and whether there are more.
func List(ctx context.Context, db querier, f Filter) (found []Row, more bool, err error) {
	least, most := f.Prefix, ""
	if len(f.SKUs) > 0 {
		least, most = max(least, slices.Min(f.SKUs)), slices.Max(f.SKUs)
	}
	rows, err := db.Query(ctx, list, f.After.Tenant, f.After.SKU, f.After.Location, f.Tenant, f.SKUs, least, most,
		f.Prefix, f.Location, f.Low, f.OwnLow, f.Negative, f.Reserved, f.Limit+1)
	if err == nil {
		found, err = pgx.CollectRows(rows, pgx.RowToStructByName[Row])
	}
	if err != nil {
		return nil, false, fmt.Errorf("list stock: %w", err)
	}
	if len(found) > f.Limit {
		return found[:f.Limit], true, nil
	}
	return found, false, nil
}
