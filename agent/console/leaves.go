package console

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	m "github.com/fieldpost/fieldpost/agent/console/markup"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/protocol/report"
)

const rowsPerPage = 50

// leaves is exactly what would leave now, to whom and when, and what would not, and why.
func (c *Console) leaves(q *request) (*view, error) {
	p, err := c.cfg.Site.Preview(q.ctx())
	if err != nil {
		return nil, err
	}
	only := q.URL.Query().Get("measure")
	leaving := linesOf(p.Leaves, only)
	staying := linesOf(p.Stays, only)
	at := m.At("/leaves").With("measure", only)
	v := &view{here: "/leaves", title: "What would leave next", sub: leavesSub(q, p)}
	v.body = m.Group(
		c.leavesNow(q, p),
		m.When(only != "", m.El("p", m.Textf("Only %. ", only), m.El("a", m.Href(m.At("/leaves")), m.Text("Show all")))),
		m.When(only == "" && len(p.Leaves) > 0, summary(p.Leaves)),
		listCard("Every figure that leaves", "as the vendor will see it", "purpose", leaving, q.number("p"), at, "p", "Nothing waits to be sent."),
		listCard("What stays here, and why", "figures of the newest closed windows", "why", staying, q.number("s"), at, "s", "No figure of a newest window stays here."))
	return v, nil
}

func leavesSub(q *request, p control.Preview) m.Node {
	if p.Blocked != "" {
		return m.Text("nothing leaves now")
	}
	when := m.Node(m.Text("no time is set"))
	if !p.Next.IsZero() && p.Next.Unix() > 0 {
		when = moment(p.Next)
	}
	return m.Group(when, m.Textf(" · % · % · to ", plural(len(p.Leaves), "figure", "figures"), bytes(int64(p.Bytes))), m.El("span", m.Class("break"), m.Text(p.To)))
}

// leavesNow says whether anything leaves, and lets the owner send at once.
func (c *Console) leavesNow(q *request, p control.Preview) m.Node {
	if p.Blocked != "" {
		return m.El("div", m.Class("notice"), m.El("p", state("warn", "Nothing leaves now: "+strings.TrimSuffix(p.Blocked, ".")+".")),
			m.When(q.status.Collector == "", m.El("p", m.Class("note"), m.Text("Try: "), m.El("code", m.Text("fieldpost-agent enroll --token-file FILE")))))
	}
	return m.El("div", m.Class("bar"), q.form(m.At("/send"), m.El("button", m.Attr("type", "submit"), m.Text("Send now"))),
		m.El("span", m.Class("note"), m.Text("Checks in and sends what waits, without waiting for the time above. Nothing else leaves: an agent id, a version and your consent statement go with it.")))
}

func linesOf(ls []control.Line, only string) []row {
	if only != "" {
		var few []control.Line
		for _, l := range ls {
			if l.Measure == only {
				few = append(few, l)
			}
		}
		ls = few
	}
	return rows(ls, func(l control.Line) (report.Figure, string, string, string) {
		return l.Figure, l.Category, l.Purpose, l.Why
	})
}

// summary is what leaves by measure: how much, of which windows, and what for.
func summary(ls []control.Line) m.Node {
	type sum struct {
		id, category, purpose, grain string
		first, last                  row
		figures                      []report.Figure
	}
	index := map[string]*sum{}
	var all []*sum
	for _, l := range ls {
		k := l.Measure + "\x00" + l.Grain.String()
		s := index[k]
		r := row{grain: l.Grain, start: l.Start}
		if s == nil {
			s = &sum{id: l.Measure, category: l.Category, purpose: l.Purpose, grain: l.Grain.String(), first: r, last: r}
			index[k] = s
			all = append(all, s)
		}
		if r.when() < s.first.when() {
			s.first = r
		}
		if r.when() > s.last.when() {
			s.last = r
		}
		s.figures = append(s.figures, l.Figure)
	}
	slices.SortStableFunc(all, func(a, b *sum) int { return cmp.Or(cmp.Compare(a.category, b.category), cmp.Compare(a.id, b.id)) })
	body := make([]m.Item, 0, len(all))
	for _, s := range all {
		from := window(s.first.grain, s.first.start)
		if s.first.start != s.last.start {
			from = m.Group(from, m.Text(" to "), window(s.last.grain, s.last.start))
		}
		body = append(body, m.El("tr",
			m.El("td", m.El("a", m.Href(m.At("/leaves").With("measure", s.id)), m.Text(s.id)), m.El("div", m.Class("note"), m.Text(categoryName(s.category)))),
			m.El("td", m.Class("note"), m.Text(s.purpose)),
			m.El("td", m.Text(each(s.grain)), m.El("div", m.Class("note"), from)),
			m.El("td", m.Text(tally(s.figures)))))
	}
	return card("By measure", m.El("span", m.Class("note"), m.Text(plural(len(ls), "figure", "figures"))),
		wide(m.El("table", m.El("thead", m.El("tr", th("Measure"), th("Why the vendor asks"), th("Windows"), th("Figures"))), m.El("tbody", body...))))
}

// listCard is one page of rows.
func listCard(title, note, last string, rs []row, page int, at m.URL, key, empty string) m.Node {
	if len(rs) == 0 {
		return card(title, nil, m.El("p", m.Class("note"), m.Text(empty)))
	}
	from, to := cut(page, rowsPerPage, len(rs))
	if from == to {
		from, to = cut(1, rowsPerPage, len(rs))
		page = 1
	}
	return card(title, m.El("span", m.Class("note"), m.Text(note)), figureTable(rs[from:to], last), pages(at, key, page, rowsPerPage, len(rs)))
}

// send checks in and sends what waits.
func (c *Console) send(q *request) (*view, error) {
	s, err := c.cfg.Site.Send(q.ctx())
	if err != nil {
		return nil, err
	}
	text := "Checked in. Nothing waited to be sent."
	if s.Batches > 0 {
		text = "Sent " + plural(s.Batches, "batch", "batches") + " with " + plural(s.Cells, "figure", "figures") + ", " + bytes(int64(s.Bytes)) + "."
	}
	if s.Left > 0 {
		text += " " + strconv.Itoa(s.Left) + " more wait."
	}
	q.session.tell(notice{text: text})
	return &view{to: m.At("/leaves")}, nil
}
