package demo

import (
	"context"
	"encoding/json"
	"fmt"
)

// Result is what the demo found.
type Result struct {
	Sent       int64 `json:"sent"` // records in the topic
	Applied    int64 `json:"applied"`
	Rejected   int64 `json:"rejected"`
	Duplicates int64 `json:"duplicates"`
	Parked     int64 `json:"parked"`
	Crashes    int   `json:"crashes"`

	Recount

	PerSecond     float64 `json:"per_second"`     // records sent, by the time from the first to the last accounted for
	FastestSecond int64   `json:"fastest_second"` // the most records accounted for within one second

	Verify Verdict `json:"verify"`
}

// Verdict is what `onhand verify` says, as far as it matters here.
type Verdict struct {
	Verdict     string       `json:"verdict"` // "ok" if all is well
	Found       int64        `json:"found"`   // differences
	Differences []Difference `json:"differences"`
}

// Difference is one thing that verify found not to be as an invariant wants it.
type Difference struct {
	Invariant string `json:"invariant"`
	Place     string `json:"place"`
	Expected  string `json:"expected"`
	Found     string `json:"found"`
}

// Good says whether both the recount and verify found everything in its place.
func (r *Result) Good() bool {
	adds := r.Sent == r.Applied+r.Rejected+r.Duplicates+r.Parked
	return adds && r.Recount == (Recount{}) && r.Verify.Verdict == "ok"
}

// verify asks `onhand verify`, a process that knows nothing of the one that did the work.
func (s *service) verify(ctx context.Context) (Verdict, error) {
	report, _, err := s.command(ctx, "verify", "-o", "json")
	if err != nil {
		return Verdict{}, err
	}
	var v Verdict
	if err := json.Unmarshal([]byte(report), &v); err != nil {
		return Verdict{}, fmt.Errorf("read what onhand verify printed: %w", err)
	}
	return v, nil
}
