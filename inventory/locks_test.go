package inventory

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"

	"onhand/inbox"
	"onhand/internal/testenv"
)

const patience = 20 * time.Second

// clients are connections to one fresh database; eye only looks.
type clients struct {
	one, other, eye *pgx.Conn
}

func newClients(t *testing.T) clients {
	t.Helper()
	url := testenv.Database(t)
	return clients{connect(t, url), connect(t, url), connect(t, url)}
}

// hold has the other client lock what sql locks, until the transaction or the test ends.
func (c clients) hold(t *testing.T, sql string) pgx.Tx {
	t.Helper()
	tx, err := c.other.Begin(t.Context())
	must(t, err)
	t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	_, err = tx.Exec(t.Context(), sql)
	must(t, err)
	return tx
}

// loadBlocked starts Load on conn and returns when another client's lock holds it up; loaded waits for its end.
func (c clients) loadBlocked(t *testing.T, b *batch, is []*inbox.Item) (loaded func() error) {
	t.Helper()
	return c.blocked(t, b, func() error { return b.load(t.Context(), is, inbox.WaitForLocks) })
}

// blocked starts load, which is a part of b, and returns when another client's lock holds it up.
func (c clients) blocked(t *testing.T, b *batch, load func() error) (loaded func() error) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- load() }()
	pid := b.tx.Conn().PgConn().PID()
	testenv.Eventually(t, patience, "Load waits for a lock", func() bool {
		var waits bool
		err := c.eye.QueryRow(t.Context(), "select cardinality(pg_blocking_pids($1)) > 0", pid).Scan(&waits)
		return err == nil && waits
	})
	return func() error { return <-done }
}

func mustBegin(t *testing.T, conn *pgx.Conn) *batch {
	t.Helper()
	b, err := begin(t.Context(), conn, NewHandler(Config{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.tx.Rollback(context.Background()) })
	return b
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (b *batch) applyAndCommit(ctx context.Context, is []*inbox.Item) error {
	if err := b.apply(ctx, is); err != nil {
		return err
	}
	return b.tx.Commit(ctx)
}

func isUniqueViolation(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && pgErr.Code == "23505"
}

func TestABatchThatWaitedDecidesOnWhatTheOtherClientCommitted(t *testing.T) {
	t.Parallel()
	// The row that is waited for is read by the one statement or by the other, and they must not differ.
	for name, more := range map[string][]occurrence{
		"keys alone":       nil,
		"with definitions": {defines("S", Policy{}), defines("T", Policy{})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, ctx := newClients(t), t.Context()
			commitHistory(t, c.one, moves(Received, "S", "main", 10))
			tx := c.hold(t, `
update stock
set on_hand = 3, version = 2, backorder = 'limit', backorder_limit = 1, last_topic = 'x', last_partition = 9`)

			sale := moves(Sold, "S", "main", 4)
			sale.Lines[0].IfVersion = 2
			is := items(append([]occurrence{sale, moves(Sold, "S", "main", 1)}, more...))
			b := mustBegin(t, c.one)
			loaded := c.loadBlocked(t, b, is)
			must(t, tx.Commit(ctx))
			must(t, loaded())
			must(t, b.applyAndCommit(ctx, is[:2]))
			if is[0].Rejected() != "" || is[1].Rejected() != insufficientStock {
				t.Errorf("got %q and %q, want the first applied and the second insufficient_stock",
					is[0].Rejected(), is[1].Rejected())
			}
			rows, err := storedRows(ctx, c.eye, "")
			if len(rows) > 0 && rows[0].OnHand != -1 || err != nil {
				t.Errorf("rows %+v, %v", rows, err)
			}
		})
	}
}

func TestOnlyItemsThatNeedAHeldRowAreBlocked(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		hold    string
		blocked []string
	}{
		{
			"a row of stock", "select from stock where sku = 'S' and location = 'main' for update",
			[]string{"stock.sold S main 1", "define Slimit"},
		},
		{
			"another row of the SKU", "select from stock where sku = 'S' and location = 'north' for no key update",
			[]string{"define Slimit"},
		},
		{
			"a SKU", "select from skus where sku = 'S' for update",
			[]string{"stock.received S south 1", "define Slimit"},
		},
		{
			"a SKU that gets a new row and is not defined", "select from skus where sku = 'T' for update",
			[]string{"stock.received T south 1", "stock.received T west 1"},
		},
		{"nothing", "select", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, ctx := newClients(t), t.Context()
			commitHistory(t, c.one,
				moves(Received, "S", "main", 5), moves(Received, "S", "north", 5), moves(Received, "T", "main", 5))
			c.hold(t, tt.hold)
			is := items([]occurrence{
				moves(Sold, "S", "main", 1), moves(Sold, "T", "main", 1), moves(Received, "S", "south", 1),
				moves(Received, "T", "south", 1), moves(Received, "T", "west", 1), moves(Received, "U", "main", 1),
				defines("S", Policy{Limit, 3}), defines("V", Policy{Allow, 0}),
			})
			b := mustBegin(t, c.one)
			must(t, b.load(ctx, is, inbox.SkipLocked))
			fresh := expectBlocked(t, is, tt.blocked)
			must(t, b.applyAndCommit(ctx, fresh))
			for _, item := range fresh {
				if item.Rejected() != "" {
					t.Errorf("%s is rejected: %s", item.ID, item.Rejected())
				}
			}
		})
	}
}

// expectBlocked compares which items are blocked, and returns the others.
func expectBlocked(t *testing.T, is []*inbox.Item, want []string) (fresh []*inbox.Item) {
	t.Helper()
	var blocked []string
	for _, item := range is {
		if item.Blocked {
			blocked = append(blocked, item.ID)
		} else {
			fresh = append(fresh, item)
		}
	}
	if !slices.Equal(blocked, want) {
		t.Errorf("blocked are %q, want %q", blocked, want)
	}
	return fresh
}

func TestItemsBlockedOnceAreNotBlockedForEver(t *testing.T) {
	t.Parallel()
	c, ctx := newClients(t), t.Context()
	is := items([]occurrence{moves(Received, "S", "main", 5)})
	is[0].Blocked = true
	b := mustBegin(t, c.one)
	must(t, b.load(ctx, is, inbox.WaitForLocks))
	if is[0].Blocked {
		t.Error("blocked, although nothing is held")
	}
}

func TestARowInTheMakingWaitsForItsSKUsNewPolicy(t *testing.T) {
	t.Parallel()
	c, ctx := newClients(t), t.Context()
	commitHistory(t, c.one, defines("S", Policy{}))

	definition := items([]occurrence{defines("S", Policy{Allow, 0})})
	sale := items([]occurrence{moves(Sold, "S", "main", 3)})
	definer, seller := mustBegin(t, c.one), mustBegin(t, c.other)
	must(t, definer.load(ctx, definition, inbox.WaitForLocks))
	loaded := c.loadBlocked(t, seller, sale)
	must(t, definer.applyAndCommit(ctx, definition))
	must(t, loaded())
	must(t, seller.applyAndCommit(ctx, sale))
	want := []storedRow{{stockKey{"", "S", "main"}, -3, 1, Policy{Allow, 0}, Partition{"inventory.events", 1}, 0}}
	if rows, err := storedRows(ctx, c.eye, ""); err != nil || !slices.Equal(rows, want) {
		t.Errorf("rows %+v, %v, want %+v", rows, err, want)
	}
}

func TestADefinitionSeesTheRowsThatWereInTheMaking(t *testing.T) {
	t.Parallel()
	c, ctx := newClients(t), t.Context()
	commitHistory(t, c.one, defines("S", Policy{Allow, 0}))

	definition := items([]occurrence{defines("S", Policy{})})
	sale := items([]occurrence{moves(Sold, "S", "main", 3)})
	definer, seller := mustBegin(t, c.one), mustBegin(t, c.other)
	must(t, seller.load(ctx, sale, inbox.WaitForLocks))
	loaded := c.loadBlocked(t, definer, definition)
	must(t, seller.applyAndCommit(ctx, sale))
	must(t, loaded())
	must(t, definer.applyAndCommit(ctx, definition))
	if got := definition[0].Rejected(); got != policyConflict {
		t.Errorf("denying backorder with -3 on hand is %q, want %q", got, policyConflict)
	}
}

func TestTwoBatchesThatCreateTheSameRowDoNotBothSucceed(t *testing.T) {
	t.Parallel()
	receipt, definition := moves(Received, "S", "main", 3), defines("S", Policy{Limit, 2})
	north := moves(Received, "S", "north", 1)
	for _, tt := range []struct {
		name          string
		first, second occurrence
		want          map[string]int64
	}{
		{"one stock row", receipt, receipt, map[string]int64{"main": 6}},
		{"two stock rows of one new SKU", receipt, north, map[string]int64{"main": 3, "north": 1}},
		{"a definition, then a receipt", definition, receipt, map[string]int64{"main": 3}},
		{"a receipt, then a definition", receipt, definition, map[string]int64{"main": 3}},
		{"two definitions", definition, definition, map[string]int64{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, ctx := newClients(t), t.Context()
			first, second := items([]occurrence{tt.first}), items([]occurrence{tt.second})
			winner, loser := mustBegin(t, c.one), mustBegin(t, c.other)
			must(t, winner.load(ctx, first, inbox.WaitForLocks))
			must(t, loser.load(ctx, second, inbox.WaitForLocks))
			must(t, winner.applyAndCommit(ctx, first))
			if err := loser.applyAndCommit(ctx, second); !isUniqueViolation(err) {
				t.Fatalf("the second got %v, want a unique violation", err)
			}
			must(t, loser.tx.Rollback(ctx))
			must(t, commitBatch(ctx, c.other, NewHandler(Config{}), second))

			rows, err := storedRows(ctx, c.eye, "")
			must(t, err)
			got := make(map[string]int64)
			for _, r := range rows {
				got[r.Key.location] = r.OnHand
			}
			if fmt.Sprint(got) != fmt.Sprint(tt.want) {
				t.Errorf("on hand %v, want %v", got, tt.want)
			}
		})
	}
}

func TestBatchesThatShareRowsDoNotDeadlock(t *testing.T) {
	t.Parallel()
	url := testenv.Database(t)
	first := connect(t, url)
	skus, locations := []string{"a", "B", "é", "z", "_"}, []string{"main", "Main", "north"}
	for _, sku := range skus {
		for _, location := range locations {
			commitHistory(t, first, moves(Received, sku, location, 1_000_000))
		}
	}
	group, ctx := errgroup.WithContext(t.Context())
	for worker := range 4 {
		conn := connect(t, url)
		random := rand.New(rand.NewPCG(7, uint64(worker)))
		group.Go(func() error {
			for range 25 {
				is := items(shuffled(random, skus, locations))
				if err := commitBatch(ctx, conn, NewHandler(Config{}), is); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	var wrong int
	err := first.QueryRow(t.Context(), `
select count(*)
from stock s
join lateral (
  select sum(delta) as total, max(version) as last, count(*) as n
  from movements m where m.tenant = s.tenant and m.sku = s.sku and m.location = s.location) m on true
where m.total <> s.on_hand or m.last <> s.version or m.n <> s.version`).Scan(&wrong)
	if err != nil || wrong > 0 {
		t.Errorf("%d rows differ from their ledger, %v", wrong, err)
	}
}

// shuffled is a batch on many of the rows, in no order, with a definition now and then.
func shuffled(random *rand.Rand, skus, locations []string) []occurrence {
	var history []occurrence
	for range 12 {
		sku, location := skus[random.IntN(len(skus))], locations[random.IntN(len(locations))]
		if random.IntN(12) == 0 {
			history = append(history, defines(sku, Policy{Limit, random.Int64N(5)}))
			continue
		}
		history = append(history, moves(Adjusted, sku, location, random.Int64N(9)-10))
	}
	return history
}
