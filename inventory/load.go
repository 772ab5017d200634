package inventory

import (
	"slices"
	"strings"

	"onhand/inbox"
)

// collect lists what the items need: the SKUs that they define, the stock rows that they may move, and the reservations
// and transfers that they name, each sorted bytewise, which is how collate "C" sorts.
func (h *Handler) collect(items []*inbox.Item) {
	h.fold.reset()
	h.refs.reset()
	h.keys, h.defs, h.topic, h.moves, h.taken = h.keys[:0], h.defs[:0], "", 0, 0
	h.counted, h.ahead = false, nil
	h.foresee(items)
	for _, item := range items {
		item.Blocked = false
		e, ok := item.Body.(*Event)
		if !ok {
			continue // Apply says so
		}
		if h.topic == "" {
			h.topic = item.Record.Topic
		}
		if e.Kind == Defined {
			if k := (skuKey{item.Tenant, e.Definition.SKU}); h.fold.skus[k] == nil {
				h.fold.sku(k)
				h.defs = append(h.defs, k)
			}
			continue
		}
		h.counted = h.counted || !e.CountedAt.IsZero()
		lines := len(e.Lines)
		if e.Kind.takesApart() {
			lines = h.wantParts(item.Tenant, e)
		}
		h.note(item.Tenant, e)
		for i := 0; i < len(e.Lines) && e.Kind != TransferReceived; i++ { // where it arrives is the transfer's to say
			l := &e.Lines[i]
			h.want(stockKey{item.Tenant, l.SKU, l.Location})
			if e.Kind == Transferred {
				h.want(stockKey{item.Tenant, l.SKU, e.To})
			}
		}
		h.moves += e.moves(lines)
	}
	slices.SortFunc(h.keys, stockKey.compare)
	slices.SortFunc(h.defs, skuKey.compare)
	h.refs.sort()
}

// moves is how many movements e makes at most, and a later event of its batch that names no lines may make of e's, of
// which there are so many when bundles are taken apart.
func (e *Event) moves(lines int) int {
	switch {
	case e.Kind == Transferred && e.Transfer != "":
		return 3 * lines
	case e.Kind == Transferred, e.Kind == Reserved:
		return 2 * lines
	}
	return lines
}

// weight is about how many rows e needs; of those that only the database knows, as many as hints say: usual is how many
// lines a reservation or transfer has.
func (e *Event) weight(tenant string, hinted map[skuKey][]string, usual int) int {
	n := len(e.Lines)
	switch {
	case e.Kind == Transferred:
		return 2 * n
	case e.Kind == TransferReceived, n == 0 && e.Kind != Defined:
		return usual
	case e.Kind.takesApart() && len(hinted) > 0:
		for i := range e.Lines {
			n += len(hinted[skuKey{tenant, e.Lines[i].SKU}])
		}
	}
	return n
}

// want adds a row of stock to those that the batch may move.
func (h *Handler) want(k stockKey) {
	if h.fold.rows[k] == nil {
		h.fold.rows[k] = h.fold.space.row(k)
		h.keys = append(h.keys, k)
	}
}

func (k stockKey) compare(other stockKey) int {
	if c := k.skuKey().compare(other.skuKey()); c != 0 {
		return c
	}
	return strings.Compare(k.location, other.location)
}

func (k skuKey) compare(other skuKey) int {
	if c := strings.Compare(k.tenant, other.tenant); c != 0 {
		return c
	}
	return strings.Compare(k.sku, other.sku)
}

// markBlocked marks the items that need a row which another client holds.
func (h *Handler) markBlocked(items []*inbox.Item) {
	for _, item := range items {
		if e, ok := item.Body.(*Event); ok {
			item.Blocked = h.blocked(item.Tenant, e)
		}
	}
}

func (h *Handler) blocked(tenant string, e *Event) bool {
	if e.Kind == Defined {
		s := h.fold.skus[skuKey{tenant, e.Definition.SKU}]
		return s.blocked || slices.ContainsFunc(s.rows, func(r *stockRow) bool { return r.blocked })
	}
	for _, l := range e.Lines {
		if h.held(stockKey{tenant, l.SKU, l.Location}) || h.held(stockKey{tenant, l.SKU, e.To}) {
			return true
		}
		if e.Kind.takesApart() && h.heldParts(stockKey{tenant, l.SKU, l.Location}) {
			return true
		}
	}
	if r := h.fold.reservations[refKey{tenant, e.Reservation}]; r != nil && h.heldFor(r) {
		return true
	}
	if t := h.fold.transfers[refKey{tenant, e.Transfer}]; t != nil {
		held := func(sku string) bool { return h.held(stockKey{tenant, sku, t.to}) }
		if t.blocked || slices.ContainsFunc(t.skus, held) {
			return true
		}
	}
	return false
}

// heldFor says whether another client holds r, or a row of stock that it has a line of.
func (h *Handler) heldFor(r *reservationRow) bool {
	return r.blocked || slices.ContainsFunc(r.lines, func(l Line) bool {
		return h.held(stockKey{r.key.tenant, l.SKU, l.Location})
	})
}

// held says whether that row of stock is held by another client.
func (h *Handler) held(k stockKey) bool {
	r := h.fold.rows[k]
	return r != nil && r.blocked
}

// storedPolicy is a policy as the database has it.
func storedPolicy(backorder []byte, limit *int64) Policy {
	p := Policy{}
	p.Backorder, _ = backorderNamed(backorder) // a CHECK allows no others
	if limit != nil {
		p.Max = *limit
	}
	return p
}

// limitColumn is what backorder_limit holds under p.
func (p Policy) limitColumn() *int64 {
	if p.Backorder != Limit {
		return nil
	}
	return &p.Max
}
