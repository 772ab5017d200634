package report

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"onhand/bench/internal/meter"
	"onhand/bench/internal/network"
	"onhand/bench/internal/openloop"
)

func result(name string, round int, rate float64) Result {
	return Result{Line: name, Round: round, Records: 10, Reading: &meter.Reading{PerSecond: rate}}
}

// The machine is twice as fast in the second round, and three times in the third.
func twoFloors() []Result {
	return []Result{
		result("floor-1", 1, 100), result("floor-2", 1, 80), result(Onhand, 1, 50),
		result(Onhand, 2, 120), result("floor-2", 2, 240), result("floor-1", 2, 200),
		result("floor-2", 3, 100), result(Onhand, 3, 210), result("floor-1", 3, 300),
	}
}

func summed(name string, results []Result, lines ...string) Workload {
	w := Workload{Name: name, Results: results}
	headings := make([]Heading, len(lines))
	for i, l := range lines {
		headings[i].Name = l
	}
	w.Sum(headings)
	return w
}

func text(t *testing.T, r Report) string {
	t.Helper()
	var b strings.Builder
	if err := r.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestRatiosAreTakenWithinARound(t *testing.T) {
	t.Parallel()
	w := summed("headline", twoFloors(), "floor-1", "floor-2", Onhand)
	if len(w.Lines) != 4 || w.Lines[0].Name != Floor {
		t.Fatalf("lines %+v", w.Lines)
	}
	best := w.Lines[0]
	if want := (Spread{Median: 240, Min: 100, Max: 300}); best.Figures[rate] != want {
		t.Errorf("the best floors %+v, want %+v", best.Figures[rate], want)
	}
	if want := (Spread{Median: 0.5, Min: 0.5, Max: 0.7}); best.OnhandRatio == nil || *best.OnhandRatio != want {
		t.Errorf("ratio %+v, want %+v", best.OnhandRatio, want)
	}
}

func TestWithoutOnhandThereIsNoRatio(t *testing.T) {
	t.Parallel()
	w := summed("headline", []Result{result("textbook", 1, 10), result("textbook", 2, 20)}, "textbook")
	if len(w.Lines) != 1 || w.Lines[0].OnhandRatio != nil || w.Lines[0].Figures[rate].Median != 15 {
		t.Errorf("lines %+v", w.Lines)
	}
}

func TestOneWrongRoundMakesALineWrong(t *testing.T) {
	t.Parallel()
	results := twoFloors()
	results[3].Faults = []string{"stock of A is 4"}
	r := New(Conditions{}, []Workload{summed("headline", results, "floor-1", Onhand)})
	got := text(t, r)
	if !r.Wrong() || strings.Count(got, "WRONG") != 1 || !strings.Contains(got, "onhand, round 2: stock of A is 4") {
		t.Errorf("text:\n%s", got)
	}
}

func TestATableHasTheColumnsThatItsLinesHave(t *testing.T) {
	t.Parallel()
	quick := Result{Line: Onhand, Round: 1, Latency: &openloop.Latency{Rate: 500, P50: 3, P99: 12, Max: 40}}
	got := text(t, New(Conditions{}, []Workload{summed("latency-500", []Result{quick}, Onhand)}))
	if !strings.Contains(got, "p99 ms") || !strings.Contains(got, "12.0") || strings.Contains(got, "peak MiB") {
		t.Errorf("text:\n%s", got)
	}
}

// verdicts of all targets, by figure.
func verdicts(workloads ...Workload) map[string]Target {
	all := make(map[string]Target)
	for _, target := range New(Conditions{}, workloads).Targets {
		all[target.Figure] = target
	}
	return all
}

func TestATargetIsJudgedByTheMedianOfItsRounds(t *testing.T) {
	t.Parallel()
	wire := Result{Line: Onhand, Round: 1, Batches: &network.Batches{Commits: 5, Trips: 2}}
	drain := result(Onhand, 1, 40)
	drain.Drain, drain.PeakMemory = &meter.Drain{First: 100, Last: 80}, 200<<20
	all := verdicts(
		summed("headline", twoFloors(), "floor-1", "floor-2", Onhand),
		summed("one-sku", []Result{
			result(Onhand, 1, 150), result(Reference, 1, 100), result("textbook", 1, 2),
			result(Onhand, 2, 100), result(Reference, 2, 100), result("textbook", 2, 1),
		}, Onhand, Reference, "textbook"),
		summed("wire", []Result{wire}, Onhand),
		summed("drain", []Result{drain}, Onhand),
	)
	for _, tt := range []struct {
		figure, verdict string
		median, reach   float64
	}{
		{"headline against floor", Below, 0.5, 0.5 / 0.55},
		{"one hot SKU against headline", OK, 1.25, 1.25},
		{"one hot SKU against textbook on it", OK, 87.5, 87.5 / 60},
		{"round trips a batch", OK, 2, 1},
		{"drain: last million against first", Below, 0.8, 0.8 / 0.9},
		{"memory, 12 partitions, long backlog", Above, 200, 128. / 200},
	} {
		got := all[tt.figure]
		near := func(a, b float64) bool { return a-b < 1e-6 && b-a < 1e-6 }
		if got.Measured == nil || got.Verdict != tt.verdict || !near(got.Measured.Median, tt.median) ||
			!near(got.Reach(), tt.reach) {
			t.Errorf("%s: %+v, %+v, reach %v", tt.figure, got, got.Measured, got.Reach())
		}
	}
	if got := all["latency p99 at 500/s"]; got.Verdict != NotMeasured || got.Measured != nil || got.Reach() != 0 {
		t.Errorf("what was not measured: %+v", got)
	}
}

func TestWhatTheOutboxCostsAndReachesIsJudged(t *testing.T) {
	t.Parallel()
	wal := func(name string, round int, bytes float64) Result {
		return Result{Line: name, Round: round, Reading: &meter.Reading{PerSecond: 1, WAL: bytes}}
	}
	on := result(Onhand, 1, 70)
	on.Behind = &Behind{Messages: 4321, Seconds: 1.5}
	latency := Result{Line: Onhand, Round: 1, Latency: &openloop.Latency{P50: 8, P99: 120}}
	latency.Whole = &openloop.Latency{P50: 11, P99: 140}
	workloads := []Workload{
		summed("outbox-wal", []Result{
			wal(Onhand, 1, 600), wal(NoOutbox, 1, 500), wal(Onhand, 2, 1300), wal(NoOutbox, 2, 1000),
			wal(Onhand, 3, 660), wal(NoOutbox, 3, 550),
		}, Onhand, NoOutbox),
		summed("relay-on", []Result{on, result(Reference, 1, 100)}, Onhand, Reference),
		summed("relay-latency", []Result{latency}, Onhand),
	}
	all := verdicts(workloads...)
	for figure, want := range map[string]struct {
		median  float64
		verdict string
	}{
		"WAL against a ledger that is no outbox": {1.2, OK},
		"inbox, relay on against off":            {0.7, Below},
		"relay caught up after the inbox":        {1.5, Above},
		"commit to reader p50 at 500/s":          {8, OK},
		"commit to reader p99 at 500/s":          {120, Above},
	} {
		got := all[figure]
		if got.Measured == nil || math.Abs(got.Measured.Median-want.median) > 1e-9 || got.Verdict != want.verdict {
			t.Errorf("%s: %+v, %+v; want %+v", figure, got, got.Measured, want)
		}
	}
	got := text(t, New(Conditions{}, workloads))
	for _, want := range []string{"behind", "4321", "caught up s", "due p99 ms", "140.0", "<= 1.25x"} {
		if !strings.Contains(got, want) {
			t.Errorf("nothing about %q in:\n%s", want, got)
		}
	}
}

func TestWhatHasSeveralLinesIsComparedByThem(t *testing.T) {
	t.Parallel()
	ofLines := func(name string, rate float64, records, lines int64) Result {
		return Result{Line: name, Round: 1, Records: records, Lines: lines, Reading: &meter.Reading{PerSecond: rate}}
	}
	w := summed("orders", []Result{
		ofLines("floor-1", 100, 20, 100), ofLines("floor-2", 80, 20, 100), ofLines(Onhand, 50, 10, 40),
	}, "floor-1", "floor-2", Onhand)
	if got := w.Lines[0].OnhandRatio; got == nil || math.Abs(got.Median-0.4) > 1e-9 { // 200 lines/s of 500
		t.Errorf("ratio to the floor %+v, want 0.4", got)
	}
	r := New(Conditions{}, []Workload{w})
	const figure = "orders of 5 lines against floor, in lines"
	if got := verdicts(w)[figure]; got.Measured == nil || got.Verdict != OK {
		t.Errorf("%+v, %+v", got, got.Measured)
	}
	slower := summed("orders", []Result{ofLines("floor-1", 100, 20, 100), ofLines(Onhand, 50, 10, 39)}, "floor-1", Onhand)
	if got := verdicts(slower)[figure]; got.Verdict != Below {
		t.Errorf("0.39 is %s", got.Verdict)
	}
	got := text(t, r)
	if !strings.Contains(strings.Join(strings.Fields(got), " "), "records records/s lines/s onhand is x WAL") {
		t.Errorf("text:\n%s", got)
	}
	if brief := w.Results[2].Brief(); brief != "50 records/s, 200 lines/s" {
		t.Errorf("in short: %s", brief)
	}
}

func TestEveryGoalAsksForAFigureThatExists(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, f := range figures {
		known[f.name] = true
	}
	for _, g := range goals() {
		if !known[g.figure] || g.scale == 0 {
			t.Errorf("%+v", g)
		}
	}
}

func TestThePictureIsWellFormedAndNamesEveryTarget(t *testing.T) {
	t.Parallel()
	r := New(Conditions{}, []Workload{summed("headline", twoFloors(), "floor-1", "floor-2", Onhand)})
	var b strings.Builder
	if err := r.WriteSVG(&b); err != nil {
		t.Fatal(err)
	}
	decoder := xml.NewDecoder(strings.NewReader(b.String()))
	for {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	for _, target := range r.Targets {
		if !strings.Contains(b.String(), ">"+target.Figure+"<") {
			t.Errorf("nothing about %s", target.Figure)
		}
	}
}
