package egress

import (
	"math"
	"slices"

	"github.com/fieldpost/fieldpost/agent/egress/audit"
	"github.com/fieldpost/fieldpost/agent/egress/relate"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// audited answers every cell of a window about people.
func (g *Gate) audited(w Window, m *catalog.Measure, p Policy) []Ruled {
	exact := make(map[report.Series]report.Cell, len(w.Cells))
	for _, c := range w.Cells {
		exact[c.Series] = c
	}
	plan := g.plan(w.Catalog)
	sizes := g.sizes(plan)
	var out []Ruled
	for _, s := range g.series(w, m) {
		r := Ruled{Cell: report.Cell{Series: s, Start: w.Start, Form: report.Suppressed}}
		switch {
		case isPublic(s.Field):
			g.asItIs(&r, exact)
		case m.Kind == catalog.FirstTime:
			if r.Reason = GroupTooSmall; g.people(w) >= minGroup {
				g.asItIs(&r, exact)
			}
		case sumKind(m):
			if r.Reason = SumOfEvents; g.exactTotal(s, w, m, p) {
				g.asItIs(&r, exact)
			} else if isSum(s, w) {
				g.sum(&r, w, p)
			}
		default:
			g.count(&r, w, plan, sizes, exact, p)
		}
		out = append(out, r)
	}
	return out
}

// people is the group size of a window's block.
func (g *Gate) people(w Window) int {
	begin := g.begin(w.Grain, w.Start)
	return g.block(begin).Size
}

// isPublic: contracts and calendars are not about people.
func isPublic(f report.Field) bool {
	return f == report.Purchased || f == report.Assigned || f == report.Workdays
}

// sumKind: sums over what people did. They stay, but for totals of blocks that share no event (sums.go): what is left
// between two others (all changes without those to the code) may be one person's.
func sumKind(m *catalog.Measure) bool {
	switch m.Kind {
	case catalog.Count, catalog.Distribution, catalog.Transitions, catalog.Sufficient, catalog.SLO:
		return true
	}
	return false
}

// asItIs tells a figure that needs no hiding; Unknown when there is none.
func (g *Gate) asItIs(r *Ruled, exact map[report.Series]report.Cell) {
	r.Reason, r.Form = Leaves, report.Unknown
	if c, ok := exact[r.Series]; ok {
		r.Form, r.Lo, r.Hi, r.Blob = report.Exact, c.Lo, c.Hi, c.Blob
	} else if r.Field == report.Value && r.Breakdown == 0 { // a total that is not there is nought
		r.Form = report.Exact
	}
}

// exactTotal: at the level totals the site's totals of active users and events leave exactly. Two totals of active
// users over overlapping events would tell their difference: one only.
func (g *Gate) exactTotal(s report.Series, w Window, m *catalog.Measure, p Policy) bool {
	if s.Breakdown != 0 || s.Field != report.Value || len(m.Where) > 0 || len(m.WhereUser) > 0 || !p.level(m).AtLeast(exchange.Totals) {
		return false
	}
	return m.Kind == catalog.Count || m.Kind == catalog.ActiveUsers && firstTotal(w.Catalog) == w.Measure
}

// count answers a count of people.
func (g *Gate) count(r *Ruled, w Window, plan *relate.Plan, sizes func(int64) relate.Sizes, exact map[report.Series]report.Cell, p Policy) {
	m := &w.Catalog.Measures[w.Measure]
	q, why := g.model.Ask(plan, r.Series, w.Start, sizes)
	if g.exactTotal(r.Series, w, m, p) {
		if g.asItIs(r, exact); why == "" {
			v := int64(r.Lo)
			g.model.Tell(q, audit.Interval{Lo: v, Hi: v}, audit.Singles)
		}
		return
	}
	if why != "" {
		if r.Reason = Reason(why); why == relate.NoGroup && g.inUse(r.Series, w, m) && exact[r.Series].Lo > 0 { // that somebody was active may be told
			r.Form, r.Lo, r.Hi, r.Reason = report.Band, 1, math.Inf(1), Leaves
		}
		return
	}
	book := g.model.Book(q)
	known, public := g.model.Known(q)
	r.Why = Explanation{Group: public.Hi, Known: known, Template: book.Template, Answers: book.Answers}
	v := int64(0) // the value is looked up here and nowhere above
	if also := q.Values(); also != nil {
		for _, x := range also {
			s := r.Series
			s.V1 = x
			v += int64(exact[s].Lo)
		}
	} else {
		v = int64(exact[r.Series].Lo)
	}
	switch {
	case len(book.Answers) > 0:
		a, ok := book.Answer(v)
		if !ok || !g.model.Tell(q, a, book.Template) {
			r.Reason = Inconsistent
			g.model.Refuse(q)
			return
		}
		g.tell(r, a, book.Template, a.Hi == public.Hi || a == book.Answers[len(book.Answers)-1])
	case known != public && v >= known.Lo && (v <= known.Hi || known.Hi == public.Hi):
		r.Form, r.Lo, r.Hi = report.Implied, float64(known.Lo), float64(known.Hi)
		if known.Hi == public.Hi {
			r.Hi = math.Inf(1)
		}
	case known != public:
		r.Reason = Inconsistent
		g.model.Refuse(q)
	default:
		r.Reason = NoAnswer
	}
}

// inUse: of a site too small for any figure it is told that it is used.
func (g *Gate) inUse(s report.Series, w Window, m *catalog.Measure) bool {
	return w.Grain == report.Block4w && s.Breakdown == 0 && s.Field == report.Value && m.Kind == catalog.ActiveUsers && firstTotal(w.Catalog) == w.Measure
}

// tell puts an answer into its form. The last answer is open: it also stands for more people than the
// group has.
func (g *Gate) tell(r *Ruled, a audit.Interval, t audit.Template, last bool) {
	r.Form, r.Lo, r.Hi = report.Band, float64(a.Lo), float64(a.Hi)
	switch {
	case a.Lo == a.Hi && !last:
		r.Form = report.Exact // a book's answer of one value; the book's form was fixed all the same
		return
	case t == audit.Thirds:
		r.Form = report.Share
	}
	if last {
		r.Hi = math.Inf(1)
	}
}

// firstTotal is the measure that is the site's total of active users: the first of the catalog
// that counts people without any condition. -1 when there is none.
func firstTotal(c *catalog.Catalog) int {
	return slices.IndexFunc(c.Measures, func(m catalog.Measure) bool { return relate.IsTotal(&m) })
}

// series is every figure of a window, in the order they are answered: totals first.
func (g *Gate) series(w Window, m *catalog.Measure) []report.Series {
	var out []report.Series
	if m.Kind == catalog.Retention { // a cohort's figures close one by one
		for _, c := range w.Cells {
			out = append(out, c.Series)
		}
		return out
	}
	s := report.Series{Measure: uint16(w.Measure), Grain: w.Grain}
	for _, s.Field = range m.Fields() {
		out = append(out, s)
	}
	if w.Grain == report.Week || w.Grain == report.Change || w.Grain == report.Day {
		return out // weeks leave as the site's totals only
	}
	for n, b := range w.Catalog.Breakdowns(m) {
		s.Breakdown = uint8(n + 1)
		for s.V1, s.V2 = range b.Cells() {
			for _, s.Field = range m.FieldsOf(n + 1) {
				out = append(out, s)
			}
		}
	}
	return out
}

// public is the figures of a window that are not about people, at the level strict.
func (g *Gate) public(w Window, m *catalog.Measure, why Reason) (out []Ruled) {
	if why != Leaves {
		return nil
	}
	for _, c := range w.Cells {
		if isPublic(c.Field) {
			out = append(out, Ruled{Cell: c})
		}
	}
	return out
}

// machineCells: nothing about people, so everything exactly.
func machineCells(w Window) []Ruled {
	out := make([]Ruled, 0, len(w.Cells))
	for _, c := range w.Cells {
		out = append(out, Ruled{Cell: c})
	}
	return out
}

// suppressAll is what stays at the site, for the preview: only what is there.
func suppressAll(w Window, why Reason) []Ruled {
	out := make([]Ruled, 0, len(w.Cells))
	for _, c := range w.Cells {
		out = append(out, Ruled{Cell: report.Cell{Series: c.Series, Start: c.Start, Form: report.Suppressed}, Reason: why})
	}
	return out
}
