package signals

import (
	"errors"
	"math"
	"slices"
)

// ErrShort: a decomposition needs two whole periods.
var ErrShort = errors.New("fewer than two periods")

// STL splits a series into season, trend and remainder. Cleveland, Cleveland, McRae and Terpenning, "STL: A
// Seasonal-Trend Decomposition Procedure Based on Loess", Journal of Official Statistics 6 (1990). The defaults are
// those of R's stl.
type STL struct {
	Period   int  // points of one season: 7 days, 52 weeks, 13 blocks
	Seasonal int  // points of the seasonal loess, in periods; 0: the season is the same every time
	Robust   bool // 15 rounds that take the weight from outliers, in place of 2 without
	Fine     bool // fit every point; otherwise every tenth of a window, and lines between
}

// Parts is a decomposed series: y = Season + Trend + what remains.
type Parts struct {
	Season, Trend []float64
	Weight        []float64 // 0…1: how far a point was believed
}

// Decompose splits y.
func (s STL) Decompose(y []float64) (Parts, error) {
	n := len(y)
	if s.Period < 2 || n < 2*s.Period {
		return Parts{}, ErrShort
	}
	periodic := s.Seasonal == 0
	if periodic {
		s.Seasonal = 10*n + 1
	}
	trend := odd(int(math.Ceil(1.5 * float64(s.Period) / (1 - 1.5/float64(s.Seasonal)))))
	x := stl{period: s.Period, seasonal: s.loess(odd(s.Seasonal), 0), trend: s.loess(trend, 1), low: s.loess(odd(s.Period), 1), inner: 2}
	if s.Robust {
		x.inner, x.outer = 1, 15
	}
	p := x.run(y)
	if periodic {
		same(p.Season, s.Period)
	}
	return p, nil
}

func (s STL) loess(window, degree int) loess {
	l := loess{window: window, degree: degree, jump: (window + 9) / 10}
	if s.Fine {
		l.jump = 1
	}
	return l
}

// stl is a decomposition with all its settings, under way.
type stl struct {
	period               int
	seasonal, trend, low loess
	inner, outer         int // passes in each round, and rounds after the first

	y, season, level        []float64
	robust                  []float64 // nil: all points have the full weight
	cycle, detrended        []float64
	sub, subRobust, w, subO []float64 // of one point of the period over the years
}

func (x *stl) run(y []float64) Parts {
	n, k := len(y), (len(y)-1)/x.period+1
	x.y, x.season, x.level, x.detrended = y, make([]float64, n), make([]float64, n), make([]float64, n)
	x.cycle = make([]float64, n+2*x.period)
	x.sub, x.subRobust, x.w, x.subO = make([]float64, k), make([]float64, k), make([]float64, k), make([]float64, k+2)
	for round := 0; ; round++ {
		for range x.inner {
			x.step()
		}
		if round == x.outer {
			break
		}
		x.weigh()
	}
	p := Parts{Season: x.season, Trend: x.level, Weight: x.robust}
	if p.Weight == nil {
		p.Weight = slices.Repeat([]float64{1}, n)
	}
	return p
}

func odd(n int) int { return max(3, n|1) }

// step is one pass of the inner loop (section 2.3 of the paper).
func (x *stl) step() {
	n, p := len(x.y), x.period
	for i := range x.y {
		x.detrended[i] = x.y[i] - x.level[i]
	}
	x.cycles()
	// The low pass: two means over a period, one over three, a loess.
	smooth := make([]float64, n)
	x.low.smooth(mean(mean(mean(x.cycle, p), p), 3), nil, smooth)
	for i := range x.season {
		x.season[i] = x.cycle[p+i] - smooth[i]
		x.detrended[i] = x.y[i] - x.season[i]
	}
	x.trend.smooth(x.detrended, x.robust, x.level)
}

// cycles smooths each point of the period over the years, with one more at both ends.
func (x *stl) cycles() {
	n, p := len(x.y), x.period
	for j := range p {
		k := (n-j-1)/p + 1
		y, out := x.sub[:k], x.subO[:k+2]
		var rw []float64
		if x.robust != nil {
			rw = x.subRobust[:k]
		}
		for i := range k {
			y[i] = x.detrended[i*p+j]
			if rw != nil {
				rw[i] = x.robust[i*p+j]
			}
		}
		x.seasonal.smooth(y, rw, out[1:k+1])
		var ok bool
		if out[0], ok = x.seasonal.fit(y, 0, 1, min(x.seasonal.window, k), rw, x.w); !ok {
			out[0] = out[1]
		}
		if out[k+1], ok = x.seasonal.fit(y, float64(k+1), max(1, k-x.seasonal.window+1), k, rw, x.w); !ok {
			out[k+1] = out[k]
		}
		for m, v := range out {
			x.cycle[m*p+j] = v
		}
	}
}

// mean is the moving mean over so many points, shorter by one less than them.
func mean(y []float64, window int) []float64 {
	out := make([]float64, len(y)-window+1)
	v := 0.0
	for _, a := range y[:window] {
		v += a
	}
	out[0] = v / float64(window)
	for i := 1; i < len(out); i++ {
		v += y[i+window-1] - y[i-1]
		out[i] = v / float64(window)
	}
	return out
}

// weigh sets the robustness weights: bisquare of the remainder by six times its median (section 2.4).
func (x *stl) weigh() {
	r := make([]float64, len(x.y))
	if x.robust == nil {
		x.robust = make([]float64, len(x.y))
	}
	for i := range r {
		r[i] = math.Abs(x.y[i] - x.level[i] - x.season[i])
	}
	h := 6 * median(r)
	for i, v := range r {
		switch q := v / h; {
		case v <= 0.001*h:
			x.robust[i] = 1
		case v <= 0.999*h:
			x.robust[i] = (1 - q*q) * (1 - q*q)
		default:
			x.robust[i] = 0
		}
	}
}

// same makes the season the same every time: the mean over the years, as R's periodic does.
func same(season []float64, period int) {
	for j := range period {
		sum, k := 0.0, 0
		for i := j; i < len(season); i += period {
			sum, k = sum+season[i], k+1
		}
		for i := j; i < len(season); i += period {
			season[i] = sum / float64(k)
		}
	}
}

// median does not change x. 0 of none.
func median(x []float64) float64 {
	if len(x) == 0 {
		return 0
	}
	s := slices.Clone(x)
	slices.Sort(s)
	n := len(s)
	return (s[(n-1)/2] + s[n/2]) / 2
}
