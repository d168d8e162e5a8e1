package picture

import (
	"strings"
	"time"

	"github.com/fieldpost/fieldpost/agent/console/chart"
	m "github.com/fieldpost/fieldpost/agent/console/markup"
	"github.com/fieldpost/fieldpost/agent/console/say"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Newest is the newest closed figure of a measure in a few words.
type Newest struct {
	Figure m.Node
	When   string
	Exact  bool
}

// NewestOf finds it; false where there is none.
func NewestOf(ms control.Measure, book *catalog.Catalog, grain string, lines []Line, now time.Time) (Newest, bool) {
	g, err := report.ParseGrain(grain)
	if err != nil {
		return Newest{}, false
	}
	d := newDrawing(ms, book, g, lines, now)
	points := d.points
	for i := len(points) - 1; i >= 0; i-- {
		x := points[i]
		if x.Closed && x.form != chart.Unknown {
			return Newest{Figure: d.short(x), When: say.WindowText(g, x.start), Exact: x.form == chart.Exact}, true
		}
	}
	return Newest{}, false
}

// short is a figure of any kind in a few words.
func (d *drawing) short(x point) m.Node {
	if x.figs != nil {
		return d.several(x)
	}
	if x.form != chart.Exact {
		return d.told(x)
	}
	q := x.parts
	switch d.ms.Kind {
	case "fact":
		return m.Text(q.Value)
	case "gauge":
		return m.Text("last " + d.amount(value(q.Last)) + ", mean " + d.amount(value(q.Mean)) + ", " + d.amount(value(q.Min)) + " to " + d.amount(value(q.Max)))
	case "counter":
		return m.Text(d.amount(value(q.Increase)))
	case "distribution":
		return m.Text(say.Amount(value(q.Count)) + " values, sum " + d.amount(value(q.Sum)) + ", and their sketch")
	case "histogram":
		return m.Text(say.Amount(value(q.Count)) + " values, sum " + d.amount(value(q.Sum)) + ", counts per bucket")
	case "availability":
		return m.Text("up " + say.Span(value(q.Up)) + ", down " + say.Span(value(q.Down)) + ", maintenance " + say.Span(value(q.Maintenance)) + ", not observed " + say.Span(value(q.Unknown)))
	case "slo":
		return m.Text(say.Amount(value(q.Good)) + " good of " + say.Amount(value(q.Valid)))
	case "first_time":
		return m.Text(firstText(q.Value))
	}
	return m.Text(say.Amount(x.lo))
}

// several are the first figures of a line that has many, each in its form, and how many more there are.
func (d *drawing) several(x point) m.Node {
	const most = 3
	var parts []m.Node
	hidden, told := 0, 0
	for _, c := range d.fields() {
		f := c.of(x)
		switch {
		case f.form == chart.Withheld:
			hidden++
		case !f.form.Told():
		case told < most:
			if told++; len(parts) > 0 {
				parts = append(parts, m.Text(" · "))
			}
			parts = append(parts, m.Text(strings.ToLower(c.name)+" "), f.node(c.write))
		default:
			told++
		}
	}
	if told == 0 {
		return say.Withheld(x.Why)
	}
	if told > most {
		parts = append(parts, m.Text(" · "+say.Plural(told-most, "figure", "figures")+" more"))
	}
	if hidden > 0 {
		parts = append(parts, m.Text(" · "), say.Hatched(say.Amount(float64(hidden))+" withheld"))
	}
	return m.Group(parts...)
}
