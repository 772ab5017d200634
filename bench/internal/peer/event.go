package peer

import (
	"fmt"

	"onhand/inbox"
	"onhand/inventory"
)

// Decoder reads events as the product does.
type Decoder struct{ product *inventory.Decoder }

// NewDecoder returns a Decoder.
func NewDecoder() Decoder { return Decoder{inventory.NewDecoder(inventory.DecoderConfig{})} }

// Decode reads one value. The workload has no bad records, so one that cannot be read is an error.
func (d Decoder) Decode(value []byte) (inbox.Event, *inventory.Event, error) {
	decoded, err := d.product.Decode(&inbox.Record{Value: value})
	if err != nil {
		return inbox.Event{}, nil, fmt.Errorf("decode: %w", err)
	}
	body, ok := decoded.Body.(*inventory.Event)
	if !ok {
		return inbox.Event{}, nil, fmt.Errorf("decode: the body is a %T", decoded.Body)
	}
	return decoded, body, nil
}

// Move is what e asks of its row of stock. The workload's events have one line, and no conditions.
func Move(e *inventory.Event) inventory.Move {
	m := inventory.Move{Act: inventory.Receive, Quantity: e.Lines[0].Quantity, IfVersion: e.Lines[0].IfVersion}
	switch e.Kind {
	case inventory.Sold:
		m.Act = inventory.Sell
	case inventory.Adjusted:
		m.Act = inventory.Adjust
	}
	return m
}

// Delta is by how much e moves stock. The workload has no counts and no definitions.
func Delta(e *inventory.Event) int64 {
	if e.Kind == inventory.Sold {
		return -e.Lines[0].Quantity
	}
	return e.Lines[0].Quantity
}
