package verify

import (
	"fmt"

	"onhand/inventory"
)

// effect judges what in has moved by its event, now or with others later: what a movement has changed beside what is on
// hand is not known before the one before it is.
func (j *judge) effect(e *inventory.Event, in *inboxRow) {
	switch {
	case in.Outcome != applied || e.Kind == inventory.Defined:
		if in.own() > 0 {
			j.differ("I1", in.Offset, in.String()+" with no movement", movements(in))
		}
	case !plain(e, in):
		j.effects.add(e, in)
	}
}

// plain reports whether in has the one movement of an event that moves what is on hand and nothing else. That it has
// moved nothing else is what the ledger is asked for all movements of its kind.
func plain(e *inventory.Event, in *inboxRow) bool {
	if len(e.Lines) != 1 || in.count != 1 || in.early > 0 || e.Condition == inventory.Damaged || in.moves[0].Delta == 0 {
		return false
	}
	switch e.Kind {
	case inventory.Received, inventory.Sold, inventory.Returned, inventory.Adjusted, inventory.Counted:
		w := lineOf(e, e.Lines[0])
		return w.fits(&in.moves[0])
	default:
		return false
	}
}

// effectAlone is what can be said of a row's effect without its record.
func (j *judge) effectAlone(in *inboxRow) {
	own := in.ownMoves()
	wrong := in.Outcome != applied && in.own() > 0
	for i := 1; i < len(own) && in.early < in.count; i++ {
		before := &own[i-1]
		wrong = wrong || own[i].Kind != before.Kind || own[i].SKU == before.SKU && own[i].Location == before.Location
	}
	if wrong {
		j.found.differ(inLog("I1", in.position, in.String()+" with its one effect, or none if rejected", movements(in)))
	}
}

// want is a movement that an event must have.
type want struct {
	kind          inventory.Kind
	sku, location string
	version       int64 // 0 = any
	quantity      int64 // that the event says
	condition     inventory.Condition

	onHand int64 // the change of it; a count's is whatever it takes to have the quantity there
	change beside
}

// lineOf is what the line itself moves; where a transfer goes to is not in it.
func lineOf(e *inventory.Event, l inventory.Line) want {
	w := want{kind: e.Kind, sku: l.SKU, location: l.Location, quantity: l.Quantity, condition: e.Condition}
	if l.IfVersion != inventory.AnyVersion {
		w.version = l.IfVersion + 1
	}
	switch e.Kind {
	case inventory.Sold, inventory.Transferred:
		w.onHand = -l.Quantity
	case inventory.Reserved:
		w.change.Reserved = l.Quantity
	case inventory.Released:
		w.change.Reserved = -l.Quantity
	case inventory.Fulfilled:
		w.onHand, w.change.Reserved = -l.Quantity, -l.Quantity
	case inventory.Counted:
	default: // received, returned, adjusted: it comes to what can be sold, or to what cannot
		if e.Condition == inventory.Damaged {
			w.change.Damaged = l.Quantity
		} else {
			w.onHand = l.Quantity
		}
	}
	return w
}

// fits reports whether m is the movement that is wanted. What it changed beside on hand counts where that is known.
func (w *want) fits(m *move) bool {
	if m.Kind != w.kind.String() || m.SKU != w.sku || m.Location != w.location ||
		w.version != 0 && m.Version != w.version {
		return false
	}
	onHand, change := w.onHand, w.change
	switch {
	case w.kind == inventory.Counted && w.condition == inventory.Damaged:
		if m.after.Damaged != w.quantity {
			return false
		}
		if m.change != nil {
			change.Damaged = m.change.Damaged
		}
	case w.kind == inventory.Counted:
		if m.OnHand != w.quantity {
			return false
		}
		onHand = m.Delta
	}
	return m.Delta == onHand && (m.change == nil || *m.change == change)
}

func (w *want) String() string {
	s := fmt.Sprintf("%s of %d", w.kind, w.quantity)
	if w.condition == inventory.Damaged {
		s += " damaged"
	}
	s += fmt.Sprintf(", of %q at %q", w.sku, w.location)
	if w.version != 0 {
		s += fmt.Sprintf(", version %d", w.version)
	}
	return s
}
