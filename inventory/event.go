package inventory

import (
	"cmp"
	"math"
	"strings"
	"time"
)

// Kind is what an event says happened.
type Kind uint8

// The kinds of events. All but Defined move stock, and each but Received to Counted and Defined needs more than its
// lines: see Event.
const (
	Received         Kind = iota + 1 // stock.received: goods came in
	Sold                             // stock.sold: goods were sold and left
	Returned                         // stock.returned: sold goods came back
	Adjusted                         // stock.adjusted: a signed correction
	Counted                          // stock.counted: somebody counted; absolute, becomes a delta
	Reserved                         // stock.reserved: goods are promised, or stay so for longer
	Released                         // stock.released: a promise ends, in whole or in part
	Fulfilled                        // stock.fulfilled: promised goods left
	Transferred                      // stock.transferred: goods left for another location
	TransferReceived                 // stock.transfer_received: they arrived there
	Defined                          // sku.defined: what the SKU is, and its policy; moves nothing

	expired // stock.expired: a promise lapsed; only in the ledger, no record says so
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
	case Reserved:
		return "stock.reserved"
	case Released:
		return "stock.released"
	case Fulfilled:
		return "stock.fulfilled"
	case Transferred:
		return "stock.transferred"
	case TransferReceived:
		return "stock.transfer_received"
	case Defined:
		return "sku.defined"
	case expired:
		return "stock.expired"
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

// Bounds of one event.
const (
	maxLines    = 1000      // lines
	maxParts    = 100       // parts of a bundle
	maxDeadline = 1<<31 - 1 // seconds from a record to the deadline that it sets
)

// Event is what the decoder reads out of a record: the Body of an inbox.Event. What its kind has no use for is zero.
type Event struct {
	Kind Kind

	// Lines is what moves, each SKU and location once, in the order of their bytes: what a record says of one of them
	// twice is added. Empty for Defined, and where an event may leave open what the reservation or transfer says.
	Lines []Line

	Condition Condition // of Returned, Adjusted, Counted
	CountedAt time.Time // of Counted; zero = not given

	Reservation string // of Reserved, Released, Fulfilled: its id
	Deadline    Deadline

	To       string // of Transferred: the location
	Transfer string // of Transferred and TransferReceived: its id; empty = it arrives at once

	Definition *Definition // of Defined

	single [1]Line // where Lines lies if there is one
}

// Line is one movement that an event asks for.
type Line struct {
	SKU string

	// Location is where, for Transferred where from. Empty for TransferReceived: the transfer says it.
	Location string

	// Quantity is in the SKU's smallest unit: more than 0, but for Counted and TransferReceived (0 or more) and Adjusted
	// (any). Lines of one SKU and location are added first, so an adjustment may come to 0.
	Quantity int64

	// IfVersion is the version that the stock row must have, 0 for a row that does not exist yet; AnyVersion = any.
	IfVersion int64
}

// compare orders lines by SKU and location, bytewise.
func (l Line) compare(other Line) int {
	return cmp.Or(strings.Compare(l.SKU, other.SKU), strings.Compare(l.Location, other.Location))
}

// Condition says whether goods can be sold.
type Condition uint8

// The conditions. Damaged goods are counted apart, and are not available.
const (
	Sellable Condition = iota
	Damaged
)

// String returns the condition as it stands on the wire.
func (c Condition) String() string {
	if c == Damaged {
		return "damaged"
	}
	return "sellable"
}

// conditionNamed returns the condition with that name.
func conditionNamed(name []byte) (Condition, bool) {
	for c := Sellable; c <= Damaged; c++ {
		if c.String() == string(name) {
			return c, true
		}
	}
	return 0, false
}

// Deadline is when a reservation lapses: at a time, or so long after the record that sets it. The zero value is never.
type Deadline struct {
	At    time.Time
	After int64 // seconds, up to 2^31-1
}

// Definition is what Defined says of a SKU. A later one replaces an earlier one whole.
type Definition struct {
	SKU    string
	Policy Policy

	Name string // empty = none
	Unit string // what one of it is, as "piece" or "gram"; empty = none

	// LowStock is the available quantity at which stock is low, 0 or more; nil = none.
	LowStock *int64

	// Bundle are the parts of a SKU that has no stock of its own, in the order of their SKUs' bytes; empty = it has.
	Bundle []Part
}

// Part is so many of one SKU in one of a bundle.
type Part struct {
	SKU      string
	Quantity int64 // more than 0
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
