// Package referee looks at the rows that a contestant left, and says what is wrong with them.
package referee

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"onhand/bench/internal/backlog"
)

// Terms are what a contestant promises, which is what it is held to.
type Terms struct {
	Decides bool // rejects what would make stock negative; else everything is applied
	Books   bool // keeps inbox, movements and outbox, not only stock
	Counts  bool // counts, by partition, what became of each record
}

// Check compares the database with the books, beside which the inbox holds prefilled rows. What it returns is empty if
// all is right. It waits for nothing: everything must be committed before.
func Check(
	ctx context.Context, databaseURL string, books *backlog.Books, prefilled int, terms Terms,
) (faults []string, err error) {
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return nil, fmt.Errorf("connect to Postgres: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	want := &expected{rows: books.Summed, applied: books.Events, movements: books.Lines}
	if terms.Decides {
		want = &expected{
			rows: books.Decided, applied: books.Applied, rejected: books.Rejected, movements: books.AppliedLines,
		}
	}
	want.prefilled, want.opened, want.duplicate = int64(prefilled), books.Opened, books.Records-books.Events
	want.reservations = make(map[string]*backlog.Reservation)
	for id, r := range books.Reservations {
		if !r.Refused || !terms.Decides {
			want.reservations[id] = r
		}
	}
	faults, err = checkStock(ctx, conn, want, terms.Decides)
	if err != nil || !terms.Books {
		return faults, err
	}
	checks := []func(context.Context, *pgx.Conn, *expected) ([]string, error){checkReservations, checkBooks}
	if terms.Counts {
		checks = append(checks, checkCounts)
	}
	for _, check := range checks {
		more, err := check(ctx, conn, want)
		if err != nil {
			return nil, err
		}
		faults = append(faults, more...)
	}
	return faults, nil
}

// expected is what must be there.
type expected struct {
	rows              map[string]backlog.Row
	reservations      map[string]*backlog.Reservation
	applied, rejected int64
	movements         int64 // of applied events
	duplicate         int64 // records, where those are counted
	prefilled         int64 // rows of the inbox, applied, that were there before
	opened            int64 // rows of stock that were, each with a movement that nobody is told of
}

// mostNamed bounds how many wrong rows are named one by one.
const mostNamed = 3

const allStock = `select sku, on_hand, reserved, version from stock`

// checkStock compares each row of stock with the events.
func checkStock(ctx context.Context, conn *pgx.Conn, want *expected, neverNegative bool) (faults []string, err error) {
	rows, err := conn.Query(ctx, allStock)
	if err != nil {
		return nil, fmt.Errorf("read stock: %w", err)
	}
	var sku string
	var got backlog.Row
	var found, wrong, negative int
	_, err = pgx.ForEachRow(rows, []any{&sku, &got.OnHand, &got.Reserved, &got.Versions}, func() error {
		found++
		if neverNegative && (got.OnHand < 0 || got.OnHand < got.Reserved) {
			negative++
		}
		if row := want.rows[sku]; row != got {
			wrong++
			if wrong <= mostNamed {
				faults = append(faults, fmt.Sprintf("stock of %s is %s, not %s", sku, inWords(got), inWords(row)))
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read stock: %w", err)
	}
	if wrong > mostNamed {
		faults = append(faults, fmt.Sprintf("%d rows of stock are wrong", wrong))
	}
	if negative > 0 {
		faults = append(faults, fmt.Sprintf("%d rows of stock are negative, or have more reserved", negative))
	}
	missing := 0
	for _, row := range want.rows {
		if row.Versions > 0 {
			missing++
		}
	}
	if found != missing {
		faults = append(faults, fmt.Sprintf("%d rows of stock, not %d", found, missing))
	}
	return faults, nil
}

func inWords(r backlog.Row) string {
	if r.Reserved != 0 {
		return fmt.Sprintf("%d (%d reserved) after %d movements", r.OnHand, r.Reserved, r.Versions)
	}
	return fmt.Sprintf("%d after %d movements", r.OnHand, r.Versions)
}
