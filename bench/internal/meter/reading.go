package meter

import (
	"cmp"
	"errors"
	"time"
)

// The part of the backlog that counts: neither the start, when connections are made and plans are cold, nor the end,
// when partitions run dry one by one.
const (
	from = 0.1
	to   = 0.9
)

// The parts that FirstLast compares, as shares of the backlog: of 5 million, a million each, after the first 100,000
// and before the last.
const (
	edge = 0.02
	part = 0.2
)

// ErrTooShort says that too few samples fell into the part that counts.
var ErrTooShort = errors.New("too short to measure: take more events")

// Reading is what a contestant's run came to, between 10 % and 90 % of its records.
type Reading struct {
	PerSecond   float64 `json:"records_per_second"`
	WAL         float64 `json:"wal_bytes_per_record"` // of the whole server
	ClientCPU   float64 `json:"client_cpu_seconds_per_million"`
	PostgresCPU float64 `json:"postgres_cpu_seconds_per_million"`
	PeakMemory  int64   `json:"client_peak_resident_bytes"` // of the whole run; of several processes, the largest one's
}

// Reading sums up what Watch saw.
func (m *Meter) Reading() (Reading, error) {
	a, b, err := m.between(cmp.Or(m.From, from), to)
	if err != nil {
		return Reading{}, err
	}
	records := float64(b.records - a.records)
	const million = 1e6
	return Reading{
		PerSecond:   rate(a, b),
		WAL:         float64(b.wal-a.wal) / records,
		ClientCPU:   (b.client - a.client).Seconds() / records * million,
		PostgresCPU: (b.postgres - a.postgres).Seconds() / records * million,
		PeakMemory:  m.peak,
	}, nil
}

// Drain is how the rate changed on the way through a long backlog.
type Drain struct {
	First float64 `json:"first_records_per_second"`
	Last  float64 `json:"last_records_per_second"`
}

// Drain compares the first fifth with the last, without the very ends.
func (m *Meter) Drain() (d Drain, err error) {
	a, b, err := m.between(edge, edge+part)
	if err != nil {
		return d, err
	}
	d.First = rate(a, b)
	if a, b, err = m.between(1-edge-part, 1-edge); err != nil {
		return d, err
	}
	d.Last = rate(a, b)
	return d, nil
}

// between returns the first samples at which those shares of the backlog were committed.
func (m *Meter) between(from, to float64) (a, b sample, err error) {
	first, last := -1, -1
	for i, s := range m.samples {
		if first < 0 && float64(s.records) >= from*float64(m.Records) {
			first = i
		}
		if last < 0 && float64(s.records) >= to*float64(m.Records) {
			last = i
		}
	}
	if first < 0 || last <= first {
		return a, b, ErrTooShort
	}
	a, b = m.samples[first], m.samples[last]
	if a.records == b.records {
		return a, b, ErrTooShort
	}
	return a, b, nil
}

func rate(a, b sample) float64 {
	return float64(b.records-a.records) / max(b.at.Sub(a.at), time.Nanosecond).Seconds()
}
