package console

import (
	stdbytes "bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	m "github.com/fieldpost/fieldpost/agent/console/markup"
	"github.com/fieldpost/fieldpost/agent/console/say"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// kinds of ledger entries one can ask for.
func ledgerKinds() []string {
	return []string{"", "batch", "quarantined", "check_in", "consent", "exact"}
}

func ledgerKindName(k string) string {
	switch k {
	case "":
		return "everything"
	case "batch":
		return "batches"
	case "quarantined":
		return "refused"
	case "check_in":
		return "check-ins"
	case "consent":
		return "decisions"
	case "exact":
		return "exact figures shown here"
	}
	return k
}

// left is the ledger: everything that ever left, newest first.
func (c *Console) left(q *request) (*view, error) {
	kind := q.URL.Query().Get("kind")
	if !slices.Contains(ledgerKinds(), kind) {
		kind = ""
	}
	page := q.number("p")
	// The ledger is asked from its newest entry, so a far page costs more than a near one; one
	// entry more tells whether there is another page.
	l, err := c.cfg.Site.Ledger(q.ctx(), control.LedgerQuery{Kind: kind, Limit: page*rowsPerPage + 1})
	if err != nil {
		return nil, err
	}
	from, to := say.Cut(page, rowsPerPage, len(l.Entries))
	v := &view{here: "/left", title: "What left", sub: m.Text("the record of everything that ever left this site; each entry carries the hash of the one before")}
	v.body = m.Group(
		m.El("div", m.Class("bar"), q.form(m.At("/left/verify"), m.El("button", m.Attr("type", "submit"), m.Text("Verify the whole record"))),
			m.El("span", m.Class("note"), m.Text("Reads every entry and checks every hash and signature."))),
		kindTabs(kind), ledgerTable(l.Entries[from:to], page, len(l.Entries) > to, kind))
	return v, nil
}

func kindTabs(kind string) m.Node {
	items := []m.Item{m.Class("tabs"), m.Attr("aria-label", "Kind of entry")}
	for _, k := range ledgerKinds() {
		items = append(items, m.El("a", m.Href(m.At("/left").With("kind", k)), say.Current(k == kind), m.Text(ledgerKindName(k))))
	}
	return m.El("nav", items...)
}

func ledgerTable(es []control.LedgerEntry, page int, more bool, kind string) m.Node {
	if len(es) == 0 {
		return say.Card("Nothing here", nil, m.El("p", m.Text("No such entry is on the ledger. Before you enrol and decide, nothing leaves.")))
	}
	body := make([]m.Item, 0, len(es))
	for _, e := range es {
		kindState := m.Node(m.Text(e.Kind))
		size := ""
		switch e.Kind {
		case "batch":
			kindState = say.State("good", "batch")
		case "quarantined":
			kindState = say.State("bad", "refused")
		case "check_in":
			kindState = m.Text("check-in")
		case "exact":
			kindState = say.State("warn", "exact figures")
		}
		if e.Bytes > 0 {
			size = say.Bytes(int64(e.Bytes))
		}
		no := strconv.FormatUint(e.No, 10)
		body = append(body, m.El("tr",
			m.El("td", m.Class("num"), m.El("a", m.Href(m.At("/left/{}", no).With("kind", e.Kind)), m.Text(no))),
			m.El("td", m.Class("nowrap"), say.Moment(e.At)), m.El("td", kindState), m.El("td", m.Text(e.Text)), m.El("td", m.Class("num", "nowrap"), m.Text(size))))
	}
	at := m.At("/left").With("kind", kind)
	to := func(n int, word string, there bool) m.Node {
		if !there {
			return m.El("span", m.Class("faint"), m.Text(word))
		}
		return m.El("a", m.Href(at.With("p", strconv.Itoa(n))), m.Text(word))
	}
	return say.Card("Ledger", m.El("span", m.Class("note"), m.Text("newest first")),
		say.Stack(m.El("table", m.El("thead", m.El("tr", say.ThNum("No"), say.Th("When"), say.Th("What"), say.Th("In words"), say.ThNum("Size"))), m.El("tbody", body...))),
		m.When(page > 1 || more, m.El("p", m.Class("pages"), to(page-1, "← Newer", page > 1), m.El("span", m.Textf("page %", strconv.Itoa(page))), to(page+1, "Older →", more))))
}

// entry finds one entry; with its figures if asked for.
func (c *Console) entry(q *request, figures bool) (control.LedgerEntry, error) {
	no, err := strconv.ParseUint(q.PathValue("no"), 10, 64)
	missing := &control.Error{Code: "no_such_page", Message: "the ledger holds no such entry", Hint: "look at the page What left"}
	if err != nil {
		return control.LedgerEntry{}, missing
	}
	newest, err := c.cfg.Site.Ledger(q.ctx(), control.LedgerQuery{Limit: 1})
	if err != nil {
		return control.LedgerEntry{}, err
	}
	if len(newest.Entries) == 0 || no < 1 || no > newest.Entries[0].No {
		return control.LedgerEntry{}, missing
	}
	all, err := c.cfg.Site.Ledger(q.ctx(), control.LedgerQuery{Limit: int(newest.Entries[0].No - no + 2)})
	if err != nil {
		return control.LedgerEntry{}, err
	}
	i := slices.IndexFunc(all.Entries, func(e control.LedgerEntry) bool { return e.No == no })
	if i < 0 {
		return control.LedgerEntry{}, missing
	}
	e := all.Entries[i]
	if !figures || e.Epoch == nil {
		return e, nil
	}
	// The bytes of a batch are asked for by its kind and epoch, as few newer ones as possible.
	same := 1
	for _, o := range all.Entries[:i] {
		if o.Kind == e.Kind && o.Epoch != nil && *o.Epoch == *e.Epoch {
			same++
		}
	}
	with, err := c.cfg.Site.Ledger(q.ctx(), control.LedgerQuery{Kind: e.Kind, Epoch: e.Epoch, Limit: same + 1, Figures: true})
	if err != nil {
		return e, err
	}
	for _, o := range with.Entries {
		if o.No == no {
			return o, nil
		}
	}
	return e, nil
}

// leftOne is one entry with all it holds.
func (c *Console) leftOne(q *request) (*view, error) {
	e, err := c.entry(q, true)
	if err != nil {
		return nil, err
	}
	no := strconv.FormatUint(e.No, 10)
	v := &view{here: "/left", title: "Entry " + no, sub: m.Group(say.Moment(e.At), m.Text(" · "+e.Text))}
	pairs := []m.Item{m.Class("pairs"), say.Pair("Kind", m.Text(ledgerKindName(e.Kind)))}
	if e.Epoch != nil {
		pairs = append(pairs, say.Pair("Batch", m.El("code", m.Class("break"), m.Text(e.Epoch.String()+" / "+strconv.FormatUint(e.Seq, 10)))))
	}
	if e.Hash != nil {
		pairs = append(pairs, say.Pair("SHA-256", m.El("code", m.Class("break"), m.Text(e.Hash.String()))))
	}
	if e.Bytes > 0 {
		pairs = append(pairs, say.Pair("Size", m.Text(say.Bytes(int64(e.Bytes)))), say.Pair("Figures", m.Text(say.Whole(uint64(max(e.Cells, 0))))))
	}
	parts := []m.Node{say.Card("Entry "+no, m.El("a", m.Href(m.At("/left")), m.Text("All entries")), m.El("dl", pairs...),
		m.When(len(e.Wire) > 0, m.El("p", m.El("a", m.Class("button"), m.Href(m.At("/left/{}/raw", no)), m.Attr("download", ""), m.Text("Download the bytes as they left")))))}
	if len(e.Figures) > 0 {
		parts = append(parts, listCard("Figures", say.Tally(e.Figures), "", say.Rows(e.Figures, func(f report.Figure) (report.Figure, string, string, string) { return f, "", "", "" }), q.number("p"), m.At("/left/{}", no), "p", ""))
	}
	if len(e.Receipt) > 0 {
		parts = append(parts, say.Card("Receipt", m.El("span", m.Class("note"), m.Text("signed by the collector")), m.El("pre", m.Attr("tabindex", "0"), m.El("code", m.Text(indented(e.Receipt))))))
	}
	v.body = m.Group(parts...)
	return v, nil
}

// indented is JSON with a line for each part.
func indented(raw json.RawMessage) string {
	var b stdbytes.Buffer
	if json.Indent(&b, raw, "", "  ") != nil {
		return string(raw)
	}
	return b.String()
}

// raw gives a batch byte for byte. A browser saves it and runs nothing of it.
func (c *Console) raw(w http.ResponseWriter, r *http.Request, s *session) {
	q := &request{Request: r, w: w, session: s}
	e, err := c.entry(q, true)
	if err == nil && len(e.Wire) == 0 {
		err = &control.Error{Code: "no_such_page", Message: "this entry holds no batch", Hint: "look at the page What left"}
	}
	if err != nil {
		n := problem(err)
		refuse(w, http.StatusNotFound, n.code, n.text, n.hint)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="fieldpost-batch-%d.bin"`, e.No))
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	h.Set("Content-Length", strconv.Itoa(len(e.Wire)))
	w.Write(e.Wire) // the browser sees a cut answer
}

// verify checks the whole chain and says what it found.
func (c *Console) verify(q *request) (*view, error) {
	l, err := c.cfg.Site.Ledger(q.ctx(), control.LedgerQuery{Limit: 1, Verify: true})
	if err != nil {
		return nil, err
	}
	n := notice{bad: true, text: "The record could not be verified.", hint: "fieldpost-agent ledger --verify", code: "ledger_unverified"}
	switch {
	case l.Verified != nil && *l.Verified:
		n = notice{text: "The whole record is intact: every entry follows from the one before."}
		if len(l.Entries) > 0 {
			n.text = "The whole record is intact: all " + say.Whole(l.Entries[0].No) + " entries follow from one another."
		}
	case l.Problem != "":
		n.text, n.code = "The record is broken: "+say.Sentence(l.Problem), "ledger_broken"
	}
	q.session.tell(n)
	return &view{to: m.At("/left")}, nil
}
