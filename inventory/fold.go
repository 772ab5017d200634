package inventory

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgtype"
)

// errNotLoaded says that an event needs a row that Load did not read: a bug, or an event that was not in the batch.
var errNotLoaded = errors.New("row not loaded")

// stockKey names a row of stock.
type stockKey struct{ tenant, sku, location string }

func (k stockKey) skuKey() skuKey { return skuKey{k.tenant, k.sku} }

// skuKey names a row of skus.
type skuKey struct{ tenant, sku string }

// stockRow is a row of stock while a batch is decided.
type stockRow struct {
	key    stockKey
	stock  Stock
	sku    *skuRow    // nil: nothing in this batch needs it
	stored bool       // the row is in the database
	place  pgtype.TID // ... here, for as long as it is locked

	blocked bool // the row, or the one of skus that it needs, is held by another client

	moved     bool // by an event of this batch
	redefined bool // the policy is not the stored one any more

	last  Partition // that moved the row last; the zero value before the first movement
	moves int32     // how often last has changed in this batch
}

// exists says whether there is a row, stored or to be.
func (r *stockRow) exists() bool { return r.stock.Version > 0 }

// skuRow is a row of skus while a batch is decided. It is there for SKUs that the batch defines, and for those of
// which it may create a row of stock.
type skuRow struct {
	key     skuKey
	policy  Policy
	stored  bool // the row is in the database
	blocked bool // it is held by another client
	needed  bool // a row of stock of this SKU is created
	defined bool // by an event of this batch
	rows    []*stockRow
}

// fold applies events one after another to rows in memory, so that many events on one row end as one update of it.
// It knows no database: what is loaded goes in, and what is to be written comes out.
type fold struct {
	rows      map[stockKey]*stockRow
	skus      map[skuKey]*skuRow
	movements []movement
}

// movement is one row of the ledger, and the message about it.
type movement struct {
	key    stockKey
	after  Stock
	delta  int64
	kind   Kind
	id     string
	source string
	trace  string // of the record; mostly empty
}

func (f *fold) reset() {
	if f.rows == nil {
		f.rows, f.skus = make(map[stockKey]*stockRow), make(map[skuKey]*skuRow)
	}
	clear(f.rows)
	clear(f.skus)
	f.movements = f.movements[:0]
}

// sku returns the row of that SKU, and makes one up if there is none: not stored, and denying.
func (f *fold) sku(k skuKey) *skuRow {
	s, ok := f.skus[k]
	if !ok {
		s = &skuRow{key: k}
		f.skus[k] = s
	}
	return s
}

// attach ties a row of stock to its SKU's.
func (f *fold) attach(r *stockRow) *skuRow {
	s := f.sku(r.key.skuKey())
	if r.sku == nil {
		r.sku = s
		s.rows = append(s.rows, r)
	}
	return s
}

// occurrence is an event with who it is and where it came from.
type occurrence struct {
	*Event
	tenant, id, source string
	trace              string
	from               Partition
}

// apply decides o and returns the reason why it is rejected, or the empty string. movedFrom is set if o moved a row
// that another partition moved before.
func (f *fold) apply(o occurrence) (reason string, movedFrom *Partition, err error) {
	if o.Kind == Defined {
		reason, err = f.define(o)
		return reason, nil, err
	}
	key := stockKey{o.tenant, o.SKU, o.Line.Location}
	r, ok := f.rows[key]
	if !ok {
		return "", nil, fmt.Errorf("stock of %q at %q: %w", key.sku, key.location, errNotLoaded)
	}
	after, reason := Decide(r.stock, o.Event)
	if reason != "" {
		return reason, nil, nil
	}
	f.movements = append(f.movements, movement{
		key: key, after: after, delta: after.OnHand - r.stock.OnHand, kind: o.Kind, id: o.id, source: o.source,
		trace: o.trace,
	})
	if !r.exists() {
		f.attach(r).needed = true
	} else if r.last != o.from {
		was := r.last
		movedFrom = &was
		r.moves++
	}
	r.stock, r.moved, r.last = after, true, o.from
	return "", movedFrom, nil
}

// define sets the policy of a SKU and of all its rows, those included that this batch has just made or may still make.
func (f *fold) define(o occurrence) (reason string, err error) {
	s, ok := f.skus[skuKey{o.tenant, o.SKU}]
	if !ok {
		return "", fmt.Errorf("sku %q: %w", o.SKU, errNotLoaded)
	}
	// A row that is not there has nothing on hand, which suits every policy.
	for _, r := range s.rows {
		if reason := DecidePolicy(r.stock, o.Policy); reason != "" {
			return reason, nil
		}
	}
	s.policy, s.defined = o.Policy, true
	for _, r := range s.rows {
		r.redefined = r.redefined || r.stock.Policy != o.Policy
		r.stock.Policy = o.Policy
	}
	return "", nil
}
