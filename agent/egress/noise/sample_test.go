package noise

import (
	"bytes"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"testing"
)

// seeded is a stream of random bytes that is the same in every run.
func seeded(seed byte) io.Reader { return rand.NewChaCha8([32]byte{seed}) }

// chi2 is the 99.99 % quantile of chi-square (Wilson, Hilferty 1931).
func chi2(df int) float64 {
	d := float64(df)
	return d * math.Pow(1-2/(9*d)+3.719*math.Sqrt(2/(9*d)), 3)
}

// fits is Pearson's statistic of counts against the distribution; cells expected fewer than 20 times are joined.
func fits(counts map[int64]int, n int, prob func(int64) float64) (stat float64, df int) {
	a := int64(0)
	for float64(n)*prob(a+1) >= 20 {
		a++
	}
	rest, seen := float64(n), 0
	for x := -a; x <= a; x++ {
		e, o := float64(n)*prob(x), counts[x]
		stat += (float64(o) - e) * (float64(o) - e) / e
		rest -= e
		seen += o
		df++
	}
	if rest >= 1 {
		o := float64(n - seen)
		stat += (o - rest) * (o - rest) / rest
	} else {
		df--
	}
	return stat, df
}

func geometricProb(num, den float64) func(int64) float64 {
	alpha := math.Exp(-num / den)
	return func(x int64) float64 { return (1 - alpha) / (1 + alpha) * math.Pow(alpha, math.Abs(float64(x))) }
}

func TestExactSamplerAgainstTheDistribution(t *testing.T) {
	const n = 200_000
	for i, x := range []struct{ num, den uint64 }{{1000, 1000}, {2000, 1000}, {4000, 1000}, {100, 1000}, {333, 2000}, {1333, 3000}, {2500, 1000}, {1, 3}} {
		s := source{r: seeded(byte(i))}
		counts := map[int64]int{}
		sum := 0.0
		for range n {
			v := s.geometric(x.num, x.den)
			counts[v]++
			sum += float64(v)
		}
		prob := geometricProb(float64(x.num), float64(x.den))
		if stat, df := fits(counts, n, prob); stat > chi2(df) {
			t.Errorf("γ = %d/%d: chi-square %.1f over %d cells, should be below %.1f", x.num, x.den, stat, df, chi2(df))
		}
		sd := math.Sqrt(1 / (math.Cosh(float64(x.num)/float64(x.den)) - 1))
		if mean := sum / n; math.Abs(mean) > 4*sd/math.Sqrt(n) {
			t.Errorf("γ = %d/%d: the mean is %v", x.num, x.den, mean)
		}
		// What the test is worth: noise that is a tenth too weak must not pass.
		if stat, df := fits(counts, n, geometricProb(float64(x.num)*1.1, float64(x.den))); stat <= chi2(df) {
			t.Errorf("γ = %d/%d: draws also pass as those of a γ that is a tenth larger", x.num, x.den)
		}
	}
}

func TestExactBernoulliOfAnExponential(t *testing.T) {
	const n = 200_000
	s := source{r: seeded(77)}
	for _, x := range []struct{ num, den uint64 }{{0, 1}, {1, 1}, {1, 2}, {999, 1000}, {1, 1000}, {7, 27000}} {
		hits := 0
		for range n {
			if s.bernoulliExp(x.num, x.den) {
				hits++
			}
		}
		p := math.Exp(-float64(x.num) / float64(x.den))
		if sd := math.Sqrt(n * p * (1 - p)); math.Abs(float64(hits)-n*p) > 4*sd+1e-9 {
			t.Errorf("exp(−%d/%d): %d of %d, should be %.0f ± %.0f", x.num, x.den, hits, n, n*p, 4*sd)
		}
	}
}

func TestUniformHasNoModuloBias(t *testing.T) {
	// The largest multiples of n below 2^64 end here: the next words must be thrown away.
	const n = 3 << 61 // 2^64 mod n = 2^61: a plain modulo would take the lowest third twice
	top := bytes.Repeat([]byte{0xff}, 8)
	s := source{r: bytes.NewReader(append(top, 5, 0, 0, 0, 0, 0, 0, 0))}
	if v := s.below(n); v != 5 || s.err != nil {
		t.Errorf("%d: the biased word was used", v)
	}
}

func TestRandomBytesThatEndAreAnError(t *testing.T) {
	s := source{r: bytes.NewReader(make([]byte, 20))}
	s.geometric(1, 3)
	s.geometric(1, 3)
	if !errors.Is(s.err, io.ErrUnexpectedEOF) && !errors.Is(s.err, io.EOF) {
		t.Errorf("the error is %v", s.err)
	}
}

func BenchmarkDraw(b *testing.B) {
	s := source{r: New(Config{}).cfg.Rand}
	for b.Loop() {
		s.geometric(1000, 3000)
	}
}
