package picture

import (
	"math"
	"slices"
	"strings"

	"github.com/fieldpost/fieldpost/agent/console/chart"
	m "github.com/fieldpost/fieldpost/agent/console/markup"
	"github.com/fieldpost/fieldpost/agent/console/say"

	"github.com/fieldpost/fieldpost/protocol/catalog"
)

// people draws the kinds that have several figures a line, or a drawing of their own; false leaves it to fill.
func (d *drawing) people(p *Picture, last point, all bool) bool {
	switch d.ms.Kind {
	case "lifecycle":
		d.lifecycle(p, last)
	case "stickiness":
		d.stickiness(p, last)
	case "retention":
		d.retention(p, all)
	case "funnel":
		d.funnel(p, last, all)
	case "adoption":
		d.adoption(p, last, all)
	case "seats":
		d.seats(p, last)
	case "sufficient":
		d.sufficient(p, last)
	case "change", "environment":
		d.statement(p, last)
	case "first_time":
		p.Number, p.Note, p.When = m.Text(firstText(last.parts.Value)), "after the first event received here", nil
	case "transitions":
		if last.dims == "" {
			return false
		}
		d.transitions(p, last)
	default:
		return false
	}
	if p.Reasons == nil && last.dims == "" {
		p.Reasons = reasons(last.figs)
	}
	return true
}

// firstText is a band of the time until something happened first.
func firstText(band string) string {
	switch band {
	case "1h":
		return "within an hour"
	case "24h":
		return "within 24 hours"
	case "3d", "7d", "30d", "90d":
		return "within " + strings.TrimSuffix(band, "d") + " days"
	case "later":
		return "after more than 90 days"
	case "":
		return "–"
	}
	return band
}

// bandText is a band of a funnel's time.
func bandText(band string) string {
	switch band {
	case "1h":
		return "≤ 1 h"
	case "24h":
		return "≤ 24 h"
	case "3d", "7d", "30d":
		return "≤ " + strings.TrimSuffix(band, "d") + " days"
	case "never":
		return "not in time"
	}
	return band
}

// plain writes an id of the catalog as words.
func plain(id string) string { return strings.ReplaceAll(id, "_", " ") }

// row is one figure as a bar with its words: the name before, the figure behind.
type row struct {
	name   string
	f      figure
	beside string // a share, an explanation
}

// rows are bars on one scale.
func rows(most float64, rs ...row) m.Node {
	items := []m.Item{m.Class("rows")}
	for _, r := range rs {
		items = append(items, m.El("li", m.El("span", m.Class("who"), m.Text(r.name)), chart.Bar(r.f.value(""), most),
			m.El("span", m.Class("what"), r.f.node(say.Amount), m.When(r.beside != "", m.El("small", m.Text(r.beside))))))
	}
	return m.El("ul", items...)
}

// scale has room for all rows.
func scale(rs ...row) float64 {
	vs := make([]chart.Value, 0, len(rs))
	for _, r := range rs {
		vs = append(vs, r.f.value(""))
	}
	return chart.Most(vs...)
}

// formsOf are the words of the legend for figures that are drawn; none where all are exact.
func formsOf(fs ...figure) []string {
	has := map[chart.Form]bool{}
	open := false
	for _, f := range fs {
		has[f.form] = true
		open = open || f.form.Range() && math.IsInf(f.hi, 1)
	}
	var out []string
	for _, f := range []struct {
		form chart.Form
		word string
	}{{chart.Exact, "exact"}, {chart.Band, "band"}, {chart.Share, "share"}, {chart.Implied, "implied"}, {chart.Noised, "with noise"}, {chart.Withheld, "withheld"}, {chart.Unknown, "unknown"}, {chart.NotYet, "closing"}} {
		if has[f.form] {
			out = append(out, f.word)
		}
	}
	if len(out) == 1 && has[chart.Exact] {
		return nil
	}
	if open {
		out = append(out, "open")
	}
	return out
}

// sharing is the share of a whole in words; "" where too little is told.
func sharing(f, whole figure, of string) string {
	if s := f.shareText(whole); s != "" {
		return s + of
	}
	return ""
}

// column is one figure of the table.
type column struct {
	name  string
	of    func(point) figure
	write func(float64) string
}

func counted(name, key string) column {
	return column{name, func(x point) figure { return x.fig(key) }, say.Amount}
}

// fields are the columns of kinds with several figures.
func (d *drawing) fields() []column {
	var out []column
	switch d.ms.Kind {
	case "lifecycle":
		out = []column{{"Active", active, say.Amount}, counted("New", bare("new")), counted("Retained", bare("retained")), counted("Resurrected", bare("resurrected")), counted("Dormant", bare("dormant"))}
	case "stickiness":
		out = []column{counted("Active", bare("value")), {"Stickiness", sticky, say.Share}}
		for _, b := range catalog.DayBins() {
			out = append(out, counted(b+" days", at("value", "days", b)))
		}
	case "retention":
		out = []column{counted("Began", bare("value"))}
		for _, o := range d.offsets(true) {
			out = append(out, column{"+" + o, func(x point) figure { return d.kept(x, o) }, say.Amount})
		}
	case "funnel":
		out = []column{counted("Entered", bare("value"))}
		for i, s := range d.steps() {
			if i > 0 {
				out = append(out, counted(plain(s), at("value", "step", s)))
			}
		}
		for _, b := range d.bands() {
			out = append(out, counted(bandText(b), at("value", "band", b)))
		}
	case "adoption":
		out = []column{counted("Eligible", bare("value"))}
		for _, f := range d.features() {
			for _, rung := range rungs() {
				out = append(out, counted(plain(f)+" "+rung, at(rung, "feature", f)))
			}
		}
	case "seats":
		out = []column{counted("Active", bare("value")), counted("Purchased", bare("purchased")), counted("Assigned", bare("assigned")), counted("Peak", bare("peak")), counted("Days at the cap", bare("at_cap"))}
	case "sufficient":
		out = d.moments()
	case "change", "environment":
		for _, k := range d.keys() {
			out = append(out, counted(keyText(k), k))
		}
	}
	return out
}

// keys are the figures that any line has.
func (d *drawing) keys() []string {
	seen := map[string]figure{}
	for _, x := range d.points {
		for k, f := range x.figs {
			seen[k] = f
		}
	}
	return sortedKeys(seen)
}

func keyText(k string) string {
	name, dims, _ := strings.Cut(k, "|")
	if dims == "" {
		return plain(name)
	}
	_, v, _ := strings.Cut(dims, ": ")
	return plain(v)
}

// active is everybody who was there: what follows from the three parts.
func active(x point) figure {
	out := figure{form: chart.Exact}
	for _, name := range []string{"new", "retained", "resurrected"} {
		f := x.fig(bare(name))
		switch {
		case f.form == chart.Withheld:
			return figure{form: chart.Withheld, why: "a part of it is withheld"}
		case !f.form.Told():
			return figure{form: f.form}
		case f.form != chart.Exact:
			out.form = chart.Implied
		}
		out.lo, out.hi = out.lo+f.lo, out.hi+f.hi
	}
	return out
}

// lifecycle draws who was there above zero and who went below.
func (d *drawing) lifecycle(p *Picture, last point) {
	if last.dims != "" {
		d.flows(p, last)
		return
	}
	starts, index := d.windows()
	c := chart.Around{Label: d.ms.Question + " New, resurrected and retained people above zero, dormant below; the table is below it.", Ticks: d.labels(starts), Write: say.Amount, Columns: make([]chart.Column, len(starts))}
	var drawn []figure
	for i := range c.Columns {
		c.Columns[i] = chart.Column{Above: make([]chart.Value, 3), Tip: say.WindowText(d.g, starts[i]) + ": unknown"}
	}
	for _, x := range d.points {
		i, ok := index[x.start]
		if !ok || x.dims != "" {
			continue
		}
		col := &c.Columns[i]
		col.Tip = say.WindowText(d.g, x.start)
		for k, name := range []string{"retained", "resurrected", "new", "dormant"} {
			f := x.fig(bare(name))
			if x.form == chart.Withheld {
				f = figure{form: chart.Withheld, why: x.Why}
			}
			drawn = append(drawn, f)
			col.Tip += "\n" + name + ": " + f.words(say.Amount)
			if k < 3 {
				col.Above[k] = f.value("")
			} else {
				col.Below = f.value("")
			}
		}
	}
	p.Number, p.Note = active(last).node(say.Amount), "active ·"
	p.Chart = c.Draw()
	p.marks = append([]string{"part retained", "part resurrected", "part new", "part dormant"}, formsOf(drawn...)...)
	p.marks = slices.DeleteFunc(p.marks, func(w string) bool {
		return w == "exact" || w == "band" || w == "share" || w == "implied" || w == "open"
	})
	if slices.ContainsFunc(drawn, func(f figure) bool { return f.form.Range() }) {
		p.marks = append(p.marks, "whisker")
	}
}

// flows are the figures of a breakdown in the newest window that tells.
func (d *drawing) flows(p *Picture, last point) {
	var parts []m.Node
	var all []row
	groups := d.splits(last.start)
	for _, x := range groups {
		for _, name := range []string{"new", "resurrected", "retained", "dormant"} {
			all = append(all, row{name: name, f: x.fig(bare(name))})
		}
	}
	most := scale(all...)
	var fs []figure
	for i, x := range groups {
		parts = append(parts, m.El("p", m.Class("group"), m.Text(x.dims)), rows(most, all[4*i:4*i+4]...))
	}
	for _, r := range all {
		fs = append(fs, r.f)
	}
	p.Number, p.Note = m.Text(say.Plural(len(groups), "value", "values")), ""
	p.Chart, p.marks = m.Group(parts...), formsOf(fs...)
}

// daysOf are the fewest and the most days of a bin of L28.
func daysOf(bin string) (lo, hi float64) {
	switch bin {
	case "1":
		return 1, 1
	case "2-3":
		return 2, 3
	case "4-7":
		return 4, 7
	case "8-12":
		return 8, 12
	case "13-20":
		return 13, 20
	}
	return 21, 28
}

// sticky is the stickiness as far as it follows from what is shown: the mean number of days of an active person,
// out of 28. The true one lies in it whatever the people in each range are.
func sticky(x point) figure {
	if r := x.fig(bare("ratio")); r.form == chart.Exact {
		return r
	}
	active := x.fig(bare("value"))
	out := figure{form: chart.Implied, lo: 0, hi: 1}
	most := math.Inf(1)
	if active.form.Told() {
		most = active.hi
	}
	var bins [6]figure
	told := false
	for i, b := range catalog.DayBins() {
		f := x.fig(at("value", "days", b))
		if f.form.Told() {
			told = true
		} else {
			f = figure{lo: 0, hi: most}
		}
		f.hi = min(f.hi, most)
		bins[i] = f
	}
	if told {
		out.lo, out.hi = meanDays(bins, false)/28, meanDays(bins, true)/28
	}
	if daily := x.fig(bare("daily")); daily.form.Told() && active.form.Told() && active.lo > 0 {
		told = true
		if !math.IsInf(active.hi, 1) {
			out.lo = max(out.lo, daily.lo/28/active.hi)
		}
		out.hi = min(out.hi, daily.hi/28/active.lo)
	}
	switch {
	case !told && (active.form == chart.Withheld || active.form == chart.NotYet):
		return figure{form: active.form, why: active.why}
	case !told, out.lo > out.hi, math.IsNaN(out.lo), math.IsNaN(out.hi):
		return figure{}
	case out.lo <= 1.0/28+1e-9 && out.hi >= 1:
		return figure{form: chart.Withheld, why: "what is shown leaves every value open"}
	}
	out.lo, out.hi = math.Floor(out.lo*100+1e-9)/100, math.Ceil(out.hi*100-1e-9)/100 // outwards: never narrower than it is
	return out
}

// meanDays is the largest or the smallest mean number of days that people in these ranges can have. It is reached
// where all bins on one side of a border are as full as can be and all on the other as empty: each border is tried.
func meanDays(bins [6]figure, largest bool) float64 {
	best := math.NaN()
	for border := 0; border <= len(bins); border++ {
		people, days := 0.0, 0.0
		for i, b := range catalog.DayBins() {
			lo, hi := daysOf(b)
			n, d := bins[i].lo, lo
			if (i < border) != largest {
				n = bins[i].hi
			}
			if largest {
				d = hi
			}
			if math.IsInf(n, 1) {
				n = 1e9 // an open top: as many as it takes
			}
			people, days = people+n, days+n*d
		}
		if people <= 0 {
			continue
		}
		if mean := days / people; math.IsNaN(best) || (mean > best) == largest {
			best = mean
		}
	}
	return best
}

// stickiness draws on how many of the 28 days people were there.
func (d *drawing) stickiness(p *Picture, last point) {
	var rs []row
	var fs []figure
	whole := last.fig(bare("value"))
	for _, b := range catalog.DayBins() {
		f := last.fig(at("value", "days", b))
		name := b + " days"
		if b == "1" {
			name = "1 day"
		}
		rs = append(rs, row{name: name, f: f, beside: sharing(f, whole, " of active")})
		fs = append(fs, f)
	}
	s := sticky(last)
	p.Number, p.Note = s.node(say.Share), "of 28 days an active person is there, on average ·"
	if s.form.Range() {
		p.Number = m.El("span", m.Class("int"), m.Text(percent(s.lo, s.hi)), m.El("em", m.Text(word(s.form))))
	}
	p.Chart = m.Group(m.El("p", m.Class("note"), m.Text("Active on so many of the 28 days; "), whole.node(say.Amount), m.Text(" people in all")), rows(scale(rs...), rs...))
	p.marks = formsOf(fs...)
}
