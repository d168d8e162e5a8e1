package console

import (
	"time"

	"github.com/fieldpost/fieldpost/agent/console/chart"
	m "github.com/fieldpost/fieldpost/agent/console/markup"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// samples shows, from the site's own data, what would be sent at each level. It knows only what
// the site may be shown anyway; where there is nothing to show yet it says what it would look
// like, and that this is no figure of the site's.
type samples struct {
	is    control.Consent
	book  *catalog.Catalog
	total string // the measure whose weekly number leaves as a range
	now   time.Time
	got   map[string]sample
	later bool
}

// sample is the newest closed figure of a measure.
type sample struct {
	figure  m.Node
	when    string
	exact   bool
	waiting bool
}

// samples asks for the newest figures of all measures at the grain that leaves.
func (c *Console) samples(q *request, cat control.Catalog, is control.Consent) *samples {
	s := &samples{is: is, book: c.books.of(cat), now: q.status.Now, got: map[string]sample{}}
	s.total = firstTotal(s.book)
	type asked struct {
		ms    control.Measure
		grain string
		a     *answer
	}
	var all []asked
	var answers []*answer
	for _, ms := range cat.Measures {
		if !ms.Level.AtLeast(exchange.Local) {
			continue
		}
		g := usualGrain(ms)
		a := c.asker.ask(control.Query{Measure: ms.ID, Grain: g, From: recently(q.status.Now, g)})
		all, answers = append(all, asked{ms, g, a}), append(answers, a)
	}
	await(q.ctx(), q.deadline, answers...)
	for _, x := range all {
		if !x.a.ready() {
			s.later = true
			s.got[x.ms.ID] = sample{waiting: true}
			continue
		}
		if x.a.err == nil {
			if one, ok := newestSample(x.ms, s.book, x.grain, x.a.lines, s.now); ok {
				s.got[x.ms.ID] = one
			}
		}
	}
	return s
}

// recently is a span in which a closed window must lie if the product is used at all.
func recently(now time.Time, grain string) string {
	days := 0
	switch grain {
	case "week":
		days = 56
	case "day":
		days = 28
	default:
		return since(now, grain)
	}
	return now.AddDate(0, 0, -days).UTC().Format(time.DateOnly)
}

// firstTotal is the first count of active people without a filter: the one weekly number that
// may leave as a range.
func firstTotal(book *catalog.Catalog) string {
	for i := range book.Measures {
		x := &book.Measures[i]
		if x.Kind == catalog.ActiveUsers && x.Subject == catalog.Person && len(x.Where) == 0 && len(x.WhereUser) == 0 {
			return x.ID
		}
	}
	return ""
}

func newestSample(ms control.Measure, book *catalog.Catalog, grain string, lines []line, now time.Time) (sample, bool) {
	g, err := report.ParseGrain(grain)
	if err != nil {
		return sample{}, false
	}
	points := read(ms.Kind, g, lines)
	for i := len(points) - 1; i >= 0; i-- {
		x := points[i]
		if x.Closed && x.form != chart.Unknown {
			d := drawing{ms: ms, g: g, points: points, now: now, unit: ms.Unit, bounds: boundsOf(book, ms.ID)}
			return sample{figure: d.short(x), when: windowText(g, x.start), exact: x.form == chart.Exact}, true
		}
	}
	return sample{}, false
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
		return m.Text(amount(value(q.Count)) + " values, sum " + d.amount(value(q.Sum)) + ", and their sketch")
	case "histogram":
		return m.Text(amount(value(q.Count)) + " values, sum " + d.amount(value(q.Sum)) + ", counts per bucket")
	case "availability":
		return m.Text("up " + span(value(q.Up)) + ", down " + span(value(q.Down)) + ", maintenance " + span(value(q.Maintenance)) + ", not observed " + span(value(q.Unknown)))
	case "slo":
		return m.Text(amount(value(q.Good)) + " good of " + amount(value(q.Valid)))
	case "lifecycle":
		return m.Text("new, retained, resurrected and dormant people")
	}
	return m.Text(amount(x.lo))
}

// table is each measure with what would be sent of it.
func (s *samples) table(ms []control.Measure) m.Node {
	body := make([]m.Item, 0, len(ms))
	for _, x := range ms {
		kept := "kept " + x.Kept
		if x.Kept == "" {
			kept = "kept as long as the contract lasts"
		}
		body = append(body, m.El("tr",
			m.El("td", m.Text(x.Question), m.El("div", m.Class("note"), m.Textf("%. %, by %; sent %.", x.Purpose, kept, x.Owner, each(x.Leaves)))),
			m.El("td", m.Attr("data-label", "aggregate"), s.at(x, exchange.Aggregate)),
			m.El("td", m.Attr("data-label", "totals"), s.at(x, exchange.Totals))))
	}
	return m.El("div", m.Class("stack"), m.El("table", m.El("thead", m.El("tr", th("Measure, and why"), th("Sent at aggregate"), th("Sent at totals"))), m.El("tbody", body...)))
}

// at is what would be sent of a measure at a level.
func (s *samples) at(x control.Measure, l exchange.Level) m.Node {
	got, have := s.got[x.ID]
	if got.waiting {
		return m.El("span", m.Class("note"), m.Text("being computed"))
	}
	example := func(what string) m.Node {
		return m.Group(m.Text(what), m.El("div", m.Class("note"), m.Text("An example: there is no figure of yours yet.")))
	}
	yours := func(n m.Node) m.Node { return m.Group(n, m.El("div", m.Class("note"), m.Text(got.when))) }
	if x.Subject != "person" && x.Subject != "" {
		if !have {
			return example(exampleOf(x))
		}
		return yours(got.figure)
	}
	plain, counts := s.plain(x.ID), x.Kind == "active_users" || x.Kind == "count"
	switch {
	case !counts || !plain:
		return hatched("withheld")
	case l == exchange.Totals && !have:
		return example("41, each week and each 4 weeks")
	case l == exchange.Totals && got.exact:
		return yours(got.figure)
	case l == exchange.Totals:
		return m.Group(m.Text("the exact number"), m.El("div", m.Class("note"), m.Text("It is not shown here before you choose this.")))
	case x.ID != s.total:
		return hatched("withheld")
	case !have:
		return m.Group(interval(40, 44, amount, "band"), m.El("div", m.Class("note"), m.Text("An example: there is no figure of yours yet.")))
	case levelOf(s.is, x.Category).AtLeast(exchange.Totals):
		return m.Group(m.Text("a range around it"), m.El("div", m.Class("note"), m.Text("Now: the exact number.")))
	}
	return yours(got.figure)
}

// plain says that a measure is a total without a filter.
func (s *samples) plain(id string) bool {
	x, _ := s.book.Measure(id)
	return x != nil && len(x.Where) == 0 && len(x.WhereUser) == 0
}

// exampleOf is what a figure of the kind looks like.
func exampleOf(x control.Measure) string {
	switch x.Kind {
	case "fact":
		return "one value of the catalog's list"
	case "availability":
		return "up 23 h 58 min, down 2 min"
	case "slo":
		return "9,950 good of 10,000"
	case "gauge":
		return "last 12, mean 9, 2 to 31"
	case "histogram", "distribution":
		return "1,204 values, counts per bucket"
	}
	return "1,204"
}
