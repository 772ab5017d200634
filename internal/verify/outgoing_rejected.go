package verify

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

// accountRejection compares a message that an event was rejected.
func (o *outgoing) accountRejection(r *published, removed *movement) {
	t, a := &r.told, r.answer
	event := identity{t.Tenant, t.EventID, t.Source}
	forgettable := o.forgets && (a == nil || a.message > r.id) // it may have been forgotten, and have come again
	switch {
	case forgettable:
		o.report.Forgotten++
	case a == nil:
		o.ours(r, "", "no message: no event was rejected", short(string(r.value)))
		return
	}
	reason := ""
	if a != nil {
		reason = a.reason
	}
	var expected, found string
	if !forgettable {
		expected, found = r.compare(r.subject(), r.traceparent, r.rejection(reason, removed != nil))
		if expected == "" && (a.outcome != "rejected" || a.message != r.id) {
			expected = fmt.Sprintf("%s rejected by message %d", event, r.id)
			found = fmt.Sprintf("%s, message %d", a.outcome, a.message)
		}
	}
	if !o.ours(r, "", expected, found) {
		return
	}
	o.followRejection(r)
	o.rejected = append(o.rejected, r.id)
	o.report.Announced++
}

// subject is what a rejection is about, which is its key.
func (r *published) subject() string { return cmp.Or(r.told.SKU, r.told.Reservation, r.told.Transfer) }

// rejection is what the message says. Of what the event asked for the database keeps nothing; of what was there it
// keeps everything, but for movements that were removed.
func (r *published) rejection(reason string, removed bool) []member {
	t := &r.told
	ms := []member{text("kind", stockRejected)}
	given := func(name, value string) {
		if value != "" {
			ms = append(ms, text(name, value))
		}
	}
	asked := func(name string, value []byte) {
		if len(value) > 0 {
			ms = append(ms, member{name, string(value), true})
		}
	}
	given("tenant", t.Tenant)
	given("sku", t.SKU)
	given("location", t.Location)
	asked("quantity", t.Quantity)
	asked("if_version", t.IfVersion)
	if t.Version != nil {
		m := r.about
		if m == nil {
			m = &movement{} // what is not there has nothing
		}
		if r.about == nil && removed {
			m = &movement{onHand: t.OnHand, reserved: t.Reserved, damaged: t.Damaged, version: *t.Version}
		}
		ms = append(ms, number("on_hand", m.onHand), number("reserved", m.reserved), number("available", m.available()))
		if m.damaged != 0 {
			ms = append(ms, number("damaged", m.damaged))
		}
		ms = append(ms, number("version", m.version))
	}
	given("reservation", t.Reservation)
	given("transfer", t.Transfer)
	ms = append(ms, text("event_id", t.EventID))
	given("source", t.Source)
	return append(ms, text("event_kind", t.EventKind), text("reason", reason))
}

// followRejection compares r's place with the messages of the row that it says it found: behind that version, before
// the next one.
func (o *outgoing) followRejection(r *published) {
	t := &r.told
	if t.Version == nil || o.excuses.again(r.id) {
		return
	}
	row, version := t.row(), *t.Version
	s, read := o.order.rows[row.digest()]
	switch {
	case !read, s.last == version:
	case s.last > version && o.v.cfg.FollowRefused:
		o.report.Late++
	case s.last > version:
		o.differ(r, row.String(), fmt.Sprintf("what found version %d before version %d", version, s.last),
			"it comes after that")
	case r.about != nil && o.excuses.missing(r.about.id):
	case !r.from.compacted && !o.v.cfg.FollowRefused:
		o.differ(r, row.String(), fmt.Sprintf("what found version %d behind its message", version), "it comes before that")
	}
}

const selectRejected = `
select coalesce(message_id, 0), tenant, event_id, source
from inbox
where outcome = 'rejected' and coalesce(message_id, 0) <= $1
order by message_id nulls first`

// rejections compares the rejections that were read with those that the inbox holds and that have left: 8 bytes each.
// Those read are compared by their numbers alone, because what they say was compared before.
func (o *outgoing) rejections(ctx context.Context) error {
	slices.Sort(o.rejected)
	for i := 1; i < len(o.rejected); i++ {
		switch id := o.rejected[i]; {
		case id != o.rejected[i-1]:
		case o.excuses.again(id):
			o.report.Repeated++
			o.report.Announced--
		default:
			o.report.Announced--
			o.note(nil, nil, o.relay.topic, id, "", "the message once", "it once more")
		}
	}
	lossy := o.anyLossy()
	rows, err := o.v.snapshot.tx.Query(ctx, selectRejected, o.relay.done)
	var id int64
	var event identity
	if err == nil {
		_, err = pgx.ForEachRow(rows, []any{&id, &event.tenant, &event.id, &event.source}, func() error {
			_, read := slices.BinarySearch(o.rejected, id)
			switch {
			case read && id != 0:
			case lossy && id != 0:
				o.unproven(nil, 1)
			case id != 0 && o.excuses.missing(id):
				o.report.Excused++
			default:
				o.differMissing(nil, id, "", "the message that "+event.String()+" was rejected")
			}
			return nil
		})
	}
	if err != nil {
		return fmt.Errorf("ask which events were rejected: %w", err)
	}
	return nil
}
