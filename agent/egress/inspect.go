package egress

import (
	"cmp"
	"math"
	"slices"

	"github.com/fieldpost/fieldpost/agent/egress/audit"
	"github.com/fieldpost/fieldpost/agent/egress/relate"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Sent is a figure that left.
type Sent struct {
	Catalog *catalog.Catalog
	report.Cell
	Totals bool // under the level totals
}

// Inspection is what everything that left says of people.
type Inspection struct {
	Figures  int              // about people that left
	Told     int              // of them, those that said something
	Numbers  int              // counts of people that were looked at
	Findings []relate.Finding // of which something follows, what breaks the principle first, then the narrowest
}

// Inspect bounds every count of people from the figures that left and nothing else of this gate but the
// group sizes, which are public. What the level totals told exactly, and what follows from that alone, was the
// customer's wish and counts as known before.
func (g *Gate) Inspect(sent []Sent) Inspection {
	var out Inspection
	m := relate.NewInspection(g.planOf)
	slices.SortStableFunc(sent, func(a, b Sent) int { return cmp.Compare(civil(a), civil(b)) })
	type told struct {
		q relate.Question
		a audit.Interval
	}
	var rest []told
	for _, c := range sent {
		if int(c.Measure) >= len(c.Catalog.Measures) || c.Catalog.Measures[c.Measure].Subject != catalog.Person {
			continue
		}
		out.Figures++
		if !c.Form.HasNumbers() || c.Form == report.Noised || c.Field.IsBlob() {
			continue
		}
		out.Told++
		plan := g.plan(c.Catalog)
		q, why := m.Ask(plan, c.Series, c.Start, g.sizes(plan))
		if why != "" {
			continue
		}
		x := told{q, audit.Interval{Lo: int64(c.Lo), Hi: math.MaxInt32}}
		if !math.IsInf(c.Hi, 1) {
			x.a.Hi = int64(c.Hi)
		}
		if c.Totals && firstTotal(c.Catalog) == int(c.Measure) && c.Breakdown == 0 && c.Form == report.Exact {
			m.Tell(x.q, x.a, audit.Withheld)
			continue
		}
		rest = append(rest, x)
	}
	before := m.Bounds()
	for _, x := range rest {
		m.Tell(x.q, x.a, audit.Withheld)
	}
	out.Findings, out.Numbers = m.Findings(before)
	return out
}

// civil is the day on which what a figure is about was over.
func civil(c Sent) int64 {
	if !c.Grain.Civil() {
		return math.MinInt64
	}
	first, last := report.CivilDays(c.Grain, c.Start)
	if c.Grain == report.Block12w {
		return last
	}
	return report.CivilStart(report.Block4w, first)
}
