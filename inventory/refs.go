package inventory

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"onhand/inbox"
)

func (k refKey) compare(other refKey) int {
	return cmp.Or(strings.Compare(k.tenant, other.tenant), strings.Compare(k.id, other.id))
}

// refs are the reservations and transfers that a batch's events name, each sorted bytewise.
type refs struct {
	reservations []refKey
	transfers    []refKey
	args         []any // their names as arguments: of reservations, then of transfers; two each
}

func (r *refs) reset() {
	r.reservations, r.transfers = r.reservations[:0], r.transfers[:0]
}

func (r *refs) sort() {
	slices.SortFunc(r.reservations, refKey.compare)
	slices.SortFunc(r.transfers, refKey.compare)
	r.args = append(refColumns(r.reservations), refColumns(r.transfers)...)
}

func (r *refs) none() bool { return len(r.reservations)+len(r.transfers) == 0 }

func refColumns(keys []refKey) []any {
	tenants, ids := make([]string, len(keys)), make([]string, len(keys))
	for i, k := range keys {
		tenants[i], ids[i] = k.tenant, k.id
	}
	return []any{tenants, ids}
}

// note adds what e names to what the batch needs.
func (h *Handler) note(tenant string, e *Event) {
	if e.Reservation != "" {
		k := refKey{tenant, e.Reservation}
		if h.fold.reservations[k] == nil {
			h.fold.reservations[k] = &reservationRow{key: k}
			h.refs.reservations = append(h.refs.reservations, k)
		}
	}
	if e.Transfer != "" {
		k := refKey{tenant, e.Transfer}
		if h.fold.transfers[k] == nil {
			h.fold.transfers[k] = &transferRow{key: k}
			h.refs.transfers = append(h.refs.transfers, k)
		}
	}
}

const wantedReservations = `
with wanted as (
  select tenant, reservation
  from unnest($1::text[], $2::text[]) with ordinality as w (tenant, reservation, ord)
  order by ord
)`

// Where reservations lapse, those that are due are locked too, in one order with those that are named.
var wantedAndDueReservations = `
with wanted as (
  select w.tenant, w.reservation
  from (
    select tenant, reservation from unnest($1::text[], $2::text[]) as w (tenant, reservation)
    union all
    select d.tenant, d.reservation
    from (` + dueRows(3) + `
    ) d
    where ` + listed(3) + `
  ) w
  order by w.tenant collate "C", w.reservation collate "C"
)`

const readReservations = `
select w.tenant, w.reservation, r.state, r.expires_at, r.topic, r.partition, r.skus, r.locations, r.quantities,
       r.event_id, r.event_source, r.place, r.state is null
       and (select true from reservations e where e.tenant = w.tenant and e.reservation = w.reservation) is not null
from wanted w
left join lateral (
  select r.*, r.ctid as place from reservations r
  where r.tenant = w.tenant and r.reservation = w.reservation
  for update`

const readTransfers = `
with wanted as (
  select tenant, transfer, ord::integer
  from unnest($1::text[], $2::text[]) with ordinality as w (tenant, transfer, ord)
  order by ord
)
select w.ord, t.state, t.location, t.skus, t.sent, t.received, t.event_id, t.event_source,
       t.state is null and exists (select from transfers e where e.tenant = w.tenant and e.transfer = w.transfer)
from wanted w
left join lateral (
  select t.* from transfers t
  where t.tenant = w.tenant and t.transfer = w.transfer
  for update`

const (
	lockReservations       = readReservations + `) r on true`
	skipLockedReservations = readReservations + skipLocked + `) r on true`

	lockTransfers       = readTransfers + `) t on true`
	skipLockedTransfers = readTransfers + skipLocked + `) t on true`
)

// lockRefs queues the locks on the reservations and transfers that the batch names. Their lines' rows of stock were
// locked before, by what the rows said at that moment; whether they still say so is seen when an event needs them.
func (h *Handler) lockRefs(q *pgx.Batch, locks inbox.Locks) {
	reservations, transfers := lockReservations, lockTransfers
	if locks == inbox.SkipLocked {
		reservations, transfers = skipLockedReservations, skipLockedTransfers
	}
	switch {
	case h.due.lock:
		args := slices.Concat(h.refs.args[:2], h.due.args)
		q.Queue(wantedAndDueReservations+reservations, args...).Query(h.readReservations)
	case len(h.refs.reservations) > 0:
		q.Queue(wantedReservations+reservations, h.refs.args[:2]...).Query(h.readReservations)
	}
	if len(h.refs.transfers) > 0 {
		q.Queue(transfers, h.refs.args[2:]...).Query(h.readTransfers)
	}
}

func (h *Handler) readReservations(rows pgx.Rows) error {
	var (
		key                      refKey
		state, topic, id, source *string
		deadline                 *time.Time
		partition                *int32
		skus, locations          []string
		quantities               []int64
		place                    pgtype.TID
		unlocked                 bool
	)
	columns := []any{
		&key.tenant, &key.id, &state, &deadline, &topic, &partition, &skus, &locations, &quantities, &id, &source,
		&place, &unlocked,
	}
	open, lines := 0, 0
	_, err := pgx.ForEachRow(rows, columns, func() error {
		r, ok := h.fold.reservations[key]
		if !ok { // it is due
			r = &reservationRow{key: key}
			h.fold.reservations[key] = r
			h.refs.reservations = append(h.refs.reservations, key)
		}
		r.blocked, r.stored, r.place = unlocked, state != nil, place
		if !r.stored {
			return nil
		}
		r.state, r.from, r.made = *state, Partition{*topic, *partition}, eventKey{*id, *source}
		if deadline != nil {
			r.deadline = *deadline
		}
		r.lines = make([]Line, len(skus))
		for i := range skus {
			r.lines[i] = Line{SKU: skus[i], Location: locations[i], Quantity: quantities[i], IfVersion: AnyVersion}
		}
		if len(skus) > 0 {
			open, lines = open+1, lines+len(skus)
		}
		return nil
	})
	h.hints.sawLines(lines, open)
	return err
}

func (h *Handler) readTransfers(rows pgx.Rows) error {
	var (
		ord                   int32
		state, to, id, source *string
		skus                  []string
		sent, received        []int64
		unlocked              bool
	)
	columns := []any{&ord, &state, &to, &skus, &sent, &received, &id, &source, &unlocked}
	_, err := pgx.ForEachRow(rows, columns, func() error {
		t := h.fold.transfers[h.refs.transfers[ord-1]]
		t.blocked, t.stored = unlocked, state != nil
		if t.stored {
			t.state, t.to, t.made = *state, *to, eventKey{*id, *source}
			t.skus, t.sent, t.received = slices.Clone(skus), slices.Clone(sent), slices.Clone(received)
		}
		return nil
	})
	return err
}

// Inserts are plain, as those of stock are: a unique violation runs the batch again. What is updated is locked.
//
// The lines of all reservations are sent as one list, and each reservation's put together again by its number: arrays
// of arrays would all have to be of one length. The numbers are sent, too: the planner takes generate_series for a
// thousand rows, and would then read the whole table.
const (
	changedReservations = `
with lines as (
  select l.ord, array_agg(l.sku order by l.n) as skus, array_agg(l.location order by l.n) as locations,
         array_agg(l.quantity order by l.n) as quantities
  from (
    select unnest($10::integer[]) as ord, unnest($11::text[]) as sku, unnest($12::text[]) as location,
           unnest($13::bigint[]) as quantity, generate_series(1, cardinality($10::integer[])) as n
  ) l
  group by l.ord
), changed as (
  select c.*, coalesce(l.skus, '{}') as skus, coalesce(l.locations, '{}') as locations,
         coalesce(l.quantities, '{}') as quantities
  from (
    select unnest($1::tid[]) as place, unnest($2::text[]) as tenant, unnest($3::text[]) as reservation,
           unnest($4::text[]) as state, unnest($5::timestamptz[]) as expires_at, unnest($6::text[]) as topic,
           unnest($7::integer[]) as partition, unnest($8::text[]) as event_id, unnest($9::text[]) as event_source,
           unnest($14::integer[]) as ord
  ) c
  left join lines l on l.ord = c.ord
  order by c.ord
)`
	insertReservations = changedReservations + `
insert into reservations (tenant, reservation, state, expires_at, topic, partition, event_id, event_source, skus,
                          locations, quantities)
select tenant, reservation, state, expires_at, topic, partition, event_id, event_source, skus, locations, quantities
from changed`
	updateReservations = changedReservations + `
update reservations r
set state = c.state, expires_at = c.expires_at, topic = c.topic, partition = c.partition, skus = c.skus,
    locations = c.locations, quantities = c.quantities, updated_at = now()
from changed c
where r.ctid = c.place`

	insertTransfer = `
insert into transfers (tenant, transfer, state, location, skus, sent, received, event_id, event_source)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`
	updateTransfer = `
update transfers set state = $3, received = $4, updated_at = now() where tenant = $1 and transfer = $2`
)

// countLines counts the lines of the reservations and transfers that a batch names, each of which at most one event
// moves that does not name them itself: as many times as such a movement has messages, and once more for the ends of
// blocks (Handler.take). They are locked by then. Its arguments are refs.args, from $2 on.
const countLines = `
  5 * ((select coalesce(sum(cardinality(r.skus)), 0)
   from unnest($2::text[], $3::text[]) as d (tenant, id)
   cross join lateral (
     select r.skus from reservations r where r.tenant = d.tenant and r.reservation = d.id offset 0
   ) r)
  + (select coalesce(sum(cardinality(t.skus)), 0)
     from unnest($4::text[], $5::text[]) as d (tenant, id)
     cross join lateral (
       select t.skus from transfers t where t.tenant = d.tenant and t.transfer = d.id offset 0
     ) t))`

// countDueLines counts those of the reservations that are due as well. The arguments are refArgs, from $2 on.
var countDueLines = countLines + `
  + 5 * (select coalesce(sum(cardinality(d.skus)), 0) from (` + dueRows(6) + `) d where ` + listed(6) + `)`

// refArgs are the arguments that name reservations and transfers, and what is due if that is to be locked.
func (h *Handler) refArgs() []any {
	if !h.due.lock {
		return h.refs.args
	}
	return slices.Concat(h.refs.args, h.due.args)
}

// writeReservations queues what became of reservations, in the order of their keys as far as they are new.
func (h *Handler) writeReservations(q *pgx.Batch) {
	var created, updated []*reservationRow
	for _, k := range h.refs.reservations {
		switch r := h.fold.reservations[k]; {
		case !r.changed:
		case r.stored:
			updated = append(updated, r)
		default:
			created = append(created, r)
		}
	}
	queueReservations(q, insertReservations, created)
	queueReservations(q, updateReservations, updated)
}

func queueReservations(q *pgx.Batch, sql string, rows []*reservationRow) {
	if len(rows) == 0 {
		return
	}
	n := len(rows)
	tenants, ids, states, topics := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	events, sources := make([]string, n), make([]string, n)
	deadlines, partitions, places := make([]pgtype.Timestamptz, n), make([]int32, n), make([]pgtype.TID, n)
	numbers := make([]int32, n)
	var ords []int32
	var skus, locations []string
	var quantities []int64
	for i, r := range rows {
		tenants[i], ids[i], states[i], topics[i] = r.key.tenant, r.key.id, r.state, r.from.Topic
		events[i], sources[i], partitions[i] = r.made.id, r.made.source, r.from.ID
		places[i], numbers[i] = r.place, int32(i)
		deadlines[i] = pgtype.Timestamptz{Time: r.deadline, Valid: !r.deadline.IsZero()}
		for _, l := range r.lines {
			ords, quantities = append(ords, int32(i)), append(quantities, l.Quantity)
			skus, locations = append(skus, l.SKU), append(locations, l.Location)
		}
	}
	q.Queue(sql, places, tenants, ids, states, deadlines, topics, partitions, events, sources, orEmpty(ords),
		orEmpty(skus), orEmpty(locations), orEmpty(quantities), numbers)
}

// orEmpty is s, or an empty list where there is none: null would be something else.
func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

func (h *Handler) writeTransfers(q *pgx.Batch) {
	for _, k := range h.refs.transfers {
		t := h.fold.transfers[k]
		switch {
		case !t.changed:
		case t.stored:
			q.Queue(updateTransfer, k.tenant, k.id, t.state, t.received)
		default:
			q.Queue(insertTransfer, k.tenant, k.id, t.state, t.to, t.skus, t.sent, t.received, t.made.id, t.made.source)
		}
	}
}
