package oracle

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// decimal writes a number as JSON does.
func decimal(f float64) string {
	b, err := json.Marshal(f)
	if err != nil {
		panic("oracle: " + err.Error()) // finite numbers only
	}
	return string(b)
}

// unscaled is a sum of numbers that were scaled, once or (squares) twice.
func unscaled(sum *big.Int, times int64) string {
	by := new(big.Int).Exp(big.NewInt(1e9), big.NewInt(times), nil)
	f, _ := new(big.Rat).SetFrac(sum, by).Float64()
	return decimal(f)
}

// Quantiles and the names they have in a line.
var quantiles = []struct {
	name string
	at   int // of a hundred
}{{"p50", 50}, {"p90", 90}, {"p95", 95}, {"p99", 99}}

func (c *computation) distribution(w *window) map[string]string {
	all, sums := map[string][]float64{}, map[string]*big.Int{}
	c.each(w, w.first, w.last, func(e *entry, p int) {
		n, ok := e.numbers[c.m.Property]
		if !ok {
			return
		}
		key := c.key(w, e, p)
		if sums[key] == nil {
			sums[key] = new(big.Int)
		}
		all[key] = append(all[key], n.float)
		sums[key].Add(sums[key], n.scaled)
	})
	out := map[string]string{}
	for key, ns := range all {
		slices.Sort(ns)
		text := fmt.Sprintf(`{"count":%d,"sum":%s`, len(ns), unscaled(sums[key], 1))
		for _, q := range quantiles { // lower nearest rank
			text += fmt.Sprintf(",%q:%s", q.name, decimal(ns[(len(ns)-1)*q.at/100]))
		}
		out[key] = text + "}"
	}
	return out
}

func (c *computation) sufficient(w *window) map[string]string {
	n, sums := map[string]int{}, map[string]*[5]big.Int{}
	c.each(w, w.first, w.last, func(e *entry, p int) {
		x, hasX := e.numbers[c.m.X]
		y, hasY := e.numbers[c.m.Y]
		if !hasX || c.m.Y != "" && !hasY {
			return
		}
		key := c.key(w, e, p)
		if sums[key] == nil {
			sums[key] = &[5]big.Int{}
		}
		s := sums[key]
		n[key]++
		s[0].Add(&s[0], x.scaled)
		s[1].Add(&s[1], new(big.Int).Mul(x.scaled, x.scaled))
		if hasY {
			s[2].Add(&s[2], y.scaled)
			s[3].Add(&s[3], new(big.Int).Mul(y.scaled, y.scaled))
			s[4].Add(&s[4], new(big.Int).Mul(x.scaled, y.scaled))
		}
	})
	out := map[string]string{}
	for key, s := range sums {
		parts := []string{fmt.Sprintf(`"n":%d`, n[key])}
		for i, name := range []string{"sum_x", "sum_xx", "sum_y", "sum_yy", "sum_xy"} {
			if i < 2 || c.m.Y != "" {
				parts = append(parts, fmt.Sprintf("%q:%s", name, unscaled(&s[i], []int64{1, 2, 1, 2, 2}[i])))
			}
		}
		out[key] = "{" + strings.Join(parts, ",") + "}"
	}
	return out
}

// Same says whether a line is the one it should be: byte for byte, but for quantiles, which may
// be off by one per cent.
func Same(want, got string) bool {
	if want == got {
		return true
	}
	for _, q := range quantiles {
		w, wOK := cut(&want, q.name)
		g, gOK := cut(&got, q.name)
		if d := w - g; wOK != gOK || d*d > w*w*0.01*0.01*(1+1e-9) {
			return false
		}
	}
	return want == got
}

// cut takes a quantile out of a line.
func cut(line *string, name string) (f float64, ok bool) {
	before, rest, found := strings.Cut(*line, fmt.Sprintf(",%q:", name))
	if !found {
		return 0, false
	}
	i := strings.IndexAny(rest, ",}")
	if i < 0 || json.Unmarshal([]byte(rest[:i]), &f) != nil {
		return 0, false
	}
	*line = before + rest[i:]
	return f, true
}
