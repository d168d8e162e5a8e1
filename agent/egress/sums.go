package egress

import (
	"fmt"
	"math"
	"slices"

	"github.com/fieldpost/fieldpost/agent/egress/sums"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Sum is what a window of a count about people adds up to when nobody counts more often than catalog.Measure.Most.
type Sum struct {
	Bounded int64 // what people did, each of them at most so often
	Even    int64 // the same where the two who did most count as the third does: nobody dominates it
	Users   int64 // how many people did it
}

// leastUsers are in a sum that leaves (PRIVACY, "Sums and sketches").
const leastUsers = 10

// toldSum is the answer a sum was given.
type toldSum struct {
	Start  int64  `json:"start"`
	Lo     int64  `json:"lo,omitempty"`
	Hi     int64  `json:"hi,omitempty"`
	Top    bool   `json:"top,omitempty"`
	Reason Reason `json:"reason,omitempty"` // it was given none
}

// isSum reports whether a figure is a sum that can have an answer: a block's total (ADR 0013).
func isSum(s report.Series, w Window) bool {
	return w.Catalog.Measures[w.Measure].Kind == catalog.Count && w.Grain == report.Block4w && s.Breakdown == 0 && s.Field == report.Value
}

// sum answers the total of what people did in a block, as a band of a ladder that depends on the catalog and on how
// many people were told to be in it, and on nothing else. What is told is Sum.Even, for which the p % rule holds
// whatever happened: without the two largest at least as much is left as the largest.
func (g *Gate) sum(r *Ruled, w Window, p Policy) {
	if w.Sum == nil {
		return
	}
	l, why := g.ladder(w, p)
	if why == Leaves && l.next(l.users) == 0 {
		why = NoAnswer
	}
	if why == Leaves && w.Sum.Users != l.users { // values are looked at from here on
		why = Inconsistent
	}
	t := toldSum{Start: w.Start, Reason: why}
	if why == Leaves {
		r.Why = Explanation{Group: l.users, Each: l.most}
		t.Lo, t.Hi, t.Top = l.band(w.Sum.Even)
	}
	g.tellSum(r, t)
	if g.sums == nil {
		g.sums = map[string]toldSum{}
	}
	for k, old := range g.sums {
		if old.Start < w.Start-12*84 {
			delete(g.sums, k)
		}
	}
	g.sums[sumKey(w)] = t
}

func (g *Gate) tellSum(r *Ruled, t toldSum) {
	if r.Reason = t.Reason; r.Reason != Leaves {
		return
	}
	r.Form, r.Lo, r.Hi = report.Band, float64(t.Lo), float64(t.Hi)
	if t.Top {
		r.Hi = math.Inf(1)
	}
}

// showSum is the answer a sum was given, for the site's own screens.
func (g *Gate) showSum(s report.Series, w Window) (report.Form, report.Interval, Reason) {
	t, ok := g.sums[sumKey(w)]
	if !ok || !isSum(s, w) {
		return report.Suppressed, report.Interval{}, SumOfEvents
	}
	r := Ruled{Cell: report.Cell{Form: report.Suppressed}}
	g.tellSum(&r, t)
	return r.Form, report.Interval{Lo: r.Lo, Hi: r.Hi}, r.Reason
}

func sumKey(w Window) string {
	m := &w.Catalog.Measures[w.Measure]
	return fmt.Sprintf("%s %s %d", m.ID, m.HashString(), w.Start)
}

// ladder is the answers a sum can have. Whether it has any is public: it follows from the catalog, the consent and
// what was told of how many people did it.
func (g *Gate) ladder(w Window, p Policy) (l ladder, why Reason) {
	plan := g.plan(w.Catalog)
	of, no := sums.New(w.Catalog, plan).Sum(w.Measure)
	switch {
	case no != "":
		return l, Reason(no)
	case g.besideTotals(w, p):
		return l, SumInTotal
	}
	m, u := &w.Catalog.Measures[w.Measure], Window{Catalog: w.Catalog, Measure: of.Users, Grain: w.Grain, Start: w.Start}
	if g.stays(w, m, p) == Leaves && g.stays(u, &w.Catalog.Measures[of.Users], p) != Leaves {
		return l, UsersNotTold
	}
	t, known, no := g.model.Look(plan, report.Series{Measure: uint16(of.Users), Field: report.Value, Grain: w.Grain}, w.Start)
	if no != "" || !known || t.Refused || t.Open || t.Lo != t.Hi || t.Lo < leastUsers {
		return l, UsersNotExact
	}
	return ladder{users: t.Lo, least: int64(of.Least), most: m.Most()}, Leaves
}

// besideTotals: at the level totals the site's totals of events leave exactly, and what is left of one without another
// sum could be one person's.
func (g *Gate) besideTotals(w Window, p Policy) bool {
	return slices.ContainsFunc(w.Catalog.Measures, func(m catalog.Measure) bool {
		return m.Kind == catalog.Count && m.Subject == catalog.Person && len(m.Where)+len(m.WhereUser) == 0 && p.level(&m).AtLeast(exchange.Totals)
	})
}

// bounded are the figures that noise is added to: of a count the total in which nobody counts too often.
func (w Window) bounded(m *catalog.Measure) []report.Cell {
	if m.Kind != catalog.Count || w.Sum == nil {
		return w.Cells
	}
	v := float64(w.Sum.Bounded)
	return []report.Cell{{Series: report.Series{Measure: uint16(w.Measure), Grain: w.Grain, Field: report.Value}, Start: w.Start, Form: report.Exact, Lo: v, Hi: v}}
}

// ladder is the answers for a sum over a known number of people, of whom each counts at most so often.
type ladder struct {
	users int64 // told exactly
	least int64 // events of one person that could follow from counts of people
	most  int64 // that one person counts
}

// steps are where answers begin, within each power of ten: each a quarter above the one before at least (the preferred
// numbers R10 of ISO 3), so that an answer is a fifth as wide as what it ends with. tens are the same, rounded up.
var (
	steps = [...]int64{100, 125, 160, 200, 250, 315, 400, 500, 630, 800, 1000}
	tens  = [...]int64{10, 13, 16, 20, 25, 32, 40, 50, 63, 80, 100}
)

// edge is the first place after v ≥ 10 where an answer may begin, the same for all sites with the same cap: one of steps, and
// where these are further apart than three fifths of the cap the multiples of that.
func (l ladder) edge(v int64) int64 {
	of, scale := steps[:], int64(1)
	if v < 100 {
		of = tens[:]
	}
	for v >= 1000*scale {
		scale *= 10
	}
	i := slices.IndexFunc(of, func(s int64) bool { return s*scale > v })
	if each := l.each(); (of[i]-of[i-1])*scale > each {
		return (v/each + 1) * each
	}
	return of[i] * scale
}

// each is a fifth of what three people count at most, in two digits: when the third does one thing more, three count more.
func (l ladder) each() int64 {
	n, scale := (3*l.most+4)/5, int64(1)
	for n > 99*scale {
		scale *= 10
	}
	return (n + scale - 1) / scale * scale
}

// next is where the answer after the one that begins at a begins; 0 when that is the last. The first one, from one event
// of each, holds all that could follow from counts of people; the last one leaves open that five people did it once.
func (l ladder) next(a int64) int64 {
	x := a
	if a == l.users {
		x = l.users * l.least
	}
	for {
		if x = l.edge(x); l.users*l.most-x < 5*(l.most-1) {
			return 0
		}
		if wide := x - a; wide >= 5 && (5*wide >= x-1 || 5*wide >= 3*l.most) {
			return x
		}
	}
}

// band is the answer for a value.
func (l ladder) band(v int64) (lo, hi int64, top bool) {
	for lo = l.users; ; {
		x := l.next(lo)
		switch {
		case x == 0:
			return lo, l.users * l.most, true
		case v < x:
			return lo, x - 1, false
		}
		lo = x
	}
}
