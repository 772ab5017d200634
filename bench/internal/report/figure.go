package report

import (
	"fmt"
	"math"
	"slices"

	"onhand/bench/internal/openloop"
)

// figure is something that is measured.
type figure struct {
	name     string // in JSON
	title    string // of its column
	decimals int
	unit     float64
	of       func(Result) (float64, bool)
}

// The figures that targets ask for.
const (
	rate        = "records_per_second"
	lineRate    = "lines_per_second"
	walBytes    = "wal_bytes_per_record"
	clientCPU   = "client_cpu_seconds_per_million"
	postgresCPU = "postgres_cpu_seconds_per_million"
	peakMemory  = "client_peak_resident_bytes"
	lastToFirst = "last_to_first"
	p50         = "p50_ms"
	p99         = "p99_ms"
	caughtUp    = "caught_up_seconds"
	tripsABatch = "round_trips_per_batch"
	mebibyte    = 1 << 20
)

// figures are all there are, in the order of the table's columns.
var figures = []figure{
	{rate, "records/s", 0, 1, reading(func(r Result) float64 { return r.PerSecond })},
	// The records of a workload are alike from its beginning to its end, so the lines of all say what those counted have.
	{lineRate, "lines/s", 0, 1, func(r Result) (float64, bool) {
		return value(r.Reading != nil && r.Lines > 0, func() float64 { return r.PerSecond * float64(r.Lines) / float64(r.Records) })
	}},
	{walBytes, "WAL B/record", 0, 1, reading(func(r Result) float64 { return r.WAL })},
	{clientCPU, "client s/M", 1, 1, reading(func(r Result) float64 { return r.ClientCPU })},
	{postgresCPU, "Postgres s/M", 1, 1, reading(func(r Result) float64 { return r.PostgresCPU })},
	{peakMemory, "peak MiB", 0, mebibyte, reading(func(r Result) float64 { return float64(r.PeakMemory) })},
	{"first_records_per_second", "first fifth/s", 0, 1, func(r Result) (float64, bool) {
		return value(r.Drain != nil, func() float64 { return r.Drain.First })
	}},
	{"last_records_per_second", "last fifth/s", 0, 1, func(r Result) (float64, bool) {
		return value(r.Drain != nil, func() float64 { return r.Drain.Last })
	}},
	{lastToFirst, "last/first", 2, 1, func(r Result) (float64, bool) {
		return value(r.Drain != nil, func() float64 { return r.Drain.Last / r.Drain.First })
	}},
	{"rate", "due/s", 0, 1, latency(func(r Result) float64 { return r.Latency.Rate })},
	{p50, "p50 ms", 1, 1, latency(func(r Result) float64 { return r.Latency.P50 })},
	{p99, "p99 ms", 1, 1, latency(func(r Result) float64 { return r.Latency.P99 })},
	{"max_ms", "max ms", 1, 1, latency(func(r Result) float64 { return r.Latency.Max })},
	{"whole_p50_ms", "due p50 ms", 1, 1, whole(func(l *openloop.Latency) float64 { return l.P50 })},
	{"whole_p99_ms", "due p99 ms", 1, 1, whole(func(l *openloop.Latency) float64 { return l.P99 })},
	{"behind_messages", "behind", 0, 1, func(r Result) (float64, bool) {
		return value(r.Behind != nil, func() float64 { return float64(r.Behind.Messages) })
	}},
	{caughtUp, "caught up s", 2, 1, func(r Result) (float64, bool) {
		return value(r.Behind != nil, func() float64 { return r.Behind.Seconds })
	}},
	{"records_per_batch", "records/batch", 0, 1, batches(func(r Result) float64 {
		return float64(r.Records) / float64(max(r.Batches.Commits, 1))
	})},
	{tripsABatch, "round trips/batch", 1, 1, batches(func(r Result) float64 {
		// What else a connection of the pool is used for, as to look at claims, is a few hundredths.
		return math.Round(r.Batches.Trips*10) / 10
	})},
	{"statements_per_batch", "statements/batch", 1, 1, batches(func(r Result) float64 { return r.Batches.Statements })},
}

func value(known bool, get func() float64) (float64, bool) {
	if !known {
		return 0, false
	}
	return get(), true
}

func reading(get func(Result) float64) func(Result) (float64, bool) {
	return func(r Result) (float64, bool) { return value(r.Reading != nil, func() float64 { return get(r) }) }
}

func latency(get func(Result) float64) func(Result) (float64, bool) {
	return func(r Result) (float64, bool) { return value(r.Latency != nil, func() float64 { return get(r) }) }
}

func whole(get func(*openloop.Latency) float64) func(Result) (float64, bool) {
	return func(r Result) (float64, bool) { return value(r.Whole != nil, func() float64 { return get(r.Whole) }) }
}

func batches(get func(Result) float64) func(Result) (float64, bool) {
	return func(r Result) (float64, bool) { return value(r.Batches != nil, func() float64 { return get(r) }) }
}

// speed is the name of the figure that says how fast results are.
func speed(results []Result) string {
	if slices.ContainsFunc(results, func(r Result) bool { return r.Lines > 0 }) {
		return lineRate
	}
	return rate
}

// figureNamed returns that one, which exists.
func figureNamed(name string) figure {
	return figures[slices.IndexFunc(figures, func(f figure) bool { return f.name == name })]
}

// Brief is the one figure that says most.
func (r Result) Brief() string {
	switch {
	case r.Latency != nil:
		return fmt.Sprintf("p50 %.1f ms, p99 %.1f ms", r.Latency.P50, r.Latency.P99)
	case r.Batches != nil:
		return fmt.Sprintf("%.2f round trips a batch", r.Batches.Trips)
	case r.Reading != nil && r.Behind != nil:
		return fmt.Sprintf("%.0f records/s, then %d messages behind, caught up after %.2f s", r.PerSecond,
			r.Behind.Messages, r.Behind.Seconds)
	case r.Reading != nil && r.Lines > 0:
		lines, _ := figureNamed(lineRate).of(r)
		return fmt.Sprintf("%.0f records/s, %.0f lines/s", r.PerSecond, lines)
	case r.Reading != nil:
		return fmt.Sprintf("%.0f records/s", r.PerSecond)
	}
	return "nothing"
}

// Rate is the median of that line's rates, 0 if it has none.
func (w Workload) Rate(name string) float64 {
	for _, l := range w.Lines {
		if l.Name == name {
			return l.Figures[rate].Median
		}
	}
	return 0
}
