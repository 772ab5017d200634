package inventory

import "math"

// Kind is what an event says happened.
type Kind uint8

// The kinds of events. All but Defined move stock.
const (
	Received Kind = iota + 1 // stock.received: goods came in
	Sold                     // stock.sold: goods were sold and left
	Returned                 // stock.returned: sold goods came back
	Adjusted                 // stock.adjusted: a signed correction
	Counted                  // stock.counted: somebody counted; absolute, becomes a delta
	Defined                  // sku.defined: the SKU's backorder policy; moves nothing
)

// String returns the kind as it stands on the wire.
func (k Kind) String() string {
	switch k {
	case Received:
		return "stock.received"
	case Sold:
		return "stock.sold"
	case Returned:
		return "stock.returned"
	case Adjusted:
		return "stock.adjusted"
	case Counted:
		return "stock.counted"
	case Defined:
		return "sku.defined"
	default:
		return "unknown"
	}
}

// kindNamed returns the kind with that name on the wire.
func kindNamed(name []byte) (Kind, bool) {
	for k := Received; k <= Defined; k++ {
		if k.String() == string(name) {
			return k, true
		}
	}
	return 0, false
}

// DefaultLocation is where stock lies if an event does not say.
const DefaultLocation = "main"

// AnyVersion is the IfVersion of an event that asks for none.
const AnyVersion int64 = -1

// Event is what the decoder reads out of a record: the Body of an inbox.Event.
type Event struct {
	Kind Kind
	SKU  string

	// Line is what moves; the zero value for Defined.
	Line Line

	// Policy is what Defined sets.
	Policy Policy
}

// Line is one movement that an event asks for. Its SKU is the event's.
type Line struct {
	Location string

	// Quantity is in the SKU's smallest unit. More than 0, but for Counted (0 or more) and Adjusted (any but 0).
	Quantity int64

	// IfVersion is the version that the stock row must have, 0 for a row that does not exist yet; AnyVersion = any.
	IfVersion int64
}

// Backorder says whether stock may be sold that is not there.
type Backorder uint8

// The backorder policies.
const (
	Deny  Backorder = iota // never
	Allow                  // without bound
	Limit                  // down to a bound
)

// String returns the policy as it stands on the wire and in the database.
func (b Backorder) String() string {
	switch b {
	case Allow:
		return "allow"
	case Limit:
		return "limit"
	default:
		return "deny"
	}
}

// backorderNamed returns the policy with that name.
func backorderNamed(name []byte) (Backorder, bool) {
	for b := Deny; b <= Limit; b++ {
		if b.String() == string(name) {
			return b, true
		}
	}
	return 0, false
}

// Policy is a SKU's backorder policy. The zero value denies.
type Policy struct {
	Backorder Backorder

	// Max is how far below zero stock may be sold under Limit, 0 or more; 0 under the others.
	Max int64
}

// floor is the least that stock on hand may be.
func (p Policy) floor() int64 {
	switch p.Backorder {
	case Allow:
		return math.MinInt64
	case Limit:
		return -p.Max
	default:
		return 0
	}
}
