package floor

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"onhand/inventory"
)

// promiseKey names a reservation.
type promiseKey struct{ tenant, id string }

// promise is a reservation as it has been added up. All events of one come from one partition, and so to one writer.
type promise struct {
	key       promiseKey
	made      *row // the event
	state     string
	lines     []inventory.Line // that are open
	stored    bool
	inBatch   bool
	expiresAt *time.Time
}

// promised returns the lines that r is about, and notes what becomes of its reservation.
func (w *writer) promised(r *row) ([]inventory.Line, error) {
	k := promiseKey{r.event.Tenant, r.body.Reservation}
	p := w.promises[k]
	if r.body.Kind == inventory.Reserved {
		made := *r // the batch's own is used again
		p = &promise{key: k, made: &made, state: "open", lines: slices.Clone(r.body.Lines)}
		if after := r.body.Deadline.After; after > 0 {
			at := r.logged.Add(time.Duration(after) * time.Second)
			p.expiresAt = &at
		}
		w.promises[k] = p
		w.note(p)
		return r.body.Lines, nil
	}
	if p == nil {
		return nil, fmt.Errorf("reservation %s is not open", k.id)
	}
	w.note(p)
	lines := r.body.Lines
	if len(lines) == 0 {
		lines = slices.Clone(p.lines)
	}
	for _, l := range lines {
		if i := slices.IndexFunc(p.lines, func(open inventory.Line) bool { return open.SKU == l.SKU }); i >= 0 {
			p.lines[i].Quantity -= l.Quantity
		}
	}
	p.lines = slices.DeleteFunc(p.lines, func(l inventory.Line) bool { return l.Quantity == 0 })
	if len(p.lines) == 0 {
		p.state = "released"
		if r.body.Kind == inventory.Fulfilled {
			p.state = "fulfilled"
		}
		delete(w.promises, k)
	}
	return lines, nil
}

// note remembers that the batch changes p.
func (w *writer) note(p *promise) {
	if !p.inBatch {
		p.inBatch = true
		w.settled = append(w.settled, p)
	}
}

// What is open is sent as the text of arrays: unnest would take an array of arrays apart to the last element.
const updatePromises = `
update reservations r
set state = n.state, skus = n.skus::text[], locations = n.locations::text[], quantities = n.quantities::bigint[],
    updated_at = now()
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
  as n (tenant, reservation, state, skus, locations, quantities)
where r.tenant = n.tenant and r.reservation = n.reservation`

var promiseColumns = []string{
	"tenant", "reservation", "state", "expires_at", "topic", "partition", "skus", "locations", "quantities", "event_id",
	"event_source",
}

// writePromises writes what became of the batch's reservations: rows of none but this writer's.
func (w *writer) writePromises(ctx context.Context, tx pgx.Tx) error {
	var created []*promise
	changed := make([][]string, 6)
	for _, p := range w.settled {
		if !p.stored {
			created = append(created, p)
			continue
		}
		skus, locations, quantities := p.columns()
		numbers := make([]string, len(quantities))
		for i, q := range quantities {
			numbers[i] = strconv.FormatInt(q, 10)
		}
		for i, value := range []string{
			p.key.tenant, p.key.id, p.state, literal(skus), literal(locations), literal(numbers),
		} {
			changed[i] = append(changed[i], value)
		}
	}
	source := pgx.CopyFromSlice(len(created), func(i int) ([]any, error) {
		p := created[i]
		skus, locations, quantities := p.columns()
		return []any{
			p.key.tenant, p.key.id, p.state, p.expiresAt, w.job.Topic, p.made.partition, skus, locations, quantities,
			p.made.event.ID, p.made.event.Source,
		}, nil
	})
	if _, err := tx.CopyFrom(ctx, pgx.Identifier{"reservations"}, promiseColumns, source); err != nil {
		return fmt.Errorf("copy into reservations: %w", err)
	}
	if len(changed[0]) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, updatePromises, changed[0], changed[1], changed[2], changed[3], changed[4], changed[5])
	if err != nil {
		return fmt.Errorf("update reservations: %w", err)
	}
	return nil
}

func (p *promise) columns() (skus, locations []string, quantities []int64) {
	skus, locations, quantities = []string{}, []string{}, []int64{} // not null
	for _, l := range p.lines {
		skus, locations = append(skus, l.SKU), append(locations, l.Location)
		quantities = append(quantities, l.Quantity)
	}
	return skus, locations, quantities
}

// literal is an array's text. What the workload puts into one needs no quotes.
func literal(elements []string) string { return "{" + strings.Join(elements, ",") + "}" }
