package backlog

import (
	"cmp"
	"fmt"
	"slices"
)

// The states of a reservation.
const (
	Open      = "open"
	Fulfilled = "fulfilled"
	Released  = "released"
)

// Reservation is what one's row must be.
type Reservation struct {
	State   string
	Lines   []Line // that are open, in the order of their SKUs
	Refused bool   // if there are decisions, it is not there
}

func (b *Books) reserve(e *event) error {
	if b.Reservations[e.Reservation] != nil || len(e.Lines) == 0 {
		return fmt.Errorf("%s is reserved twice, or has no lines", e.Reservation)
	}
	lines := slices.SortedFunc(slices.Values(e.Lines), func(a, b Line) int { return cmp.Compare(a.SKU, b.SKU) })
	b.Reservations[e.Reservation] = &Reservation{State: Open, Lines: lines}
	return nil
}

// settle takes e's lines from its reservation, or all that is open if e names none, and returns them. What was refused
// is not settled by any workload.
func (b *Books) settle(e *event) ([]Line, error) {
	r := b.Reservations[e.Reservation]
	if r == nil || r.Refused || r.State != Open {
		return nil, fmt.Errorf("%s is not open", e.Reservation)
	}
	lines := e.lines()
	if len(lines) == 0 {
		lines = slices.Clone(r.Lines)
	}
	for _, l := range lines {
		i := slices.IndexFunc(r.Lines, func(open Line) bool { return open.SKU == l.SKU })
		if i < 0 || r.Lines[i].Quantity < l.Quantity {
			return nil, fmt.Errorf("%s has less of %s open than %d", e.Reservation, l.SKU, l.Quantity)
		}
		r.Lines[i].Quantity -= l.Quantity
	}
	r.Lines = slices.DeleteFunc(r.Lines, func(l Line) bool { return l.Quantity == 0 })
	if len(r.Lines) == 0 {
		r.Lines, r.State = nil, map[string]string{"stock.fulfilled": Fulfilled, "stock.released": Released}[e.Kind]
	}
	return lines, nil
}
