package backlog

import (
	"fmt"
	"testing"
)

func TestBooksRejectWhatIsNotThereAndCountEachEventOnce(t *testing.T) {
	t.Parallel()
	b := newBooks()
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
		if err := newBooks().add([]byte(value)); err == nil {
			t.Errorf("%s: no error", value)
		}
	}
}
