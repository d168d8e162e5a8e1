package web

import (
	"html/template"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/fieldpost/fieldpost/collector/accounts"
	"github.com/fieldpost/fieldpost/collector/insight"
	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/collector/web/chart"
	"github.com/fieldpost/fieldpost/collector/web/words"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/catalog/lint"
	"github.com/fieldpost/fieldpost/protocol/noise"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// poolPage shows what only many accounts together can tell: one block of 12 weeks at a time.
type poolPage struct {
	Measures    []poolMeasure
	Blocks      []poolBlock
	Block       int64
	Environment string
	Environs    []string
	MinAccounts int
	MaxError    float64
	CSV         string
	Asked       []*catalog.Measure // pooled in the catalog
}

type poolBlock struct {
	Start   int64
	Href    string
	Current bool
}

type poolMeasure struct {
	ID, Question, Hash string
	Epsilon            float64
	Shown, Withheld    int
	Groups             []poolGroup
}

type poolGroup struct {
	Name string
	Rows []poolRow
}

type poolRow struct {
	insight.Figure
	Name string
	Bar  template.HTML
	Tone string // of a withheld one
}

// pooled shows sums with their error bars, and tells the reasons of withholding apart.
func (h *Handler) pooled(q *request) error {
	d := poolPage{Environment: q.get("env"), Environs: store.Environments(), MinAccounts: noise.MinAccounts, MaxError: noise.MaxError}
	query := store.PoolQuery{}
	v := url.Values{}
	if slices.Contains(d.Environs, d.Environment) {
		query.Environments = []string{d.Environment}
		v.Set("environment", d.Environment)
	}
	list, err := h.pool.Figures(q.ctx, query)
	if err != nil {
		return err
	}
	cat, err := h.board.Catalog(q.ctx)
	if err != nil {
		return err
	}
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
		d.Block = blocks[0]
	}
	if want, err := report.ParseStart(report.Block12w, q.get("block")); err == nil && starts[want] {
		d.Block = want
	}
	for _, b := range blocks[:min(12, len(blocks))] {
		d.Blocks = append(d.Blocks, poolBlock{b, q.with("block", report.StartString(report.Block12w, b)), b == d.Block})
	}
	for _, f := range list {
		if f.Start == d.Block {
			d.add(cat, f)
		}
	}
	d.bars()
	if d.Block != 0 {
		v.Set("from", report.StartString(report.Block12w, d.Block))
		v.Set("to", v.Get("from"))
	}
	d.CSV = "/api/v1/pool.csv?" + v.Encode()
	q.render(http.StatusOK, "pool", page{Title: "Pool", Section: "pool"}, &d)
	return nil
}

// add puts a figure under its measure and dimensions; figures come in that order.
func (d *poolPage) add(cat *catalog.Catalog, f insight.Figure) {
	if n := len(d.Measures); n == 0 || d.Measures[n-1].ID != f.Measure || d.Measures[n-1].Hash != f.Hash {
		m := poolMeasure{ID: f.Measure, Hash: f.Hash, Epsilon: f.Epsilon}
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
		m.Groups = append(m.Groups, poolGroup{Name: name})
	}
	var values []string
	for _, k := range dims {
		values = append(values, f.Dims[k])
	}
	r := poolRow{Figure: f, Name: strings.Join(values, " × "), Tone: "unknown"}
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

func (d *poolPage) bars() {
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
func natural(rows []poolRow) {
	slices.SortStableFunc(rows, func(a, b poolRow) int {
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
func (r poolRow) Margin95() string { return "± " + words.Num(r.Margin) }

// ErrorInterval is the error's share of the sum.
func (r poolRow) ErrorInterval() report.Interval { return report.Interval{Lo: r.Error, Hi: r.Error} }

// Point is the sum as a figure.
func (r poolRow) Point() accounts.Point {
	if r.Reason != insight.Shown {
		return accounts.Point{Form: report.Suppressed}
	}
	return accounts.Point{Form: report.Noised, Interval: r.Interval}
}

// answersPage lists the catalog's questions with where their answers stand.
type answersPage struct {
	Catalog *catalog.Catalog
	Rows    []answerRow
	Asked   string
}

type answerRow struct {
	Q            lint.Question
	C            store.Coverage
	Said, Pooled bool
}

// answers lists each question with the measure that answers it.
func (h *Handler) answers(q *request) error {
	d := answersPage{Asked: q.get("q")}
	var err error
	if d.Catalog, err = h.board.Catalog(q.ctx); err != nil {
		return err
	}
	cover, err := h.c.Measurements.Coverage(q.ctx)
	if err != nil {
		return err
	}
	if d.Catalog != nil {
		used := map[int]bool{}
		for i, x := range lint.Questions(d.Catalog) {
			hay := strings.ToLower(x.Question + " " + x.Measure + " " + x.Purpose + " " + x.Answer + " " + string(x.Kind) + " " + x.Owner)
			if !strings.Contains(hay, strings.ToLower(strings.TrimSpace(d.Asked))) {
				continue
			}
			r := answerRow{Q: x, Pooled: d.Catalog.Measures[i].Pool}
			r.C, r.Said = coverageOf(cover, &d.Catalog.Measures[i], used)
			d.Rows = append(d.Rows, r)
		}
	}
	q.render(http.StatusOK, "answers", page{Title: "Answers", Section: "answers"}, &d)
	return nil
}
