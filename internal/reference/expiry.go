package reference

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// ExpirySource is the source of the events that a lapse stands for.
const ExpirySource = "onhand:expiry"

// CaughtUp says that the log has been read to its end, and what time it is, less the grace.
func (i *Installation) CaughtUp(now time.Time) {
	partitions := make(map[Partition]bool)
	for _, r := range i.Reservations {
		partitions[r.Partition] = true
	}
	for _, p := range slices.SortedFunc(maps.Keys(partitions), Partition.compare) {
		i.lapse(p, now)
	}
}

func (p Partition) compare(q Partition) int {
	return cmp.Or(strings.Compare(p.Topic, q.Topic), cmp.Compare(p.ID, q.ID))
}

// lapse ends the open reservations of a partition whose deadline is before now.
func (i *Installation) lapse(p Partition, now time.Time) {
	var over []PartyKey
	for key, r := range i.Reservations {
		if r.State == StateOpen && r.Partition == p && !r.Deadline.IsZero() && r.Deadline.Before(now) {
			over = append(over, key)
		}
	}
	slices.SortFunc(over, func(a, b PartyKey) int {
		return cmp.Or(i.Reservations[a].Deadline.Compare(i.Reservations[b].Deadline),
			strings.Compare(a.Tenant, b.Tenant), strings.Compare(a.ID, b.ID))
	})
	for _, key := range over {
		i.expire(key)
	}
}

func (i *Installation) expire(key PartyKey) {
	r := i.Reservations[key]
	id := Identity{key.Tenant, key.ID, ExpirySource}
	s := i.begin(id, Expired, r.Partition, time.Time{})
	for _, l := range r.lines() {
		row := s.row(s.place(l.item))
		row.reserved = minus(row.reserved, l.quantity)
	}
	s.commit()
	r.State, r.open = StateExpired, nil
	i.Reservations[key] = r
	i.Inbox[id] = Decision{}
}
