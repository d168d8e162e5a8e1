package picture

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/fieldpost/fieldpost/agent/console/chart"
	m "github.com/fieldpost/fieldpost/agent/console/markup"
	"github.com/fieldpost/fieldpost/agent/console/say"
)

// pick is one line of a chart.
type pick struct {
	name string
	of   func(point) *float64
}

// lines draws parts of the figures as lines, and the range between two of them behind.
func (d *drawing) lines(p *Picture, picks []pick, ranges func(point) (lo, hi *float64)) {
	starts, index := d.windows()
	c := chart.Lines{Label: d.ms.Question + " Chart; the table is below it.", Ticks: d.labels(starts), Write: d.amount}
	for k, pk := range picks {
		s := chart.Series{Values: make([]chart.Value, len(starts)), Faint: k > 0}
		if len(picks) > 1 {
			s.Name = pk.name
		}
		for _, x := range d.points {
			i, ok := index[x.start]
			v := pk.of(x)
			switch {
			case !ok || x.dims != "":
			case x.form == chart.Exact && v != nil:
				s.Values[i] = chart.Value{Form: chart.Exact, Lo: *v, Hi: *v, Tip: say.WindowText(d.g, x.start) + ": " + pk.name + " " + d.amount(*v)}
			case x.form == chart.Withheld:
				s.Values[i] = chart.Value{Form: chart.Withheld, Tip: say.WindowText(d.g, x.start) + ": withheld"}
			}
		}
		c.Series = append(c.Series, s)
	}
	if ranges != nil {
		c.Ranges = make([]chart.Value, len(starts))
		for _, x := range d.points {
			if i, ok := index[x.start]; ok && x.form == chart.Exact {
				if lo, hi := ranges(x); lo != nil && hi != nil {
					c.Ranges[i] = chart.Value{Form: chart.Exact, Lo: *lo, Hi: *hi}
				}
			}
		}
	}
	p.Chart, p.marks = c.Draw(), marks(c.Series)
}

// split draws one number per window: the total, or a line for each of the largest values of a
// breakdown.
func (d *drawing) split(p *Picture, of func(point) (lo, hi float64, ok bool), all bool) {
	const most = 5
	starts, index := d.windows()
	sums, seen := map[string]float64{}, make([]bool, len(starts))
	for _, x := range d.points {
		if i, ok := index[x.start]; ok {
			seen[i] = true
		}
		if lo, _, ok := of(x); ok {
			sums[x.dims] += lo
		}
	}
	names := make([]string, 0, len(sums))
	for k := range sums {
		names = append(names, k)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(sums[b], sums[a]) })
	if len(names) > most {
		names = names[:most]
	}
	if len(names) == 0 { // values this version cannot read
		return
	}
	short := map[string]string{} // the tab says which breakdown it is, so the values are enough
	for _, x := range d.points {
		short[x.dims] = strings.Join(slices.Collect(func(yield func(string) bool) {
			for _, k := range slices.Sorted(maps.Keys(x.Dims)) {
				if !yield(x.Dims[k]) {
					return
				}
			}
		}), ", ")
	}
	c := chart.Lines{Label: d.ms.Question + " Chart; the table is below it.", Ticks: d.labels(starts), Write: d.amount, Compact: !all}
	for k, name := range names {
		s := chart.Series{Name: short[name], Values: make([]chart.Value, len(starts)), Faint: k > 0}
		for _, x := range d.points {
			i, ok := index[x.start]
			if !ok || x.dims != name {
				continue
			}
			lo, hi, ok := of(x)
			tip := say.WindowText(d.g, x.start) + ": "
			if name != "" {
				tip += short[name] + " "
			}
			switch {
			case x.form == chart.Withheld:
				tip += x.one().words(say.Amount)
			case !ok:
				continue
			default:
				tip += figure{form: x.form, lo: lo, hi: hi}.words(d.amount)
			}
			s.Values[i] = chart.Value{Form: x.form, Lo: lo, Hi: hi, Tip: tip}
		}
		if name != "" { // a breakdown has lines only where it is not nought
			for i := range s.Values {
				if s.Values[i].Form == chart.Unknown && (seen[i] || !d.machine()) {
					s.Values[i] = chart.Value{Form: chart.Exact}
				}
			}
		}
		c.Series = append(c.Series, s)
	}
	p.Chart, p.marks = c.Draw(), marks(c.Series)
	if len(names) > 1 || names[0] != "" {
		p.Number = m.Text(say.Plural(len(sums), "value", "values"))
		p.Note, p.When = "", nil
	}
}

// marks are what the legend explains: nothing where all is exact.
func marks(ss []chart.Series) []string {
	has := map[chart.Form]bool{}
	for _, v := range ss[0].Values {
		has[v.Form] = true
	}
	if len(has) == 1 && has[chart.Exact] {
		return nil
	}
	var out []string
	for _, f := range []struct {
		form chart.Form
		word string
	}{{chart.Exact, "exact"}, {chart.Band, "band"}, {chart.Share, "share"}, {chart.Implied, "implied"}, {chart.Noised, "with noise"}, {chart.Withheld, "withheld"}, {chart.Unknown, "unknown"}} {
		if has[f.form] {
			out = append(out, f.word)
		}
	}
	return out
}

// histogram draws where the 95th percentile lies: the bucket that holds it.
func (d *drawing) histogram(p *Picture, last point) {
	starts, index := d.windows()
	s := chart.Series{Values: make([]chart.Value, len(starts))}
	for _, x := range d.points {
		i, ok := index[x.start]
		if !ok || x.form != chart.Exact {
			continue
		}
		if lo, hi, ok := quantile(x.parts.Buckets, d.bounds, 0.95); ok {
			s.Values[i] = chart.Value{Form: chart.Band, Lo: lo, Hi: hi, Tip: say.WindowText(d.g, x.start) + ": " + say.RangeText(lo, hi, d.amount)}
		}
	}
	p.Number, p.Note = m.Text(say.Amount(value(last.parts.Count))), "samples ·"
	if lo, hi, ok := quantile(last.parts.Buckets, d.bounds, 0.95); ok {
		p.Number, p.Note = say.Interval(lo, hi, d.amount, "p95"), "of "+say.Amount(value(last.parts.Count))+" samples ·"
	}
	c := chart.Lines{Label: d.ms.Question + " Where the 95th percentile lies. Chart; the table is below it.", Series: []chart.Series{s}, Ticks: d.labels(starts), Write: d.amount}
	p.Chart, p.marks = c.Draw(), marks(c.Series)
	for i, w := range p.marks {
		if w == "band" {
			p.marks[i] = "bucket"
		}
	}
}

// quantile is the bucket in which the q-quantile lies (nearest rank).
func quantile(buckets, bounds []float64, q float64) (lo, hi float64, ok bool) {
	all := 0.0
	for _, n := range buckets {
		all += n
	}
	if all == 0 || len(buckets) != len(bounds)+1 {
		return 0, 0, false
	}
	rank, seen := math.Ceil(q*all), 0.0
	for i, n := range buckets {
		seen += n
		if seen < rank {
			continue
		}
		if i > 0 {
			lo = bounds[i-1]
		}
		hi = math.Inf(1)
		if i < len(bounds) {
			hi = bounds[i]
		}
		return lo, hi, true
	}
	return 0, 0, false
}

// budgetDays is the span over which a promise is judged here.
const budgetDays = 28

// recent are the points of the last 28 days.
func (d *drawing) recent() []point {
	var out []point
	for _, x := range d.points {
		at := x.start
		if d.g.Civil() {
			at *= 86400
		}
		if d.now.Unix()-at <= (budgetDays+1)*86400 {
			out = append(out, x)
		}
	}
	return out
}

// availability draws the days of a check and judges the last 28 of them.
func (d *drawing) availability(p *Picture) {
	starts, index := d.windows()
	days := make([]chart.Day, len(starts))
	has := [4]bool{}
	for i := range days {
		days[i].Tip = say.WindowText(d.g, starts[i]) + ": not observed"
	}
	for _, x := range d.points {
		i, ok := index[x.start]
		if !ok || x.form != chart.Exact {
			continue
		}
		q := x.parts
		days[i] = chart.Day{Up: value(q.Up), Down: value(q.Down), Maintenance: value(q.Maintenance), Unknown: value(q.Unknown)}
		days[i].Tip = say.WindowText(d.g, x.start) + ": up " + say.Span(days[i].Up) + ", down " + say.Span(days[i].Down) + ", maintenance " + say.Span(days[i].Maintenance) + ", not observed " + say.Span(days[i].Unknown)
	}
	for _, x := range days {
		has[0], has[1], has[2], has[3] = has[0] || x.Up > 0, has[1] || x.Down > 0, has[2] || x.Maintenance > 0, has[3] || x.Unknown > 0 || x.Up+x.Down+x.Maintenance == 0
	}
	for i, w := range []string{"up", "down", "maintenance", "unknown"} {
		if has[i] {
			p.marks = append(p.marks, w)
		}
	}
	var up, down, maint, unseen, incidents float64
	for _, x := range d.recent() {
		up, down, maint, unseen = up+value(x.parts.Up), down+value(x.parts.Down), maint+value(x.parts.Maintenance), unseen+value(x.parts.Unknown)
		incidents += value(x.parts.Incidents)
	}
	p.When = nil
	p.Chart = chart.Days{Label: d.ms.Question + " Days of up, down, maintenance and not observed; the table is below it.", Days: days, Ticks: d.labels(starts)}.Draw()
	if up+down == 0 {
		p.Number, p.Note = m.El("span", m.Class("unknown"), m.Text("not observed")), "in the last 28 days"
		return
	}
	ratio := up / (up + down)
	p.Number = m.Text(say.Share(ratio))
	p.Note = "up in the last 28 days, " + say.Share((up+down)/(up+down+maint+unseen)) + " of them observed; " + say.Plural(int(incidents), "incident", "incidents")
	if t := d.ms.Target; t > 0 {
		left := (1-t)*(up+down) - down
		p.When = verdict(ratio >= t, say.Share(t), say.Span(math.Abs(left))+" of downtime", left >= 0)
	}
}

// verdict compares with a target.
func verdict(kept bool, target, budget string, left bool) m.Node {
	word := "over the budget"
	if left {
		word = "left in the budget"
	}
	if kept {
		return m.Group(m.Text(" · "), say.State("good", "target "+target+" kept"), m.Text(" · "+budget+" "+word))
	}
	return m.Group(m.Text(" · "), say.State("bad", "target "+target+" missed"), m.Text(" · "+budget+" "+word))
}

// slo draws the share of good ones against the target and judges the last 28 days.
func (d *drawing) slo(p *Picture) {
	starts, index := d.windows()
	s := chart.Series{Values: make([]chart.Value, len(starts))}
	for _, x := range d.points {
		if i, ok := index[x.start]; ok && x.form == chart.Exact && x.parts.Ratio != nil {
			r := *x.parts.Ratio
			s.Values[i] = chart.Value{Form: chart.Exact, Lo: r, Hi: r, Tip: say.WindowText(d.g, x.start) + ": " + say.Share(r) + ", " + say.Amount(value(x.parts.Good)) + " of " + say.Amount(value(x.parts.Valid))}
		} else if ok && x.form == chart.Withheld {
			s.Values[i] = chart.Value{Form: chart.Withheld}
		}
	}
	c := chart.Lines{Label: d.ms.Question + " Chart; the table is below it.", Series: []chart.Series{s}, Ticks: d.labels(starts), Write: say.Share, Share: true}
	if d.ms.Target > 0 {
		c.Target = &d.ms.Target
	}
	var good, valid float64
	for _, x := range d.recent() {
		good, valid = good+value(x.parts.Good), valid+value(x.parts.Valid)
	}
	p.Chart, p.marks, p.When = c.Draw(), marks(c.Series), nil
	if c.Target != nil {
		p.marks = append(p.marks, "target")
	}
	if valid == 0 {
		p.Number, p.Note = m.El("span", m.Class("unknown"), m.Text("nothing counted")), "in the last 28 days"
		return
	}
	p.Number, p.Note = m.Text(say.Share(good/valid)), "good of "+say.Amount(valid)+" in the last 28 days"
	if t := d.ms.Target; t > 0 {
		left := (1-t)*valid - (valid - good)
		p.When = verdict(good/valid >= t, say.Share(t), say.Amount(math.Round(math.Abs(left))), left >= 0)
	}
}

// table is the names of the columns and the cells of a row, newest first.
func (d *drawing) table() ([]string, func(int) []m.Node) {
	type shown struct {
		name string
		of   func(point) m.Node
	}
	number := func(name string, write func(float64) string, of func(parts) *float64) shown {
		return shown{name, func(x point) m.Node {
			if v := of(x.parts); v != nil {
				return m.Text(write(*v))
			}
			return m.Text("–")
		}}
	}
	var cs []shown
	switch d.ms.Kind {
	case "fact":
		cs = []shown{{"Value", func(x point) m.Node { return m.Text(x.parts.Value) }}}
	case "gauge":
		cs = []shown{number("Last", d.amount, func(p parts) *float64 { return p.Last }), number("Lowest", d.amount, func(p parts) *float64 { return p.Min }),
			number("Highest", d.amount, func(p parts) *float64 { return p.Max }), number("Mean", d.amount, func(p parts) *float64 { return p.Mean })}
	case "counter":
		cs = []shown{number("Increase", d.amount, func(p parts) *float64 { return p.Increase })}
	case "distribution":
		cs = []shown{number("Count", say.Amount, func(p parts) *float64 { return p.Count }), number("Sum", d.amount, func(p parts) *float64 { return p.Sum }),
			number("p50", d.amount, func(p parts) *float64 { return p.P50 }), number("p90", d.amount, func(p parts) *float64 { return p.P90 }), number("p99", d.amount, func(p parts) *float64 { return p.P99 })}
	case "histogram":
		at := func(q float64) func(point) m.Node {
			return func(x point) m.Node {
				lo, hi, ok := quantile(x.parts.Buckets, d.bounds, q)
				if !ok {
					return m.Text("–")
				}
				return m.Text(say.RangeText(lo, hi, d.amount))
			}
		}
		cs = []shown{number("Count", say.Amount, func(p parts) *float64 { return p.Count }), number("Sum", d.amount, func(p parts) *float64 { return p.Sum }), {"p50 lies in", at(0.5)}, {"p95 lies in", at(0.95)}}
	case "availability":
		cs = []shown{number("Available", say.Share, func(p parts) *float64 { return p.Availability }), number("Up", say.Span, func(p parts) *float64 { return p.Up }), number("Down", say.Span, func(p parts) *float64 { return p.Down }),
			number("Maintenance", say.Span, func(p parts) *float64 { return p.Maintenance }), number("Not observed", say.Span, func(p parts) *float64 { return p.Unknown }), number("Incidents", say.Amount, func(p parts) *float64 { return p.Incidents })}
	case "slo":
		cs = []shown{number("Good of valid", say.Share, func(p parts) *float64 { return p.Ratio }), number("Good", say.Amount, func(p parts) *float64 { return p.Good }), number("Valid", say.Amount, func(p parts) *float64 { return p.Valid })}
	case "first_time":
		cs = []shown{{"How long it took", func(x point) m.Node { return m.Text(firstText(x.parts.Value)) }}}
	default:
		for _, f := range d.fields() {
			cs = append(cs, shown{f.name, func(x point) m.Node { return f.of(x).node(f.write) }})
		}
		if len(cs) > 0 {
			break
		}
		cs = []shown{{"Figure", d.told}}
	}
	names := []string{"Window"}
	for _, c := range cs {
		names = append(names, c.name)
	}
	return names, func(i int) []m.Node {
		x := d.points[len(d.points)-1-i]
		when := m.Group(say.Window(d.g, x.start), m.When(x.dims != "", m.El("span", m.Class("note"), m.Text(" "+x.dims))), m.When(!x.Closed, m.El("span", m.Class("note"), m.Text(" still open"))))
		out := []m.Node{when}
		for k, c := range cs {
			switch {
			case x.form == chart.Withheld && x.figs == nil && k > 0, x.form == chart.Unknown && k > 0:
				out = append(out, m.Text("–"))
			case x.form == chart.Withheld && x.figs == nil || x.form == chart.Unknown:
				out = append(out, d.told(x))
			default:
				out = append(out, c.of(x))
			}
		}
		return out
	}
}
