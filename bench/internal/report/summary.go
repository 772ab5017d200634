package report

import "slices"

// The names that have a meaning of their own here.
const (
	Onhand = "onhand"
	// Floor is the fastest, in each round, of those whose name begins with FloorPrefix.
	Floor       = "floor"
	FloorPrefix = "floor-"
)

// New sums up results, in the order of names. When there are floors of several sizes, a line for the best one of each
// round is put before them.
func New(conditions Conditions, names []string, results []Result) Report {
	all := withBestFloor(results)
	if len(all) > len(results) {
		names = append([]string{Floor}, names...)
	}
	r := Report{Conditions: conditions, Results: results}
	for _, name := range names {
		if of := named(all, name); len(of) > 0 {
			r.Lines = append(r.Lines, newLine(name, of, named(all, Onhand)))
		}
	}
	return r
}

func named(results []Result, name string) []Result {
	return slices.Collect(func(yield func(Result) bool) {
		for _, r := range results {
			if r.Contestant == name && !yield(r) {
				return
			}
		}
	})
}

func newLine(name string, of, onhand []Result) Line {
	figure := func(get func(Result) float64) Spread {
		values := make([]float64, len(of))
		for i, r := range of {
			values[i] = get(r)
		}
		return spread(values)
	}
	l := Line{
		Contestant:  name,
		Events:      of[0].Events,
		PerSecond:   figure(func(r Result) float64 { return r.PerSecond }),
		WAL:         figure(func(r Result) float64 { return r.WAL }),
		ClientCPU:   figure(func(r Result) float64 { return r.ClientCPU }),
		PostgresCPU: figure(func(r Result) float64 { return r.PostgresCPU }),
		PeakMemory:  figure(func(r Result) float64 { return float64(r.PeakMemory) }),
		Wrong:       slices.ContainsFunc(of, func(r Result) bool { return len(r.Faults) > 0 }),
	}
	var ratios []float64
	for _, r := range of {
		for _, o := range onhand {
			if o.Round == r.Round {
				ratios = append(ratios, o.PerSecond/r.PerSecond)
			}
		}
	}
	if len(ratios) > 0 {
		ratio := spread(ratios)
		l.OnhandRatio = &ratio
	}
	return l
}

// spread is that of at least one value.
func spread(values []float64) Spread {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return Spread{Median: (sorted[(n-1)/2] + sorted[n/2]) / 2, Min: sorted[0], Max: sorted[n-1]}
}
