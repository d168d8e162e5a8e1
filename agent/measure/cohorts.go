package measure

import (
	"slices"

	"github.com/fieldpost/fieldpost/agent/measure/answer"
	"github.com/fieldpost/fieldpost/agent/measure/calendar"
	"github.com/fieldpost/fieldpost/agent/measure/run"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// cohorts closes a week of retention. Each figure of a cohort is a window of its own, with the cohort's
// start: a cohort of a week has 27 of them over half a year, one for each week that closes.
func (f *Fold) cohorts(r *run.Run, d due) {
	windows, zero := f.w.Cohorts(r, d.start)
	if !zero {
		r.Spans[report.Week].Nonzero(d.start)
		r.Spans[report.Block12w].Nonzero(report.CivilStart(report.Block12w, d.start))
	}
	if _, end := f.w.Cal.Span(report.Week, d.start); end <= r.Created {
		return
	}
	for _, w := range windows {
		stored := Stored{Run: r.ID, Measure: r.M.ID, Catalog: prefixOf(r.Cat), Grain: w.Grain, Start: w.Start, Closed: d.at, Cells: w.Cells}
		if !answer.AllZero(w.Cells) {
			f.keep(&stored)
		}
		if f.cfg.Closed != nil {
			f.cfg.Closed(&Window{Catalog: r.Cat, Measure: r.Mi, Grain: w.Grain, Start: w.Start, Offset: w.Offset, Closed: d.at, Cells: slices.Clone(w.Cells)})
		}
	}
}

// queryCohorts answers for a retention: one line for every cohort that can exist and has closed, up to
// the last week in which the measure matched.
func (f *Fold) queryCohorts(a *asked, found map[uint32]map[int64][]report.Cell) {
	for _, r := range f.runs {
		if r.M.ID == a.Measure {
			f.cohortLines(a, r.ID, f.spanNow(a, r.ID), r, found[r.ID])
		}
	}
	for _, e := range f.ended {
		if e.measure == a.Measure {
			f.cohortLines(a, e.run, e.spans[a.Grain], nil, found[e.run])
		}
	}
}

func (f *Fold) cohortLines(a *asked, id uint32, s run.Span, r *run.Run, found map[int64][]report.Cell) {
	if s.Lo > s.Hi || f.w.Started == run.NoDay {
		return
	}
	first := max(s.From, f.w.Started+28)
	if r != nil && r.Created > f.w.Began { // it came later
		first = max(first, f.w.Cal.Start(a.Grain, r.Created))
	}
	start := report.CivilStart(a.Grain, first)
	if start < first {
		start = calendar.Next(a.Grain, start)
	}
	for ; start <= s.Hi && start <= a.Max && start < s.Until; start = calendar.Next(a.Grain, start) {
		closed := f.closedOffsets(a.Grain, start, r)
		if start < a.Min {
			continue
		}
		if closed == 0 {
			n := int64(f.w.CohortNow(r, a.Grain, start))
			a.Put(start, nil, answer.RetentionValue{Size: n, Active: []int64{n}}, false)
			continue
		}
		v := answer.RetentionValue{Active: make([]int64, closed)}
		for _, c := range found[start] {
			switch {
			case c.Breakdown == 0:
				v.Size, v.Active[0] = int64(c.Lo), int64(c.Lo)
			case int(c.V1)+1 < closed:
				v.Active[c.V1+1] = int64(c.Lo)
			}
		}
		a.Put(start, nil, v, true)
	}
}

// closedOffsets is how many figures of a cohort are known.
func (f *Fold) closedOffsets(g report.Grain, start int64, r *run.Run) int {
	last := start // the week whose end makes the size known
	if g == report.Block12w {
		last += 77
	}
	n := catalog.LastOffset + 1
	if r == nil {
		return n // the run has ended: all its cohorts are complete
	}
	if next := r.Spans[report.Week].Next; !r.Spans[report.Week].Done {
		n = int(min(int64(n), max(0, (next-last)/7)))
	}
	return n
}
