package verify

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// What order remembers of a row are a few numbers; the model remembers everything.
func TestWhatIsSaidOfAMessagesPlaceIsSoWhateverCameBefore(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		o, p := newOrder(), &outPartition{OutboxPartition: &OutboxPartition{Topic: "t"}}
		row := stockRow{"", "A", "main"}
		var seen []int64
		for _, version := range rapid.SliceOf(rapid.Int64Range(1, 12)).Draw(t, "versions") {
			got := o.take(row, version, p)
			again := slices.Contains(seen, version)
			late := !again && len(seen) > 0 && version < slices.Max(seen)
			if got.again != again || got.late != late || got.moved != nil {
				t.Fatalf("version %d after %v: %+v", version, seen, got)
			}
			if len(seen) > 0 && got.last != slices.Max(seen) {
				t.Fatalf("version %d after %v comes after %d", version, seen, got.last)
			}
			seen = append(seen, version)
		}
		if len(seen) > 0 {
			checkGaps(t, o, row, seen)
		}
	})
}

// checkGaps: the first version, the last one and the gaps say together which versions were read.
func checkGaps(t *rapid.T, o *order, row stockRow, seen []int64) {
	s, spans := o.rows[row.digest()], 0
	if s.first != slices.Min(seen) || s.last != slices.Max(seen) {
		t.Fatalf("%v are said to be %d to %d", seen, s.first, s.last)
	}
	missing := make(map[int64]int)
	for _, of := range o.gaps {
		for _, g := range of.spans {
			spans++
			for v := g.from; v < g.to; v++ {
				missing[v]++
			}
		}
	}
	if spans != o.spans {
		t.Fatalf("%d gaps, counted as %d", spans, o.spans)
	}
	for v := s.first; v <= s.last; v++ {
		want := 1
		if slices.Contains(seen, v) {
			want = 0
		}
		if missing[v] != want {
			t.Fatalf("version %d of %v is in %d gaps", v, seen, missing[v])
		}
		delete(missing, v)
	}
	if len(missing) > 0 {
		t.Fatalf("%v are said to be missing of %v", missing, seen)
	}
}

func TestRowsAreToldApart(t *testing.T) {
	t.Parallel()
	rows := []stockRow{{"", "A", "main"}, {"A", "", "main"}, {"", "Amain", ""}, {"", "A", "mai"}, {"x", "A", "main"}}
	o, p := newOrder(), &outPartition{OutboxPartition: &OutboxPartition{Topic: "t"}}
	for range 2 {
		for i, row := range rows {
			version := o.rows[row.digest()].last + 1
			if got := o.take(row, version, p); got.again || got.late || version > 2 {
				t.Errorf("row %d, version %d: %+v", i, version, got)
			}
		}
	}
	if len(o.rows) != len(rows) || len(o.gaps) != 0 {
		t.Errorf("%d rows, %d with gaps", len(o.rows), len(o.gaps))
	}
}

func TestGapsAreBounded(t *testing.T) {
	t.Parallel()
	o, p := newOrder(), &outPartition{OutboxPartition: &OutboxPartition{Topic: "t"}}
	for v := range int64(maxGaps + 2) {
		o.take(stockRow{sku: "A"}, 2*v+1, p)
	}
	if o.spans != maxGaps || !o.full {
		t.Errorf("%d gaps, full: %t", o.spans, o.full)
	}
}
