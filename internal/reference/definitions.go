package reference

import (
	"cmp"
	"math/big"
	"slices"
	"strings"
)

// SKU is what is known of a SKU. One that was stocked and never defined denies backorders, and has nothing else.
type SKU struct {
	Backorder string // deny, allow or limit
	Limit     int64
	Name      string // empty = none, as of Unit
	Unit      string
	LowStock  *int64
	Bundle    []Part // in the order of their SKUs
}

// Part is so many of a SKU in one of a bundle.
type Part struct {
	SKU      string
	Quantity int64
}

// allows says whether so much may be there under the SKU's policy.
func (d SKU) allows(quantity *big.Int) bool {
	switch d.Backorder {
	case "allow":
		return true
	case "limit":
		return quantity.Cmp(new(big.Int).Neg(big.NewInt(d.Limit))) >= 0
	default:
		return quantity.Sign() >= 0
	}
}

// define replaces what is known of a SKU.
func (i *Installation) define(e *event) (reason string, why refused) {
	key := SKUKey{e.Identity.Tenant, e.SKU}
	d := SKU{
		Backorder: cmp.Or(e.Backorder, "deny"), Limit: e.Limit, Name: e.Name, Unit: e.Unit, LowStock: e.LowStock,
	}
	for _, p := range e.Bundle {
		d.Bundle = append(d.Bundle, Part(p))
	}
	slices.SortFunc(d.Bundle, func(a, b Part) int { return strings.Compare(a.SKU, b.SKU) })
	rows := i.rowsOf(key)
	if len(d.Bundle) > 0 && len(rows) > 0 {
		return "has_stock", refused{}
	}
	for _, at := range rows {
		if r := i.Stock[at]; !d.allows(big.NewInt(r.OnHand)) {
			return "policy_conflict", refused{at: at, row: &r}
		}
	}
	i.SKUs[key] = d
	return "", refused{}
}

// rowsOf are where a SKU has rows, in order.
func (i *Installation) rowsOf(key SKUKey) []Place {
	var rows []Place
	for at := range i.Stock {
		if at.skuKey() == key {
			rows = append(rows, at)
		}
	}
	slices.SortFunc(rows, Place.compare)
	return rows
}

func (i *Installation) isBundle(at Place) bool { return len(i.SKUs[at.skuKey()].Bundle) > 0 }

// mostParts is how many lines an event may have when its bundles are taken apart.
const mostParts = 10_000

// parts is how many lines these are then; without bundles it does not matter.
func (s *step) parts(lines []line) (n int) {
	for _, l := range lines {
		n += max(1, len(s.world.SKUs[s.place(l.item).skuKey()].Bundle))
	}
	return n
}

// apart puts the parts of bundles in the place of these: so many of each, where the line is. A bundle has no row, so
// the version that its line may ask for is 0.
func (s *step) apart(lines []line) (apart []line, reason string) {
	if total := s.parts(lines); total > mostParts {
		return nil, "too_many_parts"
	}
	sums := make(map[item]line)
	add := func(l line) {
		if sum, ok := sums[l.item]; ok {
			l.quantity = plus(l.quantity, sum.quantity)
			l.ifVersion = cmp.Or(l.ifVersion, sum.ifVersion)
		}
		sums[l.item] = l
	}
	for _, l := range lines {
		at := s.place(l.item)
		if !s.world.isBundle(at) {
			add(l)
			continue
		}
		if !l.versionHolds(0) {
			s.blame(l, "version_mismatch")
			return nil, "version_mismatch"
		}
		for _, p := range s.world.SKUs[at.skuKey()].Bundle {
			part := item{p.SKU, l.location}
			if s.world.isBundle(s.place(part)) {
				s.blame(l, "bundle_of_bundle")
				return nil, "bundle_of_bundle"
			}
			add(line{item: part, quantity: times(l.quantity, big.NewInt(p.Quantity))})
		}
	}
	return inOrder(sums), ""
}
