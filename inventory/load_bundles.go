package inventory

import (
	"fmt"
	"slices"
	"strconv"

	"onhand/inbox"
)

// bundleMemory is what a Handler knows of bundles beside what it reads under locks. It only says which rows to lock.
type bundleMemory struct {
	hinted map[skuKey][]string // what they said when Load began

	// The parts of bundles as Load read them last, and the time before that: what a batch is run again with. It must
	// be enough then, however many hints others have pushed out.
	read, before map[skuKey][]string

	wanted map[stockKey]bool // bundles of which the rows of the parts are among the batch's keys
}

// foresee starts a batch with what it says itself of bundles: what those that it defines may be made of is what they
// are now, as far as is known, and what any of its items makes of them.
func (h *Handler) foresee(items []*inbox.Item) {
	b := &h.bundles
	b.hinted = h.hints.now()
	b.read, b.before = b.before, b.read
	clear(b.read)
	clear(b.wanted)
	foreseen := h.fold.foreseen
	for _, item := range items {
		e, ok := item.Body.(*Event)
		if !ok || e.Kind != Defined || len(e.Definition.Bundle) == 0 {
			continue
		}
		k := skuKey{item.Tenant, e.Definition.SKU}
		if foreseen[k] == nil {
			foreseen[k] = slices.Clone(h.foreseen(k))
		}
		foreseen[k] = append(foreseen[k], partNames(e.Definition.Bundle)...)
	}
	for k, parts := range foreseen {
		slices.Sort(parts)
		foreseen[k] = slices.Compact(parts)
	}
}

// foreseen returns the parts of which SKU k may be made in this batch; nil if it is no bundle as far as is known.
func (h *Handler) foreseen(k skuKey) []string {
	if parts, ok := h.fold.foreseen[k]; ok {
		return parts
	}
	parts, ok := h.bundles.before[k]
	if !ok {
		parts, ok = h.bundles.hinted[k]
	}
	if ok {
		h.fold.foreseen[k] = parts
	}
	return parts
}

// wantParts adds the rows of the parts of e's bundles, as far as they are foreseen, to those that the batch may move,
// and returns how many lines e comes to at most. An event that will be refused for their number needs none.
func (h *Handler) wantParts(tenant string, e *Event) (lines int) {
	for i := range e.Lines {
		parts := h.foreseen(skuKey{tenant, e.Lines[i].SKU})
		lines += min(max(len(parts), 1), maxParts) // there are more of several definitions, of which one counts
	}
	if lines > maxEventParts {
		return len(e.Lines)
	}
	for i := range e.Lines {
		k := stockKey{tenant, e.Lines[i].SKU, e.Lines[i].Location}
		parts := h.foreseen(k.skuKey())
		if len(parts) == 0 || h.bundles.wanted[k] {
			continue
		}
		h.bundles.wanted[k] = true
		for _, sku := range parts {
			h.want(stockKey{tenant, sku, k.location})
		}
	}
	return lines
}

// takeBundle notes the parts in s's row: their SKUs, then as many quantities.
func (h *Handler) takeBundle(s *skuRow, column []string) error {
	if len(column) == 0 || s.bundled {
		return nil
	}
	n := len(column) / 2
	s.bundled, s.bundle = true, make([]Part, n)
	for i := range n {
		quantity, err := strconv.ParseInt(column[n+i], 10, 64)
		if err != nil {
			return fmt.Errorf("read bundle %q: %w", s.key.sku, err)
		}
		s.bundle[i] = Part{column[i], quantity}
	}
	h.fold.bundles = true
	h.bundles.read[s.key] = column[:n:n]
	return nil
}

// heldParts says whether a row is held by another client that a line of k may move if it is a bundle.
func (h *Handler) heldParts(k stockKey) bool {
	return slices.ContainsFunc(h.fold.foreseen[k.skuKey()], func(sku string) bool {
		return h.held(stockKey{k.tenant, sku, k.location})
	})
}

// learn hands on what was seen of bundles, and what became of those that the batch defines, if it was decided. That it
// may still be rolled back does not matter to hints.
func (h *Handler) learn(decided bool) {
	b := &h.bundles
	if len(b.read)+len(h.fold.foreseen) == 0 {
		return
	}
	seen := make(map[skuKey][]string)
	for k := range h.fold.foreseen {
		// There is no row of skus here if one of stock was found. Or if it was held: then nothing is known.
		if s := h.fold.skus[k]; !h.skips && (s == nil || !s.bundled) {
			seen[k] = nil
		}
	}
	for k, parts := range b.read {
		seen[k] = parts
	}
	if decided {
		clear(b.read) // it is not run again with what was read now
		for _, k := range h.defs {
			if s := h.fold.skus[k]; s.definition != nil {
				seen[k] = partNames(s.bundle)
			}
		}
	}
	news := make(map[skuKey][]string)
	for k, parts := range seen {
		if !slices.Equal(parts, b.hinted[k]) {
			news[k] = parts
		}
	}
	h.hints.learn(news)
}

func partNames(parts []Part) []string {
	names := make([]string, len(parts))
	for i, p := range parts {
		names[i] = p.SKU
	}
	return names
}
