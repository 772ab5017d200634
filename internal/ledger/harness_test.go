package ledger_test

import (
	"cmp"
	"context"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"pgregory.net/rapid"

	"onhand/internal/ledger"
	"onhand/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func must(t rapid.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T) *pgxpool.Pool {
	t.Helper()
	return connect(t, testenv.Database(t))
}

func connect(t *testing.T, url string) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(url)
	must(t, err)
	config.MaxConns = 8
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	must(t, err)
	t.Cleanup(pool.Close)
	return pool
}

// archive runs an Archiver to its end.
func archive(t rapid.TB, cfg ledger.Config) ledger.Result {
	t.Helper()
	result, err := ledger.New(cfg).Run(context.Background())
	must(t, err)
	if !result.Complete {
		t.Fatalf("ended early: %+v", result)
	}
	return result
}

// movement is a row of movements or of movements_archive.
type movement struct {
	ledger.Key
	Version     int64     `db:"version"`
	Delta       int64     `db:"delta"`
	OnHand      int64     `db:"on_hand"`
	Kind        string    `db:"kind"`
	EventID     string    `db:"event_id"`
	EventSource string    `db:"event_source"`
	MessageID   int64     `db:"message_id"` // 0 = none
	RecordedAt  time.Time `db:"recorded_at"`
	Reserved    int64     `db:"reserved"` // -1 = null, and so of the next two
	Damaged     int64     `db:"damaged"`
	InTransit   int64     `db:"in_transit"`
}

func (m movement) opening() bool { return m.Kind == "ledger.opened" }

func (m movement) compare(n movement) int {
	return cmp.Or(cmp.Compare(m.Tenant, n.Tenant), cmp.Compare(m.SKU, n.SKU), cmp.Compare(m.Location, n.Location),
		cmp.Compare(m.Version, n.Version))
}

const (
	everyColumn = `select tenant, sku, location, version, delta, on_hand, kind, event_id, event_source,
		coalesce(message_id, 0) as message_id, recorded_at, coalesce(reserved, -1) as reserved,
		coalesce(damaged, -1) as damaged, coalesce(in_transit, -1) as in_transit from `
	fromLedger  = everyColumn + "movements"
	fromArchive = everyColumn + "movements_archive"
)

// read returns what a query of movements finds, in the order of the key.
func read(t rapid.TB, pool *pgxpool.Pool, sql string) []movement {
	t.Helper()
	rows, err := pool.Query(context.Background(), sql)
	must(t, err)
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[movement])
	must(t, err)
	for i := range found {
		found[i].RecordedAt = found[i].RecordedAt.UTC()
	}
	slices.SortFunc(found, movement.compare)
	return found
}

// history is the ledger as it was without an archiver: what is archived, and what is left beside opening balances.
func history(t rapid.TB, pool *pgxpool.Pool) []movement {
	t.Helper()
	all := append(read(t, pool, fromArchive), read(t, pool, fromLedger+" where kind <> 'ledger.opened'")...)
	slices.SortFunc(all, movement.compare)
	return all
}

// checkBalance holds I4 against the ledger as a reader without an archive sees it.
func checkBalance(t rapid.TB, pool *pgxpool.Pool) {
	t.Helper()
	if n := testenv.Ask[int](t, pool, `
select count(*)
from stock s
full join (
  select tenant, sku, location, sum(delta) as total, max(version) as last, count(*) as n, min(version) as first,
         count(*) filter (where kind = 'ledger.opened') as openings,
         bool_or(kind = 'ledger.opened' and version > 1) as opened
  from movements
  group by 1, 2, 3
) m on m.tenant = s.tenant and m.sku = s.sku and m.location = s.location
where m.total is distinct from s.on_hand or m.last is distinct from s.version or m.last - m.first + 1 <> m.n
   or m.openings > 1 or (m.first > 1) <> m.opened`); n > 0 {
		t.Fatalf("%d rows of stock are not what their ledger says", n)
	}
}
