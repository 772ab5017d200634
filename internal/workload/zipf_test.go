package workload

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestEachRankIsDrawnAsOftenAsItsWeightSays(t *testing.T) {
	t.Parallel()
	const draws = 400_000
	for _, tt := range []struct {
		s float64
		n int
	}{{0.3, 50}, {0.99, 1}, {0.99, 2}, {0.99, 100}, {1, 100}, {1.000001, 100}, {1.5, 30}, {4, 8}, {100, 1000}} {
		z := newZipf(rand.New(rand.NewPCG(11, 0)), tt.s, tt.n)
		seen := make([]float64, tt.n+1)
		for range draws {
			rank := z.draw()
			if rank < 1 || rank > tt.n {
				t.Fatalf("s %v, n %d: rank %d", tt.s, tt.n, rank)
			}
			seen[rank]++
		}
		total := 0.0
		for k := 1; k <= tt.n; k++ {
			total += math.Pow(float64(k), -tt.s)
		}
		for k := 1; k <= tt.n; k++ {
			p := math.Pow(float64(k), -tt.s) / total
			// Five deviations: with some 500 ranks in all, one by chance in a million runs.
			if deviation := math.Sqrt(draws * p * (1 - p)); math.Abs(seen[k]-draws*p) > 5*deviation+1 {
				t.Errorf("s %v, n %d: rank %d was drawn %.0f times, want %.0f", tt.s, tt.n, k, seen[k], draws*p)
			}
		}
	}
}

func TestRanksAreDrawnFromMillionsWithoutATable(t *testing.T) {
	t.Parallel()
	const n, draws = 100_000_000, 100_000
	z := newZipf(rand.New(rand.NewPCG(12, 0)), 0.99, n)
	first, upper := 0, 0
	for range draws {
		switch rank := z.draw(); {
		case rank == 1:
			first++
		case rank > n/2:
			upper++
		}
	}
	// The sums of k^-0.99, by Euler's and Maclaurin's formula.
	sum := func(m float64) float64 { return 0.577 + math.Expm1(0.01*math.Log(m))/0.01 }
	for _, share := range []struct {
		name string
		got  int
		want float64
	}{{"rank 1", first, 1 / sum(n)}, {"the upper half", upper, 1 - sum(n/2)/sum(n)}} {
		if got := float64(share.got) / draws; math.Abs(got-share.want) > 0.15*share.want {
			t.Errorf("%s has %.4f of all, want about %.4f", share.name, got, share.want)
		}
	}
}

func BenchmarkZipf(b *testing.B) {
	z := newZipf(rand.New(rand.NewPCG(13, 0)), 0.99, 10_000)
	b.ReportAllocs()
	for b.Loop() {
		z.draw()
	}
}
