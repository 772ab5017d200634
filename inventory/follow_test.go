package inventory

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"onhand/inbox"
)

// following is a batch that is loaded and applied, and not committed.
func following(t *testing.T, conn *pgx.Conn, ahead *batch, is []*inbox.Item) *batch {
	t.Helper()
	b := mustBegin(t, conn)
	for range b.h.Want(is) { // as the inbox does
	}
	if ahead != nil {
		p := ahead.h.Decided()
		if p == nil || !b.h.Follow(p, false) {
			t.Fatal("the batch cannot follow")
		}
	}
	must(t, b.load(t.Context(), is, inbox.WaitForLocks))
	must(t, b.apply(t.Context(), is))
	return b
}

func (b *batch) confirm(ctx context.Context) error {
	q := &pgx.Batch{}
	b.h.Confirm(q)
	if q.Len() == 0 {
		return nil
	}
	return b.tx.SendBatch(ctx, q).Close()
}

// What is confirmed is what was promised, whatever another client has made of it.
func TestAPromiseThatIsNotKeptIsSeen(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		between string
		code    string
	}{
		"nothing happens":       {"select", ""},
		"a movement":            {"update stock set version = version + 1, on_hand = on_hand + 1 where sku = 'X'", "22012"},
		"another policy":        {"update stock set backorder = 'allow' where sku = 'X'", "22012"},
		"another limit":         {"update stock set backorder = 'limit', backorder_limit = 7 where sku = 'X'", "22012"},
		"a threshold":           {"update stock set low_stock = 3 where sku = 'X'", "22012"},
		"of a row that is read": {"update stock set low_stock = 3 where sku = 'R'", "22012"},
		"a row that is gone":    {"delete from stock where sku = 'R'", "22012"},
		"the row moved about":   {"update stock set updated_at = now() where sku = 'X'", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cs := newClients(t)
			commitHistory(t, cs.one, moves(Received, "X", "main", 5), moves(Received, "R", "main", 1))
			ahead := following(t, cs.one, nil, items([]occurrence{moves(Sold, "X", "main", 1), moves(Sold, "R", "main", 9)}))
			b := following(t, cs.other, ahead, items([]occurrence{
				moves(Sold, "X", "main", 2), moves(Sold, "R", "main", 8), moves(Sold, "Y", "main", 1),
			}))
			must(t, ahead.tx.Commit(t.Context()))
			_, err := cs.eye.Exec(t.Context(), c.between)
			must(t, err)
			err = b.confirm(t.Context())
			code := ""
			var pg *pgconn.PgError
			if errors.As(err, &pg) {
				code = pg.Code
			} else if err != nil {
				t.Fatal(err)
			}
			if code != c.code {
				t.Fatalf("confirm: %v, want code %q", err, c.code)
			}
			if code == "" {
				must(t, b.tx.Commit(t.Context()))
				var onHand, version int64
				must(t, cs.eye.QueryRow(t.Context(), "select on_hand, version from stock where sku = 'X'").Scan(&onHand, &version))
				if onHand != 2 || version != 3 {
					t.Errorf("%d on hand, version %d", onHand, version)
				}
			}
		})
	}
}

func TestABatchThatCreatesASKUPromisesNothing(t *testing.T) {
	t.Parallel()
	cs := newClients(t)
	b := following(t, cs.one, nil, items([]occurrence{moves(Received, "new", "main", 1)}))
	if b.h.Decided() != nil {
		t.Error("who follows would not see the SKU")
	}
}
