package inventory

import "math/bits"

// Threshold is a SKU's low-stock threshold: what is available at or below it is low. The zero value is none.
type Threshold struct {
	Set bool
	At  int64 // 0 or more
}

// threshold is what a column, or a definition, says.
func threshold(at *int64) Threshold {
	if at == nil {
		return Threshold{}
	}
	return Threshold{true, *at}
}

// column is what low_stock holds under t.
func (t Threshold) column() *int64 {
	if !t.Set {
		return nil
	}
	return &t.At
}

// crossings are what a movement of a row is announced as, beside the change itself. Their order is that of the
// messages.
type crossings uint8

const (
	low           crossings = 1 << iota // available has come down to the threshold, or below it
	depleted                            // nothing is available any more
	restored                            // available is above the threshold again, or above 0 if there is none
	overcommitted                       // more is promised, or owed, than the SKU's policy allows
)

// maxMessages is how many messages a movement has at most: its own and three crossings, since nothing comes down and
// goes up at once.
const maxMessages = 4

// crossed tells what the step from before to after crosses. It is a pure function, and judges the step alone, by the
// threshold and the policy of after: each crossing is told once, and a new threshold or policy by itself tells nothing.
func crossed(before, after Stock) (c crossings) {
	was, is, bar := before.Available(), after.Available(), after.Low.At // 0 if there is none
	if after.Low.Set && was > bar && is <= bar {
		c |= low
	}
	if was > 0 && is <= 0 {
		c |= depleted
	}
	if was <= bar && is > bar && before.Version > 0 { // what was never there is not there again
		c |= restored
	}
	if floor := after.Policy.floor(); was >= floor && is < floor {
		c |= overcommitted
	}
	return c
}

// count is how many there are.
func (c crossings) count() int { return bits.OnesCount8(uint8(c)) }

// first is the one that is told first.
func (c crossings) first() crossings { return c & -c }

// kind is the message's, of one.
func (c crossings) kind() string {
	switch c {
	case low:
		return "stock.low"
	case depleted:
		return "stock.depleted"
	case restored:
		return "stock.restored"
	default:
		return "stock.overcommitted"
	}
}
