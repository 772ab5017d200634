package inventory

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"onhand/outbox"
)

// messageSize is about what one payload takes.
const messageSize = 256

// changedMessages makes the messages about ms: one `stock.changed` for each movement, keyed by the SKU.
func changedMessages(topic string, ms []movement) []outbox.Message {
	headers := []outbox.Header{{Key: "content-type", Value: []byte("application/json")}}
	messages := make([]outbox.Message, len(ms))
	space := make([]byte, 0, messageSize*len(ms))
	for i := range ms {
		start := len(space)
		space = appendChanged(space, &ms[i])
		messages[i] = outbox.Message{
			Topic:   topic,
			Key:     []byte(ms[i].key.sku),
			EventID: ms[i].id,
			Payload: space[start:len(space):len(space)],
			Headers: headers,
		}
	}
	return messages
}

// appendChanged appends what m tells the world: the row after the movement, and the event that caused it.
func appendChanged(b []byte, m *movement) []byte {
	b = append(b, `{"kind":"stock.changed"`...)
	if m.key.tenant != "" {
		b = appendMember(b, "tenant", m.key.tenant)
	}
	b = appendMember(b, "sku", m.key.sku)
	b = appendMember(b, "location", m.key.location)
	b = appendNumber(b, "on_hand", m.after.OnHand)
	b = appendNumber(b, "reserved", m.after.Reserved)
	b = appendNumber(b, "available", m.after.Available())
	b = appendNumber(b, "version", m.after.Version)
	b = appendNumber(b, "delta", m.delta)
	b = appendMember(b, "event_id", m.id)
	if m.source != "" {
		b = appendMember(b, "source", m.source)
	}
	b = appendMember(b, "event_kind", m.kind.String())
	return append(b, '}')
}

func appendMember(b []byte, name, value string) []byte {
	b = append(b, `,"`...)
	b = append(b, name...)
	b = append(b, `":`...)
	// Its error is about invalid UTF-8, which it replaces; the decoder lets none through.
	b, _ = jsontext.AppendQuote(b, value)
	return b
}

func appendNumber(b []byte, name string, value int64) []byte {
	b = append(b, `,"`...)
	b = append(b, name...)
	b = append(b, `":`...)
	return strconv.AppendInt(b, value, 10)
}
