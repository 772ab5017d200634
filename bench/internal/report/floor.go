package report

import "strings"

// withBestFloor adds, for each round, the fastest floor once more, as Floor.
func withBestFloor(results []Result) []Result {
	best := make(map[int]Result)
	for _, r := range results {
		if !strings.HasPrefix(r.Line, FloorPrefix) || r.Reading == nil {
			continue
		}
		if b, ok := best[r.Round]; !ok || r.PerSecond > b.PerSecond {
			best[r.Round] = r
		}
	}
	all := append([]Result(nil), results...)
	for _, r := range best {
		r.Line = Floor
		all = append(all, r)
	}
	return all
}
