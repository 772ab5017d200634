package verify

import (
	"strings"
	"testing"

	"onhand/internal/testenv"
	"onhand/inventory"
)

// A shop that sells bundles: two hours ago goods came in, an hour ago a kit was defined as two of A and one of B, and
// half an hour ago it was sold, promised and returned. Kept by hand, as the other shop's books are.
const bundleRows = `
insert into skus (tenant, sku, bundle_skus, bundle_quantities, updated_at)
values ('', 'A', null, null, now() - interval '2 hours'), ('', 'B', null, null, now() - interval '2 hours'),
       ('', 'C', null, null, now() - interval '2 hours'), ('', 'kit', '{A,B}', '{2,1}', now() - interval '1 hour');
insert into movements (event_id, sku, location, version, kind, delta, on_hand, reserved, damaged, recorded_at,
                       message_id, tenant, event_source)
select event_id, sku, 'main', version, kind, delta, on_hand, reserved, damaged, now() - minutes * interval '1 minute',
       10 * row_number() over (), '', '' from (values
  ('e1', 'A', 1, 'stock.received', 20, 20, null::bigint, null::bigint, 120),
  ('e1', 'B', 1, 'stock.received', 20, 20, null, null, 120),
  ('e1', 'C', 1, 'stock.received', 20, 20, null, null, 120),
  ('e2', 'A', 2, 'stock.sold', -5, 15, null, null, 30),
  ('e2', 'B', 2, 'stock.sold', -2, 18, null, null, 30),
  ('e3', 'A', 3, 'stock.reserved', 0, 15, 2, 0, 30),
  ('e3', 'B', 3, 'stock.reserved', 0, 18, 1, 0, 30),
  ('e5', 'A', 4, 'stock.returned', 0, 15, 2, 2, 30),
  ('e5', 'B', 4, 'stock.returned', 0, 18, 1, 1, 30),
  ('e6', 'C', 2, 'stock.sold', -1, 19, null, null, 30)
) m (event_id, sku, version, kind, delta, on_hand, reserved, damaged, minutes);
insert into stock (tenant, sku, location, on_hand, reserved, damaged, version, backorder, last_topic, last_partition,
                   moved_at)
values ('', 'A', 'main', 15, 2, 2, 4, 'deny', 't', 0, now()), ('', 'B', 'main', 18, 1, 1, 4, 'deny', 't', 0, now()),
       ('', 'C', 'main', 19, 0, 0, 2, 'deny', 't', 0, now());
insert into reservations (tenant, reservation, state, topic, partition, skus, locations, quantities, event_id,
                          event_source)
values ('', 'R', 'open', 't', 0, '{A,B}', '{main,main}', '{2,1}', 'e3', '');
insert into inbox (tenant, event_id, source, fingerprint, outcome, topic, partition, incarnation, "offset")
select '', 'e' || n, '', 1, 'applied', 't', 0, 1, n from generate_series(1, 6) n`

func bundleEvents() []*inventory.Event {
	kit, versioned := line("kit", "main", 1), line("A", "main", 1)
	versioned.IfVersion = 1
	return []*inventory.Event{
		{
			Kind:  inventory.Received,
			Lines: []inventory.Line{line("A", "main", 20), line("B", "main", 20), line("C", "main", 20)},
		},
		{Kind: inventory.Sold, Lines: []inventory.Line{versioned, line("kit", "main", 2)}},
		{Kind: inventory.Reserved, Reservation: "R", Lines: []inventory.Line{kit}},
		{Kind: inventory.Reserved, Reservation: "R", Lines: []inventory.Line{kit}}, // an extension
		{Kind: inventory.Returned, Condition: inventory.Damaged, Lines: []inventory.Line{kit}},
		{Kind: inventory.Sold, Lines: []inventory.Line{line("C", "main", 1)}},
	}
}

func TestSalesOfBundlesAreJudgedByTheirParts(t *testing.T) {
	t.Parallel()
	const (
		redefined      = `update skus set updated_at = now(), bundle_skus = `
		nextDefinition = redefined + `'{C}', bundle_quantities = '{7}' where sku = 'kit'; `
		noBundle       = redefined + `null, bundle_quantities = null where sku = 'kit'; `
	)
	pool := openWorld(t)
	for _, c := range []struct {
		name, sql              string
		invariant, place, says string // empty: nothing is found
	}{
		{name: "as it was", sql: `select`},
		{name: "the same definition again", sql: `update skus set updated_at = now() where sku = 'kit'`},
		{name: "another definition since", sql: nextDefinition},
		{name: "no bundle any more", sql: noBundle},
		{
			"a part of another quantity", `update movements set delta = -6 where event_id = 'e2' and sku = 'A'`,
			"I1", "offset 2", `stock.sold of 5, of "A" at "main", version 2`,
		},
		{
			"a part that did not move", `delete from movements where event_id = 'e2' and sku = 'B'`,
			"I1", "offset 2", "no movement of that",
		},
		{
			"a part too many", `update movements set event_id = 'e2' where event_id = 'e6'`,
			"I1", "offset 2", `no other movement of "C"`,
		},
		{
			"a promise of fewer parts", `update movements set reserved = 1 where event_id = 'e3' and sku = 'A'`,
			"I1", "offset 3", `stock.reserved of 2, of "A"`,
		},
		{
			"damaged parts of another quantity", `update movements set damaged = 3 where event_id = 'e5' and sku = 'A'`,
			"I1", "offset 5", `stock.returned of 2 damaged, of "A"`,
		},
		{
			"parts of another kind, of a bundle defined again",
			nextDefinition + `update movements set kind = 'stock.returned' where event_id = 'e2' and sku = 'A'`,
			"I1", "offset 2", "stock.returned",
		},
		{
			"no part of a bundle defined again", nextDefinition + `update movements set event_id = 'e1' where event_id = 'e2'`,
			"I1", "offset 2", "no movement",
		},
		{
			"nothing of a SKU that was never a bundle, but was defined since",
			`update skus set updated_at = now() where sku = 'C';
			 update movements set sku = 'B', version = 9 where event_id = 'e6'`,
			"I1", "offset 6", `of "C" at "main"`,
		},
		{
			"stock of a bundle",
			`insert into stock (tenant, sku, location, on_hand, version, backorder, last_topic, last_partition)
			 values ('', 'kit', 'main', 1, 1, 'deny', 't', 0)`,
			"I4", "stock 'kit' at 'main'", "the SKU is a bundle",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			emptyWorld(t, pool)
			for statement := range strings.SplitSeq(bundleRows+";"+c.sql, ";") {
				testenv.Execute(t, pool, statement)
			}
			r := judgeEvents(t, pool, bundleEvents(), 1)
			switch {
			case c.says != "":
				expectFound(t, r, c.invariant, c.place, c.says)
			case r.Found > 0:
				t.Error(describeAll(r))
			}
		})
	}
}
