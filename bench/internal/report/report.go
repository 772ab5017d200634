// Package report turns the readings of all rounds into one table and one JSON document. Rates on one machine move by
// tens of percent between minutes, so what counts are ratios between contestants of one round.
package report

import (
	"time"

	"onhand/bench/internal/meter"
)

// Result is one contestant's run in one round.
type Result struct {
	Contestant string `json:"contestant"`
	Round      int    `json:"round"` // from 1
	Events     int64  `json:"events"`
	meter.Reading

	Faults []string `json:"faults"` // what is wrong with the rows it left; empty = nothing
}

// Conditions are what the figures depend on.
type Conditions struct {
	Started    time.Time         `json:"started"`
	Cores      int               `json:"cores"`
	Kafka      string            `json:"kafka"`
	Postgres   map[string]string `json:"postgres"`
	Partitions int               `json:"partitions"`
	SKUs       int               `json:"skus"`
	Rounds     int               `json:"rounds"`
	FloorBatch int               `json:"floor_batch"`
	Order      [][]string        `json:"order"` // of contestants, a round each
}

// Spread is the middle and the ends of some figures.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// Line is what all rounds of one contestant came to.
type Line struct {
	Contestant  string `json:"contestant"`
	Events      int64  `json:"events"`
	PerSecond   Spread `json:"events_per_second"`
	WAL         Spread `json:"wal_bytes_per_event"`
	ClientCPU   Spread `json:"client_cpu_seconds_per_million"`
	PostgresCPU Spread `json:"postgres_cpu_seconds_per_million"`
	PeakMemory  Spread `json:"client_peak_resident_bytes"`
	// OnhandRatio is onhand's rate divided by this one's, within each round; nil if onhand was not there.
	OnhandRatio *Spread `json:"onhand_ratio,omitempty"`
	Wrong       bool    `json:"wrong"` // in any round
}

// Report is everything.
type Report struct {
	Conditions Conditions `json:"conditions"`
	Lines      []Line     `json:"lines"`
	Results    []Result   `json:"results"`
}
