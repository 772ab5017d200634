package verify

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

// excuses are what operators and the relay have decided: not every message has to be in its topic, once and in order.
type excuses struct {
	aside   []int64 // ids, sorted
	dropped []int64 // ids that operators gave up, sorted
	decided []decision
}

// decision is an operator's about where a halted outbox goes on.
type decision struct {
	Done    int64 `db:"done"`    // where the database was
	Reached int64 `db:"reached"` // where the database was, perhaps, or Kafka: what is further
	At      int64 `db:"at"`      // behind this message it went on
}

// What is set aside is asked for before the logs' ends and again in the snapshot: of the two moments one is before it
// is sent again, and so before its row goes.
const selectAside = `select coalesce(array_agg(id), '{}') from outbox_aside`

const selectDropped = `
select coalesce(array_agg(d.id::bigint), '{}')
from operator_actions a
cross join lateral jsonb_array_elements_text(
  case jsonb_typeof(a.after -> 'ids') when 'array' then a.after -> 'ids' else '[]' end) as d (id)
where a.command like 'outbox drop%'`

const selectDecided = `
select (before ->> 'done')::bigint as done,
       greatest((before ->> 'done')::bigint, (before ->> 'intent')::bigint, (after -> 'kafka' ->> 'id')::bigint)
         as reached,
       (after ->> 'done')::bigint as at
from operator_actions
where command like 'outbox resume%' and before ->> 'done' is not null and after ->> 'done' is not null`

// An adoption gives a database that has moved a new identity. What it had published before carries the old one.
const selectFormer = `
select distinct before ->> 'id' from operator_actions
where command like 'adopt%' and before ->> 'id' is not null and before ->> 'id' <> $1`

// readExcuses reads them, and the identities that the installation had.
func (o *outgoing) readExcuses(ctx context.Context) error {
	own := o.relay.installation.String()
	o.sources = map[string]bool{sourceOf(own): false}
	e := &o.excuses
	var former []string
	q := &pgx.Batch{}
	q.Queue(selectAside).QueryRow(func(row pgx.Row) error { return row.Scan(&e.aside) })
	q.Queue(selectDropped).QueryRow(func(row pgx.Row) error { return row.Scan(&e.dropped) })
	q.Queue(selectDecided).Query(func(rows pgx.Rows) (err error) {
		e.decided, err = pgx.CollectRows(rows, pgx.RowToStructByName[decision])
		return err
	})
	q.Queue(`select dropped_rows > 0 from inbox_memory`).QueryRow(func(row pgx.Row) error { return row.Scan(&o.forgets) })
	q.Queue(selectFormer, own).Query(func(rows pgx.Rows) (err error) {
		former, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	if err := o.v.snapshot.tx.SendBatch(ctx, q).Close(); err != nil {
		return fmt.Errorf("read what was decided about messages: %w", err)
	}
	for _, id := range former {
		o.sources[sourceOf(id)] = true
	}
	o.report.Aside = int64(len(e.aside))
	e.aside = append(e.aside, o.relay.aside...)
	slices.Sort(e.aside)
	slices.Sort(e.dropped)
	return nil
}

// missing reports whether the message with id need not be in its topic.
func (e *excuses) missing(id int64) bool {
	for _, d := range e.decided {
		if d.Done < id && id <= d.At {
			return true
		}
	}
	_, aside := slices.BinarySearch(e.aside, id)
	_, dropped := slices.BinarySearch(e.dropped, id)
	return aside || dropped
}

// again reports whether an operator had the message with id published again.
func (e *excuses) again(id int64) bool {
	return slices.ContainsFunc(e.decided, func(d decision) bool { return d.At < id && id <= d.Reached })
}
