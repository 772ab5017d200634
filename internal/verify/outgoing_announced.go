package verify

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/jackc/pgx/v5"
)

// What is told beside the change itself, in the order in which it follows the message of its movement; and what became
// of an event that moved nothing.
var crossings = []string{"stock.low", "stock.depleted", "stock.restored", "stock.overcommitted"}

const (
	stockRejected = "stock.rejected"
	depleted      = 1 // in crossings

	// maxCrossings is how many one movement has at most: what comes down does not go up.
	maxCrossings = 3
)

// told is what a payload says of the row of stock and the event that it is about.
type told struct {
	Tenant      string         `json:"tenant"`
	SKU         string         `json:"sku"`
	Location    string         `json:"location"`
	Version     *int64         `json:"version"`
	OnHand      int64          `json:"on_hand"`
	Reserved    int64          `json:"reserved"`
	Damaged     int64          `json:"damaged"`
	Threshold   jsontext.Value `json:"threshold"`
	EventID     string         `json:"event_id"`
	Source      string         `json:"source"`
	EventKind   string         `json:"event_kind"`
	Quantity    jsontext.Value `json:"quantity"`
	IfVersion   jsontext.Value `json:"if_version"`
	Reservation string         `json:"reservation"`
	Transfer    string         `json:"transfer"`
}

func (t *told) row() stockRow { return stockRow{t.Tenant, t.SKU, t.Location} }

// isAnnouncement says whether a message of that kind is told beside changes.
func isAnnouncement(kind string) bool {
	return kind == stockRejected || slices.Contains(crossings, kind)
}

// About what a payload names: the movement of that version, with what was available before it, null = not known.
const selectTold = `
select e.ord, m.message_id, m.version, m.delta, m.on_hand, coalesce(m.reserved, 0), coalesce(m.damaged, 0),
       coalesce(m.in_transit, 0), m.kind, m.event_id, m.event_source, m.traceparent,
       case when m.version = 1 then 0 else b.on_hand - coalesce(b.reserved, 0) end
from unnest($1::text[], $2::text[], $3::text[], $4::bigint[])
  with ordinality as e (tenant, sku, location, version, ord)
cross join lateral (
  select * from (
    select ` + movementColumns + ` from movements
    where tenant = e.tenant and sku = e.sku and location = e.location and version = e.version
      and kind <> 'ledger.opened'
    union all
    select ` + movementColumns + ` from movements_archive
    where tenant = e.tenant and sku = e.sku and location = e.location and version = e.version
  ) m limit 1
) m
left join lateral (
  select on_hand, reserved from movements
  where tenant = e.tenant and sku = e.sku and location = e.location and version = e.version - 1
  union all
  select on_hand, reserved from movements_archive
  where tenant = e.tenant and sku = e.sku and location = e.location and version = e.version - 1
  limit 1
) b on true`

const movementColumns = `message_id, version, delta, on_hand, reserved, damaged, in_transit, kind, event_id,
           event_source, traceparent`

const selectAnswers = `
select e.ord, i.message_id, i.outcome::text, coalesce(i.reason, '')
from unnest($1::text[], $2::text[], $3::text[]) with ordinality as e (tenant, event_id, source, ord)
join inbox i on i.tenant = e.tenant and i.event_id = e.event_id and i.source = e.source`

// answer is what the inbox holds of an event.
type answer struct {
	message         int64 // 0 = none
	outcome, reason string
}

// lookUpTold reads what the pending announcements are about, each from what its payload names.
func (o *outgoing) lookUpTold(ctx context.Context) error {
	var asked []*published
	var tenants, skus, locations, events, sources []string
	var versions []int64
	for _, r := range o.pending {
		if !isAnnouncement(r.kind) {
			continue
		}
		if json.Unmarshal(r.value, &r.told) != nil {
			r.told = told{} // which names nothing that there is
		}
		t := &r.told
		version := int64(0)
		if t.Version != nil {
			version = *t.Version
		}
		asked = append(asked, r)
		tenants, skus, locations = append(tenants, t.Tenant), append(skus, t.SKU), append(locations, t.Location)
		events, sources, versions = append(events, t.EventID), append(sources, t.Source), append(versions, version)
	}
	if len(asked) == 0 {
		return nil
	}
	q := &pgx.Batch{}
	q.Queue(selectTold, clean(tenants), clean(skus), clean(locations), versions).Query(func(rows pgx.Rows) error {
		var ord int64
		var id, before *int64
		var m movement
		_, err := pgx.ForEachRow(rows, []any{
			&ord, &id, &m.version, &m.delta, &m.onHand, &m.reserved, &m.damaged, &m.transit, &m.kind, &m.eventID,
			&m.eventSource, &m.traceparent, &before,
		}, func() error {
			found := m
			found.stockRow, found.before = asked[ord-1].told.row(), before
			if id != nil {
				found.id = *id
			}
			asked[ord-1].about = &found
			return nil
		})
		return err
	})
	q.Queue(selectAnswers, clean(tenants), clean(events), clean(sources)).Query(func(rows pgx.Rows) error {
		var ord int64
		var id *int64
		var a answer
		_, err := pgx.ForEachRow(rows, []any{&ord, &id, &a.outcome, &a.reason}, func() error {
			found := a
			if id != nil {
				found.message = *id
			}
			asked[ord-1].answer = &found
			return nil
		})
		return err
	})
	if err := o.v.snapshot.tx.SendBatch(ctx, q).Close(); err != nil {
		return fmt.Errorf("look up what announcements are about: %w", err)
	}
	return nil
}

// clean makes of texts what Postgres takes: it has none with a NUL, so such a one stands for nothing.
func clean(texts []string) []string {
	for i, s := range texts {
		if strings.ContainsRune(s, 0) || !utf8.ValidString(s) {
			texts[i] = ""
		}
	}
	return texts
}

// accountCrossing compares a message about what a movement crossed.
func (o *outgoing) accountCrossing(r *published, removed *movement) {
	m := r.about
	if m == nil {
		if removed != nil {
			o.report.Removed++
			o.followCrossing(r, removed)
		} else {
			o.ours(r, "", "no message: no movement crossed this", short(string(r.value)))
		}
		return
	}
	expected, found := r.compare(m.sku, m.traceparent, m.crossing(r.kind, r.told.Threshold))
	if behind := r.id - m.id; expected == "" && (behind < 1 || behind > maxCrossings) {
		expected, found = fmt.Sprintf("it right behind message %d, of its movement", m.id), fmt.Sprintf("message %d", r.id)
	}
	if expected == "" {
		if expected = r.kind + " " + m.wrongly(r.kind, r.told.Threshold); expected == r.kind+" " {
			expected = ""
		} else {
			found = fmt.Sprintf("available %s before, %d after", known(m.before), m.available())
		}
	}
	if o.ours(r, m.String(), expected, found) {
		o.followCrossing(r, m)
	}
}

func known(n *int64) string {
	if n == nil {
		return "?"
	}
	return strconv.FormatInt(*n, 10)
}

// crossing is what a message says that m has crossed something. The threshold was the SKU's at that moment, and is in
// the message alone.
func (m *movement) crossing(kind string, threshold jsontext.Value) []member {
	ms := []member{text("kind", kind)}
	if m.tenant != "" {
		ms = append(ms, text("tenant", m.tenant))
	}
	ms = append(ms, text("sku", m.sku), text("location", m.location))
	ms = append(ms, number("on_hand", m.onHand), number("reserved", m.reserved), number("available", m.available()))
	if kind == crossings[0] {
		ms = append(ms, member{"threshold", string(threshold), true})
	}
	ms = append(ms, number("version", m.version), text("event_id", m.eventID))
	if m.eventSource != "" {
		ms = append(ms, text("source", m.eventSource))
	}
	return append(ms, text("event_kind", m.kind))
}

func (m *movement) available() int64 { return m.onHand - m.reserved }

// wrongly says why m cannot have crossed that, or nothing: as far as it can be told without the SKU's threshold and
// policy of that moment, of which no more is known than that the one is not below 0 and the other's floor not above it.
func (m *movement) wrongly(kind string, threshold jsontext.Value) string {
	if m.before == nil {
		return ""
	}
	was, is := *m.before, m.available()
	switch kind {
	case "stock.low":
		t, err := strconv.ParseInt(string(threshold), 10, 64)
		if err != nil || t < 0 || was <= t || is > t {
			return fmt.Sprintf("from above the threshold, 0 or more, to it or below: %s", threshold)
		}
	case "stock.depleted":
		if was <= 0 || is > 0 {
			return "from above 0 to 0 or below"
		}
	case "stock.restored":
		if is <= 0 || is <= was || m.version == 1 {
			return "from the threshold, 0 or more, to above it, of a row that there was"
		}
	default:
		if is >= 0 || is >= was {
			return "from the floor, 0 or less, to below it"
		}
	}
	return ""
}

// followCrossing compares r's place with that of the message of its movement m, which it must follow before any later
// one of the row.
func (o *outgoing) followCrossing(r *published, m *movement) {
	nth := slices.Index(crossings, r.kind)
	d := m.digest()
	s, read := o.order.rows[d]
	row := m.String()
	switch {
	case !read: // then its own is missing, which is seen by the row's first version
	case s.last > m.version:
		if o.excuses.again(r.id) {
			o.report.Repeated++
			return
		}
		delete(o.owed, owed{d, m.version})
		if o.v.cfg.FollowRefused {
			o.report.Late++
			break
		}
		o.differ(r, row, fmt.Sprintf("%s of version %d before version %d", r.kind, m.version, s.last), "it comes after that")
	case s.last < m.version:
		if !r.from.compacted && !o.v.cfg.FollowRefused && !o.excuses.missing(m.id) {
			o.differ(r, row, fmt.Sprintf("%s behind the message of version %d", r.kind, m.version), "it comes before that")
		}
	case s.told&(1<<nth) != 0:
		if o.excuses.again(r.id) {
			o.report.Repeated++
			return
		}
		o.differ(r, row, "the message once", "it once more")
		return
	default:
		if s.told>>nth != 0 {
			o.differ(r, row, "what a movement crosses in its order", "it comes behind what follows it")
		}
		if s.at != r.from && s.at.Topic == r.from.Topic && !s.moved {
			o.differ(r, row, fmt.Sprintf("all messages of a row in one partition, %d", s.at.Partition),
				"a message in another; no order holds between the two")
		}
		s.told |= 1 << nth
		o.order.rows[d] = s
	}
	o.report.Announced++
}

// owed names a version whose message says that the last goods went, while nothing has said so yet.
type owed struct {
	row     rowDigest
	version int64
}

// owing is where the message should be.
type owing struct {
	row stockRow
	at  *outPartition
	id  int64
}

// advance takes in that m's message was read, which is the row's latest now: what the one before it owed has not come.
func (o *outgoing) advance(r *published, m *movement, step step) {
	d := m.digest()
	if b := step.before; b.owes() && (r.from == b.at || !r.from.lossy) {
		o.owed[owed{d, b.last}] = owing{m.stockRow, b.at, b.next()}
	}
	s := o.order.rows[d]
	s.message, s.told, s.emptied, s.counted = r.id, 0, false, m.kind != ""
	if s.counted {
		s.available = m.available()
		switch {
		case m.version == 1:
		case step.before.counted && step.last == m.version-1:
			s.emptied = step.before.available > 0 && s.available <= 0
		}
	}
	o.order.rows[d] = s
}

// owes says whether stock.depleted must follow, and has not.
func (s *sequence) owes() bool { return s.emptied && s.told&(1<<depleted) == 0 }

// next is the id of what follows the messages that were read of the latest version.
func (s *sequence) next() int64 {
	id := s.message + 1
	if s.told != 0 {
		id++ // stock.low
	}
	return id
}

// missed reports that stock.depleted, with that id if not with the next, is not there.
func (o *outgoing) missed(p *outPartition, row stockRow, version, id int64) {
	if p.compacted {
		o.unproven(p, 1)
		return
	}
	if o.excuses.missing(id) || o.excuses.missing(id+1) {
		o.report.Excused++
		return
	}
	o.differMissing(p, id, row.String(), fmt.Sprintf("stock.depleted of version %d", version))
}
