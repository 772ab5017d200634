package reference

import (
	"maps"
	"math/big"
	"slices"
)

// Transfer is goods on their way, or arrived.
type Transfer struct {
	State State
	To    string
	Sent  map[string]int64 // by SKU
	Got   map[string]int64 // of the same SKUs; nil = not received yet
}

func (s *step) transferred(e *event) (reason string) {
	key := PartyKey{s.event.Tenant, e.Transfer}
	if _, exists := s.world.Transfers[key]; exists && e.Transfer != "" {
		return "transfer_exists"
	}
	sent := make(map[string]*big.Int)
	reason = s.each(e.lines, func(l line, r *amounts) string {
		if !s.allows(l.sku, minus(r.available(), l.quantity)) {
			return "insufficient_stock"
		}
		r.onHand = minus(r.onHand, l.quantity)
		to := s.row(s.place(item{l.sku, e.To}))
		if e.Transfer == "" {
			to.onHand = plus(to.onHand, l.quantity)
			return ""
		}
		to.inTransit = plus(to.inTransit, l.quantity)
		if sent[l.sku] == nil {
			sent[l.sku] = new(big.Int)
		}
		sent[l.sku] = plus(sent[l.sku], l.quantity)
		return ""
	})
	if reason != "" {
		return reason
	}
	if e.Transfer != "" {
		t := Transfer{StateSent, e.To, make(map[string]int64), nil}
		for sku, quantity := range sent {
			t.Sent[sku] = quantity.Int64() // it fits: all of it is in transit at one place
		}
		s.world.Transfers[key] = t
	}
	s.commit()
	return ""
}

func (s *step) transferReceived(e *event) (reason string) {
	key := PartyKey{s.event.Tenant, e.Transfer}
	t, exists := s.world.Transfers[key]
	switch {
	case !exists:
		return "unknown_transfer"
	case t.State != StateSent:
		return "transfer_closed"
	}
	got := make(map[string]int64)
	lines := make([]line, 0, len(t.Sent))
	for _, l := range e.lines {
		got[l.sku] = l.quantity.Int64()
		lines = append(lines, line{item: item{l.sku, t.To}, quantity: l.quantity})
	}
	if len(e.lines) == 0 {
		got = maps.Clone(t.Sent)
	}
	for _, sku := range slices.Sorted(maps.Keys(t.Sent)) {
		if !slices.ContainsFunc(lines, func(l line) bool { return l.sku == sku }) {
			lines = append(lines, line{item: item{sku, t.To}, quantity: big.NewInt(got[sku])})
			got[sku] += 0 // none of it came, and that is kept
		}
	}
	reason = s.each(lines, func(l line, r *amounts) string {
		sent, ok := t.Sent[l.sku]
		if !ok {
			return "not_in_transfer"
		}
		r.inTransit = minus(r.inTransit, big.NewInt(sent))
		r.onHand = plus(r.onHand, l.quantity)
		return ""
	})
	if reason != "" {
		return reason
	}
	t.State, t.Got = StateReceived, got
	s.world.Transfers[key] = t
	s.commit()
	return ""
}
