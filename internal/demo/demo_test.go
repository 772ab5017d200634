package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onhand/internal/localpg"
	"onhand/internal/testenv"
)

// binary is onhand, built once for all tests of the package.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "onhand-demo-test-")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "onhand")
	if out, err := exec.Command("go", "build", "-o", binary, "onhand/cmd/onhand").CombinedOutput(); err != nil {
		panic(fmt.Sprintf("%v: %s", err, out))
	}
	status := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(status)
}

func begin(t *testing.T, cfg Config) *Demo {
	t.Helper()
	if cfg.Binary == "" {
		cfg.Binary = binary
	}
	cfg.Say = func(format string, args ...any) { t.Logf(format, args...) }
	d, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil && !t.Failed() {
			t.Error(err)
		}
	})
	return d
}

// script makes a program that stands in for onhand: it does body when asked to run, and is onhand otherwise.
func script(t *testing.T, body string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "onhand")
	text := fmt.Sprintf("#!/bin/sh\n[ \"$1\" = run ] || exec %s \"$@\"\n%s\n", binary, body)
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, os.ErrNotExist)
}

func TestKillsLoseAndDoubleNothingAndTheRecountSeesEachCorruption(t *testing.T) {
	t.Parallel()
	d := begin(t, Config{Events: 4000, Kills: 2, Seed: 11})
	result, err := d.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !result.Good() || result.Sent != 4000 || result.Crashes != 2 || result.Parked == 0 || result.Duplicates == 0 {
		t.Fatalf("got %+v", result)
	}

	conn, err := d.database.connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	for _, c := range []struct {
		corrupt string
		want    Recount
	}{
		{`update stock set on_hand = on_hand + 1 where sku = (select max(sku) from stock)`, Recount{Wrong: 1}},
		{`insert into stock (tenant, sku, location, on_hand, version, backorder, backorder_limit, last_topic,
		    last_partition, moved_at)
		  select tenant, 'SKU-none', location, on_hand, version, backorder, backorder_limit, last_topic, last_partition,
		    moved_at from stock limit 1`, Recount{Wrong: 2}},
		{`delete from movements where event_id = (select max(event_id) from movements)`, Recount{Lost: 1, Wrong: 2}},
		{
			`delete from inbox where event_id = (select min(event_id) from inbox where outcome = 'applied')`,
			Recount{Lost: 2, Wrong: 2},
		},
		{`insert into movements (tenant, sku, location, version, delta, on_hand, kind, event_id, event_source)
		    select tenant, sku, location, version + 1000000, delta, on_hand, kind, event_id, event_source
		    from movements limit 3`, Recount{Lost: 2, Doubled: 3, Wrong: 2}},
	} {
		if _, err := conn.Exec(t.Context(), c.corrupt); err != nil {
			t.Fatalf("%s: %v", c.corrupt, err)
		}
		got, err := recount(t.Context(), d.broker.address, d.database)
		if err != nil {
			t.Fatal(err)
		}
		if got != c.want {
			t.Errorf("after %s: got %+v, want %+v", c.corrupt, got, c.want)
		}
	}
	verdict, err := d.service.verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if verdict.Verdict != "violation" || verdict.Found == 0 || len(verdict.Differences) == 0 {
		t.Errorf("verify says %+v", verdict)
	}
}

func TestCancellingInTheMiddleLeavesNothing(t *testing.T) {
	t.Parallel()
	server, err := localpg.Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	given, err := localpg.Create(t.Context(), server, "")
	if err != nil {
		t.Fatal(err)
	}
	defer given.Close()
	url := given.URL()
	d := begin(t, Config{Events: 100_000, Kills: 3, Seed: 5, DatabaseURL: url})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	d.cfg.Say = func(format string, _ ...any) {
		if strings.HasPrefix(format, "kill") {
			cancel()
		}
	}
	if _, err := d.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want context.Canceled", err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}

	select {
	case <-d.service.done():
	default:
		t.Error("the service still runs")
	}
	if exists(d.dir) {
		t.Error("the folder is still there")
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var left int
	const schemas = `select count(*) from pg_namespace where nspname = $1`
	if err := conn.QueryRow(t.Context(), schemas, d.database.schema).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d schemas left, %v", left, err)
	}
}

func TestAServiceThatEndsByItselfIsQuoted(t *testing.T) {
	t.Parallel()
	d := begin(t, Config{Binary: script(t, `echo "no shelf to put it on" >&2; exit 1`), Events: 1000, Kills: 1})
	_, err := d.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "no shelf to put it on") {
		t.Errorf("got %v, want the service's own words", err)
	}
}

func TestAServiceThatHangsIsKilledInTheEnd(t *testing.T) {
	t.Parallel()
	d := begin(t, Config{Binary: script(t, `trap '' TERM; echo deaf >&2; exec sleep 600`), Events: 1000})
	testenv.Eventually(t, 10*time.Second, "the service is deaf", func() bool {
		return strings.Contains(tail(d.service.logPath), "deaf")
	})
	began := time.Now()
	if err := d.Close(); err == nil {
		t.Error("that it had to be killed is worth an error")
	}
	if took := time.Since(began); took > 2*stopTimeout {
		t.Errorf("closing took %s", took)
	}
	if exists(d.dir) {
		t.Error("the folder is still there")
	}
}

func TestADatabaseThatCannotBeReachedIsNamedWithoutItsPassword(t *testing.T) {
	t.Parallel()
	said := []string{}
	_, err := Start(t.Context(), Config{
		Binary: binary, DatabaseURL: "postgres://nobody:secret@127.0.0.1:1/none", Events: 1000,
		Say: func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) },
	})
	if err == nil || !strings.Contains(err.Error(), "connect to the database") || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v after %q", err, said)
	}
}
