package console

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fieldpost/fieldpost/agent/console/ask"
	m "github.com/fieldpost/fieldpost/agent/console/markup"
	"github.com/fieldpost/fieldpost/agent/console/picture"
	"github.com/fieldpost/fieldpost/agent/console/say"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// catalogs keeps the newest catalog parsed: bounds of histograms and filters of measures
// are not in the plain words.
type catalogs struct {
	mu     sync.Mutex // guards both
	hash   exchange.Hash
	parsed *catalog.Catalog
}

// of is the catalog parsed, or an empty one where it cannot be.
func (b *catalogs) of(c control.Catalog) *catalog.Catalog {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.parsed != nil && b.hash == c.Hash {
		return b.parsed
	}
	p, err := catalog.Parse(c.Raw)
	if err != nil {
		return &catalog.Catalog{}
	}
	b.hash, b.parsed = c.Hash, p
	return p
}

// perPage bounds the charts of a page: at 20 KB each half a megabyte.
const perPage = 24

// wanted is a measure with the figures the page asked for.
type wanted struct {
	control.Measure
	grain string
	a     *ask.Answer
}

// use is what the product does here: a chart for each measure.
func (c *Console) use(q *request) (*view, error) {
	v := &view{here: "/use", title: "Our use", sub: m.Text("what this agent measured here, as your own people may see it: no figure tells about one person")}
	cat, err := c.cfg.Site.Catalog(q.ctx())
	var e *control.Error
	if errors.As(err, &e) && e.Code == "catalog_missing" {
		v.body = noCatalog(e)
		return v, nil
	}
	if err != nil {
		return nil, err
	}
	var off []control.Measure
	var all []wanted
	for _, ms := range inOrder(cat.Measures) {
		if !ms.Level.AtLeast(exchange.Local) {
			off = append(off, ms)
			continue
		}
		all = append(all, wanted{Measure: ms, grain: usualGrain(ms)})
	}
	page := q.number("p")
	from, to := say.Cut(page, perPage, len(all))
	shown := all[from:to]
	answers := make([]*ask.Answer, len(shown))
	for i := range shown {
		shown[i].a = c.asker.Ask(control.Query{Measure: shown[i].ID, Grain: shown[i].grain, By: ownBy(shown[i].Measure), From: since(q.status.Now, shown[i].grain)})
		answers[i] = shown[i].a
	}
	ask.Await(q.ctx(), q.deadline, answers...)
	v.body = m.Group(c.useBody(q, v, c.books.of(cat), shown), say.Pages(m.At("/use"), "p", page, perPage, len(all)), notCollected(off))
	return v, nil
}

// useBody puts facts first, then charts by category, then what cannot be shown and why.
func (c *Console) useBody(q *request, v *view, book *catalog.Catalog, shown []wanted) m.Node {
	var facts, hidden []m.Item
	charts := map[string][]m.Item{}
	var order []string
	for _, w := range shown {
		if !w.a.Ready() {
			v.later = true
			charts[w.Category] = append(charts[w.Category], pendingCard(w))
		} else {
			p := picture.Draw(w.Measure, book, w.grain, w.a.Lines, q.status.Now, false)
			switch {
			case w.a.Err != nil:
				n := problem(w.a.Err)
				charts[w.Category] = append(charts[w.Category], say.Card(w.Question, nil, message(&n)))
			case p.Hidden != "":
				hidden = append(hidden, m.El("tr", m.El("td", m.Text(w.Question), m.El("div", m.Class("note"), link(w.ID))), m.El("td", m.Attr("data-label", "newest figure"), p.Why), m.El("td", m.Class("note"), m.Text(p.Hidden))))
				continue
			case w.Kind == "fact" || w.Kind == "first_time":
				facts = append(facts, say.Fact(w.Question, p.Number, m.Group(m.Text(p.Note), p.When)))
				continue
			default:
				charts[w.Category] = append(charts[w.Category], useCard(w.Measure, p))
			}
		}
		if !slices.Contains(order, w.Category) {
			order = append(order, w.Category)
		}
	}
	var parts []m.Node
	if len(facts) > 0 {
		parts = append(parts, m.El("section", append([]m.Item{m.Class("facts"), m.Attr("aria-label", "Facts")}, facts...)...))
	}
	for _, cat := range order {
		parts = append(parts, m.El("h2", m.Class("part"), m.Text(say.CategoryName(cat))), m.El("div", append([]m.Item{m.Class("grid")}, charts[cat]...)...))
	}
	if len(hidden) > 0 {
		parts = append(parts, say.Card("Measured and not shown", nil, m.El("p", m.Class("note"), m.Text("These pages show no more about people than could leave, so that they are nobody's monitor.")),
			say.Stack(m.El("table", m.El("thead", m.El("tr", say.Th("Question"), say.Th("Newest figure"), say.Th("Why"))), m.El("tbody", hidden...)))))
	}
	if len(shown) == 0 {
		parts = append(parts, say.Card("Nothing is measured", nil, m.El("p", m.Text("You have not agreed to any category, so nothing is collected. "), m.El("a", m.Href(m.At("/consent")), m.Text("Read what is asked for, and choose.")))))
	}
	return m.Group(parts...)
}

func noCatalog(e *control.Error) m.Node {
	return say.Card("No catalog yet", nil, m.El("p", m.Text("The vendor's catalog says what may be measured. It comes with the first check-in after enrolment; until then nothing is collected and nothing leaves.")),
		m.El("p", m.Text("Try: "), m.El("code", m.Text(e.Hint))), m.El("p", m.Class("note"), m.Text("Code: "), m.El("code", m.Text(e.Code))))
}

func notCollected(off []control.Measure) m.Node {
	if len(off) == 0 {
		return m.Group()
	}
	rows := make([]m.Item, 0, len(off))
	for _, ms := range off {
		rows = append(rows, m.El("tr", m.El("td", m.Text(ms.Question), m.El("div", m.Class("note"), m.Text(ms.ID))), m.El("td", m.Text(say.CategoryName(ms.Category))), m.El("td", m.Class("note"), m.Text(ms.Purpose))))
	}
	return say.Card("Not collected", m.El("a", m.Href(m.At("/consent")), m.Text("Decide")), m.El("details", m.El("summary", m.Text(say.Plural(len(off), "measure", "measures")+" of categories that are off")),
		say.Wide(m.El("table", m.El("thead", m.El("tr", say.Th("Question"), say.Th("Category"), say.Th("Why the vendor asks"))), m.El("tbody", rows...)))))
}

func link(id string) m.Node { return m.El("a", m.Href(m.At("/use/{}", id)), m.Text(id)) }

// useCard is one measure's chart with its newest figure first.
func useCard(ms control.Measure, p picture.Picture) m.Node {
	return m.El("section", m.Class("card", "measure"),
		m.El("header", m.El("h2", m.Text(ms.Question)), m.El("span", m.Class("note"), link(ms.ID))),
		m.El("p", m.Class("now"), m.El("span", m.Class("v"), p.Number), m.El("span", m.Class("note"), m.Text(p.Note), say.OrNothing(p.When))),
		say.OrNothing(p.Chart), say.OrNothing(p.Legend), say.OrNothing(p.Reasons),
		m.El("details", m.El("summary", m.Text("Table and definition")), definition(ms), p.Table(1, 20, false)))
}

// pendingCard holds the place of a chart whose figures are being computed.
func pendingCard(w wanted) m.Node {
	return m.El("section", m.Class("card", "measure", "pending"), m.El("header", m.El("h2", m.Text(w.Question)), m.El("span", m.Class("note"), link(w.ID))),
		m.El("p", m.Class("note"), m.Text("Being computed; the page loads again by itself.")))
}

// useOne is one measure at a grain and breakdown of the reader's choice.
func (c *Console) useOne(q *request) (*view, error) {
	cat, err := c.cfg.Site.Catalog(q.ctx())
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(cat.Measures, func(ms control.Measure) bool { return ms.ID == q.PathValue("measure") })
	if i < 0 {
		return nil, &control.Error{Code: "measure_unknown", Message: "the catalog in force holds no such measure", Hint: "look at the page Our use"}
	}
	ms := cat.Measures[i]
	v := &view{here: "/use", title: ms.Question, sub: m.Group(m.El("code", m.Text(ms.ID)), m.Text(" · "+say.SubjectText(ms.Subject)))}
	if !ms.Level.AtLeast(exchange.Local) {
		v.body = m.Group(notCollected([]control.Measure{ms}), say.Card("Definition", nil, definition(ms)))
		return v, nil
	}
	grain := q.URL.Query().Get("grain")
	if !slices.Contains(ms.Grains, grain) {
		grain = usualGrain(ms)
	}
	by := q.URL.Query().Get("by")
	book := c.books.of(cat)
	ms.By = breakdowns(ms, book)
	b := slices.IndexFunc(ms.By, func(names []string) bool { return strings.Join(names, ",") == by })
	query := control.Query{Measure: ms.ID, Grain: grain, From: since(q.status.Now, grain)}
	if b >= 0 {
		query.By = ms.By[b]
	} else {
		query.By, by = ownBy(ms), ""
	}
	a := c.asker.Ask(query)
	ask.Await(q.ctx(), q.deadline, a)
	v.body = m.Group(tabs(ms, grain, by), c.oneBody(q, v, ms, book, grain, by, a), say.Card("Definition", nil, definition(ms)))
	return v, nil
}

func (c *Console) oneBody(q *request, v *view, ms control.Measure, book *catalog.Catalog, grain, by string, a *ask.Answer) m.Node {
	if !a.Ready() {
		v.later = true
		return pendingCard(wanted{Measure: ms})
	}
	if a.Err != nil {
		n := problem(a.Err)
		return message(&n)
	}
	p := picture.Draw(ms, book, grain, a.Lines, q.status.Now, true)
	at := m.At("/use/{}", ms.ID).With("grain", grain).With("by", by)
	table := m.El("section", m.Class("card"), m.El("header", m.El("h2", m.Text("Figures")), m.El("span", m.Class("note"), m.Text(say.Plural(p.Rows, "window", "windows")+", newest first"))),
		p.Table(q.number("p"), rowsPerPage, true), say.Pages(at, "p", q.number("p"), rowsPerPage, p.Rows))
	if p.Hidden != "" {
		return m.Group(say.Card("Measured and not shown", nil, m.El("p", p.Why, m.Text(" "), m.Text(say.Sentence(p.Hidden)))), m.When(p.Rows > 0, table))
	}
	return m.Group(m.El("section", m.Class("card", "measure"),
		m.El("p", m.Class("now"), m.El("span", m.Class("v"), p.Number), m.El("span", m.Class("note"), m.Text(p.Note), say.OrNothing(p.When))),
		say.OrNothing(p.Chart), say.OrNothing(p.Legend), say.OrNothing(p.Reasons)), table)
}

// tabs choose grain and breakdown.
func tabs(ms control.Measure, grain, by string) m.Node {
	var gs, bs []m.Item
	for _, g := range ms.Grains {
		gs = append(gs, m.El("a", m.Href(m.At("/use/{}", ms.ID).With("grain", g).With("by", by)), say.Current(g == grain), m.Text(say.GrainWord(g))))
	}
	if len(ms.By) > 0 {
		bs = append(bs, m.El("a", m.Href(m.At("/use/{}", ms.ID).With("grain", grain)), say.Current(by == ""), m.Text("total")))
	}
	for _, names := range ms.By {
		k := strings.Join(names, ",")
		bs = append(bs, m.El("a", m.Href(m.At("/use/{}", ms.ID).With("grain", grain).With("by", k)), say.Current(k == by), m.Text("by "+strings.Join(names, " and "))))
	}
	nav := func(label string, items []m.Item) m.Node {
		return m.El("nav", append([]m.Item{m.Class("tabs"), m.Attr("aria-label", label)}, items...)...)
	}
	return m.Group(nav("Length of window", gs), m.When(len(bs) > 0, nav("Breakdown", bs)))
}

// breakdowns are those a reader can choose: the catalog's, a funnel's split and an experiment's arms.
func breakdowns(ms control.Measure, book *catalog.Catalog) [][]string {
	def, _ := book.Measure(ms.ID)
	switch {
	case def == nil:
	case def.Kind == catalog.Funnel && def.Split != "":
		return append(slices.Clone(ms.By), []string{def.Split})
	case def.Kind == catalog.Sufficient && def.Arm != "":
		return append(slices.Clone(ms.By), []string{def.Arm})
	}
	return ms.By
}

// ownBy is the breakdown that a kind is drawn by where nobody chose one.
func ownBy(ms control.Measure) []string {
	if ms.Kind == string(catalog.Transitions) {
		return []string{"from", "to"}
	}
	return nil
}

// definition is what the catalog says about a measure.
func definition(ms control.Measure) m.Node {
	kept := ms.Kept
	if ms.Expires != "" {
		kept += "; asked again after " + ms.Expires
	}
	return m.El("dl", m.Class("pairs"),
		say.Pair("Why the vendor asks", m.Text(ms.Purpose)), say.Pair("Who asks", m.Text(ms.Owner)), say.Pair("Kept by the vendor", m.Text(kept)),
		say.Pair("Kind", m.Text(strings.ReplaceAll(ms.Kind, "_", " ")+", "+say.SubjectText(ms.Subject))),
		say.Pair("Category", m.Text(say.CategoryName(ms.Category)+", here: "+string(ms.Level))), say.Pair("Would leave", m.Text(sent(ms))))
}

// inOrder puts usage first, then the service level, then what is installed.
func inOrder(ms []control.Measure) []control.Measure {
	rank := func(c string) int {
		i := slices.Index([]string{"usage", "sla", "inventory"}, c)
		if i < 0 {
			return 3
		}
		return i
	}
	out := slices.Clone(ms)
	slices.SortStableFunc(out, func(a, b control.Measure) int { return rank(a.Category) - rank(b.Category) })
	return out
}

// usualGrain is the grain of a measure's first chart: about people, the one at which figures may be told.
func usualGrain(ms control.Measure) string {
	g := "day"
	switch {
	case ms.Kind == "fact" || ms.Kind == "first_time":
		g = "change"
	case ms.Kind == "retention":
		g = "12w"
	case ms.Kind == "stickiness" || ms.Kind == "adoption" || ms.Kind == "seats":
		g = "rolling28"
	case ms.Kind == "count" && ms.Subject != "traffic" && ms.Subject != "machine", ms.Kind == "active_users":
		g = "week"
	case ms.Subject == "person" || ms.Subject == "":
		g = "4w"
	}
	if !slices.Contains(ms.Grains, g) && len(ms.Grains) > 0 {
		g = ms.Grains[0]
	}
	return g
}

// since is where a chart begins: as many windows as it can show apart.
func since(now time.Time, grain string) string {
	days := 0
	switch grain {
	case "5m":
		days = 1
	case "hour":
		days = 7
	case "day":
		days = 90
	case "rolling28": // only a block's last day is told: a year has 13
		days = 400
	case "week":
		days = 7 * 104
	case "month":
		days = 3 * 366
	case "4w", "12w":
		days = 84 * 13
	default:
		return ""
	}
	return now.AddDate(0, 0, -days).UTC().Format(time.DateOnly)
}
