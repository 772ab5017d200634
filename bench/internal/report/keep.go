package report

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
)

// WriteJSON writes all readings, for Read.
func (r Report) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

// Read reads what WriteJSON wrote.
func Read(from io.Reader) (Report, error) {
	var r Report
	if err := json.NewDecoder(from).Decode(&r); err != nil {
		return Report{}, fmt.Errorf("read earlier readings: %w", err)
	}
	return r, nil
}

// Keeping is r with what older has of other workloads, in that order of names, judged together. Each workload keeps the
// conditions that it was measured under; one that the names do not have is left out.
func (r Report) Keeping(older Report, names []string) Report {
	var all []Workload
	for _, name := range names {
		named := func(w Workload) bool { return w.Name == name }
		if i := slices.IndexFunc(r.Workloads, named); i >= 0 {
			all = append(all, r.Workloads[i])
		} else if i := slices.IndexFunc(older.Workloads, named); i >= 0 {
			all = append(all, older.Workloads[i])
		}
	}
	return New(r.Conditions, all)
}
