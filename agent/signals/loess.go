package signals

import "math"

// loess is one pass of locally weighted regression at the points of an equally spaced series.
type loess struct {
	window int // points that take part, odd
	degree int // 0 or 1
	jump   int // every so many points are fitted, the others interpolated
}

// fit estimates at x (the first point is 1) from y[left-1:right]; ok is false where nothing has weight.
// Cleveland and others 1990, section 2: tricube weights, times the robustness weights where there are any.
func (l loess) fit(y []float64, x float64, left, right int, robust, w []float64) (v float64, ok bool) {
	n := len(y)
	h := max(x-float64(left), float64(right)-x)
	if l.window > n {
		h += float64((l.window - n) / 2)
	}
	sum := 0.0
	for j := left; j <= right; j++ {
		w[j-1] = 0
		r := math.Abs(float64(j) - x)
		if r > 0.999*h {
			continue
		}
		w[j-1] = 1
		if r > 0.001*h {
			q := r / h
			w[j-1] = cube(1 - q*q*q)
		}
		if robust != nil {
			w[j-1] *= robust[j-1]
		}
		sum += w[j-1]
	}
	if sum <= 0 {
		return 0, false
	}
	for j := left; j <= right; j++ {
		w[j-1] /= sum
	}
	if h > 0 && l.degree > 0 {
		slope(x, left, right, float64(n-1), w)
	}
	for j := left; j <= right; j++ {
		v += w[j-1] * y[j-1]
	}
	return v, true
}

// slope turns the weights of a mean into those of a line.
func slope(x float64, left, right int, span float64, w []float64) {
	mean := 0.0
	for j := left; j <= right; j++ {
		mean += w[j-1] * float64(j)
	}
	spread := 0.0
	for j := left; j <= right; j++ {
		d := float64(j) - mean
		spread += w[j-1] * d * d
	}
	if math.Sqrt(spread) <= 0.001*span {
		return
	}
	b := (x - mean) / spread
	for j := left; j <= right; j++ {
		w[j-1] *= b*(float64(j)-mean) + 1
	}
}

func cube(x float64) float64 { return x * x * x }

// smooth fits the whole series into out.
func (l loess) smooth(y, robust, out []float64) {
	n := len(y)
	if n < 2 {
		copy(out, y)
		return
	}
	w := make([]float64, n)
	at := func(i, left, right int) {
		v, ok := l.fit(y, float64(i), left, right, robust, w)
		if !ok {
			v = y[i-1]
		}
		out[i-1] = v
	}
	jump := min(max(l.jump, 1), n-1)
	left, right := 1, n
	for i := 1; i <= n; i += jump {
		if l.window < n {
			left, right = l.around(i, n, jump, left, right)
		}
		at(i, left, right)
	}
	if jump == 1 {
		return
	}
	last := (n-1)/jump*jump + 1
	for i := 1; i < last; i += jump {
		between(out, i, i+jump)
	}
	if last != n {
		at(n, left, right)
		between(out, last, n)
	}
}

// around is the window about point i of n: the one before, moved.
func (l loess) around(i, n, jump, left, right int) (int, int) {
	half := (l.window + 1) / 2
	switch {
	case jump == 1 && i == 1:
		return 1, l.window
	case jump == 1:
		if i > half && right != n {
			return left + 1, right + 1
		}
		return left, right
	case i < half:
		return 1, l.window
	case i >= n-half+1:
		return n - l.window + 1, n
	}
	return i - half + 1, l.window + i - half
}

// between draws a straight line from point a to point b.
func between(out []float64, a, b int) {
	d := (out[b-1] - out[a-1]) / float64(b-a)
	for i := a + 1; i < b; i++ {
		out[i-1] = out[a-1] + d*float64(i-a)
	}
}
