package report

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestWhatIsKeptStaysAsItWasMeasured(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	at := func(d time.Duration, code string, ws ...Workload) Report {
		c := Conditions{Started: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC).Add(d), Code: code, Events: fullEvents}
		for i := range ws {
			ws[i].Conditions = c
		}
		return New(c, ws)
	}
	first := at(0, "aaaa",
		summed("headline", twoFloors(), "floor-1", "floor-2", Onhand),
		summed("zipf", []Result{result(Onhand, 1, 150), result(Reference, 1, 100)}, Onhand, Reference),
		summed("gone", []Result{result(Onhand, 1, 1)}, Onhand))
	var file bytes.Buffer
	if err := first.WriteJSON(&file); err != nil {
		t.Fatal(err)
	}
	older, err := Read(&file)
	if err != nil {
		t.Fatal(err)
	}
	anew := at(day, "bbbb+",
		summed("drain", []Result{result(Onhand, 1, 7)}, Onhand),
		summed("headline", []Result{result(Onhand, 1, 90), result("floor-1", 1, 100)}, "floor-1", Onhand))
	both := anew.Keeping(older, []string{"headline", "zipf", "drain", "never"})

	var names []string
	for _, w := range both.Workloads {
		names = append(names, w.Name)
	}
	if !slices.Equal(names, []string{"headline", "zipf", "drain"}) {
		t.Errorf("workloads %v", names)
	}
	for figure, want := range map[string]float64{"headline against floor": 0.9, "Zipf 0.99 against headline": 1.5} {
		i := slices.IndexFunc(both.Targets, func(t Target) bool { return t.Figure == figure })
		if m := both.Targets[i].Measured; m == nil || m.Median != want {
			t.Errorf("%s: %+v, want %v", figure, m, want)
		}
	}
	got := text(t, both)
	for _, want := range []string{"rounds: 0; 2026-03-02, commit bbbb+\n", "rounds: 0; 2026-03-01, commit aaaa\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
}

func TestAFileThatIsNoneOfOursIsNotTakenForOne(t *testing.T) {
	t.Parallel()
	if _, err := Read(strings.NewReader("headline: 3")); err == nil {
		t.Error("it was read")
	}
}
