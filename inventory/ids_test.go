package inventory

import (
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"onhand/inbox"
	"onhand/internal/testenv"
)

// long is an event of so many lines, each of another SKU.
func long(kind Kind, id string, lines int) occurrence {
	e := &Event{Kind: kind}
	for i := range lines {
		e.Lines = append(e.Lines, Line{fmt.Sprintf("SKU-%04d", i), "main", 1, AnyVersion})
	}
	return occurrence{Event: e, id: id, from: Partition{"inventory.events", 1}}
}

func ofReservation(o occurrence, id string) occurrence {
	o.Reservation = id
	return o
}

func ofTransfer(o occurrence, id, to string) occurrence {
	o.Transfer, o.To = id, to
	return o
}

// Ids are drawn in blocks before it is known what is decided: each batch here moves more rows than the lines that it
// names would have it draw.
func TestABatchHasAnIDForEachMovementThatItMakes(t *testing.T) {
	t.Parallel()
	const lines = 600 // a block has 1,000 ids
	for name, tt := range map[string]struct{ before, batch []occurrence }{
		"reservations that are stored": {
			[]occurrence{
				ofReservation(long(Reserved, "reserve 1", lines), "1"), ofReservation(long(Reserved, "reserve 2", lines), "2"),
			},
			[]occurrence{
				ofReservation(long(Fulfilled, "fulfil 1", 0), "1"), ofReservation(long(Released, "release 2", 0), "2"),
			},
		},
		"a reservation that is made and fulfilled": {nil, []occurrence{
			ofReservation(long(Reserved, "reserve", lines), "1"), ofReservation(long(Fulfilled, "fulfil", 0), "1"),
		}},
		"goods that were sent": {
			[]occurrence{
				ofTransfer(long(Transferred, "send 1", lines), "1", "north"),
				ofTransfer(long(Transferred, "send 2", lines), "2", "north"),
			},
			[]occurrence{
				ofTransfer(long(TransferReceived, "receive 1", 0), "1", ""),
				ofTransfer(long(TransferReceived, "receive 2", 0), "2", ""),
			},
		},
		"goods that are sent": {nil, []occurrence{ofTransfer(long(Transferred, "send", lines), "", "north")}},
		"goods that are sent and come in": {nil, []occurrence{
			ofTransfer(long(Transferred, "send", lines+100), "1", "north"),
			ofTransfer(long(TransferReceived, "receive", 0), "1", ""),
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := connect(t, testenv.Database(t))
			full := long(Received, "receive", lines+100)
			for i := range full.Lines {
				full.Lines[i].Quantity = 10
			}
			commitHistory(t, conn, full)
			if tt.before != nil {
				commitHistory(t, conn, tt.before...)
			}
			commitHistory(t, conn, tt.batch...)
			var movements, ids int
			must(t, conn.QueryRow(t.Context(), `select count(*), count(distinct message_id) from movements`).Scan(
				&movements, &ids))
			if movements <= 2*lines || ids != movements {
				t.Errorf("%d movements have %d ids", movements, ids)
			}
		})
	}
}

// That it happens is a bug; it must not be one that gives an id to two messages.
func TestABatchWithTooFewIDsWritesNothing(t *testing.T) {
	t.Parallel()
	b := mustBegin(t, connect(t, testenv.Database(t)))
	is := items([]occurrence{moves(Received, "A", "main", 5), long(Received, "long", 3)})
	must(t, b.load(t.Context(), is, inbox.WaitForLocks))
	b.h.ids = b.h.ids[:3]
	q := &pgx.Batch{}
	if err := b.h.Apply(q, is); !errors.Is(err, errFewIDs) {
		t.Errorf("four movements with three ids got %v, want %v", err, errFewIDs)
	}
	if q.Len() > 0 {
		t.Errorf("%d statements are sent all the same", q.Len())
	}
}
