package report

import (
	"slices"

	"onhand/bench/internal/backlog"
)

// The names that have a meaning of their own here.
const (
	Onhand = "onhand"
	// Floor is the fastest, in each round, of those whose name begins with FloorPrefix.
	Floor       = "floor"
	FloorPrefix = "floor-"
)

// Heading is what there is to say about a line before anything is measured.
type Heading struct {
	Name  string
	Shape backlog.Shape
}

// Sum sums up w's results, in the order of headings. When there are floors of several sizes, a line for the best one of
// each round is put before them.
func (w *Workload) Sum(headings []Heading) {
	all := withBestFloor(w.Results)
	if len(all) > len(w.Results) {
		headings = append([]Heading{{Floor, headings[0].Shape}}, headings...)
	}
	onhand := named(all, Onhand)
	for _, h := range headings {
		if of := named(all, h.Name); len(of) > 0 {
			w.Lines = append(w.Lines, newLine(h, of, onhand))
		}
	}
}

func named(results []Result, name string) []Result {
	return slices.Collect(func(yield func(Result) bool) {
		for _, r := range results {
			if r.Line == name && !yield(r) {
				return
			}
		}
	})
}

func newLine(h Heading, of, onhand []Result) Line {
	l := Line{
		Name: h.Name, Shape: h.Shape, Records: of[0].Records, Figures: make(map[string]Spread),
		Wrong: slices.ContainsFunc(of, func(r Result) bool { return len(r.Faults) > 0 }),
	}
	for _, f := range figures {
		var values []float64
		for _, r := range of {
			if v, known := f.of(r); known {
				values = append(values, v)
			}
		}
		if len(values) > 0 {
			l.Figures[f.name] = spread(values)
		}
	}
	if ratios := ratios(onhand, of, figureNamed(speed(of))); len(ratios) > 0 {
		ratio := spread(ratios)
		l.OnhandRatio = &ratio
	}
	return l
}

// ratios are a figure of some runs divided by that of others, within each round.
func ratios(above, below []Result, f figure) []float64 {
	var all []float64
	for _, a := range above {
		for _, b := range below {
			over, known := f.of(a)
			under, knownToo := f.of(b)
			if a.Round == b.Round && known && knownToo {
				all = append(all, over/under)
			}
		}
	}
	return all
}

// spread is that of at least one value.
func spread(values []float64) Spread {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return Spread{Median: (sorted[(n-1)/2] + sorted[n/2]) / 2, Min: sorted[0], Max: sorted[n-1]}
}
