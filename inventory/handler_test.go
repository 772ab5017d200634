package inventory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"onhand/inbox"
	"onhand/internal/testenv"
)

func TestAMoveToAnotherPartitionIsCountedAndTold(t *testing.T) {
	t.Parallel()
	conn := connect(t, testenv.Database(t))
	var told []string
	h := NewHandler(Config{OnPartitionMove: func(sku string, from, to Partition) {
		told = append(told, fmt.Sprint(sku, from, to))
	}})
	at := func(topic string, partition int32, location string) occurrence {
		o := moves(Received, "S", location, 1)
		o.from = Partition{topic, partition}
		return o
	}
	for _, history := range [][]occurrence{
		{at("a", 0, "main"), at("a", 0, "main"), at("a", 1, "main"), at("a", 1, "north")},
		{at("b", 1, "main"), at("a", 1, "north")},
		{at("a", 0, "main")},
	} {
		must(t, commitBatch(t.Context(), conn, h, items(history)))
	}
	want := []string{"S{a 0} {a 1}", "S{a 1} {b 1}", "S{b 1} {a 0}"}
	if !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
	rows, err := storedRows(t.Context(), conn, "")
	must(t, err)
	if len(rows) != 2 || rows[0].Moves != 3 || rows[1].Moves != 0 {
		t.Errorf("rows %+v, want 3 moves of the first and none of the second", rows)
	}
}

func TestTheHandlerWorksUnderEveryModeOfTheDriver(t *testing.T) {
	t.Parallel()
	for _, mode := range []pgx.QueryExecMode{
		pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec,
		pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
	} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			config, err := pgx.ParseConfig(testenv.Database(t))
			must(t, err)
			config.DefaultQueryExecMode = mode
			conn, err := pgx.ConnectConfig(t.Context(), config)
			must(t, err)
			defer func() { _ = conn.Close(context.Background()) }()
			commitHistory(t, conn, defines("S", Policy{Limit, 5}), moves(Sold, "S", "main", 3))
			commitHistory(t, conn, moves(Received, `{"\ é`, "main", 2), defines(`{"\ é`, Policy{}))
		})
	}
}

func TestNothingIsAskedOrWrittenForABatchWithoutItems(t *testing.T) {
	t.Parallel()
	h, q := NewHandler(Config{}), &pgx.Batch{}
	h.Load(q, nil, inbox.WaitForLocks)
	must(t, h.Apply(q, nil))
	if q.Len() != 0 {
		t.Errorf("%d statements", q.Len())
	}
}

func TestABodyOfAnotherPackageFailsTheBatch(t *testing.T) {
	t.Parallel()
	h, q := NewHandler(Config{}), &pgx.Batch{}
	is := []*inbox.Item{{Event: inbox.Event{Record: &inbox.Record{}, ID: "e", Body: 7}}}
	h.Load(q, is, inbox.WaitForLocks)
	if err := h.Apply(q, is); err == nil {
		t.Error("no error")
	}
}

func TestTheTablesRefuseWhatNoDecisionMayWrite(t *testing.T) {
	t.Parallel()
	conn := connect(t, testenv.Database(t))
	const stock = "insert into stock (tenant, sku, location, last_topic, last_partition, moved_at, on_hand, version, " +
		"reserved, backorder, backorder_limit) values ('', 'S', 'main', 't', 0, now(), "
	const reservation = "insert into reservations values ('', 'R', 'open', null, 't', 0, "
	for statement, constraint := range map[string]string{
		stock + "-1, 1, 0, 'deny', null)":            "stock_not_oversold",
		stock + "-3, 1, 0, 'limit', 2)":              "stock_not_oversold",
		stock + "1, 1, 0, 'limit', null)":            "stock_limit",
		stock + "1, 1, 0, 'deny', 5)":                "stock_limit",
		stock + "1, 0, 0, 'deny', null)":             "stock_version_check",
		stock + "1, 1, -1, 'deny', null)":            "stock_reserved_check",
		reservation + "'{}', '{}', '{}', 'e', '')":   "reservations_open",
		reservation + "'{S}', '{}', '{1}', 'e', '')": "reservations_lines",
		"insert into transfers values ('', 'T', 'sent', 'main', '{S}', '{1}', '{1}', 'e', '')": "transfers_received",
		"insert into transfers values ('', 'T', 'sent', 'main', '{S}', '{}', null, 'e', '')":   "transfers_lines",
		"insert into skus values ('', 'S', 'limit', null)":                                     "skus_limit",
		"insert into skus values ('', 'S', 'allow', 3)":                                        "skus_limit",
		"insert into skus values ('', 'S', 'limit', -3)":                                       "skus_backorder_limit_check",
		"insert into skus values ('', 'S', 'sometimes', null)":                                 "skus_backorder_check",
		"insert into skus (tenant, sku, bundle_skus) values ('', 'S', '{A}')":                  "skus_bundle",
		`insert into skus (tenant, sku, bundle_skus, bundle_quantities)
		 values ('', 'S', '{}', '{}')`: "skus_bundle",
		`insert into skus (tenant, sku, bundle_skus, bundle_quantities)
		 values ('', 'S', '{A}', '{1,2}')`: "skus_bundle",
		`insert into movements (tenant, sku, location, version, delta, on_hand, kind, event_id, event_source)
		 values ('', 'S', 'main', 0, 1, 1, 'stock.sold', 'e', '')`: "movements_version_check",
	} {
		_, err := conn.Exec(t.Context(), statement)
		var pgErr *pgconn.PgError
		if !errors.As(err, &pgErr) || pgErr.ConstraintName != constraint {
			t.Errorf("%s: %v, want %s", statement, err, constraint)
		}
	}
	for _, statement := range []string{
		stock + "-3, 1, 0, 'allow', null)", "update stock set backorder = 'limit', backorder_limit = 3",
	} {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Errorf("%s: %v", statement, err)
		}
	}
}

// A plan that reads a whole table is harmless as long as the table is small, and stops the service later.
func TestNoStatementReadsAWholeTable(t *testing.T) {
	t.Parallel()
	conn := connect(t, testenv.Database(t))
	for _, statement := range []string{
		"insert into skus (tenant, sku) select '', i::text from generate_series(1, 20000) i",
		`insert into stock (tenant, sku, location, on_hand, version, backorder, last_topic, last_partition, moved_at)
		 select '', i::text, 'main', 1, 1, 'deny', 't', 0, now() from generate_series(1, 20000) i`,
		`insert into reservations (tenant, reservation, state, expires_at, topic, partition, skus, locations, quantities,
		   event_id, event_source)
		 select '', i::text, 'open', now(), 't', i % 7, array[i::text], '{main}', '{1}', i::text, ''
		 from generate_series(1, 20000) i`,
		`insert into transfers (tenant, transfer, state, location, skus, sent, event_id, event_source)
		 select '', i::text, 'sent', 'main', array[i::text], '{1}', i::text, '' from generate_series(1, 20000) i`,
		"set plan_cache_mode = force_generic_plan",
	} {
		_, err := conn.Exec(t.Context(), statement)
		must(t, err)
	}
	const (
		keys = "text[], text[], text[], text, boolean"
		all  = keys + ", text[], text[], text[], text[], text[], text[]"
		row  = "tid[], bigint[], bigint[], text[], integer[], integer[], timestamptz[]"
		more = ", bigint[], bigint[], bigint[]"
		refs = "text[], text[]"
		due  = "text[], integer[], timestamptz[], integer, integer"

		promised = "text[], text[], text[], bigint[], boolean[], text[], bigint[], bigint[], bigint[], bigint[], text[], " +
			"integer[], integer[], timestamptz[]"
	)
	for name, s := range map[string]struct{ sql, types string }{
		"lock_keys":         {lockKeys, keys},
		"lock_all":          {lockAll, all},
		"skip_keys":         {skipLockedKeys, keys},
		"skip_all":          {skipLockedAll, all},
		"lock_skus":         {lockSKUs, refs},
		"skip_skus":         {skipLockedSKUs, refs},
		"lock_reservations": {wantedReservations + lockReservations, refs},
		"skip_reservations": {wantedReservations + skipLockedReservations, refs},
		"list_due":          {listDue, due},
		"overdue":           {overdue, "text[], integer[], interval"},
		"lock_all_due":      {lockAllDue, all + ", " + due},
		"skip_all_due":      {skipLockedAllDue, all + ", " + due},
		"lock_due":          {wantedAndDueReservations + lockReservations, refs + ", " + due},
		"skip_due":          {wantedAndDueReservations + skipLockedReservations, refs + ", " + due},
		"count_lines":       {"select $1::bigint + " + countLines, "bigint, " + refs + ", " + refs},
		"count_due_lines":   {"select $1::bigint + " + countDueLines, "bigint, " + refs + ", " + refs + ", " + due},
		"lock_transfers":    {lockTransfers, refs},
		"skip_transfers":    {skipLockedTransfers, refs},
		"update_skus":       {updateSKUs, "text[], text[], text[], bigint[], text[], text[], bigint[]"},
		"update_stock_rows": {updateStock, row},
		"update_all_stock":  {updateAllStock, row + more},
		"lock_unpromised":   {lockUnpromised, all + ", text[], text[], text[]"},
		"confirm_stock":     {confirmStock, promised},
		"confirm_all":       {confirmAllStock, promised + more},
		"redefine_stock":    {redefineStock, row + more + ", text[], bigint[], bigint[]"},
		"update_reservations": {
			updateReservations, "tid[], text[], text[], text[], timestamptz[], text[], integer[], text[], text[], integer[], " +
				"text[], text[], bigint[], integer[]",
		},
		"update_transfer": {updateTransfer, "text, text, text, bigint[]"},
	} {
		// Once as autovacuum leaves it, once as it is before autovacuum has been there.
		for _, analyzed := range []bool{false, true} {
			if analyzed {
				_, err := conn.Exec(t.Context(), "analyze stock; analyze skus; analyze reservations; analyze transfers")
				must(t, err)
			}
			plan := explain(t, conn, name, s.sql, s.types)
			if strings.Contains(plan, "Seq Scan") {
				t.Errorf("%s, analyzed %t:\n%s", name, analyzed, plan)
			}
		}
	}
}

func explain(t *testing.T, conn *pgx.Conn, name, sql, types string) string {
	t.Helper()
	nulls := strings.Repeat(", null", strings.Count(types, ",")+1)[2:]
	_, err := conn.Exec(t.Context(), "deallocate all")
	must(t, err)
	_, err = conn.Exec(t.Context(), "prepare "+name+" ("+types+") as "+sql)
	must(t, err)
	rows, err := conn.Query(t.Context(), "explain execute "+name+" ("+nulls+")", pgx.QueryExecModeSimpleProtocol)
	must(t, err)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	must(t, err)
	return strings.Join(lines, "\n")
}
