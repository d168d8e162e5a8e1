package noise

import (
	"math"
	"slices"
)

// Params is the noise of one figure. P(X = x) of one draw is (1−α)/(1+α)·α^|x| with α = exp(−Num/Den)
// (Ghosh, Roughgarden, Sundararajan 2009, "Universally utility-maximizing privacy mechanisms", section 2.1).
type Params struct {
	Epsilon     float64 // what the measure spends per user and block, all its figures together: the ledger's ε
	Share       float64 // the part of it that the figure's family spends
	Sensitivity int     // by how much one user changes the family's cells at most, added up (L1)
	Num, Den    uint64  // the decay γ = Share ÷ Sensitivity as an exact ratio
	Draws       int     // how many independent draws the figure holds: it is a sum of that many cells
}

// Gamma is the decay as a float, for those who compute with the distribution; who samples uses Num and Den.
func (p Params) Gamma() float64 { return float64(p.Num) / float64(p.Den) }

// Scale is 1 ÷ γ, the scale of the Laplace distribution that this one is the integer form of.
func (p Params) Scale() float64 { return 1 / p.Gamma() }

// Variance of the figure's noise: Draws · 2α/(1−α)², which is Draws / (cosh γ − 1).
func (p Params) Variance() float64 { return float64(p.Draws) / (math.Cosh(p.Gamma()) - 1) }

// Margin is the smallest whole k with P(|noise| ≤ k) ≥ confidence: figure ± k holds the exact figure
// at least that often.
func (p Params) Margin(confidence float64) float64 {
	var s Sum
	s.Add(p)
	return s.Margin(confidence)
}

// Sum is the noise of a sum of figures whose draws are independent: of the same series over sites, never
// of a total and its parts. The zero value is an empty sum.
type Sum struct{ terms []term }

type term struct {
	gamma float64
	draws float64
}

// Add puts the noise of one figure in.
func (s *Sum) Add(p Params) { s.AddN(p, 1) }

// AddN puts the noise of n figures in.
func (s *Sum) AddN(p Params, n int) {
	if n <= 0 || p.Num == 0 {
		return
	}
	g, d := p.Gamma(), float64(p.Draws)*float64(n)
	for i := range s.terms {
		if s.terms[i].gamma == g {
			s.terms[i].draws += d
			return
		}
	}
	s.terms = append(s.terms, term{g, d})
	slices.SortFunc(s.terms, func(a, b term) int {
		if a.gamma < b.gamma {
			return -1
		}
		return 1
	})
}

// Variance of the sum's noise.
func (s *Sum) Variance() (v float64) {
	for _, t := range s.terms {
		v += t.draws / (math.Cosh(t.gamma) - 1)
	}
	return v
}

// maxPoints bounds the transform: 2^20 points serve a standard deviation of 25,000, which is a million
// draws at ε = 0.06. Beyond it the normal approximation is exact to a part in 10^5.
const maxPoints = 1 << 20

// Margin is the smallest whole k with P(|noise of the sum| ≤ k) ≥ confidence. It is exact, not a
// bound and not the normal approximation: one draw has the characteristic function
// φ(t) = (cosh γ − 1)/(cosh γ − cos t), a sum the product of them, and over N points
// P(|S| ≤ k) = 1/N · Σ φ(2πj/N) · (1 + 2·Σ cos(2πjx/N), x = 1…k), up to the mass beyond N/2
// (N ≥ 40 standard deviations: below 10^-11).
func (s *Sum) Margin(confidence float64) float64 {
	if len(s.terms) == 0 {
		return 0
	}
	sd := math.Sqrt(s.Variance())
	n := 64
	for float64(n) < 40*sd && n < maxPoints {
		n *= 2
	}
	if float64(n) < 40*sd {
		return math.Ceil(sd * math.Sqrt2 * math.Erfinv(confidence))
	}
	phi := s.transform(n)
	within := func(k int) float64 {
		sum := phi[0] * float64(2*k+1)
		for j := 1; j < n; j++ { // the Dirichlet kernel of the inner sum
			x := math.Pi * float64(j) / float64(n)
			sum += phi[j] * math.Sin(float64(2*k+1)*x) / math.Sin(x)
		}
		return sum / float64(n)
	}
	lo, hi := -1, n/2-1 // within(lo) < confidence ≤ within(hi)
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; within(mid) >= confidence-1e-12 {
			hi = mid
		} else {
			lo = mid
		}
	}
	return float64(hi)
}

// transform is the characteristic function at 2πj/n.
func (s *Sum) transform(n int) []float64 {
	phi := make([]float64, n)
	for j := range phi {
		c, log := 2*math.Pow(math.Sin(math.Pi*float64(j)/float64(n)), 2), 0.0 // c = 1 − cos t, without cancellation
		for _, t := range s.terms {
			a := math.Cosh(t.gamma) - 1
			log -= t.draws * math.Log1p(c/a)
		}
		phi[j] = math.Exp(log)
	}
	return phi
}
