package verify

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"onhand/inbox"
)

// question is about an event that has no inbox row of its own: is its identity known, and as the same event?
type question struct {
	offset      int64
	identity    identity
	fingerprint int64
	conflict    bool // its dead letter says that the identity is known as another event
	forgettable bool // what was known of it may have been dropped
	timeless    bool // its event has no time
}

// maxPending is how many questions are asked at once.
const maxPending = 2000

func (j *judge) ask(r *inbox.Record, event *inbox.Event, conflict bool) {
	_, timed := inbox.MemoryTime(event, r)
	j.pending = append(j.pending, question{
		r.Offset, identityOf(event), event.Fingerprint, conflict, j.mayBeForgotten(event, r), !timed,
	})
}

const selectKnown = `
select e.ord, i.topic, i.partition, i.incarnation, i."offset", i.fingerprint
from unnest($1::text[], $2::text[], $3::text[]) with ordinality as e (tenant, event_id, source, ord)
join inbox i on i.tenant = e.tenant and i.event_id = e.event_id and i.source = e.source`

type knownRow struct {
	position
	fingerprint int64
}

// lookUp answers the pending questions.
func (j *judge) lookUp(ctx context.Context) error {
	if len(j.pending) == 0 {
		return nil
	}
	n := len(j.pending)
	tenants, ids, sources := make([]string, n), make([]string, n), make([]string, n)
	for i, q := range j.pending {
		tenants[i], ids[i], sources[i] = q.identity.tenant, q.identity.id, q.identity.source
	}
	known := make([]*knownRow, n)
	var ord int64
	var k knownRow
	rows, err := j.v.snapshot.tx.Query(ctx, selectKnown, tenants, ids, sources)
	if err == nil {
		into := []any{&ord, &k.Topic, &k.Partition, &k.Incarnation, &k.Offset, &k.fingerprint}
		_, err = pgx.ForEachRow(rows, into, func() error {
			found := k
			known[ord-1] = &found
			return nil
		})
	}
	if err != nil {
		return fmt.Errorf("look up events: %w", err)
	}
	for i, q := range j.pending {
		j.answer(q, known[i])
	}
	j.pending = j.pending[:0]
	return nil
}

func (j *judge) answer(q question, known *knownRow) {
	if q.forgettable && (q.conflict || !j.stoodBefore(known, q) && !j.decidedAgain(known, q)) {
		if !q.conflict {
			j.partition.Unproven++
		}
		return
	}
	if q.conflict {
		switch {
		case known == nil:
			j.differ("I3", q.offset, q.identity.String()+" in the inbox, as another event",
				"dead letter id_conflict, and no inbox row")
		case known.fingerprint == q.fingerprint:
			j.differ("I3", q.offset, q.identity.String()+" counted as a duplicate: it is the same event",
				"dead letter id_conflict")
		}
		return
	}
	if known == nil {
		j.differ("I5", q.offset, q.identity.String()+" with an inbox row", "no row: the record is lost")
		return
	}
	j.partition.Counted.Duplicate++
	first := known.partition() == j.row.Name() && known.Incarnation == j.row.Incarnation && known.Offset > q.offset
	switch {
	case !sameEvent(known.fingerprint, q.fingerprint):
		j.differ("I3", q.offset, "dead letter id_conflict: "+q.identity.String()+" is known as another event", "no row")
	case first:
		j.differ("I5", q.offset, q.identity.String()+" with its inbox row at this offset, the first",
			fmt.Sprintf("inbox row at offset %d", known.Offset))
	}
}

// stoodBefore reports whether the known event was surely decided before the record that q is about was read.
func (j *judge) stoodBefore(known *knownRow, q question) bool {
	return known != nil && known.partition() == j.row.Name() &&
		(known.Incarnation < j.row.Incarnation || known.Offset < q.offset)
}

// decidedAgain reports whether the known event is q's, decided once more at a later record of the same partition. What
// has a time would have been parked there; what has none is new once it is forgotten.
func (j *judge) decidedAgain(known *knownRow, q question) bool {
	return !q.timeless && known != nil && known.partition() == j.row.Name() &&
		known.Incarnation == j.row.Incarnation && known.Offset > q.offset && sameEvent(known.fingerprint, q.fingerprint)
}

func identityOf(e *inbox.Event) identity { return identity{e.Tenant, e.ID, e.Source} }

// sameEvent compares fingerprints. Those of different algorithms, which the high 8 bits name, cannot be compared; the
// identity alone decides then.
func sameEvent(a, b int64) bool { return a == b || uint64(a)>>56 != uint64(b)>>56 }
