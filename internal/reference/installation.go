package reference

import (
	"strings"
	"time"
)

// Installation is everything that one installation holds. Its parts are to be read, not changed.
type Installation struct {
	SKUs         map[SKUKey]SKU
	Stock        map[Place]Row
	Ledger       []Movement // in the order in which it came to be
	Messages     []Message  // likewise
	Inbox        map[Identity]Decision
	Reservations map[PartyKey]Reservation
	Transfers    map[PartyKey]Transfer
}

// SKUKey names a SKU.
type SKUKey struct{ Tenant, SKU string }

// Place names a row of stock.
type Place struct{ Tenant, SKU, Location string }

// Identity is an event's.
type Identity struct{ Tenant, ID, Source string }

// PartyKey names a reservation or a transfer.
type PartyKey struct{ Tenant, ID string }

// Partition is one partition of a topic.
type Partition struct {
	Topic string
	ID    int32
}

// Row is one row of stock. What its SKU says is not repeated.
type Row struct {
	OnHand, Reserved, Damaged, InTransit int64

	Version int64
	MovedAt time.Time // when on hand or damaged changed last, or was counted; zero = never

	Last  Partition // the partition that changed it last
	Moves int       // how often that was another one than before
}

// Movement is one line of the ledger: a change of a row, and what it was after it.
type Movement struct {
	Place
	Version, Delta                       int64
	OnHand, Reserved, Damaged, InTransit int64
	Kind, EventID, EventSource           string
}

// Decision is what became of an event that is remembered.
type Decision struct {
	Reason  string // empty = applied
	content string
}

// Record is one record of the log.
type Record struct {
	Partition Partition
	Timestamp time.Time
	Value     []byte
}

// Verdict is how a record ends.
type Verdict string

// The verdicts. An id_conflict is a kind of parked; here they are told apart.
const (
	Applied   Verdict = "applied"
	Rejected  Verdict = "rejected"
	Duplicate Verdict = "duplicate"
	Conflict  Verdict = "id_conflict"
	Parked    Verdict = "parked"
)

// Outcome is what becomes of a record.
type Outcome struct {
	Verdict Verdict
	Reason  string // of Rejected and Parked
}

// String is the verdict, and its reason if it has one.
func (o Outcome) String() string { return strings.TrimSpace(string(o.Verdict) + " " + o.Reason) }

// New returns an empty Installation.
func New() *Installation {
	return &Installation{
		SKUs: make(map[SKUKey]SKU), Stock: make(map[Place]Row), Inbox: make(map[Identity]Decision),
		Reservations: make(map[PartyKey]Reservation), Transfers: make(map[PartyKey]Transfer),
	}
}

// Apply takes the next record of its partition. An error says that the record cannot be judged here.
func (i *Installation) Apply(r Record) (Outcome, error) {
	r.Timestamp = micros(r.Timestamp)
	i.lapse(r.Partition, r.Timestamp)
	e, park, err := read(r.Value)
	if err != nil {
		return Outcome{}, err
	}
	if park != "" {
		return Outcome{Parked, park}, nil
	}
	known, ok := i.Inbox[e.Identity]
	switch {
	case ok && known.content == e.content():
		return Outcome{Verdict: Duplicate}, nil
	case ok:
		return Outcome{Verdict: Conflict}, nil
	}
	reason, why := i.decide(&e, r)
	i.Inbox[e.Identity] = Decision{reason, e.content()}
	if reason != "" {
		i.reject(&e, reason, why)
		return Outcome{Rejected, reason}, nil
	}
	return Outcome{Verdict: Applied}, nil
}

// decide applies e, or says why not and for which line, and then nothing of it is.
func (i *Installation) decide(e *event, r Record) (reason string, why refused) {
	if e.Kind == Defined {
		return i.define(e)
	}
	s := i.begin(e.Identity, e.Kind, r.Partition, e.effective(r.Timestamp))
	reason = s.decide(e, r)
	return reason, s.refused
}

// decide decides what moves stock.
func (s *step) decide(e *event, r Record) (reason string) {
	switch e.Kind {
	case Received:
		reason = s.received(e)
	case Sold:
		reason = s.sold(e)
	case Returned:
		reason = s.returned(e)
	case Adjusted:
		reason = s.adjusted(e)
	case Counted:
		reason = s.counted(e)
	case Reserved:
		return s.reserved(e, r)
	case Released, Fulfilled:
		return s.ended(e)
	case Transferred:
		return s.transferred(e)
	case TransferReceived:
		return s.transferReceived(e)
	}
	if reason == "" {
		s.commit()
	}
	return reason
}

// effective is when the event happened, as far as it is believed: not after its record was written.
func (e *event) effective(written time.Time) time.Time {
	said := e.Time
	if e.Kind == Counted && e.CountedAt != nil {
		said = e.CountedAt
	}
	if said == nil || said.After(written) {
		return written
	}
	return micros(*said)
}
