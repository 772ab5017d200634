package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Contents is what the ledger and its archive hold.
type Contents struct {
	Ledger  Table `json:"ledger"`
	Archive Table `json:"archive"`
	// Opened counts the opening balances among the ledger's rows.
	Opened int64 `json:"opening_balances"`
	// Removed counts movements that opening balances stand for, and that the archive does not have any more.
	Removed int64 `json:"removed"`
}

// Table is one of the two.
type Table struct {
	Rows   int64      `json:"rows"`
	Bytes  int64      `json:"bytes"` // with its index
	Oldest *time.Time `json:"oldest"`
	Newest *time.Time `json:"newest"`
}

const selectContents = `
select m.n, pg_total_relation_size('movements'), m.oldest, m.newest,
       a.n, pg_total_relation_size('movements_archive'), a.oldest, a.newest, m.opened, m.archived - a.n
from (
  select count(*) as n, min(recorded_at) as oldest, max(recorded_at) as newest,
         count(*) filter (where kind = 'ledger.opened') as opened,
         coalesce(sum(version) filter (where kind = 'ledger.opened'), 0)::bigint as archived
  from movements
) m
cross join (
  select count(*) as n, min(recorded_at) as oldest, max(recorded_at) as newest from movements_archive
) a`

// Querier is a pool, a connection or a transaction.
type Querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Look reads both tables once.
func Look(ctx context.Context, db Querier) (c Contents, err error) {
	l, a := &c.Ledger, &c.Archive
	err = db.QueryRow(ctx, selectContents).Scan(&l.Rows, &l.Bytes, &l.Oldest, &l.Newest,
		&a.Rows, &a.Bytes, &a.Oldest, &a.Newest, &c.Opened, &c.Removed)
	if err != nil {
		return c, fmt.Errorf("look at the ledger: %w", err)
	}
	return c, nil
}

// CountStock is how many rows of stock an Archiver looks at.
func CountStock(ctx context.Context, db Querier) (n int64, err error) {
	if err = db.QueryRow(ctx, `select count(*) from stock`).Scan(&n); err != nil {
		return 0, fmt.Errorf("count rows of stock: %w", err)
	}
	return n, nil
}
