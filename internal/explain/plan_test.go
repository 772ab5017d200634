package explain

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"onhand/internal/stock"
)

// fill writes 200,000 movements of 100 SKUs, half of them in the archive, and an inbox row for each, a third in each
// slot. Messages are in the order of time, rows in that of the key where the archiver has written them.
func (b *books) fill() {
	b.t.Helper()
	b.exec(`
insert into stock (tenant, sku, location, on_hand, version, backorder, last_topic, last_partition)
select '', 'SKU-' || s, 'main', 2000, 2000, 'deny', 't', 0 from generate_series(0, 99) s`)
	for _, half := range []struct {
		table, order string
		from, to     int
	}{{"movements_archive", "3, 4", 0, 99_999}, {"movements", "10", 100_000, 199_999}} {
		b.exec(fmt.Sprintf(`
insert into %s (tenant, sku, location, version, delta, on_hand, kind, event_id, event_source, message_id,
                recorded_at, traceparent)
select '', 'SKU-' || i %% 100, 'main', i / 100 + 1, 1, i / 100 + 1, 'stock.received', 'e-' || i, '', i + 1,
       now() - interval '1 s' * (200000 - i), ''
from generate_series(%d, %d) i order by %s`, half.table, half.from, half.to, half.order))
	}
	for slot, table := range []string{"inbox", "inbox_1", "inbox_2"} {
		b.exec(`
insert into `+table+` (tenant, event_id, source, fingerprint, outcome, topic, partition, incarnation, "offset",
                      message_id)
select '', 'e-' || i, '', 1, 'applied', 't', 0, 1, i, i + 1 from generate_series(0, 199999) i where i % 3 = $1`, slot)
	}
	b.exec(`select setval('outbox_id', 200001)`)
}

// spy keeps the plan of each statement that runs in its transaction.
type spy struct {
	pgx.Tx
	b     *books
	plans map[string]string
}

func (s *spy) note(sql string, args []any) {
	rows, err := s.Tx.Query(s.b.t.Context(), "explain (analyze, timing off, summary off) "+sql, args...)
	if err != nil {
		s.b.t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		s.b.t.Fatal(err)
	}
	s.plans[sql] = strings.Join(lines, "\n")
}

func TestNoExplanationReadsAWholeTable(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	b.fill()
	for _, analyzed := range []string{"select 1", "analyze movements, movements_archive, inbox, inbox_1, inbox_2, stock"} {
		b.exec(analyzed)
		plans := b.explainAll()
		if len(plans) < 6 {
			t.Fatalf("%d statements", len(plans))
		}
		for sql, plan := range plans {
			if scan := regexp.MustCompile(`Seq Scan on (movements|inbox|stock)`).FindString(plan); scan != "" {
				t.Errorf("%s: %s in\n%s\n%s", analyzed, scan, sql, plan)
			}
			if n := rowsRead(t, plan); n > 1000 {
				t.Errorf("%s: %d rows are read in\n%s\n%s", analyzed, n, sql, plan)
			}
		}
		for table, sql := range map[string]string{
			"inbox": selectEvents, "inbox_1": selectEvents, "inbox_2": selectEvents,
			"movements": selectMovements, "movements_archive": selectMovements,
		} {
			if !regexp.MustCompile(`Index .*Scan.* on ` + table + `( |_pkey|_message)`).MatchString(plans[sql]) {
				t.Errorf("%s: %s is not read by index:\n%s", analyzed, table, plans[sql])
			}
		}
	}
}

// rowsRead adds up what the scans of a plan came by, passed on or not.
func rowsRead(t *testing.T, plan string) (n int) {
	t.Helper()
	scan := regexp.MustCompile(`Scan.*actual rows=(\d+) loops=(\d+)`)
	removed := regexp.MustCompile(`Rows Removed by .*: (\d+)`)
	number := func(text string) int {
		i, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	for _, m := range scan.FindAllStringSubmatch(plan, -1) {
		n += number(m[1]) * number(m[2])
	}
	for _, m := range removed.FindAllStringSubmatch(plan, -1) {
		n += number(m[1])
	}
	return n
}

func (s *spy) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	s.note(sql, args)
	return s.Tx.Query(ctx, sql, args...)
}

func (s *spy) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	s.note(sql, args)
	return s.Tx.QueryRow(ctx, sql, args...)
}

// explainAll asks everything that is asked of a ledger, and returns the plan of each statement.
func (b *books) explainAll() map[string]string {
	b.t.Helper()
	plans := make(map[string]string)
	err := Read(b.t.Context(), b.conn, func(tx pgx.Tx) error {
		s := &spy{tx, b, plans}
		// The last one's message is the last of its block: where it goes on is looked for.
		for _, id := range []string{"e-150000", "e-7", "e-999"} {
			events, _, err := Events(b.t.Context(), s, "", id, nil)
			if err != nil {
				return err
			}
			if len(events) != 1 || len(events[0].Movements) != 1 {
				b.t.Errorf("%s: %+v", id, events)
			}
		}
		tenant := ""
		filter := stock.Filter{Tenant: &tenant, SKUs: []string{"SKU-7"}, Limit: 50}
		if rows, _, err := stock.List(b.t.Context(), s, filter); err != nil || len(rows) != 1 {
			return fmt.Errorf("%d rows of stock: %w", len(rows), err)
		}
		for _, q := range []Question{
			{SKU: "SKU-7", Limit: 50}, {SKU: "SKU-7", Location: "main", Before: 1010, Limit: 50},
		} {
			lines, more, err := Lines(b.t.Context(), s, q)
			if err != nil {
				return err
			}
			if len(lines) != 50 || !more || lines[49].Record == nil || lines[49].Archived != (q.Before > 0) {
				b.t.Errorf("%+v: %d lines, the last of them %+v", q, len(lines), lines[len(lines)-1])
			}
		}
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return plans
}
