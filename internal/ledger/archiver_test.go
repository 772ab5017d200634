package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"onhand/internal/ledger"
	"onhand/internal/testenv"
)

// keep stores a history of n movements for each of the rows SKU-1, SKU-2, …, all of them days old.
func keep(t *testing.T, pool *pgxpool.Pool, rows, n int) []movement {
	t.Helper()
	var ms []movement
	recorded := testenv.Ask[time.Time](t, pool, "select date_trunc('second', now()) - interval '30 days'").UTC()
	for s := range rows {
		for v := range n {
			ms = append(ms, movement{
				Key: ledger.Key{SKU: fmt.Sprintf("SKU-%03d", s+1), Location: "main"}, Version: int64(v + 1), Delta: 1,
				OnHand: int64(v + 1), Kind: "stock.received", EventID: fmt.Sprintf("%d-%d", s, v), RecordedAt: recorded,
			})
		}
	}
	write(t, pool, ms)
	return ms
}

const day = 24 * time.Hour

func expectWhole(t *testing.T, pool *pgxpool.Pool, written []movement) {
	t.Helper()
	checkBalance(t, pool)
	if got := history(t, pool); !slices.Equal(got, written) {
		t.Fatalf("ledger and archive hold %d movements that are not the %d that were written", len(got), len(written))
	}
}

func TestTheNewestMovementStaysHoweverOldItIs(t *testing.T) {
	t.Parallel()
	pool := open(t)
	written := keep(t, pool, 2, 10)
	if got := archive(t, ledger.Config{Pool: pool, OlderThan: day}); got.Archived != 18 || got.Stock != 2 {
		t.Errorf("%+v", got)
	}
	expectWhole(t, pool, written)
	for _, m := range read(t, pool, fromLedger) {
		if want := m.Version < 10; m.opening() != want {
			t.Errorf("%+v", m)
		}
	}
	before := read(t, pool, fromLedger)
	if got := archive(t, ledger.Config{Pool: pool, OlderThan: day}); got.Archived != 0 {
		t.Errorf("the next run: %+v", got)
	}
	if !slices.Equal(read(t, pool, fromLedger), before) {
		t.Error("a run that found nothing changed the ledger")
	}
}

func TestARunThatIsCancelledKeepsWhatItHasDone(t *testing.T) {
	t.Parallel()
	pool := open(t)
	written := keep(t, pool, 20, 10)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	chunks := 0
	var told int64
	cfg := ledger.Config{Pool: pool, OlderThan: day, Chunk: 25}
	cfg.Record = func(ctx context.Context, _ pgx.Tx, soFar ledger.Result) error {
		if chunks++; chunks == 3 {
			cancel() // in the middle of a transaction, which is finished
		}
		told = soFar.Archived
		return ctx.Err()
	}
	result, err := ledger.New(cfg).Run(ctx)
	if !errors.Is(err, context.Canceled) || result.Complete || chunks != 3 || result.Archived != told {
		t.Errorf("%+v, %v after %d transactions, of which %d were told", result, err, chunks, told)
	}
	expectWhole(t, pool, written)
	if n := testenv.Ask[int64](t, pool, "select count(*) from movements_archive"); n != result.Archived || n == 0 {
		t.Errorf("%d movements are archived, the result says %d", n, result.Archived)
	}
	rest := archive(t, ledger.Config{Pool: pool, OlderThan: day, Chunk: 25})
	if rest.Archived+result.Archived != 180 {
		t.Errorf("%d and then %d were archived", result.Archived, rest.Archived)
	}
	expectWhole(t, pool, written)
}

func TestAnArchiverThatIsKilledInATransactionLosesThatAlone(t *testing.T) {
	t.Parallel()
	pool := open(t)
	written := keep(t, pool, 20, 10)
	chunks := 0
	var before int64
	cfg := ledger.Config{Pool: pool, OlderThan: day, Chunk: 25}
	cfg.Record = func(ctx context.Context, tx pgx.Tx, soFar ledger.Result) error {
		if chunks++; chunks < 3 {
			before = soFar.Archived
			return nil
		}
		_, err := pool.Exec(ctx, "select pg_terminate_backend($1, 10000)", tx.Conn().PgConn().PID())
		return err
	}
	result, err := ledger.New(cfg).Run(t.Context())
	if err == nil || result.Archived != before || result.Complete {
		t.Errorf("%+v, %v; %d were archived before", result, err, before)
	}
	expectWhole(t, pool, written)
	if n := testenv.Ask[int64](t, pool, "select count(*) from movements_archive"); n != before {
		t.Errorf("%d movements are archived, want %d", n, before)
	}
	cfg.Record = nil
	archive(t, cfg)
	expectWhole(t, pool, written)
}

func TestAnErrorOfTheRecordUndoesItsTransaction(t *testing.T) {
	t.Parallel()
	pool := open(t)
	written := keep(t, pool, 3, 10)
	full := errors.New("the record is full")
	cfg := ledger.Config{Pool: pool, OlderThan: day}
	cfg.Record = func(context.Context, pgx.Tx, ledger.Result) error { return full }
	result, err := ledger.New(cfg).Run(t.Context())
	if !errors.Is(err, full) || result.Archived != 0 || result.Stock != 0 {
		t.Errorf("%+v, %v", result, err)
	}
	if got := read(t, pool, fromLedger); !slices.Equal(got, written) {
		t.Error("the ledger was changed")
	}
}

func TestTwoArchiversAtOnceAreOneAndARefusal(t *testing.T) {
	t.Parallel()
	pool := open(t)
	written := keep(t, pool, 20, 10)
	const archivers = 4
	ended := make(chan error, archivers)
	for range archivers {
		go func() {
			_, err := ledger.New(ledger.Config{Pool: pool, OlderThan: day, Chunk: 10}).Run(t.Context())
			ended <- err
		}()
	}
	won := 0
	for range archivers {
		switch err := <-ended; {
		case err == nil:
			won++
		case !errors.Is(err, ledger.ErrBusy):
			t.Error(err)
		}
	}
	if won == 0 {
		t.Error("all were refused")
	}
	expectWhole(t, pool, written)
}

func TestArchiversOfTwoInstallationsInOneDatabaseDoNotMeet(t *testing.T) {
	t.Parallel()
	one, other := open(t), open(t)
	keep(t, one, 1, 10)
	keep(t, other, 1, 10)
	archive(t, ledger.Config{Pool: one, OlderThan: day, Record: func(context.Context, pgx.Tx, ledger.Result) error {
		archive(t, ledger.Config{Pool: other, OlderThan: day})
		return nil
	}})
}

func TestWhatDoesNotAddUpIsNeverArchived(t *testing.T) {
	t.Parallel()
	for name, corruption := range map[string]struct{ sql, why string }{
		"another delta":   {"update movements set delta = 2 where version = 5", "do not make 5"},
		"another sum":     {"update movements set on_hand = 6 where version = 5", "do not make 6"},
		"a gap":           {"delete from movements where version = 5", "version 6 does not follow version 4"},
		"no beginning":    {"delete from movements where version = 1", "version 2 does not follow version 0"},
		"an opening amid": {"update movements set kind = 'ledger.opened', delta = on_hand where version = 5", "amid"},
		"a wrong opening": {"update movements set kind = 'ledger.opened', delta = 2 where version = 1", "do not make 1"},
		"too large a delta": {
			"update movements set delta = 9223372036854775807, on_hand = -9223372036854775805 where version = 5", "do not make",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := open(t)
			keep(t, pool, 3, 10)
			testenv.Execute(t, pool, corruption.sql+" and sku = 'SKU-002'")
			// A limit that falls before what is wrong lets what is before it be archived. Then it comes first, and it must not
			// come again and again.
			for _, limit := range []int{3, 12, 0} {
				result := archive(t, ledger.Config{Pool: pool, OlderThan: day, Chunk: limit})
				if result.Broken != 1 || result.Stock != 3 || !strings.Contains(result.Examples[0].Why, corruption.why) {
					t.Errorf("%+v", result)
				}
			}
			if n := testenv.Ask[int](t, pool, "select count(*) from movements where sku = 'SKU-002' and version >= 5"); n < 5 {
				t.Errorf("%d movements are left from what is wrong on", n)
			}
			if n := testenv.Ask[int](t, pool, "select count(*) from movements_archive where sku <> 'SKU-002'"); n != 18 {
				t.Errorf("%d movements of the others are archived", n)
			}
		})
	}
}

// A movement that is in the archive already is somebody's work by hand: the transaction fails, and nothing is lost.
func TestWhatTheArchiveHasAlreadyIsNotOverwritten(t *testing.T) {
	t.Parallel()
	pool := open(t)
	written := keep(t, pool, 1, 10)
	testenv.Execute(t, pool, "insert into movements_archive select * from movements where version = 3")
	if _, err := ledger.New(ledger.Config{Pool: pool, OlderThan: day}).Run(t.Context()); err == nil {
		t.Error("no error")
	}
	if got := read(t, pool, fromLedger); !slices.Equal(got, written) {
		t.Error("the ledger was changed")
	}
}

func TestBothTablesHaveTheSameColumns(t *testing.T) {
	t.Parallel()
	pool := connect(t, testenv.Database(t))
	const columns = `
select string_agg(format('%s %s %s %s', attname, format_type(atttypid, atttypmod), attnotnull, attcollation), ', '
                  order by attnum)
from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped`
	ledger := testenv.Ask[string](t, pool, columns, "movements")
	archive := testenv.Ask[string](t, pool, columns, "movements_archive")
	if ledger != archive {
		t.Errorf("the ledger has %s\nthe archive %s", ledger, archive)
	}
}
