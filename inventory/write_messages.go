package inventory

import (
	"github.com/jackc/pgx/v5"

	"onhand/outbox"
)

// writeMessages queues the messages that are not about movements themselves, whose own are made of the ledger. Ids have
// them in their order: what a movement crosses has the ids behind the movement's.
func (h *Handler) writeMessages(q *pgx.Batch) {
	var ids []int64
	var messages []outbox.Message
	for i := range h.fold.movements {
		m := &h.fold.movements[i]
		id := m.message
		for rest := m.crossed; rest != 0; rest &^= rest.first() {
			id++
			ids, messages = append(ids, id), append(messages, m.announce(rest.first()))
		}
	}
	for i := range h.fold.rejections {
		r := &h.fold.rejections[i]
		ids, messages = append(ids, r.message), append(messages, r.announce())
	}
	outbox.Queue(q, ids, messages)
}

// announce is the message that m has crossed c.
func (m *movement) announce(c crossings) outbox.Message {
	p := newPayload(c.kind(), m.key.tenant)
	p.text("sku", m.key.sku)
	p.text("location", m.key.location)
	p.quantities(&m.after)
	if c == low {
		p.number("threshold", m.after.Low.At)
	}
	p.number("version", m.after.Version)
	p.event(m.id, m.source, m.kind)
	return message(c.kind(), m.key.sku, m.id, m.trace, p)
}

// announce is the message that the event was rejected: what it asked for, and what was there.
func (r *rejection) announce() outbox.Message {
	o := &r.o
	p := newPayload(stockRejected, o.tenant)
	if d := o.Definition; d != nil {
		p.text("sku", d.SKU)
	} else {
		p.given("sku", r.sku)
	}
	p.given("location", r.location)
	if r.asked {
		p.number("quantity", r.quantity)
		if r.ifVersion != AnyVersion {
			p.number("if_version", r.ifVersion)
		}
	}
	if r.found {
		p.quantities(&r.stock)
		if r.stock.Damaged != 0 {
			p.number("damaged", r.stock.Damaged)
		}
		p.number("version", r.stock.Version)
	}
	p.given("reservation", o.Reservation)
	p.given("transfer", o.Transfer)
	p.event(o.id, o.source, o.Kind)
	p.text("reason", r.reason)
	return message(stockRejected, r.key(), o.id, o.trace, p)
}

func message(kind, key, eventID, trace string, p payload) outbox.Message {
	m := outbox.Message{Type: kind, Key: []byte(key), EventID: eventID, Payload: p.end()}
	if trace != "" {
		m.Headers = []outbox.Header{{Key: "traceparent", Value: []byte(trace)}}
	}
	return m
}
