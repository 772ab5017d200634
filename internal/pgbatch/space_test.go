package pgbatch_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"onhand/internal/database"
	"onhand/internal/pgbatch"
	"onhand/internal/testenv"
)

func connect(t *testing.T) *pgx.Conn {
	t.Helper()
	cfg, _, err := database.Config(testenv.Database(t), "")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.ConnectConfig(t.Context(), cfg.ConnConfig)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	if err := cfg.AfterConnect(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	return conn
}

// Statements in which arguments that have a quick form stand between such that have none, in batches that grow, shrink,
// outgrow what a connection keeps, and leave it for the driver to say.
func TestBatchesReachTheServerWholeWhateverTheirSize(t *testing.T) {
	t.Parallel()
	conn := connect(t)
	const all = `select $1::text || array_to_string($2::text[], ',') || $3::text || array_to_string($4::bigint[], ',') ||
		encode($5::bytea, 'escape') || array_to_string($6::integer[], ',') || array_to_string($7::text[], ',', 'null')`
	for round, n := range []int{1, 3000, 2, 90_000, 0, 3000, 3001, 300_000, 5, 90_000} {
		q := &pgx.Batch{}
		var got, want []string
		for k := range 3 {
			m := n / (k + 1)
			words, longs, ints, some := make([]string, m), make([]int64, m), make([]int32, m), make([]*string, m/2)
			for i := range m {
				words[i], longs[i], ints[i] = fmt.Sprint("w", round, i), int64(i)<<20, int32(i-k)
			}
			bytes := strings.Repeat("b", m)
			q.Queue(all, "<", words, "|", longs, []byte(bytes), ints, some).QueryRow(func(row pgx.Row) error {
				got = append(got, "")
				return row.Scan(&got[len(got)-1])
			})
			want = append(want, "<"+strings.Join(words, ",")+"|"+joined(longs)+bytes+joined(ints)+
				strings.TrimSuffix(strings.Repeat("null,", m/2), ","))
		}
		if err := pgbatch.Send(t.Context(), conn, q).Close(); err != nil {
			t.Fatal(err)
		}
		for k := range want {
			if k >= len(got) || got[k] != want[k] {
				t.Fatalf("round %d of %d rows: statement %d of %d came back otherwise", round, n, k, len(got))
			}
		}
	}
}

func joined[T any](ns []T) string {
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(ns), "[]"), " ", ",")
}

// What a batch is written into is used again: of the next one's bytes, hardly any are allocated.
func TestBatchesAreWrittenIntoTheSameMemory(t *testing.T) { //nolint:paralleltest // counts what the process allocates
	conn := connect(t)
	words := make([]string, 20_000)
	for i := range words {
		words[i] = strings.Repeat("w", 40)
	}
	send := func() {
		q := &pgx.Batch{}
		for range 2 {
			q.Queue("select cardinality($1::text[]), cardinality($2::text[])", words, words)
		}
		if err := pgbatch.Send(t.Context(), conn, q).Close(); err != nil {
			t.Fatal(err)
		}
	}
	const rounds, size = 10, 4 * 20_000 * 44 // bytes
	send()
	send()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range rounds {
		send()
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / rounds; each > size/10 {
		t.Errorf("a batch of %d bytes allocates %d", size, each)
	}
}

// A closed connection says so, and a batch behind one that failed is what it would be without it.
func TestSendFailsAsSendBatchDoes(t *testing.T) {
	t.Parallel()
	conn := connect(t)
	words := make([]string, 5000)
	for i, ok := range []bool{true, false, true} {
		q := &pgx.Batch{}
		q.Queue("select cardinality($1::text[]) / $2::integer", words, i-1)
		if err := pgbatch.Send(t.Context(), conn, q).Close(); (err == nil) != ok {
			t.Errorf("batch %d: %v", i, err)
		}
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	q := &pgx.Batch{}
	q.Queue("select 1")
	if err := pgbatch.Send(t.Context(), conn, q).Close(); err == nil {
		t.Error("a closed connection took a batch")
	}
}
