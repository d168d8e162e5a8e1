package signals

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/fieldpost/fieldpost/protocol/report"
)

func exactly(vs ...float64) (out []Figure) {
	for _, v := range vs {
		out = append(out, Exact(v))
	}
	return out
}

func repeated(v float64, n int) []float64 { return slices.Repeat([]float64{v}, n) }

// bands puts each value into the band of a code book.
func bands(width float64, vs []float64) (out []Figure) {
	for _, v := range vs {
		lo := math.Floor(v/width) * width
		out = append(out, Figure{report.Interval{Lo: lo, Hi: lo + width - 1}, true})
	}
	return out
}

func TestDetect(t *testing.T) {
	wave := func(n int, level, by float64) (vs []float64) {
		for i := range n {
			vs = append(vs, level+by*[]float64{0, 1, -1, 0.5, -0.5}[i%5])
		}
		return vs
	}
	step := append(wave(20, 100, 2), wave(8, 140, 2)...)
	holiday := wave(30, 100, 2)
	holiday[24], holiday[25] = 30, 25
	dip := wave(30, 100, 2)
	dip[28], dip[29] = 40, 41
	gaps := exactly(step...)
	gaps[3], gaps[15] = Figure{}, Figure{}
	open := exactly(wave(20, 100, 2)...)
	for i := 14; i < 20; i++ {
		open[i] = Figure{report.Interval{Lo: 200, Hi: math.Inf(1)}, true}
	}
	for name, c := range map[string]struct {
		in                          []Figure
		direction, size, confidence Answer
		since                       int
	}{
		"a step up":    {exactly(step...), Up, Medium, High, 20},
		"a step down":  {exactly(append(wave(20, 140, 2), wave(8, 60, 2)...)...), Down, Large, High, 20},
		"a small step": {exactly(append(wave(20, 100, 1), wave(8, 120, 1)...)...), Up, Small, High, 20},
		"level":        {exactly(wave(30, 100, 2)...), Level, None, High, 0},
		"a holiday":    {exactly(holiday...), Level, None, High, 0},
		"two low weeks at the end, holiday or not": {exactly(dip...), Level, None, High, 0},
		"weeks that nobody told":                   {gaps, Up, Medium, High, 20},
		"long ago":                                 {exactly(append(wave(20, 60, 2), wave(20, 100, 2)...)...), Level, None, High, 20},
		"too short":                                {exactly(wave(11, 100, 2)...), Unknown, Unknown, Unknown, 0},
		"bands that prove the direction only":      {bands(10, step), Up, Unknown, High, 20},
		"bands that prove it":                      {bands(50, append(repeated(60, 20), repeated(160, 8)...)), Up, Large, High, 20},
		"a band too wide":                          {bands(200, step), Unknown, Unknown, Unknown, 0},
		"an open top":                              {open, Up, Large, High, 14},
		"nobody":                                   {exactly(repeated(0, 20)...), Unknown, Unknown, Unknown, 0},
	} {
		got := Detect(c.in, Config{})
		if c.confidence == Unknown && got.Direction != Unknown {
			c.confidence = got.Confidence // how sure is not the point
		}
		if got.Direction != c.direction || got.Size != c.size || got.Confidence != c.confidence || got.Since != c.since {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := Detect(exactly(repeated(100, 20)...), Config{}); !got.Exact || got.Level != (report.Interval{Lo: 100, Hi: 100}) {
		t.Errorf("%+v", got)
	}
	if got := Detect(open, Config{}); got.Exact || got.Level.Lo != 200 || !math.IsInf(got.Level.Hi, 1) {
		t.Errorf("%+v", got)
	}
}

// TestExactDirectionHoldsForEveryWorldInTheIntervals: whatever the figures are, as long as they lie in the intervals, the mean of the
// weeks that were compared moved as is said.
func TestExactDirectionHoldsForEveryWorldInTheIntervals(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	said := 0
	for range 3000 {
		n := 12 + r.IntN(60)
		level := 20 + r.Float64()*200
		var in []Figure
		for i := range n {
			if i > 4 && r.IntN(25) == 0 {
				level *= 0.4 + 1.2*r.Float64()
			}
			v, w := math.Round(level*(0.95+0.1*r.Float64())), float64(r.IntN(8))
			lo := max(0, v-float64(r.IntN(int(w)+1)))
			in = append(in, Figure{report.Interval{Lo: lo, Hi: lo + w}, r.IntN(20) > 0})
		}
		ch := Detect(in, Config{})
		if ch.Direction == Unknown {
			continue
		}
		said++
		for range 10 {
			world := slices.Clone(in)
			var now, then []report.Interval
			from, before := compared(in, ch)
			for i := range world {
				if world[i].Known {
					v := []float64{in[i].Lo, in[i].Hi, in[i].Lo + r.Float64()*(in[i].Hi-in[i].Lo)}[r.IntN(3)]
					world[i].Interval = report.Interval{Lo: v, Hi: v}
				}
			}
			for _, i := range from {
				now = append(now, world[i].Interval)
			}
			for _, i := range before {
				then = append(then, world[i].Interval)
			}
			ratio := average(now) / average(then)
			ok := map[Answer]bool{Up: ratio > 1.1-1e-9, Down: ratio < 0.9+1e-9, Level: ratio > 0.9-1e-9 && ratio < 1.1+1e-9}[ch.Direction]
			if by := math.Abs(ratio - 1); ok && ch.Size != Unknown && ch.Direction != Level {
				ok = by >= []float64{0, 0.10, 0.25, 0.50}[ch.Size]-1e-9 && by <= []float64{0.10, 0.25, 0.50, math.Inf(1)}[ch.Size]+1e-9
			}
			if !ok {
				t.Fatalf("%+v, but a world has %v: %+v", ch, ratio, in)
			}
		}
	}
	if said < 500 {
		t.Errorf("only %d statements", said)
	}
}

func average(in []report.Interval) (v float64) {
	for _, i := range in {
		v += i.Lo / float64(len(in))
	}
	return v
}

// compared finds again which weeks were compared: by the same places, from the intervals alone.
func compared(in []Figure, ch Change) (now, then []int) {
	var at []int
	var x []float64
	var width float64
	for i, f := range in {
		if f.Known {
			at, x = append(at, i), append(x, (f.Lo+f.Hi)/2)
		}
	}
	for _, i := range at {
		width += (in[i].Hi - in[i].Lo) * (in[i].Hi - in[i].Lo) / 12 / float64(len(at))
	}
	clean, odd := holidays(x)
	noise := spread(clean, width)
	cuts := append([]int{0, 0}, Changes(scaled(clean, noise), Penalty(len(x)), 4)...)
	from, before := cuts[len(cuts)-1], cuts[len(cuts)-2]
	end := len(x)
	if from == 0 || len(in)-at[from] > 12 {
		before, from = from, end-4
	}
	pick := func(a, b int) (out []int) {
		for i := a; i < b; i++ {
			if !odd[i] {
				out = append(out, at[i])
			}
		}
		if len(out) == 0 {
			out = at[a:b]
		}
		return out
	}
	return pick(from, end), pick(before, from)
}

// TestSeasonIsNoChange: four years with a low summer; only a real step is told.
func TestSeasonIsNoChange(t *testing.T) {
	year := func(level float64, weeks int) (vs []float64) {
		for i := range weeks {
			v := level
			if w := i % 52; w >= 26 && w < 36 {
				v -= 30
			}
			vs = append(vs, v+[]float64{0, 1, -1, 2, -2, 1, -1}[i%7])
		}
		return vs
	}
	summer := exactly(year(100, 3*52+32)...)
	if got := Detect(summer, Config{}); got.Direction != Level || math.Abs(got.Level.Lo-100) > 8 {
		t.Errorf("in summer: %+v", got)
	}
	if got := Detect(summer[:52+32], Config{}); got.Direction != Down {
		t.Errorf("of two summers nobody knows a season: %+v", got)
	}
	vs := year(100, 3*52+32)
	for i := len(vs) - 6; i < len(vs); i++ {
		vs[i] -= 40
	}
	if got := Detect(exactly(vs...), Config{}); got.Direction != Down {
		t.Errorf("a fall within the summer: %+v", got)
	}
}

func TestWeeklyFillsADayThatIsMissing(t *testing.T) {
	var days []Figure
	for i := range 70 {
		v := 100.0
		if i%7 > 4 {
			v = 10
		}
		days = append(days, Exact(v))
	}
	days[36], days[48] = Figure{}, Figure{} // a working day, a Sunday
	for i := 56; i < 60; i++ {
		days[i] = Figure{}
	}
	for w, f := range Weekly(days) {
		if w == 8 {
			if f.Known {
				t.Error("three days make no week")
			}
			continue
		}
		if !f.Known || math.Abs(f.Lo-520) > 25 {
			t.Errorf("week %d: %+v", w, f)
		}
	}
}
