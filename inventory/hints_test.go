package inventory

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"

	"onhand/inbox"
	"onhand/internal/testenv"
)

func TestOnlyTheFirstSaleOfABundleInAProcessIsRunTwice(t *testing.T) {
	t.Parallel()
	conn := connect(t, testenv.Database(t))
	commitHistory(t, conn, append(receives("A", "B", "C"), bundles("kit", "A", "B"), bundles("pair", "B"),
		bundles("box", "C"))...)
	shared := &Hints{}
	one, other := NewHandler(Config{Hints: shared}), NewHandler(Config{Hints: shared})
	expectRuns(t, conn, one, 2, moves(Sold, "kit", "main", 1), moves(Sold, "pair", "main", 1),
		moves(Sold, "box", "main", 1))
	expectRuns(t, conn, other, 1, moves(Sold, "kit", "main", 2), moves(Sold, "pair", "main", 2),
		moves(Sold, "box", "main", 2))
	expectRuns(t, conn, one, 1, moves(Sold, "kit", "main", 3))
	expectRuns(t, conn, NewHandler(Config{}), 2, moves(Sold, "kit", "main", 4)) // of another process
	expectOnHand(t, conn, map[string]int64{"A": 90, "B": 87, "C": 97})
}

func TestAnOldHintCostsOneRunAndDecidesNothing(t *testing.T) {
	t.Parallel()
	conn := connect(t, testenv.Database(t))
	commitHistory(t, conn, append(receives("A", "B", "C"), bundles("kit", "A", "B"))...)
	h, key := NewHandler(Config{}), skuKey{"", "kit"}
	expectHint := func(want ...string) {
		t.Helper()
		if got := h.hints.now()[key]; !slices.Equal(got, want) {
			t.Errorf("the hint is %q, want %q", got, want)
		}
	}
	expectRuns(t, conn, h, 2, moves(Sold, "kit", "main", 1))
	expectHint("A", "B")

	commitHistory(t, conn, bundles("kit", "A", "C"))
	expectRuns(t, conn, h, 2, moves(Sold, "kit", "main", 2))
	expectOnHand(t, conn, map[string]int64{"A": 97, "B": 99, "C": 98})
	expectHint("A", "C")

	commitHistory(t, conn, bundles("kit", "C")) // less than was foreseen
	expectRuns(t, conn, h, 1, moves(Sold, "kit", "main", 3))
	expectOnHand(t, conn, map[string]int64{"A": 97, "B": 99, "C": 95})
	expectHint("C")

	commitHistory(t, conn, defines("kit", Policy{}), moves(Received, "kit", "main", 9))
	expectRuns(t, conn, h, 1, moves(Sold, "kit", "main", 4))
	expectOnHand(t, conn, map[string]int64{"A": 97, "B": 99, "C": 95, "kit": 5})
	expectHint()
}

func TestABatchIsRunAgainWithWhatItReadItself(t *testing.T) {
	t.Parallel()
	conn := connect(t, testenv.Database(t))
	commitHistory(t, conn, append(receives("A", "B"), bundles("kit", "A", "B"))...)
	h, is := NewHandler(Config{}), items([]occurrence{moves(Sold, "kit", "main", 1)})
	if err := commitBatch(t.Context(), conn, h, is); !errors.Is(err, inbox.ErrRunAgain) {
		t.Fatalf("got %v", err)
	}
	h.hints.learn(map[skuKey][]string{{"", "kit"}: nil}) // others have pushed it out
	must(t, commitBatch(t.Context(), conn, h, is))
}

func TestHintsAreBounded(t *testing.T) {
	t.Parallel()
	var h Hints
	parts := make([]string, maxParts)
	for i := range parts {
		parts[i] = fmt.Sprintf("%0*d", maxNameBytes, i)
	}
	last := skuKey{}
	for i := range 2 * maxHintBytes / (maxParts * maxNameBytes) {
		last = skuKey{"", strconv.Itoa(i)}
		h.learn(map[skuKey][]string{last: parts})
		h.learn(map[skuKey][]string{last: parts})
	}
	bytes := 0
	for k, parts := range h.now() {
		bytes += hintBytes(k, parts)
	}
	if bytes > maxHintBytes || bytes != h.bytes || len(h.now()[last]) != maxParts {
		t.Errorf("%d bytes of hints, counted as %d, %d parts of the last one", bytes, h.bytes, len(h.now()[last]))
	}
	h.learn(map[skuKey][]string{last: nil})
	if h.now()[last] != nil || h.bytes != bytes-hintBytes(last, parts) {
		t.Error("forgotten, and still there")
	}
}

func TestAReservationThatIsNamedWeighsWhatIsUsual(t *testing.T) {
	t.Parallel()
	shared := &Hints{}
	decoder := NewDecoder(DecoderConfig{Hints: shared})
	expect := func(when string, want int) {
		t.Helper()
		e, err := decoder.Decode(&inbox.Record{Value: []byte(`{"id":"e","kind":"stock.fulfilled","reservation":"R"}`)})
		must(t, err)
		if e.Weight != want {
			t.Errorf("%s it weighs %d, want %d", when, e.Weight, want)
		}
	}
	expect("before anything is known", 8)
	conn, h := connect(t, testenv.Database(t)), NewHandler(Config{Hints: shared})
	const orders = 20
	history := receives("SKU-0000", "SKU-0001")
	for i := range orders {
		id := strconv.Itoa(i)
		history = append(history, ofReservation(long(Reserved, "reserve "+id, 2), id))
	}
	must(t, commitBatch(t.Context(), conn, h, items(history)))
	expect("after reservations that were new", 8)
	for i := range orders {
		id := strconv.Itoa(i)
		fulfilled := ofReservation(long(Fulfilled, "fulfil "+id, 0), id)
		must(t, commitBatch(t.Context(), conn, h, items([]occurrence{fulfilled})))
	}
	expect("after reservations of two lines", 2)
	must(t, commitBatch(t.Context(), conn, h, items([]occurrence{ofReservation(long(Released, "again", 0), "0")})))
	expect("after one that has none left", 2)
}
