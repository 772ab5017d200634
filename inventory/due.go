package inventory

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"onhand/inbox"
)

// A reservation lapses in the batch in which its partition's log passes the deadline: between the two records that it
// falls between, as if a record there said so. Each batch asks what is stored and due, which is one look into an index
// that has nothing there as a rule. To let those lapse their rows have to be locked, along with all others of the batch
// and in one order with them, so it must be known beforehand that there are some: Hints say whether there were lately.
// Where they were wrong the batch ends before the first record that is too late for what it could not lock, and the
// next one knows.

// Bounds on what a batch lets lapse, shared out among its partitions; one reservation is always taken.
const (
	maxDue      = 1000 // reservations
	maxDueLines = 4000
)

// due is what is stored and due in one partition of the batch.
type due struct {
	clock  *inbox.Clock
	listed []deadline // what the batch can do, in the order in which it lapses
	first  *deadline  // of what it cannot; nil = there is nothing more
}

func (d *due) holds(i *inbox.Item) bool {
	return d.clock.Topic == i.Record.Topic && d.clock.Partition == i.Record.Partition
}

// LoadDue implements inbox.Timekeeper.
func (h *Handler) LoadDue(q *pgx.Batch, clocks []*inbox.Clock) {
	h.due.reset(clocks)
	h.due.lock = h.ahead == nil && h.hints.lapsing()
	q.Queue(listDue, h.due.args...).Query(h.readDue)
}

// dues are what is due in a batch's partitions.
type dues struct {
	lock bool // and is to be locked
	of   []due
	args []any // topics, partitions, times, and the bounds for each
}

func (d *dues) reset(clocks []*inbox.Clock) {
	clear(d.of)
	d.of = d.of[:0]
	n := len(clocks)
	topics, partitions, untils := make([]string, n), make([]int32, n), make([]time.Time, n)
	for i, c := range clocks {
		d.of = append(d.of, due{clock: c})
		topics[i], partitions[i], untils[i] = c.Topic, c.Partition, noLater(c.Until)
	}
	d.args = []any{topics, partitions, untils, max(maxDue/max(n, 1), 1), max(maxDueLines/max(n, 1), 1)}
}

// dueRows are the reservations that are due, and one more of each partition that has more than a batch can take, with
// the place in which each lapses. The arguments are those of dues from the place on.
func dueRows(place int) string {
	return fmt.Sprintf(`
    select c.ord::integer as ord, r.tenant, r.reservation, r.expires_at, r.skus, r.locations,
           row_number() over lapses as place,
           sum(cardinality(r.skus)) over lapses - cardinality(r.skus) as lines_before
    from unnest($%d::text[], $%d::integer[], $%d::timestamptz[]) with ordinality as c (topic, partition, until, ord)
    cross join lateral (
      select r.tenant, r.reservation, r.expires_at, r.skus, r.locations
      from reservations r
      where r.state = 'open' and r.topic = c.topic and r.partition = c.partition and r.expires_at < c.until
      order by r.expires_at, r.tenant, r.reservation
      limit $%d::integer + 1
    ) r
    window lapses as (partition by c.ord order by r.expires_at, r.tenant, r.reservation)`,
		place, place+1, place+2, place+3)
}

// listed are those of dueRows that the batch can take.
func listed(place int) string {
	return fmt.Sprintf(`d.place <= $%d::integer and d.lines_before < $%d::integer`, place+3, place+4)
}

// listDue lists what is due: what a batch can take of each partition, and the first one that it cannot.
var listDue = `
select d.ord, d.tenant, d.reservation, d.expires_at, ` + listed(1) + `
from (` + dueRows(1) + `
) d
order by d.ord, d.place`

func (h *Handler) readDue(rows pgx.Rows) error {
	var (
		ord   int32
		d     deadline
		takes bool
	)
	_, err := pgx.ForEachRow(rows, []any{&ord, &d.key.tenant, &d.key.id, &d.at, &takes}, func() error {
		of := &h.due.of[ord-1]
		switch {
		case of.first != nil:
		case takes && h.due.lock:
			of.listed = append(of.listed, d)
		default:
			of.leave(d)
		}
		return nil
	})
	if slices.ContainsFunc(h.due.of, func(d due) bool { return len(d.listed) > 0 || d.first != nil }) {
		h.hints.sawDue()
	}
	return err
}

// leave says that d, and what lapses after it, is for another batch.
func (d *due) leave(first deadline) {
	d.first = &first
	d.clock.Enough = first.at
}

// markHeld leaves to another batch what another client holds a row of.
func (h *Handler) markHeld() {
	for i := range h.due.of {
		of := &h.due.of[i]
		for j, d := range of.listed {
			if r := h.fold.reservations[d.key]; r != nil && h.heldFor(r) {
				of.clock.Blocked = true
				of.leave(d)
				of.listed = of.listed[:j]
				break
			}
		}
	}
}

// watch tells the fold of what is listed, once it is read and locked. What is not there any more was settled or
// extended since it was listed, and is not due.
func (d *dues) watch(f *fold) {
	for _, of := range d.of {
		for _, l := range of.listed {
			if r := f.reservations[l.key]; r != nil && r.stored {
				f.watch(r)
			}
		}
	}
}

// passTo lets time pass in the partition of of.
func (h *Handler) passTo(of *due, now time.Time) error {
	if now.IsZero() {
		return nil
	}
	now = noLater(now) // as it was asked for
	at := Partition{of.clock.Topic, of.clock.Partition}
	for {
		r := h.fold.lapses(at, now, of.first)
		if r == nil {
			return nil
		}
		effect, err := h.lapse(r)
		if err != nil {
			return err
		}
		of.clock.Made = append(of.clock.Made, inbox.Made{
			Tenant: r.key.tenant, ID: r.key.id, Source: ExpirySource, Effect: effect,
			Fingerprint: fingerprint(&Event{Kind: expired, Reservation: r.key.id}),
		})
	}
}

// lapse ends r, which is open.
func (h *Handler) lapse(r *reservationRow) (effect int64, err error) {
	first := len(h.fold.movements)
	reason, from, err := h.fold.apply(occurrence{
		Event:  &Event{Kind: expired, Reservation: r.key.id},
		tenant: r.key.tenant, id: r.key.id, source: ExpirySource, from: r.from,
	})
	switch {
	case err != nil:
		return 0, runAgain(err)
	case reason != "":
		return 0, fmt.Errorf("reservation %q of tenant %q cannot lapse: %s", r.key.id, r.key.tenant, reason)
	}
	h.tellOfMove(from, r.from)
	return h.number(h.fold.movements[first:], nil)
}

const overdue = `
select c.topic, c.partition, n.until
from (select now() - $3::interval as until) n
cross join unnest($1::text[], $2::integer[]) as c (topic, partition)
where exists (
  select from reservations r
  where r.state = 'open' and r.topic = c.topic and r.partition = c.partition and r.expires_at < n.until)`

// Overdue implements inbox.Timekeeper.
func (h *Handler) Overdue(
	ctx context.Context, pool *pgxpool.Pool, tps []inbox.TopicPartition,
) (map[inbox.TopicPartition]time.Time, error) {
	topics, partitions := make([]string, len(tps)), make([]int32, len(tps))
	for i, tp := range tps {
		topics[i], partitions[i] = tp.Topic, tp.Partition
	}
	rows, err := pool.Query(ctx, overdue, topics, partitions, h.cfg.Grace)
	if err != nil {
		return nil, fmt.Errorf("look for what has lapsed: %w", err)
	}
	found := make(map[inbox.TopicPartition]time.Time)
	var tp inbox.TopicPartition
	var until time.Time
	_, err = pgx.ForEachRow(rows, []any{&tp.Topic, &tp.Partition, &until}, func() error {
		found[tp] = until
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for what has lapsed: %w", err)
	}
	if len(found) > 0 {
		h.hints.sawDue()
	}
	return found, nil
}
