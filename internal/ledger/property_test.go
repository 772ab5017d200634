package ledger_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"pgregory.net/rapid"

	"onhand/internal/ledger"
	"onhand/internal/testenv"
)

// A few rows of stock with names that sort in surprising ways, and texts that would end a literal.
var keys = []ledger.Key{
	{Tenant: "", SKU: "A", Location: "main"},
	{Tenant: "", SKU: "A", Location: "north"},
	{Tenant: "", SKU: "a", Location: "main"},
	{Tenant: "é", SKU: `'"\`, Location: "main"},
	{Tenant: "z", SKU: "B", Location: " "},
}

// epoch lies far enough back that no archiver's clock comes near it while a test runs.
const hoursBack = 1000

func TestAnyHistoryArchivedAtAnyPointsStaysWhole(t *testing.T) {
	t.Parallel()
	pool := open(t)
	rapid.Check(t, func(rt *rapid.T) {
		testenv.EmptyArchive(t, pool, "true")
		testenv.Execute(t, pool, "delete from movements; delete from stock")
		epoch := testenv.Ask[time.Time](t, pool,
			"select date_trunc('second', now()) - interval '1 hour' * $1::integer", hoursBack)
		var written []movement
		opened := make(map[ledger.Key]int64)
		for range rapid.IntRange(1, 4).Draw(rt, "rounds") {
			fresh := continued(rt, written, epoch)
			write(t, pool, fresh)
			written = append(written, fresh...)
			slices.SortFunc(written, movement.compare)

			// Half an hour is far from any movement's full hour.
			after := time.Duration(rapid.IntRange(-1, hoursBack/2).Draw(rt, "hours"))*time.Hour + 30*time.Minute
			age := hoursBack*time.Hour - after
			cfg := ledger.Config{Pool: pool, OlderThan: age, Chunk: rapid.IntRange(2, 20).Draw(rt, "chunk")}
			survey, err := ledger.New(cfg).Survey(context.Background())
			must(rt, err)
			result := archive(rt, cfg)
			checkBalance(rt, pool)
			if !slices.Equal(history(rt, pool), written) {
				rt.Fatalf("ledger and archive\n%v\nare not what was written\n%v", history(rt, pool), written)
			}
			moved := expectOpened(written, epoch.Add(after), opened)
			if want := wantLedger(written, opened); !slices.Equal(read(rt, pool, fromLedger), want) {
				rt.Fatalf("the ledger is\n%v\nwant\n%v", read(rt, pool, fromLedger), want)
			}
			if result.Archived != moved || survey.Archived != moved || result.Broken != 0 || survey.Stock != result.Stock {
				rt.Fatalf("%+v after %+v was announced, want %d archived", result, survey, moved)
			}
		}
	})
}

// continued draws movements after those that are written already.
func continued(rt *rapid.T, written []movement, epoch time.Time) []movement {
	last := make(map[ledger.Key]movement)
	for _, m := range written {
		last[m.Key] = m
	}
	var fresh []movement
	for i := range rapid.IntRange(0, 60).Draw(rt, "movements") {
		k := rapid.SampledFrom(keys).Draw(rt, "key")
		m := movement{
			Key: k, Version: last[k].Version + 1, Delta: rapid.Int64Range(-5, 5).Draw(rt, "delta"), Kind: "stock.adjusted",
			EventID:     fmt.Sprintf("%d %d", len(written), i),
			EventSource: rapid.SampledFrom([]string{"", "pos"}).Draw(rt, "source"),
			// Most follow one another in time, some do not: recorded_at is when a transaction began.
			RecordedAt: epoch.Add(time.Duration(len(written)+i+rapid.IntRange(0, 20).Draw(rt, "late")) * time.Hour).UTC(),
		}
		m.OnHand = last[k].OnHand + m.Delta
		m.Reserved, m.Damaged = rapid.Int64Range(-1, 3).Draw(rt, "reserved"), rapid.Int64Range(-1, 3).Draw(rt, "damaged")
		m.InTransit = rapid.Int64Range(-1, 3).Draw(rt, "in transit")
		last[k] = m
		fresh = append(fresh, m)
	}
	return fresh
}

// write stores movements, gives them their message ids, and stores the stock that they come to; every SKU allows
// backorder.
func write(t rapid.TB, pool *pgxpool.Pool, ms []movement) {
	t.Helper()
	q := &pgx.Batch{}
	for i, m := range ms {
		q.Queue(`insert into movements (tenant, sku, location, version, delta, on_hand, kind, event_id, event_source,
			recorded_at, message_id, reserved, damaged, in_transit)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, nextval('outbox_id'), nullif($11::bigint, -1),
			  nullif($12::bigint, -1), nullif($13::bigint, -1))
			returning message_id`, m.Tenant, m.SKU, m.Location, m.Version, m.Delta, m.OnHand, m.Kind, m.EventID,
			m.EventSource, m.RecordedAt, m.Reserved, m.Damaged, m.InTransit).
			QueryRow(func(row pgx.Row) error { return row.Scan(&ms[i].MessageID) })
		q.Queue(`insert into stock (tenant, sku, location, on_hand, version, backorder, last_topic, last_partition,
			moved_at)
			values ($1, $2, $3, $4, $5, 'allow', 't', 0, now())
			on conflict (tenant, sku, location) do update set on_hand = $4, version = $5`,
			m.Tenant, m.SKU, m.Location, m.OnHand, m.Version)
	}
	must(t, pool.SendBatch(context.Background(), q).Close())
}

// expectOpened says in opened up to which version each row's ledger is archived now, and returns how many movements
// that moves.
func expectOpened(written []movement, before time.Time, opened map[ledger.Key]int64) (moved int64) {
	for _, k := range keys {
		var old int64
		newest, stop := int64(0), false
		for _, m := range written {
			if m.Key != k {
				continue
			}
			newest = m.Version
			// What is archived stays so, whatever the age that is asked for.
			if stop = stop || m.Version >= opened[k] && !m.RecordedAt.Before(before); !stop {
				old = m.Version
			}
		}
		old = min(old, newest-1)
		if least := max(opened[k]+1, 2); old >= least {
			moved += old - opened[k]
			opened[k] = old
		}
	}
	return moved
}

// wantLedger is the history with an opening balance in place of what is archived.
func wantLedger(written []movement, opened map[ledger.Key]int64) []movement {
	var want []movement
	for _, m := range written {
		switch v := opened[m.Key]; {
		case m.Version > v:
			want = append(want, m)
		case m.Version == v:
			m.Delta, m.Kind, m.EventID, m.EventSource = m.OnHand, "ledger.opened", "", "onhand:ledger"
			m.MessageID = 0
			want = append(want, m)
		}
	}
	return want
}
