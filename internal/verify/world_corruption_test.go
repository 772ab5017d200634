package verify

import (
	"strings"
	"testing"

	"onhand/internal/testenv"
)

// Each is one row changed by hand, and a difference that must be among those found for it.
var worldCorruptions = []struct {
	name, sql, invariant, place, says string
}{
	// events of several lines
	{
		"a line of another quantity", `update movements set delta = 6 where event_id = 'e1' and sku = 'B'`,
		"I1", "offset 1", `stock.received of 5, of "B" at "main"`,
	},
	{
		"a line that moved nothing", `delete from movements where event_id = 'e1' and sku = 'B'`,
		"I1", "offset 1", "no movement of that",
	},
	{
		"a line that moved another place",
		`update movements set location = 'north', version = 5 where event_id = 'e1' and sku = 'A'`,
		"I1", "offset 1", `no other movement of "A" at "north"`,
	},
	{
		"a line under another kind", `update movements set kind = 'stock.returned' where event_id = 'e1' and sku = 'B'`,
		"I1", "offset 1", "stock.returned",
	},
	{
		"a line too many",
		`insert into movements (tenant, sku, location, version, delta, on_hand, kind, event_id, event_source, message_id)
		 values ('', 'B', 'north', 3, 1, 1, 'stock.received', 'e1', '', 4000)`,
		"I1", "offset 1", `no other movement of "B" at "north"`,
	},
	{
		"a line twice",
		`insert into movements (tenant, sku, location, version, delta, on_hand, kind, event_id, event_source, message_id)
		 values ('', 'B', 'main', 8, 5, 8, 'stock.received', 'e1', '', 4000)`,
		"I1", "offset 1", `no other movement of "B" at "main"`,
	},
	{
		"a line against its condition", `update movements set version = 8 where event_id = 'e14' and sku = 'B'`,
		"I1", "offset 14", "version 7",
	},
	{
		"an extension that moved something", `update movements set event_id = 'e11' where event_id = 'e10'`,
		"I1", "offset 11", "no movement",
	},
	{
		"a refusal that moved two rows",
		`update inbox set outcome = 'rejected', reason = 'x' where event_id = 'e14'`, "I1", "offset 14", "2 movements",
	},

	// what each kind changes beside on hand: by the event, and by the kind alone
	{
		"a promise of another quantity", `update movements set reserved = 5 where event_id = 'e2' and sku = 'A'`,
		"I1", "offset 2", "reserved +5",
	},
	{
		"a promise of nothing", `update movements set reserved = 0 where event_id = 'e2' and sku = 'B'`,
		"I4", "'B' at 'main' of tenant '', version 2", "reserved by 0 to 0",
	},
	{
		"a promise that took from the shelf", `update movements set delta = -1 where event_id = 'e10'`,
		"I4", "version 9", "on hand by -1",
	},
	{
		"a sale that touched a promise", `update movements set reserved = 1 where event_id = 'e1' and sku = 'A'`,
		"I4", "'A' at 'main' of tenant '', version 1", "a change that stock.received makes",
	},
	{
		"a release that promised more", `update movements set reserved = 6 where event_id = 'e3'`,
		"I4", "version 3", "reserved by 2 to 6",
	},
	{
		"a release of another quantity", `update movements set reserved = 2 where event_id = 'e3'`,
		"I1", "offset 3", "reserved -2",
	},
	{
		"a fulfilment that kept its promise open", `update movements set reserved = 1 where event_id = 'e4' and sku = 'A'`,
		"I4", "version 4", "on hand by -3, reserved by -2",
	},
	{
		"a fulfilment without an effect", `update movements set event_id = 'e3' where event_id = 'e4'`,
		"I1", "offset 4", "no movement",
	},
	{
		"a fulfilment of another kind", `update movements set kind = 'stock.released' where event_id = 'e4' and sku = 'B'`,
		"I1", "offset 4", `stock.fulfilled, of "B" at "main"`,
	},
	{
		"returned goods that can be sold", `update movements set delta = 2, damaged = 0 where event_id = 'e7'`,
		"I1", "offset 7", "stock.returned of 2 damaged",
	},
	{
		"damaged goods of another quantity", `update movements set damaged = 3 where event_id = 'e7'`,
		"I1", "offset 7", "damaged +3",
	},
	{
		"a count of damaged goods that counted others", `update movements set damaged = 2 where event_id = 'e8'`,
		"I1", "offset 8", "stock.counted of 1 damaged",
	},
	{
		"a return of what can be sold and of what cannot", `update movements set delta = 1 where event_id = 'e7'`,
		"I4", "version 6", "on hand by 1, reserved by 0 to 0, damaged by 2 to 2",
	},
	{
		"less than nothing damaged", `update movements set damaged = -1 where event_id = 'e8'`,
		"I4", "version 7", "damaged by -3 to -1",
	},
	{
		"a kind that there is not", `update movements set kind = 'stock.eaten' where event_id = 'e10'`,
		"I4", "version 9", "stock.eaten",
	},

	// stock beside on hand
	{
		"more reserved than the ledger says", `update stock set reserved = 2 where reserved = 1`,
		"I4", "stock 'A'", "reserved 2",
	},
	{"nothing damaged", `update stock set damaged = 0 where damaged = 1`, "I4", "stock 'A'", "damaged 0"},
	{"nothing in transit", `update stock set in_transit = 0 where in_transit = 1`, "I4", "stock 'A'", "in transit 0"},

	// reservations
	{
		"a reservation that holds more", `update reservations set quantities = '{2}' where state = 'open'`,
		"I4", "stock 'A' at 'main'", "reserved 2, by open reservations",
	},
	{
		"a reservation that holds less than nothing",
		`update reservations set skus = '{A,A}', locations = '{main,main}', quantities = '{2,-1}' where state = 'open'`,
		"I4", "stock 'A' at 'main'", "one holds -1",
	},
	{
		"a reservation of what there is not", `update reservations set locations = '{east}' where state = 'open'`,
		"I4", "stock 'A' at 'east'", "no row",
	},
	{"a reservation that is gone", `delete from reservations where reservation = 'R2'`, "I1", "offset 10", "no row"},
	{
		"a reservation that is gone, of stock", `delete from reservations where reservation = 'R2'`,
		"I4", "stock 'A' at 'main'", "reserved 0, by open",
	},
	{
		"a reservation that another event made", `update reservations set event_id = 'e1' where reservation = 'R2'`,
		"I1", "offset 10", `made by event "e1"`,
	},
	{
		"a reservation that nobody made", `update reservations set event_id = 'x' where reservation = 'R1'`,
		"I3", "reservation 'R1'", "no inbox row",
	},
	{
		"a reservation that a refused event made", `update reservations set event_id = 'e16' where reservation = 'R1'`,
		"I3", "reservation 'R1'", "rejected",
	},
	{
		"a reservation that is open still",
		`update reservations set state = 'open', skus = '{A}', locations = '{main}', quantities = '{1}'
		 where reservation = 'R1'`,
		"I1", "offset 4", `"R1" closed`,
	},

	// what lapsed
	{
		"a lapse that the reservation denies", `update reservations set state = 'released' where reservation = 'R3'`,
		"I4", "reservations 'R3'", "released",
	},
	{
		"a lapse of no reservation", `delete from reservations where reservation = 'R3'`, "I4", "reservations 'R3'", "no row",
	},
	{
		"a lapse that gave nothing back", `delete from movements where event_id = 'R3'`,
		"I4", "reservations 'R3'", "no movement",
	},
	{
		"a lapse that is an event's", `update movements set event_source = '' where event_id = 'R3'`,
		"I4", "'B' at 'main' of tenant '', version 6", "stock.expired",
	},
	{
		"a lapse of another kind", `update movements set kind = 'stock.released' where event_id = 'R3'`,
		"I4", "'B' at 'main' of tenant '', version 6", "stock.expired",
	},
	{
		"a lapse without an answer", `delete from inbox where source = 'onhand:expiry'`,
		"I3", "'B' at 'main' of tenant '', version 6", "no inbox row",
	},
	{
		"a lapse that was refused",
		`update inbox set outcome = 'rejected', reason = 'x' where source = 'onhand:expiry'`, "I3", "'R3'", "rejected",
	},
	{
		"a lapse that was answered and is none",
		`insert into inbox (tenant, event_id, source, fingerprint, outcome, topic, partition, incarnation, "offset")
		 values ('', 'R2', 'onhand:expiry', 0, 'applied', 't', 0, 1, 14)`, "I3", "'R2'", "no movement",
	},

	// transfers
	{
		"goods that got lost on the way",
		`update movements set in_transit = 1 where event_id = 'e5' and sku = 'A' and delta = 0`,
		"I4", "transfers 'A'", "-1 by transfers",
	},
	{
		"goods on the way to a row that was not there, of another quantity",
		`update movements set in_transit = 3 where event_id = 'e5' and sku = 'A' and location = 'north'`,
		"I1", "offset 5", "in transit +3",
	},
	{
		"goods that got more on the way",
		`update movements set delta = 2, on_hand = 3 where event_id = 'e9' and location = 'north'`,
		"I1", "offset 9", `stock.transferred of 1, of "A" at "north"`,
	},
	{
		"goods that came in and were not counted",
		`update movements set delta = 2 where event_id = 'e6' and sku = 'A'`, "I4", "transfers 'A'", "0 by what came in",
	},
	{
		"goods that came in, of another quantity", `update movements set delta = 2 where event_id = 'e6' and sku = 'A'`,
		"I1", "offset 6", `stock.transfer_received of 1`,
	},
	{
		"a transfer of other goods", `update transfers set sent = '{3,1}' where transfer = 'T1'`,
		"I1", "offset 5", "[3 1]",
	},
	{
		"a transfer to somewhere else", `update transfers set location = 'east' where transfer = 'T1'`,
		"I1", "offset 5", `"east"`,
	},
	{
		"a transfer that received more", `update transfers set received = '{2,0}' where transfer = 'T1'`,
		"I1", "offset 6", "[2 0]",
	},
	{
		"a transfer that received more, of the SKU", `update transfers set received = '{2,0}' where transfer = 'T1'`,
		"I4", "transfers 'A'", "0 by what came in",
	},
	{
		"a transfer that is on its way still", `update transfers set state = 'sent', received = null where transfer = 'T1'`,
		"I1", "offset 6", "sent",
	},
	{
		"a transfer on its way that the stock does not know",
		`update transfers set state = 'sent', received = null where transfer = 'T1'`,
		"I4", "stock 'A' at 'north'", "in transit 2, by transfers",
	},
	{
		"a transfer that is there already", `update transfers set state = 'received', received = '{1}' where transfer = 'T2'`,
		"I4", "stock 'A' at 'main'", "in transit 0, by transfers",
	},
	{"a transfer that is gone", `delete from transfers where transfer = 'T2'`, "I1", "offset 15", "no row"},
	{
		"a transfer that another event made", `update transfers set event_id = 'e1' where transfer = 'T2'`,
		"I1", "offset 15", `made by event "e1"`,
	},
	{
		"a transfer that nobody made", `update transfers set event_id = 'x' where transfer = 'T2'`,
		"I3", "transfer 'T2'", "no inbox row",
	},
}

func TestOneRowOfTheShopChangedByHandIsFound(t *testing.T) {
	t.Parallel()
	pool := openWorld(t)
	for _, c := range worldCorruptions {
		t.Run(c.name, func(t *testing.T) {
			fillWorld(t, pool)
			if n := testenv.Execute(t, pool, c.sql); n == 0 {
				t.Fatal("no row was changed")
			}
			expectFound(t, judgeWorld(t, pool), c.invariant, c.place, c.says)
		})
	}
}

// The same of books that are archived: an opening balance stands for all but the newest movement of each row.
var archivedCorruptions = []struct {
	name, sql, invariant, place, says string
}{
	{
		"an archived promise of another quantity",
		`update movements_archive set reserved = 5 where event_id = 'e2' and sku = 'A'`, "I1", "offset 2", "reserved +5",
	},
	{
		"an archived release that promised more", `update movements_archive set reserved = 6 where event_id = 'e3'`,
		"I4", "'A' at 'main' of tenant '', version 3", "reserved by 2 to 6",
	},
	{
		"an opening balance that forgot a promise",
		`update movements set reserved = 0 where kind = 'ledger.opened' and sku = 'A' and location = 'main'`,
		"I4", "movements_archive 'A' at 'main' of tenant '', version 10", "reserved 0, damaged 1, in transit 0, as its",
	},
	{
		"an opening balance that the next movement does not follow from",
		`update movements set damaged = null where kind = 'ledger.opened' and sku = 'A' and location = 'main'`,
		"I4", "movements 'A' at 'main' of tenant '', version 11", "damaged by 1 to 1",
	},
	{
		"an opening balance that has what is in transit",
		`update movements set in_transit = 1 where kind = 'ledger.opened' and sku = 'A' and location = 'north'`,
		"I4", "movements_archive 'A' at 'north' of tenant '', version 3", "as its opening balance says",
	},
	{
		"a newest movement that is not what stock says",
		`update movements set reserved = 2 where sku = 'A' and location = 'main' and version = 11`,
		"I4", "stock 'A' at 'main'", "reserved 2, damaged 1, in transit 1",
	},
	{
		"archived goods that got lost on the way",
		`update movements_archive set in_transit = 0 where event_id = 'e5' and sku = 'A' and location = 'north'`,
		"I4", "transfers 'A'", "-2 by transfers",
	},
	{
		"an archived lapse of another reservation", `update movements_archive set event_id = 'R2' where event_id = 'R3'`,
		"I4", "reservations 'R3'", "no movement",
	},
}

func TestOneRowOfTheArchivedShopChangedByHandIsFound(t *testing.T) {
	t.Parallel()
	pool := openWorld(t)
	for _, c := range archivedCorruptions {
		t.Run(c.name, func(t *testing.T) {
			fillWorld(t, pool)
			archiveWorld(t, pool)
			if n := testenv.Execute(t, pool, c.sql); n == 0 {
				t.Fatal("no row was changed")
			}
			expectFound(t, judgeWorld(t, pool), c.invariant, c.place, c.says)
		})
	}
}

func expectFound(t *testing.T, r *Report, invariant, place, says string) {
	t.Helper()
	for _, d := range r.Differences {
		if d.Invariant == invariant && strings.Contains(d.Place, place) &&
			(strings.Contains(d.Expected, says) || strings.Contains(d.Found, says)) {
			return
		}
	}
	t.Errorf("no difference of %s at %q says %q\n%s", invariant, place, says, describeAll(r))
}
