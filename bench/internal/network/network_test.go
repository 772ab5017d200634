package network

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onhand/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func connect(t *testing.T, databaseURL, address string) *pgx.Conn {
	t.Helper()
	through, err := Through(databaseURL, address)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), through)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func TestTheWayIsAsLongAsAskedFor(t *testing.T) {
	t.Parallel()
	const want = 2500 * time.Microsecond
	databaseURL := testenv.Database(t)
	d, err := NewDelay(databaseURL, want)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	conn := connect(t, databaseURL, d.Address())
	took := make([]time.Duration, 100)
	for i := range took {
		begin := time.Now()
		if err := conn.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
		took[i] = time.Since(begin)
	}
	slices.Sort(took)
	if took[0] < want || took[0] > 2*want {
		t.Errorf("the quickest of %d round trips took %s, want little more than %s", len(took), took[0], want)
	}
}

func TestRoundTripsAndStatementsOfABatchAreCounted(t *testing.T) {
	t.Parallel()
	databaseURL := testenv.Database(t)
	c, err := NewCounter(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	conn := connect(t, databaseURL, c.Address())
	const commits = 20
	for i := range commits {
		fresh := fmt.Sprintf("select %d", 4+i) // to be prepared
		for _, statements := range [][]string{{"begin", "select 1", "select 2"}, {fresh, "select 3", "commit"}} {
			q := &pgx.Batch{}
			for _, sql := range statements {
				q.Queue(sql)
			}
			if err := conn.SendBatch(t.Context(), q).Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got, want := c.Batches(), (Batches{Commits: commits, Trips: 2, Statements: 6}); got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
}
