package chart

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	m "github.com/fieldpost/fieldpost/agent/console/markup"
)

func drawn(vs ...Value) string {
	return string(m.Render(Lines{Label: "x", Series: []Series{{Values: vs}}, Write: m.Number}.Draw()))
}

func exact(v float64) Value { return Value{Form: Exact, Lo: v, Hi: v} }

// TestNoLineRunsOverAGap: a figure on each side of a gap is drawn by itself.
func TestNoLineRunsOverAGap(t *testing.T) {
	for name, gap := range map[string]Value{"unknown": {}, "withheld": {Form: Withheld}, "band": {Form: Band, Lo: 1, Hi: 4}} {
		got := drawn(exact(5), exact(6), gap, exact(7))
		if n := strings.Count(got, "M"); n != 1 || !strings.Contains(got, "<circle") || strings.Count(got, "L") != 1 {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestEachFormHasItsOwnMark(t *testing.T) {
	got := drawn(Value{}, Value{Form: Withheld}, Value{Form: Band, Lo: 10, Hi: 14}, exact(3))
	for _, w := range []string{`class="gap"`, `fill="url(#hatch)"`, `class="band"`, `class="dot"`} {
		if strings.Count(got, w) != 1 {
			t.Errorf("%s is there %d times", w, strings.Count(got, w))
		}
	}
	if n := strings.Count(got, "bandedge"); n != 2 {
		t.Errorf("a band has %d edges", n)
	}
	if got := drawn(Value{Form: Band, Lo: 43, Hi: math.Inf(1)}, exact(50)); strings.Count(got, "bandedge") != 1 {
		t.Error("an open top has an edge")
	}
	if got := drawn(Value{Form: Withheld}, Value{Form: Withheld}, Value{}); strings.Count(got, "url(#hatch)") != 1 {
		t.Error("neighbours of one kind are not one block")
	}
}

// TestStepsEncloseAndAreRound for any two bounds.
func TestStepsEncloseAndAreRound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lo := rapid.Float64Range(0, 1e9).Draw(t, "lo")
		hi := lo + rapid.Float64Range(1e-3, 1e9).Draw(t, "more")
		s := Steps(lo, hi, 3)
		if len(s) < 2 || len(s) > 7 {
			t.Fatalf("%d steps: %v", len(s), s)
		}
		unit := s[1] - s[0]
		if s[0] > lo+unit*1e-6 || s[len(s)-1] < hi-unit*1e-6 {
			t.Fatalf("%v do not enclose %v to %v", s, lo, hi)
		}
	})
	for _, c := range [][2]float64{{0, 0}, {5, 5}, {3, 1}, {0, math.NaN()}} {
		if s := Steps(c[0], c[1], 3); len(s) < 2 || len(s) > 7 {
			t.Errorf("%v: %v", c, s)
		}
	}
}

// TestEveryStateOfADayIsSeen: a minute of a day has its height, and all heights fill the strip.
func TestEveryStateOfADayIsSeen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.Float64Range(0, 86400)
		d := Day{Up: part.Draw(t, "up"), Down: part.Draw(t, "down"), Maintenance: part.Draw(t, "maintenance"), Unknown: part.Draw(t, "unknown")}
		sum := 0.0
		for i, h := range d.heights() {
			if p := [4]float64{d.Up, d.Unknown, d.Maintenance, d.Down}[i]; p > 0 && h < leastSeen {
				t.Fatalf("part %d of %+v is %v high", i, d, h)
			}
			sum += h
		}
		if math.Abs(sum-dayHeight) > 1e-6 {
			t.Fatalf("%+v is %v high", d, sum)
		}
	})
	if h := (Day{}).heights(); h[1] != dayHeight {
		t.Errorf("a day nobody saw is %v", h)
	}
}

func TestNothingToDrawIsNoPanic(t *testing.T) {
	for _, vs := range [][]Value{{}, {{}}, {exact(0)}, {exact(math.NaN())}, {{Form: Band, Lo: 1, Hi: math.Inf(1)}}} {
		if got := drawn(vs...); strings.Contains(got, "NaN") || strings.Contains(got, "Inf") {
			t.Errorf("%v: %s", vs, got)
		}
	}
}
