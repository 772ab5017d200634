package verify

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"onhand/inbox"
	"onhand/inventory"
)

// What the tables call it.
const (
	applied           = "applied"
	idConflict        = "id_conflict"
	refusedByDatabase = "refused_by_database"
	recordTooLarge    = "record_too_large"
	unknownKind       = "unknown_kind"
)

// record judges the record that the log shows next.
func (j *judge) record(ctx context.Context, r *inbox.Record) error {
	if err := j.rowsBefore(ctx, r.Offset); err != nil {
		return err
	}
	j.invisible(r.Offset)
	j.advance(r.Offset + 1)
	in, err := take(ctx, j.records.inbox, j.at(r.Offset))
	if err != nil {
		return err
	}
	dead, err := take(ctx, j.records.dead, j.at(r.Offset))
	if err != nil {
		return err
	}
	j.account(r, in, dead)
	if len(j.pending) == maxPending {
		return j.lookUp(ctx)
	}
	return nil
}

// account finds the one thing that became of r, counts it, and compares it with what the record says.
func (j *judge) account(r *inbox.Record, in *inboxRow, dead *deadRow) {
	event, err := j.v.decoder.Decode(r)
	var refusal *inbox.Refusal
	if err != nil && !errors.As(err, &refusal) {
		refusal = &inbox.Refusal{Code: "undecodable"}
	}
	counted := &j.partition.Counted
	switch {
	case j.jumpedIn(r.Offset, r.Offset+1) > 0:
		counted.Jumped++
		if in != nil || dead != nil {
			j.differ("I5", r.Offset, "no row: an operator jumped over the offset", describe(in, dead))
		}
	case in != nil && dead != nil:
		*j.counter(in)++
		j.differ("I5", r.Offset, "either an inbox row or a dead letter", describe(in, dead))
	case in != nil:
		*j.counter(in)++
		j.compareInbox(r, &event, refusal, in)
	case dead != nil:
		counted.Parked++
		j.compareDead(r, &event, refusal, dead)
	case refusal == nil:
		j.ask(r, &event, false)
	case refusal.Code == unknownKind:
		// An operator may have these ignored, and may have changed that: the counter knows how many there were.
		counted.Ignored++
	default:
		j.differ("I5", r.Offset, "dead letter "+refusal.Code, "no row")
	}
}

func describe(in *inboxRow, dead *deadRow) string {
	var found []string
	if in != nil {
		found = append(found, in.String())
	}
	if dead != nil {
		found = append(found, dead.String())
	}
	return strings.Join(found, " and ")
}

// compareInbox: the row must be of this event and of what it asks for, and its effect there exactly if it was applied.
func (j *judge) compareInbox(r *inbox.Record, event *inbox.Event, refusal *inbox.Refusal, in *inboxRow) {
	if refusal != nil {
		j.differ("I5", r.Offset, "dead letter "+refusal.Code, in.String())
		return
	}
	if id := identityOf(event); in.identity() != id {
		j.differ("I3", r.Offset, id.String(), in.String())
		return
	}
	if !sameEvent(in.Fingerprint, event.Fingerprint) {
		j.differ("I3", r.Offset, fmt.Sprintf("fingerprint %d", event.Fingerprint), fmt.Sprint(in.Fingerprint))
	}
	body, ok := event.Body.(*inventory.Event)
	if expected, fits := "", ok; fits {
		if expected, fits = effect(body, in); !fits {
			j.differ("I1", r.Offset, in.String()+" with "+expected, movements(in))
		}
	}
}

// effect says what in's event must have moved, and whether it did.
func effect(e *inventory.Event, in *inboxRow) (expected string, fits bool) {
	if in.Outcome != applied || e.Kind == inventory.Defined {
		return "no movement", in.Moves == 0
	}
	expected = fmt.Sprintf("one movement, %s of %d, of %q at %q", e.Kind, e.Line.Quantity, e.SKU, e.Line.Location)
	fits = in.Moves == 1 && in.Kind == e.Kind.String() && in.SKU == e.SKU && in.Location == e.Line.Location
	switch e.Kind {
	case inventory.Sold:
		fits = fits && in.Delta == -e.Line.Quantity
	case inventory.Counted:
		fits = fits && in.OnHand == e.Line.Quantity
	default:
		fits = fits && in.Delta == e.Line.Quantity
	}
	if e.Line.IfVersion != inventory.AnyVersion {
		expected += fmt.Sprintf(", version %d", e.Line.IfVersion+1)
		fits = fits && in.Version == e.Line.IfVersion+1
	}
	return expected, fits
}

// effectAlone is what can be said of a row's effect without its record.
func (j *judge) effectAlone(in *inboxRow) {
	if in.Outcome != applied && in.Moves > 0 || in.Moves > 1 {
		j.found.differ(inLog("I1", in.position, in.String()+" with its one effect, or none if rejected", movements(in)))
	}
}

func movements(in *inboxRow) string {
	switch in.Moves {
	case 0:
		return "no movement"
	case 1:
		return fmt.Sprintf("one movement, %s, version %d of %q at %q: %+d to %d",
			in.Kind, in.Version, in.SKU, in.Location, in.Delta, in.OnHand)
	}
	return fmt.Sprintf("%d movements", in.Moves)
}

// compareDead: the reason must be what is wrong with the record, and the bytes must be the record's.
func (j *judge) compareDead(r *inbox.Record, event *inbox.Event, refusal *inbox.Refusal, dead *deadRow) {
	switch {
	case refusal != nil && dead.Reason == refusal.Code, dead.Reason == refusedByDatabase:
	case dead.Reason == recordTooLarge && len(r.Value) > j.v.cfg.MaxRecordBytes:
	case refusal != nil:
		j.differ("I5", r.Offset, "dead letter "+refusal.Code, dead.String())
	case dead.Reason == idConflict:
		j.ask(r, event, true)
	default:
		j.differ("I5", r.Offset, "no dead letter: "+identityOf(event).String()+" can be read", dead.String())
	}
	if part := dead.differs(r); part != "" {
		j.differ("I5", r.Offset, "the record's "+part+" in its dead letter", "other bytes")
	}
}

// question is about an event that has no inbox row of its own: is its identity known, and as the same event?
type question struct {
	offset      int64
	identity    identity
	fingerprint int64
	conflict    bool // its dead letter says that the identity is known as another event
}

// maxPending is how many questions are asked at once.
const maxPending = 2000

func (j *judge) ask(r *inbox.Record, event *inbox.Event, conflict bool) {
	j.pending = append(j.pending, question{r.Offset, identityOf(event), event.Fingerprint, conflict})
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

func identityOf(e *inbox.Event) identity { return identity{e.Tenant, e.ID, e.Source} }

// sameEvent compares fingerprints. Those of different algorithms, which the high 8 bits name, cannot be compared; the
// identity alone decides then.
func sameEvent(a, b int64) bool { return a == b || uint64(a)>>56 != uint64(b)>>56 }
