package inventory

import (
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

const insertStock = `
insert into stock (tenant, sku, location, on_hand, version, last_topic, last_partition, partition_moves, moved_at,
                   reserved, damaged, in_transit, backorder, backorder_limit, low_stock)
select tenant, sku, location, on_hand, version, topic, partition, moves, moved_at, reserved, damaged, in_transit,
       backorder, backorder_limit, low_stock
from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::integer[], $8::integer[],
            $9::timestamptz[], $10::bigint[], $11::bigint[], $12::bigint[], $13::text[], $14::bigint[],
            $15::bigint[])
  as n (tenant, sku, location, on_hand, version, topic, partition, moves, moved_at, reserved, damaged, in_transit,
        backorder, backorder_limit, low_stock)`

// A row that is stored is locked since Load, so it is still where it was found: its place spares another look into the
// index. If that were ever wrong the update would be lost, and not for long: the next movement of the row would get a
// version that the ledger has, and its key refuses that.
const (
	setState = `
update stock s
set on_hand = n.on_hand, version = n.version, last_topic = n.topic, last_partition = n.partition,
    partition_moves = s.partition_moves + n.moves, moved_at = greatest(s.moved_at, n.moved_at), updated_at = now()`
	fromState = `
from (
  select unnest($1::tid[]) as place, unnest($2::bigint[]) as on_hand, unnest($3::bigint[]) as version,
         unnest($4::text[]) as topic, unnest($5::integer[]) as partition, unnest($6::integer[]) as moves,
         unnest($7::timestamptz[]) as moved_at`
	setElsewhere  = `, reserved = n.reserved, damaged = n.damaged, in_transit = n.in_transit`
	fromElsewhere = `,
         unnest($8::bigint[]) as reserved, unnest($9::bigint[]) as damaged, unnest($10::bigint[]) as in_transit`
	atPlace = `
) n
where s.ctid = n.place`

	// For rows that have nothing but stock on hand, before and after.
	updateStock = setState + fromState + atPlace

	updateAllStock = setState + setElsewhere + fromState + fromElsewhere + atPlace

	// What is on hand and the policy change in one statement, or the CHECK could see the one without the other.
	redefineStock = setState + setElsewhere + `,
    backorder = n.backorder, backorder_limit = n.backorder_limit, low_stock = n.low_stock` +
		fromState + fromElsewhere + `,
         unnest($11::text[]) as backorder, unnest($12::bigint[]) as backorder_limit,
         unnest($13::bigint[]) as low_stock` + atPlace
)

func insertStockRows(q *pgx.Batch, rows []*stockRow) {
	if len(rows) == 0 {
		return
	}
	tenants, skus, locations := make([]string, len(rows)), make([]string, len(rows)), make([]string, len(rows))
	for i, r := range rows {
		tenants[i], skus[i], locations[i] = r.key.tenant, r.key.sku, r.key.location
	}
	q.Queue(insertStock,
		slices.Concat([]any{tenants, skus, locations}, stateColumns(rows), beside(rows), policyColumns(rows))...)
}

func updateStockRows(q *pgx.Batch, rows []*stockRow) {
	if slices.ContainsFunc(rows, (*stockRow).isElsewhere) {
		queueUpdate(q, updateAllStock, rows, beside(rows))
		return
	}
	queueUpdate(q, updateStock, rows, nil)
}

// isElsewhere says whether something of r is, or was, not simply on hand.
func (r *stockRow) isElsewhere() bool { return r.elsewhere || r.stock.elsewhere() }

func redefineStockRows(q *pgx.Batch, rows []*stockRow) {
	queueUpdate(q, redefineStock, rows, append(beside(rows), policyColumns(rows)...))
}

// queueUpdate queues an update of rows that are stored.
func queueUpdate(q *pgx.Batch, sql string, rows []*stockRow, more []any) {
	if len(rows) == 0 {
		return
	}
	places := make([]pgtype.TID, len(rows))
	for i, r := range rows {
		places[i] = r.place
	}
	q.Queue(sql, slices.Concat([]any{places}, stateColumns(rows), more)...)
}

// stateColumns are the arguments that say what became of rows.
func stateColumns(rows []*stockRow) []any {
	n := len(rows)
	onHand, versions := make([]int64, n), make([]int64, n)
	topics, partitions, moves := make([]string, n), make([]int32, n), make([]int32, n)
	moved := make([]pgtype.Timestamptz, n)
	for i, r := range rows {
		onHand[i], versions[i] = r.stock.OnHand, r.stock.Version
		moved[i] = pgtype.Timestamptz{Time: r.stock.MovedAt, Valid: !r.stock.MovedAt.IsZero()}
		topics[i], partitions[i], moves[i] = r.last.Topic, r.last.ID, r.moves
	}
	return []any{onHand, versions, topics, partitions, moves, moved}
}

// elsewhereColumns are the arguments that say of n stocks what is not simply on hand.
func elsewhereColumns(n int, at func(i int) *Stock) []any {
	reserved, damaged, inTransit := make([]int64, n), make([]int64, n), make([]int64, n)
	for i := range n {
		s := at(i)
		reserved[i], damaged[i], inTransit[i] = s.Reserved, s.Damaged, s.InTransit
	}
	return []any{reserved, damaged, inTransit}
}

// beside are elsewhereColumns of rows.
func beside(rows []*stockRow) []any {
	return elsewhereColumns(len(rows), func(i int) *Stock { return &rows[i].stock })
}

// policyColumns are the arguments that say what rows have of their SKU.
func policyColumns(rows []*stockRow) []any {
	backorders, limits := make([]string, len(rows)), make([]*int64, len(rows))
	var thresholds []*int64 // none: an array that is shorter than the others goes on with nulls
	for i, r := range rows {
		backorders[i], limits[i] = r.stock.Policy.Backorder.String(), r.stock.Policy.limitColumn()
		if r.stock.Low.Set {
			if thresholds == nil {
				thresholds = make([]*int64, len(rows))
			}
			thresholds[i] = r.stock.Low.column()
		}
	}
	return []any{backorders, limits, thresholds}
}
