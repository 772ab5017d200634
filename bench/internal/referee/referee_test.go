package referee

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"onhand/bench/internal/backlog"
	"onhand/internal/testenv"
)

// Three events on two SKUs, one of them rejected and two sent twice, and the rows they lead to.
const rightRows = `
insert into stock (tenant, sku, location, on_hand, version, backorder, last_topic, last_partition, moved_at)
values ('', 'A', 'main', 5, 1, 'allow', 't', 0, now()), ('', 'B', 'main', 7, 1, 'allow', 't', 0, now());
insert into inbox (tenant, event_id, source, fingerprint, outcome, reason, topic, partition, incarnation, "offset")
values ('', 'e1', 's', 1, 'applied', null, 't', 0, 1, 0), ('', 'e2', 's', 1, 'applied', null, 't', 0, 1, 1),
       ('', 'e3', 's', 1, 'rejected', 'insufficient_stock', 't', 0, 1, 2);
insert into movements (tenant, sku, location, version, delta, on_hand, kind, event_id, event_source,
  message_id)
values ('', 'A', 'main', 1, 5, 5, 'stock.received', 'e1', 's', 1),
       ('', 'B', 'main', 1, 7, 7, 'stock.received', 'e2', 's', 2);
insert into offsets (topic, partition, start, next, applied, rejected, duplicate) values ('t', 0, 0, 5, 2, 1, 2)`

func rightBooks() *backlog.Books {
	return &backlog.Books{
		Records: 5, Events: 3, Applied: 2, Rejected: 1, Lines: 3, AppliedLines: 2,
		Decided: map[string]backlog.Row{"A": {OnHand: 5, Versions: 1}, "B": {OnHand: 7, Versions: 1}},
		Summed:  map[string]backlog.Row{"A": {OnHand: 5, Versions: 1}, "B": {OnHand: -3, Versions: 2}},
	}
}

func TestEveryWrongRowIsNoticed(t *testing.T) {
	t.Parallel()
	everything := Terms{Decides: true, Books: true, Counts: true}
	for _, tt := range []struct {
		name, change string
		terms        Terms
		fault        string // part of one; empty = none
	}{
		{"nothing is wrong", ``, everything, ""},
		{"only stock is kept", `truncate inbox, movements`, Terms{Decides: true}, ""},
		{"a lost update", `update stock set on_hand = 4 where sku = 'A'`, everything, "stock of A is 4"},
		{"a lost update, only stock", `update stock set on_hand = 4 where sku = 'A'`, Terms{Decides: true}, "is 4"},
		{"a version too many", `update stock set version = 2 where sku = 'A'`, everything, "after 2 movements"},
		{"a row too few", `delete from stock where sku = 'A'`, everything, "1 rows of stock, not 2"},
		{
			"a row too many", `update stock set sku = 'C' where sku = 'A'`, everything,
			"stock of C is 5 after 1 movements, not 0 after 0",
		},
		{"negative stock", `update stock set on_hand = -1 where sku = 'A'`, everything, "1 rows of stock are negative"},
		{"a lost event", `delete from inbox where event_id = 'e3'`, everything, "0 rejected events in the inbox, not 1"},
		{
			"a decision the other way", `update inbox set outcome = 'applied', reason = null where event_id = 'e3'`,
			everything, "3 applied events in the inbox, not 2",
		},
		{"a lost movement", `delete from movements where event_id = 'e1'`, everything, "1 movements, not 2"},
		{
			"two effects of one event", `update movements set event_id = 'e1'`, everything,
			"1 different events with a movement, not 2",
		},
		{
			"an effect of a rejected event", `update movements set event_id = 'e3' where event_id = 'e1'`, everything,
			"1 movements of an event that the inbox has as applied, not 2",
		},
		{
			"a ledger that does not add up", `update movements set delta = 6 where event_id = 'e1'`, everything,
			"1 rows of stock that are not the sum of their movements",
		},
		{
			"a lost message", `update movements set message_id = null where message_id = 1`, everything,
			"1 outgoing messages, not 2",
		},
		{
			"a message too many",
			`insert into outbox_messages (id, slot, topic, event_id, payload) values (3, 0, 'o', 'e1', '')`, everything,
			"3 outgoing messages, not 2",
		},
		{
			"a reservation that nobody made", `update stock set reserved = 1 where sku = 'A'`, everything,
			"1 rows of stock with something else reserved than is open",
		},
		{
			"an effect of a duplicate", `update offsets set applied = 3, duplicate = 1`, everything,
			"3 records counted as applied, not 2",
		},
		{
			"a record that was parked", `update offsets set parked = 1, duplicate = 1`, everything,
			"1 records counted as anything else, not 0",
		},
		{"a partition that is nobody's", `delete from offsets`, everything, "0 records counted as duplicate, not 2"},
		{"no counts are kept", `delete from offsets`, Terms{Decides: true, Books: true}, ""},
		{"no decisions", `update stock set on_hand = -3, version = 2 where sku = 'B'`, Terms{}, ""},
		{"no decisions, and a wrong sum", ``, Terms{}, "stock of B is 7 after 1 movements, not -3 after 2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			expectFault(t, databaseWith(t, rightRows+";"+tt.change), rightBooks(), tt.terms, tt.fault)
		})
	}
}

// databaseWith returns the URL of a database in which those statements were run.
func databaseWith(t *testing.T, statements string) string {
	t.Helper()
	url := testenv.Database(t)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), statements, pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	return url
}

// expectFault checks a database that was empty before; want is a part of what is said, or empty if nothing is to be said.
func expectFault(t *testing.T, url string, b *backlog.Books, terms Terms, want string) {
	t.Helper()
	faults, err := Check(t.Context(), url, b, 0, terms)
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(faults, "\n")
	if (want == "") != (all == "") || !strings.Contains(all, want) {
		t.Errorf("faults %q, want %q", all, want)
	}
}

func TestRowsThatWereThereBeforeAreNoFault(t *testing.T) {
	t.Parallel()
	const before = `
insert into inbox (tenant, event_id, source, fingerprint, outcome, topic, partition, incarnation, "offset")
values ('', 'old', 's', 1, 'applied', 'prefill', 0, 1, 0)`
	url := databaseWith(t, rightRows+";"+before)
	terms := Terms{Decides: true, Books: true, Counts: true}
	for prefilled, want := range map[int]string{1: "", 0: "3 applied events in the inbox, not 2"} {
		faults, err := Check(t.Context(), url, rightBooks(), prefilled, terms)
		if err != nil || strings.Join(faults, "\n") != want {
			t.Errorf("with %d rows before: %q, %v", prefilled, faults, err)
		}
	}
}
