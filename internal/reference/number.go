package reference

import "math/big"

// Numbers are never changed in place, so that they can be handed around.

func plus(a, b *big.Int) *big.Int  { return new(big.Int).Add(a, b) }
func minus(a, b *big.Int) *big.Int { return new(big.Int).Sub(a, b) }
func times(a, b *big.Int) *big.Int { return new(big.Int).Mul(a, b) }

// amounts are what a row of stock counts, perhaps more than fits it.
type amounts struct{ onHand, reserved, damaged, inTransit *big.Int }

func (r Row) amounts() amounts {
	return amounts{big.NewInt(r.OnHand), big.NewInt(r.Reserved), big.NewInt(r.Damaged), big.NewInt(r.InTransit)}
}

func (a amounts) available() *big.Int { return minus(a.onHand, a.reserved) }

// fit says whether a fits a row, and the change of on hand from before a movement.
func (a amounts) fit(before Row) bool {
	for _, n := range []*big.Int{
		a.onHand, a.reserved, a.damaged, a.inTransit, a.available(), minus(a.onHand, big.NewInt(before.OnHand)),
	} {
		if !n.IsInt64() {
			return false
		}
	}
	return true
}
