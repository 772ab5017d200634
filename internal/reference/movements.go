package reference

import "math/big"

// allows says whether a SKU's policy lets so much be there.
func (s *step) allows(sku string, quantity *big.Int) bool {
	d := s.world.SKUs[SKUKey{s.event.Tenant, sku}]
	return d.allows(quantity)
}

func (s *step) received(e *event) (reason string) {
	return s.each(e.lines, func(l line, r *amounts) string {
		r.onHand = plus(r.onHand, l.quantity)
		return ""
	})
}

func (s *step) sold(e *event) (reason string) {
	lines, reason := s.apart(e.lines)
	if reason != "" {
		return reason
	}
	return s.each(lines, func(l line, r *amounts) string {
		if !s.allows(l.sku, minus(r.available(), l.quantity)) {
			return "insufficient_stock"
		}
		r.onHand = minus(r.onHand, l.quantity)
		return ""
	})
}

func (s *step) returned(e *event) (reason string) {
	lines, reason := s.apart(e.lines)
	if reason != "" {
		return reason
	}
	return s.each(lines, func(l line, r *amounts) string {
		if e.Condition == damaged {
			r.damaged = plus(r.damaged, l.quantity)
		} else {
			r.onHand = plus(r.onHand, l.quantity)
		}
		return ""
	})
}

const damaged = "damaged"

func (s *step) adjusted(e *event) (reason string) {
	return s.each(e.lines, func(l line, r *amounts) string {
		if e.Condition == damaged {
			r.damaged = plus(r.damaged, l.quantity)
			if r.damaged.Sign() < 0 {
				return "below_zero"
			}
			return ""
		}
		r.onHand = plus(r.onHand, l.quantity)
		if l.quantity.Sign() < 0 && !s.allows(l.sku, r.onHand) {
			return "below_zero"
		}
		return ""
	})
}

func (s *step) counted(e *event) (reason string) {
	return s.each(e.lines, func(l line, r *amounts) string {
		if e.CountedAt != nil && micros(*e.CountedAt).Before(s.world.Stock[s.place(l.item)].MovedAt) {
			return "count_outdated"
		}
		if e.Condition == damaged {
			r.damaged = l.quantity
		} else {
			r.onHand = l.quantity
		}
		return ""
	})
}
