package demo

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// compare counts how the database differs from the ledger.
func (l *ledger) compare(ctx context.Context, p *place) (r Recount, err error) {
	conn, err := p.connect(ctx)
	if err != nil {
		return Recount{}, err
	}
	defer conn.Close(ctx) //nolint:errcheck // nothing is in flight
	if r.Lost, err = l.lost(ctx, conn); err != nil {
		return Recount{}, err
	}
	if r.Doubled, err = l.doubled(ctx, conn); err != nil {
		return Recount{}, err
	}
	r.Wrong, err = l.wrong(ctx, conn)
	return r, err
}

const everyOutcome = `
select i.event_id, i.source, i.outcome::text, m.event_id is not null
from inbox i
left join (select distinct event_id, event_source from movements) m
  on m.event_id = i.event_id and m.event_source = i.source`

// lost counts the events whose outcome is missing or another one, and those applied without a movement.
func (l *ledger) lost(ctx context.Context, conn *pgx.Conn) (int64, error) {
	rows, err := conn.Query(ctx, everyOutcome)
	if err != nil {
		return 0, err
	}
	lost := int64(len(l.outcome))
	var id identity
	var outcome string
	var moved bool
	_, err = pgx.ForEachRow(rows, []any{&id.id, &id.source, &outcome, &moved}, func() error {
		if want, known := l.outcome[id]; known && outcome == want && moved == (want == applied) {
			lost--
		}
		return nil
	})
	return lost, err
}

const everyEffect = `select event_id, event_source, count(*) from movements group by event_id, event_source`

// doubled counts the movements beyond one an applied event, and any of an event that should have none.
func (l *ledger) doubled(ctx context.Context, conn *pgx.Conn) (int64, error) {
	rows, err := conn.Query(ctx, everyEffect)
	if err != nil {
		return 0, err
	}
	var doubled, n int64
	var id identity
	_, err = pgx.ForEachRow(rows, []any{&id.id, &id.source, &n}, func() error {
		if l.outcome[id] == applied {
			n--
		}
		doubled += n
		return nil
	})
	return doubled, err
}

const everyStock = `select sku, on_hand from stock where tenant = '' and location = 'main'`

// wrong counts the SKUs whose stock is missing, too many, or another number.
func (l *ledger) wrong(ctx context.Context, conn *pgx.Conn) (int64, error) {
	rows, err := conn.Query(ctx, everyStock)
	if err != nil {
		return 0, err
	}
	wrong := int64(len(l.onHand))
	var sku string
	var onHand int64
	_, err = pgx.ForEachRow(rows, []any{&sku, &onHand}, func() error {
		switch want, known := l.onHand[sku]; {
		case !known:
			wrong++
		case onHand == want:
			wrong--
		}
		return nil
	})
	return wrong, err
}
