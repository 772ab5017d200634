// Package report turns the readings of all rounds into tables, one JSON document and one picture. Rates on one machine
// move by tens of percent between minutes, so what counts are ratios between runs of one round.
package report

import (
	"time"

	"onhand/bench/internal/backlog"
	"onhand/bench/internal/meter"
	"onhand/bench/internal/network"
	"onhand/bench/internal/openloop"
	"onhand/bench/internal/servers"
)

// Result is one run of one line in one round.
type Result struct {
	Line    string `json:"line"`
	Round   int    `json:"round"` // from 1
	Records int64  `json:"records"`
	Lines   int64  `json:"lines,omitempty"` // of the records, if they have several; these are what counts then

	// What was measured; nil = something else was.
	*meter.Reading
	Drain   *meter.Drain      `json:"drain,omitempty"`
	Latency *openloop.Latency `json:"latency,omitempty"`
	Whole   *openloop.Latency `json:"whole_latency,omitempty"` // of a message, from when it was due
	Behind  *Behind           `json:"behind,omitempty"`
	Batches *network.Batches  `json:"batches,omitempty"`

	Statements []servers.Statement `json:"statements,omitempty"` // the dearest first

	Faults []string `json:"faults"` // what is wrong with the rows it left; empty = nothing
}

// Behind is how far the relay was from what was committed when the inbox had finished.
type Behind struct {
	Messages int64   `json:"messages"`
	Seconds  float64 `json:"seconds"` // until it had caught up
}

// Conditions are what the figures depend on.
type Conditions struct {
	Started    time.Time         `json:"started"`
	Code       string            `json:"code"` // the commit, with a + if something was changed since; empty = not known
	Cores      int               `json:"cores"`
	Kafka      string            `json:"kafka"`
	Postgres   map[string]string `json:"postgres"`
	FloorBatch int               `json:"floor_batch"`
	Events     int               `json:"events"` // a run of onhand's; what grows, grows with it
}

// Spread is the middle and the ends of some figures.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// Line is what all rounds of one contestant, under the same circumstances, came to.
type Line struct {
	Name    string            `json:"name"`
	Records int64             `json:"records"`
	Shape   backlog.Shape     `json:"shape"`
	Figures map[string]Spread `json:"figures"` // by the name that a Result has them under
	// OnhandRatio is onhand's rate, in lines if these count, divided by this one's, within each round; nil if onhand was
	// not there.
	OnhandRatio *Spread `json:"onhand_ratio,omitempty"`
	Wrong       bool    `json:"wrong"` // in any round
}

// Workload is one question and its answer. The line in question is Onhand's.
type Workload struct {
	Name   string `json:"name"`
	About  string `json:"about"`
	Rounds int    `json:"rounds"`

	Conditions Conditions `json:"conditions"`

	Order   [][]string `json:"order"` // of lines, a round each
	Lines   []Line     `json:"lines"`
	Results []Result   `json:"results"`
}

// Report is everything.
type Report struct {
	Conditions Conditions `json:"conditions"`
	Workloads  []Workload `json:"workloads"`
	Targets    []Target   `json:"targets"`
}

// New judges what the workloads have come to.
func New(conditions Conditions, workloads []Workload) Report {
	return Report{Conditions: conditions, Workloads: workloads, Targets: judge(workloads)}
}

// Wrong says whether anybody left wrong rows.
func (r Report) Wrong() bool {
	for _, w := range r.Workloads {
		for _, l := range w.Lines {
			if l.Wrong {
				return true
			}
		}
	}
	return false
}
