package inventory

import (
	"errors"
	"testing"

	"onhand/inbox"
)

// A batch asks which rows of stock there are, waits for one of them, and only then reads what was promised or sent.
// Meanwhile another batch may have made both the row and the promise: a row that is not there would count as empty.
func TestWhatSpeaksOfARowThatWasMadeSinceRunsAgain(t *testing.T) {
	t.Parallel()
	settle := func(kind Kind, lines ...Line) occurrence {
		return occurrence{
			Event: &Event{Kind: kind, Reservation: "R", Lines: lines}, id: kind.String(), from: Partition{"inventory.events", 1},
		}
	}
	promise := settle(Reserved, Line{"S", "main", 2, AnyVersion})
	promise.id = "promise"
	dispatch := occurrence{
		Event: &Event{Kind: Transferred, Transfer: "T", To: "main", Lines: []Line{{"S", "north", 2, AnyVersion}}},
		id:    "dispatch", from: Partition{"inventory.events", 1},
	}
	receipt := occurrence{
		Event: &Event{Kind: TransferReceived, Transfer: "T"}, id: "receipt", from: Partition{"inventory.events", 1},
	}
	for name, tt := range map[string]struct {
		made, decided []occurrence
		want          Stock // of S at main
	}{
		"a fulfilment that names its lines": {
			[]occurrence{moves(Received, "S", "main", 5), promise},
			[]occurrence{settle(Fulfilled, Line{"S", "main", 2, AnyVersion})},
			Stock{OnHand: 3, Version: 3},
		},
		"a fulfilment of all, with a receipt that names the row": {
			[]occurrence{moves(Received, "S", "main", 5), promise},
			[]occurrence{moves(Received, "S", "main", 1), settle(Fulfilled)},
			Stock{OnHand: 4, Version: 4},
		},
		"a fulfilment of all": {
			[]occurrence{moves(Received, "S", "main", 5), promise},
			[]occurrence{settle(Fulfilled)},
			Stock{OnHand: 3, Version: 3},
		},
		"a release that names its lines": {
			[]occurrence{moves(Received, "S", "main", 5), promise},
			[]occurrence{settle(Released, Line{"S", "main", 1, AnyVersion})},
			Stock{OnHand: 5, Reserved: 1, Version: 3},
		},
		"a reservation that is made once more": {
			[]occurrence{moves(Received, "S", "main", 5), promise},
			[]occurrence{settle(Reserved, Line{"S", "main", 2, 2})},
			Stock{OnHand: 5, Reserved: 2, Version: 2},
		},
		"the arrival of a transfer, with a receipt that names the row": {
			[]occurrence{moves(Received, "S", "north", 5), dispatch},
			[]occurrence{moves(Received, "S", "main", 1), receipt},
			Stock{OnHand: 3, Version: 3},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, ctx := newClients(t), t.Context()
			commitHistory(t, c.one, moves(Received, "Z", "main", 5))
			holder := c.hold(t, "select from stock where sku = 'Z' for update")
			is := items(append(tt.decided, moves(Sold, "Z", "main", 1)))
			b := mustBegin(t, c.one)
			loaded := c.loadBlocked(t, b, is)
			commitHistory(t, c.eye, tt.made...)
			must(t, holder.Commit(ctx))
			must(t, loaded())
			if err := b.applyAndCommit(ctx, is); !errors.Is(err, inbox.ErrRunAgain) {
				t.Fatalf("the batch got %v, want to run again", err)
			}

			must(t, b.tx.Rollback(ctx))
			must(t, commitBatch(ctx, c.one, b.h, is))
			for _, item := range is {
				if item.Rejected() != "" {
					t.Errorf("%s is rejected: %s", item.ID, item.Rejected())
				}
			}
			var got Stock
			must(t, c.eye.QueryRow(ctx, `
select on_hand, reserved, in_transit, version from stock where sku = 'S' and location = 'main'`).Scan(
				&got.OnHand, &got.Reserved, &got.InTransit, &got.Version))
			if got != tt.want {
				t.Errorf("S at main has %+v, want %+v", got, tt.want)
			}
		})
	}
}
