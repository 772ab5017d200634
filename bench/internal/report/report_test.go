package report

import (
	"strings"
	"testing"

	"onhand/bench/internal/meter"
)

func result(name string, round int, rate float64) Result {
	return Result{Contestant: name, Round: round, Reading: meter.Reading{PerSecond: rate}}
}

// The machine is twice as fast in the second round, and three times in the third.
func twoFloors() []Result {
	return []Result{
		result("floor-1", 1, 100), result("floor-2", 1, 80), result(Onhand, 1, 50),
		result(Onhand, 2, 120), result("floor-2", 2, 240), result("floor-1", 2, 200),
		result("floor-2", 3, 100), result(Onhand, 3, 210), result("floor-1", 3, 300),
	}
}

func TestRatiosAreTakenWithinARound(t *testing.T) {
	t.Parallel()
	r := New(Conditions{}, []string{"floor-1", "floor-2", Onhand}, twoFloors())
	if len(r.Lines) != 4 || r.Lines[0].Contestant != Floor {
		t.Fatalf("lines %+v", r.Lines)
	}
	best := r.Lines[0]
	if want := (Spread{Median: 240, Min: 100, Max: 300}); best.PerSecond != want {
		t.Errorf("the best floors %+v, want %+v", best.PerSecond, want)
	}
	if want := (Spread{Median: 0.5, Min: 0.5, Max: 0.7}); best.OnhandRatio == nil || *best.OnhandRatio != want {
		t.Errorf("ratio %+v, want %+v", best.OnhandRatio, want)
	}
}

func TestWithoutOnhandThereIsNoRatio(t *testing.T) {
	t.Parallel()
	r := New(Conditions{}, []string{"textbook"}, []Result{result("textbook", 1, 10), result("textbook", 2, 20)})
	if len(r.Lines) != 1 || r.Lines[0].OnhandRatio != nil || r.Lines[0].PerSecond.Median != 15 {
		t.Errorf("lines %+v", r.Lines)
	}
}

func TestOneWrongRoundMakesAContestantWrong(t *testing.T) {
	t.Parallel()
	results := twoFloors()
	results[3].Faults = []string{"stock of A is 4"}
	r := New(Conditions{}, []string{"floor-1", Onhand}, results)
	var text strings.Builder
	if err := r.WriteTable(&text); err != nil {
		t.Fatal(err)
	}
	if strings.Count(text.String(), "WRONG") != 1 || !strings.Contains(text.String(), "onhand, round 2: stock of A is 4") {
		t.Errorf("table:\n%s", text.String())
	}
}
