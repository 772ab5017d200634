package backlog

import (
	"encoding/json"
	"fmt"
)

// Row is what one SKU's row of stock must be.
type Row struct {
	OnHand   int64
	Versions int64 // movements
}

// Books is what a topic's events come to, folded here from the topic alone: without the product's decoder, its
// decisions or its database. Each event counts once, in the order of its partition.
type Books struct {
	Records  int64
	Events   int64 // different ids; the other records are duplicates
	Applied  int64
	Rejected int64

	Decided map[string]Row // by SKU, if what would make stock negative is rejected
	Summed  map[string]Row // by SKU, if everything is applied

	seen map[string]struct{} // ids of the partition that is being read
}

func newBooks() *Books {
	return &Books{Decided: make(map[string]Row), Summed: make(map[string]Row), seen: make(map[string]struct{})}
}

// event is the part of one that matters here.
type event struct {
	ID       string `json:"id"`
	Kind     string `json:"kind"`
	SKU      string `json:"sku"`
	Quantity int64  `json:"quantity"`
}

// add enters the next event.
func (b *Books) add(value []byte) error {
	var e event
	if err := json.Unmarshal(value, &e); err != nil {
		return fmt.Errorf("fold an event: %w", err)
	}
	b.Records++
	if _, again := b.seen[e.ID]; again {
		return nil
	}
	b.seen[e.ID] = struct{}{}
	b.Events++
	delta := e.Quantity
	switch e.Kind {
	case "stock.received", "stock.adjusted":
	case "stock.sold":
		delta = -delta
	default:
		return fmt.Errorf("fold an event: the workload has no %s", e.Kind)
	}
	sum := b.Summed[e.SKU]
	b.Summed[e.SKU] = Row{sum.OnHand + delta, sum.Versions + 1}

	row := b.Decided[e.SKU]
	if delta < 0 && row.OnHand+delta < 0 {
		b.Rejected++
		return nil
	}
	b.Applied++
	b.Decided[e.SKU] = Row{row.OnHand + delta, row.Versions + 1}
	return nil
}

// endPartition forgets ids: a duplicate has its event's key, and so its partition. Millions of them would be in the way
// of what is measured next.
func (b *Books) endPartition() { clear(b.seen) }
