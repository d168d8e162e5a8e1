// Package kinds turns the figures of one measure of one account into what a page shows:
// headline figures, a chart, and tables, drawn as the measure's kind wants to be read
// (retention as a triangle, a funnel with its bands, a lifecycle around zero …).
//
// Invariants: every number is an interval with its form; ratios and sums are interval
// arithmetic and are left out where they could be anything; people of several installations
// of an account are joined to the largest … the sum, never added; what was withheld and what
// nobody told stay apart, in words and in drawings; each chart has a table with the same
// figures behind it. What an installation gave to the pool alone is not shown for one account.
//
// It keeps nothing.
package kinds

import (
	"fmt"
	"html/template"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/fieldpost/fieldpost/collector/accounts"
	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/collector/web/chart"
	"github.com/fieldpost/fieldpost/collector/web/words"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/noise"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// View is what a page shows of a measure.
type View struct {
	Title   string // the window: "4 weeks from 5 Oct 2026"
	Facts   []Fact
	Verdict *Verdict
	Chart   template.HTML
	Legend  []Key
	Tables  []Table
	Empty   string // why there is nothing
}

// Fact is one headline figure.
type Fact struct {
	Name  string
	Value template.HTML
	Note  string
}

// Verdict is a sentence that the intervals make certain, with its tone.
type Verdict struct{ Tone, Word, Text string }

// Key explains a colour of the chart.
type Key struct{ Class, Text string }

// Table is a list of rows; Behind says that it stands behind the chart.
type Table struct {
	Title, Note string
	Heads       []Head
	Rows        [][]Cell
	Behind      bool
}

// Head is a column's name.
type Head struct {
	Text string
	Num  bool
}

// Cell is one field of a row.
type Cell struct {
	HTML template.HTML
	Num  bool
}

func text(s string) Cell { return Cell{HTML: template.HTML(template.HTMLEscapeString(s))} } //nolint:gosec // escaped

func fig(p accounts.Point) Cell { return Cell{HTML: words.Figure(p), Num: true} }

func heads(names ...string) []Head {
	out := make([]Head, len(names))
	for i, n := range names {
		n, num := strings.CutPrefix(n, "#")
		out[i] = Head{n, num}
	}
	return out
}

// Of says how a measure's figures read. rows are the figures of one account at the measure's
// grain, of any definition and in any order; today is the civil day by the account's clock.
func Of(c *catalog.Catalog, m *catalog.Measure, rows []store.FigureRow, today int64) View {
	s := join(c, m, rows)
	if len(s.starts) == 0 {
		return View{Empty: s.why()}
	}
	s.today = today
	var v View
	switch m.Kind {
	case catalog.Lifecycle:
		v = s.lifecycle()
	case catalog.Stickiness:
		v = s.stickiness()
	case catalog.Retention:
		v = s.retention()
	case catalog.Funnel:
		v = s.funnel()
	case catalog.Adoption:
		v = s.adoption()
	case catalog.Seats:
		v = s.seats()
	case catalog.Transitions:
		v = s.transitions()
	case catalog.Sufficient:
		v = s.sufficient()
	case catalog.FirstTime, catalog.Fact, catalog.Shift, catalog.Environment:
		v = s.listed()
	default:
		v = s.series()
	}
	if v.Title == "" {
		v.Title = s.window(s.newest())
	}
	if m.Kind != catalog.Lifecycle {
		v.Tables = append(v.Tables, s.breakdowns()...)
	}
	return v
}

// Grain is the one at which an account's figures of a measure are drawn; ok is false for
// those that roll up by week (machines and traffic).
func Grain(m *catalog.Measure) (g report.Grain, ok bool) {
	switch {
	case m.Kind == catalog.Fact, m.Subject != catalog.Person && m.Kind != catalog.Seats:
		return 0, false
	}
	return m.LeavesAt(), true
}

type key struct {
	start int64
	field report.Field
	dims  string
}

// set is the figures of one measure of one account, joined over its installations.
type set struct {
	c       *catalog.Catalog
	m       *catalog.Measure
	by      map[key]accounts.Point
	dims    map[string]map[string]string // DimsKey → dimensions
	starts  []int64                      // oldest first
	sites   int
	earlier bool // figures of another definition exist
	pooled  bool // some were given to the pool alone
	today   int64
}

func join(c *catalog.Catalog, m *catalog.Measure, rows []store.FigureRow) *set {
	s := &set{c: c, m: m, by: map[key]accounts.Point{}, dims: map[string]map[string]string{}}
	margins := errorBars(c, m)
	tallies := map[key]*report.Tally{}
	sites, starts := map[string]bool{}, map[int64]bool{}
	for _, r := range rows {
		f := r.Figure
		if f.Hash != m.HashString() {
			s.earlier = true
			continue
		}
		if f.Form == report.Noised && f.Grain == report.Block12w && m.Pool {
			s.pooled = true
			continue
		}
		k := key{f.Start, f.Field, store.DimsKey(f.Dims)}
		s.dims[k.dims] = f.Dims
		sites[r.Installation], starts[f.Start] = true, true
		i := report.Interval{Lo: f.Lo, Hi: f.Hi}
		if f.Form == report.Noised {
			n, known := margins[key{0, f.Field, k.dims}]
			if !known { // no catalog here says how much noise it has: it says nothing
				f.Form = report.Unknown
			}
			i = noisy(i, n.Margin(noise.Confidence))
		}
		t := tallies[k]
		if t == nil {
			t = &report.Tally{}
			tallies[k] = t
		}
		s.put(k, t, f.Form, i)
	}
	for k, p := range s.by {
		if p.Suppressed+p.Unknown > 0 && p.Told() { // a part is missing: the account's own figure has no certain top
			p.Hi, p.Partial = math.Inf(1), true
			s.by[k] = p
		}
	}
	s.sites, s.starts = len(sites), slices.Sorted(maps.Keys(starts))
	return s
}

// noisy is where the figure lies in 95 of 100 cases: never below nought.
func noisy(i report.Interval, margin float64) report.Interval {
	return report.Interval{Lo: math.Max(0, i.Lo-margin), Hi: math.Max(0, i.Hi+margin)}
}

// Noise gives points with noise their error bars: of several installations that of their sum. Those that a site gave to the pool alone,
// and those whose noise the catalog does not explain, are not shown for one account.
func Noise(c *catalog.Catalog, m *catalog.Measure, f report.Field, g report.Grain, points []accounts.Point) {
	var margins map[key]noise.Params
	for i, p := range points {
		if p.Form != report.Noised {
			continue
		}
		if margins == nil {
			margins = errorBars(c, m)
		}
		one, known := margins[key{0, f, store.DimsKey(nil)}]
		if !known || g == report.Block12w && m.Pool {
			points[i] = accounts.Point{Start: p.Start, Hash: p.Hash}
			continue
		}
		var sum noise.Sum
		sum.AddN(one, max(1, p.Noised))
		points[i].Interval = noisy(p.Interval, sum.Margin(noise.Confidence))
	}
}

// put joins one installation's figure to those before it.
func (s *set) put(k key, t *report.Tally, f report.Form, i report.Interval) {
	before, parts := t.Interval, t.Told()
	t.Add(f, i)
	one := store.Series{Kind: string(s.m.Kind), Field: k.field}
	if f.HasNumbers() && parts > 0 && (one.JoinsPeople() || s.m.Kind == catalog.Adoption) {
		t.Interval = before.Union(i)
	}
	form := t.Form()
	if f.HasNumbers() && t.Told() == 1 {
		form = f
	}
	p := accounts.PointOf(k.start, form, *t)
	p.Hash = s.m.HashString()
	s.by[k] = p
}

// errorBars say how much noise figures have, by field and dimensions.
func errorBars(c *catalog.Catalog, m *catalog.Measure) map[key]noise.Params {
	out := map[key]noise.Params{}
	plan, ok := noise.PlanOf(c, m, noise.Strict)
	if !ok {
		return out
	}
	for _, x := range plan.Figures() {
		if p, ok := plan.Params(x); ok {
			out[key{0, x.Field, store.DimsKey(c.Dims(m, x))}] = p
		}
	}
	return out
}

func (s *set) why() string {
	switch {
	case s.pooled:
		return "This account gives the measure to the pool alone: it is in the sums over many accounts, and is not shown by itself."
	case s.earlier:
		return "Told under an earlier definition of the measure; the first window of this one has not closed."
	}
	return "None of its windows was told yet. The first comes when a whole window inside the consent has closed."
}

func (s *set) newest() int64 { return s.starts[len(s.starts)-1] }

// recent are the newest n windows, newest first.
func (s *set) recent(n int) []int64 {
	out := slices.Clone(s.starts[max(0, len(s.starts)-n):])
	slices.Reverse(out)
	return out
}

// at is a figure; dims are pairs of name and value.
func (s *set) at(start int64, f report.Field, dims ...string) accounts.Point {
	d := map[string]string{}
	for i := 0; i+1 < len(dims); i += 2 {
		d[dims[i]] = dims[i+1]
	}
	if p, ok := s.by[key{start, f, store.DimsKey(d)}]; ok {
		return p
	}
	return accounts.Point{Start: start}
}

func (s *set) grain() report.Grain { return s.m.LeavesAt() }

// window names one.
func (s *set) window(start int64) string { return words.Window(s.grain(), start) }

func amount(p accounts.Point) chart.Amount { return chart.Amount{Form: p.Form, Interval: p.Interval} }

// share is part ÷ whole as a figure, never above 1; unknown where it could be anything.
func share(part, whole accounts.Point) accounts.Point {
	out := accounts.Point{Start: part.Start, Form: part.Form}
	if part.Form == report.Suppressed || !part.Told() || !whole.Told() {
		if part.Told() {
			out.Form = whole.Form
		}
		return out
	}
	r, ok := part.Ratio(whole.Interval)
	if !ok || math.IsNaN(r.Lo) || r.Lo <= 0 && r.Hi >= 1 {
		return accounts.Point{Start: part.Start}
	}
	out.Interval = report.Interval{Lo: math.Min(1, r.Lo), Hi: math.Min(1, r.Hi)}
	if out.Form = report.Band; part.Form == report.Noised || whole.Form == report.Noised {
		out.Form = report.Noised
	} else if out.Known() && part.Form == report.Exact && whole.Form == report.Exact {
		out.Form = report.Exact
	}
	return out
}

// percent shows a share: per cent, cut and never rounded up.
func percent(p accounts.Point) template.HTML {
	switch {
	case p.Form == report.Suppressed:
		return `<span class="hatch">withheld</span>`
	case !p.Told():
		return `<span class="note">open</span>`
	}
	return template.HTML(template.HTMLEscapeString(percentText(p))) //nolint:gosec // escaped
}

func percentText(p accounts.Point) string {
	lo, hi := math.Floor(p.Lo*100+1e-9), math.Ceil(p.Hi*100-1e-9)
	switch {
	case p.Known():
		return words.Num(lo) + " %"
	case math.IsInf(p.Hi, 1):
		return "≥ " + words.Num(lo) + " %"
	}
	return words.Num(lo) + "–" + words.Num(hi) + " %"
}

func percentCell(p accounts.Point) Cell { return Cell{HTML: percent(p), Num: true} }

func bar(p accounts.Point, most float64) Cell { return Cell{HTML: chart.Range(amount(p), most)} }

// top is the scale that holds all the figures.
func top(ps ...accounts.Point) float64 {
	most := 1.0
	for _, p := range ps {
		if p.Told() {
			if math.IsInf(p.Hi, 1) {
				p.Hi = p.Lo * 1.25
			}
			most = math.Max(most, p.Hi)
		}
	}
	return most
}

// Top is the upper end of a figure for a scale; of an open one a little above its low end.
func Top(p accounts.Point) float64 { return top(p) }

// ShareOf is a part's share of itself and the rest, in words.
func ShareOf(part, rest accounts.Point) template.HTML {
	if !part.Told() || !rest.Told() {
		return percent(accounts.Point{})
	}
	i, ok := report.ShareOf(part.Interval, rest.Interval)
	if !ok || i.Lo <= 0 && i.Hi >= 1 {
		return percent(accounts.Point{})
	}
	return percent(accounts.Point{Form: report.Band, Interval: i})
}

// formLegend explains the forms of charts.
func formLegend() []Key {
	return []Key{{"k-exact bar", "certain"}, {"k-band", "between the ends"}, {"k-supp", "withheld, small numbers"}, {"k-gap", "not told"}}
}

// series draws one figure over its windows: blocks, or 28 days on a block's last day.
func (s *set) series() View {
	f := s.m.Fields()[0]
	v := View{Legend: []Key{{"k-exact", "exact"}, {"k-band", "band"}, {"k-noised", "with noise and its error bar"}, {"k-supp", "withheld, small numbers"}, {"k-gap", "not told"}}}
	v.Chart, v.Tables = s.line(f)
	v.Facts = []Fact{{Name: words.Label(s.m.ID), Value: words.Figure(s.at(s.newest(), f)), Note: s.window(s.newest())}}
	return v
}

// line draws a total over the windows from the first told one, gaps included.
func (s *set) line(f report.Field) (template.HTML, []Table) {
	days := int64(28)
	if s.grain() == report.Block12w {
		days = 84
	}
	t := Table{Title: "Figures", Heads: heads("Window", "#"+words.Label(f.String()), ""), Behind: true}
	var cols []chart.Week
	for start := s.starts[0]; start <= s.newest(); start += days {
		p := s.at(start, f)
		cols = append(cols, chart.Week{Start: chart.Day(start), Form: p.Form, Interval: p.Interval, Read: s.window(start) + ": " + words.FigureText(p)})
		t.Rows = append(t.Rows, []Cell{text(s.window(start)), fig(p), text(s.joinedOf(p))})
	}
	slices.Reverse(t.Rows)
	return chart.Columns(s.m.Question, cols, int(days), nil), []Table{t}
}

func (s *set) joinedOf(p accounts.Point) string {
	if n := p.Tally().Parts(); n > 1 {
		return fmt.Sprintf("%d installations; people may be in several, so from the largest to the sum", n)
	}
	return ""
}
