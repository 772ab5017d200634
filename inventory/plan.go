package inventory

import (
	"math"
	"slices"
	"time"
)

// step is what an event does to one row.
type step struct {
	row   *stockRow
	move  Move
	after Stock
}

// plan decides an event: it goes through what the event asks of each row, in the order of its lines, until something is
// refused. What a reservation or transfer says of the event's lines is read here; what becomes of it is noted here too.
// Nothing is changed before all of it is decided.
type plan struct {
	f       *fold
	o       *occurrence
	at      time.Time
	steps   []step  // each row once
	reason  string  // the first refusal
	refuser refusal // the line that it is for, if it is for one
	err     error   // an event needs a row that was not loaded

	arrival int      // the latest step at the location where goods go to; -1 = none
	vast    []uint64 // of each line of parts, Move.Vast; nil: of none

	// What becomes of the reservation or transfer, if there is one.
	reservation      *reservationRow
	reservationAfter reservationRow
	transferred      *transferRow
	transferAfter    transferRow
}

// acts are what the lines of a kind ask of their own rows.
var acts = [expired + 1]Act{
	Received: Receive, Sold: Sell, Returned: Return, Adjusted: Adjust, Counted: Count, Reserved: Reserve,
	Released: Release, Fulfilled: Fulfil, Transferred: Leave, expired: Release,
}

// of plans o anew. The steps are in the order of their rows' keys in the end.
func (p *plan) of(f *fold, o *occurrence) {
	// One by one: what is noted of a reservation or transfer is large, and only of use where there is one.
	p.f, p.o, p.at, p.steps, p.arrival, p.vast = f, o, o.happened(), p.steps[:0], -1, nil
	p.reason, p.refuser, p.err, p.reservation, p.transferred = "", refusal{}, nil, nil, nil
	switch o.Kind {
	case Reserved:
		p.reserve()
	case Released, Fulfilled, expired:
		p.settle()
	case Transferred:
		p.transfer()
	case TransferReceived:
		p.receive()
	case Sold, Returned:
		p.lines(acts[o.Kind], p.apart(o.Lines))
	default:
		p.lines(acts[o.Kind], o.Lines)
	}
}

// over says whether there is nothing more to be decided.
func (p *plan) over() bool { return p.reason != "" || p.err != nil }

// refuse notes why the event is refused, and fail why it cannot be decided.
func (p *plan) refuse(reason string) { p.reason = reason }
func (p *plan) fail(err error)       { p.err = err }

// lines plans one step for each of lines at its own location.
func (p *plan) lines(act Act, lines []Line) {
	for i, l := range lines {
		m := p.move(act, l)
		if p.vast != nil {
			m.Vast = p.vast[i]
		}
		p.add(l.SKU, l.Location, m)
	}
}

func (p *plan) line(act Act, l Line) { p.add(l.SKU, l.Location, p.move(act, l)) }

func (p *plan) move(act Act, l Line) Move {
	return Move{
		Act: act, Quantity: l.Quantity, IfVersion: l.IfVersion, Damaged: p.o.Condition == Damaged,
		CountedAt: p.o.CountedAt.Truncate(resolution),
	}
}

// add plans m at a row that has no step yet.
func (p *plan) add(sku, location string, m Move) {
	if p.over() {
		return
	}
	key := stockKey{p.o.tenant, sku, location}
	row, ok := p.f.rows[key]
	if !ok {
		p.fail(notLoaded(key))
		return
	}
	if row.isBundle() {
		p.refuser = row.refuses(m.Quantity, m.IfVersion)
		p.refuse(isBundle)
		if m.IfVersion != AnyVersion && m.IfVersion != 0 {
			p.refuse(versionMismatch)
		}
		return
	}
	m.At = p.at
	p.steps = append(p.steps, step{row: row, move: m})
	p.decide(len(p.steps) - 1)
}

func (p *plan) decide(i int) {
	s := &p.steps[i]
	if s.after, p.reason = Decide(s.row.stock, s.move); p.reason != "" {
		quantity := s.move.Quantity
		if s.move.Vast > 0 {
			quantity = math.MaxInt64 // so much, and more
		}
		p.refuser = s.row.refuses(quantity, s.move.IfVersion)
	}
}

// arrive plans what a line, of lines in the order of their SKUs, brings to another location. Lines of one SKU from
// several locations come to one row.
func (p *plan) arrive(act Act, l Line) {
	if p.over() {
		return
	}
	if p.arrival < 0 || p.steps[p.arrival].row.key.sku != l.SKU {
		p.arrival = len(p.steps)
		p.add(l.SKU, p.o.To, Move{Act: act, Quantity: l.Quantity, IfVersion: AnyVersion})
		return
	}
	s := &p.steps[p.arrival]
	sum, fits := add(s.move.Quantity, l.Quantity)
	if !fits {
		p.refuse(overflow)
	} else {
		s.move.Quantity = sum
		p.decide(p.arrival)
	}
	if p.over() {
		p.refuser = s.row.refuses(l.Quantity, AnyVersion) // of this line, whatever came before
	}
}

// refuseLine notes that the event is refused for l, whose row was looked at.
func (p *plan) refuseLine(reason string, l Line) {
	key := stockKey{p.o.tenant, l.SKU, l.Location}
	row, ok := p.f.rows[key]
	if !ok {
		p.fail(notLoaded(key))
		return
	}
	p.refuser = row.refuses(l.Quantity, l.IfVersion)
	p.refuse(reason)
}

// sort brings the steps into the order of their rows.
func (p *plan) sort() {
	slices.SortFunc(p.steps, func(a, b step) int { return a.row.key.compare(b.row.key) })
}

// resolution is the database's: what is remembered in memory within a batch must be what would be read in the next.
const resolution = time.Microsecond

// happened is when o did, as far as that is known: by its own account, which cannot be later than its record.
func (o *occurrence) happened() time.Time {
	at := o.time
	if o.Kind == Counted && !o.CountedAt.IsZero() {
		at = o.CountedAt
	}
	if at.IsZero() || at.After(o.logged) && !o.logged.IsZero() {
		at = o.logged
	}
	return noLater(at).Truncate(resolution)
}

// noLater is t, or latest.
func noLater(t time.Time) time.Time {
	if t.After(latest) {
		return latest
	}
	return t
}

// latest is the last moment that an event or its record can be from, and so far within what the database can hold that
// a deadline counted from it is too: a producer that took nanoseconds for milliseconds is not.
var latest = time.Date(9999, time.December, 31, 23, 59, 59, 0, time.UTC)

// needStored fails if the row of stock that a stored reservation or transfer speaks of was not there when the batch's
// rows were locked: it was made since, and so was what is said of it. Decided on now, it would count as empty.
func (p *plan) needStored(sku, location string) {
	key := stockKey{p.o.tenant, sku, location}
	if row, ok := p.f.rows[key]; !ok || !row.stored {
		p.fail(notLoaded(key))
	}
}

// sameLines says whether a and b ask for the same.
func sameLines(a, b []Line) bool {
	return slices.EqualFunc(a, b, func(a, b Line) bool {
		return a.SKU == b.SKU && a.Location == b.Location && a.Quantity == b.Quantity
	})
}

// find returns the line of that row in sorted lines.
func find(lines []Line, l Line) (*Line, bool) {
	i, ok := slices.BinarySearchFunc(lines, l, Line.compare)
	if !ok {
		return nil, false
	}
	return &lines[i], true
}
