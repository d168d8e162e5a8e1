// Package inputs draws the doors through which readings come: pages of metrics that the agent reads, and StatsD.
//
// Invariants: what was refused is told by reason, and the counts of StatsD add up or say that they do not.
//
// The package keeps no state on disk.
package inputs

import (
	"strconv"

	m "github.com/fieldpost/fieldpost/agent/console/markup"
	"github.com/fieldpost/fieldpost/agent/console/say"

	"github.com/fieldpost/fieldpost/agent/control"
)

// Scrapes are the pages of metrics that the agent reads.
func Scrapes(all []control.Scrape) m.Node {
	if len(all) == 0 {
		return m.Group()
	}
	rows := make([]m.Item, 0, len(all))
	for _, x := range all {
		is, detail := say.State("bad", "failed"), x.Detail
		switch {
		case x.Idle:
			is = say.State("unknown", "not asked")
			if detail == "" {
				detail = "nothing that is on reads a metric"
			}
		case x.At.IsZero() || x.At.Unix() <= 0:
			is = say.State("unknown", "not read yet")
		case x.OK:
			is = say.State("good", "read")
		}
		var failed uint64
		for _, n := range x.Failed {
			failed += n
		}
		rows = append(rows, m.El("tr", m.El("td", m.Text(x.Name), m.El("div", m.Class("note", "break"), m.Text(x.Target))),
			m.El("td", is, m.When(detail != "", m.El("div", m.Class("note"), m.Text(say.Sentence(detail)))), refusals(x.Refused)),
			m.El("td", m.Class("num"), m.Text(say.Plural(x.Samples, "sample", "samples")), m.El("div", m.Class("note"), m.Text(say.Bytes(int64(x.Bytes))+", "+say.Amount(x.TookMS)+" ms")), m.El("div", m.Class("note"), say.Moment(x.At))),
			m.El("td", m.Class("num"), m.Textf("% of %", say.Whole(failed), say.Whole(x.Scrapes)))))
	}
	return say.Card("Metrics read", nil, say.Stack(m.El("table", m.El("thead", m.El("tr", say.Th("Target"), say.Th("Now"), say.ThNum("Newest page"), say.ThNum("Failed"))), m.El("tbody", rows...))))
}

// refusals are counts by reason in a note.
func refusals(counts map[string]uint64) m.Node {
	var items []m.Item
	for _, r := range say.Sorted(counts) {
		if counts[r] > 0 {
			items = append(items, m.El("div", m.Class("note"), m.Text(say.Whole(counts[r])+" refused: "), m.El("code", m.Text(r))))
		}
	}
	if len(items) == 0 {
		return m.Group()
	}
	return m.El("div", items...)
}

// StatsD shows that values = journaled + pending + lost + the sum of refused.
func StatsD(s *control.StatsD) m.Node {
	if s == nil {
		return m.Group()
	}
	sum := s.Journaled + s.Pending + s.Lost
	var rows []m.Item
	put := func(name string, n uint64, what string, always bool) {
		if n > 0 || always {
			rows = append(rows, m.El("tr", m.El("td", m.El("code", m.Text(name))), m.El("td", m.Class("num"), m.Text(say.Whole(n))), m.El("td", m.Class("note"), m.Text(what))))
		}
	}
	put("journaled", s.Journaled, "added up and kept", true)
	put("pending", s.Pending, "added up, on disk with the next flush", false)
	put("lost", s.Lost, "added up, and not written in time", false)
	for _, r := range say.Sorted(s.Refused) {
		sum += s.Refused[r]
		put(r, s.Refused[r], "refused", false)
	}
	adds := say.State("good", "adds up")
	if sum != s.Values {
		adds = say.State("bad", "does not add up: please tell the vendor")
	}
	rows = append(rows, m.El("tr", m.Class("sum"), m.El("td", m.Text("values")), m.El("td", m.Class("num"), m.Text(say.Whole(s.Values))), m.El("td", m.Class("note"), m.Textf("= the sum of all above, in % datagrams on %", say.Whole(s.Datagrams), s.Listen))))
	var beside []string
	for _, x := range []struct {
		n    uint64
		what string
	}{{s.Dropped, "datagrams dropped for want of room"}, {s.Events, "events not read"}, {s.Checks, "service checks not read"}, {s.Sets, "sets refused"}} {
		if x.n > 0 {
			beside = append(beside, strconv.FormatUint(x.n, 10)+" "+x.what)
		}
	}
	note := m.Group()
	for _, b := range beside {
		note = m.Group(note, m.El("p", m.Class("note"), m.Text(say.Sentence(b))))
	}
	return say.Card("StatsD", adds, say.Wide(m.El("table", m.El("tbody", rows...))), note)
}
