package inventory

import (
	"cmp"
	"maps"
	"math/big"
	"slices"
)

// model is what stock should do, written to be read: one event after another, maps, and numbers without end. It shares
// nothing with the code under test but the types of what goes in.
type model struct {
	policies map[skuKey]Policy
	rows     map[stockKey]modelRow
	ledger   []modelMovement
}

type modelRow struct {
	onHand, version int64
	last            Partition
	moves           int32
}

type modelMovement struct {
	key                    stockKey
	version, delta, onHand int64
	kind, id, source       string
}

func newModel() *model {
	return &model{policies: make(map[skuKey]Policy), rows: make(map[stockKey]modelRow)}
}

func (m *model) apply(o occurrence) (reason string) {
	if o.Kind == Defined {
		sku := skuKey{o.tenant, o.Definition.SKU}
		for k, row := range m.rows {
			if k.tenant == o.tenant && k.sku == o.Definition.SKU && !allowed(o.Definition.Policy, big.NewInt(row.onHand)) {
				return "policy_conflict"
			}
		}
		m.policies[sku] = o.Definition.Policy
		return ""
	}
	key := stockKey{o.tenant, o.Lines[0].SKU, o.Lines[0].Location}
	sku := key.skuKey()
	row, exists := m.rows[key]
	if o.Lines[0].IfVersion != AnyVersion && o.Lines[0].IfVersion != row.version {
		return "version_mismatch"
	}
	before, quantity := big.NewInt(row.onHand), big.NewInt(o.Lines[0].Quantity)
	after := new(big.Int)
	switch o.Kind {
	case Received, Returned, Adjusted:
		after.Add(before, quantity)
	case Sold:
		after.Sub(before, quantity)
	case Counted:
		after.Set(quantity)
	}
	delta := new(big.Int).Sub(after, before)
	switch policy := m.policies[sku]; {
	case o.Kind == Sold && !allowed(policy, after):
		return "insufficient_stock"
	case o.Kind == Adjusted && delta.Sign() < 0 && !allowed(policy, after):
		return "below_zero"
	case !after.IsInt64() || !delta.IsInt64():
		return "overflow"
	}
	if exists && row.last != o.from {
		row.moves++
	}
	row.onHand, row.version, row.last = after.Int64(), row.version+1, o.from
	m.rows[key] = row
	if _, known := m.policies[sku]; !known {
		m.policies[sku] = Policy{}
	}
	m.ledger = append(m.ledger, modelMovement{
		key, row.version, delta.Int64(), row.onHand, o.Kind.String(), o.id, o.source,
	})
	return ""
}

// allowed says whether p lets that much be on hand.
func allowed(p Policy, onHand *big.Int) bool {
	switch p.Backorder {
	case Allow:
		return true
	case Limit:
		return onHand.Cmp(new(big.Int).Neg(big.NewInt(p.Max))) >= 0
	default:
		return onHand.Sign() >= 0
	}
}

// storedRow is a row of stock as it stands in the database, or should.
type storedRow struct {
	Key             stockKey
	OnHand, Version int64
	Policy          Policy
	Last            Partition
	Moves           int32
}

// wantRows are the rows of stock that the model has come to, sorted by key.
func (m *model) wantRows() []storedRow {
	rows := make([]storedRow, 0, len(m.rows))
	for _, k := range slices.SortedFunc(maps.Keys(m.rows), stockKey.compare) {
		r := m.rows[k]
		rows = append(rows, storedRow{k, r.onHand, r.version, m.policies[k.skuKey()], r.last, r.moves})
	}
	return rows
}

// wantLedger is the ledger as it is read from the database: by key and version.
func (m *model) wantLedger() []modelMovement {
	return slices.SortedFunc(slices.Values(m.ledger), func(a, b modelMovement) int {
		return cmp.Or(a.key.compare(b.key), cmp.Compare(a.version, b.version))
	})
}
