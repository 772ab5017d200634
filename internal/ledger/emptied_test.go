package ledger_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"onhand/internal/testenv"
)

// openArchive has messages 1000 to 5000 in its archive, of which those up to 3000 have left, and a movement of which
// nobody is told.
func openArchive(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool := open(t)
	testenv.Execute(t, pool, `
insert into movements_archive (tenant, sku, location, version, delta, on_hand, kind, event_id, event_source,
  recorded_at, traceparent, message_id)
select '', 'A', 'main', v, 1, v, 'stock.received', 'e-' || v, '', now(), '', nullif(v, 6) * 1000
from generate_series(1, 6) v`)
	testenv.Execute(t, pool, `update outbox_relay set done = 3000, intent = 4000`)
	return pool
}

const allLeft = `update outbox_relay set done = 5000, intent = 5000; `

func TestTheArchiveKeepsMovementsWhoseMessagesHaveNotLeft(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sql  string
		kept string // what the refusal names; empty = it is done
		left int
	}{
		"all deleted":                {`delete from movements_archive`, "4000", 6},
		"too many deleted":           {`delete from movements_archive where version between 2 and 4`, "4000", 6},
		"truncated":                  {`truncate movements_archive`, "4000", 6},
		"what has left, deleted":     {`delete from movements_archive where message_id <= 3000`, "", 3},
		"what nobody is told of":     {`delete from movements_archive where message_id is null`, "", 5},
		"nothing deleted":            {`delete from movements_archive where false`, "", 6},
		"all left, deleted":          {allLeft + `delete from movements_archive`, "", 0},
		"all left, truncated":        {allLeft + `truncate movements_archive`, "", 0},
		"the relay has lost its row": {`delete from outbox_relay; delete from movements_archive`, "1000", 6},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := openArchive(t)
			_, err := pool.Exec(t.Context(), c.sql)
			expectKept(t, err, c.kept)
			if n := testenv.Ask[int](t, pool, `select count(*) from movements_archive`); n != c.left {
				t.Errorf("%d movements are left, want %d", n, c.left)
			}
		})
	}
}

// expectKept expects a refusal that names the first message which has not left; empty = none.
func expectKept(t *testing.T, err error, first string) {
	t.Helper()
	if first == "" {
		if err != nil {
			t.Error(err)
		}
		return
	}
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || pg.Code != "55000" || !strings.Contains(pg.Message, first) || pg.Hint == "" {
		t.Errorf("it was refused with %v, want one that names %s", err, first)
	}
}

// An administrator's session has a search_path of its own.
func TestTheArchiveIsKeptFromWhoeverNamesItsSchema(t *testing.T) {
	t.Parallel()
	pool := openArchive(t)
	schema := testenv.Ask[string](t, pool, `select quote_ident(current_schema())`)
	conn, err := pgx.ConnectConfig(t.Context(), pool.Config().ConnConfig)
	must(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	_, err = conn.Exec(t.Context(), `set search_path = pg_catalog`)
	must(t, err)
	for _, sql := range []string{`delete from `, `truncate `} {
		_, err = conn.Exec(t.Context(), sql+schema+`.movements_archive`)
		expectKept(t, err, "4000")
	}
	_, err = conn.Exec(t.Context(), `delete from `+schema+`.movements_archive where message_id <= 3000`)
	must(t, err)
}

// What the archiver moves while an export runs is not in the export, and a truncate would take it away with the rest.
func TestAnArchiveIsNotTruncatedByWhoDoesNotSeeAllOfIt(t *testing.T) {
	t.Parallel()
	pool := openArchive(t)
	testenv.Execute(t, pool, allLeft)
	err := pgx.BeginTxFunc(t.Context(), pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), `select from movements_archive`); err != nil {
			return err
		}
		testenv.Execute(t, pool, `
insert into movements_archive (tenant, sku, location, version, delta, on_hand, kind, event_id, event_source,
  recorded_at, traceparent, message_id)
values ('', 'A', 'main', 7, 1, 7, 'stock.received', 'e-7', '', now(), '', 7000)`)
		_, err := tx.Exec(t.Context(), `truncate movements_archive`)
		return err
	})
	expectKept(t, err, "may not see all of it")
	if n := testenv.Ask[int](t, pool, `select count(*) from movements_archive`); n != 7 {
		t.Errorf("%d movements are left, want 7", n)
	}
}
