// Package picture turns a measure's lines, as a query gives them, into what a page shows: the
// newest figure, a chart and a table.
//
// Invariants: what was withheld is drawn as withheld, a window nobody reported as a gap; an open
// window is in the table and not in the chart, because it still moves; a value this version cannot
// read counts as unknown.
//
// The package keeps no state on disk.
package picture

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/fieldpost/fieldpost/agent/console/chart"
	m "github.com/fieldpost/fieldpost/agent/console/markup"
	"github.com/fieldpost/fieldpost/agent/console/say"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Line is one line of a query's answer.
type Line struct {
	Measure string            `json:"measure"`
	Grain   string            `json:"grain"`
	Start   string            `json:"start"`
	Dims    map[string]string `json:"dims"`
	Value   json.RawMessage   `json:"value"`
	Form    string            `json:"form"` // "" when the value is told as it is
	Lo      *float64          `json:"lo"`
	Hi      *float64          `json:"hi"` // absent with lo present: open top
	Why     string            `json:"why"`
	Figures []control.Part    `json:"figures"` // of the form "figures": each has its own
	Closed  bool              `json:"closed"`
}

// Picture is a measure's figures ready for a page: the newest one, a chart, a table.
type Picture struct {
	Number  m.Node // the newest figure
	Note    string // beside it
	When    m.Node // after that; may be nil
	Chart   m.Node
	Legend  m.Node
	Reasons m.Node // why figures of the newest window are withheld; may be nil
	Hidden  string // why there is nothing to draw; "" when there is
	Why     m.Node // "withheld" or "none", where there is nothing to draw
	Rows    int    // of the table
	columns []string
	cells   func(i int) []m.Node // of the i-th newest row
	marks   []string             // what the legend explains
}

// parts are the fields a figure with several parts may have.
type parts struct {
	Last, Min, Max, Mean                      *float64
	Increase                                  *float64
	Count, Sum, P50, P90, P95, P99            *float64
	Buckets                                   []float64
	Value, Since                              string
	Up, Down, Maintenance, Unknown, Incidents *float64
	Availability, Coverage                    *float64
	Good, Valid, Ratio                        *float64
}

// point is a line with its value read.
type point struct {
	Line
	start  int64
	form   chart.Form
	lo, hi float64
	parts  parts
	dims   string
	figs   map[string]figure // of kinds with several figures
}

// fig is one figure of the point; unknown where there is none.
func (x point) fig(key string) figure { return x.figs[key] }

// one is the point's figure where it has only one.
func (x point) one() figure { return figure{form: x.form, lo: x.lo, hi: x.hi, why: x.Why} }

// Draw makes the picture of a measure's lines. all asks for every breakdown value.
func Draw(ms control.Measure, book *catalog.Catalog, grain string, lines []Line, now time.Time, all bool) Picture {
	g, err := report.ParseGrain(grain)
	if err != nil {
		return Picture{Hidden: "its windows have a length this version does not know", Why: m.Text("–")}
	}
	d := newDrawing(ms, book, g, lines, now)
	d.lastDays()
	points := d.points
	p := Picture{Rows: len(points)}
	p.columns, p.cells = d.table()
	told := slices.ContainsFunc(points, func(x point) bool { return x.form.Told() })
	switch {
	case len(points) == 0:
		p.Hidden, p.Why = "no figure in the time that is shown here: a window appears when it has begun", m.El("span", m.Class("unknown"), m.Text("none"))
	case !told:
		p.Hidden, p.Why = points[len(points)-1].Why, say.Hatched("withheld")
		for i := len(points) - 1; i >= 0 && i > len(points)-8; i-- { // the newest may only be open
			if points[i].Closed && points[i].Why != "" {
				p.Hidden = points[i].Why
				break
			}
		}
		if p.Hidden == "" {
			p.Hidden = "too little to tell"
		}
	default:
		d.fill(&p, all)
		p.Legend = chart.Legend(p.marks)
	}
	return p
}

// lastDays leaves the days out on which a rolling window is told of nobody: only a block's last day ever is.
func (d *drawing) lastDays() {
	if d.g != report.Rolling28 || !several(d.ms.Kind) {
		return
	}
	tells := func(x point) bool {
		for k, f := range x.figs {
			if f.form.Told() && k != bare("purchased") && k != bare("assigned") {
				return true
			}
		}
		return false
	}
	if slices.ContainsFunc(d.points, tells) {
		d.points = slices.DeleteFunc(d.points, func(x point) bool { return !tells(x) })
	}
}

// read parses the lines' values. A value this version cannot read counts as unknown.
func read(kind string, def *catalog.Measure, g report.Grain, lines []Line) []point {
	out := make([]point, 0, len(lines))
	for _, l := range lines {
		p := point{Line: l, dims: say.DimsText(l.Dims)}
		var err error
		if p.start, err = report.ParseStart(g, l.Start); err != nil {
			continue
		}
		switch {
		case several(kind) && (l.Form == "figures" || l.Form == "" || l.Form == "exact"):
			p.figs = figuresOf(kind, def, l)
			if !l.Closed && kind != "retention" { // a cohort's weeks close one by one
				for k, f := range p.figs {
					if f.form == chart.Withheld {
						p.figs[k] = figure{form: chart.NotYet, why: f.why}
					}
				}
			}
			p.form, p.Why = overall(p.figs, l.Why)
		case l.Form == "" || l.Form == "exact":
			p.form = chart.Exact
			switch kind {
			case "count", "active_users", "transitions":
				err = json.Unmarshal(l.Value, &p.lo)
				p.hi = p.lo
			default:
				err = json.Unmarshal(l.Value, &p.parts)
			}
			if err != nil {
				p.form = chart.Unknown
			}
		default:
			f := formed(l.Form, l.Lo, l.Hi, l.Why)
			p.form, p.lo, p.hi = f.form, f.lo, f.hi
		}
		out = append(out, p)
	}
	return out
}

// overall is the form of a line of several figures: told if one that counts people is, and why not where none is.
func overall(fs map[string]figure, why string) (chart.Form, string) {
	form := chart.Unknown
	for _, k := range sortedKeys(fs) {
		f := fs[k]
		switch {
		case f.form.Told():
			return chart.Band, why
		case f.form == chart.Withheld || f.form == chart.NotYet:
			form = chart.Withheld
			if why == "" {
				why = f.why
			}
		}
	}
	return form, why
}

// drawing knows how each kind is drawn.
type drawing struct {
	ms     control.Measure
	g      report.Grain
	points []point
	now    time.Time
	unit   string
	bounds []float64
	def    *catalog.Measure // nil where the catalog holds none
}

func newDrawing(ms control.Measure, book *catalog.Catalog, g report.Grain, lines []Line, now time.Time) *drawing {
	def, _ := book.Measure(ms.ID)
	return &drawing{ms: ms, g: g, points: read(ms.Kind, def, g, lines), now: now, unit: ms.Unit, bounds: boundsOf(book, ms.ID), def: def}
}

// fill draws what can be told.
func (d *drawing) fill(p *Picture, all bool) {
	last := d.newest()
	p.Note, p.When = "", m.Group(m.Text(" "), say.Window(d.g, last.start))
	if d.people(p, last, all) {
		return
	}
	switch d.ms.Kind {
	case "fact":
		p.Number, p.Note = m.Text(last.parts.Value), "since "
		p.When = m.Text(last.parts.Since)
		if t, err := time.Parse(time.RFC3339, last.parts.Since); err == nil {
			p.When = say.Moment(t)
		}
		return
	case "availability":
		d.availability(p)
		return
	case "slo":
		d.slo(p)
		return
	case "histogram":
		d.histogram(p, last)
		return
	case "gauge":
		p.Number, p.Note = m.Text(d.amount(value(last.parts.Last))), "last, mean "+d.amount(value(last.parts.Mean))+" ·"
		d.lines(p, []pick{{"mean", func(x point) *float64 { return x.parts.Mean }}}, func(x point) (lo, hi *float64) { return x.parts.Min, x.parts.Max })
		p.marks = append(p.marks, "range")
	case "distribution":
		p.Number, p.Note = m.Text(d.amount(value(last.parts.P50))), "median of "+say.Amount(value(last.parts.Count))+" ·"
		d.lines(p, []pick{{"p50", func(x point) *float64 { return x.parts.P50 }}, {"p95", func(x point) *float64 { return x.parts.P95 }}}, nil)
	case "counter":
		p.Number = m.Text(d.amount(value(last.parts.Increase)))
		d.split(p, func(x point) (float64, float64, bool) {
			v := value(x.parts.Increase)
			return v, v, x.parts.Increase != nil
		}, all)
	default: // count, active_users
		p.Number = d.told(last)
		d.split(p, func(x point) (float64, float64, bool) { return x.lo, x.hi, true }, all)
	}
	if before := d.before(last); before != nil && (d.ms.Kind == "count" || d.ms.Kind == "active_users") {
		p.Note = "the one before: " + say.RangeText(before.lo, before.hi, say.Amount) + " ·"
	}
}

func value(v *float64) float64 {
	if v == nil {
		return 0
	}
	return *v
}

func (d *drawing) amount(v float64) string { return say.Quantity(v, d.unit) }

// told is a figure of one number.
func (d *drawing) told(x point) m.Node {
	return x.one().node(say.Amount)
}

// newest is the newest closed figure that tells something, else the newest that does.
func (d *drawing) newest() point {
	best := d.points[0]
	for _, x := range d.points {
		if x.form.Told() && (x.Closed || !best.Closed || !best.form.Told()) {
			best = x
		}
	}
	return best
}

// before is the figure of the window just before x, if it tells something.
func (d *drawing) before(x point) *point {
	starts, _ := d.windows()
	i := slices.Index(starts, x.start)
	if i < 1 {
		return nil
	}
	for k := range d.points {
		if y := &d.points[k]; y.start == starts[i-1] && y.dims == x.dims && y.form.Told() {
			return y
		}
	}
	return nil
}

// mostWindows bounds a chart: more cannot be told apart.
const mostWindows = 400

// windows are the starts of all closed windows from the first to the last figure, with those nobody
// reported, and the index of each.
func (d *drawing) windows() ([]int64, map[int64]int) {
	first, last := int64(math.MaxInt64), int64(math.MinInt64)
	for _, x := range d.points {
		if x.Closed {
			first, last = min(first, x.start), max(last, x.start)
		}
	}
	if first > last {
		for _, x := range d.points { // only open windows: show them
			first, last = min(first, x.start), max(last, x.start)
		}
	}
	if d.machine() { // silence since the last figure is a gap, not nothing
		if end := report.WindowStart(d.g, d.now, time.UTC); end > last {
			for n := 0; n < mostWindows && Step(d.g, last) < end; n++ {
				last = Step(d.g, last)
			}
		}
	}
	var starts []int64
	index := map[int64]int{}
	for s, n := first, 0; s <= last && n < 1_000_000; s, n = Step(d.g, s), n+1 {
		if len(starts) == 2*mostWindows {
			starts = append(starts[:0], starts[mostWindows:]...) // the newest count
		}
		starts = append(starts, s)
	}
	if len(starts) > mostWindows {
		starts = starts[len(starts)-mostWindows:]
	}
	for i, s := range starts {
		index[s] = i
	}
	return starts, index
}

// machine says whether a missing window means that nobody looked.
func (d *drawing) machine() bool {
	switch d.ms.Kind {
	case "gauge", "counter", "histogram", "availability", "slo":
		return d.g.Civil() || d.g == report.Hour || d.g == report.FiveMinutes
	}
	return false
}

// Step is the start of the next window.
func Step(g report.Grain, start int64) int64 {
	switch g {
	case report.FiveMinutes:
		return start + 300
	case report.Hour:
		return start + 3600
	case report.Change:
		return start + 1
	case report.Rolling28:
		return start + 1
	}
	_, last := report.CivilDays(g, start)
	return last + 1
}

// labels are a chart's ticks: about six, evenly spaced.
func (d *drawing) labels(starts []int64) []chart.Tick {
	const most = 6
	n := len(starts)
	var out []chart.Tick
	for k := range min(n, most) {
		i := k
		if n > most {
			i = k * (n - 1) / (most - 1)
		}
		out = append(out, chart.Tick{At: i, Label: d.label(starts[i], n)})
	}
	return out
}

func (d *drawing) label(start int64, n int) string {
	if !d.g.Civil() {
		return time.Unix(start, 0).UTC().Format("2 Jan 15:04")
	}
	t := time.Unix(start*86400, 0).UTC()
	if d.g == report.Month || d.g == report.Week && n > 60 || d.g == report.Block4w && n > 12 {
		return t.Format("Jan 2006")
	}
	return t.Format("2 Jan")
}

// boundsOf are the bounds of a histogram's buckets.
func boundsOf(book *catalog.Catalog, id string) []float64 {
	ms, _ := book.Measure(id)
	if ms == nil {
		return nil
	}
	if mt, _ := book.Metric(ms.Metric); mt != nil {
		return mt.Bounds
	}
	return nil
}

// Table is a page of the picture's rows.
func (p Picture) Table(page, size int, whole bool) m.Node {
	if p.Rows == 0 {
		return m.Group()
	}
	from, to := say.Cut(page, size, p.Rows)
	head := make([]m.Item, 0, len(p.columns))
	for i, name := range p.columns {
		if i == 0 {
			head = append(head, say.Th(name))
		} else {
			head = append(head, say.ThNum(name))
		}
	}
	narrow := m.Class()
	if len(head) < 4 { // a figure far from its window is hard to read
		narrow = m.Class("narrow")
	}
	var body []m.Item
	for i := from; i < to; i++ {
		var tds []m.Item
		for k, n := range p.cells(i) {
			if k == 0 {
				tds = append(tds, m.El("td", m.Class("nowrap"), n))
			} else {
				tds = append(tds, m.El("td", m.Class("num"), n))
			}
		}
		body = append(body, m.El("tr", tds...))
	}
	return m.Group(say.Wide(m.El("table", narrow, m.El("thead", m.El("tr", head...)), m.El("tbody", body...))),
		m.When(!whole && p.Rows > size, m.El("p", m.Class("note"), m.Text(strings.Join([]string{"The newest", say.Amount(float64(size)), "of", say.Amount(float64(p.Rows)), "windows; all of them on the measure's own page."}, " ")))))
}
