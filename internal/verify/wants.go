package verify

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"onhand/inventory"
)

// wants are the movements that p must have, by SKU and location; known is false where its record leaves that to a
// reservation, a transfer or a bundle that does not say it any more.
func (p *pendingEffect) wants() (wants []*want, known bool) {
	e := p.e
	switch e.Kind {
	case inventory.Reserved:
		// If it is not the one that made the reservation, it changed the deadline.
		if p.promise != nil && !p.promise.madeBy(p.in) && p.in.own() == 0 {
			return nil, true
		}
	case inventory.Released, inventory.Fulfilled:
		if len(e.Lines) == 0 {
			return nil, false
		}
	case inventory.TransferReceived:
		if p.shipment == nil || p.shipment.State != received {
			return nil, false
		}
		return p.shipment.arrival(e), true
	}
	if len(p.bundles) > 0 {
		lines, known := p.apart()
		return wantsOf(e, lines), known
	}
	wants = wantsOf(e, e.Lines)
	if e.Kind == inventory.Transferred {
		wants = append(wants, destinations(e)...)
		slices.SortFunc(wants, (*want).compare)
	}
	return wants, true
}

// wantsOf are the movements of lines at their own rows of stock.
func wantsOf(e *inventory.Event, lines []inventory.Line) []*want {
	wants := make([]*want, len(lines))
	for i, l := range lines {
		w := lineOf(e, l)
		wants[i] = &w
	}
	return wants
}

func (w *want) compare(other *want) int {
	return cmp.Or(strings.Compare(w.sku, other.sku), strings.Compare(w.location, other.location))
}

// destinations is what a transfer does where it goes to, once for each SKU; the lines are in the order of SKUs.
func destinations(e *inventory.Event) []*want {
	var wants []*want
	for _, l := range e.Lines {
		if n := len(wants); n == 0 || wants[n-1].sku != l.SKU {
			wants = append(wants, &want{kind: e.Kind, sku: l.SKU, location: e.To})
		}
		w := wants[len(wants)-1]
		w.quantity += l.Quantity
		if e.Transfer == "" {
			w.onHand = w.quantity
		} else {
			w.change.InTransit = w.quantity
		}
	}
	return wants
}

// findings are how movements differ from those that are wanted.
type findings struct {
	missing []*want
	wrong   []pair
	extra   []*move
}

// pair is a movement that is not as it is wanted.
type pair struct {
	want *want
	move *move
}

func (f *findings) none() bool { return len(f.missing)+len(f.wrong)+len(f.extra) == 0 }

// compareAll goes through both in the order of SKU and location.
func compareAll(wants []*want, moves []move) (f findings) {
	for i := range moves {
		m := &moves[i]
		at := &want{sku: m.SKU, location: m.Location}
		for len(wants) > 0 && wants[0].compare(at) < 0 {
			f.missing, wants = append(f.missing, wants[0]), wants[1:]
		}
		switch {
		case len(wants) == 0 || wants[0].compare(at) != 0:
			f.extra = append(f.extra, m)
			continue
		case !wants[0].fits(m):
			f.wrong = append(f.wrong, pair{wants[0], m})
		}
		wants = wants[1:]
	}
	f.missing = append(f.missing, wants...)
	return f
}

// each calls differ for each finding.
func (f *findings) each(differ func(expected, found string)) {
	for _, w := range f.missing {
		differ("a movement, "+w.String(), "no movement of that")
	}
	for _, p := range f.wrong {
		differ("a movement, "+p.want.String(), p.move.String())
	}
	for _, m := range f.extra {
		differ(fmt.Sprintf("no other movement of %q at %q", m.SKU, m.Location), m.String())
	}
}
