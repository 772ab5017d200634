package inbox

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// mixture sends n records to each of some partitions: new ones, copies of earlier ones (of any partition), wrong ones
// and ones that are rejected. It returns how many different good ones there are.
func (w *world) mixture(partitions int32, n int) (different int64) {
	w.t.Helper()
	sent := make(map[string]bool)
	for p := range partitions {
		values := make([]string, n)
		for i := range values {
			switch rand.N(12) {
			case 0:
				values[i] = "x !wrong"
			case 1:
				values[i] = fmt.Sprintf("no-%d-%d no-word", p, i)
			default:
				values[i] = fmt.Sprintf("%d apple", rand.N(n*int(partitions)))
				sent[values[i]] = true
			}
		}
		w.send(p, values...)
	}
	return int64(len(sent))
}

// books checks that every record counts once, and that each good one has had its effect once.
func (w *world) books(partitions int32, n int, different int64) {
	w.t.Helper()
	got := w.number(`select sum(applied + rejected + duplicate + parked) from offsets`)
	if got != int64(partitions)*int64(n) {
		w.t.Errorf("%d records accounted for, want %d", got, int(partitions)*n)
	}
	if got := w.counted("apple"); got != different {
		w.t.Errorf("counted %d, want %d", got, different)
	}
	if got := w.number(`select count(*) from inbox where outcome = 'applied'`); got != different {
		w.t.Errorf("%d applied in the inbox, want %d", got, different)
	}
	if got := w.number(`select (select sum(applied + rejected) from offsets) - (select count(*) from inbox)`); got != 0 {
		w.t.Errorf("%d more counted as applied or rejected than the inbox has", got)
	}
	if got := w.number(`select (select sum(parked) from offsets) - (select count(*) from dead_letters)`); got != 0 {
		w.t.Errorf("%d more counted as parked than there are dead letters", got)
	}
}

func TestMembersThatComeAndGoApplyEachRecordOnce(t *testing.T) {
	t.Parallel()
	const partitions, records = 4, 1500
	w := newWorld(t, partitions)
	different := w.mixture(partitions, records)
	var stops []func()
	const all = `select coalesce(sum(next), 0) from offsets`
	for w.number(all) != partitions*records {
		cfg := w.config()
		cfg.MaxBatch = 5
		before := w.number(all)
		_, stop := w.start(cfg)
		stops = append(stops, stop)
		if len(stops) > 2 {
			stops[0]()
			stops = stops[1:]
		}
		w.eventually("some progress", func() bool {
			now := w.number(all)
			return now == partitions*records || now > before+200
		})
	}
	w.books(partitions, records, different)
}

func TestConnectionsThatBreakLoseAndDoubleNothing(t *testing.T) {
	t.Parallel()
	for _, isolation := range []pgx.TxIsoLevel{pgx.ReadCommitted, pgx.Serializable} {
		t.Run(string(isolation), func(t *testing.T) {
			t.Parallel()
			const partitions, records = 4, 600
			w := newWorld(t, partitions)
			cfg := w.config()
			cfg.Isolation, cfg.MaxBatch, cfg.Lanes = isolation, 10, 4
			cfg.Pool = w.named("victim-" + w.group)
			different := w.mixture(partitions, records)
			w.start(cfg)
			for cuts, last := 0, int64(0); ; {
				next := w.number(`select coalesce(sum(next), 0) from offsets`)
				if next == partitions*records {
					break
				}
				if next > last && cuts < 60 {
					last = next
					cuts += int(w.number(`select count(pg_terminate_backend(pid)) from (
					  select pid from pg_stat_activity where application_name = $1 and state <> 'idle' limit 1) a`,
						cfg.Pool.Config().ConnConfig.RuntimeParams["application_name"]))
				}
				w.pausedFor(5 * time.Millisecond)
			}
			w.books(partitions, records, different)
		})
	}
}

// pausedFor gives the others a moment, within the test's patience.
func (w *world) pausedFor(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.t.Context().Done():
	}
}

// named is a pool whose connections have a name of their own.
func (w *world) named(name string) *pgxpool.Pool {
	w.t.Helper()
	cfg, err := pgxpool.ParseConfig(w.url)
	if err != nil {
		w.t.Fatal(err)
	}
	cfg.ConnConfig.RuntimeParams["application_name"] = name
	pool, err := pgxpool.NewWithConfig(context.Background(), cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(pool.Close)
	return pool
}
