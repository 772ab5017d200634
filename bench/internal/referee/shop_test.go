package referee

import (
	"testing"

	"onhand/bench/internal/backlog"
)

// Two rows of stock that were there before; an order of two lines, one that is refused, and two reservations, of which one
// has left and one is open; and the rows they lead to.
const shopRows = `
insert into stock (tenant, sku, location, on_hand, reserved, version, backorder, last_topic, last_partition, moved_at)
values ('', 'A', 'main', 96, 2, 4, 'deny', 't', 0, now()), ('', 'B', 'main', 97, 0, 2, 'deny', 't', 0, now());
insert into inbox (tenant, event_id, source, fingerprint, outcome, reason, topic, partition, incarnation, "offset")
values ('', 'e1', 's', 1, 'applied', null, 't', 0, 1, 0), ('', 'e2', 's', 1, 'rejected', 'insufficient_stock', 't', 0, 1, 1),
       ('', 'e3', 's', 1, 'applied', null, 't', 0, 1, 2), ('', 'e4', 's', 1, 'applied', null, 't', 0, 1, 3);
insert into movements (tenant, sku, location, version, delta, on_hand, reserved, kind, event_id, event_source, message_id)
values ('', 'A', 'main', 1, 100, 100, null, 'stock.received', 'opening A', 'prefill', null),
       ('', 'B', 'main', 1, 100, 100, null, 'stock.received', 'opening B', 'prefill', null),
       ('', 'A', 'main', 2, -4, 96, null, 'stock.sold', 'e1', 's', 1), ('', 'B', 'main', 2, -3, 97, null, 'stock.sold', 'e1', 's', 2),
       ('', 'A', 'main', 3, 0, 96, 3, 'stock.reserved', 'e3', 's', 3), ('', 'A', 'main', 4, 0, 96, 2, 'stock.released', 'e4', 's', 4);
insert into reservations (tenant, reservation, state, topic, partition, skus, locations, quantities, event_id, event_source)
values ('', 'open', 'open', 't', 0, '{A}', '{main}', '{2}', 'e3', 's'), ('', 'gone', 'fulfilled', 't', 0, '{}', '{}', '{}', 'e0', 's');
insert into offsets (topic, partition, start, next, applied, rejected) values ('t', 0, 0, 4, 3, 1)`

func shopBooks() *backlog.Books {
	rows := map[string]backlog.Row{"A": {OnHand: 96, Reserved: 2, Versions: 4}, "B": {OnHand: 97, Versions: 2}}
	return &backlog.Books{
		Records: 4, Events: 4, Applied: 3, Rejected: 1, Lines: 6, AppliedLines: 4, Opened: 2, Decided: rows,
		Reservations: map[string]*backlog.Reservation{
			"open":    {State: backlog.Open, Lines: []backlog.Line{{SKU: "A", Quantity: 2}}},
			"gone":    {State: backlog.Fulfilled},
			"refused": {State: backlog.Open, Lines: []backlog.Line{{SKU: "A", Quantity: 1000}}, Refused: true},
		},
	}
}

func TestEveryWrongLineAndReservationIsNoticed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, change, fault string }{ // part of one; empty = none
		{"nothing is wrong", ``, ""},
		{
			"a lost line", `
			delete from movements where sku = 'B' and version = 2;
			update stock set on_hand = 100, version = 1 where sku = 'B'`,
			"stock of B is 100 after 1 movements, not 97 after 2",
		},
		{"a line lost from the ledger alone", `delete from movements where sku = 'B' and version = 2`, "5 movements, not 6"},
		{
			"a doubled line", `
			insert into movements (tenant, sku, location, version, delta, on_hand, kind, event_id, event_source, message_id)
			values ('', 'B', 'main', 3, -3, 94, 'stock.sold', 'e1', 's', 5);
			update stock set on_hand = 94, version = 3 where sku = 'B'`,
			"stock of B is 94 after 3 movements, not 97 after 2",
		},
		{
			"a doubled line in the ledger alone", `
			insert into movements (tenant, sku, location, version, delta, on_hand, kind, event_id, event_source, message_id)
			values ('', 'B', 'main', 3, -3, 94, 'stock.sold', 'e1', 's', 5)`,
			"7 movements, not 6",
		},
		{"a line without its message", `update movements set message_id = null where message_id = 2`, "3 outgoing messages, not 4"},
		{
			"a line of a refused order", `update movements set event_id = 'e2' where message_id = 2`,
			"3 movements of an event that the inbox has as applied, not 4",
		},
		{
			"a line of another event", `update movements set event_id = 'e3' where message_id = 4`,
			"4 different events with a movement, not 5",
		},
		{"a lost reservation", `delete from reservations where reservation = 'gone'`, "1 reservations, not 2"},
		{
			"one that was refused", `insert into reservations
			(tenant, reservation, state, topic, partition, skus, locations, quantities, event_id, event_source)
			values ('', 'refused', 'open', 't', 0, '{A}', '{main}', '{1000}', 'e2', 's')`,
			"reservation refused is open with [1000] of [A], not there",
		},
		{"less is open", `update reservations set quantities = '{1}' where state = 'open'`, "is open with [1] of [A], not open with [{A 2}]"},
		{
			"what is open and stock do not agree", `update reservations set skus = '{B}' where state = 'open'`,
			"2 rows of stock with something else reserved than is open",
		},
		{
			"one ends otherwise", `update reservations set state = 'released' where state = 'fulfilled'`,
			"reservation gone is released",
		},
		{"something else is reserved", `update stock set reserved = 3 where sku = 'A'`, "stock of A is 96 (3 reserved)"},
		{
			"a ledger that says otherwise", `update movements set reserved = 3 where version = 4`,
			"1 rows of stock whose last movement has something else reserved",
		},
		{"more is reserved than there is", `update stock set reserved = 97 where sku = 'A'`, "1 rows of stock are negative, or have more"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			all := Terms{Decides: true, Books: true, Counts: true}
			expectFault(t, databaseWith(t, shopRows+";"+tt.change), shopBooks(), all, tt.fault)
		})
	}
}
