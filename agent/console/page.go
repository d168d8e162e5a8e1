package console

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	m "github.com/fieldpost/fieldpost/agent/console/markup"

	"github.com/fieldpost/fieldpost/agent/console/chart"
	"github.com/fieldpost/fieldpost/agent/control"
)

// request is one request with what every page needs.
type request struct {
	*http.Request
	w        http.ResponseWriter
	session  *session
	status   control.Status
	deadline time.Time // until when the page may wait for figures
}

func (q *request) ctx() context.Context { return q.Context() }

// number is a whole number of the address, at least 1.
func (q *request) number(key string) int {
	n, err := strconv.Atoi(q.URL.Query().Get(key))
	if err != nil || n < 1 {
		return 1
	}
	return min(n, 1_000_000)
}

// view is what a handler shows, or where it sends the browser.
type view struct {
	here  string // the path of its entry in the menu
	title string
	sub   m.Node
	body  m.Node
	live  bool // renews itself
	later bool // some figures were not there in time
	code  int  // default 200
	to    m.URL
}

// notice is a message about what was just done.
type notice struct {
	bad  bool
	text string
	hint string
	code string
}

// answer runs a handler and writes its page.
func (c *Console) answer(w http.ResponseWriter, r *http.Request, s *session, next func(*request) (*view, error)) {
	q := &request{Request: r, w: w, session: s, deadline: time.Now().Add(patience)}
	var err error
	if q.status, err = c.cfg.Site.Status(r.Context()); err == nil {
		var v *view
		if v, err = next(q); err == nil {
			c.show(q, v)
			return
		}
	}
	if r.Context().Err() != nil {
		return // nobody is there any more
	}
	n := problem(err)
	if r.Method == http.MethodPost && q.status.Version != "" {
		s.tell(n)
		http.Redirect(w, r, back(r), http.StatusSeeOther)
		return
	}
	if n.code == "internal" {
		c.log.Warn("page not made", "path", r.URL.Path, "error", err)
	}
	code := http.StatusInternalServerError
	var e *control.Error
	if errors.As(err, &e) {
		code = http.StatusConflict
		if e.Code == "no_such_page" || e.Code == "measure_unknown" {
			code = http.StatusNotFound
		}
	}
	c.show(q, &view{here: r.URL.Path, title: "This page could not be made", body: message(&n), code: code})
}

// back is the page whose form was sent.
func back(r *http.Request) string {
	switch r.URL.Path {
	case "/send":
		return "/leaves"
	case "/left/verify":
		return "/left"
	case "/pause":
		if u, err := url.Parse(r.Referer()); err == nil && u.Path == "/" {
			return "/"
		}
	}
	return "/consent"
}

func problem(err error) notice {
	var e *control.Error
	if errors.As(err, &e) {
		return notice{bad: true, text: sentence(e.Message), hint: e.Hint, code: e.Code}
	}
	return notice{bad: true, text: sentence(err.Error()), hint: "fieldpost-agent status", code: "internal"}
}

// message shows a notice.
func message(n *notice) m.Node {
	if n == nil {
		return nil
	}
	if !n.bad {
		return m.El("div", m.Class("notice", "good"), m.Attr("role", "status"), m.El("p", state("good", n.text)))
	}
	return m.El("div", m.Class("notice", "bad"), m.Attr("role", "alert"),
		m.El("p", state("bad", n.text)),
		m.When(n.hint != "", m.El("p", m.Text("Try: "), m.El("code", m.Text(n.hint)))),
		m.El("p", m.Class("note"), m.Text("Code: "), m.El("code", m.Text(n.code))))
}

// state is a condition: colour, shape and word.
func state(kind string, word string) m.Node {
	class := m.Class("st", "unknown")
	switch kind {
	case "good":
		class = m.Class("st", "good")
	case "warn":
		class = m.Class("st", "warn")
	case "bad":
		class = m.Class("st", "bad")
	}
	return m.El("span", class, m.El("i", m.Attr("aria-hidden", "true")), m.El("span", m.Text(word)))
}

// show writes a page with the menu around it.
func (c *Console) show(q *request, v *view) {
	if v.to != (m.URL{}) {
		http.Redirect(q.w, q.Request, v.to.String(), http.StatusSeeOther)
		return
	}
	var told *notice
	if q.Header.Get(refreshHeader) == "" {
		told = q.session.told()
	}
	main := m.Group(
		m.El("header", m.Class("page"), m.El("h1", m.Text(v.title)), m.When(v.sub != nil, m.El("span", m.Class("sub"), orNothing(v.sub)))),
		message(told),
		c.standing(q),
		v.body)
	attrs := []m.Item{m.Attr("id", "main"), m.Attr("tabindex", "-1")}
	if v.live {
		attrs = append(attrs, m.Attr("data-live", "15"))
	}
	if v.later {
		attrs = append(attrs, m.Attr("data-later", "1"))
	}
	body := m.Group(
		m.El("a", m.Class("skip"), m.Anchor("main"), m.Text("Skip to the page")),
		chart.Defs(),
		m.El("div", m.Class("shell"), c.menu(q, v.here), m.El("main", append(attrs, main, c.foot(q))...)))
	write(q.w, max(v.code, http.StatusOK), v.title, body, v.later)
}

func orNothing(n m.Node) m.Node {
	if n == nil {
		return m.Group()
	}
	return n
}

// standing are the conditions under which every page must be read.
func (c *Console) standing(q *request) m.Node {
	return m.Group(
		m.When(q.status.Simulated, m.El("div", m.Class("notice"), m.El("p", m.Text("Simulated: recorded events on a virtual clock, which shows "), moment(q.status.Now), m.Text(".")))),
		m.When(q.status.Paused, m.El("div", m.Class("notice"), m.El("p", state("warn", "Paused: nothing is sent but check-ins."), m.Text(" "), m.El("a", m.Href(m.At("/consent")), m.Text("Resume on the page Consent"))))))
}

// menu is the way between the pages.
func (c *Console) menu(q *request, here string) m.Node {
	entry := func(u m.URL, path, name, count string) m.Node {
		return m.El("a", m.Href(u), current(path == here), m.El("span", m.Text(name)), m.El("span", m.Class("n"), m.Text(count)))
	}
	warnings, waiting, left, request := "", "", "", ""
	if n := len(q.status.Warnings); n > 0 {
		warnings = plural(n, "warning", "warnings")
	}
	if n := q.status.Delivery.Waiting; n > 0 {
		waiting = whole(uint64(n))
	}
	if n := q.status.Delivery.Frozen; n > 0 {
		left = whole(n)
	}
	if q.status.Request && !c.rejectedIs(q.status.Catalog) {
		request = "1 request"
	}
	return m.El("nav", m.Class("side"), m.Attr("aria-label", "Main"),
		m.El("p", m.Class("brand"), letter(), m.El("span", m.Text("Fieldpost agent"))),
		m.El("div", m.Class("entries"),
			entry(m.At("/"), "/", "Health", warnings),
			entry(m.At("/use"), "/use", "Our use", ""),
			entry(m.At("/leaves"), "/leaves", "What leaves", waiting),
			entry(m.At("/left"), "/left", "What left", left),
			entry(m.At("/consent"), "/consent", "Consent", request)))
}

func current(is bool) m.Attribute {
	if !is {
		return m.Attribute{}
	}
	return m.Attr("aria-current", "page")
}

func letter() m.Node {
	return m.El("svg", m.Class("mark"), m.Attr("viewBox", "0 0 16 16"), m.Num("width", 16), m.Num("height", 16), m.Attr("aria-hidden", "true"), m.Attr("focusable", "false"),
		m.El("path", m.Attr("d", "M1 3h14v10H1z M1 3l7 6 7-6")))
}

func (c *Console) foot(q *request) m.Node {
	s := q.status
	who := "not enrolled"
	if s.Collector != "" {
		who = s.Installation + " of " + s.Account + " (" + s.Environment + ")"
	}
	return m.El("footer", m.Class("foot"),
		m.El("span", m.Textf("Fieldpost agent % · %", s.Version, who)),
		q.form(m.At("/logout"), m.El("button", m.Class("quiet"), m.Attr("type", "submit"), m.Text("Log out"))))
}

// form is a form with the session's token.
func (q *request) form(to m.URL, items ...m.Item) m.Node {
	all := []m.Item{m.Attr("method", "post"), m.Action(to), m.El("input", m.Attr("type", "hidden"), m.Attr("name", csrfField), m.Attr("value", q.session.csrf))}
	return m.El("form", append(all, items...)...)
}

// write writes a document.
func write(w http.ResponseWriter, code int, title string, body m.Node, later bool) {
	head := m.Group(
		m.Stylesheet(m.At("/style.css").With("v", version(styleSheet))),
		m.Icon(m.At("/icon.svg").With("v", version(icon))),
		m.Script(m.At("/console.js").With("v", version(script))),
		m.When(later, m.Reload(2)))
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(code)
	w.Write(m.Document(title+" · Fieldpost agent", head, body)) // the browser sees a cut answer
}

// plain is a page without a menu, for those who are not logged in.
func plain(w http.ResponseWriter, code int, title string, items ...m.Node) {
	write(w, code, title, m.El("main", m.Class("door"), m.El("p", m.Class("brand"), letter(), m.El("span", m.Text("Fieldpost agent"))),
		m.El("h1", m.Text(title)), m.Group(items...)), false)
}

// refuse says what happened, what to do, and a code, without a page around it.
func refuse(w http.ResponseWriter, status int, code, what, hint string) {
	plain(w, status, "Refused", m.El("p", m.Text(what)), m.El("p", m.Text("Try: "+hint)), m.El("p", m.Class("note"), m.Text("Code: "), m.El("code", m.Text(code))))
}

// refuseLogin tells how to get in.
func (c *Console) refuseLogin(w http.ResponseWriter, status int, why string) {
	if why == "" {
		why = "The console opens with a one-time link, made on this machine by the user the agent runs as."
	}
	plain(w, status, "Log in", m.El("p", m.Text(why)),
		m.El("p", m.Text("Make a link, then open it within 15 minutes:")), m.El("pre", m.El("code", m.Text("fieldpost-agent console"))),
		m.El("p", m.Class("note"), m.Text("With a state directory of its own: add --state DIR. Code: "), m.El("code", m.Text("login_needed"))))
}

// card is a part of a page.
func card(title string, side m.Node, body ...m.Node) m.Node {
	return m.El("section", m.Class("card"), m.El("header", m.El("h2", m.Text(title)), orNothing(side)), m.Group(body...))
}

// pages links to the other pages of a long list.
func pages(at m.URL, key string, page, size, all int) m.Node {
	last := (all + size - 1) / size
	if last <= 1 {
		return m.Group()
	}
	page = min(max(page, 1), last)
	to := func(n int, word string, there bool) m.Node {
		if !there {
			return m.El("span", m.Class("faint"), m.Text(word))
		}
		u := at
		if key == "p" {
			u = u.With("p", strconv.Itoa(n))
		} else {
			u = u.With("s", strconv.Itoa(n))
		}
		return m.El("a", m.Href(u), m.Text(word))
	}
	return m.El("p", m.Class("pages"),
		to(page-1, "← Newer", page > 1),
		m.El("span", m.Textf("%–% of %", whole(uint64((page-1)*size+1)), whole(uint64(min(page*size, all))), whole(uint64(all)))),
		to(page+1, "Older →", page < last))
}

// cut is the part of n items that is on a page, as indexes.
func cut(page, size, n int) (from, to int) {
	from = min((page-1)*size, n)
	return from, min(from+size, n)
}
