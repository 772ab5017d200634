package report

import "strings"

// withBestFloor adds, for each round, the fastest floor once more, as Floor.
func withBestFloor(results []Result) []Result {
	best := make(map[int]Result)
	for _, r := range results {
		if strings.HasPrefix(r.Contestant, FloorPrefix) && r.PerSecond > best[r.Round].PerSecond {
			best[r.Round] = r
		}
	}
	all := append([]Result(nil), results...)
	for _, r := range best {
		r.Contestant = Floor
		all = append(all, r)
	}
	return all
}
