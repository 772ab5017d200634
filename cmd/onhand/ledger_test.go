package main

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"onhand/internal/ledger"
	"onhand/internal/testenv"
)

// keepLedger stores rows of stock with n movements of +1 each, a day apart; the newest is of now.
func keepLedger(t *testing.T, pool *pgxpool.Pool, rows, n int) {
	t.Helper()
	execute(t, pool, `
insert into movements (tenant, sku, location, version, delta, on_hand, kind, event_id, event_source, recorded_at)
select '', 'SKU-' || s, 'main', v, 1, v, 'stock.received', 'e-' || s || '-' || v, '',
       now() - interval '1 day' * ($2 - v)
from generate_series(1, $1::integer) s, generate_series(1, $2::integer) v`, rows, n)
	execute(t, pool, `
insert into stock (tenant, sku, location, on_hand, version, backorder, last_topic, last_partition, moved_at)
select tenant, sku, location, max(version), max(version), 'deny', 't', 0, now() from movements group by 1, 2, 3`)
}

func TestOldMovementsAreArchivedAndTheReasonIsOnRecord(t *testing.T) {
	t.Parallel()
	url := testenv.Database(t)
	pool := connect(t, url)
	keepLedger(t, pool, 3, 100)
	ledgerCommand := func(args ...string) ended {
		return command(t, append(append([]string{"ledger"}, args...), "--database-url", url)...)
	}
	ledgerCommand("archive", "--older-than", "2148h").expect(t, exitUsage, "--because (ONHAND_BECAUSE): is missing")
	ledgerCommand("archive", "--because", "x").expect(t, exitUsage, "--older-than (ONHAND_OLDER_THAN): is missing")
	ledgerCommand("archive", "--older-than", "2148h", "--dry-run").expect(t, exitDone, "movements to archive", "30")
	if n := query[int](t, pool, `select count(*) from movements_archive`); n != 0 {
		t.Errorf("asking archived %d movements", n)
	}

	e := ledgerCommand("archive", "--older-than", "2148h", "--because", "keep a quarter", "-o", "json")
	got := decoded[archived](t, e.expect(t, exitDone))
	if got.Archived != 30 || got.Stock != 3 || !got.Complete || got.DryRun {
		t.Errorf("%+v", got)
	}
	if n := query[int](t, pool, `select count(*) from operator_actions
		where command = 'ledger archive --older-than 2148h' and because = 'keep a quarter' and actor like '%@%'
		  and (after ->> 'archived')::integer = 30`); n != 1 {
		t.Errorf("%d actions on record", n)
	}
	ledgerCommand("archive", "--older-than", "2148h", "--because", "again").expect(t, exitDone, "complete")
	if n := query[int](t, pool, `select count(*) from operator_actions`); n != 1 {
		t.Error("a run that changed nothing is on record")
	}

	shown := decoded[ledger.Contents](t, ledgerCommand("show", "-o", "json").expect(t, exitDone))
	if shown.Ledger.Rows != 273 || shown.Archive.Rows != 30 || shown.Opened != 3 || shown.Removed != 0 {
		t.Errorf("%+v", shown)
	}
	execute(t, pool, `delete from movements_archive where version < 3`)
	ledgerCommand("show").expect(t, exitDone, "3 rows of the ledger are opening balances", "lacks 6 of")
}

func TestALedgerThatDoesNotAddUpIsLeftAlone(t *testing.T) {
	t.Parallel()
	url := testenv.Database(t)
	pool := connect(t, url)
	keepLedger(t, pool, 3, 10)
	execute(t, pool, `update movements set delta = 2 where sku = 'SKU-2' and version = 5`)
	command(t, "ledger", "archive", "--database-url", url, "--older-than", "1h", "--because", "a test").
		expect(t, exitViolation, `"SKU-2" at "main"`, "version 5", "left alone  1")
	if n := query[int](t, pool, `select count(*) from movements where sku = 'SKU-2'`); n != 10 {
		t.Errorf("the ledger of the broken row has %d movements", n)
	}
	if n := query[int](t, pool, `select count(*) from movements_archive`); n != 18 {
		t.Errorf("%d movements of the others are archived", n)
	}
}

func TestASecondArchiverIsRefused(t *testing.T) {
	t.Parallel()
	url := testenv.Database(t)
	pool := connect(t, url)
	keepLedger(t, pool, 1, 10)
	_, err := ledger.New(ledger.Config{Pool: pool, Record: func(context.Context, pgx.Tx, ledger.Result) error {
		command(t, "ledger", "archive", "--database-url", url, "--older-than", "1h", "--because", "a test").
			expect(t, exitRefused, "another archiver")
		return nil
	}}).Run(t.Context())
	if err != nil {
		t.Error(err)
	}
	command(t, "ledger", "archive", "--database-url", url, "--older-than", "1h", "--because", "a test").expect(t, exitDone)
}

func TestAnInterruptedArchiverSaysHowFarItCame(t *testing.T) {
	t.Parallel()
	url := testenv.Database(t)
	pool := connect(t, url)
	keepLedger(t, pool, 1, 10_100) // more than one transaction takes
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	// A client that holds an old movement makes the first transaction wait, and is the moment to interrupt it.
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	if _, err := tx.Exec(t.Context(), `select from movements where version = 1 for update`); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	status := make(chan int, 1)
	go func() {
		status <- onhand(ctx, []string{
			"ledger", "archive", "--database-url", url, "--older-than", "1h", "--because", "a test",
		}, &stdout, &stderr)
	}()
	testenv.Eventually(t, waitingTime, "the archiver waits for the movement", func() bool {
		return query[bool](t, pool, `select exists (
			select from pg_stat_activity where $1 = any(pg_blocking_pids(pid)))`, tx.Conn().PgConn().PID())
	})
	interrupt()
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	ended{status: <-status, stdout: stdout.String(), stderr: stderr.String()}.
		expect(t, exitFailed, "movements archived", "10000", "ended early", "interrupted")
	if n := query[int](t, pool, `select count(*) from movements_archive`); n != 10_000 {
		t.Errorf("%d movements are archived", n)
	}
	e := command(t, "ledger", "archive", "--database-url", url, "--older-than", "1h", "--because", "a test", "-o", "json")
	if got := decoded[archived](t, e.expect(t, exitDone)); got.Archived != 99 {
		t.Errorf("the next run: %+v", got)
	}
}

func TestAnArchivedLedgerIsProvenLikeAWholeOne(t *testing.T) {
	t.Parallel()
	url, topic := testenv.Database(t), testenv.Topic(t, 2)
	pool := connect(t, url)
	start(t, serviceArgs(t, url, topic)...)
	archive := func() int64 {
		e := command(t, "ledger", "archive", "--database-url", url, "--older-than", "0s", "--because", "a test", "-o", "json")
		return decoded[archived](t, e.expect(t, exitDone)).Archived
	}
	verify := func(status int, words ...string) {
		t.Helper()
		command(t, "verify", "--database-url", url, "--brokers", testenv.Brokers(t)[0]).expect(t, status, words...)
	}
	for round := range 3 {
		produce(t, topic, movesOf(round, 20))
		awaitApplied(t, pool, int64(20*(round+1)))
		if got := archive(); round == 0 && got != 18 || round > 0 && got != 20 {
			t.Errorf("round %d archived %d movements", round, got)
		}
		verify(exitDone, "2 opening balances for", "OK")
	}
	testenv.EmptyArchive(t, pool, "true")
	verify(exitDone, "58 of these are no longer in the archive", "OK")
	execute(t, pool, `update movements set delta = delta + 1, on_hand = on_hand + 1 where kind = 'ledger.opened'`)
	verify(exitViolation, "I4")
}

// movesOf are n events for two SKUs.
func movesOf(round, n int) []string {
	events := make([]string, n)
	for i := range events {
		events[i] = fmt.Sprintf(`{"id":"%d-%d","kind":"stock.received","sku":"SKU-%d","quantity":%d}`, round, i, i%2, i+1)
	}
	return events
}
