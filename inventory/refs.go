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
select w.tenant, w.reservation, r.state, r.expires_at, r.topic, r.partition, r.skus, r.locations, r.quantities, r.event_id,
       r.event_source, r.state is null
       and exists (select from reservations e where e.tenant = w.tenant and e.reservation = w.reservation)
from wanted w
left join lateral (
  select r.* from reservations r
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
		unlocked                 bool
	)
	columns := []any{
		&key.tenant, &key.id, &state, &deadline, &topic, &partition, &skus, &locations, &quantities, &id, &source,
		&unlocked,
	}
	_, err := pgx.ForEachRow(rows, columns, func() error {
		r, ok := h.fold.reservations[key]
		if !ok { // it is due
			r = &reservationRow{key: key}
			h.fold.reservations[key] = r
			h.refs.reservations = append(h.refs.reservations, key)
		}
		r.blocked, r.stored = unlocked, state != nil
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
		return nil
	})
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
const (
	insertReservation = `
insert into reservations (tenant, reservation, state, expires_at, topic, partition, event_id, event_source, skus,
                          locations, quantities)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`
	updateReservation = `
update reservations
set state = $3, expires_at = $4, topic = $5, partition = $6, skus = $7, locations = $8, quantities = $9,
    updated_at = now()
where tenant = $1 and reservation = $2`
	insertTransfer = `
insert into transfers (tenant, transfer, state, location, skus, sent, received, event_id, event_source)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`
	updateTransfer = `
update transfers set state = $3, received = $4, updated_at = now() where tenant = $1 and transfer = $2`
)

// countLines counts the lines of the reservations and transfers that a batch names, each of which at most one event
// moves that does not name them itself. They are locked by then. Its arguments are refs.args, from $2 on.
const countLines = `
  (select coalesce(sum(cardinality(r.skus)), 0)
   from unnest($2::text[], $3::text[]) as d (tenant, id)
   cross join lateral (
     select r.skus from reservations r where r.tenant = d.tenant and r.reservation = d.id offset 0
   ) r)
  + (select coalesce(sum(cardinality(t.skus)), 0)
     from unnest($4::text[], $5::text[]) as d (tenant, id)
     cross join lateral (
       select t.skus from transfers t where t.tenant = d.tenant and t.transfer = d.id offset 0
     ) t)`

// countDueLines counts those of the reservations that are due as well. The arguments are refArgs, from $2 on.
var countDueLines = countLines + `
  + (select coalesce(sum(cardinality(d.skus)), 0) from (` + dueRows(6) + `) d where ` + listed(6) + `)`

// refArgs are the arguments that name reservations and transfers, and what is due if that is to be locked.
func (h *Handler) refArgs() []any {
	if !h.due.lock {
		return h.refs.args
	}
	return slices.Concat(h.refs.args, h.due.args)
}

// writeReservations queues what became of reservations. They are few beside the movements that they come with, so each
// is a statement of its own.
func (h *Handler) writeReservations(q *pgx.Batch) {
	for _, k := range h.refs.reservations {
		r := h.fold.reservations[k]
		if !r.changed {
			continue
		}
		n := len(r.lines)
		skus, locations, quantities := make([]string, n), make([]string, n), make([]int64, n)
		for i, l := range r.lines {
			skus[i], locations[i], quantities[i] = l.SKU, l.Location, l.Quantity
		}
		deadline := pgtype.Timestamptz{Time: r.deadline, Valid: !r.deadline.IsZero()}
		if r.stored {
			q.Queue(updateReservation, k.tenant, k.id, r.state, deadline, r.from.Topic, r.from.ID, skus, locations, quantities)
			continue
		}
		q.Queue(insertReservation, k.tenant, k.id, r.state, deadline, r.from.Topic, r.from.ID, r.made.id, r.made.source,
			skus, locations, quantities)
	}
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
