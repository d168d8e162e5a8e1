package picture

import (
	"math"
	"slices"

	"github.com/fieldpost/fieldpost/agent/console/chart"
	m "github.com/fieldpost/fieldpost/agent/console/markup"
	"github.com/fieldpost/fieldpost/agent/console/say"
)

// rungs of adoption: who climbed one stands on all before it.
func rungs() []string { return []string{"tried", "adopted", "habitual"} }

// features are those of an adoption, in the catalog's order.
func (d *drawing) features() []string {
	if d.def == nil {
		return nil
	}
	var out []string
	for _, f := range d.def.Features {
		out = append(out, f.ID)
	}
	return out
}

// adoption draws a ladder for each feature, on the scale of who could use it.
func (d *drawing) adoption(p *Picture, last point, all bool) {
	eligible := last.fig(bare("value"))
	fs := []figure{eligible}
	features := d.features()
	shown := features
	if most := 6; !all && len(shown) > most {
		shown = shown[:most]
	}
	vs := []chart.Value{eligible.value("")}
	for _, f := range shown {
		for _, rung := range rungs() {
			vs = append(vs, last.fig(at(rung, "feature", f)).value(""))
		}
	}
	most := chart.Most(vs...)
	parts := []m.Node{rows(most, row{name: "eligible", f: eligible})}
	for _, f := range shown {
		var rs []row
		for _, rung := range rungs() {
			x := last.fig(at(rung, "feature", f))
			rs, fs = append(rs, row{name: rung, f: x, beside: sharing(x, eligible, "")}), append(fs, x)
		}
		parts = append(parts, m.El("p", m.Class("group"), m.Text(plain(f))), rows(most, rs...))
	}
	if len(shown) < len(features) {
		parts = append(parts, m.El("p", m.Class("note"), m.Text("All "+say.Plural(len(features), "feature", "features")+" are on the measure's own page.")))
	}
	p.Number, p.Note = eligible.node(say.Amount), "could use them ·"
	p.Chart, p.marks = m.El("div", m.Class("ladder"), m.Group(parts...)), formsOf(fs...)
}

// seats draws the contract's numbers beside who was there.
func (d *drawing) seats(p *Picture, last point) {
	names := []struct{ name, key string }{{"purchased", "purchased"}, {"assigned", "assigned"}, {"active", "value"}, {"peak in an hour", "peak"}}
	var rs []row
	var fs []figure
	purchased := last.fig(bare("purchased"))
	for _, n := range names {
		f, ok := last.figs[bare(n.key)]
		if !ok {
			continue
		}
		r := row{name: n.name, f: f}
		if n.key != "purchased" {
			r.beside = sharing(f, purchased, " of seats")
		}
		rs, fs = append(rs, r), append(fs, f)
	}
	p.Number, p.Note = last.fig(bare("value")).node(say.Amount), "active ·"
	if _, ok := last.figs[bare("value")]; !ok { // of a day
		p.Number, p.Note = last.fig(bare("peak")).node(say.Amount), "at the busiest hour ·"
	}
	if purchased.form.Told() {
		p.Note = "of " + purchased.words(say.Amount) + " seats bought " + p.Note
	}
	parts := []m.Node{rows(scale(rs...), rs...)}
	if c, ok := last.figs[bare("at_cap")]; ok {
		parts = append(parts, m.El("p", m.Class("note"), m.Text("Days of the 28 on which every seat was taken: "), c.node(say.Amount)))
		fs = append(fs, c)
	}
	line, marks := d.seatLine()
	p.Chart, p.marks = m.Group(append(parts, line)...), mergeWords(formsOf(fs...), marks)
}

// seatLine is the active people as ranges under the line of what was bought, over the windows that tell them.
func (d *drawing) seatLine() (m.Node, []string) {
	var told []point
	for _, x := range d.points {
		if x.dims == "" && x.fig(bare("value")).form.Told() {
			told = append(told, x)
		}
	}
	if len(told) < 2 {
		return m.Group(), nil
	}
	told = told[max(0, len(told)-mostWindows):]
	starts := make([]int64, len(told))
	active, bought, peak := chart.Series{Name: "active", Values: make([]chart.Value, len(told))}, chart.Series{Name: "purchased", Values: make([]chart.Value, len(told)), Faint: true}, chart.Series{Name: "peak", Values: make([]chart.Value, len(told)), Faint: true}
	for i, x := range told {
		starts[i] = x.start
		tip := say.WindowText(d.g, x.start) + ": active " + x.fig(bare("value")).words(say.Amount)
		active.Values[i] = x.fig(bare("value")).value(tip)
		bought.Values[i] = x.fig(bare("purchased")).value("purchased " + x.fig(bare("purchased")).words(say.Amount))
		peak.Values[i] = x.fig(bare("peak")).value("peak " + x.fig(bare("peak")).words(say.Amount))
	}
	ss := []chart.Series{active, bought}
	if slices.ContainsFunc(peak.Values, func(v chart.Value) bool { return v.Form == chart.Exact }) {
		ss = append(ss, peak)
	}
	c := chart.Lines{Label: d.ms.Question + " Active people and purchased seats over time; the table is below it.", Series: ss, Ticks: d.labels(starts), Write: say.Amount, Compact: true}
	return c.Draw(), marks(ss)
}

// moments are what an experiment's sums say, as far as they are told exactly.
func (d *drawing) moments() []column {
	out := []column{counted("Observations", bare("count"))}
	for _, v := range []struct{ name, sum, square string }{{"x", "sum_x", "sum_xx"}, {"y", "sum_y", "sum_yy"}} {
		name := v.name
		if d.def != nil {
			if p := map[string]string{"x": d.def.X, "y": d.def.Y}[v.name]; p != "" {
				name = p
			} else if v.name == "y" {
				continue
			}
		}
		out = append(out,
			column{"Mean of " + name, func(x point) figure { f, _ := moment(x, v.sum, v.square); return f }, say.Amount},
			column{"Its deviation", func(x point) figure { _, f := moment(x, v.sum, v.square); return f }, say.Amount})
	}
	out = append(out, counted("Σx", bare("sum_x")), counted("Σx²", bare("sum_xx")))
	if d.def == nil || d.def.Y != "" {
		out = append(out, counted("Σy", bare("sum_y")), counted("Σy²", bare("sum_yy")), counted("Σxy", bare("sum_xy")))
	}
	return out
}

// moment is the mean and the sample's standard deviation; withheld where their sums are.
func moment(x point, sum, square string) (mean, deviation figure) {
	n, s, q := x.fig(bare("count")), x.fig(bare(sum)), x.fig(bare(square))
	for _, f := range []figure{n, s} {
		if f.form != chart.Exact {
			return figure{form: f.form, why: f.why}.unless(), figure{form: f.form, why: f.why}.unless()
		}
	}
	if n.lo < 1 {
		return figure{}, figure{}
	}
	mean = exactly(s.lo / n.lo)
	if q.form != chart.Exact || n.lo < 2 {
		return mean, figure{form: q.form, why: q.why}.unless()
	}
	return mean, exactly(math.Sqrt(max(q.lo-s.lo*s.lo/n.lo, 0) / (n.lo - 1)))
}

// unless is what follows from a figure that is not exact: nothing, or that it is withheld.
func (f figure) unless() figure {
	if f.form == chart.Withheld {
		return f
	}
	return figure{}
}

// sufficient says what the newest window's sums give, arm by arm where they are told by arm.
func (d *drawing) sufficient(p *Picture, last point) {
	p.Number, p.Note = last.fig(bare("count")).node(say.Amount), "observations ·"
	arms := d.splits(last.start)
	if len(arms) == 0 {
		arms = []point{last}
	} else {
		p.Number, p.Note = m.Text(say.Plural(len(arms), "arm", "arms")), ""
	}
	cs := d.moments()
	head := []m.Item{say.Th("Arm")}
	for _, c := range cs {
		head = append(head, say.ThNum(c.name))
	}
	var body []m.Item
	for _, x := range arms {
		tds := []m.Item{m.El("td", m.Text(orElse(x.dims, "all")))}
		for _, c := range cs {
			tds = append(tds, m.El("td", m.Class("num"), c.of(x).node(c.write)))
		}
		body = append(body, m.El("tr", tds...))
	}
	p.Chart = say.Wide(m.El("table", m.El("thead", m.El("tr", head...)), m.El("tbody", body...)))
}

// statement draws what was concluded at the site, with its evidence.
func (d *drawing) statement(p *Picture, last point) {
	main, note := "direction", "size"
	if d.ms.Kind == "environment" {
		main, note = "value", "confidence"
	}
	p.Number = last.fig(bare(main)).node(say.Amount)
	p.Note = note + ": " + last.fig(bare(note)).words(say.Amount) + " ·"
	items := []m.Item{m.Class("pairs")}
	for _, k := range sortedKeys(last.figs) {
		if k != bare(main) && k != bare(note) {
			items = append(items, say.Pair(keyText(k), last.figs[k].node(say.Amount)))
		}
	}
	p.Chart = m.El("dl", items...)
}
