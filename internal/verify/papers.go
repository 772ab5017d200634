package verify

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"onhand/inventory"
)

// What the tables call it.
const (
	open     = "open"
	received = "received"
)

// maker is the event that made a reservation or a transfer.
type maker struct {
	EventID string `db:"event_id"`
	Source  string `db:"event_source"`
}

func (m maker) madeBy(in *inboxRow) bool { return m.EventID == in.EventID && m.Source == in.Source }

// promise is a row of reservations.
type promise struct {
	Ord   int64  `db:"ord"`
	State string `db:"state"`
	maker
}

// shipment is a row of transfers.
type shipment struct {
	Ord      int64    `db:"ord"`
	State    string   `db:"state"`
	Location string   `db:"location"`
	SKUs     []string `db:"skus"`
	Sent     []int64  `db:"sent"`
	Received []int64  `db:"received"`
	maker
}

const selectPromises = `
select e.ord, r.state, r.event_id, r.event_source
from unnest($1::text[], $2::text[]) with ordinality as e (tenant, reservation, ord)
cross join lateral (
  select r.state, r.event_id, r.event_source
  from reservations r
  where r.tenant = e.tenant and r.reservation = e.reservation
  offset 0
) r`

// lookUpPromises finds the reservations that pending events name.
func (j *judge) lookUpPromises(ctx context.Context) error {
	found, asked, err := lookUpPapers[promise](ctx, j, selectPromises, func(e *inventory.Event) string {
		return e.Reservation
	})
	for _, r := range found {
		asked[r.Ord-1].promise = r
	}
	return err
}

const selectShipments = `
select e.ord, t.state, t.location, t.skus, t.sent, t.received, t.event_id, t.event_source
from unnest($1::text[], $2::text[]) with ordinality as e (tenant, transfer, ord)
cross join lateral (
  select t.state, t.location, t.skus, t.sent, t.received, t.event_id, t.event_source
  from transfers t
  where t.tenant = e.tenant and t.transfer = e.transfer
  offset 0
) t`

// lookUpShipments finds the transfers that pending events name.
func (j *judge) lookUpShipments(ctx context.Context) error {
	found, asked, err := lookUpPapers[shipment](ctx, j, selectShipments, func(e *inventory.Event) string {
		return e.Transfer
	})
	for _, t := range found {
		asked[t.Ord-1].shipment = t
	}
	return err
}

// lookUpPapers asks for what pending events name, if they name something.
func lookUpPapers[T any](
	ctx context.Context, j *judge, sql string, name func(*inventory.Event) string,
) (found []*T, asked []*pendingEffect, err error) {
	var tenants, names []string
	for _, p := range j.effects.pending {
		if n := name(p.e); n != "" {
			tenants, names, asked = append(tenants, p.in.Tenant), append(names, n), append(asked, p)
		}
	}
	if len(asked) == 0 {
		return nil, nil, nil
	}
	rows, err := j.v.snapshot.tx.Query(ctx, sql, tenants, names)
	if err != nil {
		return nil, nil, err
	}
	found, err = pgx.CollectRows(rows, pgx.RowToAddrOfStructByName[T])
	return found, asked, err
}

// comparePapers: a reservation or transfer is what the events made it that name it.
func (j *judge) comparePapers(p *pendingEffect) {
	differ := func(expected, found string) { j.differ("I1", p.in.Offset, p.in.String()+" with "+expected, found) }
	switch p.e.Kind {
	case inventory.Reserved, inventory.Released, inventory.Fulfilled:
		name := fmt.Sprintf("reservation %q", p.e.Reservation)
		switch {
		case p.promise == nil:
			differ(name, "no row")
		case p.e.Kind == inventory.Reserved:
			if p.in.own() > 0 && p.in.early == 0 && !p.promise.madeBy(p.in) {
				differ(name+", made by it", p.promise.maker.String())
			}
		case len(p.e.Lines) == 0 && p.promise.State == open:
			differ(name+" closed", open)
		}
	case inventory.Transferred, inventory.TransferReceived:
		if p.e.Transfer != "" {
			p.compareShipment(differ)
		}
	}
}

func (m maker) String() string { return fmt.Sprintf("made by event %q from %q", m.EventID, m.Source) }

func (p *pendingEffect) compareShipment(differ func(expected, found string)) {
	t, name := p.shipment, fmt.Sprintf("transfer %q", p.e.Transfer)
	switch {
	case t == nil:
		differ(name, "no row")
	case p.e.Kind == inventory.TransferReceived:
		if t.State != received {
			differ(name+" received", t.State)
		} else if got := t.got(p.e); !slices.Equal(got, t.Received) {
			differ(fmt.Sprintf("%s received as %d of %q", name, got, t.SKUs), fmt.Sprint(t.Received))
		}
	case p.in.early == 0 && !t.madeBy(p.in):
		differ(name+", made by it", t.maker.String())
	default:
		skus, sent := sentBy(p.e)
		if t.Location != p.e.To || !slices.Equal(t.SKUs, skus) || !slices.Equal(t.Sent, sent) {
			differ(fmt.Sprintf("%s of %d of %q to %q", name, sent, skus, p.e.To),
				fmt.Sprintf("%d of %q to %q", t.Sent, t.SKUs, t.Location))
		}
	}
}

// sentBy is what a transfer sends of each SKU.
func sentBy(e *inventory.Event) (skus []string, sent []int64) {
	for _, w := range destinations(e) {
		skus, sent = append(skus, w.sku), append(sent, w.quantity)
	}
	return skus, sent
}

// got is what e says that came, for each SKU that was sent: all if it does not say, and nothing of those that it leaves
// out.
func (t *shipment) got(e *inventory.Event) []int64 {
	if len(e.Lines) == 0 {
		return t.Sent
	}
	got := make([]int64, len(t.SKUs))
	for _, l := range e.Lines {
		if i := slices.Index(t.SKUs, l.SKU); i >= 0 {
			got[i] = l.Quantity
		}
	}
	return got
}

// arrival is what e moves where the goods come in.
func (t *shipment) arrival(e *inventory.Event) []*want {
	var wants []*want
	got := t.got(e)
	for i, sku := range t.SKUs {
		w := &want{kind: e.Kind, sku: sku, location: t.Location, quantity: got[i], onHand: got[i]}
		w.change.InTransit = -t.Sent[i]
		wants = append(wants, w)
	}
	slices.SortFunc(wants, func(a, b *want) int { return strings.Compare(a.sku, b.sku) })
	return wants
}
