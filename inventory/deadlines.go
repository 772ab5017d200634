package inventory

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// deadline is when a reservation lapses. Those of a partition lapse in this order.
type deadline struct {
	at  time.Time
	key refKey
}

func (d deadline) compare(other deadline) int {
	return cmp.Or(d.at.Compare(other.at), strings.Compare(d.key.tenant, other.key.tenant),
		strings.Compare(d.key.id, other.key.id))
}

// watch notes r's deadline, if it has one, among those of its partition that may pass within the batch. One that r had
// before is left lying until it comes up.
func (f *fold) watch(r *reservationRow) {
	if r.state != stateOpen || r.deadline.IsZero() {
		return
	}
	if f.deadlines == nil {
		f.deadlines = make(map[Partition][]deadline)
	}
	d := deadline{r.deadline, r.key}
	sorted := f.deadlines[r.from]
	i, _ := slices.BinarySearchFunc(sorted, d, deadline.compare)
	f.deadlines[r.from] = slices.Insert(sorted, i, d)
}

// lapses returns the next reservation of a partition whose deadline is before now, and which lapses before first, if
// that is set; nil if there is none. Its deadline is not watched any more.
func (f *fold) lapses(p Partition, now time.Time, first *deadline) *reservationRow {
	for len(f.deadlines[p]) > 0 {
		next := f.deadlines[p][0]
		if !next.at.Before(now) || first != nil && next.compare(*first) >= 0 {
			return nil
		}
		f.deadlines[p] = f.deadlines[p][1:]
		r := f.reservations[next.key]
		if r.state == stateOpen && r.from == p && r.deadline.Equal(next.at) {
			return r
		}
	}
	return nil
}
