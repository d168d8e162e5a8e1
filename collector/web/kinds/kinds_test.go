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

// Sums of people's events come per four weeks as exact figures, in bands, with noise or withheld, of several installations: they
// add up, and say in which form.
func TestSumsOfPeoplesEventsAreDrawnInEveryForm(t *testing.T) {
	c, err := catalog.Parse([]byte("catalog: t\nversion: 1\nvendor: V\nevents: {e: {match: E}}\ntraits: {role: {values: [a, b]}}\nmeasures:\n" +
		"  - {id: opens, kind: count, events: [e], by: [role], category: usage, question: q, purpose: p, owner: o, retention: forever}\n"))
	if err != nil {
		t.Fatal(err)
	}
	m := &c.Measures[0]
	if g, ok := Grain(m); !ok || g != report.Block4w {
		t.Fatalf("drawn at %s", g)
	}
	if said := Joined(m); !strings.Contains(said, "at most 5,600 times") {
		t.Errorf("what a sum is: %s", said)
	}
	start := report.CivilStart(report.Block4w, 20500)
	row := func(n int64, installation string, f report.Form, lo, hi float64) store.FigureRow {
		return store.FigureRow{Account: "a", Installation: installation, Figure: report.Figure{Measure: m.ID, Hash: m.HashString(), Field: report.Value, Grain: report.Block4w, Start: start + 28*n, Form: f, Lo: lo, Hi: hi}}
	}
	v := Of(c, m, []store.FigureRow{
		row(0, "x", report.Exact, 1200, 1200),
		row(1, "x", report.Exact, 1000, 1000), row(1, "y", report.Band, 200, 499),
		row(2, "x", report.Suppressed, 0, 0),
		row(3, "x", report.Suppressed, 0, 0), row(3, "y", report.Exact, 40, 40),
		row(4, "x", report.Band, 500, math.Inf(1)),
	}, start+28*6)
	table := ""
	for _, x := range v.Tables {
		for _, r := range x.Rows {
			for _, cell := range r {
				table += string(cell.HTML) + "|"
			}
			table += "\n"
		}
	}
	for _, want := range []string{">|1,200||\n"[1:], "1,200–1,499<em>band</em>", `<span class="hatch">withheld</span>`, "≥ 40<em>partial</em>", "≥ 500<em>band</em>"} {
		if !strings.Contains(table, want) {
			t.Errorf("no %q in\n%s", want, table)
		}
	}
	for _, class := range []string{`class="band"`, `class="band open"`, `class="supp"`, `class="dot"`} {
		if !strings.Contains(string(v.Chart), class) {
			t.Errorf("the chart has no %s", class)
		}
	}
}

// The error bar of a sum over installations is longer than that of one, and one figure in a band beside it stays one.
func TestTheErrorBarOfAnAccountIsThatOfItsSum(t *testing.T) {
	c := ways(t)
	m, _ := c.Measure("people")
	bar := func(parts int) float64 {
		points := []accounts.Point{{Form: report.Noised, Interval: report.Interval{Lo: 1000, Hi: 1000}, Noised: parts}}
		Noise(c, m, report.Value, report.Block4w, points)
		return points[0].Hi - points[0].Lo
	}
	if one, four := bar(1), bar(4); one <= 0 || four < 1.6*one || four > 2.4*one {
		t.Errorf("one installation ± %v, four ± %v: noise adds up by its square root", one/2, four/2)
	}
	points := []accounts.Point{{Form: report.Noised, Interval: report.Interval{Lo: 100, Hi: math.Inf(1)}, Noised: 1, Banded: 1}}
	Noise(c, m, report.Value, report.Block4w, points)
	if p := points[0]; !math.IsInf(p.Hi, 1) || p.Lo >= 100 || p.Lo < 80 {
		t.Errorf("beside a band with an open top: %v", p.Interval)
	}
}
