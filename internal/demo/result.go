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

	Verdict Verdict `json:"verify"`
}

// Verdict is what `onhand verify` says.
type Verdict struct {
	OK     bool            `json:"ok"`
	Report json.RawMessage `json:"report,omitempty"`
}

// Good says whether both the recount and verify found everything in its place.
func (r Result) Good() bool {
	adds := r.Sent == r.Applied+r.Rejected+r.Duplicates+r.Parked
	return adds && r.Recount == (Recount{}) && r.Verdict.OK
}

// verify asks `onhand verify`, a process that knows nothing of the one that did the work.
func (s *service) verify(ctx context.Context) (Verdict, error) {
	report, status, err := s.command(ctx, "verify", "-o", "json")
	if err != nil {
		return Verdict{}, err
	}
	v := Verdict{OK: status == 0}
	if !json.Valid([]byte(report)) {
		return v, fmt.Errorf("onhand verify printed no JSON: %.200s", report)
	}
	v.Report = json.RawMessage(report)
	return v, nil
}
