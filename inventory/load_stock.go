package inventory

import (
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"onhand/inbox"
)

// The rows that a batch without definitions needs: those of its keys.
const wantedKeys = `
with wanted as (
  select unnest($1::text[]) as tenant, unnest($2::text[]) as sku, unnest($3::text[]) as location,
         generate_series(1, cardinality($1::text[])) as ord, null::integer as definition
)`

// With definitions, also every row of their SKUs, in one order with the others.
const wantedKeysAndDefined = `
with wanted as (
  select w.tenant, w.sku, w.location, w.ord, w.definition
  from (
    select k.tenant, k.sku, k.location, k.ord::integer, null::integer as definition
    from unnest($1::text[], $2::text[], $3::text[]) with ordinality as k (tenant, sku, location, ord)
    union all
    select d.tenant, d.sku, s.location, null, d.ord::integer
    from unnest($5::text[], $6::text[]) with ordinality as d (tenant, sku, ord)
    cross join lateral (select s.location from stock s where s.tenant = d.tenant and s.sku = d.sku offset 0) s
  ) w
  order by w.tenant collate "C", w.sku collate "C", w.location collate "C"
)`

// What is read of each wanted row, and of the row of skus behind it when there is no such row yet: its policy is what
// the new one starts with, and must not change before that is committed.
//
// The rows are locked one by one in the order of the list. A lateral subquery with a locking clause is not merged into
// the rest, so it is the inner side of a nested loop, an index look-up for each line of the list, whatever the planner
// believes about sizes.
const (
	readStock = `
select coalesce(w.ord, 0), coalesce(w.definition, 0), case when w.definition is not null then w.location end,
       coalesce(s.version, 0), coalesce(s.on_hand, 0), coalesce(s.reserved, 0),
       coalesce(s.backorder, u.backorder), coalesce(s.backorder_limit, u.backorder_limit),
       nullif(s.last_topic, $4), coalesce(s.last_partition, 0), s.ctid,
       s.version is null and (
         (select true from stock e where e.tenant = w.tenant and e.sku = w.sku and e.location = w.location) is not null
         or u.backorder is null and (select true from skus e where e.tenant = w.tenant and e.sku = w.sku) is not null)
from wanted w
left join lateral (
  select s.version, s.on_hand, s.reserved, s.backorder, s.backorder_limit, s.last_topic, s.last_partition,
         s.ctid
  from stock s
  where s.tenant = w.tenant and s.sku = w.sku and s.location = w.location
  for update`
	readPolicy = `) s on true
left join lateral (
  select u.backorder, u.backorder_limit
  from skus u
  where s.version is null and w.definition is null and u.tenant = w.tenant and u.sku = w.sku
  for share`
	readEnd    = `) u on true`
	skipLocked = ` skip locked`

	waitAndRead = readStock + readPolicy + readEnd
	skipAndRead = readStock + skipLocked + readPolicy + skipLocked + readEnd

	lockKeys                 = wantedKeys + waitAndRead
	lockKeysAndDefined       = wantedKeysAndDefined + waitAndRead
	skipLockedKeys           = wantedKeys + skipAndRead
	skipLockedKeysAndDefined = wantedKeysAndDefined + skipAndRead
)

// lockStock queues the locks on the stock rows that the batch may change.
func (h *Handler) lockStock(q *pgx.Batch, locks inbox.Locks, items []*inbox.Item) {
	if len(h.keys)+len(h.defs) == 0 {
		return
	}
	sql := lockKeys
	if locks == inbox.SkipLocked {
		sql = skipLockedKeys
	}
	keys, args := h.keyColumns()
	if len(h.defs) > 0 {
		sql = lockKeysAndDefined
		if locks == inbox.SkipLocked {
			sql = skipLockedKeysAndDefined
		}
		tenants, skus := h.definedColumns()
		args = append(args, tenants, skus)
	}
	q.Queue(sql, args...).Query(func(rows pgx.Rows) error {
		if err := h.readStock(rows, keys); err != nil {
			return err
		}
		h.settle()
		if locks == inbox.SkipLocked {
			h.markBlocked(items)
		}
		return nil
	})
}

// keyColumns returns the keys to ask for by name, and the arguments that ask. Those of a SKU that the batch defines are
// left out: they come with all its others.
func (h *Handler) keyColumns() (keys []*stockRow, args []any) {
	keys = make([]*stockRow, 0, len(h.keys))
	tenants := make([]string, 0, len(h.keys))
	skus := make([]string, 0, len(h.keys))
	locations := make([]string, 0, len(h.keys))
	for _, k := range h.keys {
		if h.fold.skus[k.skuKey()] != nil {
			continue
		}
		keys = append(keys, h.fold.rows[k])
		tenants = append(tenants, k.tenant)
		skus = append(skus, k.sku)
		locations = append(locations, k.location)
	}
	return keys, []any{tenants, skus, locations, h.topic}
}

// stockAnswer is one line of the answer. Nothing in it is allocated for the usual one.
type stockAnswer struct {
	ord, definition, lastPartition int32
	version, onHand, reserved      int64
	backorder                      pgtype.DriverBytes // nil: there is neither a row of stock nor of skus
	limit                          *int64
	location                       *string // only with a definition
	place                          pgtype.TID
	lastTopic                      *string // nil: the topic that was sent
	unlocked                       bool    // a row is there, and held by another client
}

func (a *stockAnswer) columns() []any {
	return []any{
		&a.ord, &a.definition, &a.location, &a.version, &a.onHand, &a.reserved, &a.backorder, &a.limit,
		&a.lastTopic, &a.lastPartition, &a.place, &a.unlocked,
	}
}

// readStock takes in the answer; keys are the rows that were asked for by name.
func (h *Handler) readStock(rows pgx.Rows, keys []*stockRow) error {
	var a stockAnswer
	_, err := pgx.ForEachRow(rows, a.columns(), func() error {
		if a.definition > 0 {
			h.fold.take(h.fold.definedRow(h.defs[a.definition-1], *a.location), &a, h.topic)
			return nil
		}
		r := keys[a.ord-1]
		h.fold.take(r, &a, h.topic)
		if !r.stored && !r.blocked {
			// What the answer says of the policy is the row of skus, which is locked now.
			s := h.fold.attach(r)
			s.stored, s.policy = a.backorder != nil, r.stock.Policy
		}
		return nil
	})
	return err
}

// take fills r with the answer about it.
func (f *fold) take(r *stockRow, a *stockAnswer, topic string) {
	r.stored, r.blocked, r.place = a.version > 0, a.unlocked, a.place
	r.stock = Stock{OnHand: a.onHand, Reserved: a.reserved, Version: a.version}
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

// definedRow is the row of a SKU that the batch defines, and is new to the fold if no item moves it.
func (f *fold) definedRow(k skuKey, location string) *stockRow {
	key := stockKey{k.tenant, k.sku, location}
	r, ok := f.rows[key]
	if !ok {
		r = &stockRow{key: key}
		f.rows[key] = r
	}
	f.attach(r)
	return r
}

// settle gives the rows that are not there yet, of SKUs that the batch defines, the policy of their SKU.
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
		r.stock.Policy = s.policy
		r.blocked = r.blocked || s.blocked
	}
}
