// Package many says what many accounts tell together: pooled sums with their error bars, and
// accounts grouped by an imported trait.
//
// Invariants: a withheld sum carries no number and its reason; groups leave no account out.
// It keeps nothing.
package many

import (
	"html/template"
	"maps"
	"slices"
	"strings"

	"github.com/fieldpost/fieldpost/collector/accounts"
	"github.com/fieldpost/fieldpost/collector/insight"
	"github.com/fieldpost/fieldpost/collector/web/chart"
	"github.com/fieldpost/fieldpost/collector/web/words"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/noise"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Pool shows what only many accounts together can tell: one block of 12 weeks at a time.
type Pool struct {
	Measures    []Measure
	Blocks      []Block
	Start       int64
	Environment string
	Environs    []string
	MinAccounts int
	MaxError    float64
	CSV         string
	Asked       []*catalog.Measure // pooled in the catalog
}

type Block struct {
	Start   int64
	Href    string
	Current bool
}

type Measure struct {
	ID, Question, Hash string
	Epsilon            float64
	Shown, Withheld    int
	Groups             []Group
}

type Group struct {
	Name string
	Rows []Row
}

type Row struct {
	insight.Figure
	Name string
	Bar  template.HTML
	Tone string // of a withheld one
}

// NewPool lays out the figures of the block that was asked for, else of the newest. href is
// the address of another block.
func NewPool(list []insight.Figure, cat *catalog.Catalog, block string, href func(start string) string) *Pool {
	d := &Pool{MinAccounts: noise.MinAccounts, MaxError: noise.MaxError}
	if cat != nil {
		for i := range cat.Measures {
			if cat.Measures[i].Pool {
				d.Asked = append(d.Asked, &cat.Measures[i])
			}
		}
	}
	starts := map[int64]bool{}
	for _, f := range list {
		starts[f.Start] = true
	}
	blocks := slices.Sorted(maps.Keys(starts))
	slices.Reverse(blocks)
	if len(blocks) > 0 {
		d.Start = blocks[0]
	}
	if want, err := report.ParseStart(report.Block12w, block); err == nil && starts[want] {
		d.Start = want
	}
	for _, b := range blocks[:min(12, len(blocks))] {
		d.Blocks = append(d.Blocks, Block{b, href(report.StartString(report.Block12w, b)), b == d.Start})
	}
	for _, f := range list {
		if f.Start == d.Start {
			d.add(cat, f)
		}
	}
	d.bars()
	return d
}

// add puts a figure under its measure and dimensions; figures come in that order.
func (d *Pool) add(cat *catalog.Catalog, f insight.Figure) {
	if n := len(d.Measures); n == 0 || d.Measures[n-1].ID != f.Measure || d.Measures[n-1].Hash != f.Hash {
		m := Measure{ID: f.Measure, Hash: f.Hash, Epsilon: f.Epsilon}
		if cat != nil {
			if x, _ := cat.Measure(f.Measure); x != nil {
				m.Question = x.Question
			}
		}
		d.Measures = append(d.Measures, m)
	}
	m := &d.Measures[len(d.Measures)-1]
	dims := slices.Sorted(maps.Keys(f.Dims))
	name := "Total"
	if len(dims) > 0 {
		name = "By " + strings.Join(dims, " × ")
	}
	if n := len(m.Groups); n == 0 || m.Groups[n-1].Name != name {
		m.Groups = append(m.Groups, Group{Name: name})
	}
	var values []string
	for _, k := range dims {
		values = append(values, f.Dims[k])
	}
	r := Row{Figure: f, Name: strings.Join(values, " × "), Tone: "unknown"}
	if r.Name == "" {
		r.Name = "all"
	}
	if f.Field != report.Value {
		r.Name += ", " + f.Field.String()
	}
	if f.Reason == insight.TooUncertain {
		r.Tone = "warn"
	}
	g := &m.Groups[len(m.Groups)-1]
	g.Rows = append(g.Rows, r)
}

func (d *Pool) bars() {
	for i := range d.Measures {
		m := &d.Measures[i]
		for j := range m.Groups {
			most := 1.0
			rows := m.Groups[j].Rows
			natural(rows)
			for _, r := range rows {
				most = max(most, r.Interval.Hi)
			}
			for k := range rows {
				r := &rows[k]
				a := chart.Amount{Form: report.Suppressed}
				if r.Reason == insight.Shown {
					a = chart.Amount{Form: report.Noised, Interval: r.Interval}
					m.Shown++
				} else {
					m.Withheld++
				}
				r.Bar = chart.Range(a, most)
			}
		}
	}
}

// natural puts 2 before 10 where all names are numbers or begin with one.
func natural(rows []Row) {
	slices.SortStableFunc(rows, func(a, b Row) int {
		x, y := len(leading(a.Name)), len(leading(b.Name))
		if x == 0 || y == 0 {
			return 0
		}
		if x != y {
			return x - y
		}
		return strings.Compare(leading(a.Name), leading(b.Name))
	})
}

func leading(s string) string {
	i := strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' })
	if i < 0 {
		return s
	}
	return s[:i]
}

// Margin95 is the error bar as a figure with its share of the sum.
func (r Row) Margin95() string { return "± " + words.Num(r.Margin) }

// ErrorInterval is the error's share of the sum.
func (r Row) ErrorInterval() report.Interval { return report.Interval{Lo: r.Error, Hi: r.Error} }

// Point is the sum as a figure.
func (r Row) Point() accounts.Point {
	if r.Reason != insight.Shown {
		return accounts.Point{Form: report.Suppressed}
	}
	return accounts.Point{Form: report.Noised, Interval: r.Interval}
}
