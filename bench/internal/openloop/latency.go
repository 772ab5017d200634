package openloop

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// Steady is a schedule: the ith event is due so long after start. A late event does not move those behind it.
func Steady(start time.Time, rate float64) func(i int) time.Time {
	return func(i int) time.Time { return start.Add(time.Duration(float64(i) / rate * float64(time.Second))) }
}

// Seen says that a partition's records before Next were committed at that time.
type Seen struct {
	At   time.Time
	Next int64
}

// Latency is how long events took from when they were due until they were committed.
type Latency struct {
	Rate   float64 `json:"rate"`   // events due a second
	Events int     `json:"events"` // that count
	P50    float64 `json:"p50_ms"`
	P99    float64 `json:"p99_ms"`
	Max    float64 `json:"max_ms"`
}

// ErrUncommitted says that a record was never seen committed.
var ErrUncommitted = errors.New("a record was not committed")

// Latencies returns that of each record. seen must be in the order of time, for each partition.
func Latencies(sent []Sent, seen map[int32][]Seen) ([]time.Duration, error) {
	all := make([]time.Duration, len(sent))
	for i, s := range sent {
		of := seen[s.Partition]
		// Positions only grow: the first one beyond the record is the record's.
		at, _ := slices.BinarySearchFunc(of, s.Offset+1, func(x Seen, next int64) int {
			switch {
			case x.Next < next:
				return -1
			case x.Next > next:
				return 1
			}
			return 0
		})
		if at == len(of) {
			return nil, fmt.Errorf("%w: partition %d, offset %d", ErrUncommitted, s.Partition, s.Offset)
		}
		all[i] = of[at].At.Sub(s.Due)
	}
	return all, nil
}

// Summarize sorts all and returns its percentiles; all must not be empty.
func Summarize(all []time.Duration, rate float64) Latency {
	slices.Sort(all)
	return Latency{
		Rate: rate, Events: len(all),
		P50: milliseconds(percentile(all, 50)), P99: milliseconds(percentile(all, 99)),
		Max: milliseconds(all[len(all)-1]),
	}
}

// percentile is the least value that p % of all values do not exceed. Nothing is interpolated, and nothing is put into
// buckets.
func percentile(sorted []time.Duration, p float64) time.Duration {
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return sorted[max(rank, 1)-1]
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
