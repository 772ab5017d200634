package backlog

import (
	"encoding/json"
	"fmt"

	"onhand/internal/workload"
)

// Row is what one SKU's row of stock must be.
type Row struct {
	OnHand   int64
	Reserved int64
	Versions int64 // movements
}

func (r Row) after(c change) Row {
	return Row{OnHand: r.OnHand + c.onHand, Reserved: r.Reserved + c.reserved, Versions: r.Versions + 1}
}

// Books is what a topic's events come to, folded here from the topic alone: without the product's decoder, its
// decisions or its database. Each event counts once, in the order of its partition. Where the partitions share their
// SKUs, the same comes out in any other order: see workload.OpeningStock.
type Books struct {
	Records  int64
	Events   int64 // different ids; the other records are duplicates
	Applied  int64
	Rejected int64

	// Rows of stock that events are about, each once an event: movements, if everything is applied, or if some is not.
	Lines        int64
	AppliedLines int64

	Opened int64 // rows of stock that were there before the first event, with a movement each

	Decided map[string]Row // by SKU, if what asks for more than is available is rejected
	Summed  map[string]Row // by SKU, if everything is applied

	Reservations map[string]*Reservation

	seen map[string]struct{} // ids of the partition that is being read
}

func newBooks(shape Shape) *Books {
	b := &Books{
		Decided: make(map[string]Row), Summed: make(map[string]Row), Reservations: make(map[string]*Reservation),
		seen: make(map[string]struct{}),
	}
	if shape.OfShop() {
		b.Opened = int64(shape.SKUs)
		for i := range shape.SKUs {
			sku, row := fmt.Sprintf("SKU-%06d", i), Row{OnHand: workload.OpeningStock, Versions: 1}
			b.Decided[sku], b.Summed[sku] = row, row
		}
	}
	return b
}

// event is the part of one that matters here.
type event struct {
	ID          string `json:"id"`
	Kind        string `json:"kind"`
	SKU         string `json:"sku"`
	Quantity    int64  `json:"quantity"`
	Lines       []Line `json:"lines"`
	Reservation string `json:"reservation"`
}

// lines are what e says that moves.
func (e *event) lines() []Line {
	if e.SKU != "" {
		return []Line{{e.SKU, e.Quantity}}
	}
	return e.Lines
}

// Line is so many of one SKU.
type Line struct {
	SKU      string `json:"sku"`
	Quantity int64  `json:"quantity"`
}

// change is what an event does to a row of stock.
type change struct {
	sku              string
	onHand, reserved int64
}

// takes says whether less is available then.
func (c change) takes() bool { return c.onHand < c.reserved }

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
	changes, err := b.changes(&e)
	if err != nil {
		return fmt.Errorf("fold an event: %w", err)
	}
	b.Lines += int64(len(changes))
	refused := false
	for _, c := range changes {
		b.Summed[c.sku] = b.Summed[c.sku].after(c)
		after := b.Decided[c.sku].after(c)
		refused = refused || c.takes() && after.OnHand < after.Reserved
	}
	if r := b.Reservations[e.Reservation]; r != nil && refused {
		r.Refused = true
	}
	if refused {
		b.Rejected++
		return nil
	}
	b.Applied++
	b.AppliedLines += int64(len(changes))
	for _, c := range changes {
		b.Decided[c.sku] = b.Decided[c.sku].after(c)
	}
	return nil
}

// changes are what e asks for, each SKU once: no workload names one twice in an event.
func (b *Books) changes(e *event) ([]change, error) {
	lines := e.lines()
	var onHand, reserved int64 // by how many for one in a line
	switch e.Kind {
	case "stock.received", "stock.adjusted":
		onHand = 1
	case "stock.sold":
		onHand = -1
	case "stock.reserved":
		reserved = 1
		if err := b.reserve(e); err != nil {
			return nil, err
		}
	case "stock.fulfilled", "stock.released":
		reserved = -1
		if e.Kind == "stock.fulfilled" {
			onHand = -1
		}
		var err error
		if lines, err = b.settle(e); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("the workload has no %s", e.Kind)
	}
	changes := make([]change, len(lines))
	for i, l := range lines {
		changes[i] = change{l.SKU, onHand * l.Quantity, reserved * l.Quantity}
	}
	return changes, nil
}

// endPartition forgets ids: a duplicate has its event's key, and so its partition. Millions of them would be in the way
// of what is measured next.
func (b *Books) endPartition() { clear(b.seen) }
