package inventory

import (
	"strings"

	"onhand/inbox"
)

// reservedSource starts the sources of events that the service itself makes.
const reservedSource = "onhand:"

// event makes an event of what the fields say, or tells what is wrong with them. The kind is judged first: what is
// wrong with the fields of a kind that is not ours is nobody's business here.
func (d *draft) event(r *inbox.Record, ignoreUnknown bool) (inbox.Event, error) {
	if d.kindName != "" {
		if ignoreUnknown {
			return inbox.Event{}, inbox.ErrIgnored
		}
		return inbox.Event{}, inbox.ParkAt("unknown_kind", d.kindName, d.at[fieldKind])
	}
	if d.fault == nil {
		d.required(fieldKind)
		d.required(fieldID)
		d.required(fieldSKU)
	}
	if strings.HasPrefix(d.source, reservedSource) {
		d.blame(fieldSource, "reserved_source", "")
	}
	if d.fault == nil {
		if d.kind == Defined {
			d.checkDefinition()
		} else {
			d.checkMovement()
		}
	}
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
		Body:        e,
	}, nil
}

func (d *draft) required(f field) {
	if !d.seen[f] {
		d.blameAt(-1, "missing_"+f.String(), "")
	}
}

func (d *draft) forbidden(fs ...field) {
	for _, f := range fs {
		if d.seen[f] {
			d.blame(f, "field_not_allowed", f.String()+" with "+d.kind.String())
		}
	}
}

func (d *draft) checkMovement() {
	d.forbidden(fieldBackorder, fieldBackorderLimit)
	d.required(fieldQuantity)
	switch {
	case d.seen[fieldQuantity] && d.quantity == 0 && d.kind != Counted:
		d.blame(fieldQuantity, "quantity_zero", "")
	case d.quantity < 0 && d.kind != Adjusted:
		d.blame(fieldQuantity, "quantity_negative", "")
	case d.ifVersion < 0:
		d.blame(fieldIfVersion, "if_version_negative", "")
	}
}

func (d *draft) checkDefinition() {
	d.forbidden(fieldQuantity, fieldLocation, fieldIfVersion)
	switch limited := d.backorder == Limit; {
	case limited && !d.seen[fieldBackorderLimit]:
		d.blameAt(-1, "missing_backorder_limit", "")
	case !limited && d.seen[fieldBackorderLimit]:
		d.blame(fieldBackorderLimit, "unexpected_backorder_limit", "backorder is "+d.backorder.String())
	case d.limit < 0:
		d.blame(fieldBackorderLimit, "backorder_limit_negative", "")
	}
}

// body is the event itself, with what the fields left out filled in.
func (d *draft) body() *Event {
	e := &Event{Kind: d.kind, SKU: d.sku}
	if d.kind == Defined {
		e.Policy = Policy{Backorder: d.backorder, Max: d.limit}
		return e
	}
	e.Line = Line{Location: d.location, Quantity: d.quantity, IfVersion: AnyVersion}
	if !d.seen[fieldLocation] {
		e.Line.Location = DefaultLocation
	}
	if d.seen[fieldIfVersion] {
		e.Line.IfVersion = d.ifVersion
	}
	return e
}
