package verify_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"onhand/internal/verify"
)

// corruption is one row changed by hand, and a difference that must be among those found for it.
type corruption struct {
	name      string
	sql       string
	invariant string
	place     string // part of the place
	says      string // part of what was expected or found
}

var corruptions = []corruption{
	// offsets
	{
		"a counter that took from another",
		`update offsets set applied = applied - 1, duplicate = duplicate + 1 where partition = 0`,
		"I5", "offsets row of", "applied 5",
	},
	{
		"a skipped offset too many", `update offsets set skipped = skipped + 1, parked = parked - 1 where partition = 0`,
		"I5", "offsets row of", "skipped 3",
	},
	{
		"a position that is behind", `update offsets set next = 10, applied = 3, skipped = 2 where partition = 0`,
		"I5", "offset 10", "read up to 10",
	},
	{
		"a start that is too late", `update offsets set start = 1, applied = applied - 1 where partition = 0`,
		"I5", "offset 0", "starts at 1",
	},
	{
		"a jump that nobody ordered", `update offsets set jumped = 1, ignored = 0 where partition = 1`,
		"I5", "offsets row of", "jumped 0",
	},
	{"a position that is gone", `delete from offsets where partition = 1`, "I5", "/1 offset 0", "no position"},

	// reservations
	{
		"a reservation that should have lapsed",
		`insert into reservations (tenant, reservation, state, expires_at, topic, partition, skus, locations, quantities,
		                           event_id, event_source)
		 select '', 'overdue', 'open', now() - interval '1 h', topic, partition, '{A}', '{main}', '{1}', 'e1', ''
		 from offsets where partition = 0`,
		"I4", "'overdue'", "was read up to",
	},

	// inbox
	{"an event that is gone", `delete from inbox where event_id = 'e7'`, "I5", "offset 10", "lost"},
	{
		"an event that others are duplicates of is gone", `delete from inbox where event_id = 'e1'`,
		"I5", "offset 0", "lost",
	},
	{
		"an event that never was",
		`insert into inbox (tenant, event_id, source, fingerprint, outcome, reason, topic, partition,
		   incarnation, "offset")
		 select tenant, 'x', source, fingerprint, outcome, reason, topic, partition, 1, 7
		 from inbox where event_id = 'e7'`,
		"I5", "offset 7", `"x"`,
	},
	{
		"an event twice, under two ids",
		`insert into inbox (tenant, event_id, source, fingerprint, outcome, reason, topic, partition,
		   incarnation, "offset")
		 select tenant, 'x', source, fingerprint, outcome, reason, topic, partition, 1, "offset"
		 from inbox where event_id = 'e7'`,
		"I5", "offset 10", "one row for it",
	},
	{
		"an event at another offset", `update inbox set "offset" = 7 where event_id = 'e7'`,
		"I5", "offset 7", "one row for it",
	},
	{
		"an event at the offset of its copy", `update inbox set "offset" = 2 where event_id = 'e1'`,
		"I5", "offset 0", "this offset",
	},
	{
		"an event beyond the position", `update inbox set "offset" = 99 where event_id = 'e7'`,
		"I5", "offset 99", "read up to",
	},
	{
		"an event in another partition", `update inbox set partition = 7 where event_id = 'e9'`,
		"I5", "/7 offset 0", "no position",
	},
	{
		"an event of an incarnation to come", `update inbox set incarnation = 2 where event_id = 'e7'`,
		"I5", "offset 10", "incarnation 2",
	},
	{"an event with another id", `update inbox set event_id = 'x' where event_id = 'e7'`, "I3", "offset 10", `"x"`},
	{"an event with another source", `update inbox set source = 'x' where event_id = 'e7'`, "I3", "offset 10", `"x"`},
	{
		"an event with other content", `update inbox set fingerprint = fingerprint + 1 where event_id = 'e7'`,
		"I3", "offset 10", "fingerprint",
	},
	{
		"an applied event said to be rejected",
		`update inbox set outcome = 'rejected', reason = 'x' where event_id = 'e2'`, "I1", "offset 1", "one movement",
	},
	{
		"a rejected event said to be applied",
		`update inbox set outcome = 'applied', reason = null where event_id = 'e3'`,
		"I1", "offset 3", "no movement",
	},
	{
		"a known record with an inbox row of its own",
		`insert into inbox (tenant, event_id, source, fingerprint, outcome, reason, topic, partition,
		   incarnation, "offset")
		 select tenant, 'x', source, fingerprint, outcome, reason, topic, partition, 1, 2
		 from inbox where event_id = 'e1'`,
		"I3", "offset 2", `"e1"`,
	},

	// dead letters
	{
		"a dead letter that is gone", `delete from dead_letters where reason = 'not_json'`,
		"I5", "offset 4", "dead letter not_json",
	},
	{
		"a conflict that is gone", `delete from dead_letters where reason = 'id_conflict'`,
		"I3", "offset 5", "id_conflict",
	},
	{
		"a dead letter with another reason", `update dead_letters set reason = 'empty_value' where reason = 'not_json'`,
		"I5", "offset 4", "dead letter empty_value",
	},
	{
		"a dead letter for a record that can be read",
		`with taken as (delete from inbox where event_id = 'e7' returning *)
		 insert into dead_letters (topic, partition, incarnation, "offset", reason, key, value, headers)
		 select topic, partition, incarnation, "offset", 'not_json', 'k', '', '{}' from taken`,
		"I5", "offset 10", "can be read",
	},
	{
		"a dead letter beside an inbox row",
		`insert into dead_letters (topic, partition, incarnation, "offset", reason)
		 select topic, partition, 1, "offset", 'x' from inbox where event_id = 'e7'`,
		"I5", "offset 10", "either an inbox row or a dead letter",
	},
	{"a dead letter that never was", `insert into dead_letters (topic, partition, incarnation, "offset", reason)
		select topic, partition, 1, 8, 'x' from offsets where partition = 0`, "I5", "offset 8", "dead letter x"},
	{
		"a dead letter with another value", `update dead_letters set value = 'x' where reason = 'not_json'`,
		"I5", "offset 4", "value",
	},
	{
		"a dead letter without its key", `update dead_letters set key = null where reason = 'not_json'`,
		"I5", "offset 4", "key",
	},
	{
		"a dead letter with a header's value lost", `update dead_letters set headers[4] = '' where reason = 'not_json'`,
		"I5", "offset 4", "headers",
	},
	{
		"a conflict with an event that nobody knows",
		`with taken as (delete from inbox where event_id = 'e3' returning *)
		 insert into dead_letters (topic, partition, incarnation, "offset", reason, key, value, headers)
		 select topic, partition, incarnation, "offset", 'id_conflict', 'k', '', '{}' from taken`,
		"I3", "offset 3", "no inbox row",
	},
	{"a conflict that is none", `insert into dead_letters (topic, partition, incarnation, "offset", reason)
		select topic, partition, 1, 2, 'id_conflict' from offsets where partition = 0`, "I3", "offset 2", "same event"},

	// stock
	{
		"stock that is not the sum of its movements", `update stock set on_hand = on_hand + 1 where sku = 'A'`,
		"I4", "stock 'A'", "version 4, on hand 0",
	},
	{
		"stock of another version", `update stock set version = version + 1 where sku = 'A'`,
		"I4", "stock 'A'", "version 5",
	},
	{"stock that is gone", `delete from stock where sku = 'A'`, "I4", "stock 'A'", "no row"},
	{
		"stock without movements",
		`insert into stock (tenant, sku, location, on_hand, version, backorder, backorder_limit, last_topic,
		   last_partition, moved_at)
		 select tenant, sku, 'elsewhere', 1, 1, backorder, backorder_limit, last_topic, 0, moved_at
		 from stock where sku = 'A'`, "I4", "at 'elsewhere'", "no movements",
	},
	{
		"stock under another policy", `update stock set backorder_limit = 3 where sku = 'A'`,
		"I4", "stock 'A'", "backorder limit 3",
	},
	{"a SKU that is gone", `delete from skus where sku = 'B'`, "I4", "stock 'B'", "a row in skus"},

	// movements
	{
		"a movement of another quantity", `update movements set delta = delta + 1 where sku = 'A' and version = 2`,
		"I1", "offset 1", "-2 to 7",
	},
	{
		"a movement that is gone", `delete from movements where sku = 'A' and version = 2`,
		"I1", "offset 1", "no movement",
	},
	{
		"a gap in the ledger", `update movements set version = 9 where sku = 'A' and version = 4`,
		"I4", "version 9", "version 4",
	},
	{
		"a movement's running sum", `update movements set on_hand = on_hand + 1 where sku = 'A' and version = 2`,
		"I4", "version 2", "on hand 8",
	},
	{
		"a movement twice",
		`insert into movements (tenant, sku, location, version, delta, on_hand, kind,
		   event_id, event_source, message_id)
		 select tenant, sku, location, 5, 0, -1, kind, event_id, '', nextval('outbox_id')
		 from movements where sku = 'A' and version = 4`,
		"I1", "offset 11", "2 movements",
	},
	{
		"a movement of nobody",
		`insert into movements (tenant, sku, location, version, delta, on_hand, kind,
		   event_id, event_source, message_id)
		 values ('', 'A', 'main', 5, 0, -1, 'stock.adjusted', 'x', '', nextval('outbox_id'))`,
		"I3", "version 5", "no inbox row",
	},
	{
		"a movement of another event", `update movements set event_id = 'x' where sku = 'A' and version = 2`,
		"I1", "offset 1", "no movement",
	},
	{
		"a movement of another SKU", `update movements set sku = 'B', version = 2 where sku = 'A' and version = 4`,
		"I1", "offset 11", `of "B"`,
	},
	{
		"a movement of another kind", `update movements set kind = 'stock.returned' where sku = 'A' and version = 1`,
		"I1", "offset 0", "stock.returned",
	},
	{
		"a count that counted something else", `update movements set on_hand = 6 where sku = 'A' and version = 3`,
		"I1", "offset 9", "to 6",
	},
	{
		"a movement against its condition", `update movements set version = 8 where sku = 'A' and version = 3`,
		"I1", "offset 9", "version 8",
	},

	// outbox
	{
		"a message that is gone", `update movements set message_id = null where event_id = 'e2'`,
		"I6", "version 2", "no message",
	},
	{
		"messages out of order", `update movements set message_id = nextval('outbox_id') where event_id = 'e1'`,
		"I6", "version 2", "after message",
	},
	{
		"a message with the id of another",
		`insert into outbox_messages (id, slot, topic, event_id, payload)
		 select message_id, 0, 'changes', 'x', '{}' from movements where event_id = 'e2'`,
		"I6", "message", "2 messages",
	},
}

func TestOneRowChangedByHandIsFound(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	s.findAll(t, corruptions, s.writeBooks)
}

// findAll expects a difference for each corruption of what keep writes.
func (s *shop) findAll(t *testing.T, corruptions []corruption, keep func(*testing.T, *pgxpool.Pool)) {
	t.Helper()
	pool := s.keepBooks(t)
	for _, c := range corruptions {
		t.Run(c.name, func(t *testing.T) {
			keep(t, pool)
			tag, err := pool.Exec(t.Context(), c.sql)
			if err != nil {
				t.Fatal(err)
			}
			if tag.RowsAffected() != 1 {
				t.Fatalf("%d rows were changed, want 1", tag.RowsAffected())
			}
			report := s.verify(t, pool)
			expect(t, report, verify.Violation)
			for _, d := range report.Differences {
				if d.Invariant == c.invariant && strings.Contains(d.Place, c.place) &&
					(strings.Contains(d.Expected, c.says) || strings.Contains(d.Found, c.says)) {
					return
				}
			}
			t.Errorf("no difference of %s at %q says %q\n%s", c.invariant, c.place, c.says, shown(report))
		})
	}
}
