package kinds

import (
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/fieldpost/fieldpost/collector/accounts"
	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

func ways(t *testing.T) *catalog.Catalog {
	t.Helper()
	raw, err := os.ReadFile("../../../protocol/catalog/testdata/every-kind.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := catalog.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestStickinessHoldsWhateverLiesInTheBins draws people and days inside the bins' ends: the
// true ratio is never outside the interval, and both ends are reached.
func TestStickinessHoldsWhateverLiesInTheBins(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	ends := binEnds()
	for range 2000 {
		bins := make([]accounts.Point, len(ends))
		hi := 0.0
		for i := range bins {
			lo := float64(r.IntN(4))
			bins[i] = accounts.Point{Form: report.Band, Interval: report.Interval{Lo: lo, Hi: lo + float64(r.IntN(4))}}
			hi += bins[i].Hi
		}
		if hi == 0 {
			continue
		}
		active := accounts.Point{Form: report.Band, Interval: report.Interval{Lo: 0, Hi: hi}}
		got := Stickiness(active, bins, ends)
		least, most := math.Inf(1), math.Inf(-1)
		for range 300 {
			days, people := 0.0, 0.0
			for i, b := range bins {
				n := b.Lo + float64(r.IntN(int(b.Hi-b.Lo)+1))
				d := ends[i].Lo + float64(r.IntN(int(ends[i].Hi-ends[i].Lo)+1))
				days, people = days+n*d, people+n
			}
			if people > 0 {
				v := days / people / 28
				least, most = math.Min(least, v), math.Max(most, v)
			}
		}
		if least < got.Lo-1e-9 || most > got.Hi+1e-9 {
			t.Fatalf("bins %v: %v to %v lies outside %v", bins, least, most, got.Interval)
		}
	}
	exact := func(v float64) accounts.Point {
		return accounts.Point{Form: report.Exact, Interval: report.Interval{Lo: v, Hi: v}}
	}
	one := []accounts.Point{exact(2), exact(0), exact(0), exact(0), exact(0), exact(2)}
	if got := Stickiness(exact(4), one, ends).Interval; got != (report.Interval{Lo: 44.0 / 4 / 28, Hi: 58.0 / 4 / 28}) {
		t.Errorf("two on one day and two on 21 to 28: %v", got)
	}
	withheld := []accounts.Point{{Form: report.Suppressed}, exact(0), exact(0), exact(0), exact(0), exact(2)}
	if got := Stickiness(exact(4), withheld, ends).Interval; got.Lo != 46.0/6/28 || got.Hi != 1 {
		t.Errorf("a withheld bin: %v", got)
	}
	if got := Stickiness(accounts.Point{}, withheld, ends); got.Told() {
		t.Errorf("a withheld bin of unknown many: %v", got)
	}
}

func row(c *catalog.Catalog, inst, measure string, f report.Field, form report.Form, lo, hi float64, dims map[string]string) store.FigureRow {
	m, _ := c.Measure(measure)
	return store.FigureRow{Account: "a", Installation: inst, Figure: report.Figure{Measure: m.ID, Hash: m.HashString(), Field: f, Grain: m.LeavesAt(), Start: 20500, Dims: dims, Form: form, Lo: lo, Hi: hi}}
}

// TestPeopleOfTwoInstallationsAreNotAdded: the larger is the least there can be, the sum the most.
func TestPeopleOfTwoInstallationsAreNotAdded(t *testing.T) {
	c := ways(t)
	m, _ := c.Measure("people")
	s := join(c, m, []store.FigureRow{row(c, "x", "people", report.Value, report.Exact, 30, 30, nil), row(c, "y", "people", report.Value, report.Band, 20, 24, nil)})
	if got := s.at(20500, report.Value); got.Interval != (report.Interval{Lo: 30, Hi: 54}) || got.Form != report.Band {
		t.Errorf("30 and 20 to 24 join to %v %v", got.Form, got.Interval)
	}
	s = join(c, m, []store.FigureRow{row(c, "x", "people", report.Value, report.Exact, 30, 30, nil), row(c, "y", "people", report.Value, report.Suppressed, 0, 0, nil)})
	if got := s.at(20500, report.Value); !got.Partial || !math.IsInf(got.Hi, 1) || got.Lo != 30 {
		t.Errorf("30 and a withheld one join to %+v", got)
	}
	n, _ := c.Measure("next")
	s = join(c, n, []store.FigureRow{row(c, "x", "next", report.Value, report.Exact, 30, 30, nil), row(c, "y", "next", report.Value, report.Exact, 20, 20, nil)})
	if got := s.at(20500, report.Value); got.Interval != (report.Interval{Lo: 50, Hi: 50}) {
		t.Errorf("transitions are counts and add up, not %v", got.Interval)
	}
}

// TestNoiseHasItsErrorBar, and what was given to the pool alone is not shown for one account.
func TestNoiseHasItsErrorBar(t *testing.T) {
	c := ways(t)
	m, _ := c.Measure("people")
	s := join(c, m, []store.FigureRow{row(c, "x", "people", report.Value, report.Noised, 40, 40, nil)})
	got := s.at(20500, report.Value)
	if got.Form != report.Noised || got.Lo >= 40 || got.Hi <= 40 {
		t.Errorf("a figure with noise: %v %v", got.Form, got.Interval)
	}
	kept, _ := c.Measure("kept")
	if v := Of(c, kept, []store.FigureRow{row(c, "x", "kept", report.Value, report.Noised, 40, 40, nil)}, 20700); !strings.Contains(v.Empty, "pool alone") || v.Chart != "" {
		t.Errorf("a pooled figure is shown for one account: %+v", v)
	}
	points := []accounts.Point{{Form: report.Noised, Interval: report.Interval{Lo: 40, Hi: 40}}}
	if Noise(c, kept, report.Value, report.Block12w, points); points[0].Told() {
		t.Errorf("a pooled figure is in an account's line: %+v", points[0])
	}
}

func TestVolcanoIsSaidOnlyWhenCertain(t *testing.T) {
	c := ways(t)
	m, _ := c.Measure("flow")
	for word, x := range map[string][4]report.Interval{ // new, resurrected, retained, dormant
		"sitting on a volcano": {{Lo: 20, Hi: 22}, {Lo: 10, Hi: 12}, {Lo: 40, Hi: 45}, {Lo: 30, Hi: 33}},
		"more came than went":  {{Lo: 20, Hi: 22}, {Lo: 10, Hi: 12}, {Lo: 40, Hi: 45}, {Lo: 0, Hi: 4}},
		"more went than came":  {{Lo: 0, Hi: 4}, {Lo: 0, Hi: 4}, {Lo: 40, Hi: 45}, {Lo: 10, Hi: 14}},
		"calm":                 {{Lo: 0, Hi: 4}, {Lo: 0, Hi: 4}, {Lo: 80, Hi: 85}, {Lo: 0, Hi: 4}},
		"unclear":              {{Lo: 0, Hi: 30}, {Lo: 0, Hi: 4}, {Lo: 40, Hi: 45}, {Lo: 0, Hi: 30}},
		"open":                 {{Lo: 5, Hi: math.Inf(1)}, {Lo: 0, Hi: 4}, {Lo: 40, Hi: 45}, {Lo: 0, Hi: 4}},
	} {
		var rows []store.FigureRow
		for i, f := range []report.Field{report.New, report.Resurrected, report.Retained, report.Dormant} {
			rows = append(rows, row(c, "x", "flow", f, report.Band, x[i].Lo, x[i].Hi, nil))
		}
		if got := join(c, m, rows).volcano(); got.Word != word {
			t.Errorf("%v: %s, want %s (%s)", x, got.Word, word, got.Text)
		}
	}
}

// TestSharesNeverPassTheWhole: a part and its whole are told apart, but a share stays a share.
func TestSharesNeverPassTheWhole(t *testing.T) {
	p := func(lo, hi float64) accounts.Point {
		return accounts.Point{Form: report.Band, Interval: report.Interval{Lo: lo, Hi: hi}}
	}
	for _, x := range []struct {
		part, whole accounts.Point
		want        string
	}{{p(5, 9), p(10, 14), "35–90 %"}, {p(10, 14), p(10, 14), "71–100 %"}, {p(0, 20), p(10, 14), ""}, {p(3, 4), p(0, 4), ""}, {accounts.Point{Form: report.Suppressed}, p(3, 4), "withheld"}} {
		got := share(x.part, x.whole)
		switch {
		case got.Form == report.Suppressed && x.want == "withheld", !got.Told() && x.want == "":
		case percentText(got) != x.want:
			t.Errorf("%v of %v is %s, want %s", x.part.Interval, x.whole.Interval, percentText(got), x.want)
		}
	}
}
