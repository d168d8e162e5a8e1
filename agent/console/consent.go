package console

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fieldpost/fieldpost/agent/console/door"
	m "github.com/fieldpost/fieldpost/agent/console/markup"
	"github.com/fieldpost/fieldpost/agent/console/say"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/durable"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// consent is what is asked for, in plain words with a sample, and the customer's decision.
func (c *Console) consent(q *request) (*view, error) {
	is, err := c.cfg.Site.Consent(q.ctx())
	if err != nil {
		return nil, err
	}
	cat, err := c.cfg.Site.Catalog(q.ctx())
	v := &view{here: "/consent", title: "Consent"}
	var e *control.Error
	if errors.As(err, &e) && e.Code == "catalog_missing" {
		v.body = m.Group(noCatalog(e), history(is, q.number("p")))
		return v, nil
	}
	if err != nil {
		return nil, err
	}
	v.sub = m.Textf("% asks for % in its catalog % %", cat.Vendor, say.Plural(len(cat.Measures), "measure", "measures"), cat.Name, strconv.Itoa(cat.Version))
	s := c.samples(q, cat, is)
	v.later = s.later
	form := []m.Item{m.Class("decide")}
	for _, name := range categoriesOf(cat, s.book) {
		form = append(form, categoryCard(name, cat, is, s))
	}
	form = append(form, signature(is))
	v.body = m.Group(
		locks(is),
		c.pending(q, cat, is, s),
		m.El("div", m.Class("bar"), pauseForm(q, is), m.El("span", m.Class("note"), m.Text(decided(is)))),
		q.form(m.At("/consent/review"), form...),
		history(is, q.number("p")))
	return v, nil
}

// decided is the decision in force in a sentence.
func decided(is control.Consent) string {
	if !is.Decided {
		return "You have not decided anything yet: nothing is collected and nothing is sent but check-ins."
	}
	s := "Decision " + strconv.Itoa(is.Number) + " of " + is.At.UTC().Format("2 Jan 2006")
	if is.By != "" {
		s += ", by " + is.By
	}
	if is.Ticket != "" {
		s += ", " + is.Ticket
	}
	if is.Counter != "" {
		s += ", countersigned by " + is.Counter
	}
	return say.Sentence(s)
}

func locks(is control.Consent) m.Node {
	return m.Group(
		m.When(is.Locked, m.El("div", m.Class("notice"), m.El("p", say.State("warn", "Locked by the configuration (consent_lock): here you can only take back, not agree to more.")))),
		m.When(is.DoNotTrack, m.El("div", m.Class("notice"), m.El("p", say.State("warn", "DO_NOT_TRACK is set: everything counts as off, whatever was decided.")))))
}

func pauseForm(q *request, is control.Consent) m.Node {
	word, to := "Pause everything", "1"
	if is.Paused {
		word, to = "Resume sending", "0"
	}
	return q.form(m.At("/pause"), m.El("input", m.Attr("type", "hidden"), m.Attr("name", "pause"), m.Attr("value", to)), m.El("button", m.Attr("type", "submit"), m.Text(word)))
}

// categoriesOf are those the customer decides on: those with a measure, and the pool where a measure can join it.
func categoriesOf(cat control.Catalog, book *catalog.Catalog) []string {
	var out []string
	for _, name := range []string{catalog.Inventory, catalog.SLA, catalog.Usage, catalog.Pool} {
		if len(measuresOf(name, cat, book)) > 0 {
			out = append(out, name)
		}
	}
	return out
}

// measuresOf are those a category decides on; of the pool those that can join it.
func measuresOf(category string, cat control.Catalog, book *catalog.Catalog) []control.Measure {
	var out []control.Measure
	for _, ms := range cat.Measures {
		def, _ := book.Measure(ms.ID)
		if ms.Category == category || category == catalog.Pool && def != nil && def.Pool {
			out = append(out, ms)
		}
	}
	return out
}

// anyPeople says whether one of the measures is about people.
func anyPeople(ms []control.Measure) bool {
	return slices.ContainsFunc(ms, func(x control.Measure) bool { return x.Subject == "person" || x.Subject == "" })
}

// meaning is what a level means for a category.
func meaning(category string, l exchange.Level, people bool) string {
	if category == catalog.Pool {
		return say.PoolText(l)
	}
	return say.LevelText(l, people)
}

func levelOf(is control.Consent, category string) exchange.Level {
	for _, d := range is.Levels {
		if d.Category == category {
			return d.Level
		}
	}
	return exchange.Off
}

// categoryCard is one category: what it holds, the levels, and what would be sent of it.
func categoryCard(name string, cat control.Catalog, is control.Consent, s *samples) m.Node {
	now := levelOf(is, name)
	ms := measuresOf(name, cat, s.book)
	people := anyPeople(ms)
	since := ""
	for _, d := range is.Levels {
		if d.Category == name && d.Level != exchange.Off {
			since = ", for windows from " + time.Unix(d.From, 0).UTC().Format("2 Jan 2006")
		}
	}
	options := []m.Item{m.Class("levels"), m.El("legend", m.Text("Your decision"))}
	for _, l := range exchange.LevelsOf(name) {
		id := "level-" + name + "-" + string(l)
		options = append(options, m.El("div", m.Class("level"),
			m.El("input", m.Attr("type", "radio"), m.Attr("id", id), m.Attr("name", "level."+name), m.Attr("value", string(l)), m.Flag("checked", l == now), m.Attr("aria-describedby", id+"-text")),
			m.El("label", m.Attr("for", id), m.Text(string(l))), m.El("span", m.Class("note"), m.Attr("id", id+"-text"), m.Text(meaning(name, l, people)))))
	}
	return m.El("section", m.Class("card"), m.El("header", m.El("h2", m.Text(say.CategoryName(name))), m.El("span", m.Class("note"), m.Text("now: "+string(now)+since))),
		m.El("p", m.Text(say.CategoryText(name))), m.El("fieldset", options...),
		m.El("details", m.Flag("open", !is.Decided), m.El("summary", m.Text("What would be sent, from your own data: "+say.Plural(len(ms), "measure", "measures"))), s.tableOf(name, ms)))
}

// signature is who decides.
func signature(is control.Consent) m.Node {
	field := func(id, name, label, hint, value, kind string, required bool) m.Node {
		items := []m.Item{m.Attr("id", id), m.Attr("name", name), m.Attr("type", kind), m.Attr("value", value), m.Attr("maxlength", "200"), m.Attr("autocomplete", "off"), m.Flag("required", required), m.Attr("aria-describedby", id+"-hint")}
		if kind == "number" {
			items = append(items, m.Attr("min", "0"), m.Attr("max", "1000000"), m.Attr("inputmode", "numeric"))
		}
		return m.El("div", m.Class("field"), m.El("label", m.Attr("for", id), m.Text(label)), m.El("input", items...), m.El("span", m.Class("note"), m.Attr("id", id+"-hint"), m.Text(hint)))
	}
	people := ""
	if is.People > 0 {
		people = strconv.Itoa(is.People)
	}
	return m.El("section", m.Class("card"), m.El("header", m.El("h2", m.Text("Decide"))),
		m.El("div", m.Class("fields"),
			field("by", "by", "Decided by", "A name or initials. It stays at this site.", "", "text", true),
			field("ticket", "ticket", "Change ticket", "If you have one. It stays here too.", "", "text", false),
			field("counter", "counter", "Countersigned by", "A second person, if your rules ask for one.", "", "text", false),
			field("people", "people", "People at this site", "Ranges depend on it. Empty: as many as are known at the start of 12 weeks.", people, "number", false),
			field("from", "from", "Valid for windows from", "Empty: from now on. For what you widen, an earlier day lets older figures leave as well.", "", "date", false)),
		m.El("p", m.El("button", m.Class("main"), m.Attr("type", "submit"), m.Text("Review the decision"))))
}

// history are the decisions so far.
func history(is control.Consent, page int) m.Node {
	if len(is.History) == 0 {
		return m.Group()
	}
	const size = 20
	all := slices.Clone(is.History)
	slices.SortStableFunc(all, func(a, b control.ConsentEntry) int { return b.Number - a.Number })
	from, to := say.Cut(page, size, len(all))
	var body []m.Item
	for _, h := range all[from:to] {
		var levels []string
		for _, d := range h.Levels {
			levels = append(levels, say.CategoryName(d.Category)+": "+string(d.Level))
		}
		if len(levels) == 0 {
			levels = []string{"nothing"}
		}
		if h.Paused {
			levels = append(levels, "paused")
		}
		body = append(body, m.El("tr", m.El("td", m.Class("num"), m.Text(strconv.Itoa(h.Number))), m.El("td", m.Class("nowrap"), say.Moment(h.At)), m.El("td", m.Text(strings.Join(levels, " · "))),
			m.El("td", m.Text(h.By), m.When(h.Ticket != "", m.El("span", m.Class("note"), m.Text(" "+h.Ticket)))), m.El("td", m.El("code", m.Class("note"), m.Attr("title", h.Hash.String()), m.Text(h.Hash.String()[:12])))))
	}
	return say.Card("All decisions", m.El("span", m.Class("note"), m.Text("each signed by the agent and on the ledger")),
		say.Stack(m.El("table", m.El("thead", m.El("tr", say.ThNum("No"), say.Th("When"), say.Th("Decided"), say.Th("By"), say.Th("Statement"))), m.El("tbody", body...))), say.Pages(m.At("/consent"), "p", page, size, len(all)))
}

// pending is a catalog that asks for more than was accepted.
func (c *Console) pending(q *request, cat control.Catalog, is control.Consent, s *samples) m.Node {
	if !q.status.Request || cat.Accepted == 0 {
		return m.Group()
	}
	var changes []m.Item
	fresh := map[string]bool{}
	for _, ch := range cat.Changes {
		fresh[ch.Measure] = true
		changes = append(changes, m.El("li", m.Text(say.Sentence(ch.Text))))
	}
	var ms []control.Measure
	for _, x := range cat.Measures {
		if fresh[x.ID] {
			ms = append(ms, x)
		}
	}
	standing := say.State("warn", "waits for you")
	r := c.rejected()
	no := r.Catalog == cat.Hash.String()
	if no {
		standing = say.State("unknown", "you said no")
	}
	field := func(name, label string, required bool) m.Node {
		return m.Group(m.El("label", m.Attr("for", "request-"+name), m.Text(label)),
			m.El("input", m.Attr("id", "request-"+name), m.Attr("name", name), m.Attr("type", "text"), m.Attr("maxlength", "200"), m.Flag("required", required), m.Attr("autocomplete", "off")))
	}
	return say.Card("The vendor asks for more", standing,
		m.El("p", m.Textf("You accepted version % of the catalog; version % is different. Nothing of what is new leaves until you accept.", strconv.Itoa(cat.Accepted), strconv.Itoa(cat.Version))),
		m.El("ul", changes...),
		m.When(len(ms) > 0, m.El("details", m.Flag("open", !no), m.El("summary", m.Text("What would be sent of it, from your own data")), s.table(ms))),
		m.When(no, m.El("p", m.Class("note"), m.Text("You rejected it on "), say.Moment(r.At), m.Textf(" (%). It stays at this site.", r.By))),
		q.form(m.At("/consent/accept"), m.Class("inline"), hiddenField("catalog", cat.Hash.String()), field("by", "Decided by", true), field("ticket", "Ticket", false),
			m.El("button", m.Class("main"), m.Attr("type", "submit"), m.Text("Accept")),
			m.When(!no, m.El("button", m.Attr("type", "submit"), m.SubmitTo(m.At("/consent/reject")), m.Text("Reject")))))
}

// rejection is the customer's no to a catalog.
type rejection struct {
	Catalog string    `json:"catalog"` // hash
	Name    string    `json:"name"`    // "forge 3"
	By      string    `json:"by"`
	At      time.Time `json:"at"`
}

const rejectedFile = "rejected.json"

// rejected is the newest rejection; an empty one where there is none or it cannot be read: then
// the request is shown as waiting, which is the safe mistake.
func (c *Console) rejected() (r rejection) {
	b, err := durable.ReadFile(durable.OS(), filepath.Join(door.Room(c.cfg.Dir), rejectedFile), 4096)
	if err == nil {
		_ = json.Unmarshal(b, &r)
	}
	return r
}

func (c *Console) rejectedIs(name string) bool { return c.rejected().Name == name }
