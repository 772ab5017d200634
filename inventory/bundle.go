package inventory

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
)

// errUnforeseen says that a bundle has parts that Load did not know of, because the hint about it was missing or old.
var errUnforeseen = errors.New("a bundle's parts were not foreseen")

// takesApart says whether events of this kind move the parts of a bundle in its place.
func (k Kind) takesApart() bool { return k == Sold || k == Returned || k == Reserved }

// isBundle says whether there can be no such row, because its SKU is a bundle. Who may create the row has locked the
// SKU, and a SKU that has a row somewhere cannot become a bundle.
func (r *stockRow) isBundle() bool { return r.sku != nil && len(r.sku.bundle) > 0 }

func (p *plan) isBundle(l Line) bool {
	r := p.f.rows[stockKey{p.o.tenant, l.SKU, l.Location}]
	return r != nil && r.isBundle()
}

// share is a line on its way to being one of parts. Its quantity is of 64 bits, without a sign, and saturates there:
// that is more than any row of stock can give, however far below zero it may go.
type share struct {
	Line
	quantity uint64
}

// apart puts the parts of bundles in the place of these: so many of each, where the line is. Lines of one SKU and
// location, of several bundles or asked for by themselves, are added then, and come in the order of all lines.
func (p *plan) apart(lines []Line) []Line {
	if !p.f.bundles || !slices.ContainsFunc(lines, p.isBundle) {
		return lines
	}
	if p.countParts(lines) > maxEventParts {
		p.refuse(tooManyParts)
		return nil
	}
	var shares []share
	for _, l := range lines {
		if p.isBundle(l) {
			shares = p.addParts(shares, l)
		} else {
			shares = append(shares, share{l, uint64(l.Quantity)})
		}
		if p.over() {
			return nil
		}
	}
	slices.SortStableFunc(shares, func(a, b share) int { return a.compare(b.Line) })
	sums := shares[:0]
	for _, s := range shares {
		if n := len(sums); n > 0 && sums[n-1].compare(s.Line) == 0 {
			sums[n-1].add(s)
		} else {
			sums = append(sums, s)
		}
	}
	return p.linesOf(sums)
}

// maxEventParts bounds what the lines of an event may come to when bundles are taken apart: as many rows of stock are
// locked and written at once as is done well within a transaction's timeouts.
const maxEventParts = 10_000

// countParts is how many lines these come to.
func (p *plan) countParts(lines []Line) (n int) {
	for _, l := range lines {
		if p.isBundle(l) {
			n += len(p.f.rows[stockKey{p.o.tenant, l.SKU, l.Location}].sku.bundle)
		} else {
			n++
		}
	}
	return n
}

// addParts adds what l asks of the parts of its bundle.
func (p *plan) addParts(shares []share, l Line) []share {
	sku := p.f.rows[stockKey{p.o.tenant, l.SKU, l.Location}].sku
	if l.IfVersion != AnyVersion && l.IfVersion != 0 { // that of the row that a bundle has not
		p.refuseLine(versionMismatch, l)
		return nil
	}
	// Fewer ids were drawn than it may take, even if its rows are here for another event.
	if len(sku.bundle) > len(p.f.foreseen[sku.key]) {
		p.fail(fmt.Errorf("bundle %q: %w", l.SKU, errUnforeseen))
		return nil
	}
	for _, part := range sku.bundle {
		row, ok := p.f.rows[stockKey{p.o.tenant, part.SKU, l.Location}]
		switch {
		case !ok:
			p.fail(fmt.Errorf("part %q of bundle %q: %w", part.SKU, l.SKU, errUnforeseen))
			return nil
		case row.isBundle():
			p.refuseLine(bundleOfBundle, l)
			return nil
		}
		high, quantity := bits.Mul64(uint64(l.Quantity), uint64(part.Quantity)) // both are more than 0
		if high > 0 {
			quantity = math.MaxUint64
		}
		shares = append(shares, share{Line{part.SKU, l.Location, 0, AnyVersion}, quantity})
	}
	return shares
}

// add adds what another line asks of the same row. At most one of them asks for a version: a bundle does not.
func (s *share) add(other share) {
	sum, carry := bits.Add64(s.quantity, other.quantity, 0)
	if carry > 0 {
		sum = math.MaxUint64
	}
	s.quantity, s.IfVersion = sum, max(s.IfVersion, other.IfVersion) // AnyVersion is less than all versions
}

// linesOf makes lines of shares, and notes those whose quantities these cannot hold.
func (p *plan) linesOf(shares []share) []Line {
	lines := make([]Line, len(shares))
	for i, s := range shares {
		s.Line.Quantity = int64(s.quantity)
		lines[i] = s.Line
		if s.quantity > math.MaxInt64 {
			if p.vast == nil {
				p.vast = make([]uint64, len(shares))
			}
			p.vast[i] = s.quantity
		}
	}
	return lines
}
