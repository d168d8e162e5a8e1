package console

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	m "github.com/fieldpost/fieldpost/agent/console/markup"
	"github.com/fieldpost/fieldpost/agent/console/say"

	"github.com/fieldpost/fieldpost/agent/console/chart"
	"github.com/fieldpost/fieldpost/agent/console/door"
	"github.com/fieldpost/fieldpost/agent/control"
)

// patience is how long a page waits for figures; what is not there by then comes with the next
// load, which the page asks for by itself. It leaves 90 ms of the 200 for the rest.
const patience = 110 * time.Millisecond

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

// session is a browser that is logged in, with what it must be told once.
type session struct {
	*door.Session
	desk *desk
}

func (s *session) tell(n notice) { s.desk.put(s.Session, &n) }
func (s *session) told() *notice { return s.desk.take(s.Session) }

// desk keeps what each session is to be told on its next page.
type desk struct {
	mu  sync.Mutex // guards all
	all map[*door.Session]*notice
}

func (d *desk) put(s *door.Session, n *notice) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.all) > 64 || d.all == nil { // sessions that ended before they were told
		d.all = map[*door.Session]*notice{}
	}
	d.all[s] = n
}

func (d *desk) take(s *door.Session) *notice {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.all[s]
	delete(d.all, s)
	return n
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
		return notice{bad: true, text: say.Sentence(e.Message), hint: e.Hint, code: e.Code}
	}
	return notice{bad: true, text: say.Sentence(err.Error()), hint: "fieldpost-agent status", code: "internal"}
}

// message shows a notice.
func message(n *notice) m.Node {
	if n == nil {
		return nil
	}
	if !n.bad {
		return m.El("div", m.Class("notice", "good"), m.Attr("role", "status"), m.El("p", say.State("good", n.text)))
	}
	return m.El("div", m.Class("notice", "bad"), m.Attr("role", "alert"),
		m.El("p", say.State("bad", n.text)),
		m.When(n.hint != "", m.El("p", m.Text("Try: "), m.El("code", m.Text(n.hint)))),
		m.El("p", m.Class("note"), m.Text("Code: "), m.El("code", m.Text(n.code))))
}

// show writes a page with the menu around it.
func (c *Console) show(q *request, v *view) {
	if v.to != (m.URL{}) {
		http.Redirect(q.w, q.Request, v.to.String(), http.StatusSeeOther)
		return
	}
	var told *notice
	if q.Header.Get(door.RefreshHeader) == "" {
		told = q.session.told()
	}
	main := m.Group(
		m.El("header", m.Class("page"), m.El("h1", m.Text(v.title)), m.When(v.sub != nil, m.El("span", m.Class("sub"), say.OrNothing(v.sub)))),
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

// standing are the conditions under which every page must be read.
func (c *Console) standing(q *request) m.Node {
	return m.Group(
		m.When(q.status.Simulated, m.El("div", m.Class("notice"), m.El("p", m.Text("Simulated: recorded events on a virtual clock, which shows "), say.Moment(q.status.Now), m.Text(".")))),
		m.When(q.status.Paused, m.El("div", m.Class("notice"), m.El("p", say.State("warn", "Paused: nothing is sent but check-ins."), m.Text(" "), m.El("a", m.Href(m.At("/consent")), m.Text("Resume on the page Consent"))))))
}

// menu is the way between the pages.
func (c *Console) menu(q *request, here string) m.Node {
	entry := func(u m.URL, path, name, count string) m.Node {
		return m.El("a", m.Href(u), say.Current(path == here), m.El("span", m.Text(name)), m.El("span", m.Class("n"), m.Text(count)))
	}
	warnings, waiting, left, request := "", "", "", ""
	if n := len(q.status.Warnings); n > 0 {
		warnings = say.Plural(n, "warning", "warnings")
	}
	if n := q.status.Delivery.Waiting; n > 0 {
		waiting = say.Whole(uint64(n))
	}
	if n := q.status.Delivery.Frozen; n > 0 {
		left = say.Whole(n)
	}
	if q.status.Request && !c.rejectedIs(q.status.Catalog) {
		request = "1 request"
	}
	return m.El("nav", m.Class("side"), m.Attr("aria-label", "Main"),
		m.El("p", m.Class("brand"), say.Letter(), m.El("span", m.Text("Fieldpost agent"))),
		m.El("div", m.Class("entries"),
			entry(m.At("/"), "/", "Health", warnings),
			entry(m.At("/use"), "/use", "Our use", ""),
			entry(m.At("/leaves"), "/leaves", "What leaves", waiting),
			entry(m.At("/left"), "/left", "What left", left),
			entry(m.At("/consent"), "/consent", "Consent", request)))
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
	all := []m.Item{m.Attr("method", "post"), m.Action(to), m.El("input", m.Attr("type", "hidden"), m.Attr("name", csrfField), m.Attr("value", q.session.Token))}
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
	write(w, code, title, m.El("main", m.Class("door"), m.El("p", m.Class("brand"), say.Letter(), m.El("span", m.Text("Fieldpost agent"))),
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
