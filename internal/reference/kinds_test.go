package reference

import "testing"

func TestExamplesOfWhatMovesStock(t *testing.T) {
	t.Parallel()
	for _, x := range []example{
		{"receipts and sales", []event1{
			{event: move("received", "A", 5)},
			{event: move("sold", "A", 3)},
			{event: move("sold", "A", 3), want: "insufficient_stock"},
			{event: move("sold", "A", 2)},
		}, "A main: 0, 0, 0, 0, 3"},
		{"a refused event leaves no row", []event1{{event: move("sold", "A", 1), want: "insufficient_stock"}}, ""},
		{"backorders", []event1{
			{event: `"kind":"sku.defined","sku":"A","backorder":"limit","backorder_limit":4`},
			{event: move("sold", "A", 3)},
			{event: move("sold", "A", 2), want: "insufficient_stock"},
			{event: `"kind":"sku.defined","sku":"A"`, want: "policy_conflict"},
			{event: `"kind":"sku.defined","sku":"A","backorder":"allow"`},
			{event: move("sold", "A", 20)},
		}, "A main: -23, 0, 0, 0, 2"},
		{"returns", []event1{
			{event: move("returned", "A", 2)},
			{event: move("returned", "A", 3) + `,"condition":"damaged"`},
			{event: move("sold", "A", 3), want: "insufficient_stock"},
		}, "A main: 2, 0, 3, 0, 2"},
		{"adjustments", []event1{
			{event: move("adjusted", "A", 4)},
			{event: move("adjusted", "A", -5), want: "below_zero"},
			{event: move("adjusted", "A", -1)},
			{event: move("adjusted", "A", 2) + `,"condition":"damaged"`},
			{event: move("adjusted", "A", -3) + `,"condition":"damaged"`, want: "below_zero"},
			{event: several("adjusted", of("A", "main", 5), of("A", "main", -5))},
		}, "A main: 3, 0, 2, 0, 4"},
		{"counts", []event1{
			{event: move("counted", "A", 4)},
			{event: move("counted", "A", 4)},
			{event: move("counted", "A", 1) + `,"condition":"damaged"`},
			{event: move("counted", "A", 0)},
		}, "A main: 0, 0, 1, 0, 4"},
		{"versions", []event1{
			{event: move("received", "A", 4) + `,"if_version":1`, want: "version_mismatch"},
			{event: move("received", "A", 4) + `,"if_version":0`},
			{event: move("sold", "A", 9) + `,"if_version":0`, want: "version_mismatch"},
			{event: move("sold", "A", 1) + `,"if_version":1`},
		}, "A main: 3, 0, 0, 0, 2"},
		{"overflows", []event1{
			{event: move("received", "A", biggest)},
			{event: move("received", "A", 1), want: "overflow"},
			{event: move("returned", "A", 1) + `,"condition":"damaged"`},
			{event: move("returned", "A", biggest) + `,"condition":"damaged"`, want: "overflow"},
			{event: `"kind":"sku.defined","sku":"B","backorder":"allow"`},
			{event: move("sold", "B", biggest)},
			{event: move("sold", "B", 2), want: "overflow"},
			{event: move("counted", "B", 1), want: "overflow"}, // the change would not fit
			{event: move("reserved", "B", 2) + reservation, want: "overflow"},
		}, "A main: 9223372036854775807, 0, 1, 0, 2; B main: -9223372036854775807, 0, 0, 0, 1"},
		{"all lines or none", []event1{
			{event: several("received", of("A", "main", 5), of("B", "main", 5))},
			{event: several("sold", of("A", "main", 1), of("B", "main", 6)), want: "insufficient_stock"},
			{event: several("sold", of("A", "main", 3), of("A", "main", 3)), want: "insufficient_stock"},
			{event: several("sold", of("B", "main", 1), of("A", "main", 2), of("A", "main", 3))},
		}, "A main: 0, 0, 0, 0, 2; B main: 4, 0, 0, 0, 2"},
		{"the first refusal is the reason", []event1{
			{event: several("sold", of("B", "main", 1)+`,"if_version":7`, of("A", "main", 6)), want: "insufficient_stock"},
			{event: several("sold", of("B", "main", 1), of("A", "main", 6)+`,"if_version":7`), want: "version_mismatch"},
		}, ""},
		{"what is wrong with several lines", []event1{
			{event: several("received", of("A", "main", biggest), of("A", "main", 1)), want: "parked quantity_out_of_range"},
			{
				event: several("received", of("A", "main", 1)+`,"if_version":0`, of("A", "main", 1)+`,"if_version":1`),
				want:  "parked if_version_conflict",
			},
			{event: several("received", of("A", "main", 1), of("A", "main", 1)+`,"if_version":3`), want: "version_mismatch"},
			{event: several("received", of("A", "main", 1)+`,"if_version":3`, of("A", "main", 1)), want: "version_mismatch"},
		}, ""},
		{"a default location beside lines", []event1{
			{event: several("received", `"sku":"A","quantity":2`, of("A", "main", 3)) + `,"location":"north"`},
		}, "A main: 3, 0, 0, 0, 1; A north: 2, 0, 0, 0, 1"},
		{"tenants", []event1{
			{event: move("received", "A", 1)}, {event: move("sold", "A", 1) + `,"tenant":"x"`, want: "insufficient_stock"},
		}, "A main: 1, 0, 0, 0, 1"},
	} {
		t.Run(x.name, func(t *testing.T) { t.Parallel(); x.check(t) })
	}
}

func TestExamplesOfIdentity(t *testing.T) {
	t.Parallel()
	for _, x := range []example{
		{"the same again", []event1{
			{event: `"id":"e",` + move("received", "A", 2)},
			{event: `"id":"e",` + move("received", "A", 2), want: "duplicate"},
			{event: `"id":"e",` + several("received", of("A", "main", 1), of("A", "main", 1)), want: "duplicate"},
			{event: `"id":"e","time":"2026-01-01T00:00:00Z","reason":"r",` + move("received", "A", 2), want: "duplicate"},
			{event: `"id":"e",` + move("received", "A", 3), want: "id_conflict"},
			{event: `"id":"e",` + move("returned", "A", 2), want: "id_conflict"},
			{event: `"id":"e","source":"s",` + move("received", "A", 2)},
		}, "A main: 4, 0, 0, 0, 2"},
		{"a refusal is final", []event1{
			{event: `"id":"e",` + move("sold", "A", 2), want: "insufficient_stock"},
			{event: move("received", "A", 2)},
			{event: `"id":"e",` + move("sold", "A", 2), want: "duplicate"},
		}, "A main: 2, 0, 0, 0, 1"},
		{"what is parked may be put right", []event1{
			{
				event: `"id":"e",` + several("transferred", of("A", "main", 2)) + `,"to":"main"`,
				want:  "parked same_location",
			},
			{event: `"id":"e",` + move("received", "A", 2)},
		}, "A main: 2, 0, 0, 0, 1"},
	} {
		t.Run(x.name, func(t *testing.T) { t.Parallel(); x.check(t) })
	}
}

func TestExamplesOfCountsOfThePast(t *testing.T) {
	t.Parallel()
	counted := func(at string) string { return move("counted", "A", 4) + `,"counted_at":"2026-03-01T` + at + `Z"` }
	for _, x := range []example{
		{"a count before a movement", []event1{
			{event: move("received", "A", 5), clock: "12:00:00"},
			{event: counted("11:59:59"), want: "count_outdated"},
			{event: counted("12:00:00")},
		}, "A main: 4, 0, 0, 0, 2"},
		{"an event's own time", []event1{
			{event: move("received", "A", 5) + `,"time":"2026-03-01T10:00:00Z"`, clock: "12:00:00"},
			{event: counted("09:59:59"), want: "count_outdated"},
			{event: counted("10:00:00")},
			{event: move("received", "A", 1) + `,"time":"2026-03-01T18:00:00Z"`, clock: "13:00:00"},
			{event: counted("12:59:59"), want: "count_outdated"},
			{event: counted("13:00:00")},
		}, "A main: 4, 0, 0, 0, 4"},
		{"a count of the same is the latest", []event1{
			{event: move("received", "A", 4), clock: "12:00:00"},
			{event: move("counted", "A", 4), clock: "13:00:00"},
			{event: counted("12:59:59"), want: "count_outdated"},
		}, "A main: 4, 0, 0, 0, 2"},
		{"what is only reserved did not move", []event1{
			{event: move("received", "A", 4), clock: "12:00:00"},
			{event: move("reserved", "A", 4) + reservation, clock: "13:00:00"},
			{event: counted("12:00:00")},
		}, "A main: 4, 4, 0, 0, 3"},
		{"damaged goods that move count, of another place not", []event1{
			{event: move("returned", "A", 4) + `,"condition":"damaged"`, clock: "12:00:00"},
			{event: `"kind":"stock.received",` + of("A", "north", 4), clock: "13:00:00"},
			{event: counted("11:00:00"), want: "count_outdated"},
			{event: counted("12:00:00")},
		}, "A main: 4, 0, 4, 0, 2; A north: 4, 0, 0, 0, 1"},
	} {
		t.Run(x.name, func(t *testing.T) { t.Parallel(); x.check(t) })
	}
}

func TestExamplesOfBundles(t *testing.T) {
	t.Parallel()
	const (
		kit  = `"kind":"sku.defined","sku":"kit","bundle":[{"sku":"B","quantity":1},{"sku":"A","quantity":2}]`
		pair = `"kind":"sku.defined","sku":"pair","bundle":[{"sku":"kit","quantity":2}]`
	)
	for _, x := range []example{
		{"sold, returned and reserved as parts", []event1{
			{event: kit},
			{event: several("received", of("A", "main", 9), of("B", "main", 9))},
			{event: move("sold", "kit", 2)},
			{event: move("returned", "kit", 1) + `,"condition":"damaged"`},
			{event: move("reserved", "kit", 2) + reservation},
			{event: move("reserved", "kit", 2) + reservation}, // an extension
			{event: move("sold", "kit", 1), want: "insufficient_stock"},
			{event: move("fulfilled", "kit", 1) + reservation, want: "is_bundle"},
			{event: move("fulfilled", "A", 1) + reservation},
			{event: `"kind":"stock.fulfilled"` + reservation},
		}, "A main: 1, 0, 2, 0, 6; B main: 5, 0, 1, 0, 5"},
		{"together with their parts", []event1{
			{event: kit},
			{event: several("received", of("A", "main", 3), of("B", "main", 1))},
			{event: several("sold", of("A", "main", 2), of("kit", "main", 1)), want: "insufficient_stock"},
			{event: several("sold", of("A", "main", 1), of("kit", "main", 1))},
		}, "A main: 0, 0, 0, 0, 2; B main: 0, 0, 0, 0, 2"},
		{"refusals", []event1{
			{event: kit},
			{event: pair},
			{event: move("received", "kit", 1), want: "is_bundle"},
			{event: move("adjusted", "kit", 1), want: "is_bundle"},
			{event: move("counted", "kit", 1), want: "is_bundle"},
			{event: move("transferred", "kit", 1) + `,"to":"north"`, want: "is_bundle"},
			{event: move("sold", "kit", 1) + `,"if_version":1`, want: "version_mismatch"},
			{event: move("sold", "kit", 1) + `,"if_version":0`, want: "insufficient_stock"},
			{event: move("received", "kit", 1) + `,"if_version":1`, want: "version_mismatch"},
			{event: move("sold", "pair", 1), want: "bundle_of_bundle"},
			{event: move("returned", "kit", biggest), want: "overflow"},
			{event: move("received", "A", 1)},
			{event: `"kind":"sku.defined","sku":"A","bundle":[{"sku":"B","quantity":1}]`, want: "has_stock"},
			{event: `"kind":"sku.defined","sku":"C","bundle":[{"sku":"C","quantity":1}]`, want: "parked bad_bundle"},
			{event: `"kind":"sku.defined","sku":"kit"`},
			{event: move("received", "kit", 1)},
		}, "A main: 1, 0, 0, 0, 1; kit main: 1, 0, 0, 0, 1"},
	} {
		t.Run(x.name, func(t *testing.T) { t.Parallel(); x.check(t) })
	}
}
