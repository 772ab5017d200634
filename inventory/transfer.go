package inventory

import "slices"

// The states of a transfer.
const (
	stateSent     = "sent"
	stateReceived = "received"
)

// transferRow is a row of transfers while a batch is decided.
type transferRow struct {
	key      refKey
	state    string // empty: there is none
	to       string // location
	skus     []string
	sent     []int64 // of each SKU
	received []int64 // of each SKU; nil until it is
	made     eventKey

	stored  bool // the row is in the database
	blocked bool // it is held by another client
	changed bool // by an event of this batch
}

// transfer plans goods that leave for another location, where they arrive at once or are on the way.
func (p *plan) transfer() {
	o := p.o
	act := Arrive
	if o.Transfer != "" {
		act = Dispatch
		t, ok := p.f.transfers[refKey{o.tenant, o.Transfer}]
		switch {
		case !ok:
			p.fail(errNotLoaded)
			return
		case t.state != "":
			p.refuse(transferExists)
			return
		}
		p.transferred, p.transferAfter = t, *t
	}
	for _, l := range o.Lines {
		p.line(Leave, l)
		p.arrive(act, l)
	}
	if p.transferred != nil {
		next := &p.transferAfter
		next.state, next.to, next.made, next.changed = stateSent, o.To, eventKey{o.id, o.source}, true
		for _, s := range p.steps {
			if s.move.Act == Dispatch {
				next.skus, next.sent = append(next.skus, s.row.key.sku), append(next.sent, s.move.Quantity)
			}
		}
	}
	p.sort()
}

// receive plans the arrival of what was on the way: as much of it as is said, or all.
func (p *plan) receive() {
	o := p.o
	t, ok := p.f.transfers[refKey{o.tenant, o.Transfer}]
	switch {
	case !ok:
		p.fail(errNotLoaded)
		return
	case t.state == "":
		p.refuse(unknownTransfer)
		return
	case t.state != stateSent:
		p.refuse(transferClosed)
		return
	}
	for i := 0; t.stored && i < len(t.skus); i++ {
		p.needStored(t.skus[i], t.to)
	}
	if p.over() {
		return
	}
	next := *t
	next.state, next.changed = stateReceived, true
	next.received = make([]int64, len(t.skus))
	if len(o.Lines) == 0 {
		copy(next.received, t.sent)
	}
	said := make([]bool, len(t.skus))
	for _, l := range o.Lines {
		i, ok := slices.BinarySearch(t.skus, l.SKU)
		if !ok {
			// Its row is not locked, so what is there cannot be told.
			p.refuser = refusal{sku: l.SKU, location: t.to, quantity: l.Quantity, ifVersion: AnyVersion, asked: true}
			p.refuse(notInTransfer)
			return
		}
		next.received[i], said[i] = l.Quantity, true
		if p.arrived(t, i, l.Quantity); p.over() {
			return
		}
	}
	for i := range t.skus { // the rest, of which nothing came if others did
		if !said[i] {
			p.arrived(t, i, next.received[i])
		}
	}
	p.sort()
	p.transferred, p.transferAfter = t, next
}

// arrived plans that so much of what t sent of its i-th SKU came, and that nothing of it is in transit any more.
func (p *plan) arrived(t *transferRow, i int, quantity int64) {
	p.add(t.skus[i], t.to, Move{Act: Arrive, Quantity: quantity, Sent: t.sent[i], IfVersion: AnyVersion})
}
