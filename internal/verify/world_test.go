package verify

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"pgregory.net/rapid"

	"onhand/internal/ledger"
	"onhand/internal/testenv"
	"onhand/inventory"
)

// The books of a shop with two SKUs and two locations, in which everything has happened that can: kept by hand, and
// judged without a log, because what matters here is what rows say of one another.
const worldRows = `
insert into skus (tenant, sku) values ('', 'A'), ('', 'B');
insert into movements (event_id, sku, location, version, kind, delta, on_hand, reserved, damaged, in_transit,
                       message_id, tenant, event_source)
select *, 10 * row_number() over (), '', '' from (values
  ('e1', 'A', 'main', 1, 'stock.received', 10, 10, null::bigint, null::bigint, null::bigint),
  ('e1', 'B', 'main', 1, 'stock.received', 5, 5, null, null, null),
  ('e2', 'A', 'main', 2, 'stock.reserved', 0, 10, 4, 0, 0),
  ('e2', 'B', 'main', 2, 'stock.reserved', 0, 5, 2, 0, 0),
  ('e3', 'A', 'main', 3, 'stock.released', 0, 10, 3, 0, 0),
  ('e4', 'A', 'main', 4, 'stock.fulfilled', -3, 7, 0, 0, 0),
  ('e4', 'B', 'main', 3, 'stock.fulfilled', -2, 3, 0, 0, 0),
  ('e5', 'A', 'main', 5, 'stock.transferred', -2, 5, 0, 0, 0),
  ('e5', 'A', 'north', 1, 'stock.transferred', 0, 0, 0, 0, 2),
  ('e5', 'B', 'main', 4, 'stock.transferred', -1, 2, 0, 0, 0),
  ('e5', 'B', 'north', 1, 'stock.transferred', 0, 0, 0, 0, 1),
  ('e6', 'A', 'north', 2, 'stock.transfer_received', 1, 1, 0, 0, 0),
  ('e6', 'B', 'north', 2, 'stock.transfer_received', 0, 0, 0, 0, 0),
  ('e7', 'A', 'main', 6, 'stock.returned', 0, 5, 0, 2, 0),
  ('e8', 'A', 'main', 7, 'stock.counted', 0, 5, 0, 1, 0),
  ('e9', 'A', 'main', 8, 'stock.transferred', -1, 4, 0, 1, 0),
  ('e9', 'A', 'north', 3, 'stock.transferred', 1, 2, null, null, null),
  ('e10', 'A', 'main', 9, 'stock.reserved', 0, 4, 1, 1, 0),
  ('e12', 'B', 'main', 5, 'stock.reserved', 0, 2, 1, 0, 0),
  ('e14', 'A', 'main', 10, 'stock.adjusted', -1, 3, 1, 1, 0),
  ('e14', 'B', 'main', 7, 'stock.adjusted', 1, 3, 0, 0, 0),
  ('e15', 'A', 'north', 4, 'stock.transferred', -1, 1, 0, 0, 0),
  ('e15', 'A', 'main', 11, 'stock.transferred', 0, 3, 1, 1, 1)
) m;
insert into movements (event_id, sku, location, version, kind, delta, on_hand, reserved, message_id, tenant,
                       event_source)
values ('R3', 'B', 'main', 6, 'stock.expired', 0, 2, 0, 195, '', 'onhand:expiry');
insert into stock (tenant, sku, location, on_hand, reserved, damaged, in_transit, version, backorder, last_topic,
                   last_partition, moved_at)
values ('', 'A', 'main', 3, 1, 1, 1, 11, 'deny', 't', 0, now()),
       ('', 'A', 'north', 1, 0, 0, 0, 4, 'deny', 't', 0, now()),
       ('', 'B', 'main', 3, 0, 0, 0, 7, 'deny', 't', 0, now()),
       ('', 'B', 'north', 0, 0, 0, 0, 2, 'deny', 't', -1, now());
insert into reservations (tenant, reservation, state, topic, partition, skus, locations, quantities, event_id,
                          event_source)
values ('', 'R1', 'fulfilled', 't', 0, '{}', '{}', '{}', 'e2', ''),
       ('', 'R2', 'open', 't', 0, '{A}', '{main}', '{1}', 'e10', ''),
       ('', 'R3', 'expired', 't', 0, '{}', '{}', '{}', 'e12', '');
insert into transfers (tenant, transfer, state, location, skus, sent, received, event_id, event_source)
values ('', 'T1', 'received', 'north', '{A,B}', '{2,1}', '{1,0}', 'e5', ''),
       ('', 'T2', 'sent', 'main', '{A}', '{1}', null, 'e15', '');
insert into inbox (tenant, event_id, source, fingerprint, outcome, reason, topic, partition, incarnation, "offset")
select '', 'e' || n, '', 1, (case n when 16 then 'rejected' else 'applied' end)::inbox_outcome,
       case n when 16 then 'insufficient_stock' end, 't', 0, 1, n
from generate_series(1, 16) n;
insert into inbox (tenant, event_id, source, fingerprint, outcome, topic, partition, incarnation, "offset")
values ('', 'R3', 'onhand:expiry', 0, 'applied', 't', 0, 1, 14)`

// worldTables are what worldRows fills.
const worldTables = `skus, movements, movements_archive, stock, reservations, transfers, inbox, outbox_messages`

func line(sku, location string, quantity int64) inventory.Line {
	return inventory.Line{SKU: sku, Location: location, Quantity: quantity, IfVersion: inventory.AnyVersion}
}

// worldEvents are the events of the inbox's rows, in the order of their offsets from 1 on.
func worldEvents() []*inventory.Event {
	lines := func(ls ...inventory.Line) []inventory.Line { return ls }
	versioned := line("B", "main", 1)
	versioned.IfVersion = 6
	return []*inventory.Event{
		{Kind: inventory.Received, Lines: lines(line("A", "main", 10), line("B", "main", 5))},
		{Kind: inventory.Reserved, Reservation: "R1", Lines: lines(line("A", "main", 4), line("B", "main", 2))},
		{Kind: inventory.Released, Reservation: "R1", Lines: lines(line("A", "main", 1))},
		{Kind: inventory.Fulfilled, Reservation: "R1"},
		{
			Kind: inventory.Transferred, To: "north", Transfer: "T1",
			Lines: lines(line("A", "main", 2), line("B", "main", 1)),
		},
		{Kind: inventory.TransferReceived, Transfer: "T1", Lines: lines(line("A", "", 1))},
		{Kind: inventory.Returned, Condition: inventory.Damaged, Lines: lines(line("A", "main", 2))},
		{Kind: inventory.Counted, Condition: inventory.Damaged, Lines: lines(line("A", "main", 1))},
		{Kind: inventory.Transferred, To: "north", Lines: lines(line("A", "main", 1))},
		{Kind: inventory.Reserved, Reservation: "R2", Lines: lines(line("A", "main", 1))},
		{Kind: inventory.Reserved, Reservation: "R2"},
		{Kind: inventory.Reserved, Reservation: "R3", Lines: lines(line("B", "main", 1))},
		{Kind: inventory.Reserved, Reservation: "R2", Lines: lines(line("A", "main", 1))},
		{Kind: inventory.Adjusted, Lines: lines(line("A", "main", -1), versioned)},
		{Kind: inventory.Transferred, To: "main", Transfer: "T2", Lines: lines(line("A", "north", 1))},
		{Kind: inventory.Sold, Lines: lines(line("A", "main", 1000))},
	}
}

func openWorld(t *testing.T) *pgxpool.Pool {
	t.Helper()
	return testenv.Pool(t, testenv.Database(t))
}

func emptyWorld(t rapid.TB, pool *pgxpool.Pool) {
	t.Helper()
	testenv.EmptyArchive(t, pool, "true")
	for table := range strings.SplitSeq(worldTables, ", ") {
		testenv.Execute(t, pool, "delete from "+table)
	}
}

func fillWorld(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	emptyWorld(t, pool)
	for statement := range strings.SplitSeq(worldRows, ";\n") {
		testenv.Execute(t, pool, statement)
	}
}

// judgeWorld compares the events with what became of them, and the tables with one another.
func judgeWorld(t *testing.T, pool *pgxpool.Pool) *Report {
	t.Helper()
	return judgeEvents(t, pool, worldEvents(), 1)
}

// judgeEvents is that for any events, whose offsets are consecutive.
func judgeEvents(t rapid.TB, pool *pgxpool.Pool, events []*inventory.Event, first int64) *Report {
	t.Helper()
	ctx := context.Background()
	s, err := takeSnapshot(ctx, pool, true)
	must(t, err)
	defer s.close()
	v := &Verification{cfg: Config{Differences: 50}, snapshot: s, report: Report{limit: 50}}
	must(t, v.openArchive(ctx))
	records, err := openRows(ctx, s)
	must(t, err)
	j := &judge{v: v, found: Report{limit: 50}}
	for i, e := range events {
		in, err := take(ctx, records.inbox, position{"t", 0, 1, first + int64(i)})
		must(t, err)
		if in == nil {
			t.Fatalf("there is no inbox row of event %d", i)
		}
		j.effect(e, in)
		if i%5 == 0 { // in more than one turn
			must(t, j.lookUpEffects(ctx))
		}
	}
	must(t, j.lookUpEffects(ctx))
	must(t, j.lookUpRemoved(ctx))
	v.removed = j.removed
	v.removedTooMany()
	must(t, v.ledger(ctx))
	v.report.add(&j.partition, &j.found)
	return &v.report
}

func must(t rapid.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func describeAll(r *Report) string {
	var b strings.Builder
	for _, d := range r.Differences {
		fmt.Fprintf(&b, "%s %s: expected %s, found %s\n", d.Invariant, d.Place, d.Expected, d.Found)
	}
	return b.String()
}

// archiveWorld leaves of each row of stock an opening balance and the newest movement.
func archiveWorld(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	result, err := ledger.New(ledger.Config{Pool: pool}).Run(t.Context())
	if err != nil || result.Archived == 0 {
		t.Fatalf("%+v, %v", result, err)
	}
}

func TestAShopInWhichEverythingHasHappenedIsRight(t *testing.T) {
	t.Parallel()
	pool := openWorld(t)
	for name, then := range map[string]func(){
		"as it was":             func() {},
		"archived":              func() { archiveWorld(t, pool) },
		"archived, and removed": func() { archiveWorld(t, pool); testenv.EmptyArchive(t, pool, "true") },
		"archived, and a part removed": func() {
			archiveWorld(t, pool)
			testenv.EmptyArchive(t, pool, "version % 2 = 0")
		},
	} {
		fillWorld(t, pool)
		then()
		if r := judgeWorld(t, pool); r.Found > 0 {
			t.Errorf("%s:\n%s", name, describeAll(r))
		}
	}
}

// aloneInWorld judges the rows without their records.
func aloneInWorld(t *testing.T, pool *pgxpool.Pool) *Report {
	t.Helper()
	s, err := takeSnapshot(t.Context(), pool, true)
	must(t, err)
	defer s.close()
	records, err := openRows(t.Context(), s)
	must(t, err)
	j := &judge{v: &Verification{snapshot: s}, found: Report{limit: 50}}
	must(t, drain(t.Context(), records.inbox, nil, j.effectAlone))
	return &j.found
}

func TestWithoutItsRecordAnEventHasAtMostOneEffectOnEachRowOfStock(t *testing.T) {
	t.Parallel()
	pool := openWorld(t)
	fillWorld(t, pool)
	if r := aloneInWorld(t, pool); r.Found > 0 {
		t.Error(describeAll(r))
	}
	for _, sql := range []string{
		`insert into movements (tenant, sku, location, version, delta, on_hand, kind, event_id, event_source)
		 values ('', 'B', 'main', 8, 5, 8, 'stock.received', 'e1', '')`,
		`update movements set kind = 'stock.sold' where event_id = 'e1' and sku = 'B'`,
		`update inbox set outcome = 'rejected', reason = 'x' where event_id = 'e1'`,
	} {
		fillWorld(t, pool)
		testenv.Execute(t, pool, sql)
		expectFound(t, aloneInWorld(t, pool), "I1", "offset 1", "movements")
	}
}

// e1 and e2 came again, without a time, after they were forgotten: what they moved then is not what they answer for
// now.
func TestAnEventOfSeveralLinesMayComeAgainWhenItIsForgotten(t *testing.T) {
	t.Parallel()
	pool := openWorld(t)
	fillWorld(t, pool)
	for _, sql := range []string{
		`update movements set recorded_at = now() - interval '2 days' where event_id in ('e1', 'e2')`,
		`update inbox_memory set dropped_rows = 2, dropped_until = now() - interval '1 day'`,
		// The reservation is not open any more: it is refused.
		`update inbox set outcome = 'rejected', reason = 'reservation_closed' where event_id = 'e2'`,
		`insert into movements (tenant, sku, location, version, delta, on_hand, kind, event_id, event_source, message_id,
		   reserved, damaged, in_transit)
		 values ('', 'A', 'main', 12, 10, 13, 'stock.received', 'e1', '', 4000, 1, 1, 1),
		        ('', 'B', 'main', 8, 5, 8, 'stock.received', 'e1', '', 4001, 0, 0, 0)`,
		`update stock set version = version + 1, on_hand = on_hand + case sku when 'A' then 10 else 5 end
		 where location = 'main'`,
		`insert into offsets (topic, partition, start, next, applied, remembered) values ('t', 0, 0, 19, 19, 19)`,
	} {
		testenv.Execute(t, pool, sql)
	}
	if r := judgeWorld(t, pool); r.Found > 0 {
		t.Error(describeAll(r))
	}
	testenv.Execute(t, pool, `update movements set delta = 6, on_hand = 9 where message_id = 4001`)
	testenv.Execute(t, pool, `update stock set on_hand = 9 where sku = 'B' and location = 'main'`)
	expectFound(t, judgeWorld(t, pool), "I1", "offset 1", `stock.received of 5, of "B"`)
}
