package picture

import (
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/fieldpost/fieldpost/agent/console/chart"
	m "github.com/fieldpost/fieldpost/agent/console/markup"
	"github.com/fieldpost/fieldpost/agent/console/say"

	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// offsets are the weeks of a cohort that any line has a figure of; few of them where there is little room.
func (d *drawing) offsets(all bool) []string {
	most := 0
	for _, x := range d.points {
		for w := most + 1; w <= catalog.LastOffset; w++ {
			if _, ok := x.figs[at("value", "offset", strconv.Itoa(w))]; ok {
				most = w
			}
		}
	}
	var out []string
	for w := 1; w <= most; w++ {
		if all || slices.Contains([]int{1, 2, 4, 8, 12, 26}, w) {
			out = append(out, strconv.Itoa(w))
		}
	}
	return out
}

// kept is who of a cohort was there so many weeks later: not closed is told apart from unknown.
func (d *drawing) kept(x point, offset string) figure {
	f, ok := x.figs[at("value", "offset", offset)]
	if ok {
		return f
	}
	if x.form == chart.Withheld {
		return figure{form: chart.Withheld, why: x.Why}
	}
	w, err := strconv.Atoi(offset)
	if err != nil {
		return f
	}
	days := 7 * (w + 1)
	if d.g == report.Block12w {
		days += 7 * 11 // of its last week's cohort
	}
	const grace = 8 // days until a window closes, at most
	if end := time.Unix((x.start+int64(days)+grace)*86400, 0); end.After(d.now) {
		return figure{form: chart.NotYet}
	}
	return f
}

// retention draws the triangle: a cohort a row, a week since its beginning a column, the share that was there.
func (d *drawing) retention(p *Picture, all bool) {
	weeks := d.offsets(all)
	points := slices.DeleteFunc(slices.Clone(d.points), func(x point) bool {
		return x.dims != "" || x.fig(bare("value")).form == chart.Unknown && x.form != chart.Withheld
	})
	slices.SortStableFunc(points, func(a, b point) int { return int(b.start - a.start) })
	if most := 26; !all {
		points = points[:min(len(points), 8)]
	} else {
		points = points[:min(len(points), most)]
	}
	head := []m.Item{m.El("th", m.Attr("scope", "col"), m.Text("Began")), m.El("th", m.Attr("scope", "col"), m.Class("num"), m.Text("People"))}
	for _, w := range weeks {
		head = append(head, m.El("th", m.Attr("scope", "col"), m.Class("num"), m.Text("+"+w), m.El("span", m.Class("sr"), m.Text(" weeks"))))
	}
	var body []m.Item
	var drawn []figure
	for _, x := range points {
		whole := x.fig(bare("value"))
		if x.form == chart.Withheld {
			whole = figure{form: chart.Withheld, why: x.Why}
		}
		tds := []m.Item{m.El("th", m.Attr("scope", "row"), m.Text(say.DayText(x.start))), m.El("td", m.Class("num"), whole.node(say.Amount))}
		for _, w := range weeks {
			f := d.kept(x, w)
			if w == weeks[0] && p.Number == nil && f.form.Told() {
				p.Number = m.Text(orElse(sharing(f, whole, ""), f.words(say.Amount)))
				p.Note, p.When = "still there in week "+w+" of those who began in the", m.Group(m.Text(" "), say.Window(d.g, x.start))
			}
			tds = append(tds, cell(f, whole, f.words(say.Amount)+" of "+whole.words(say.Amount)))
			drawn = append(drawn, f)
		}
		body = append(body, m.El("tr", tds...))
	}
	if p.Number == nil {
		p.Number, p.Note, p.When = d.told(point{form: chart.Withheld}), "only how many began is told", nil
	}
	p.Chart = m.Group(say.Wide(m.El("table", m.Class("heat"), m.El("caption", m.Class("sr"), m.Text("Share of each cohort that was there so many weeks later")), m.El("thead", m.El("tr", head...)), m.El("tbody", body...))),
		m.When(!all && len(d.offsets(true)) > len(weeks), m.El("p", m.Class("note"), m.Text("All weeks are on the measure's own page."))))
	p.marks = append(slices.DeleteFunc(formsOf(drawn...), func(w string) bool { return w == "open" }), "shades")
	fs := map[string]figure{}
	for i, f := range drawn {
		fs[strconv.Itoa(i)] = f
	}
	p.Reasons = reasons(fs)
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// cell is one field of a table whose colours follow the middle of a share.
func cell(f, whole figure, tip string) m.Node {
	switch {
	case f.form == chart.Withheld:
		return m.El("td", m.Class("cell", "hatched"), m.Attr("title", tip), m.El("span", m.Class("sr"), m.Text("withheld")))
	case f.form == chart.NotYet:
		return m.El("td", m.Class("cell"), m.El("span", m.Class("sr"), m.Text("not closed yet")))
	case !f.form.Told():
		return m.El("td", m.Class("cell", "grey"), m.El("span", m.Class("sr"), m.Text("unknown")))
	}
	lo, hi, ok := f.of(whole)
	if !ok {
		return m.El("td", m.Class("cell"), m.Attr("title", tip), m.Text(say.RangeText(f.lo, f.hi, say.Amount)))
	}
	return m.El("td", chart.Shade((lo+hi)/2, f.form), m.Attr("title", tip), m.Text(f.shareText(whole)))
}

// steps are a funnel's steps in order.
func (d *drawing) steps() []string {
	if d.def == nil {
		return nil
	}
	var out []string
	for _, s := range d.def.Steps {
		out = append(out, s.ID)
	}
	return out
}

// bands are the bands a funnel's window has room for.
func (d *drawing) bands() []string {
	longest := map[string]time.Duration{"24h": time.Hour, "3d": 24 * time.Hour, "7d": 72 * time.Hour, "30d": 7 * 24 * time.Hour}
	var out []string
	for _, b := range catalog.TimeBands() {
		if d.def != nil && d.def.Window > 0 && d.def.Window <= longest[b] {
			continue // what is before already holds the whole window
		}
		out = append(out, b)
	}
	return out
}

// funnel draws how far people came, how soon, and where they stopped.
func (d *drawing) funnel(p *Picture, last point, all bool) {
	entered := last.fig(bare("value"))
	steps := d.steps()
	done := figure{}
	if len(steps) > 0 {
		done = last.fig(at("value", "step", steps[len(steps)-1]))
	}
	p.Number = m.Text(orElse(sharing(done, entered, ""), done.words(say.Amount)))
	p.Note = "come to the last step · entry"
	if last.dims != "" {
		p.Number, p.Note = m.Text(say.Plural(len(d.splits(last.start)), "value", "values")), "entry"
		var parts []m.Node
		for _, x := range d.splits(last.start) {
			parts = append(parts, m.El("p", m.Class("group"), m.Text(x.dims)), d.stairs(x, p))
		}
		p.Chart = m.Group(parts...)
		return
	}
	parts := []m.Node{d.stairs(last, p), d.soon(last)}
	if all {
		parts = append(parts, d.stopped(last), d.completed())
	}
	p.Chart = m.Group(parts...)
}

// splits are the lines of a window, one for each value of the split.
func (d *drawing) splits(start int64) []point {
	var out []point
	for _, x := range d.points {
		if x.start == start && x.dims != "" {
			out = append(out, x)
		}
	}
	return out
}

// stairs are a funnel's steps as bars.
func (d *drawing) stairs(x point, p *Picture) m.Node {
	entered := x.fig(bare("value"))
	var rs []row
	fs := []figure{entered}
	for i, s := range d.steps() {
		f := x.fig(at("value", "step", s))
		if i == 0 && !f.form.Told() {
			f = entered
		}
		r := row{name: plain(s), f: f}
		if i > 0 {
			r.beside = sharing(f, entered, "")
		}
		rs, fs = append(rs, r), append(fs, f)
	}
	p.marks = mergeWords(p.marks, formsOf(fs...))
	return rows(scale(rs...), rs...)
}

func mergeWords(a, b []string) []string {
	for _, w := range b {
		if !slices.Contains(a, w) {
			a = append(a, w)
		}
	}
	return a
}

// soon is the time to the last step: its bands side by side, and each in words.
func (d *drawing) soon(x point) m.Node {
	var vs []chart.Value
	items := []m.Item{m.Class("parts")}
	for k, b := range d.bands() {
		f := x.fig(at("value", "band", b))
		vs = append(vs, f.value(bandText(b)+": "+f.words(say.Amount)))
		items = append(items, m.El("li", m.El("i", chart.Tone(k), m.Attr("aria-hidden", "true")), m.Text(bandText(b)+" "), f.node(say.Amount)))
	}
	if !slices.ContainsFunc(vs, func(v chart.Value) bool { return v.Form.Told() }) {
		return m.El("p", m.Class("note"), m.Text("How long it took: "), x.fig(at("value", "band", "never")).node(say.Amount))
	}
	return m.Group(m.El("p", m.Class("note"), m.Text("Time to the last step; each part is as wide as the middle of its figure")),
		chart.Stack("Time to the last step, in bands; the list below says the same.", vs, x.fig(bare("value")).value("")), m.El("ul", items...))
}

// stopped is the last step people reached: the difference of two neighbours, as far as both are told.
func (d *drawing) stopped(x point) m.Node {
	var body []m.Item
	steps := d.steps()
	entered := x.fig(bare("value"))
	for i, s := range steps {
		here := x.fig(at("value", "step", s))
		if i == 0 && !here.form.Told() {
			here = entered
		}
		end := here
		if i+1 < len(steps) {
			end = here.minus(x.fig(at("value", "step", steps[i+1])))
		}
		body = append(body, m.El("tr", m.El("td", m.Text(plain(s))), m.El("td", m.Class("num"), here.node(say.Amount)), m.El("td", m.Class("num"), m.Text(orElse(sharing(here, entered, ""), "–"))), m.El("td", m.Class("num"), end.node(say.Amount))))
	}
	return say.Wide(m.El("table", m.El("thead", m.El("tr", say.Th("Step"), say.ThNum("Reached"), say.ThNum("Of those who entered"), say.ThNum("Last step reached"))), m.El("tbody", body...)))
}

// completed is the share that came to the end, window by window.
func (d *drawing) completed() m.Node {
	starts, index := d.windows()
	steps := d.steps()
	if len(starts) < 3 || len(steps) == 0 {
		return m.Group()
	}
	s := chart.Series{Values: make([]chart.Value, len(starts))}
	for _, x := range d.points {
		i, ok := index[x.start]
		if !ok || x.dims != "" {
			continue
		}
		f := x.fig(at("value", "step", steps[len(steps)-1]))
		lo, hi, ok := f.of(x.fig(bare("value")))
		v := chart.Value{Form: f.form, Lo: lo, Hi: hi, Tip: say.WindowText(d.g, x.start) + ": " + f.words(say.Amount)}
		if f.form.Told() && !ok {
			v = chart.Value{}
		}
		if ok {
			v.Tip = say.WindowText(d.g, x.start) + ": " + percent(lo, hi)
			if v.Form == chart.Exact && lo != hi {
				v.Form = chart.Implied
			}
		}
		s.Values[i] = v
	}
	c := chart.Lines{Label: d.ms.Question + " Share that came to the last step, by window of entry; the table is below it.", Series: []chart.Series{s}, Ticks: d.labels(starts), Write: say.Share, Compact: true}
	return m.Group(m.El("p", m.Class("note"), m.Text("Share that came to the last step, by window of entry")), c.Draw())
}

// transitions draws the matrix of what people did next in the newest window that tells.
func (d *drawing) transitions(p *Picture, last point) {
	ids := d.steps()
	found := map[string]figure{}
	most := 0.0
	sum := figure{form: chart.Exact}
	var drawn []figure
	for _, x := range d.points {
		if x.start != last.start || x.dims == "" {
			continue
		}
		f := x.one()
		found[x.Dims["from"]+"\x00"+x.Dims["to"]] = f
		drawn = append(drawn, f)
		if f.form.Told() {
			most = max(most, chart.Most(f.value("")))
			sum.lo, sum.hi = sum.lo+f.lo, sum.hi+f.hi
		}
		if f.form != chart.Exact {
			sum.form = chart.Implied
		}
		if f.form == chart.Withheld {
			sum.hi = math.Inf(1)
		}
	}
	head := []m.Item{m.El("th", m.Attr("scope", "col"), m.Text("then →"))}
	for _, to := range ids {
		head = append(head, m.El("th", m.Attr("scope", "col"), m.Class("num"), m.Text(plain(to))))
	}
	var body []m.Item
	for _, from := range ids {
		tds := []m.Item{m.El("th", m.Attr("scope", "row"), m.Text(plain(from)))}
		for _, to := range ids {
			f, ok := found[from+"\x00"+to]
			tip := plain(from) + ", then " + plain(to) + ": " + f.words(say.Amount)
			switch {
			case !ok:
				tds = append(tds, m.El("td", m.Class("cell", "none"), m.Text("·"), m.El("span", m.Class("sr"), m.Text("no figure"))))
			case !f.form.Told():
				tds = append(tds, cell(f, figure{}, tip))
			default:
				mid := f.lo
				if !math.IsInf(f.hi, 1) {
					mid = (f.lo + f.hi) / 2
				}
				tds = append(tds, m.El("td", chart.Shade(mid/most, f.form), m.Attr("title", tip), m.Text(say.RangeText(f.lo, f.hi, say.Amount))))
			}
		}
		body = append(body, m.El("tr", tds...))
	}
	p.Number, p.Note = sum.node(say.Amount), "times one thing followed another within 30 minutes ·"
	p.Chart = say.Wide(m.El("table", m.Class("heat"), m.El("caption", m.Class("sr"), m.Text("How often the step of a column followed the step of a row")), m.El("thead", m.El("tr", head...)), m.El("tbody", body...)))
	p.marks = slices.DeleteFunc(formsOf(drawn...), func(w string) bool { return w == "open" })
	fs := map[string]figure{}
	for i, f := range drawn {
		fs[strconv.Itoa(i)] = f
	}
	p.Reasons = reasons(fs)
}
