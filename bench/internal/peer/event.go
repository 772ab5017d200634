package peer

import (
	"fmt"
	"strconv"

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

// Delta is by how much e moves stock. The workload has no counts and no definitions.
func Delta(e *inventory.Event) int64 {
	if e.Kind == inventory.Sold {
		return -e.Line.Quantity
	}
	return e.Line.Quantity
}

// OutboxTopic is where messages would go.
const OutboxTopic = "inventory.changes"

// OutboxHeaders are the headers of each message: keys and values in turn.
func OutboxHeaders() [][]byte { return [][]byte{[]byte("content-type"), []byte("application/json")} }

// AppendChanged appends the message that the product would write about a movement, so that everybody's rows are as
// long. The workload's texts need no escaping.
func AppendChanged(b []byte, e inbox.Event, body *inventory.Event, onHand, version, delta int64) []byte {
	number := func(name string, value int64) {
		b = append(b, name...)
		b = strconv.AppendInt(b, value, 10)
	}
	b = append(b, `{"kind":"stock.changed","sku":"`...)
	b = append(b, body.SKU...)
	b = append(b, `","location":"`...)
	b = append(b, body.Line.Location...)
	number(`","on_hand":`, onHand)
	number(`,"reserved":`, 0)
	number(`,"available":`, onHand)
	number(`,"version":`, version)
	number(`,"delta":`, delta)
	b = append(b, `,"event_id":"`...)
	b = append(b, e.ID...)
	b = append(b, `","source":"`...)
	b = append(b, e.Source...)
	b = append(b, `","event_kind":"`...)
	b = append(b, body.Kind.String()...)
	return append(b, `"}`...)
}
