package inventory

import (
	"fmt"
	"testing"
	"time"

	"onhand/inbox"
)

// Each of these asks for something else than all the others, under one identity.
func TestWhateverAnEventAsksForIsInItsFingerprint(t *testing.T) {
	t.Parallel()
	seen := make(map[int64]string)
	for _, rest := range []string{
		`"stock.sold","sku":"S","quantity":3`,
		`"stock.sold","lines":[{"sku":"S","quantity":3},{"sku":"T","quantity":3}]`,
		`"stock.sold","lines":[{"sku":"S","quantity":3},{"sku":"T","quantity":4}]`,
		`"stock.sold","lines":[{"sku":"S","quantity":3},{"sku":"T","quantity":3,"location":"north"}]`,
		`"stock.sold","lines":[{"sku":"S","quantity":3},{"sku":"T","quantity":3,"if_version":0}]`,
		`"stock.returned","sku":"S","quantity":3`,
		`"stock.returned","sku":"S","quantity":3,"condition":"damaged"`,
		`"stock.counted","sku":"S","quantity":3`,
		`"stock.counted","sku":"S","quantity":3,"counted_at":"2026-01-02T15:04:05Z"`,
		`"stock.counted","sku":"S","quantity":3,"counted_at":"2026-01-02T15:04:05.000000001Z"`,
		`"stock.reserved","reservation":"r"`,
		`"stock.reserved","reservation":"R"`,
		`"stock.reserved","reservation":"r","sku":"S","quantity":3`,
		`"stock.reserved","reservation":"r","sku":"S","quantity":3,"ttl":60`,
		`"stock.reserved","reservation":"r","sku":"S","quantity":3,"ttl":61`,
		`"stock.reserved","reservation":"r","sku":"S","quantity":3,"expires_at":"2026-01-02T15:04:05Z"`,
		`"stock.reserved","reservation":"r","sku":"S","quantity":3,"expires_at":"2026-01-02T15:04:06Z"`,
		`"stock.released","reservation":"r"`,
		`"stock.fulfilled","reservation":"r"`,
		`"stock.transferred","sku":"S","quantity":3,"to":"north"`,
		`"stock.transferred","sku":"S","quantity":3,"to":"south"`,
		`"stock.transferred","sku":"S","quantity":3,"to":"north","transfer":"t"`,
		`"stock.transferred","sku":"S","quantity":3,"to":"north","transfer":"u"`,
		`"stock.transfer_received","transfer":"t"`,
		`"stock.transfer_received","transfer":"t","sku":"S","quantity":3`,
		`"sku.defined","sku":"S"`,
		`"sku.defined","sku":"S","name":"piece"`,
		`"sku.defined","sku":"S","unit":"piece"`,
		`"sku.defined","sku":"S","low_stock":0`,
		`"sku.defined","sku":"S","low_stock":1`,
		`"sku.defined","sku":"S","bundle":[{"sku":"T","quantity":1}]`,
		`"sku.defined","sku":"S","bundle":[{"sku":"T","quantity":2}]`,
		`"sku.defined","sku":"S","bundle":[{"sku":"T","quantity":1},{"sku":"U","quantity":1}]`,
	} {
		got := decoded(t, `{"id":"e","kind":`+rest+`}`).Fingerprint
		if other, taken := seen[got]; taken {
			t.Errorf("%s and %s have one fingerprint", rest, other)
		}
		seen[got] = rest
	}
}

// A producer may write an event again in another way, and means the same.
func TestHowAnEventIsWrittenIsNotInItsFingerprint(t *testing.T) {
	t.Parallel()
	for _, same := range [][]string{
		{
			`"stock.sold","sku":"S","quantity":3`,
			`"stock.sold","quantity":3,"sku":"S","location":"main","reason":"r","time":"2026-01-02T15:04:05Z","note":1`,
			`"stock.sold","lines":[{"sku":"S","quantity":3}]`,
			`"stock.sold","lines":[{"sku":"S","quantity":1},{"sku":"S","quantity":2,"location":"main"}]`,
		},
		{
			`"stock.sold","lines":[{"sku":"S","quantity":3},{"sku":"T","quantity":3}],"location":"north"`,
			`"stock.sold","lines":[{"sku":"T","quantity":3,"location":"north"},{"sku":"S","quantity":3,"location":"north"}]`,
		},
		{`"stock.returned","sku":"S","quantity":3`, `"stock.returned","sku":"S","quantity":3,"condition":"sellable"`},
		{
			`"stock.counted","sku":"S","quantity":3,"counted_at":"2026-01-02T15:04:05Z"`,
			`"stock.counted","sku":"S","quantity":3,"counted_at":"2026-01-02T16:04:05.0+01:00"`,
		},
		{
			`"sku.defined","sku":"S","bundle":[{"sku":"T","quantity":1},{"sku":"U","quantity":1}]`,
			`"sku.defined","sku":"S","backorder":"deny","bundle":[{"sku":"U","quantity":1},{"sku":"T","quantity":1}]`,
		},
	} {
		want := decoded(t, `{"id":"e","kind":`+same[0]+`}`).Fingerprint
		for _, other := range same[1:] {
			if got := decoded(t, `{"id":"e","kind":`+other+`}`).Fingerprint; got != want {
				t.Errorf("%s: %x, want %x as of %s", other, got, want, same[0])
			}
		}
	}
}

// What is stored in an inbox today must be found again by tomorrow's binary; decide_test.go has the oldest ones.
func TestFingerprintsOfEveryKindStayAsTheyAre(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 1, 2, 15, 4, 5, 6, time.UTC)
	lines := []Line{{"SKU-1", "main", 3, AnyVersion}, {"SKU-2", "north", 4, 0}}
	for _, tt := range []struct {
		e    Event
		want string
	}{
		{Event{Kind: Returned, Lines: lines, Condition: Damaged}, "01d80ba52dd9ba8e"},
		{Event{Kind: Counted, Lines: lines, CountedAt: noon}, "0160985e0b932d4b"},
		{Event{Kind: Reserved, Lines: lines, Reservation: "r-1", Deadline: Deadline{At: noon}}, "0134912be9279e2f"},
		{Event{Kind: Reserved, Reservation: "r-1", Deadline: Deadline{After: 60}}, "0157d84b41035f12"},
		{Event{Kind: Transferred, Lines: lines, To: "south", Transfer: "t-1"}, "01c7d447a842eccc"},
		{Event{Kind: TransferReceived, Transfer: "t-1"}, "01aaa8c0f947ab3a"},
		{Event{Kind: Defined, Definition: &Definition{
			SKU: "SKU-1", Name: "Shirt", Unit: "piece", LowStock: new(int64(5)), Bundle: []Part{{"SKU-2", 2}},
		}}, "014196160d3ad789"},
	} {
		if got := fmt.Sprintf("%016x", fingerprint(&tt.e)); got != tt.want {
			t.Errorf("%+v: %s, want %s", tt.e, got, tt.want)
		}
	}
}

func decoded(t *testing.T, value string) inbox.Event {
	t.Helper()
	e, err := NewDecoder(DecoderConfig{}).Decode(&inbox.Record{Value: []byte(value)})
	if err != nil {
		t.Fatalf("%s: %v", value, err)
	}
	return e
}
