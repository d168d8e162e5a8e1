package console

import (
	"github.com/fieldpost/fieldpost/agent/console/inputs"
	m "github.com/fieldpost/fieldpost/agent/console/markup"
	"github.com/fieldpost/fieldpost/agent/console/say"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// health is the first page: is anything wrong, does everything add up, is it delivered.
func (c *Console) health(q *request) (*view, error) {
	s := q.status
	return &view{here: "/", title: "Health", live: true,
		sub: m.Group(m.Text("as of "), say.Moment(s.Now)),
		body: m.Group(
			c.healthFacts(q),
			warnings(s.Warnings),
			m.El("div", m.Class("two"),
				m.El("div", accounting("Events", "What the product sent to this agent, and what became of it.", s.Events),
					m.When(s.Samples.Received > 0, accounting("Samples", "Readings of metrics, and what became of them.", s.Samples)),
					inputs.StatsD(s.StatsD), asides(s)),
				m.El("div", delivery(q), checks(s.Checks), inputs.Scrapes(s.Scrapes), about(s))))}, nil
}

func (c *Console) healthFacts(q *request) m.Node {
	s := q.status
	well := say.State("good", "healthy")
	if n := len(s.Warnings); n > 0 {
		well = say.State("warn", say.Plural(n, "warning", "warnings"))
	}
	sent := m.Node(m.Text(say.Whole(s.Delivery.Acknowledged)))
	detail := m.Group(m.Text("last "), say.Moment(s.Delivery.Acked))
	if s.Collector == "" {
		sent, detail = say.State("unknown", "not enrolled"), m.Text("nothing can leave")
	}
	journal, room := "none", "the recorded events are the journal"
	if s.Journal.Limit > 0 {
		journal = say.Share(float64(s.Journal.Bytes) / float64(s.Journal.Limit))
		room = say.Bytes(s.Journal.Bytes) + " of " + say.Bytes(s.Journal.Limit) + sealed(s)
	}
	return m.El("section", m.Class("facts"), m.Attr("aria-label", "Now"),
		say.Fact("State", m.El("span", m.Class("word"), well), m.Textf("version %", s.Version)),
		say.Fact("You agreed to", m.El("span", m.Class("word"), agreed(s)), m.El("a", m.Href(m.At("/consent")), m.Text("per category"))),
		say.Fact("Events received", m.Text(say.Whole(s.Events.Received)), m.Group(m.Text("since "), say.Moment(s.Since))),
		say.Fact("Batches delivered", m.El("span", m.Class("word"), sent), detail),
		say.Fact("Journal", m.Text(journal), m.Text(room)))
}

// sealed says whether what is kept about people lies encrypted on disk.
func sealed(s control.Status) string {
	if s.Sealed {
		return ", encrypted by the site key"
	}
	return ", not all of it encrypted"
}

// agreed is the widest level in force, in a word.
func agreed(s control.Status) m.Node {
	if s.Paused {
		return say.State("warn", "paused")
	}
	most := exchange.Off
	for _, d := range s.Levels {
		if d.Level.AtLeast(most) {
			most = d.Level
		}
	}
	switch most {
	case exchange.Off:
		return say.State("unknown", "nothing")
	case exchange.Local:
		return say.State("good", "local only")
	}
	return say.State("good", "up to "+string(most))
}

func warnings(ws []control.Warning) m.Node {
	if len(ws) == 0 {
		return m.Group()
	}
	rows := make([]m.Item, 0, len(ws))
	for _, w := range ws {
		rows = append(rows, m.El("tr", m.El("td", say.State("warn", say.Sentence(w.Cause))), m.El("td", m.El("code", m.Text(w.Remedy))), m.El("td", m.Class("note"), m.El("code", m.Text(w.Code)))))
	}
	return say.Card("Warnings", nil, say.Stack(m.El("table", m.El("thead", m.El("tr", say.Th("What is wrong"), say.Th("What to do"), say.Th("Code"))), m.El("tbody", rows...))))
}

// accounting shows that received = the sum of all reasons.
func accounting(title, what string, c control.Counts) m.Node {
	var sum uint64
	for _, n := range c.Reasons {
		sum += n
	}
	adds := say.State("good", "adds up")
	if sum != c.Received {
		adds = say.State("bad", "does not add up: please tell the vendor")
	}
	var rows []m.Item
	known := map[string]bool{}
	put := func(r string) {
		known[r] = true
		if n := c.Reasons[r]; n > 0 || r == "measured" {
			rows = append(rows, m.El("tr", m.El("td", m.El("code", m.Text(r))), m.El("td", m.Class("num"), m.Text(say.Whole(n))), m.El("td", m.Class("note"), m.Text(say.ReasonText(r)))))
		}
	}
	for _, r := range say.ReasonOrder() {
		put(r)
	}
	for _, r := range say.Sorted(c.Reasons) {
		if !known[r] {
			put(r)
		}
	}
	rows = append(rows, m.El("tr", m.Class("sum"), m.El("td", m.Text("received")), m.El("td", m.Class("num"), m.Text(say.Whole(c.Received))), m.El("td", m.Class("note"), m.Text("= the sum of all above"))))
	return say.Card(title, adds, m.El("p", m.Class("note"), m.Text(what)), say.Wide(m.El("table", m.El("tbody", rows...))))
}

// asides are counts beside the accounting.
func asides(s control.Status) m.Node {
	if s.Skewed == 0 && s.Back == 0 && len(s.Late) == 0 {
		return m.Group()
	}
	var rows []m.Item
	put := func(name string, n uint64, what string) {
		if n > 0 {
			rows = append(rows, m.El("tr", m.El("td", m.Text(name)), m.El("td", m.Class("num"), m.Text(say.Whole(n))), m.El("td", m.Class("note"), m.Text(what))))
		}
	}
	put("skewed", s.Skewed, "a time in the future, set to the time of receipt")
	put("clock_back", s.Back, "this machine's clock stepped back")
	for _, id := range say.Sorted(s.Late) {
		put("late for "+id, s.Late[id], "measured, but this measure's window had closed")
	}
	return say.Card("Counted beside it", nil, say.Wide(m.El("table", m.El("tbody", rows...))))
}

// delivery shows that frozen = acknowledged + outbox + quarantined.
func delivery(q *request) m.Node {
	d := q.status.Delivery
	adds := say.State("good", "adds up")
	if d.Frozen != d.Acknowledged+d.Outbox+d.Quarantined {
		adds = say.State("bad", "does not add up: please tell the vendor")
	}
	tr := func(name string, n uint64, what string) m.Node {
		return m.El("tr", m.El("td", m.Text(name)), m.El("td", m.Class("num"), m.Text(say.Whole(n))), m.El("td", m.Class("note"), m.Text(what)))
	}
	rows := []m.Item{
		tr("acknowledged", d.Acknowledged, "the collector signed for them"),
		tr("outbox", d.Outbox, "frozen, on their way"),
		tr("quarantined", d.Quarantined, "refused by the collector, kept here"),
		m.El("tr", m.Class("sum"), m.El("td", m.Text("frozen")), m.El("td", m.Class("num"), m.Text(say.Whole(d.Frozen))), m.El("td", m.Class("note"), m.Text("batches = the sum of all above"))),
	}
	if d.Withdrawn > 0 {
		rows = append(rows, tr("withdrawn", d.Withdrawn, "figures deleted because consent was taken back"))
	}
	return say.Card("Delivery", adds,
		m.When(d.Problem != "", m.El("p", say.State("warn", say.Sentence(d.Problem)))),
		say.Wide(m.El("table", m.El("tbody", rows...))),
		m.El("dl", m.Class("pairs"),
			say.Pair("Last check-in", say.Moment(d.CheckIn)), say.Pair("Last receipt", say.Moment(d.Acked)), say.Pair("Next send", next(q.status)),
			say.Pair("Figures that wait", m.El("a", m.Href(m.At("/leaves")), m.Text(say.Whole(uint64(max(d.Waiting, 0))))))))
}

func next(s control.Status) m.Node {
	if s.Collector == "" || s.Delivery.Next.IsZero() || s.Delivery.Next.Unix() <= 0 {
		return m.Text("not planned")
	}
	return say.Moment(s.Delivery.Next)
}

func checks(cs []control.Check) m.Node {
	if len(cs) == 0 {
		return say.Card("Checks", nil, m.El("p", m.Class("note"), m.Text("No check runs here. Name the targets you allow under "), m.El("code", m.Text("probes")), m.Text(" in the configuration file.")))
	}
	rows := make([]m.Item, 0, len(cs))
	for _, k := range cs {
		is := say.State("bad", "down")
		switch {
		case k.At.IsZero() || k.At.Unix() <= 0:
			is = say.State("unknown", "not checked yet")
		case k.Up:
			is = say.State("good", "up")
		}
		rows = append(rows, m.El("tr", m.El("td", m.Text(k.ID), m.El("div", m.Class("note", "break"), m.Text(k.Target))), m.El("td", is, m.When(k.Detail != "", m.El("div", m.Class("note"), m.Text(k.Detail)))),
			m.El("td", m.Class("num"), m.Text(say.Amount(k.TookMS)+" ms"), m.El("div", m.Class("note"), say.Moment(k.At)))))
	}
	return say.Card("Checks", nil, say.Stack(m.El("table", m.El("thead", m.El("tr", say.Th("Check"), say.Th("Now"), say.ThNum("Took"))), m.El("tbody", rows...))))
}

func about(s control.Status) m.Node {
	pairs := []m.Item{m.Class("pairs")}
	put := func(name, value string) {
		if value == "" {
			value = "–"
		}
		pairs = append(pairs, say.Pair(name, m.El("span", m.Class("break"), m.Text(value))))
	}
	put("Installation", s.Installation)
	put("Account", s.Account)
	put("Environment", s.Environment)
	put("Collector", s.Collector)
	if s.Collector != "" {
		put("Agent", s.Agent.String())
	}
	put("Catalog", s.Catalog)
	put("Time zone", s.Zone)
	return say.Card("This installation", nil, m.El("dl", pairs...))
}
