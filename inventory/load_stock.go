package inventory

import (
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"onhand/inbox"
)

// The rows that a batch needs which names all of them: those of its keys.
const wantedKeys = `
with wanted as (
  select unnest($1::text[]) as tenant, unnest($2::text[]) as sku, unnest($3::text[]) as location,
         generate_series(1, cardinality($1::text[])) as ord, null::integer as definition
)
select w.ord`

// In other batches there are also rows that are found by what the database says: every row of the SKUs that are
// defined, and the lines of the reservations and transfers that are named, as they are at this moment. All of them come
// in one order. What the lines say is read without a lock; the rows of reservations and transfers are locked after
// those of stock.
const wantedAll = `
with wanted as (
  select w.tenant, w.sku, w.location, w.ord, w.definition` + wantedRows

const wantedRows = `
  from (
    select k.tenant, k.sku, k.location, k.ord::integer, null::integer as definition
    from unnest($1::text[], $2::text[], $3::text[]) with ordinality as k (tenant, sku, location, ord)
    union all
    select d.tenant, d.sku, s.location, null, d.ord::integer
    from unnest($6::text[], $7::text[]) with ordinality as d (tenant, sku, ord)
    cross join lateral (select s.location from stock s where s.tenant = d.tenant and s.sku = d.sku offset 0) s
    union all
    select d.tenant, l.sku, l.location, null, 0
    from unnest($8::text[], $9::text[]) as d (tenant, id)
    cross join lateral (
      select r.skus, r.locations from reservations r where r.tenant = d.tenant and r.reservation = d.id offset 0
    ) r
    cross join lateral unnest(r.skus, r.locations) as l (sku, location)
    union all
    select d.tenant, l.sku, t.location, null, 0
    from unnest($10::text[], $11::text[]) as d (tenant, id)
    cross join lateral (
      select t.skus, t.location from transfers t where t.tenant = d.tenant and t.transfer = d.id and t.state = 'sent'
      offset 0
    ) t
    cross join lateral unnest(t.skus) as l (sku)`

// And where reservations lapse, the lines of those that are due.
var wantedDue = `
    union all
    select d.tenant, l.sku, l.location, null, 0
    from (` + dueRows(12) + `
    ) d
    cross join lateral unnest(d.skus, d.locations) as l (sku, location)
    where ` + listed(12)

const wantedOrder = `
  ) w
  order by w.tenant collate "C", w.sku collate "C", w.location collate "C"
)
select coalesce(w.ord, 0), coalesce(w.definition, 0), `

const wantedEnd = wantedOrder + `w.tenant, w.sku, w.location`

// Where a batch follows another one, what that one holds is only named: without a tenant the look for it finds nothing,
// and so waits for nothing.
const wantedUnpromised = `
with wanted as (
  select case when w.definition is null or (w.tenant collate "C", w.sku collate "C", w.location collate "C") not in (
           select unnest($12::text[]), unnest($13::text[]), unnest($14::text[])
         ) then w.tenant end as tenant,
         w.sku, w.location, w.ord, w.definition, w.tenant as named` + wantedRows + wantedOrder +
	`w.named, w.sku, w.location`

// What is read of each wanted row, and of the row of skus behind it when there is no such row yet: its policy is what
// the new one starts with, and must not change before that is committed. Or it is a bundle, and there must be no row.
//
// The rows are locked one by one in the order of the list. A lateral subquery with a locking clause is not merged into
// the rest, so it is the inner side of a nested loop, an index look-up for each line of the list, whatever the planner
// believes about sizes.
const (
	readStock = `,
       coalesce(s.version, 0), coalesce(s.on_hand, 0), coalesce(s.reserved, 0), s.elsewhere,
       case when $5 then s.moved_at end,
       coalesce(s.backorder, u.backorder), coalesce(s.backorder_limit, u.backorder_limit),
       coalesce(s.low_stock, u.low_stock),
       nullif(s.last_topic, $4), coalesce(s.last_partition, 0), s.ctid, u.bundle,
       s.version is null and (
         (select true from stock e where e.tenant = w.tenant and e.sku = w.sku and e.location = w.location) is not null
         or u.backorder is null and (select true from skus e where e.tenant = w.tenant and e.sku = w.sku) is not null)
from wanted w
left join lateral (
  select s.version, s.on_hand, s.reserved, s.moved_at, s.backorder, s.backorder_limit, s.low_stock, s.last_topic,
         s.last_partition, s.ctid,
         case when s.damaged <> 0 or s.in_transit <> 0 then array[s.damaged, s.in_transit] end as elsewhere
  from stock s
  where s.tenant = w.tenant and s.sku = w.sku and s.location = w.location
  for update`
	readPolicy = `) s on true
left join lateral (
  select u.backorder, u.backorder_limit, u.low_stock, u.bundle_skus || u.bundle_quantities::text[] as bundle
  from skus u
  where s.version is null and w.definition is null and u.tenant = w.tenant and u.sku = w.sku
  for share`
	readEnd    = `) u on true`
	skipLocked = ` skip locked`

	waitAndRead = readStock + readPolicy + readEnd
	skipAndRead = readStock + skipLocked + readPolicy + skipLocked + readEnd

	lockKeys       = wantedKeys + waitAndRead
	lockAll        = wantedAll + wantedEnd + waitAndRead
	lockUnpromised = wantedUnpromised + waitAndRead
	skipLockedKeys = wantedKeys + skipAndRead
	skipLockedAll  = wantedAll + wantedEnd + skipAndRead
)

var (
	lockAllDue       = wantedAll + wantedDue + wantedEnd + waitAndRead
	skipLockedAllDue = wantedAll + wantedDue + wantedEnd + skipAndRead
)

// lockStock queues the locks on the stock rows that the batch may change.
func (h *Handler) lockStock(q *pgx.Batch, locks inbox.Locks) {
	if len(h.keys)+len(h.defs) == 0 && h.refs.none() && !h.due.lock {
		return
	}
	wait, skip := lockKeys, skipLockedKeys
	keys, args := h.keyColumns()
	read := h.readNamed
	if len(h.defs) > 0 || !h.refs.none() || h.due.lock {
		wait, skip, read = lockAll, skipLockedAll, h.readFound
		tenants, skus := h.definedColumns()
		args = append(append(args, tenants, skus), h.refArgs()...)
		switch {
		case h.due.lock:
			wait, skip = lockAllDue, skipLockedAllDue
		case h.ahead != nil:
			wait = lockUnpromised
			args = append(args, h.ahead.columns()...)
		}
	} else if len(keys) == 0 {
		return
	}
	sql := wait
	if locks == inbox.SkipLocked {
		sql = skip
	}
	q.Queue(sql, args...).Query(func(rows pgx.Rows) error {
		if err := read(rows, keys); err != nil {
			return err
		}
		h.settle()
		return nil
	})
}

// keyColumns returns the keys to ask for by name, and the arguments that ask. Those of a SKU that the batch defines are
// left out: they come with all its others. And those that are promised: they are not asked for now.
func (h *Handler) keyColumns() (keys []*stockRow, args []any) {
	keys = make([]*stockRow, 0, len(h.keys))
	tenants := make([]string, 0, len(h.keys))
	skus := make([]string, 0, len(h.keys))
	locations := make([]string, 0, len(h.keys))
	for _, k := range h.keys {
		r := h.fold.rows[k]
		if r.promised || h.fold.skus[k.skuKey()] != nil {
			continue
		}
		keys = append(keys, r)
		tenants = append(tenants, k.tenant)
		skus = append(skus, k.sku)
		locations = append(locations, k.location)
	}
	return keys, []any{tenants, skus, locations, h.topic, h.counted}
}

// stockAnswer is one line of the answer. Nothing in it is allocated for the usual one.
type stockAnswer struct {
	ord             int32
	version, onHand int64
	reserved        int64
	elsewhere       []int64            // damaged and in transit; nil: there is none of these
	movedAt         *time.Time         // nil: there is no such row, or the batch has no use for it
	backorder       pgtype.DriverBytes // nil: there is neither a row of stock nor of skus
	limit           *int64
	low             pgtype.Int8
	lastTopic       *string // nil: the topic that was sent
	lastPartition   int32
	place           pgtype.TID
	bundle          []string // parts, then their quantities; nil: there is a row of stock, or the SKU is no bundle
	unlocked        bool     // a row is there, and held by another client

	// Only where rows are found that were not asked for by name.
	definition int32
	key        stockKey
}

func (a *stockAnswer) columns() []any {
	return []any{
		&a.version, &a.onHand, &a.reserved, &a.elsewhere, &a.movedAt, &a.backorder, &a.limit, &a.low, &a.lastTopic,
		&a.lastPartition, &a.place, &a.bundle, &a.unlocked,
	}
}

// readNamed takes in the answer of which each line is about one of keys.
func (h *Handler) readNamed(rows pgx.Rows, keys []*stockRow) error {
	var a stockAnswer
	_, err := pgx.ForEachRow(rows, append([]any{&a.ord}, a.columns()...), func() error {
		return h.takeNamed(keys[a.ord-1], &a)
	})
	return err
}

// readFound takes in the answer that has other rows beside those of keys.
func (h *Handler) readFound(rows pgx.Rows, keys []*stockRow) error {
	var a stockAnswer
	found := []any{&a.ord, &a.definition, &a.key.tenant, &a.key.sku, &a.key.location}
	_, err := pgx.ForEachRow(rows, append(found, a.columns()...), func() error {
		switch {
		case a.ord > 0:
			return h.takeNamed(keys[a.ord-1], &a)
		case a.definition > 0:
			r := h.found(a.key)
			h.fold.attach(r)
			h.fold.take(r, &a, h.topic)
		default:
			h.takeLine(&a)
		}
		return nil
	})
	return err
}

func (h *Handler) takeNamed(r *stockRow, a *stockAnswer) error {
	h.fold.take(r, a, h.topic)
	if r.stored || r.blocked {
		return nil
	}
	// What the answer says of the policy, the threshold and parts is the row of skus, which is locked now.
	s := h.fold.attach(r)
	s.stored, s.policy, s.low = a.backorder != nil, r.stock.Policy, r.stock.Low
	return h.takeBundle(s, a.bundle)
}

// take fills r with the answer about it.
func (f *fold) take(r *stockRow, a *stockAnswer, topic string) {
	r.stored, r.blocked, r.place = a.version > 0, a.unlocked, a.place
	r.stock = Stock{OnHand: a.onHand, Reserved: a.reserved, Version: a.version, Low: Threshold{a.low.Valid, a.low.Int64}}
	if a.movedAt != nil {
		r.stock.MovedAt = *a.movedAt
	}
	if len(a.elsewhere) > 0 {
		r.stock.Damaged, r.stock.InTransit = a.elsewhere[0], a.elsewhere[1]
	}
	r.elsewhere = r.stock.elsewhere()
	if a.backorder != nil {
		r.stock.Policy = storedPolicy(a.backorder, a.limit)
	}
	if r.stored {
		r.last = Partition{topic, a.lastPartition}
		if a.lastTopic != nil {
			r.last.Topic = *a.lastTopic
		}
	}
}

// takeLine takes in a row that a reservation or transfer led to. It may have been asked for in another way too; then it
// was or will be answered the same. There is always such a row: whoever promised or sent something made a movement of
// it.
func (h *Handler) takeLine(a *stockAnswer) {
	r := h.found(a.key)
	if r.promised {
		return
	}
	if h.fold.skus[a.key.skuKey()] != nil {
		h.fold.attach(r)
	}
	h.fold.take(r, a, h.topic)
}

// found is a row that the database led to, and is new to the batch if no item names it.
func (h *Handler) found(k stockKey) *stockRow {
	if r := h.fold.rows[k]; r != nil {
		return r
	}
	h.want(k)
	r := h.fold.rows[k]
	h.ahead.keep(r)
	return r
}

// settle gives the rows that are not there yet, of SKUs that the batch defines, what their SKU says.
func (h *Handler) settle() {
	if len(h.defs) == 0 {
		return
	}
	for _, k := range h.keys {
		s, r := h.fold.skus[k.skuKey()], h.fold.rows[k]
		if s == nil || r.stored || r.sku != nil {
			continue
		}
		h.fold.attach(r)
		r.stock.Policy, r.stock.Low = s.policy, s.low
		r.blocked = r.blocked || s.blocked
	}
}
