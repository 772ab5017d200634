package inventory

import (
	"errors"
	"fmt"
	"slices"
	"time"

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

	promised bool  // by the batch ahead, which has the row
	was      int64 // ... and leaves it with this version

	elsewhere bool // the stored row has something that is not simply on hand
	moved     bool // by an event of this batch
	redefined bool // the policy or the threshold is not the stored one any more

	last  Partition // that moved the row last; its ID is noPartition as long as only events of several rows did
	moves int32     // how often last has changed in this batch
}

// exists says whether there is a row, stored or to be.
func (r *stockRow) exists() bool { return r.stock.Version > 0 }

// skuRow is a row of skus while a batch is decided. It is there for SKUs that the batch defines, and for those of
// which it may create a row of stock.
type skuRow struct {
	key     skuKey
	policy  Policy
	low     Threshold
	bundle  []Part // nil: it is none
	stored  bool   // the row is in the database
	bundled bool   // and there it is a bundle
	blocked bool   // it is held by another client
	needed  bool   // a row of stock of this SKU is created
	rows    []*stockRow

	definition *Definition // by an event of this batch; nil = by none
}

// noPartition stands for none in a row's last one.
const noPartition = -1

// fold applies events one after another to rows in memory, so that many events on one row end as one update of it.
// It knows no database: what is loaded goes in, and what is to be written comes out.
type fold struct {
	rows         map[stockKey]*stockRow
	space        rowSpace // of rows
	skus         map[skuKey]*skuRow
	reservations map[refKey]*reservationRow
	transfers    map[refKey]*transferRow
	movements    []movement
	deadlines    map[Partition][]deadline // that may pass within the batch, the next one first

	bundles    bool                // there may be some among the SKUs
	foreseen   map[skuKey][]string // what they may be made of; see Hints
	rejections []rejection

	// Of the event at hand.
	now  occurrence
	plan plan
}

// movement is one row of the ledger, and the messages about it: its own, and one for everything that it crosses.
type movement struct {
	message int64 // id of its own; the others follow
	crossed crossings

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
		f.reservations, f.transfers = make(map[refKey]*reservationRow), make(map[refKey]*transferRow)
		f.foreseen = make(map[skuKey][]string)
	}
	clear(f.rows)
	f.space.reset()
	clear(f.skus)
	clear(f.reservations)
	clear(f.transfers)
	clear(f.deadlines)
	clear(f.foreseen)
	f.bundles = false
	f.movements, f.rejections = f.movements[:0], f.rejections[:0]
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
	time               time.Time // the event's own; zero = it has none
	logged             time.Time // its record's, at most latest
}

// notLoaded is the error of an event that needs a row of stock that is not there.
func notLoaded(k stockKey) error {
	return fmt.Errorf("stock of %q at %q: %w", k.sku, k.location, errNotLoaded)
}

// apply decides o, all of it or nothing, and returns the reason why it is rejected, or the empty string. movedFrom is
// set if o moved a row that another partition moved before.
func (f *fold) apply(o occurrence) (reason string, movedFrom *Partition, err error) {
	if o.Kind == Defined {
		refuser, reason, err := f.define(o)
		if reason != "" {
			f.reject(o, reason, refuser)
		}
		return reason, nil, err
	}
	f.now = o
	p := &f.plan
	if p.of(f, &f.now); p.over() {
		if p.err == nil {
			f.reject(o, p.reason, p.refuser)
		}
		return p.reason, nil, p.err
	}
	alone := len(p.steps) == 1
	for i := range p.steps {
		movedFrom = f.move(&f.now, &p.steps[i], alone)
	}
	if p.reservation != nil {
		*p.reservation = p.reservationAfter
		f.watch(p.reservation)
	}
	if p.transferred != nil {
		*p.transferred = p.transferAfter
	}
	return "", movedFrom, nil
}

// reject notes that o was rejected, and for what, so that it can be told.
func (f *fold) reject(o occurrence, reason string, r refusal) {
	f.rejections = append(f.rejections, rejection{o: o, reason: reason, refusal: r})
}

// move does what was decided. An event on one row is expected to come from the partition of all of them; one on several
// comes from where it may, and leaves the row's partition as it was.
func (f *fold) move(o *occurrence, s *step, alone bool) (movedFrom *Partition) {
	r := s.row
	f.movements = append(f.movements, movement{
		key: r.key, after: s.after, delta: s.after.OnHand - r.stock.OnHand, kind: o.Kind, id: o.id, source: o.source,
		trace: o.trace, crossed: crossed(r.stock, s.after),
	})
	if !r.exists() {
		f.attach(r).needed = true
		r.last = Partition{o.from.Topic, noPartition}
	}
	if alone {
		if r.last.ID != noPartition && r.last != o.from {
			was := r.last
			movedFrom = &was
			r.moves++
		}
		r.last = o.from
	}
	r.stock, r.moved = s.after, true
	return movedFrom
}

// define sets what a SKU is, and the policy and the threshold of all its rows, those included that this batch has just
// made or may still make.
func (f *fold) define(o occurrence) (refuser refusal, reason string, err error) {
	d := o.Definition
	s, ok := f.skus[skuKey{o.tenant, d.SKU}]
	if !ok {
		return refuser, "", fmt.Errorf("sku %q: %w", d.SKU, errNotLoaded)
	}
	if len(d.Bundle) > 0 && slices.ContainsFunc(s.rows, (*stockRow).exists) {
		return refuser, hasStock, nil
	}
	// A row that is not there has nothing on hand, which suits every policy. Of several that object the first is named,
	// by its location, in whatever order they have come here.
	for _, r := range s.rows {
		if no := DecidePolicy(r.stock, d.Policy); no != "" && (reason == "" || r.key.location < refuser.location) {
			refuser, reason = refusal{sku: d.SKU, location: r.key.location, stock: r.stock, found: true}, no
		}
	}
	if reason != "" {
		return refuser, reason, nil
	}
	s.policy, s.low, s.bundle, s.definition = d.Policy, threshold(d.LowStock), d.Bundle, d
	f.bundles = f.bundles || len(d.Bundle) > 0
	for _, r := range s.rows {
		r.redefined = r.redefined || r.stock.Policy != s.policy || r.stock.Low != s.low
		r.stock.Policy, r.stock.Low = s.policy, s.low
	}
	return refuser, "", nil
}
