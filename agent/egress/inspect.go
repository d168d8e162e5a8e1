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
}

// Inspection is what everything that left says of people.
type Inspection struct {
	Figures  int              // about people that left
	Told     int              // of them, those that said something
	Numbers  int              // counts of people that were looked at
	Findings []relate.Finding // of which something follows, what breaks the principle first, then the narrowest
}

// Inspect bounds every count of people from the figures that left and nothing else of this gate but the
// group sizes, which are public.
func (g *Gate) Inspect(sent []Sent) Inspection {
	var out Inspection
	m := relate.NewInspection(g.planOf)
	slices.SortStableFunc(sent, func(a, b Sent) int { return cmp.Compare(civil(a), civil(b)) })
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
		if q, why := m.Ask(plan, c.Series, c.Start, g.sizes(plan)); why == "" {
			hi := int64(math.MaxInt32)
			if !math.IsInf(c.Hi, 1) {
				hi = int64(c.Hi)
			}
			m.Tell(q, audit.Interval{Lo: int64(c.Lo), Hi: hi}, audit.Withheld)
		}
	}
	out.Findings, out.Numbers = m.Findings()
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
