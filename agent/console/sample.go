package console

import (
	"time"

	"github.com/fieldpost/fieldpost/agent/console/ask"
	m "github.com/fieldpost/fieldpost/agent/console/markup"
	"github.com/fieldpost/fieldpost/agent/console/picture"
	"github.com/fieldpost/fieldpost/agent/console/say"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// samples shows, from the site's own data, what would be sent at each level. It knows only what
// the site may be shown anyway; where there is nothing to show yet it says what it would look
// like, and that this is no figure of the site's.
type samples struct {
	is    control.Consent
	book  *catalog.Catalog
	now   time.Time
	got   map[string]sample
	later bool
}

// sample is the newest closed figure of a measure, or a sign that it is being computed.
type sample struct {
	picture.Newest
	waiting bool
}

// samples asks for the newest figures of all measures at the grain that leaves.
func (c *Console) samples(q *request, cat control.Catalog, is control.Consent) *samples {
	s := &samples{is: is, book: c.books.of(cat), now: q.status.Now, got: map[string]sample{}}
	type asked struct {
		ms    control.Measure
		grain string
		a     *ask.Answer
	}
	var all []asked
	var answers []*ask.Answer
	for _, ms := range cat.Measures {
		if !ms.Level.AtLeast(exchange.Local) {
			continue
		}
		g := usualGrain(ms)
		a := c.asker.Ask(control.Query{Measure: ms.ID, Grain: g, From: recently(q.status.Now, g)})
		all, answers = append(all, asked{ms, g, a}), append(answers, a)
	}
	ask.Await(q.ctx(), q.deadline, answers...)
	for _, x := range all {
		if !x.a.Ready() {
			s.later = true
			s.got[x.ms.ID] = sample{waiting: true}
			continue
		}
		if x.a.Err == nil {
			if one, ok := picture.NewestOf(x.ms, s.book, x.grain, x.a.Lines, s.now); ok {
				s.got[x.ms.ID] = sample{Newest: one}
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
	case "4w", "rolling28":
		days = 84
	default:
		return since(now, grain)
	}
	return now.AddDate(0, 0, -days).UTC().Format(time.DateOnly)
}

// tableOf is each measure of a category with what would be sent of it; the pool has one level.
func (s *samples) tableOf(category string, ms []control.Measure) m.Node {
	if category != catalog.Pool {
		return s.table(ms)
	}
	body := make([]m.Item, 0, len(ms))
	for _, x := range ms {
		body = append(body, m.El("tr", m.El("td", m.Text(x.Question), m.El("div", m.Class("note"), m.Text(x.ID))), m.El("td", m.Attr("data-label", "pooled"), say.NoisyExample(x.Kind),
			m.El("div", m.Class("note"), m.Text("An example: noise is drawn only when 12 weeks close, so there is no figure of yours to show. It is listed under What leaves before it goes, and on the ledger.")))))
	}
	return m.El("div", m.Class("stack", "half"), m.El("table", m.El("thead", m.El("tr", say.Th("Measure"), say.Th("Sent to the pool, every 12 weeks"))), m.El("tbody", body...)))
}

// table is each measure with what would be sent of it.
func (s *samples) table(ms []control.Measure) m.Node {
	body := make([]m.Item, 0, len(ms))
	for _, x := range ms {
		kept := "Kept " + x.Kept
		if x.Kept == "" {
			kept = "Kept"
		}
		body = append(body, m.El("tr",
			m.El("td", m.Text(x.Question), m.El("div", m.Class("note"), m.Textf("% %, by %; sent %.", say.Sentence(x.Purpose), kept, x.Owner, sent(x)))),
			m.El("td", m.Attr("data-label", "strict"), s.at(x, exchange.Strict)),
			m.El("td", m.Attr("data-label", "aggregate"), s.at(x, exchange.Aggregate)),
			m.El("td", m.Attr("data-label", "totals"), s.at(x, exchange.Totals))))
	}
	return m.El("div", m.Class("stack", "half"), m.El("table", m.El("thead", m.El("tr", say.Th("Measure, and why"), say.Th("Sent at strict"), say.Th("Sent at aggregate"), say.Th("Sent at totals"))), m.El("tbody", body...)))
}

// sent is how often a measure would be sent.
func sent(x control.Measure) string {
	switch {
	case x.Subject != "person" && x.Subject != "":
		return say.Each(x.Leaves)
	case x.Kind == "active_users" || x.Kind == "count":
		return say.Each("week") + " and " + say.Each("4w")
	case x.Kind == "fact" || x.Kind == "first_time":
		return say.Each("change")
	case x.Kind == "retention":
		return say.Each("12w")
	}
	return say.Each("4w")
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
	yours := func(n m.Node) m.Node { return m.Group(n, m.El("div", m.Class("note"), m.Text(got.When))) }
	if x.Subject != "person" && x.Subject != "" {
		if !have {
			return example(say.ExampleOf(x.Kind))
		}
		return yours(got.Figure)
	}
	exactly := (x.Kind == "active_users" || x.Kind == "count") && s.plain(x.ID)
	switch {
	case l == exchange.Strict && !say.Noisy(x.Kind):
		return say.Withheld("only counts of people have noise")
	case l == exchange.Strict && s.is.People > 0 && s.is.People < 50:
		return say.Withheld("noise needs 50 people; you named fewer")
	case l == exchange.Strict:
		return m.Group(say.NoisyExample(x.Kind), m.El("div", m.Class("note"), m.Textf("An example, with ε = %: noise is drawn when a block closes.", say.Amount(s.epsilon(x.ID)))))
	case l == exchange.Totals && exactly && !have:
		return example("41, each week and each 4 weeks")
	case l == exchange.Totals && exactly && got.Exact:
		return yours(got.Figure)
	case l == exchange.Totals && exactly:
		return m.Group(m.Text("the exact number"), m.El("div", m.Class("note"), m.Text("It is not shown here before you choose this.")))
	case !have && x.Kind == "first_time":
		return example("within 3 days")
	case !have:
		return m.Group(say.Interval(10, 14, say.Amount, "band"), m.El("div", m.Class("note"), m.Text("An example: there is no figure of yours yet.")))
	case got.Exact && levelOf(s.is, x.Category).AtLeast(exchange.Totals):
		return m.Group(m.Text("a range around it"), m.El("div", m.Class("note"), m.Text("Now: the exact number.")))
	}
	return yours(got.Figure)
}

// epsilon is the measure's budget at the level strict.
func (s *samples) epsilon(id string) float64 {
	if x, _ := s.book.Measure(id); x != nil {
		return x.Epsilon
	}
	return 1
}

// plain says that a measure is a total without a filter.
func (s *samples) plain(id string) bool {
	x, _ := s.book.Measure(id)
	return x != nil && len(x.Where) == 0 && len(x.WhereUser) == 0
}
