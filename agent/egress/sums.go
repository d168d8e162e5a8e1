package egress

import (
	"slices"

	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Sums of a person property leave only where the number of users was told exactly and is at least 10, where one user
// counts for no more than the limit of events, and where the largest and second largest
// contribution leave at least 20 % of the largest to the others (the p % rule; Hundepool and others, Statistical
// Disclosure Control, 2012, chapter 4). The last looks at values: that a sum is Dominated is itself an answer.
const (
	leastUsers = 10
	pPercent   = 0.2
)

// sum answers a sum over people's events. Breakdowns of sums stay: what is left of the total would be the sum of
// a part whose users nobody was told of.
func (g *Gate) sum(r *Ruled, w Window, m *catalog.Measure, p Policy) {
	r.Reason = FewUsers
	if w.Grain != report.Block4w || r.Breakdown != 0 || m.Kind == catalog.Transitions || m.Kind == catalog.Sufficient {
		return
	}
	i := slices.IndexFunc(w.Sums, func(s Sum) bool { return s.Series == r.Series })
	if i < 0 || r.Field.IsBlob() {
		return
	}
	users, ok := g.toldUsers(w, m)
	if !ok || users < leastUsers {
		return
	}
	s := w.Sums[i]
	if s.Users < users || s.Capped-s.Largest-s.Second < pPercent*s.Largest {
		r.Reason = Dominated
		return
	}
	r.Form, r.Lo, r.Hi, r.Reason = report.Exact, s.Capped, s.Capped, Leaves
}

// toldUsers is the number of users of a sum's events in its window, where it was told exactly.
func (g *Gate) toldUsers(w Window, m *catalog.Measure) (int64, bool) {
	plan := g.plan(w.Catalog)
	for i := range w.Catalog.Measures {
		if o := &w.Catalog.Measures[i]; o.Kind == catalog.ActiveUsers && plan.SamePeople(m, o) {
			s := report.Series{Measure: uint16(i), Field: report.Value, Grain: w.Grain}
			if t, told, why := g.model.Look(plan, s, w.Start); told && why == "" && t.Lo == t.Hi {
				return t.Lo, true
			}
		}
	}
	return 0, false
}
