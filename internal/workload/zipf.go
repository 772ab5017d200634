package workload

import (
	"math"
	"math/rand/v2"
)

// zipf draws ranks from 1 to n, rank k with a probability in proportion to k^-s, for any s above 0; rand.Zipf knows
// exponents above 1 only. It is rejection-inversion: W. Hörmann and G. Derflinger, "Rejection-inversion to generate
// variates from monotone discrete distributions", ACM Transactions on Modeling and Computer Simulation 6(3), 1996. It
// needs no table, and less than two draws a rank.
//
// The area under x^-s from 1/2 to n+1/2 is cut at its half-integers, a piece for each rank, and a point of the area's
// integral is drawn. A piece is a little too wide for its rank: what is beyond it is drawn again.
type zipf struct {
	rng         *rand.Rand
	n           int
	s           float64
	first, last float64 // the ends of the integral's values
	sure        float64 // a point so near to its rank needs no look
}

func newZipf(rng *rand.Rand, s float64, n int) *zipf {
	z := &zipf{rng: rng, n: n, s: s}
	z.first, z.last = z.integral(1.5)-1, z.integral(float64(n)+0.5)
	z.sure = 2 - z.inverse(z.integral(2.5)-z.weight(2))
	return z
}

// draw returns the next rank.
func (z *zipf) draw() int {
	for {
		point := z.last + z.rng.Float64()*(z.first-z.last)
		x := z.inverse(point)
		rank := min(max(math.Round(x), 1), float64(z.n))
		if rank-x <= z.sure || point >= z.integral(rank+0.5)-z.weight(rank) {
			return int(rank)
		}
	}
}

func (z *zipf) weight(x float64) float64 { return math.Exp(-z.s * math.Log(x)) }

// integral is that of the weight from 1 to x. Expm1 keeps it exact where s is near 1.
func (z *zipf) integral(x float64) float64 {
	if z.s == 1 {
		return math.Log(x)
	}
	return math.Expm1((1-z.s)*math.Log(x)) / (1 - z.s)
}

// inverse is the x whose integral is y.
func (z *zipf) inverse(y float64) float64 {
	if z.s == 1 {
		return math.Exp(y)
	}
	// Rounding may lead below -1, where there is no logarithm; at -1 x is beyond every rank.
	return math.Exp(math.Log1p(max(y*(1-z.s), -1)) / (1 - z.s))
}
