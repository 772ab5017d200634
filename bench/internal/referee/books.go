package referee

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// changes are the outgoing messages but for those that are told beside changes of stock, of rejections and the like: they
// have a type.
const changes = `(
  select event_id from outbox o
  where not exists (select from outbox_messages m where m.id = o.id and m.type <> '')) c`

// counts are questions whose answer is a number, and what it must be.
var counts = []struct {
	what string
	sql  string
	want func(*expected) int64
}{
	{
		"applied events in the inbox", `select count(*) from inbox where outcome = 'applied'`,
		func(e *expected) int64 { return e.applied + e.prefilled },
	},
	{
		"rejected events in the inbox", `select count(*) from inbox where outcome = 'rejected'`,
		func(e *expected) int64 { return e.rejected },
	},
	{"movements", `select count(*) from movements`, func(e *expected) int64 { return e.movements + e.opened }},
	{
		"different events with a movement",
		`select count(*) from (select distinct tenant, event_id, event_source from movements) m`,
		func(e *expected) int64 { return e.applied + e.opened },
	},
	{
		"movements of an event that the inbox has as applied",
		`select count(*) from movements m join inbox i
		   on (i.tenant, i.event_id, i.source) = (m.tenant, m.event_id, m.event_source) and i.outcome = 'applied'`,
		func(e *expected) int64 { return e.movements },
	},
	{
		"rows of stock that are not the sum of their movements",
		`select count(*) from stock s full join (
		   select tenant, sku, location, sum(delta) as on_hand, max(version) as version, count(*) as n
		   from movements group by tenant, sku, location) m using (tenant, sku, location)
		 where (s.on_hand, s.version) is distinct from (m.on_hand, m.version) or m.n <> m.version`,
		func(*expected) int64 { return 0 },
	},
	{
		"rows of stock whose last movement has something else reserved",
		`select count(*) from stock s join movements m using (tenant, sku, location, version)
		 where s.reserved <> coalesce(m.reserved, 0)`,
		func(*expected) int64 { return 0 },
	},
	{"outgoing messages", `select count(*) from ` + changes, func(e *expected) int64 { return e.movements }},
	{
		"different events with a message", `select count(*) from (select distinct event_id from ` + changes + `) o`,
		func(e *expected) int64 { return e.applied },
	},
}

// checkBooks counts inbox, ledger and outbox: one effect an event, with a movement and a message for each of its lines.
func checkBooks(ctx context.Context, conn *pgx.Conn, want *expected) (faults []string, err error) {
	for _, c := range counts {
		var got int64
		if err := conn.QueryRow(ctx, c.sql).Scan(&got); err != nil {
			return nil, fmt.Errorf("count %s: %w", c.what, err)
		}
		if wanted := c.want(want); got != wanted {
			faults = append(faults, fmt.Sprintf("%d %s, not %d", got, c.what, wanted))
		}
	}
	return faults, nil
}
