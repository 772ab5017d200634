package inventory

import (
	"hash/maphash"
	"iter"

	"onhand/inbox"
)

var wantedSeed = maphash.MakeSeed()

// Of so many rows or more a sample is enough: who shares many with another batch shares some of the sample.
const (
	fewRows  = 64
	oneIn    = 8 // rows
	tailSize = 4 // bytes of a SKU that say if it belongs to the sample: its last ones, where SKUs differ most
)

// Want implements inbox.Contender. It yields rows of stock alone: events of one reservation or transfer mostly come
// from one partition, and batches with few rows in common may as well meet in the database.
func (h *Handler) Want(items []*inbox.Item) iter.Seq[uint64] {
	h.collect(items)
	h.collected = true
	return func(yield func(uint64) bool) {
		for i := range h.keys {
			k := &h.keys[i]
			if len(h.keys) >= fewRows && !sampled(k.sku) {
				continue
			}
			if !yield(maphash.Comparable(wantedSeed, *k)) {
				return
			}
		}
	}
}

// sampled is the same for a SKU in all batches.
func sampled(sku string) bool {
	n := uint32(0)
	for i := max(len(sku)-tailSize, 0); i < len(sku); i++ {
		n = n*31 + uint32(sku[i])
	}
	return n%oneIn == 0
}
