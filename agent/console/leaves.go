package console

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	m "github.com/fieldpost/fieldpost/agent/console/markup"
	"github.com/fieldpost/fieldpost/agent/console/say"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/protocol/report"
)

const rowsPerPage = 30

// leaves is exactly what would leave now, to whom and when, and what would not, and why.
func (c *Console) leaves(q *request) (*view, error) {
	p, err := c.cfg.Site.Preview(q.ctx())
	if err != nil {
		return nil, err
	}
	only := q.URL.Query().Get("measure")
	leaving := linesOf(p.Leaves, only)
	at := m.At("/leaves").With("measure", only)
	last := "" // the summary above says why the vendor asks
	if only != "" {
		last = "purpose"
	}
	v := &view{here: "/leaves", title: "What would leave next", sub: leavesSub(q, p)}
	v.body = m.Group(
		c.leavesNow(q, p),
		m.When(only != "", m.El("p", m.Textf("Only %. ", only), m.El("a", m.Href(m.At("/leaves")), m.Text("Show all")))),
		m.When(only == "" && len(p.Leaves) > 0, summary(p.Leaves)),
		listCard("Every figure that leaves", "as the vendor will see it", last, leaving, q.number("p"), at, "p", "Nothing waits to be sent."),
		staying(p.Stays, only, q.number("s"), at),
		m.When(only == "", concluded()))
	return v, nil
}

func leavesSub(q *request, p control.Preview) m.Node {
	if p.Blocked != "" {
		return m.Text("nothing leaves now")
	}
	when := m.Node(m.Text("no time is set"))
	if !p.Next.IsZero() && p.Next.Unix() > 0 {
		when = say.Moment(p.Next)
	}
	return m.Group(when, m.Textf(" · % · % · to ", say.Plural(len(p.Leaves), "figure", "figures"), say.Bytes(int64(p.Bytes))), m.El("span", m.Class("break"), m.Text(p.To)))
}

// leavesNow says whether anything leaves, and lets the owner send at once.
func (c *Console) leavesNow(q *request, p control.Preview) m.Node {
	if p.Blocked != "" {
		return m.El("div", m.Class("notice"), m.El("p", say.State("warn", "Nothing leaves now: "+strings.TrimSuffix(p.Blocked, ".")+".")),
			m.When(q.status.Collector == "", m.El("p", m.Class("note"), m.Text("Try: "), m.El("code", m.Text("fieldpost-agent enroll --token-file FILE")))))
	}
	return m.El("div", m.Class("bar"), q.form(m.At("/send"), m.El("button", m.Attr("type", "submit"), m.Text("Send now"))),
		m.El("span", m.Class("note"), m.Text("Checks in and sends what waits, without waiting for the time above. With it go the agent's id, its version and your consent statement; nothing else.")))
}

func linesOf(ls []control.Line, only string) []say.Row {
	if only != "" {
		var few []control.Line
		for _, l := range ls {
			if l.Measure == only {
				few = append(few, l)
			}
		}
		ls = few
	}
	return say.Rows(ls, func(l control.Line) (report.Figure, string, string, string) {
		return l.Figure, l.Category, l.Purpose, l.Explain
	})
}

// sum is what the lines of one measure, breakdown value, grain and reason have in common.
type sum struct {
	control.Line
	first, last say.Row
	figures     []report.Figure
	explains    []string // each once
}

// windows says which windows a sum covers.
func (s *sum) windows() m.Node {
	from := say.Window(s.first.Grain, s.first.Start)
	if s.first.Start != s.last.Start {
		from = m.Group(from, m.Text(" to "), say.Window(s.last.Grain, s.last.Start))
	}
	return from
}

// mostExplains bounds a page: windows of one measure seldom differ in more ways.
const mostExplains = 6

// explained opens to what the reason followed from.
func explained(all []string) m.Node {
	if len(all) == 0 {
		return m.Group()
	}
	items := []m.Item{m.Class("why"), m.El("summary", m.Text("how that follows"))}
	for _, e := range all {
		items = append(items, m.El("p", m.Text(say.Sentence(e))))
	}
	return m.El("details", items...)
}

// concluded says how to see what all that ever left gives away.
func concluded() m.Node {
	return say.Card("What could be concluded", nil,
		m.El("p", m.Text("From everything that ever left, the command below bounds every count of people: cells, totals, complements and differences. It prints the narrowest interval ever disclosed, what noise has spent, and fails if a count is known more narrowly than the principle allows.")),
		m.El("p", m.El("code", m.Text("fieldpost-agent audit"))),
		m.El("p", m.Class("note"), m.Text("Only on the command line: it looks through the whole record, and whoever runs it needs no more than the state. Why each waiting figure has its form: "), m.El("code", m.Text("fieldpost-agent preview --explain")), m.Text(", or “why this form” beside it here.")))
}

// sums joins lines that have the key in common, by category and measure.
func sums(ls []control.Line, key func(control.Line) string) []*sum {
	index := map[string]*sum{}
	var all []*sum
	for _, l := range ls {
		k := l.Measure + "\x00" + l.Grain.String() + "\x00" + key(l)
		s := index[k]
		r := say.Row{Grain: l.Grain, Start: l.Start}
		if s == nil {
			s = &sum{Line: l, first: r, last: r}
			index[k] = s
			all = append(all, s)
		}
		if r.When() < s.first.When() {
			s.first = r
		}
		if r.When() > s.last.When() {
			s.last = r
		}
		s.figures = append(s.figures, l.Figure)
		if l.Explain != "" && !slices.Contains(s.explains, l.Explain) && len(s.explains) < mostExplains {
			s.explains = append(s.explains, l.Explain)
		}
	}
	slices.SortStableFunc(all, func(a, b *sum) int {
		return cmp.Or(cmp.Compare(a.Category, b.Category), cmp.Compare(a.Measure, b.Measure))
	})
	return all
}

// summary is what leaves by measure: how much, of which windows, and what for.
func summary(ls []control.Line) m.Node {
	var body []m.Item
	for _, s := range sums(ls, func(control.Line) string { return "" }) {
		body = append(body, m.El("tr",
			m.El("td", m.El("a", m.Href(m.At("/leaves").With("measure", s.Measure)), m.Text(s.Measure)), m.El("div", m.Class("note"), m.Text(say.CategoryName(s.Category)))),
			m.El("td", m.Class("note"), m.Text(s.Purpose)),
			m.El("td", m.Text(say.Each(s.Grain.String())), m.El("div", m.Class("note"), s.windows())),
			m.El("td", m.Text(say.Tally(s.figures)))))
	}
	return say.Card("By measure", m.El("span", m.Class("note"), m.Text(say.Plural(len(ls), "figure", "figures"))),
		say.Stack(m.El("table", m.El("thead", m.El("tr", say.Th("Measure"), say.Th("Why the vendor asks"), say.Th("Windows"), say.Th("Figures"))), m.El("tbody", body...))))
}

// staying is what does not leave, by measure and reason.
func staying(ls []control.Line, only string, page int, at m.URL) m.Node {
	title, note := "What stays here, and why", m.El("span", m.Class("note"), m.Text("of the newest closed windows"))
	if only != "" {
		ls = slices.DeleteFunc(slices.Clone(ls), func(l control.Line) bool { return l.Measure != only })
	}
	all := sums(ls, func(l control.Line) string { return say.DimsText(l.Dims) + "\x00" + l.Why })
	if len(all) == 0 {
		return say.Card(title, nil, m.El("p", m.Class("note"), m.Text("No figure of a newest window stays here.")))
	}
	from, to := say.Cut(page, rowsPerPage, len(all))
	var body []m.Item
	for _, s := range all[from:to] {
		body = append(body, m.El("tr",
			m.El("td", say.Row{Measure: s.Measure, Dims: s.Dims}.Name(), m.El("div", m.Class("note"), m.Text(say.CategoryName(s.Category)))),
			m.El("td", m.Text(say.Plural(len(s.figures), "figure", "figures")+", "+say.Each(s.Grain.String())), m.El("div", m.Class("note"), s.windows())),
			m.El("td", m.Text(say.Sentence(s.Why)), explained(s.explains))))
	}
	return say.Card(title, note, say.Stack(m.El("table", m.El("thead", m.El("tr", say.Th("Measure"), say.Th("Windows"), say.Th("Why it stays"))), m.El("tbody", body...))), say.Pages(at, "s", page, rowsPerPage, len(all)))
}

// listCard is one page of rows.
func listCard(title, note, last string, rs []say.Row, page int, at m.URL, key, empty string) m.Node {
	if len(rs) == 0 {
		return say.Card(title, nil, m.El("p", m.Class("note"), m.Text(empty)))
	}
	from, to := say.Cut(page, rowsPerPage, len(rs))
	if from == to {
		from, to = say.Cut(1, rowsPerPage, len(rs))
		page = 1
	}
	return say.Card(title, m.El("span", m.Class("note"), m.Text(note)), say.FigureTable(rs[from:to], last), say.Pages(at, key, page, rowsPerPage, len(rs)))
}

// send checks in and sends what waits.
func (c *Console) send(q *request) (*view, error) {
	s, err := c.cfg.Site.Send(q.ctx())
	if err != nil {
		return nil, err
	}
	text := "Checked in. Nothing waited to be sent."
	if s.Batches > 0 {
		text = "Sent " + say.Plural(s.Batches, "batch", "batches") + " with " + say.Plural(s.Cells, "figure", "figures") + ", " + say.Bytes(int64(s.Bytes)) + "."
	}
	if s.Left > 0 {
		text += " " + strconv.Itoa(s.Left) + " more wait."
	}
	q.session.tell(notice{text: text})
	return &view{to: m.At("/leaves")}, nil
}
