package verify

import (
	"fmt"

	"onhand/inventory"
)

// effect says what in's event must have moved, and whether it did.
func effect(e *inventory.Event, in *inboxRow) (expected string, fits bool) {
	if in.Outcome != applied || e.Kind == inventory.Defined {
		return "no movement", in.own() == 0
	}
	if in.Early > 0 && in.Moves > 1 {
		return "one movement beside those of events that are forgotten", in.own() == 1
	}
	expected = fmt.Sprintf("one movement, %s of %d, of %q at %q", e.Kind, e.Line.Quantity, e.SKU, e.Line.Location)
	fits = in.Moves == 1 && in.Kind == e.Kind.String() && in.SKU == e.SKU && in.Location == e.Line.Location
	switch e.Kind {
	case inventory.Sold:
		fits = fits && in.Delta == -e.Line.Quantity
	case inventory.Counted:
		fits = fits && in.OnHand == e.Line.Quantity
	default:
		fits = fits && in.Delta == e.Line.Quantity
	}
	if e.Line.IfVersion != inventory.AnyVersion {
		expected += fmt.Sprintf(", version %d", e.Line.IfVersion+1)
		fits = fits && in.Version == e.Line.IfVersion+1
	}
	return expected, fits
}

// effectAlone is what can be said of a row's effect without its record.
func (j *judge) effectAlone(in *inboxRow) {
	if in.Outcome != applied && in.own() > 0 || in.own() > 1 {
		j.found.differ(inLog("I1", in.position, in.String()+" with its one effect, or none if rejected", movements(in)))
	}
}

// own is how many of the event's movements are this row's to explain. An event without a time that was forgotten is
// new when it comes again, so the ledger may have older ones.
func (r *inboxRow) own() int64 {
	if r.Outcome == applied && r.Moves > 0 {
		return max(1, r.Moves-r.Early)
	}
	return r.Moves - r.Early
}

func movements(in *inboxRow) string {
	switch in.Moves {
	case 0:
		return "no movement"
	case 1:
		return fmt.Sprintf("one movement, %s, version %d of %q at %q: %+d to %d",
			in.Kind, in.Version, in.SKU, in.Location, in.Delta, in.OnHand)
	}
	return fmt.Sprintf("%d movements", in.Moves)
}
