package picture

import (
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
	points := read(ms.Kind, g, lines)
	for i := len(points) - 1; i >= 0; i-- {
		x := points[i]
		if x.Closed && x.form != chart.Unknown {
			d := drawing{ms: ms, g: g, points: points, now: now, unit: ms.Unit, bounds: boundsOf(book, ms.ID)}
			return Newest{Figure: d.short(x), When: say.WindowText(g, x.start), Exact: x.form == chart.Exact}, true
		}
	}
	return Newest{}, false
}

// short is a figure of any kind in a few words.
func (d *drawing) short(x point) m.Node {
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
	case "lifecycle":
		return m.Text("new, retained, resurrected and dormant people")
	}
	return m.Text(say.Amount(x.lo))
}
