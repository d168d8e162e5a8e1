package kinds

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fieldpost/fieldpost/collector/web/words"
	"github.com/fieldpost/fieldpost/protocol/catalog"
)

// Joined says how installations and accounts are summed.
func Joined(m *catalog.Measure) string {
	switch m.Kind {
	case catalog.ActiveUsers, catalog.Lifecycle, catalog.Stickiness, catalog.Retention, catalog.Funnel, catalog.Adoption, catalog.Seats:
		return "Installations of one account can share people: joined by the largest … the sum. Accounts add up."
	case catalog.FirstTime, catalog.Shift, catalog.Environment:
		return "Words, not amounts: one for each installation; they are not added."
	case catalog.Availability:
		return "Seconds add up. Availability = up ÷ (up + down); coverage = (up + down) ÷ all."
	case catalog.Gauge, catalog.Fact:
		return "Readings of one installation; they are not added."
	case catalog.Count:
		if m.Subject == catalog.Person {
			return "Added over installations and accounts. Of four weeks in a band it is an evened total: a person counts at most " + words.Num(m.Most()) + " times, and the two who did most count as the third does; events of nobody known are not in it."
		}
	}
	return "Added over windows, installations and accounts."
}

// Source says in words where the figures come from.
func Source(c *catalog.Catalog, m *catalog.Measure) string {
	switch {
	case m.Of != "":
		return "computed at the site from the measure " + m.Of
	case len(m.Steps) > 0:
		var names []string
		for _, st := range m.Steps {
			names = append(names, st.ID)
		}
		s := "steps " + strings.Join(names, " → ")
		if m.Window > 0 {
			s += " within " + catalog.Span(m.Window)
		}
		return s
	case len(m.Events) > 0:
		var names []string
		for _, id := range m.Events {
			if e, _ := c.Event(id); e != nil {
				names = append(names, "“"+e.Match+"”")
			}
		}
		s := "events " + strings.Join(names, ", ")
		for _, w := range append(slices.Clone(m.Where), m.WhereUser...) {
			s += "; only where " + w.Property
			if len(w.Values) > 0 {
				s += " is " + strings.Join(w.Values, " or ")
			} else {
				s += " lies in bounds"
			}
		}
		return s
	case m.Metric != "":
		if x, _ := c.Metric(m.Metric); x != nil {
			return "metric " + x.Match + ", unit " + x.Unit
		}
	case m.Probe != "":
		return "the agent's own check “" + m.Probe + "”; its target is decided at the site"
	case m.From != "":
		return m.From
	case m.Valid != nil:
		return "good and valid: " + cmpSelector(m.Good) + " of " + cmpSelector(m.Valid)
	}
	return "–"
}

func cmpSelector(s *catalog.Selector) string {
	name := s.Metric
	if name == "" {
		name = s.Event
	}
	for _, w := range s.Where {
		name += ", " + w.Property + " " + strings.Join(w.Values, " or ")
	}
	if s.AtMost > 0 {
		name += fmt.Sprintf(", at most %g", s.AtMost)
	}
	return name
}
