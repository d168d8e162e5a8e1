package console

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fieldpost/fieldpost/agent/console/door"
	m "github.com/fieldpost/fieldpost/agent/console/markup"
	"github.com/fieldpost/fieldpost/agent/console/say"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/protocol/durable"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// ruling is a decision as the form has it, compared with what is in force.
type ruling struct {
	decision control.Decision
	changes  []change
	catalog  string // hash of the catalog the form showed
	is       control.Consent
}

// change is one category that becomes another.
type change struct {
	category string
	from, to exchange.Level
}

func (c change) widens() bool { return !c.from.AtLeast(c.to) }

func wrong(message, hint string) error {
	return &control.Error{Code: "form_invalid", Message: message, Hint: hint, Exit: 2}
}

// who reads the fields of who decides.
func who(q *request) (control.Decision, error) {
	field := func(name string) string { return strings.TrimSpace(q.PostForm.Get(name)) }
	d := control.Decision{By: field("by"), Ticket: field("ticket"), Counter: field("counter")}
	for _, s := range []string{d.By, d.Ticket, d.Counter} {
		if len(s) > 200 {
			return d, wrong("a name or ticket is longer than 200 letters", "a shorter one")
		}
	}
	if d.By == "" {
		return d, wrong("a decision needs somebody who makes it", "fill in Decided by")
	}
	if s := field("people"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 || n > 1_000_000 {
			return d, wrong("the number of people is not a whole number up to 1,000,000", "a number, or nothing")
		}
		d.People = n
	}
	if s := field("from"); s != "" {
		t, err := time.Parse(time.DateOnly, s)
		if err != nil {
			return d, wrong("the day is not written as YYYY-MM-DD", "a day such as 2026-11-01, or nothing")
		}
		if t.After(q.status.Now) {
			return d, wrong("the day lies in the future", "today or earlier, or nothing")
		}
		d.From = &t
	}
	return d, nil
}

// ruling reads the form. Only what changes is decided anew: what stays keeps its beginning.
func (c *Console) ruling(q *request) (ruling, control.Catalog, error) {
	is, err := c.cfg.Site.Consent(q.ctx())
	if err != nil {
		return ruling{}, control.Catalog{}, err
	}
	cat, err := c.cfg.Site.Catalog(q.ctx())
	if err != nil {
		return ruling{}, cat, err
	}
	d, err := who(q)
	if err != nil {
		return ruling{}, cat, err
	}
	r := ruling{decision: d, catalog: cat.Hash.String(), is: is}
	r.decision.Levels = map[string]exchange.Level{}
	for _, name := range categoriesOf(cat, c.books.of(cat)) {
		to := exchange.Level(q.PostForm.Get("level." + name))
		if to == "" {
			continue
		}
		if levels := exchange.LevelsOf(name); !slices.Contains(levels, to) {
			return r, cat, wrong("there is no level "+strconv.Quote(string(to))+" of "+name, "one of "+strings.Trim(fmt.Sprint(levels), "[]"))
		}
		if from := levelOf(is, name); from != to {
			r.decision.Levels[name] = to
			r.changes = append(r.changes, change{name, from, to})
		}
	}
	if r.decision.People == is.People {
		r.decision.People = 0 // stays as it is
	}
	if len(r.changes) == 0 && r.decision.People == 0 {
		return r, cat, wrong("nothing would change", "choose another level, or another number of people")
	}
	// The first decision is about the catalog this page showed; later ones leave the accepted
	// catalog as it is: more is accepted by its own button.
	r.decision.Accept = cat.Accepted == 0
	return r, cat, nil
}

// review shows what a decision would do, before it is made.
func (c *Console) review(q *request) (*view, error) {
	r, cat, err := c.ruling(q)
	if err != nil {
		return nil, err
	}
	s := c.samples(q, cat, r.is)
	hidden := []m.Item{m.El("input", m.Attr("type", "hidden"), m.Attr("name", "catalog"), m.Attr("value", r.catalog))}
	keep := func(name, value string) {
		if value != "" {
			hidden = append(hidden, hiddenField(name, value))
		}
	}
	keep("by", r.decision.By)
	keep("ticket", r.decision.Ticket)
	keep("counter", r.decision.Counter)
	if r.decision.People > 0 {
		keep("people", strconv.Itoa(r.decision.People))
	}
	from := "from now on"
	if r.decision.From != nil {
		keep("from", r.decision.From.Format(time.DateOnly))
		from = "from " + r.decision.From.Format("2 Jan 2006") + " on"
	}
	var body []m.Item
	var cards []m.Node
	for _, ch := range r.changes {
		keep("level."+ch.category, string(ch.to))
		ms := measuresOf(ch.category, cat, s.book)
		body = append(body, m.El("tr", m.El("td", m.Text(say.CategoryName(ch.category))), m.El("td", m.Text(string(ch.from))), m.El("td", m.El("b", m.Text(string(ch.to)))), m.El("td", m.Class("note"), m.Text(meaning(ch.category, ch.to, anyPeople(ms))))))
		if ch.to.Leaves() {
			cards = append(cards, say.Card(say.CategoryName(ch.category)+": what would be sent", nil, s.tableOf(ch.category, ms)))
		}
	}
	if r.decision.People > 0 {
		body = append(body, m.El("tr", m.El("td", m.Text("People at this site")), m.El("td"), m.El("td", m.El("b", m.Text(strconv.Itoa(r.decision.People)))), m.El("td", m.Class("note"), m.Text("Ranges depend on it, from the next 12 weeks on."))))
	}
	hidden = append(hidden, m.El("button", m.Class("main"), m.Attr("type", "submit"), m.Text("Decide")), m.El("a", m.Class("button"), m.Href(m.At("/consent")), m.Text("Back")))
	v := &view{here: "/consent", title: "Review the decision", sub: m.Text("nothing is decided yet")}
	v.body = m.Group(
		say.Card("What would change", m.El("span", m.Class("note"), m.Text(from)),
			say.Stack(m.El("table", m.El("thead", m.El("tr", say.Th("Category"), say.Th("Now"), say.Th("Then"), say.Th("What it means"))), m.El("tbody", body...))),
			m.El("p", m.Class("note"), m.Textf("By %%% · dated, signed by this agent and written on the ledger; the vendor sees the levels and the date, not the names.",
				r.decision.By, prefixed(", ticket ", r.decision.Ticket), prefixed(", countersigned by ", r.decision.Counter))),
			q.form(m.At("/consent/decide"), append(hidden, m.Class("bar"))...)),
		m.Group(cards...))
	return v, nil
}

func hiddenField(name, value string) m.Node {
	return m.El("input", m.Attr("type", "hidden"), m.Attr("name", name), m.Attr("value", value))
}

func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}

// same refuses a form that was about another catalog than the one now in force.
func same(q *request, hash string) error {
	if q.PostForm.Get("catalog") != hash {
		return &control.Error{Code: "catalog_changed", Message: "the catalog changed while you were reading", Hint: "read what it asks for now, and decide again"}
	}
	return nil
}

// decide makes the decision that was reviewed.
func (c *Console) decide(q *request) (*view, error) {
	r, _, err := c.ruling(q)
	if err != nil {
		return nil, err
	}
	if err := same(q, r.catalog); err != nil {
		return nil, err
	}
	return c.decided(q, r.decision, "Decided. It is in force now.")
}

// accept accepts the catalog that asks for more.
func (c *Console) accept(q *request) (*view, error) {
	cat, err := c.cfg.Site.Catalog(q.ctx())
	if err != nil {
		return nil, err
	}
	if err := same(q, cat.Hash.String()); err != nil {
		return nil, err
	}
	d, err := who(q)
	if err != nil {
		return nil, err
	}
	d.Accept = true
	return c.decided(q, d, fmt.Sprintf("Accepted version %d of the catalog. Windows that begin from now on may leave.", cat.Version))
}

// reject says no to the catalog that asks for more: a decision that changes nothing, so that it is
// dated, signed and on the ledger, and a note here that the request need not be shown as waiting.
func (c *Console) reject(q *request) (*view, error) {
	cat, err := c.cfg.Site.Catalog(q.ctx())
	if err != nil {
		return nil, err
	}
	if err := same(q, cat.Hash.String()); err != nil {
		return nil, err
	}
	d, err := who(q)
	if err != nil {
		return nil, err
	}
	v, err := c.decided(q, d, fmt.Sprintf("Rejected version %d of the catalog. What it asks for in addition stays at this site.", cat.Version))
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(rejection{Catalog: cat.Hash.String(), Name: q.status.Catalog, By: d.By, At: q.status.Now})
	if err != nil {
		return nil, fmt.Errorf("writing a rejection: %w", err)
	}
	if err := durable.WriteFile(durable.OS(), filepath.Join(door.Room(c.cfg.Dir), rejectedFile), b, 0o600); err != nil {
		return nil, fmt.Errorf("writing a rejection: %w", err)
	}
	return v, nil
}

// pause stops or resumes sending. It needs no name: stopping must be quick.
func (c *Console) pause(q *request) (*view, error) {
	on := q.PostForm.Get("pause") == "1"
	text := "Sending is resumed."
	if on {
		text = "Paused. Nothing is sent but check-ins."
	}
	return c.decided(q, control.Decision{Pause: &on, By: "console"}, text)
}

func (c *Console) decided(q *request, d control.Decision, text string) (*view, error) {
	if _, err := c.cfg.Site.Decide(q.ctx(), d); err != nil {
		return nil, err
	}
	c.asker.Forget()
	q.session.tell(notice{text: text})
	return &view{to: m.At("/consent")}, nil
}
