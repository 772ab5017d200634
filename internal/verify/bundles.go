package verify

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"onhand/inventory"
)

// bundle is what the tables say of a SKU of which an event moved nothing itself, because it was a bundle, perhaps.
type bundle struct {
	Ord        int64    `db:"ord"`
	SKUs       []string `db:"skus"` // its parts, now; empty = it is none
	Quantities []int64  `db:"quantities"`
	Unchanged  bool     `db:"unchanged"` // since before the event: it was then what it is now
	Stocked    bool     `db:"stocked"`   // since before the event: it was no bundle then
}

// Times in the tables are those at which transactions began, and one that began earlier may have come later. None takes
// a minute. When an event was of which no movement is left is not known; a SKU that has stock is taken for one that had
// it then, if nothing speaks against that.
const selectBundles = `
select e.ord, coalesce(k.bundle_skus, '{}') as skus, coalesce(k.bundle_quantities, '{}') as quantities,
       coalesce(k.updated_at < m.recorded_at - interval '1 minute', false) as unchanged,
       exists (
         select from stock s
         left join lateral (
           select f.recorded_at from ` + everyMovement + ` f
           where f.tenant = s.tenant and f.sku = s.sku and f.location = s.location and f.version = 1
         ) f on true
         where s.tenant = e.tenant and s.sku = e.sku
           and (m.recorded_at is null or f.recorded_at < m.recorded_at - interval '1 minute')
       ) as stocked
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[])
  with ordinality as e (tenant, sku, moved_sku, moved_location, moved_version, ord)
cross join lateral (
  select k.bundle_skus, k.bundle_quantities, k.updated_at
  from skus k
  where k.tenant = e.tenant and k.sku = e.sku
  offset 0
) k
left join lateral (
  select m.recorded_at from ` + everyMovement + ` m
  where m.tenant = e.tenant and m.sku = e.moved_sku and m.location = e.moved_location and m.version = e.moved_version
  limit 1
) m on true`

// lookUpBundles asks about the lines of pending events that moved nothing, where a bundle's parts may have moved.
func (j *judge) lookUpBundles(ctx context.Context) error {
	var tenants, skus, movedSKUs, movedLocations []string
	var movedVersions []int64
	var asked []*pendingEffect
	for _, p := range j.effects.pending {
		if !takesApart(p.e.Kind) {
			continue
		}
		own := p.in.ownMoves()
		first := move{}
		if len(own) > 0 {
			first = own[0]
		}
		for _, l := range p.e.Lines {
			if !hasMoved(own, l) && p.bundles[l.SKU] == nil {
				p.ask(l.SKU)
				tenants, skus, asked = append(tenants, p.in.Tenant), append(skus, l.SKU), append(asked, p)
				movedSKUs, movedLocations = append(movedSKUs, first.SKU), append(movedLocations, first.Location)
				movedVersions = append(movedVersions, first.Version)
			}
		}
	}
	if len(asked) == 0 {
		return nil
	}
	rows, err := j.v.snapshot.tx.Query(ctx, selectBundles, tenants, skus, movedSKUs, movedLocations, movedVersions)
	if err != nil {
		return err
	}
	found, err := pgx.CollectRows(rows, pgx.RowToAddrOfStructByName[bundle])
	for _, b := range found {
		asked[b.Ord-1].bundles[skus[b.Ord-1]] = b
	}
	return err
}

// takesApart says whether events of this kind move the parts of a bundle in its place.
func takesApart(k inventory.Kind) bool {
	return k == inventory.Sold || k == inventory.Returned || k == inventory.Reserved
}

func hasMoved(own []move, l inventory.Line) bool {
	_, ok := slices.BinarySearchFunc(own, l, func(m move, l inventory.Line) int {
		return cmp.Or(strings.Compare(m.SKU, l.SKU), strings.Compare(m.Location, l.Location))
	})
	return ok
}

// ask notes that what is known of that SKU matters; until there is an answer, it is that there is no such SKU.
func (p *pendingEffect) ask(sku string) {
	if p.bundles == nil {
		p.bundles = make(map[string]*bundle)
	}
	p.bundles[sku] = &bundle{Unchanged: true}
}

// apart puts the parts of bundles in the place of these, as inventory does. It is known what they were if no definition
// may have come since, or if what they are now explains what moved.
func (p *pendingEffect) apart() (lines []inventory.Line, known bool) {
	own, known := p.in.ownMoves(), true
	for _, l := range p.e.Lines {
		b := p.bundles[l.SKU]
		switch {
		case b == nil || b.Stocked || b.Unchanged && len(b.SKUs) == 0 || hasMoved(own, l):
			lines = append(lines, l)
			continue
		case len(b.SKUs) == 0:
			return nil, false
		}
		known = known && b.Unchanged
		for i, sku := range b.SKUs {
			lines = append(lines, inventory.Line{
				SKU: sku, Location: l.Location, Quantity: l.Quantity * b.Quantities[i], IfVersion: inventory.AnyVersion,
			})
		}
	}
	lines = addUp(lines)
	if !known {
		f := compareAll(wantsOf(p.e, lines), own)
		known = f.none()
	}
	return lines, known
}

// addUp sorts lines and makes one of those that are of one SKU and location.
func addUp(lines []inventory.Line) []inventory.Line {
	slices.SortStableFunc(lines, func(a, b inventory.Line) int {
		return cmp.Or(strings.Compare(a.SKU, b.SKU), strings.Compare(a.Location, b.Location))
	})
	sums := lines[:0]
	for _, l := range lines {
		n := len(sums)
		if n == 0 || sums[n-1].SKU != l.SKU || sums[n-1].Location != l.Location {
			sums = append(sums, l)
			continue
		}
		sums[n-1].Quantity += l.Quantity
		sums[n-1].IfVersion = max(sums[n-1].IfVersion, l.IfVersion) // AnyVersion is less than all
	}
	return sums
}
