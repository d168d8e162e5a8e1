package signals

import "math"

// Changes are the places of a series at which a segment with another mean begins (the first never does), by the
// least Σ (squared distance from the segment's mean) + penalty for each change. Killick, Fearnhead and Eckley, "Optimal
// Detection of Changepoints With a Linear Computational Cost", JASA 107 (2012): PELT; the result is exact.
// least is the shortest segment.
//
// In units of the noise, Penalty is 3 log n: that of the modified BIC for one more mean (Zhang and Siegmund 2007)
// without its term for the lengths of segments.
func Changes(x []float64, penalty float64, least int) []int {
	n := len(x)
	least = max(least, 1)
	if n < 2*least {
		return nil
	}
	sum, square := make([]float64, n+1), make([]float64, n+1)
	for i, v := range x {
		sum[i+1], square[i+1] = sum[i]+v, square[i]+v*v
	}
	cost := func(a, b int) float64 {
		s := sum[b] - sum[a]
		return square[b] - square[a] - s*s/float64(b-a)
	}
	best, from := make([]float64, n+1), make([]int, n+1)
	best[0] = -penalty
	type candidate struct{ at, until int } // until: the first end at which it is beaten for good
	open := []candidate{{0, math.MaxInt}}
	for end := least; end <= n; end++ {
		best[end] = math.Inf(1)
		for _, c := range open {
			if end-c.at < least {
				continue
			}
			if v := best[c.at] + cost(c.at, end) + penalty; v < best[end] {
				best[end], from[end] = v, c.at
			}
		}
		kept := open[:0]
		for _, c := range open {
			// A segment from here to any later end costs at least as much as one that is cut at this end, if what comes
			// after the cut is long enough.
			if end-c.at >= least && best[c.at]+cost(c.at, end) > best[end] {
				c.until = min(c.until, end+least)
			}
			if end+1 < c.until {
				kept = append(kept, c)
			}
		}
		open = append(kept, candidate{end, math.MaxInt})
	}
	var out []int
	for end := from[n]; end > 0; end = from[end] {
		out = append(out, end)
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out
}

// Penalty of one more change in a series of n points, in units of the squared noise.
func Penalty(n int) float64 { return 3 * math.Log(float64(max(n, 2))) }
