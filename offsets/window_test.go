package offsets

import (
	"testing"

	"pgregory.net/rapid"
)

func TestTheWindowCountsAsAPlainListOfTheLatestRecordsDoes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var w Window
		var latest []bool
		for _, parked := range rapid.SliceOfN(rapid.Bool(), 0, 700).Draw(t, "parked") {
			storm := w.Add(parked)
			latest = append(latest, parked)
			latest = latest[max(0, len(latest)-200):]
			n := 0
			for _, p := range latest {
				if p {
					n++
				}
			}
			if w.Seen() != len(latest) || w.Parked() != n {
				t.Fatalf("seen %d parked %d, want %d %d", w.Seen(), w.Parked(), len(latest), n)
			}
			if want := parked && len(latest) >= 50 && 2*n > len(latest); storm != want {
				t.Fatalf("storm %v with %d of %d, want %v", storm, n, len(latest), want)
			}
			if rapid.IntRange(0, 9).Draw(t, "restart") == 0 {
				b, err := w.MarshalBinary()
				if err != nil {
					t.Fatal(err)
				}
				var read Window
				if err := read.UnmarshalBinary(b); err != nil || read != w {
					t.Fatalf("read back %+v, %v, want %+v", read, err, w)
				}
				w = read
			}
		}
	})
}

func TestAWindowThatIsNotOneIsRefused(t *testing.T) {
	t.Parallel()
	var w Window
	if err := w.UnmarshalBinary(nil); err != nil {
		t.Errorf("an empty window: %v", err)
	}
	for _, b := range [][]byte{{1}, make([]byte, windowBytes-1), append([]byte{201}, make([]byte, windowBytes-1)...)} {
		if err := w.UnmarshalBinary(b); err == nil {
			t.Errorf("%d bytes were taken for a window", len(b))
		}
	}
}
