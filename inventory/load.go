package inventory

import (
	"slices"
	"strings"

	"onhand/inbox"
)

// collect lists what the items need: the SKUs that they define, and the stock rows that they may move, each sorted
// bytewise, which is how collate "C" sorts. It returns how many items may move stock.
func (h *Handler) collect(items []*inbox.Item) (moving int) {
	h.fold.reset()
	h.keys, h.defs, h.topic = h.keys[:0], h.defs[:0], ""
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
			if k := (skuKey{item.Tenant, e.SKU}); h.fold.skus[k] == nil {
				h.fold.sku(k)
				h.defs = append(h.defs, k)
			}
			continue
		}
		moving++
		if k := (stockKey{item.Tenant, e.SKU, e.Line.Location}); h.fold.rows[k] == nil {
			h.fold.rows[k] = &stockRow{key: k}
			h.keys = append(h.keys, k)
		}
	}
	slices.SortFunc(h.keys, stockKey.compare)
	slices.SortFunc(h.defs, skuKey.compare)
	return moving
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
		e, ok := item.Body.(*Event)
		switch {
		case !ok:
		case e.Kind == Defined:
			s := h.fold.skus[skuKey{item.Tenant, e.SKU}]
			item.Blocked = s.blocked || slices.ContainsFunc(s.rows, func(r *stockRow) bool { return r.blocked })
		default:
			item.Blocked = h.fold.rows[stockKey{item.Tenant, e.SKU, e.Line.Location}].blocked
		}
	}
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
