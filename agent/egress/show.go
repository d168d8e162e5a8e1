package egress

import (
	"github.com/fieldpost/fieldpost/agent/egress/audit"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Show is the form in which the site's own screens may show a figure: the answer that was given, no matter whether
// it left. v is the exact figure, of what is exact for everybody.
func (g *Gate) Show(w Window, p Policy, s report.Series, v float64, closed bool) (report.Form, report.Interval, Reason) {
	m := &w.Catalog.Measures[w.Measure]
	begin := g.begin(w.Grain, w.Start)
	exact := report.Interval{Lo: v, Hi: v}
	switch m.Subject {
	case catalog.Machine:
		return report.Exact, exact, Leaves
	case catalog.Traffic:
		if w.Grain < report.Hour || w.Grain == report.Hour && !g.block(begin).Users28 {
			return report.Suppressed, report.Interval{}, SmallSite
		}
		return report.Exact, exact, Leaves
	}
	switch {
	case isPublic(s.Field):
		return report.Exact, exact, Leaves
	case !closed: // a figure that still moves would be told many times
		return report.Suppressed, report.Interval{}, StillOpen
	case !g.tells(w, m):
		return report.Suppressed, report.Interval{}, OtherGrain
	case m.Kind == catalog.FirstTime && g.people(w) >= minGroup, g.exactTotal(s, w, m, p):
		return report.Exact, exact, Leaves
	case sumKind(m):
		return g.showSum(s, w)
	}
	t, known, why := g.model.Look(g.plan(w.Catalog), s, w.Start)
	switch {
	case why != "":
		return report.Suppressed, report.Interval{}, Reason(why)
	case t.Refused:
		return report.Suppressed, report.Interval{}, Inconsistent
	case !known:
		return report.Suppressed, report.Interval{}, NoAnswer
	}
	r := Ruled{}
	g.tell(&r, t.Interval, t.Template, t.Open)
	if t.Template == audit.Withheld {
		r.Form = report.Implied
	}
	return r.Form, report.Interval{Lo: r.Lo, Hi: r.Hi}, Leaves
}
