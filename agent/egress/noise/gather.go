package noise

import (
	"slices"

	"github.com/fieldpost/fieldpost/protocol/catalog"
	shared "github.com/fieldpost/fieldpost/protocol/noise"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// gather is the exact figures of the released window, when all of them are there.
func (d *Drawer) gather(key string, plan *shared.Plan, start int64, w Window) (of func(report.Series) float64, whole bool) {
	exact := map[report.Series]float64{}
	for _, c := range w.Cells {
		if c.Form == report.Exact && !c.Field.IsBlob() {
			s := c.Series
			s.Measure, s.Grain = uint16(plan.Measure), plan.Grain
			exact[s] = c.Lo
		}
	}
	m := &w.Catalog.Measures[w.Measure]
	of = func(s report.Series) float64 { return exact[s] }
	if plan.Parts() == 1 && m.Kind != catalog.Retention {
		return of, true
	}
	need := needed(plan)
	p := d.parts[key]
	if len(p.Sums) != len(need) {
		p = partial{Block: plan.Block(start), Sums: make([]float64, len(need)), Have: make([]bool, len(need))}
	}
	again := slices.Contains(p.Starts, w.Start) && plan.Parts() > 1
	if !again && plan.Parts() > 1 {
		p.Starts = append(p.Starts, w.Start)
	}
	for i, s := range need {
		v, there := exact[s]
		switch {
		case again: // it is in the sum
		case plan.Parts() > 1:
			p.Sums[i] += v
		case there:
			p.Sums[i], p.Have[i] = v, true
		}
	}
	d.parts[key] = p
	if plan.Parts() > 1 {
		whole = len(p.Starts) == plan.Parts()
	} else {
		whole = !slices.Contains(p.Have, false)
	}
	sums := map[report.Series]float64{}
	for i, s := range need {
		sums[s] = p.Sums[i]
	}
	return func(s report.Series) float64 { return sums[s] }, whole
}

// needed are the exact figures a plan's cells are made of, in order.
func needed(plan *shared.Plan) []report.Series {
	var out []report.Series
	add := func(s report.Series) {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	for _, f := range plan.Families {
		for _, c := range f.Cells {
			add(c.Plus)
			if c.Less {
				add(c.Minus)
			}
		}
	}
	return out
}
