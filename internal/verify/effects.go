package verify

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"onhand/inventory"
)

// effects are those that cannot be judged yet. They are judged together, so many movements at a time.
type effects struct {
	pending []*pendingEffect
	size    int
}

// pendingEffect is an applied event, its movements, and the papers that it names.
type pendingEffect struct {
	e        *inventory.Event
	in       *inboxRow
	promise  *promise
	shipment *shipment
	bundles  map[string]*bundle // of the SKUs of which it moved nothing
}

func (s *effects) add(e *inventory.Event, in *inboxRow) {
	s.pending = append(s.pending, &pendingEffect{e: e, in: in})
	s.size += max(1, len(e.Lines), len(in.moves))
}

// lookUpEffects judges what is pending.
func (j *judge) lookUpEffects(ctx context.Context) error {
	if len(j.effects.pending) == 0 {
		return nil
	}
	if err := j.lookUpChanges(ctx); err != nil {
		return fmt.Errorf("look up movements: %w", err)
	}
	if err := j.lookUpPromises(ctx); err != nil {
		return fmt.Errorf("look up reservations: %w", err)
	}
	if err := j.lookUpShipments(ctx); err != nil {
		return fmt.Errorf("look up transfers: %w", err)
	}
	if err := j.lookUpBundles(ctx); err != nil {
		return fmt.Errorf("look up bundles: %w", err)
	}
	for _, p := range j.effects.pending {
		j.comparePapers(p)
		j.compareMoves(p)
	}
	clear(j.effects.pending)
	j.effects = effects{pending: j.effects.pending[:0]}
	return nil
}

// What stock had beside on hand before a movement: what the one before says, or the opening balance that stands for it.
const selectBefore = `
select e.ord, coalesce(m.reserved, 0), coalesce(m.damaged, 0), coalesce(m.in_transit, 0)
from unnest($1::text[], $2::text[], $3::text[], $4::bigint[])
  with ordinality as e (tenant, sku, location, version, ord)
cross join lateral (
  select m.reserved, m.damaged, m.in_transit
  from movements m
  where m.tenant = e.tenant and m.sku = e.sku and m.location = e.location and m.version = e.version
  union all
  select a.reserved, a.damaged, a.in_transit
  from movements_archive a
  where a.tenant = e.tenant and a.sku = e.sku and a.location = e.location and a.version = e.version
  limit 1
) m`

// lookUpChanges says of all pending movements what they changed beside what is on hand.
func (j *judge) lookUpChanges(ctx context.Context) error {
	var tenants, skus, locations []string
	var versions []int64
	var asked []*move
	for _, p := range j.effects.pending {
		for i := range p.in.moves {
			m := &p.in.moves[i]
			if m.Version == 1 {
				m.change = &m.after
				continue
			}
			tenants, skus, locations = append(tenants, p.in.Tenant), append(skus, m.SKU), append(locations, m.Location)
			versions, asked = append(versions, m.Version-1), append(asked, m)
		}
	}
	rows, err := j.v.snapshot.tx.Query(ctx, selectBefore, tenants, skus, locations, versions)
	if err != nil {
		return err
	}
	var ord int64
	var b beside
	_, err = pgx.ForEachRow(rows, []any{&ord, &b.Reserved, &b.Damaged, &b.InTransit}, func() error {
		m := asked[ord-1]
		m.change = &beside{m.after.Reserved - b.Reserved, m.after.Damaged - b.Damaged, m.after.InTransit - b.InTransit}
		return nil
	})
	return err
}

// compareMoves: one movement for each line, and no other.
func (j *judge) compareMoves(p *pendingEffect) {
	wants, known := p.wants()
	if !known {
		j.compareUnknown(p)
		return
	}
	in := p.in
	if in.early == in.count && in.own() > len(wants) {
		return // an event that was forgotten and came again: nobody can tell which are this row's
	}
	f := compareAll(wants, in.ownMoves())
	if j.v.report.Ledger.Removed > 0 {
		for _, w := range f.missing {
			j.remove(p, w)
		}
		f.missing = nil
	}
	switch {
	case f.none():
	case len(wants) == 0:
		j.differ("I1", in.Offset, in.String()+" with no movement", movements(in))
	case len(wants) == 1:
		j.differ("I1", in.Offset, in.String()+" with one movement, "+wants[0].String(), movements(in))
	default:
		f.each(func(expected, found string) { j.differ("I1", in.Offset, in.String()+" with "+expected, found) })
	}
}

// compareUnknown: what an event moves that leaves it to its reservation, or to a bundle that has been defined again
// since, is not on record. It is one movement of each row of stock; by how much is only known of all events of all
// reservations together.
func (j *judge) compareUnknown(p *pendingEffect) {
	in, kind := p.in, p.e.Kind.String()
	own := in.ownMoves()
	switch {
	case len(own) > 0:
	case j.v.report.Ledger.Removed > 0:
		j.removed++
	default:
		j.differ("I1", in.Offset, in.String()+" with a movement, "+kind, movements(in))
	}
	for i := range own {
		again := i > 0 && own[i].SKU == own[i-1].SKU && own[i].Location == own[i-1].Location
		if again && in.early < in.count || own[i].Kind != kind {
			j.differ("I1", in.Offset, fmt.Sprintf("%s with one movement, %s, of %q at %q", in, kind, own[i].SKU,
				own[i].Location), own[i].String())
		}
	}
}

// remove asks whether the movement of p that w says may have been archived and removed.
func (j *judge) remove(p *pendingEffect, w *want) {
	in, b := p.in, p.bundles[w.sku]
	j.removals = append(j.removals, removal{
		offset: in.Offset, tenant: in.Tenant, sku: w.sku, location: w.location, version: w.version,
		row: in.String(), expected: "one movement, " + w.String(), perhaps: b != nil && !b.Unchanged,
	})
}
