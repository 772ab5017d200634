package backlog

import (
	"fmt"
	"maps"
	"reflect"
	"testing"

	"onhand/internal/workload"
)

func TestBooksRejectWhatIsNotThereAndCountEachEventOnce(t *testing.T) {
	t.Parallel()
	b := newBooks(Shape{})
	for i, e := range []struct {
		id, kind string
		quantity int
	}{
		{"1", "received", 5},
		{"2", "sold", 3},
		{"3", "sold", 3}, // more than there is
		{"2", "sold", 3}, // again
		{"4", "adjusted", -2},
		{"5", "adjusted", -1}, // below zero
		{"6", "adjusted", 4},
	} {
		value := fmt.Sprintf(`{"id":%q,"kind":"stock.%s","sku":"S","quantity":%d}`, e.id, e.kind, e.quantity)
		if err := b.add([]byte(value)); err != nil {
			t.Fatalf("event %d: %v", i, err)
		}
	}
	if b.Records != 7 || b.Events != 6 || b.Applied != 4 || b.Rejected != 2 {
		t.Errorf("%d records, %d events, %d applied, %d rejected", b.Records, b.Events, b.Applied, b.Rejected)
	}
	if got, want := b.Decided["S"], (Row{OnHand: 4, Versions: 4}); got != want {
		t.Errorf("with decisions %+v, want %+v", got, want)
	}
	if got, want := b.Summed["S"], (Row{OnHand: 0, Versions: 6}); got != want {
		t.Errorf("summed %+v, want %+v", got, want)
	}
}

func TestBooksRefuseWhatTheyDoNotKnow(t *testing.T) {
	t.Parallel()
	for _, value := range []string{`{"id":"1","kind":"stock.counted","sku":"S","quantity":1}`, `no JSON`} {
		if err := newBooks(Shape{}).add([]byte(value)); err == nil {
			t.Errorf("%s: no error", value)
		}
	}
}

// enter adds events, which are in order.
func enter(t *testing.T, b *Books, events ...string) {
	t.Helper()
	for i, e := range events {
		if err := b.add(fmt.Appendf(nil, `{"id":"%d",%s}`, i, e)); err != nil {
			t.Fatalf("%s: %v", e, err)
		}
	}
}

func TestBooksApplyAnOrderWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	b := newBooks(Shape{Events: Orders, SKUs: 3})
	enter(
		t, b,
		`"kind":"stock.sold","lines":[{"sku":"SKU-000000","quantity":2},{"sku":"SKU-000001","quantity":3}]`,
		`"kind":"stock.sold","lines":[{"sku":"SKU-000000","quantity":1},{"sku":"SKU-000001","quantity":1000000000}]`,
		`"kind":"stock.received","lines":[{"sku":"SKU-000001","quantity":4}]`,
	)
	if b.Events != 3 || b.Applied != 2 || b.Rejected != 1 || b.Lines != 5 || b.AppliedLines != 3 || b.Opened != 3 {
		t.Errorf("%+v", b)
	}
	const full = workload.OpeningStock
	decided := map[string]Row{
		"SKU-000000": {OnHand: full - 2, Versions: 2}, "SKU-000001": {OnHand: full + 1, Versions: 3},
		"SKU-000002": {OnHand: full, Versions: 1},
	}
	if !maps.Equal(b.Decided, decided) {
		t.Errorf("with decisions %+v, want %+v", b.Decided, decided)
	}
	if got, want := b.Summed["SKU-000000"], (Row{OnHand: full - 3, Versions: 3}); got != want {
		t.Errorf("summed %+v, want %+v", got, want)
	}
}

func TestBooksFollowAReservationToItsEnd(t *testing.T) {
	t.Parallel()
	b := newBooks(Shape{Events: Reservations, SKUs: 2})
	const two = `"lines":[{"sku":"SKU-000001","quantity":3},{"sku":"SKU-000000","quantity":2}]`
	enter(
		t, b,
		`"kind":"stock.reserved","reservation":"whole",`+two,
		`"kind":"stock.reserved","reservation":"part",`+two,
		`"kind":"stock.reserved","reservation":"open",`+two,
		`"kind":"stock.reserved","reservation":"no","lines":[{"sku":"SKU-000000","quantity":1000000000}]`,
		`"kind":"stock.fulfilled","reservation":"whole"`,
		`"kind":"stock.fulfilled","reservation":"part","lines":[{"sku":"SKU-000001","quantity":1}]`,
		`"kind":"stock.fulfilled","reservation":"open","lines":[{"sku":"SKU-000000","quantity":2}]`,
		`"kind":"stock.released","reservation":"part"`,
	)
	want := map[string]*Reservation{
		"whole": {State: Fulfilled}, "part": {State: Released}, "no": {
			State: Open, Lines: []Line{{"SKU-000000", 1_000_000_000}}, Refused: true,
		},
		"open": {State: Open, Lines: []Line{{"SKU-000001", 3}}},
	}
	if !reflect.DeepEqual(b.Reservations, want) {
		t.Errorf("reservations %+v", b.Reservations)
	}
	const full = workload.OpeningStock
	rows := map[string]Row{
		"SKU-000000": {OnHand: full - 4, Reserved: 0, Versions: 7},
		"SKU-000001": {OnHand: full - 4, Reserved: 3, Versions: 7},
	}
	if !maps.Equal(b.Decided, rows) {
		t.Errorf("stock %+v, want %+v", b.Decided, rows)
	}
	if b.Rejected != 1 || b.Lines != 13 || b.AppliedLines != 12 {
		t.Errorf("%+v", b)
	}
	for _, wrong := range []string{
		`"kind":"stock.fulfilled","reservation":"whole"`, `"kind":"stock.released","reservation":"no"`,
		`"kind":"stock.released","reservation":"nobody's"`, `"kind":"stock.reserved","reservation":"open",` + two,
		`"kind":"stock.fulfilled","reservation":"open","lines":[{"sku":"SKU-000001","quantity":4}]`,
	} {
		if err := b.add(fmt.Appendf(nil, `{"id":%q,%s}`, wrong, wrong)); err == nil {
			t.Errorf("%s: no error", wrong)
		}
	}
}
