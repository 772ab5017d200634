package inventory

import (
	"slices"
	"strings"

	"onhand/inbox"
)

// reservedSource starts the sources of events that the service itself makes.
const reservedSource = "onhand:"

// ExpirySource is the source of the event that a reservation lapsed, which no record says. Its id is the reservation's.
const ExpirySource = reservedSource + "expiry"

// event makes an event of what the fields say, or tells what is wrong with them. The kind is judged first: what is
// wrong with the fields of a kind that is not ours is nobody's business here.
func (d *draft) event(r *inbox.Record, ignoreUnknown bool) (inbox.Event, error) {
	if d.envelope != nil && d.envelope.fault() != nil {
		return inbox.Event{}, d.envelope.fault()
	}
	if d.kindName != "" {
		if ignoreUnknown {
			return inbox.Event{}, inbox.ErrIgnored
		}
		return inbox.Event{}, inbox.ParkAt("unknown_kind", d.kindName, d.at[fieldKind])
	}
	d.check()
	if d.fault != nil {
		return inbox.Event{}, d.fault
	}
	e := d.body()
	return inbox.Event{
		Record:      r,
		Tenant:      d.tenant,
		ID:          d.id,
		Source:      d.source,
		Fingerprint: fingerprint(e),
		Time:        d.time,
		Weight:      e.weight(d.tenant, d.hinted, d.usual),
		TraceParent: d.traceParent,
		Body:        e,
	}, nil
}

// check judges the fields, of which each by itself is right, together. The first thing wrong counts.
func (d *draft) check() {
	if d.fault != nil {
		return
	}
	d.required(fieldKind)
	d.required(fieldID)
	if d.envelope != nil {
		d.checkEnvelope()
	}
	if d.fault == nil && !d.seen.has(fieldLines) && (d.kind.needsLines() || d.seen&ofLine != 0) {
		d.required(fieldSKU)
	}
	if strings.HasPrefix(d.source, reservedSource) {
		d.blame(fieldSource, "reserved_source", "")
	}
	if d.fault != nil {
		return
	}
	if wrong := d.seen &^ d.kind.fields(); wrong != 0 {
		f := wrong.first()
		d.blame(f, "field_not_allowed", f.String()+" with "+d.kind.String())
	}
	if d.kind == Defined {
		d.checkDefinition()
		return
	}
	if d.seen.has(fieldLines) && d.seen&ofLine&^(1<<fieldLocation) != 0 {
		d.blame(fieldLines, "lines_and_line", "")
	}
	d.checkParties()
	d.checkLines()
}

func (d *draft) required(f field) {
	if !d.seen.has(f) {
		d.blameAt(-1, "missing_"+f.String(), "")
	}
}

// checkParties judges what a movement needs beside its lines.
func (d *draft) checkParties() {
	switch d.kind {
	case Reserved:
		d.required(fieldReservation)
		if d.seen.has(fieldExpiresAt) && d.seen.has(fieldTTL) {
			d.blame(fieldTTL, "expires_twice", "")
		}
	case Released, Fulfilled:
		d.required(fieldReservation)
	case Transferred:
		d.required(fieldTo)
	case TransferReceived:
		d.required(fieldTransfer)
	}
}

func (d *draft) checkDefinition() {
	switch limited := d.backorder == Limit; {
	case limited && !d.seen.has(fieldBackorderLimit):
		d.blameAt(-1, "missing_backorder_limit", "")
	case !limited && d.seen.has(fieldBackorderLimit):
		d.blame(fieldBackorderLimit, "unexpected_backorder_limit", "backorder is "+d.backorder.String())
	case d.backorderLimit < 0:
		d.blame(fieldBackorderLimit, "backorder_limit_negative", "")
	case d.lowStock < 0:
		d.blame(fieldLowStock, "low_stock_negative", "")
	}
	d.checkBundle()
}

// body is the event itself.
func (d *draft) body() *Event {
	e := &Event{
		Kind:        d.kind,
		Condition:   d.condition,
		CountedAt:   d.countedAt,
		Reservation: d.reservation,
		Deadline:    Deadline{At: d.expiresAt, After: d.ttl},
		To:          d.to,
		Transfer:    d.transfer,
	}
	switch {
	case d.kind == Defined:
		e.Definition = d.definition()
	case d.seen.has(fieldLines):
		e.Lines = slices.Grow(e.single[:0], len(d.lines))
		for _, l := range d.lines {
			e.Lines = append(e.Lines, l.Line)
		}
	case d.seen.has(fieldSKU):
		e.single[0] = d.line.Line
		e.Lines = e.single[:]
	}
	return e
}

func (d *draft) definition() *Definition {
	def := &Definition{
		SKU:    d.line.SKU,
		Policy: Policy{Backorder: d.backorder, Max: d.backorderLimit},
		Name:   d.name,
		Unit:   d.unit,
	}
	if d.seen.has(fieldLowStock) {
		def.LowStock = new(d.lowStock)
	}
	for _, p := range d.parts {
		def.Bundle = append(def.Bundle, Part{p.SKU, p.Quantity})
	}
	return def
}
