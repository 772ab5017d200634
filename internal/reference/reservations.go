package reference

import (
	"maps"
	"math/big"
	"slices"
	"time"
)

// State is how far a reservation or a transfer has come.
type State string

// The states of reservations, then those of transfers.
const (
	StateOpen      State = "open"
	StateFulfilled State = "fulfilled"
	StateReleased  State = "released"
	StateExpired   State = "expired"

	StateSent     State = "sent"
	StateReceived State = "received"
)

// Reservation is a promise.
type Reservation struct {
	State     State
	Deadline  time.Time      // zero = none
	Partition Partition      // of the record that set it
	open      map[item]int64 // what of it is open, each more than 0
}

func (s *step) reserved(e *event, r Record) (reason string) {
	key := PartyKey{s.event.Tenant, e.Reservation}
	known, exists := s.world.Reservations[key]
	if exists && known.State != StateOpen {
		return "reservation_closed"
	}
	if !exists && len(e.lines) == 0 {
		return "unknown_reservation"
	}
	deadline := e.deadline(r.Timestamp)
	if !deadline.IsZero() && !deadline.After(r.Timestamp) {
		return "already_expired"
	}
	lines, reason := s.apart(e.lines)
	if reason != "" {
		return reason
	}
	if exists {
		if reason := s.extends(known, lines); reason != "" {
			return reason
		}
		known.Deadline, known.Partition = deadline, r.Partition
		s.world.Reservations[key] = known
		return ""
	}
	reason = s.each(lines, func(l line, r *amounts) string {
		if !s.allows(l.sku, minus(r.available(), l.quantity)) {
			return "insufficient_stock"
		}
		r.reserved = plus(r.reserved, l.quantity)
		return ""
	})
	if reason != "" {
		return reason
	}
	made := Reservation{StateOpen, deadline, r.Partition, make(map[item]int64)}
	for _, l := range lines {
		made.open[l.item] = l.quantity.Int64()
	}
	s.world.Reservations[key] = made
	s.commit()
	return ""
}

// deadline is when a reservation of a record written then lapses; zero = never.
func (e *event) deadline(written time.Time) time.Time {
	switch {
	case e.ExpiresAt != nil:
		return micros(*e.ExpiresAt)
	case e.TTL != nil:
		return written.Add(time.Duration(*e.TTL) * time.Second)
	default:
		return time.Time{}
	}
}

// extends says whether these lines, if there are any, ask for what is open of a reservation.
func (s *step) extends(known Reservation, lines []line) (reason string) {
	for _, l := range lines {
		if !l.versionHolds(s.world.Stock[s.place(l.item)].Version) {
			s.blame(l, "version_mismatch")
			return "version_mismatch"
		}
	}
	if len(lines) == 0 {
		return ""
	}
	same := len(lines) == len(known.open)
	for _, l := range lines {
		same = same && l.quantity.Cmp(big.NewInt(known.open[l.item])) == 0
	}
	if !same {
		return "reservation_conflict"
	}
	return ""
}

// ended is a promise that is released or fulfilled, in whole or in part.
func (s *step) ended(e *event) (reason string) {
	key := PartyKey{s.event.Tenant, e.Reservation}
	known, exists := s.world.Reservations[key]
	switch {
	case !exists:
		return "unknown_reservation"
	case known.State != StateOpen:
		return "reservation_closed"
	}
	lines := e.lines
	if len(lines) == 0 {
		lines = known.lines()
	}
	reason = s.each(lines, func(l line, r *amounts) string {
		if l.quantity.Cmp(big.NewInt(known.open[l.item])) > 0 {
			return "exceeds_reservation"
		}
		if e.Kind == Fulfilled {
			r.onHand = minus(r.onHand, l.quantity)
			if !s.allows(l.sku, r.onHand) {
				return "insufficient_stock"
			}
		}
		r.reserved = minus(r.reserved, l.quantity)
		return ""
	})
	if reason != "" {
		return reason
	}
	known.open = maps.Clone(known.open)
	for _, l := range lines {
		known.open[l.item] -= l.quantity.Int64()
		if known.open[l.item] == 0 {
			delete(known.open, l.item)
		}
	}
	if len(known.open) == 0 {
		known.State = StateReleased
		if e.Kind == Fulfilled {
			known.State = StateFulfilled
		}
	}
	s.world.Reservations[key] = known
	s.commit()
	return ""
}

// lines are what of the reservation is open, in order.
func (r Reservation) lines() []line {
	var lines []line
	for _, at := range slices.SortedFunc(maps.Keys(r.open), item.compare) {
		lines = append(lines, line{item: at, quantity: big.NewInt(r.open[at])})
	}
	return lines
}
