package main

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onhand/bench/internal/report"
	"onhand/bench/internal/servers"
	"onhand/internal/testenv"
)

func TestWhatTheRelayIsBehindIsCountedAndTimedUntilItHasCaughtUp(t *testing.T) {
	t.Parallel()
	url := testenv.Database(t)
	if err := servers.Fill(t.Context(), url, servers.Prefill{Messages: 2000}); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	published := func(id int64) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), `update outbox_relay set done = $1, intent = $1`, id); err != nil {
			t.Fatal(err)
		}
	}
	const last = 2100 // ids 1901 to 2000 are nobody's
	published(1800)
	var got *report.Behind
	waiting := make(chan error, 1)
	go func() {
		var err error
		got, err = new(tournament).behind(t.Context(), job{databaseURL: url}, &runner{})
		waiting <- err
	}()
	testenv.Eventually(t, 20*time.Second, "it waits for the relay", func() bool {
		var waits bool
		const asked = `select exists (select from pg_stat_activity where query = $1 and pid <> pg_backend_pid())`
		return conn.QueryRow(t.Context(), asked, caughtUp).Scan(&waits) == nil && waits
	})
	if n, err := publishedProgress(t.Context(), conn); err != nil || n != 1800 {
		t.Errorf("%d messages are out, %v; want 1800", n, err)
	}
	select {
	case err := <-waiting:
		t.Fatalf("it has caught up with %+v, %v", got, err)
	default:
	}
	published(last)
	if err := <-waiting; err != nil || got.Messages != 200 || got.Seconds <= 0 {
		t.Errorf("%+v, %v; want 200 messages behind", got, err)
	}
	if n, err := publishedProgress(t.Context(), conn); err != nil || n != 2000 {
		t.Errorf("%d messages are out, %v; want all", n, err)
	}
	ended := make(chan struct{})
	close(ended)
	published(last - 1)
	if _, err := new(tournament).behind(t.Context(), job{databaseURL: url}, &runner{ended: ended}); err == nil {
		t.Error("it waits for a relay that has ended")
	}
}
