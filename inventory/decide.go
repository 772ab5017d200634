package inventory

import "math"

// Stock is one row of stock as decisions see it. A row that does not exist is Version 0, nothing on hand, and the
// policy of its SKU.
type Stock struct {
	OnHand   int64
	Reserved int64 // 0 or more
	Version  int64 // movements so far
	Policy   Policy
}

// Available is what can be promised. It may be negative: the shelf is the truth.
func (s Stock) Available() int64 { return s.OnHand - s.Reserved }

// Decide returns what e, which must not be a Defined, makes of s, or the reason why it is rejected and s stays as it
// is. It is a pure function, and states I4:
//
//   - a sale must leave available >= 0, or >= -limit, or anything, as the SKU's policy says;
//   - a negative adjustment must leave on hand so; it may take what is reserved;
//   - a count is right by definition, and what comes in is welcome;
//   - nothing is applied whose result does not fit 64 bits.
func Decide(s Stock, e *Event) (after Stock, reason string) {
	if e.Line.IfVersion != AnyVersion && e.Line.IfVersion != s.Version {
		return s, versionMismatch
	}
	onHand, fits := move(s.OnHand, e)
	available, availableFits := add(onHand, -s.Reserved)
	floor := s.Policy.floor()
	bounded := s.Policy.Backorder != Allow

	switch e.Kind {
	case Sold:
		// What does not even fit is more than any bound allows.
		if bounded && (!fits || !availableFits || available < floor) {
			return s, insufficientStock
		}
	case Adjusted:
		if bounded && e.Line.Quantity < 0 && (!fits || onHand < floor) {
			return s, belowZero
		}
	}
	if !fits || !availableFits || s.Version == math.MaxInt64 {
		return s, overflow
	}
	s.OnHand = onHand
	s.Version++
	return s, ""
}

// move returns what is on hand after e, and whether that and the way there fit 64 bits.
func move(onHand int64, e *Event) (int64, bool) {
	switch e.Kind {
	case Sold:
		return add(onHand, -e.Line.Quantity) // more than 0, so its negative fits
	case Counted:
		// The ledger needs the delta to fit as well: from far below zero to far above, it may not.
		return e.Line.Quantity, onHand >= 0 || e.Line.Quantity <= math.MaxInt64+onHand
	default:
		return add(onHand, e.Line.Quantity)
	}
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
