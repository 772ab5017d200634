package reference

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
)

// Check holds the installation against what must be true of it whatever came: the ledger explains the stock, nothing
// appears or vanishes, what is promised or on its way adds up, and no policy is broken.
func (i *Installation) Check() error {
	return errors.Join(i.checkLedger(), i.checkConservation(), i.checkPromised(), i.checkOnTheWay(), i.checkPolicies())
}

// checkLedger says whether each row's movements follow on each other without a gap and end at the row.
func (i *Installation) checkLedger() error {
	last := make(map[Place]Movement)
	for _, m := range i.Ledger {
		before := last[m.Place]
		if m.Version != before.Version+1 || m.OnHand != before.OnHand+m.Delta {
			return fmt.Errorf("%+v does not follow %+v", m, before)
		}
		last[m.Place] = m
	}
	if len(last) != len(i.Stock) {
		return fmt.Errorf("%d rows, and movements of %d", len(i.Stock), len(last))
	}
	for at, r := range i.Stock {
		m := last[at]
		found := [...]int64{r.OnHand, r.Reserved, r.Damaged, r.InTransit, r.Version}
		if found != [...]int64{m.OnHand, m.Reserved, m.Damaged, m.InTransit, m.Version} {
			return fmt.Errorf("row %+v %+v, and its last movement is %+v", at, r, m)
		}
	}
	return nil
}

// checkConservation says whether receipts + returns + adjustments + changes by counts + discrepancies - sales -
// fulfilments = on hand + damaged + in transit, for each SKU over all its locations.
func (i *Installation) checkConservation() error {
	came, there := make(sums[SKUKey]), make(sums[SKUKey])
	found, discrepancies := make(sums[SKUKey]), make(sums[SKUKey]) // by transfers: in the ledger, and kept with them
	moved := make(sums[transferred])                               // what each transfer did to a SKU's total
	last := make(map[Place]Movement)
	for _, m := range i.Ledger {
		change, err := m.change(last[m.Place])
		if err != nil {
			return err
		}
		last[m.Place] = m
		switch m.Kind {
		case Transferred:
			moved.add(transferred{Identity{m.Tenant, m.EventID, m.EventSource}, m.SKU}, change)
		case TransferReceived:
			found.add(m.skuKey(), change)
			came.add(m.skuKey(), change)
		default:
			came.add(m.skuKey(), change)
		}
	}
	for key, t := range i.Transfers {
		for sku, got := range t.Got {
			discrepancies.add(SKUKey{key.Tenant, sku}, minus(big.NewInt(got), big.NewInt(t.Sent[sku])))
		}
	}
	for at, r := range i.Stock {
		a := r.amounts()
		there.add(at.skuKey(), plus(plus(a.onHand, a.damaged), a.inTransit))
	}
	return errors.Join(
		moved.equal(nil, "what a transfer changed of the total"),
		found.equal(discrepancies, "what receipts of transfers lost or found, and their discrepancies"),
		came.equal(there, "what came and what is there"),
	)
}

// transferred is one SKU in one event.
type transferred struct {
	event Identity
	sku   string
}

// sums are sums by key; one that is not there is 0.
type sums[K comparable] map[K]*big.Int

func (s sums[K]) of(key K) *big.Int {
	if n, ok := s[key]; ok {
		return n
	}
	return new(big.Int)
}

func (s sums[K]) add(key K, n *big.Int) { s[key] = plus(s.of(key), n) }

func (s sums[K]) equal(other sums[K], what string) error {
	for _, both := range []sums[K]{s, other} {
		for key := range both {
			if s.of(key).Cmp(other.of(key)) != 0 {
				return fmt.Errorf("%s: %+v: %s and %s", what, key, s.of(key), other.of(key))
			}
		}
	}
	return nil
}

// change is what a movement changed of the sum of on hand, damaged and in transit. An error says that its kind may not.
func (m Movement) change(before Movement) (*big.Int, error) {
	onHand := minus(big.NewInt(m.OnHand), big.NewInt(before.OnHand))
	spoilt := minus(big.NewInt(m.Damaged), big.NewInt(before.Damaged))
	way := minus(big.NewInt(m.InTransit), big.NewInt(before.InTransit))
	sum := plus(plus(onHand, spoilt), way)
	ok := false
	switch m.Kind {
	case Received:
		ok = onHand.Sign() > 0 && spoilt.Sign() == 0 && way.Sign() == 0
	case Sold, Fulfilled:
		ok = onHand.Sign() < 0 && spoilt.Sign() == 0 && way.Sign() == 0
	case Returned:
		ok = sum.Sign() > 0 && onHand.Sign() >= 0 && spoilt.Sign() >= 0 && way.Sign() == 0
	case Adjusted, Counted:
		ok = way.Sign() == 0 && (onHand.Sign() == 0 || spoilt.Sign() == 0)
	case Reserved, Released, Expired:
		ok = onHand.Sign() == 0 && spoilt.Sign() == 0 && way.Sign() == 0 && m.Reserved != before.Reserved
	case Transferred:
		ok = spoilt.Sign() == 0 && sum.Sign() != 0
	case TransferReceived:
		ok = spoilt.Sign() == 0 && way.Sign() < 0 && onHand.Sign() >= 0
	}
	if !ok {
		return nil, fmt.Errorf("%+v may not follow %+v", m, before)
	}
	return sum, nil
}

// checkPromised says whether what rows hold as reserved is what open reservations have there.
func (i *Installation) checkPromised() error {
	promised, reserved := make(sums[Place]), make(sums[Place])
	for key, r := range i.Reservations {
		if (r.State == StateOpen) != (len(r.open) > 0) {
			return fmt.Errorf("reservation %+v is %+v", key, r)
		}
		for at, quantity := range r.open {
			promised.add(Place{key.Tenant, at.sku, at.location}, big.NewInt(quantity))
		}
	}
	for at, r := range i.Stock {
		reserved.add(at, big.NewInt(r.Reserved))
	}
	return promised.equal(reserved, "what is promised and what is reserved")
}

// checkOnTheWay says whether what rows hold as in transit is what transfers sent there and no receipt ended.
func (i *Installation) checkOnTheWay() error {
	sent, inTransit := make(sums[Place]), make(sums[Place])
	for key, t := range i.Transfers {
		if (t.State == StateReceived) != (t.Got != nil) || t.Got != nil && len(t.Got) != len(t.Sent) {
			return fmt.Errorf("transfer %+v is %+v", key, t)
		}
		for sku, quantity := range t.Sent {
			if t.State == StateSent {
				sent.add(Place{key.Tenant, sku, t.To}, big.NewInt(quantity))
			}
		}
	}
	for at, r := range i.Stock {
		inTransit.add(at, big.NewInt(r.InTransit))
	}
	return sent.equal(inTransit, "what was sent and what is in transit")
}

// checkPolicies says whether stock is where its SKU's policy lets it be, and no bundle has stock.
func (i *Installation) checkPolicies() error {
	for at, r := range i.Stock {
		d, ok := i.SKUs[at.skuKey()]
		if !ok || len(d.Bundle) > 0 || !d.allows(big.NewInt(r.OnHand)) || slices.Min([]int64{
			r.Reserved, r.Damaged, r.InTransit,
		}) < 0 {
			return fmt.Errorf("%+v %+v under %+v", at, r, d)
		}
	}
	return nil
}
