package inventory

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"onhand/inbox"
	"onhand/internal/testenv"
)

// bundles defines sku as one of each of parts.
func bundles(sku string, parts ...string) occurrence {
	o := defines(sku, Policy{})
	o.id = fmt.Sprint("bundle ", sku, parts)
	for _, p := range parts {
		o.Definition.Bundle = append(o.Definition.Bundle, Part{p, 1})
	}
	return o
}

// manyParts are as many as a bundle may have.
func manyParts() []string {
	parts := make([]string, maxParts)
	for i := range parts {
		parts[i] = fmt.Sprintf("part %02d", i)
	}
	return parts
}

func receives(skus ...string) (history []occurrence) {
	for _, sku := range skus {
		history = append(history, moves(Received, sku, "main", 100))
	}
	return history
}

func promises(reservation string, lines ...Line) occurrence {
	return occurrence{
		Event: &Event{Kind: Reserved, Reservation: reservation, Lines: lines}, id: "promise " + reservation,
		from: Partition{"inventory.events", 1},
	}
}

// runs commits a batch as the inbox does, and returns how many times it had to be run.
func runs(ctx context.Context, conn *pgx.Conn, h *Handler, is []*inbox.Item) (int, error) {
	for n := 1; ; n++ {
		if err := commitBatch(ctx, conn, h, is); !errors.Is(err, inbox.ErrRunAgain) || n == 10 {
			return n, err
		}
	}
}

// expectRuns is runs, and that nothing is rejected.
func expectRuns(t *testing.T, conn *pgx.Conn, h *Handler, want int, history ...occurrence) {
	t.Helper()
	is := items(history)
	n, err := runs(t.Context(), conn, h, is)
	must(t, err)
	for _, item := range is {
		if item.Rejected() != "" {
			t.Errorf("%s is rejected: %s", item.ID, item.Rejected())
		}
	}
	if n != want {
		t.Errorf("%s took %d runs, want %d", is[len(is)-1].ID, n, want)
	}
}

func expectOnHand(t *testing.T, conn *pgx.Conn, want map[string]int64) {
	t.Helper()
	rows, err := storedRows(t.Context(), conn, "")
	must(t, err)
	got := make(map[string]int64)
	for _, r := range rows {
		got[r.Key.sku] = r.OnHand
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("on hand %v, want %v", got, want)
	}
}

func TestABundleIsSoldInTheBatchThatDefinesIt(t *testing.T) {
	t.Parallel()
	conn := connect(t, testenv.Database(t))
	h := NewHandler(Config{})
	expectRuns(t, conn, h, 1, append(receives("A", "B", "C", "D"), bundles("kit", "A", "B"),
		moves(Sold, "kit", "main", 1), bundles("kit", "B", "C", "D"), moves(Sold, "kit", "main", 10))...)
	expectOnHand(t, conn, map[string]int64{"A": 99, "B": 89, "C": 90, "D": 90})

	// What was defined last is what is known, also to a batch that sells the bundle before it defines it again.
	expectRuns(t, conn, h, 1,
		moves(Sold, "kit", "main", 1), bundles("kit", "A"), moves(Sold, "kit", "main", 2), defines("kit", Policy{}),
		moves(Received, "kit", "main", 7))
	expectOnHand(t, conn, map[string]int64{"A": 97, "B": 88, "C": 89, "D": 89, "kit": 7})
}

func TestIDsAreDrawnForAllParts(t *testing.T) {
	t.Parallel()
	conn := connect(t, testenv.Database(t))
	parts := manyParts()
	commitHistory(t, conn, bundles("kit", parts...))
	commitHistory(t, conn, receives(parts...)...)
	h := NewHandler(Config{})
	history := []occurrence{
		promises("R", Line{"kit", "main", 5, AnyVersion}),
		{
			Event: &Event{Kind: Fulfilled, Reservation: "R"}, id: "fulfil", from: Partition{"inventory.events", 1},
		},
	}
	for i := range int64(12) { // more than the 1,000 ids of a block
		history = append(history, moves(Sold, "kit", "main", i+1))
	}
	// The rows of all parts are loaded for their own sake, so only the ids are missing in the first run.
	for _, p := range parts {
		history = append(history, moves(Received, p, "main", 1))
	}
	expectRuns(t, conn, h, 2, history...)
	var movements, messages int
	must(t, conn.QueryRow(t.Context(), `select count(*), count(distinct message_id) from movements`).
		Scan(&movements, &messages))
	if want := 100 + 14*100 + 100; movements != want || messages != want {
		t.Errorf("%d movements and %d messages, want %d", movements, messages, want)
	}
	expectRuns(t, conn, h, 1, moves(Sold, "kit", "main", 15), promises("S", Line{"kit", "main", 1, AnyVersion}))
}

// An event whose rows nobody could lock and write in time is refused by what it asks for, and not by how long it takes.
func TestAnEventOfTooManyPartsIsRejected(t *testing.T) {
	t.Parallel()
	conn := connect(t, testenv.Database(t))
	parts := manyParts()
	commitHistory(t, conn, bundles("kit", parts...))
	h := NewHandler(Config{})
	for _, tt := range []struct {
		lines int
		want  string
		rows  bool // of the parts are locked, the second time
	}{{100, insufficientStock, true}, {101, tooManyParts, false}, {maxLines, tooManyParts, false}} {
		sale := moves(Sold, "kit", "main", 1)
		sale.Lines = nil
		for i := range tt.lines {
			sale.Lines = append(sale.Lines, Line{"kit", fmt.Sprintf("shelf %03d", i), 1, AnyVersion})
		}
		for range 2 { // without a hint, and with it
			is := items([]occurrence{sale})
			_, err := runs(t.Context(), conn, h, is)
			must(t, err)
			if is[0].Rejected() != tt.want {
				t.Errorf("%d lines are rejected as %q, want %q", tt.lines, is[0].Rejected(), tt.want)
			}
		}
		if got := len(h.keys) > tt.lines; got != tt.rows {
			t.Errorf("%d lines need %d rows", tt.lines, len(h.keys))
		}
	}
}

func TestABundleWhosePartIsHeldIsBlocked(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, hold string
		blocked    []string
	}{
		{
			"a part", "select from stock where sku = 'A' and location = 'main' for update",
			[]string{"stock.sold kit main 1", "stock.returned kit main 1", "promise R", "stock.sold new main 1"},
		},
		{
			"a part that there is no stock of", "select from skus where sku = 'E' for update",
			[]string{"stock.sold other main 1"},
		},
		{
			"the bundle", "select from skus where sku = 'kit' for update",
			[]string{
				"stock.sold kit main 1", "stock.returned kit main 1", "promise R", "stock.sold kit north 1",
				"stock.counted kit main 1",
			},
		},
		{"nothing", "select", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, ctx, shared := newClients(t), t.Context(), &Hints{}
			history := append(receives("A", "B", "C"), defines("E", Policy{Allow, 0}), bundles("kit", "A", "B"),
				bundles("other", "C", "E"), moves(Received, "A", "north", 5), moves(Received, "B", "north", 5))
			must(t, commitBatch(ctx, c.one, NewHandler(Config{Hints: shared}), items(history)))
			c.hold(t, tt.hold)
			is := items([]occurrence{
				moves(Sold, "kit", "main", 1), moves(Returned, "kit", "main", 1),
				promises("R", Line{"kit", "main", 1, AnyVersion}), moves(Sold, "B", "main", 1),
				moves(Sold, "kit", "north", 1), moves(Counted, "kit", "main", 1), moves(Sold, "other", "main", 1),
				bundles("new", "A"), moves(Sold, "new", "main", 1),
			})
			b, err := begin(ctx, c.one, NewHandler(Config{Hints: shared}))
			must(t, err)
			t.Cleanup(func() { _ = b.tx.Rollback(context.Background()) })
			must(t, b.load(ctx, is, inbox.SkipLocked))
			must(t, b.applyAndCommit(ctx, expectBlocked(t, is, tt.blocked)))
		})
	}
}

func TestASaleThatWaitedForTheBundlesDefinitionMovesItsNewParts(t *testing.T) {
	t.Parallel()
	c, ctx := newClients(t), t.Context()
	commitHistory(t, c.one, append(receives("A", "B", "C"), bundles("kit", "A", "B"))...)
	definition, sale := items([]occurrence{bundles("kit", "A", "C")}), items([]occurrence{moves(Sold, "kit", "main", 3)})
	definer, seller := mustBegin(t, c.one), mustBegin(t, c.other)
	must(t, definer.load(ctx, definition, inbox.WaitForLocks))
	loaded := c.loadBlocked(t, seller, sale)
	must(t, definer.applyAndCommit(ctx, definition))
	must(t, loaded())
	if err := seller.applyAndCommit(ctx, sale); !errors.Is(err, inbox.ErrRunAgain) {
		t.Fatalf("got %v, want it to be run again", err)
	}
	must(t, seller.tx.Rollback(ctx))
	must(t, commitBatch(ctx, c.other, seller.h, sale))
	expectOnHand(t, c.eye, map[string]int64{"A": 97, "B": 100, "C": 97})
}

func TestADefinitionWaitsForTheSaleOfTheBundle(t *testing.T) {
	t.Parallel()
	c, ctx, shared := newClients(t), t.Context(), &Hints{}
	must(t, commitBatch(ctx, c.one, NewHandler(Config{Hints: shared}),
		items(append(receives("A", "B", "C"), bundles("kit", "A", "B")))))
	definition, sale := items([]occurrence{bundles("kit", "C")}), items([]occurrence{moves(Sold, "kit", "main", 3)})
	definer, seller := mustBegin(t, c.one), mustBegin(t, c.other)
	seller.h = NewHandler(Config{Hints: shared})
	must(t, seller.load(ctx, sale, inbox.WaitForLocks))
	loaded := c.loadBlocked(t, definer, definition)
	must(t, seller.applyAndCommit(ctx, sale))
	must(t, loaded())
	must(t, definer.applyAndCommit(ctx, definition))
	expectOnHand(t, c.eye, map[string]int64{"A": 97, "B": 97, "C": 100})
}

func TestNoRowIsMadeOfABundleAndNoBundleOfASKUWithARow(t *testing.T) {
	t.Parallel()
	plain, bundle := defines("kit", Policy{}), bundles("kit", "A")
	receipt := moves(Received, "kit", "main", 3)
	for _, tt := range []struct {
		name          string
		first, second occurrence
		reason        string
	}{
		{"a definition that waits for a receipt", receipt, bundle, hasStock},
		{"a receipt that waits for a definition", bundle, receipt, isBundle},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, ctx := newClients(t), t.Context()
			commitHistory(t, c.one, plain)
			first, second := items([]occurrence{tt.first}), items([]occurrence{tt.second})
			winner, loser := mustBegin(t, c.one), mustBegin(t, c.other)
			must(t, winner.load(ctx, first, inbox.WaitForLocks))
			loaded := c.loadBlocked(t, loser, second)
			must(t, winner.applyAndCommit(ctx, first))
			must(t, loaded())
			must(t, loser.applyAndCommit(ctx, second))
			if first[0].Rejected() != "" || second[0].Rejected() != tt.reason {
				t.Errorf("got %q and %q, want the first applied and the second %s", first[0].Rejected(),
					second[0].Rejected(), tt.reason)
			}
		})
	}
}

func TestBatchesThatSellBundlesOfTheSamePartsDoNotDeadlock(t *testing.T) {
	t.Parallel()
	url, shared := testenv.Database(t), &Hints{}
	first := connect(t, url)
	parts := []string{"b", "d", "f", "h"}
	commitHistory(t, first, receives(parts...)...)
	kits := []string{"a", "c", "e", "g", "i"} // before, amid and behind their parts in the order of the locks
	for _, kit := range kits {
		commitHistory(t, first, bundles(kit, parts...))
	}
	group, ctx := errgroup.WithContext(t.Context())
	for worker := range 4 {
		conn, h := connect(t, url), NewHandler(Config{Hints: shared})
		random := rand.New(rand.NewPCG(5, uint64(worker)))
		group.Go(func() error {
			for range 20 {
				var history []occurrence
				for range 8 {
					history = append(history, moves(Returned, kits[random.IntN(len(kits))], "main", 1),
						moves(Received, parts[random.IntN(len(parts))], "main", 1))
				}
				if _, err := runs(ctx, conn, h, items(history)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	var total int64
	must(t, first.QueryRow(t.Context(), "select sum(on_hand) from stock").Scan(&total))
	if want := int64(400 + 4*20*8*(len(parts)+1)); total != want {
		t.Errorf("%d on hand, want %d", total, want)
	}
}

func TestAQuantityOfPartsBeyond64BitsIsDecidedExactly(t *testing.T) {
	t.Parallel()
	full, limit := Stock{OnHand: math.MaxInt64, Version: 1}, Policy{Limit, math.MaxInt64}
	for _, tt := range []struct {
		name   string
		stock  Stock
		act    Act
		vast   uint64
		policy Policy
		want   string
	}{
		{"more than there is", full, Sell, 1 << 63, Policy{}, insufficientStock},
		{"no more than may be lacking, and still no int64", full, Sell, math.MaxUint64 - 1, limit, overflow},
		{"one more than may be lacking", full, Sell, math.MaxUint64, limit, insufficientStock},
		{"2^63, whose negative fits", full, Sell, 1 << 63, limit, ""},
		{"2^63 and one", full, Sell, 1<<63 + 1, Policy{Allow, 0}, overflow},
		{"a promise of 2^63", full, Reserve, 1 << 63, Policy{Allow, 0}, overflow},
		{"a promise of more than there is", full, Reserve, 1 << 63, Policy{}, insufficientStock},
		{"a return of 2^63", Stock{OnHand: 5, Version: 1}, Return, 1 << 63, Policy{Allow, 0}, overflow},
	} {
		tt.stock.Policy = tt.policy
		after, reason := Decide(tt.stock, Move{Act: tt.act, Quantity: int64(tt.vast), Vast: tt.vast, IfVersion: AnyVersion})
		if reason != tt.want || reason == "" && after.OnHand != -1 {
			t.Errorf("%s: %q, %d on hand, want %q", tt.name, reason, after.OnHand, tt.want)
		}
	}
}
