package inventory

import (
	"slices"
	"testing"
)

func TestBatchesThatShareManyRowsShareSomeThatTheyName(t *testing.T) {
	t.Parallel()
	named := func(history ...occurrence) []uint64 {
		h := NewHandler(Config{})
		return slices.Sorted(h.Want(items(history)))
	}
	const many = 1000
	all := named(long(Sold, "a", many))
	if n := len(all); n < many/oneIn/2 || n > many/oneIn*2 {
		t.Errorf("%d of %d rows are named, want about one in %d", n, many, oneIn)
	}
	if again := named(long(Received, "b", many)); !slices.Equal(again, all) {
		t.Error("another batch names others of the same rows")
	}
	few := named(long(Sold, "c", fewRows-1))
	if len(few) != fewRows-1 {
		t.Errorf("%d of %d rows are named, want all of so few", len(few), fewRows-1)
	}
	inBoth := func(hash uint64) bool { _, found := slices.BinarySearch(all, hash); return found }
	if !slices.ContainsFunc(few, inBoth) {
		t.Error("a batch with few of the rows of a large one names none that this one names")
	}
	if elsewhere := named(moves(Sold, "SKU-0000", "north", 1)); slices.ContainsFunc(elsewhere, inBoth) {
		t.Error("another location is taken for the same row")
	}
}
