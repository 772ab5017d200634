package verify

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"onhand/internal/testenv"
)

// What is asked again and again, of a chunk each time, must not read a table each time.
func TestNoChunkReadsAWholeTable(t *testing.T) {
	t.Parallel()
	pool, err := pgxpool.New(t.Context(), testenv.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	const movements = ` (tenant, sku, location, version, delta, on_hand, kind, event_id, event_source, message_id,
  recorded_at, traceparent)
select '', s::text, 'main', v, 1, v, 'stock.received', 'e', '', v * 10000 + s, now(), ''
from generate_series(1, 5000) s, generate_series($1::int, $2::int) v`
	for sql, args := range map[string][]any{
		`insert into movements` + movements:         {6, 10},
		`insert into movements_archive` + movements: {1, 5},
		`insert into stock (tenant, sku, location, on_hand, version, backorder, last_topic, last_partition, moved_at)
		 select '', s::text, 'main', 10, 10, 'deny', 't', 0, now() from generate_series(1, 5000) s`: nil,
		`insert into reservations (tenant, reservation, state, topic, partition, skus, locations, quantities, event_id,
		   event_source)
		 select '', s::text, 'open', 't', 0, '{A}', '{main}', '{1}', 'e', '' from generate_series(1, 5000) s`: nil,
		`insert into transfers (tenant, transfer, state, location, skus, sent, event_id, event_source)
		 select '', s::text, 'sent', 'main', '{A}', '{1}', 'e', '' from generate_series(1, 5000) s`: nil,
	} {
		if _, err := pool.Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	// As it is before autovacuum has been there, and after.
	for _, statement := range []string{
		"select 1", "analyze movements", "analyze movements_archive", "analyze stock", "analyze reservations, transfers",
	} {
		if _, err := pool.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
		for name, s := range map[string]struct{ sql, types string }{
			"movements": {selectMovements, "bigint[]"},
			"versions":  {selectVersions, "text, text, text, bigint, bigint"},
			"reached":   {selectReached, "text, text, text, bigint, bigint"},
			"before":    {selectBefore, "text[], text[], text[], bigint[]"},
			"promises":  {selectPromises, "text[], text[]"},
			"shipments": {selectShipments, "text[], text[]"},
		} {
			plan := explain(t, pool, name, s.sql, s.types)
			if strings.Contains(plan, "Seq Scan") || strings.Contains(plan, "Hash") {
				t.Errorf("%s, after %s:\n%s", name, statement, plan)
			}
		}
	}
}

// explain shows the plan that is kept for any parameters, in a snapshot as Run uses it.
func explain(t *testing.T, pool *pgxpool.Pool, name, sql, types string) string {
	t.Helper()
	s, err := takeSnapshot(t.Context(), pool, false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	nulls := strings.Repeat(", null", strings.Count(types, ",")+1)[2:]
	for _, sql := range []string{
		"set local plan_cache_mode = force_generic_plan", "deallocate all", "prepare " + name + " (" + types + ") as " + sql,
	} {
		if _, err := s.tx.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := s.tx.Query(t.Context(), "explain execute "+name+" ("+nulls+")", pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}
