package inventory

import "cmp"

// stockRejected is the kind of the message about an event that was rejected.
const stockRejected = "stock.rejected"

// refusal is the line for which an event is refused, and the row of stock that refused it. The zero value is none: it
// is not for a line that the event is refused.
type refusal struct {
	sku, location string
	quantity      int64 // of the line
	ifVersion     int64 // AnyVersion = it asks for none
	asked         bool  // there is a line: a definition only has rows
	stock         Stock // as the event found it
	found         bool  // the row was looked at
}

// refuses is the refusal by r of a line that asks for so much.
func (r *stockRow) refuses(quantity, ifVersion int64) refusal {
	return refusal{r.key.sku, r.key.location, quantity, ifVersion, true, r.stock, true}
}

// rejection is an event that was rejected, and the message about it.
type rejection struct {
	message int64 // id
	o       occurrence
	reason  string
	refusal
}

// key is the message's: the SKU, if the event is about one, so that the message keeps its place among those of it.
func (r *rejection) key() string {
	sku := r.sku
	if d := r.o.Definition; d != nil {
		sku = d.SKU
	}
	return cmp.Or(sku, r.o.Reservation, r.o.Transfer)
}
