package referee

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"onhand/bench/internal/backlog"
)

// Each reservation as it must be is also what the sums of the open ones must be; but they are asked for in SQL too, so
// that what the books and the contestant have both got wrong does not pass for right.
const otherwiseReserved = `
select count(*)
from (select sku, location, reserved from stock where reserved <> 0) s
full join (
  select l.sku, l.location, sum(l.quantity) as open
  from reservations r cross join unnest(r.skus, r.locations, r.quantities) as l (sku, location, quantity)
  where r.state = 'open'
  group by l.sku, l.location
) o using (sku, location)
where s.reserved is distinct from o.open`

const allReservations = `select reservation, state, skus, quantities from reservations`

// checkReservations compares each with the events, and what is open with stock.
func checkReservations(ctx context.Context, conn *pgx.Conn, want *expected) (faults []string, err error) {
	rows, err := conn.Query(ctx, allReservations)
	if err != nil {
		return nil, fmt.Errorf("read reservations: %w", err)
	}
	var id, state string
	var skus []string
	var quantities []int64
	var found, wrong int
	_, err = pgx.ForEachRow(rows, []any{&id, &state, &skus, &quantities}, func() error {
		found++
		if r := want.reservations[id]; r == nil || !is(r, state, skus, quantities) {
			if wrong++; wrong <= mostNamed {
				faults = append(faults, fmt.Sprintf("reservation %s is %s with %v of %v, not %s", id, state, quantities, skus,
					promised(r)))
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read reservations: %w", err)
	}
	if wrong > mostNamed {
		faults = append(faults, fmt.Sprintf("%d reservations are wrong", wrong))
	}
	if found != len(want.reservations) {
		faults = append(faults, fmt.Sprintf("%d reservations, not %d", found, len(want.reservations)))
	}
	var otherwise int64
	if err := conn.QueryRow(ctx, otherwiseReserved).Scan(&otherwise); err != nil {
		return nil, fmt.Errorf("add up reservations: %w", err)
	}
	if otherwise != 0 {
		faults = append(faults, fmt.Sprintf("%d rows of stock with something else reserved than is open", otherwise))
	}
	return faults, nil
}

func is(r *backlog.Reservation, state string, skus []string, quantities []int64) bool {
	return r.State == state && len(skus) == len(quantities) &&
		slices.EqualFunc(r.Lines, skus, func(l backlog.Line, sku string) bool { return l.SKU == sku }) &&
		slices.EqualFunc(r.Lines, quantities, func(l backlog.Line, q int64) bool { return l.Quantity == q })
}

func promised(r *backlog.Reservation) string {
	if r == nil {
		return "there"
	}
	return fmt.Sprintf("%s with %v", r.State, r.Lines)
}
