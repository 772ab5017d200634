package meter

import "errors"

// The part of the backlog that counts: neither the start, when connections are made and plans are cold, nor the end,
// when partitions run dry one by one.
const (
	from = 0.1
	to   = 0.9
)

// ErrTooShort says that too few samples fell into the part that counts.
var ErrTooShort = errors.New("too short to measure: take more events")

// Reading is what a contestant's run came to, between 10 % and 90 % of its events.
type Reading struct {
	PerSecond   float64 `json:"events_per_second"`
	WAL         float64 `json:"wal_bytes_per_event"` // of the whole server
	ClientCPU   float64 `json:"client_cpu_seconds_per_million"`
	PostgresCPU float64 `json:"postgres_cpu_seconds_per_million"`
	PeakMemory  int64   `json:"client_peak_resident_bytes"` // of the whole run
}

// Reading sums up what Watch saw.
func (m *Meter) Reading() (Reading, error) {
	first, last := -1, -1
	for i, s := range m.samples {
		if first < 0 && float64(s.events) >= from*float64(m.Events) {
			first = i
		}
		if last < 0 && float64(s.events) >= to*float64(m.Events) {
			last = i
		}
	}
	if first < 0 || last <= first {
		return Reading{}, ErrTooShort
	}
	a, b := m.samples[first], m.samples[last]
	events := float64(b.events - a.events)
	if events == 0 {
		return Reading{}, ErrTooShort
	}
	const million = 1e6
	return Reading{
		PerSecond:   events / b.at.Sub(a.at).Seconds(),
		WAL:         float64(b.wal-a.wal) / events,
		ClientCPU:   (b.client - a.client).Seconds() / events * million,
		PostgresCPU: (b.postgres - a.postgres).Seconds() / events * million,
		PeakMemory:  m.peak,
	}, nil
}
