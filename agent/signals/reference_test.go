package signals

import (
	"encoding/csv"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// vectors reads what testdata/reference.R wrote.
func vectors(t *testing.T, file string) map[string][]float64 {
	t.Helper()
	f, err := os.Open("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.FieldsPerRecord = -1
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]float64{}
	for _, row := range rows {
		out[row[0]] = []float64{}
		for _, s := range row[1:] {
			if s == "" {
				continue
			}
			v, err := strconv.ParseFloat(s, 64)
			if err != nil {
				t.Fatal(err)
			}
			out[row[0]] = append(out[row[0]], v)
		}
	}
	return out
}

// TestExactSTLEqualsR: season, trend and robustness weights of R's stl and of the corrected Fortran, to ten digits.
func TestExactSTLEqualsR(t *testing.T) {
	v := vectors(t, "stl.csv")
	for name, s := range map[string]STL{
		"co2-21": {Period: 12, Seasonal: 21}, "week-periodic": {Period: 7}, "week-7": {Period: 7, Seasonal: 7},
		"nottem-7-nojump": {Period: 12, Seasonal: 7, Fine: true},
	} {
		p, err := s.Decompose(v[name+"-x"])
		if err != nil {
			t.Fatal(err)
		}
		sameParts(t, name, p, v)
	}
	two := stl{period: 7, seasonal: loess{7, 0, 1}, trend: loess{15, 1, 2}, low: loess{7, 1, 1}, inner: 1, outer: 2}
	sameParts(t, "week-7-robust", two.run(v["week-7-robust-x"]), v)

	v = vectors(t, "stl-fixed.csv")
	base := stl{period: 12, seasonal: loess{35, 1, 4}, trend: loess{19, 1, 2}, low: loess{13, 1, 2}, inner: 1, outer: 2}
	sameParts(t, "baseline", base.run(v["co2-x"]), v)
	base.trend.jump, base.low.jump, base.robust = 1, 1, nil
	sameParts(t, "nljump-1-ntjump-1", base.run(v["co2-x"]), v)
}

func sameParts(t *testing.T, name string, p Parts, v map[string][]float64) {
	t.Helper()
	for what, got := range map[string][]float64{"seasonal": p.Season, "trend": p.Trend, "weights": p.Weight} {
		want := v[name+"-"+what]
		if len(got) != len(want) || len(got) < 100 {
			t.Fatalf("%s %s: %d points, the reference has %d", name, what, len(got), len(want))
		}
		worst := 0.0
		for i := range got {
			worst = max(worst, math.Abs(got[i]-want[i])/max(1, math.Abs(want[i])))
		}
		if worst > 1e-10 {
			t.Errorf("%s %s: differs by %g", name, what, worst)
		}
	}
}

// TestExactPELTEqualsR: the change points of R's changepoint, the textbook Nile among them (1898, the dam at Aswan).
func TestExactPELTEqualsR(t *testing.T) {
	v := vectors(t, "pelt.csv")
	seen := 0
	for name, x := range v {
		name, ok := strings.CutSuffix(name, "-x")
		if !ok {
			continue
		}
		seen++
		var want []int
		for _, c := range v[name+"-cpts"] {
			want = append(want, int(c))
		}
		pen := v[name+"-pen"]
		if got := Changes(x, pen[0], int(pen[1])); !slices.Equal(got, want) {
			t.Errorf("%s: %v, R has %v", name, got, want)
		}
	}
	if seen != 6 {
		t.Fatalf("%d references", seen)
	}
}

// optimal is plain optimal partitioning (Jackson and others 2005): every cut is tried.
func optimal(x []float64, penalty float64, least int) float64 {
	best := make([]float64, len(x)+1)
	best[0] = -penalty
	for e := 1; e <= len(x); e++ {
		best[e] = math.Inf(1)
		for s := 0; s+least <= e; s++ {
			best[e] = min(best[e], best[s]+squares(x[s:e])+penalty)
		}
	}
	return best[len(x)]
}

func squares(x []float64) (s float64) {
	m := 0.0
	for _, v := range x {
		m += v / float64(len(x))
	}
	for _, v := range x {
		s += (v - m) * (v - m)
	}
	return s
}

func TestExactPELTIsOptimal(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 400 {
		n, least, pen := 8+r.IntN(80), 1+r.IntN(6), r.Float64()*12
		x := make([]float64, n)
		level := 0.0
		for i := range x {
			if r.IntN(12) == 0 {
				level = r.NormFloat64() * 3
			}
			x[i] = level + r.NormFloat64()
		}
		cuts := Changes(x, pen, least)
		total, from := -pen, 0
		for _, c := range append(slices.Clone(cuts), n) {
			if c-from < least && len(cuts) > 0 {
				t.Fatalf("a segment of %d, shorter than %d", c-from, least)
			}
			total += squares(x[from:c]) + pen
			from = c
		}
		if best := optimal(x, pen, least); math.Abs(total-best) > 1e-6*max(1, math.Abs(best)) {
			t.Fatalf("n %d, least %d, penalty %v: %v costs %v, the best is %v", n, least, pen, cuts, total, best)
		}
	}
}
