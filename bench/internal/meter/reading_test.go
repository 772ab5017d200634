package meter

import (
	"errors"
	"testing"
	"time"
)

// steps are samples a second apart, with that many records committed between two.
func steps(records ...int64) []sample {
	samples := []sample{{at: time.Unix(0, 0)}}
	for _, n := range records {
		s := samples[len(samples)-1]
		s.at = s.at.Add(time.Second)
		s.records += n
		s.wal += 7 * n
		s.client += time.Duration(n) * time.Microsecond
		s.postgres += time.Duration(n) * 2 * time.Microsecond
		samples = append(samples, s)
	}
	return samples
}

func TestAReadingLeavesOutTheStartAndTheEnd(t *testing.T) {
	t.Parallel()
	m := Meter{Records: 1000, peak: 5, samples: steps(10, 90, 400, 400, 50, 50)}
	got, err := m.Reading()
	want := Reading{PerSecond: 400, WAL: 7, ClientCPU: 1, PostgresCPU: 2, PeakMemory: 5}
	if err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	m.From = 0.5
	if got, err := m.Reading(); err != nil || got.PerSecond != 400 {
		t.Errorf("from half on %+v, %v", got, err)
	}
}

func TestADrainComparesItsFirstFifthWithItsLast(t *testing.T) {
	t.Parallel()
	m := Meter{Records: 1000, samples: steps(20, 100, 100, 560, 50, 50, 50, 50, 20)}
	if got, err := m.Drain(); err != nil || got != (Drain{First: 100, Last: 50}) {
		t.Errorf("%+v, %v; want 100 and 50", got, err)
	}
}

func TestTooFewSamplesAreNoReading(t *testing.T) {
	t.Parallel()
	for _, samples := range [][]sample{nil, steps(1000), steps(50, 50)} {
		m := Meter{Records: 1000, samples: samples}
		if _, err := m.Reading(); !errors.Is(err, ErrTooShort) {
			t.Errorf("%d samples: %v, want ErrTooShort", len(samples), err)
		}
	}
}
