package ledger

import (
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"onhand/internal/testenv"
)

func at(sku string, version, delta, onHand int64) line {
	return line{Key: Key{SKU: sku}, Version: &version, Delta: delta, OnHand: onHand}
}

func TestACutOffRowComesFirstTheNextTime(t *testing.T) {
	t.Parallel()
	nothing := line{Key: Key{SKU: "B"}}
	a1, a2, a3 := at("A", 1, 5, 5), at("A", 2, -6, -1), at("A", 3, 2, 1)
	c1, c2 := at("C", 1, 1, 1), at("C", 3, 1, 2) // a gap
	for name, c := range map[string]struct {
		lines  []line
		cutOff bool
		cuts   []cut
		last   string
		keys   int64
	}{
		"none":                  {nil, false, nil, "", 0},
		"one with nothing":      {[]line{nothing}, true, nil, "B", 1},
		"one":                   {[]line{a1, a2, a3}, false, []cut{{Key{SKU: "A"}, 1, 3, false}}, "A", 1},
		"one, cut off":          {[]line{a1, a2}, true, []cut{{Key{SKU: "A"}, 1, 2, false}}, "", 0},
		"one movement":          {[]line{a1}, false, nil, "A", 1},
		"one movement, cut off": {[]line{nothing, a1}, true, nil, "B", 1},
		"a broken one, cut off": {[]line{a1, a2, c1, c2}, true, []cut{{Key{SKU: "A"}, 1, 2, false}}, "C", 2},
	} {
		p := decide(c.lines, c.cutOff)
		last := ""
		if p.last != nil {
			last = p.last.SKU
		}
		if !reflect.DeepEqual(p.cuts, c.cuts) || last != c.last || p.keys != c.keys {
			t.Errorf("%s: %+v, last %q", name, p, last)
		}
	}
}

func TestSumsThatRunOverDoNotAddUp(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		before, delta, after int64
		want                 bool
	}{
		{0, 0, 0, true},
		{5, -6, -1, true},
		{5, -6, 1, false},
		{math.MaxInt64, 1, math.MinInt64, false},
		{math.MinInt64, -1, math.MaxInt64, false},
		{math.MinInt64, math.MaxInt64, -1, true},
		{-1, math.MinInt64 + 1, math.MinInt64, true},
		{2, math.MaxInt64, math.MinInt64 + 1, false},
	} {
		if got := adds(c.before, c.delta, c.after); got != c.want {
			t.Errorf("%d and %d make %d: %t", c.before, c.delta, c.after, got)
		}
	}
}

// A plan that reads a whole table, or all rows of stock before the first line, is harmless as long as they are few.
func TestNoStatementReadsAWholeTable(t *testing.T) {
	t.Parallel()
	conn, err := pgx.Connect(t.Context(), testenv.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	const keys = "text[], text[], text[], bigint[]"
	const fill = `
insert into movements (tenant, sku, location, version, delta, on_hand, kind, event_id, event_source, recorded_at)
select '', s::text, 'main', v, 1, v, 'stock.received', 'e', '', now() - interval '1 day'
from generate_series(1, 2000) s, generate_series(1, 10) v;
insert into stock (tenant, sku, location, on_hand, version, backorder, last_topic, last_partition, moved_at)
select '', s::text, 'main', 10, 10, 'deny', 't', 0, now() from generate_series(1, 2000) s`
	for _, statement := range []string{fill, "analyze movements; analyze stock"} {
		if _, err := conn.Exec(t.Context(), statement, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatal(err)
		}
		// Once as autovacuum leaves it, once as it is before autovacuum has been there.
		for name, s := range map[string]struct{ sql, types string }{
			"candidates":     {selectCandidates, "text, text, text, timestamptz, bigint"},
			"old":            {selectOld, "text, text, text, timestamptz, bigint"},
			"insert_archive": {insertArchive, keys + ", bigint[]"},
			"delete_older":   {deleteOlder, keys + ", bigint[]"},
			"open_ledger":    {openLedger, keys},
		} {
			plan := explain(t, conn, name, s.sql, s.types)
			if strings.Contains(plan, "Seq Scan") || strings.Contains(plan, "Sort") || strings.Contains(plan, "Hash") {
				t.Errorf("%s:\n%s", name, plan)
			}
		}
	}
}

func explain(t *testing.T, conn *pgx.Conn, name, sql, types string) (plan string) {
	t.Helper()
	nulls := strings.Repeat(", null", strings.Count(types, ",")+1)[2:]
	err := pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error {
		for _, s := range []string{settle, "deallocate all", "prepare " + name + " (" + types + ") as " + sql} {
			if _, err := tx.Exec(t.Context(), s, pgx.QueryExecModeSimpleProtocol); err != nil {
				return err
			}
		}
		rows, err := tx.Query(t.Context(), "explain execute "+name+" ("+nulls+")", pgx.QueryExecModeSimpleProtocol)
		if err != nil {
			return err
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		plan = strings.Join(lines, "\n")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return plan
}
