package reference

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestExamplesOfReservations(t *testing.T) {
	t.Parallel()
	received := event1{event: move("received", "A", 5)}
	reserved := event1{event: move("reserved", "A", 3) + reservation}
	for _, x := range []example{
		{"reserved and fulfilled", []event1{
			received, reserved,
			{event: move("sold", "A", 3), want: "insufficient_stock"},
			{event: `"kind":"stock.fulfilled"` + reservation},
			{event: `"kind":"stock.fulfilled"` + reservation, want: "reservation_closed"},
			{event: move("reserved", "A", 1) + reservation, want: "reservation_closed"},
		}, "A main: 2, 0, 0, 0, 3"},
		{"in parts", []event1{
			received, reserved,
			{event: move("fulfilled", "A", 1) + reservation},
			{event: move("released", "A", 3) + reservation, want: "exceeds_reservation"},
			{event: move("released", "B", 1) + reservation, want: "exceeds_reservation"},
			{event: move("reserved", "A", 3) + reservation, want: "reservation_conflict"},
			{event: move("reserved", "A", 2) + reservation}, // an extension: that is what is open
			{event: move("released", "A", 2) + reservation},
			{event: `"kind":"stock.released"` + reservation, want: "reservation_closed"},
		}, "A main: 4, 0, 0, 0, 4"},
		{"unknown", []event1{
			{event: `"kind":"stock.released"` + reservation, want: "unknown_reservation"},
			{event: move("fulfilled", "A", 1) + reservation, want: "unknown_reservation"},
			{event: `"kind":"stock.reserved"` + reservation, want: "unknown_reservation"},
		}, ""},
		{"not enough", []event1{
			received,
			{event: several("reserved", of("A", "main", 1), of("B", "main", 1)) + reservation, want: "insufficient_stock"},
			reserved,
			{event: move("reserved", "A", 3) + `,"reservation":"r2"`, want: "insufficient_stock"},
			{event: move("adjusted", "A", -4)}, // the shelf is the truth
			{event: `"kind":"stock.fulfilled"` + reservation, want: "insufficient_stock"},
			{event: move("fulfilled", "A", 1) + reservation},
		}, "A main: 0, 2, 0, 0, 4"},
		{"a promise of what may be ordered back", []event1{
			{event: `"kind":"sku.defined","sku":"A","backorder":"limit","backorder_limit":3`},
			reserved,
			{event: move("reserved", "A", 1) + `,"reservation":"r2"`, want: "insufficient_stock"},
			{event: `"kind":"stock.fulfilled"` + reservation},
		}, "A main: -3, 0, 0, 0, 2"},
		{"versions", []event1{
			received,
			{event: move("reserved", "A", 3) + `,"if_version":0` + reservation, want: "version_mismatch"},
			reserved,
			{event: move("released", "A", 9) + `,"if_version":1` + reservation, want: "version_mismatch"},
			{event: move("reserved", "A", 3) + `,"if_version":1` + reservation, want: "version_mismatch"},
		}, "A main: 5, 3, 0, 0, 2"},
	} {
		t.Run(x.name, func(t *testing.T) { t.Parallel(); x.check(t) })
	}
}

func TestExamplesOfDeadlines(t *testing.T) {
	t.Parallel()
	received := event1{event: move("received", "A", 5), clock: "12:00:00"}
	reserved := func(deadline string) event1 {
		return event1{event: move("reserved", "A", 3) + reservation + deadline, clock: "12:00:00"}
	}
	until := func(clock string) string { return `,"expires_at":"2026-03-01T` + clock + `Z"` }
	fulfilled := func(clock, want string) event1 {
		return event1{event: `"kind":"stock.fulfilled"` + reservation, want: want, clock: clock}
	}
	for _, x := range []example{
		{"kept at the last moment", []event1{
			received, reserved(`,"ttl":60`), fulfilled("12:01:00", ""),
		}, "A main: 2, 0, 0, 0, 3"},
		{"a moment later", []event1{
			received, reserved(`,"ttl":60`), fulfilled("12:01:01", "reservation_closed"),
		}, "A main: 5, 0, 0, 0, 3"},
		{"it lapses before the record is looked at", []event1{
			received, reserved(until("12:01:00")), {event: move("sold", "A", 5), clock: "12:02:00"},
		}, "A main: 0, 0, 0, 0, 4"},
		{"... even one that is then parked", []event1{
			received, reserved(until("12:01:00")),
			{event: move("transferred", "A", 2) + `,"to":"main"`, clock: "12:02:00", want: "parked same_location"},
		}, "A main: 5, 0, 0, 0, 3"},
		{"over already", []event1{
			received,
			{event: move("reserved", "B", 3) + reservation + until("12:00:00"), clock: "12:00:00", want: "already_expired"},
			reserved(`,"ttl":1`),
			{event: `"kind":"stock.reserved"` + reservation + until("11:00:00"), clock: "12:00:01", want: "already_expired"},
		}, "A main: 5, 3, 0, 0, 2"},
		{"extended", []event1{
			received, reserved(`,"ttl":60`),
			{event: `"kind":"stock.reserved"` + reservation + `,"ttl":60`, clock: "12:00:30"},
			fulfilled("12:01:30", ""),
		}, "A main: 2, 0, 0, 0, 3"},
		{"extended without end", []event1{
			received, reserved(`,"ttl":60`),
			{event: `"kind":"stock.reserved"` + reservation, clock: "12:00:30"},
			fulfilled("23:00:00", ""),
		}, "A main: 2, 0, 0, 0, 3"},
		{"said twice", []event1{
			{event: `"kind":"stock.reserved","ttl":1` + reservation + until("13:00:00"), want: "parked expires_twice"},
		}, ""},
	} {
		t.Run(x.name, func(t *testing.T) { t.Parallel(); x.check(t) })
	}
}

func TestAReservationLapsesByTheLogThatSetItsDeadline(t *testing.T) {
	t.Parallel()
	i := New()
	apply := func(partition int32, clock, event string) {
		t.Helper()
		o, err := i.Apply(Record{Partition{"t", partition}, at(clock), []byte("{" + event + "}")})
		if err != nil || o.Verdict != Applied {
			t.Fatalf("%s: %v, %v", event, o, err)
		}
	}
	reserve := func(id, tenant, name, ttl string) string {
		return fmt.Sprintf(`"id":%q,"tenant":%q,"reservation":%q,`, id, tenant, name) + move("reserved", "A", 1) + ttl
	}
	for _, tenant := range []string{"x", "y"} {
		apply(0, "12:00:00", `"id":"0","tenant":"`+tenant+`",`+move("received", "A", 9))
	}
	apply(0, "12:00:00", reserve("1", "y", "b", `,"ttl":60`))
	apply(0, "12:00:00", reserve("2", "x", "c", `,"ttl":60`))
	apply(0, "12:00:00", reserve("3", "x", "a", `,"ttl":60`))
	apply(0, "12:00:00", reserve("4", "y", "a", `,"ttl":30`))
	apply(0, "12:00:00", reserve("5", "y", "moved", `,"ttl":30`))
	apply(0, "12:00:00", reserve("6", "y", "never", ""))
	apply(1, "12:00:10", `"id":"7","tenant":"y","kind":"stock.reserved","ttl":30,"reservation":"moved"`)
	apply(1, "12:00:40", `"id":"8",`+move("received", "A", 1))
	before := len(i.Ledger)
	apply(0, "13:00:00", `"id":"9",`+move("received", "A", 1))
	var lapsed []string
	for _, m := range i.Ledger[before:] {
		if m.Kind == Expired {
			lapsed = append(lapsed, m.Tenant+m.EventID)
		}
		if m.Kind == Expired && (m.EventSource != "onhand:expiry" || m.Delta != 0) {
			t.Errorf("movement %+v", m)
		}
	}
	if want := []string{"ya", "xa", "xc", "yb"}; !slices.Equal(lapsed, want) {
		t.Errorf("lapsed %v, want %v", lapsed, want)
	}
	if d, ok := i.Inbox[Identity{"x", "a", "onhand:expiry"}]; !ok || d.Reason != "" {
		t.Errorf("the lapse is not remembered as applied")
	}
	if r := i.Reservations[PartyKey{"y", "moved"}]; r.State != StateOpen {
		t.Errorf("the one that another partition extended is %+v", r)
	}
	i.CaughtUp(at("12:00:00").Add(24 * time.Hour))
	if r := i.Reservations[PartyKey{"y", "moved"}]; r.State != StateExpired {
		t.Errorf("the one that another partition extended is %+v at the end of the log", r)
	}
	if r := i.Reservations[PartyKey{"y", "never"}]; r.State != StateOpen {
		t.Errorf("the one without a deadline is %+v", r)
	}
}

func TestExamplesOfTransfers(t *testing.T) {
	t.Parallel()
	received := event1{event: several("received", of("A", "main", 5), of("B", "main", 5), of("A", "south", 5))}
	sent := event1{event: several("transferred", of("A", "main", 2), of("B", "main", 2), of("A", "south", 1)) +
		`,"to":"north"` + transfer}
	const sentRows = "A main: 3, 0, 0, 0, 2; A north: 0, 0, 0, 3, 1; A south: 4, 0, 0, 0, 2; B main: 3, 0, 0, 0, 2; " +
		"B north: 0, 0, 0, 2, 1"
	arrived := func(want string, lines ...string) event1 {
		event := `"kind":"stock.transfer_received"`
		if len(lines) > 0 {
			event = several("transfer_received", lines...)
		}
		return event1{event: event + transfer, want: want}
	}
	for _, x := range []example{
		{"at once", []event1{
			received,
			{event: several("transferred", of("A", "main", 2), of("A", "south", 5)) + `,"to":"north"`},
			{event: move("transferred", "A", 4) + `,"to":"north"`, want: "insufficient_stock"},
		}, "A main: 3, 0, 0, 0, 2; A north: 7, 0, 0, 0, 1; A south: 0, 0, 0, 0, 2; B main: 5, 0, 0, 0, 1"},
		{"on its way", []event1{
			received, sent,
			{event: move("transferred", "A", 1) + `,"to":"north"` + transfer, want: "transfer_exists"},
			{event: `"kind":"stock.sold",` + of("A", "north", 1), want: "insufficient_stock"},
		}, sentRows},
		{"arrived as sent", []event1{
			received, sent, arrived(""), arrived("transfer_closed"),
			{event: move("transferred", "A", 1) + `,"to":"north"` + transfer, want: "transfer_exists"},
		}, "A main: 3, 0, 0, 0, 2; A north: 3, 0, 0, 0, 2; A south: 4, 0, 0, 0, 2; " +
			"B main: 3, 0, 0, 0, 2; B north: 2, 0, 0, 0, 2"},
		{"less and more of it", []event1{
			received, sent, arrived("not_in_transfer", `"sku":"C","quantity":1`),
			arrived("", `"sku":"A","quantity":4`, `"sku":"A","quantity":1`),
		}, "A main: 3, 0, 0, 0, 2; A north: 5, 0, 0, 0, 2; A south: 4, 0, 0, 0, 2; " +
			"B main: 3, 0, 0, 0, 2; B north: 0, 0, 0, 0, 2"},
		{"unknown", []event1{arrived("unknown_transfer")}, ""},
		{"promised goods stay", []event1{
			{event: move("received", "A", 5)},
			{event: move("reserved", "A", 3) + reservation},
			{event: move("transferred", "A", 3) + `,"to":"north"`, want: "insufficient_stock"},
			{event: move("transferred", "A", 2) + `,"to":"north"`},
		}, "A main: 3, 3, 0, 0, 3; A north: 2, 0, 0, 0, 1"},
		{"too much for one place", []event1{
			{event: several("received", of("A", "main", biggest), of("A", "north", 1))},
			{event: move("transferred", "A", biggest) + `,"to":"north"`, want: "overflow"},
			{event: move("transferred", "A", biggest) + `,"to":"north"` + transfer},
			arrived("overflow"), arrived("", `"sku":"A","quantity":0`),
		}, "A main: 0, 0, 0, 0, 2; A north: 1, 0, 0, 0, 3"},
	} {
		t.Run(x.name, func(t *testing.T) { t.Parallel(); x.check(t) })
	}
}

func TestDiscrepanciesAreKeptWithTheTransfer(t *testing.T) {
	t.Parallel()
	i := New()
	for n, event := range []string{
		several("received", of("A", "main", 5), of("B", "main", 5)),
		several("transferred", of("A", "main", 2), of("B", "main", 3)) + `,"to":"north"` + transfer,
		several("transfer_received", `"sku":"A","quantity":4`) + transfer,
	} {
		if _, err := i.Apply(Record{Partition{"t", 0}, at("12:00:00"), []byte(withID(event, n))}); err != nil {
			t.Fatal(err)
		}
	}
	got := i.Transfers[PartyKey{"", "t"}]
	if got.State != StateReceived || got.Got["A"] != 4 || got.Got["B"] != 0 || got.Sent["A"] != 2 || got.Sent["B"] != 3 ||
		len(got.Got) != 2 {
		t.Errorf("transfer %+v", got)
	}
	if err := i.Check(); err != nil {
		t.Error(err)
	}
}
