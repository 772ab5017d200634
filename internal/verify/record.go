package verify

import (
	"context"
	"errors"
	"fmt"
	"strings"

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
	beyondMemory      = inbox.CodeBeyondMemory
)

// record judges the record that the log shows next.
func (j *judge) record(ctx context.Context, r *inbox.Record) error {
	if err := j.rowsBefore(ctx, r.Offset); err != nil {
		return err
	}
	j.invisible(r.Offset)
	j.advance(r.Offset + 1)
	j.walked(r.Offset, r.Timestamp)
	in, err := take(ctx, j.records.inbox, j.at(r.Offset))
	if err != nil {
		return err
	}
	dead, err := take(ctx, j.records.dead, j.at(r.Offset))
	if err != nil {
		return err
	}
	j.account(r, in, dead)
	if j.effects.size >= maxPending {
		if err := j.lookUpEffects(ctx); err != nil {
			return err
		}
	}
	if len(j.removals) >= maxPending {
		if err := j.lookUpRemoved(ctx); err != nil {
			return err
		}
	}
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
		j.differ("I3", r.Offset, fmt.Sprintf("fingerprint %d", event.Fingerprint),
			fmt.Sprintf("fingerprint %d", in.Fingerprint))
	}
	if body, ok := event.Body.(*inventory.Event); ok {
		j.effect(body, in)
	}
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
	case dead.Reason == beyondMemory && j.v.memory.old(event, r):
	default:
		j.differ("I5", r.Offset, "no dead letter: "+identityOf(event).String()+" can be read", dead.String())
	}
	if part := dead.differs(r); part != "" {
		j.differ("I5", r.Offset, "the record's "+part+" in its dead letter", "other bytes")
	}
}
