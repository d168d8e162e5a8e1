package noise

import (
	"math"
	"math/rand/v2"
	"testing"
)

// pmf of one draw by the formula, on −n … n.
func pmf(gamma float64, n int) []float64 {
	a := math.Exp(-gamma)
	out := make([]float64, 2*n+1)
	for x := range out {
		out[x] = (1 - a) / (1 + a) * math.Pow(a, math.Abs(float64(x-n)))
	}
	return out
}

// The margin of a sum equals the one found by adding the draws up one by one.
func TestExactMarginOfASum(t *testing.T) {
	for _, x := range []struct {
		num, den uint64
		draws    int
		conf     float64
	}{{1000, 1000, 1, .95}, {100, 1000, 1, .95}, {4000, 1000, 1, .95}, {4000, 1000, 1, .9999}, {1000, 1000, 5, .95}, {1000, 3000, 12, .95}, {2000, 1000, 100, .95}, {2000, 1000, 100, .5}} {
		p := Params{Num: x.num, Den: x.den, Draws: x.draws}
		const n = 600
		sum := []float64{1}
		one := pmf(p.Gamma(), n)
		variance := 0.0
		for range x.draws {
			next := make([]float64, len(sum)+2*n)
			for i, a := range sum {
				if a > 1e-18 {
					for j, b := range one {
						next[i+j] += a * b
					}
				}
			}
			if cut := (len(next) - (2*n + 1)) / 2; cut > 0 { // the tails hold nothing
				next = next[cut : len(next)-cut]
			}
			sum = next
		}
		mid := len(sum) / 2
		want, mass := 0, sum[mid]
		for ; mass < x.conf-1e-12; want++ {
			mass += sum[mid-want-1] + sum[mid+want+1]
		}
		for i, a := range sum {
			variance += a * math.Pow(float64(i-mid), 2)
		}
		if got := p.Margin(x.conf); got != float64(want) {
			t.Errorf("%+v: margin %v, added up one by one %d", x, got, want)
		}
		if math.Abs(p.Variance()-variance) > 1e-6*variance+1e-9 {
			t.Errorf("%+v: variance %v, added up one by one %v", x, p.Variance(), variance)
		}
	}
}

// Figures of several ε in one sum: simulated, the margin holds in 95 % and one less does not.
func TestMarginHoldsAsOftenAsItSays(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var s Sum
	s.AddN(Params{Num: 2000, Den: 1000, Draws: 1}, 60)
	s.AddN(Params{Num: 500, Den: 1000, Draws: 3}, 20)
	s.Add(Params{Num: 100, Den: 1000, Draws: 1})
	s.AddN(Params{Num: 100, Den: 1000, Draws: 1}, 0)
	draw := func(gamma float64) float64 { // the difference of two geometric numbers
		g := func() float64 { return math.Floor(math.Log(1-r.Float64()) / -gamma) }
		return g() - g()
	}
	k := s.Margin(Confidence)
	const runs = 100_000
	in, less := 0, 0
	for range runs {
		sum := draw(.1)
		for range 60 {
			sum += draw(2)
		}
		for range 60 {
			sum += draw(.5)
		}
		if math.Abs(sum) <= k {
			in++
		}
		if math.Abs(sum) <= k-1 {
			less++
		}
	}
	sd := math.Sqrt(runs * Confidence * (1 - Confidence))
	if float64(in) < runs*Confidence-4*sd || float64(less) > runs*Confidence+4*sd {
		t.Errorf("±%v holds in %d of %d runs, ±%v in %d", k, in, runs, k-1, less)
	}
}

func TestMarginOfNothingAndOfMuch(t *testing.T) {
	var none Sum
	if none.Margin(.95) != 0 || none.Variance() != 0 {
		t.Error("an empty sum has noise")
	}
	var much Sum
	much.AddN(Params{Num: 100, Den: 27000, Draws: 9}, 1_000_000) // beyond the transform
	want := 1.959964 * math.Sqrt(much.Variance())
	if got := much.Margin(.95); math.Abs(got-want) > 2 {
		t.Errorf("margin %v, normal %v", got, want)
	}
	var edge Sum
	edge.AddN(Params{Num: 100, Den: 1000, Draws: 1}, 1_000_000) // within it
	want = 1.959964 * math.Sqrt(edge.Variance())
	if got := edge.Margin(.95); math.Abs(got/want-1) > 1e-3 {
		t.Errorf("margin %v, normal %v", got, want)
	}
}

func BenchmarkMarginOfAThousandSites(b *testing.B) {
	var s Sum
	s.AddN(Params{Num: 2000, Den: 3000, Draws: 1}, 1000)
	for b.Loop() {
		s.Margin(Confidence)
	}
}
