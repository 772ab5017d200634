package verify_test

import (
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"onhand/internal/ledger"
	"onhand/internal/testenv"
	"onhand/internal/verify"
)

// archiveBooks is writeBooks, and then an archiver: A has an opening balance of 5 for versions 1 to 3, and version 4.
func (s *shop) archiveBooks(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	s.writeBooks(t, pool)
	result, err := ledger.New(ledger.Config{Pool: pool}).Run(t.Context())
	if err != nil || result.Archived != 3 {
		t.Fatalf("%+v, %v", result, err)
	}
}

// emptyArchive is archiveBooks, and then an operator who needs the space.
func (s *shop) emptyArchive(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	s.archiveBooks(t, pool)
	testenv.EmptyArchive(t, pool, "true")
}

func TestArchivedBooksAreRight(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	pool := s.keepBooks(t)
	expectLedger := func(want verify.Ledger) {
		t.Helper()
		report := s.verify(t, pool)
		expect(t, report, verify.OK)
		if report.Ledger != want {
			t.Errorf("the ledger counts %+v, want %+v", report.Ledger, want)
		}
	}
	s.archiveBooks(t, pool)
	expectLedger(verify.Ledger{Stock: 2, Movements: 2, Messages: 5, Opened: 1, Archived: 3})
	testenv.EmptyArchive(t, pool, "version = 2")
	expectLedger(verify.Ledger{Stock: 2, Movements: 2, Messages: 4, Opened: 1, Archived: 2, Removed: 1})
	testenv.EmptyArchive(t, pool, "true")
	expectLedger(verify.Ledger{Stock: 2, Movements: 2, Messages: 2, Opened: 1, Removed: 3})
}

var archiveCorruptions = []corruption{
	{
		"an opening balance that is wrong", `update movements set delta = 6, on_hand = 6 where kind = 'ledger.opened'`,
		"I4", "version 4", "on hand 0",
	},
	{
		"an opening balance that its movements do not come to",
		`update movements set delta = 6, on_hand = 6 where kind = 'ledger.opened'`,
		"I4", "movements_archive 'A'", "on hand 6",
	},
	{
		"an opening balance that does not open with it", `update movements set delta = 6 where kind = 'ledger.opened'`,
		"I4", "version 3", "delta 5",
	},
	{
		"a gap behind an opening balance", `update movements set version = 5 where sku = 'A' and version = 4`,
		"I4", "version 5", "version 4",
	},
	{
		"two opening balances",
		`insert into movements (tenant, sku, location, version, delta, on_hand, kind, event_id, event_source)
		 values ('', 'A', 'main', 2, 7, 7, 'ledger.opened', '', 'onhand:ledger')`,
		"I4", "version 3", "amid",
	},
	{
		"an opening balance for more than there was", `update movements set version = 7 where kind = 'ledger.opened'`,
		"I4", "stock 'A'", "version 8",
	},
	{
		"an opening balance for less than there was", `update movements set version = 2 where kind = 'ledger.opened'`,
		"I4", "version 3", "no opening balance stands for it",
	},
	{
		"an opening balance that is gone", `delete from movements where kind = 'ledger.opened'`,
		"I4", "version 4", "version 1",
	},
	{
		"an opening balance of an event", `update movements set event_id = 'e6' where kind = 'ledger.opened'`,
		"I4", "version 3", "of no event",
	},
	{
		"a movement from the ledger's own source", `update movements set event_source = 'onhand:ledger' where sku = 'B'`,
		"I4", "'B'", "of no event",
	},
	{
		"a movement that calls itself an opening balance",
		`update movements set kind = 'ledger.opened' where sku = 'A' and version = 4`, "I4", "version 4", "amid",
	},

	// the archive
	{
		"an archived movement of another quantity", `update movements_archive set delta = delta + 1 where version = 2`,
		"I1", "offset 1", "-2 to 7",
	},
	{
		"an archived running sum", `update movements_archive set on_hand = 8 where version = 2`,
		"I4", "movements_archive 'A' at 'main' of tenant '', version 2", "on hand 7",
	},
	{
		"an archived movement of nobody", `update movements_archive set event_id = 'x' where version = 2`,
		"I3", "version 2", "no inbox row",
	},
	{
		"a movement in both", `insert into movements_archive select * from movements where version = 4`,
		"I4", "version 4", "no opening balance stands for it",
	},
	{
		"a movement in both, twice its effect", `insert into movements_archive select * from movements where version = 4`,
		"I1", "offset 11", "2 movements",
	},
	{
		"an archived movement of a SKU that has no opening balance",
		`update movements_archive set sku = 'B' where version = 1`,
		"I4", "'B'", "no opening balance",
	},
	{
		"an opening balance in the archive", `update movements_archive set kind = 'ledger.opened' where version = 3`,
		"I4", "version 3", "movements alone",
	},
	{
		"a message of an archived movement that is gone",
		`update movements_archive set message_id = null where event_id = 'e2'`, "I6", "version 2", "no message",
	},
}

func TestOneRowOfArchivedBooksChangedByHandIsFound(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	s.findAll(t, archiveCorruptions, s.archiveBooks)
}

var removedCorruptions = []corruption{
	{
		"an opening balance that is wrong", `update movements set delta = 6, on_hand = 6 where kind = 'ledger.opened'`,
		"I4", "version 4", "on hand 0",
	},
	{
		"an event too many without a movement", `delete from movements where sku = 'A' and version = 4`,
		"I1", "movements_archive", "4 movements of applied events",
	},
	{
		"an event without a movement, of a SKU that has no opening balance", `delete from movements where sku = 'B'`,
		"I1", "/1 offset 0", "no opening balance",
	},
	{
		"a movement of another event, of a SKU that has no opening balance",
		`update movements set event_id = 'x' where sku = 'B'`, "I1", "/1 offset 0", "no opening balance",
	},
	{
		"an event of a version that the opening balance does not stand for",
		`update movements set version = 2 where kind = 'ledger.opened'`, "I1", "offset 9", "version 3",
	},
	{
		"an event without a movement whose version the archive has",
		`insert into movements_archive (tenant, sku, location, version, delta, on_hand, kind, event_id, event_source,
		 message_id, recorded_at, traceparent)
		 values ('', 'A', 'main', 3, -2, 5, 'stock.counted', 'x', '', nextval('outbox_id'), now(), '')`,
		"I1", "offset 9", "no opening balance",
	},
	{
		"a rejected event said to be applied",
		`update inbox set outcome = 'applied', reason = null where event_id = 'e3'`,
		"I1", "movements_archive", "4 movements of applied events",
	},
	{
		"a message of a movement that is gone", `update movements set message_id = null where event_id = 'e8'`,
		"I6", "version 4", "no message",
	},
}

func TestOneRowChangedByHandIsFoundThoughTheArchiveIsEmpty(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	s.findAll(t, removedCorruptions, s.emptyArchive)
}
