package inventory

import (
	"cmp"
	"math"
	"time"
)

// Stock is one row of stock as decisions see it. A row that does not exist is Version 0, nothing anywhere, and the
// policy of its SKU.
type Stock struct {
	OnHand    int64
	Reserved  int64 // of what is on hand, promised; 0 or more
	Damaged   int64 // beside what is on hand; 0 or more
	InTransit int64 // on the way to this location; 0 or more
	Version   int64 // movements so far
	Policy    Policy
	Low       Threshold // of the SKU

	// MovedAt is when what lies there was last changed or counted, by the events' own times; zero if never.
	MovedAt time.Time
}

// Available is what can be promised. It may be negative: the shelf is the truth.
func (s Stock) Available() int64 { return s.OnHand - s.Reserved }

// elsewhere says whether there is anything that is not simply on hand.
func (s *Stock) elsewhere() bool { return s.Reserved|s.Damaged|s.InTransit != 0 }

// Move is what an event asks of one row of stock.
type Move struct {
	Act       Act
	Quantity  int64 // 0 or more, but for Adjust
	Sent      int64 // of Arrive from a transfer: what left, and is not in transit any more
	IfVersion int64 // AnyVersion = any
	Damaged   bool  // of Return, Adjust and Count: it is about damaged goods

	// Vast is, of Sell, Return and Reserve, a quantity of 2^63 or more, as parts of bundles may come to; 2^64-1 is that or
	// more. Quantity is then its low 64 bits. Usually 0.
	Vast uint64

	At        time.Time // when it happened, as far as that is known
	CountedAt time.Time // of Count; zero = not said
}

// Act is what happens at one row. An event's kind and its lines come to one for each row that it touches.
type Act uint8

// What can happen at a row.
const (
	Receive  Act = iota // goods came in
	Sell                // goods left for good
	Return              // goods came back
	Adjust              // a signed correction
	Count               // somebody counted
	Reserve             // goods are promised
	Release             // they are not, any more
	Fulfil              // promised goods left for good
	Leave               // goods left for another location
	Dispatch            // goods are on their way here
	Arrive              // goods came from another location
)

// Decide returns what m makes of s, or the reason why it is refused and s stays as it is. It is a pure function, and
// states I4:
//
//   - a sale, a reservation and what leaves for another location must leave available >= 0, or >= -limit, or anything,
//     as the SKU's policy says;
//   - what was promised may leave as long as that much is on hand, and so may a negative adjustment take it: on hand
//     stays >= 0, or what the policy says;
//   - a count is right by definition, unless goods moved after it; what comes in is welcome;
//   - nothing is applied whose result does not fit 64 bits.
func Decide(s Stock, m Move) (after Stock, reason string) {
	if m.IfVersion != AnyVersion && m.IfVersion != s.Version {
		return s, versionMismatch
	}
	if m.Act == Count && !m.CountedAt.IsZero() && m.CountedAt.Before(s.MovedAt) {
		return s, countOutdated
	}
	d, fits := m.change(s)
	after, onHandFits, allFits := s.plus(d)
	fits = fits && allFits
	floor := s.Policy.floor()
	bounded := s.Policy.Backorder != Allow

	// What does not even fit is more than any bound allows.
	switch m.Act {
	case Sell, Reserve, Leave:
		if bounded && !m.leaves(s.Available(), floor) {
			return s, insufficientStock
		}
	case Fulfil:
		if bounded && (!onHandFits || after.OnHand < floor) {
			return s, insufficientStock
		}
	case Adjust:
		if m.Quantity < 0 && (m.Damaged && (!fits || after.Damaged < 0) ||
			!m.Damaged && bounded && (!onHandFits || after.OnHand < floor)) {
			return s, belowZero
		}
	}
	if !fits || s.Version == math.MaxInt64 {
		return s, overflow
	}
	after.Version++
	if (d.onHand != 0 || d.damaged != 0 || m.Act == Count) && m.At.After(s.MovedAt) {
		after.MovedAt = m.At
	}
	return after, ""
}

// leaves says whether that much can be taken of what is available without going below floor.
func (m Move) leaves(available, floor int64) bool {
	return available >= floor && cmp.Or(m.Vast, uint64(m.Quantity)) <= uint64(available)-uint64(floor)
}

// difference is how a row changes.
type difference struct{ onHand, reserved, damaged, inTransit int64 }

// change returns how m changes s, and whether that fits 64 bits.
func (m Move) change(s Stock) (d difference, fits bool) {
	q := m.Quantity
	switch m.Act {
	case Sell, Leave:
		return difference{onHand: -q}, m.Vast <= 1<<63 // 0 or more, so its negative fits; so does that of 2^63
	case Reserve:
		return difference{reserved: q}, m.Vast == 0
	case Release:
		return difference{reserved: -q}, true
	case Fulfil:
		return difference{onHand: -q, reserved: -q}, true
	case Dispatch:
		return difference{inTransit: q}, true
	case Arrive:
		return difference{onHand: q, inTransit: -m.Sent}, true
	case Count:
		if m.Damaged {
			return difference{damaged: q - s.Damaged}, true // both are 0 or more
		}
		// The ledger needs the difference to fit: from far below zero to far above, it may not.
		return difference{onHand: q - s.OnHand}, s.OnHand >= 0 || q <= math.MaxInt64+s.OnHand
	default:
		if m.Damaged {
			return difference{damaged: q}, m.Vast == 0
		}
		return difference{onHand: q}, m.Vast == 0
	}
}

// plus returns s after d, and whether what is on hand then fits 64 bits, and whether all does, what is available
// included.
func (s Stock) plus(d difference) (after Stock, onHandFits, allFit bool) {
	var ok [5]bool
	s.OnHand, ok[0] = add(s.OnHand, d.onHand)
	s.Reserved, ok[1] = add(s.Reserved, d.reserved)
	s.Damaged, ok[2] = add(s.Damaged, d.damaged)
	s.InTransit, ok[3] = add(s.InTransit, d.inTransit)
	_, ok[4] = add(s.OnHand, -s.Reserved) // 0 or more, so its negative fits
	return s, ok[0], ok == [5]bool{true, true, true, true, true}
}

// add returns a + b, and whether that fits.
func add(a, b int64) (int64, bool) {
	sum := a + b
	return sum, (sum > a) == (b > 0)
}

// DecidePolicy returns why p cannot be the policy of stock that is there, or the empty string.
func DecidePolicy(stock Stock, p Policy) (reason string) {
	if stock.OnHand < p.floor() {
		return policyConflict
	}
	return ""
}
