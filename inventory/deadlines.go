package inventory

import (
	"container/heap"
	"time"
)

// deadlines are those of one partition that may pass within a batch, the next one first. One whose reservation has
// another deadline by now, or none, is left lying until it comes up.
type deadlines []deadline

func (d deadlines) Len() int           { return len(d) }
func (d deadlines) Less(i, j int) bool { return d[i].compare(d[j]) < 0 }
func (d deadlines) Swap(i, j int)      { d[i], d[j] = d[j], d[i] }
func (d *deadlines) Push(x any)        { *d = append(*d, x.(deadline)) } //nolint:forcetypeassert // heap.Push of ours
func (d *deadlines) Pop() any {
	last := len(*d) - 1
	x := (*d)[last]
	*d = (*d)[:last]
	return x
}

// watch notes r's deadline, if it has one.
func (f *fold) watch(r *reservationRow) {
	if r.state != stateOpen || r.deadline.IsZero() {
		return
	}
	if f.deadlines == nil {
		f.deadlines = make(map[Partition]*deadlines)
	}
	d := f.deadlines[r.from]
	if d == nil {
		d = &deadlines{}
		f.deadlines[r.from] = d
	}
	heap.Push(d, deadline{r.deadline, r.key})
}

// lapses returns the next reservation of a partition whose deadline is before now, and which lapses before first, if
// that is set; nil if there is none. Its deadline is not watched any more.
func (f *fold) lapses(p Partition, now time.Time, first *deadline) *reservationRow {
	d := f.deadlines[p]
	for d != nil && len(*d) > 0 {
		next := (*d)[0]
		if !next.at.Before(now) || first != nil && next.compare(*first) >= 0 {
			return nil
		}
		heap.Pop(d)
		r := f.reservations[next.key]
		if r.state == stateOpen && r.from == p && r.deadline.Equal(next.at) {
			return r
		}
	}
	return nil
}
