package inventory

import (
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// The states of a reservation. One that is not open stays so.
const (
	stateOpen      = "open"
	stateReleased  = "released"
	stateFulfilled = "fulfilled"
	stateExpired   = "expired"
)

// refKey names a row of reservations or of transfers.
type refKey struct{ tenant, id string }

// reservationRow is a row of reservations while a batch is decided.
type reservationRow struct {
	key      refKey
	state    string    // empty: there is none
	deadline time.Time // zero = never
	from     Partition // of the record that set the deadline
	lines    []Line    // what is open, sorted; IfVersion is AnyVersion
	made     eventKey  // the event that made it

	stored  bool       // the row is in the database
	place   pgtype.TID // ... here, for as long as it is locked
	blocked bool       // it is held by another client
	changed bool       // by an event of this batch
}

// eventKey names an event of a tenant.
type eventKey struct{ id, source string }

// reserve plans a new reservation, or gives one that is open another deadline.
func (p *plan) reserve() {
	o := p.o
	r, ok := p.f.reservations[refKey{o.tenant, o.Reservation}]
	if !ok {
		p.fail(errNotLoaded)
		return
	}
	if r.needStored(p); p.over() {
		return
	}
	deadline := o.deadline()
	switch {
	case r.state != "" && r.state != stateOpen:
		p.refuse(reservationClosed)
		return
	case r.state == "" && len(o.Lines) == 0:
		p.refuse(unknownReservation)
		return
	case !deadline.IsZero() && !deadline.After(o.logged):
		p.refuse(alreadyExpired)
		return
	}
	lines := p.apart(o.Lines) // what is promised are parts
	switch {
	case p.over():
		return
	case r.state == stateOpen && !p.versionsHold(lines...):
		return
	case r.state == stateOpen && len(lines) > 0 && (p.vast != nil || !sameLines(r.lines, lines)):
		p.refuse(reservationConflict)
		return
	}
	next := *r
	next.deadline, next.from, next.changed = deadline, o.from, true
	if r.state == "" {
		p.lines(Reserve, lines)
		next.state, next.made = stateOpen, eventKey{o.id, o.source}
		next.lines = slices.Clone(lines)
		for i := range next.lines {
			next.lines[i].IfVersion = AnyVersion
		}
	}
	p.reservation, p.reservationAfter = r, next
}

func (r *reservationRow) needStored(p *plan) {
	for i := 0; r.stored && i < len(r.lines); i++ {
		p.needStored(r.lines[i].SKU, r.lines[i].Location)
	}
}

// versionsHold says whether rows that are not moved have the versions that lines ask for; if not, the event is refused.
func (p *plan) versionsHold(lines ...Line) bool {
	for _, l := range lines {
		if l.IfVersion == AnyVersion {
			continue
		}
		row, ok := p.f.rows[stockKey{p.o.tenant, l.SKU, l.Location}]
		if !ok {
			p.fail(errNotLoaded)
			return false
		}
		if row.stock.Version != l.IfVersion {
			p.refuseLine(versionMismatch, l)
			return false
		}
	}
	return true
}

// deadline is when the reservation that o sets lapses; zero = never.
func (o *occurrence) deadline() time.Time {
	if o.Deadline.After > 0 {
		return o.logged.Add(time.Duration(o.Deadline.After) * time.Second)
	}
	return o.Deadline.At.Truncate(resolution)
}

// ends are what becomes of a reservation of which nothing is open any more.
var ends = map[Kind]string{Released: stateReleased, Fulfilled: stateFulfilled, expired: stateExpired}

// settle plans the end of a reservation, or of a part of it: what was promised leaves, or is free again.
func (p *plan) settle() {
	o := p.o
	r, ok := p.f.reservations[refKey{o.tenant, o.Reservation}]
	switch {
	case !ok:
		p.fail(errNotLoaded)
		return
	case r.state == "":
		p.refuse(unknownReservation)
		return
	case r.state != stateOpen:
		p.refuse(reservationClosed)
		return
	}
	lines := o.Lines
	if len(lines) == 0 {
		lines = r.lines
	}
	if r.needStored(p); p.over() {
		return
	}
	next := *r
	next.lines, next.changed = slices.Clone(r.lines), true
	for _, l := range lines {
		if !p.versionsHold(l) {
			return
		}
		if p.isBundle(l) {
			p.refuseLine(isBundle, l)
			return
		}
		open, ok := find(next.lines, l)
		if !ok || open.Quantity < l.Quantity {
			p.refuseLine(exceedsReservation, l)
			return
		}
		if p.line(acts[o.Kind], l); p.over() {
			return
		}
		open.Quantity -= l.Quantity
	}
	next.lines = slices.DeleteFunc(next.lines, func(l Line) bool { return l.Quantity == 0 })
	if len(next.lines) == 0 {
		next.state = ends[o.Kind]
	}
	p.reservation, p.reservationAfter = r, next
}
