package run

import (
	"github.com/RoaringBitmap/roaring/v2"

	"github.com/fieldpost/fieldpost/agent/measure/daily"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Cohort is one figure of retention: those whose first activity lies in the window that starts then,
// and who were active Offset weeks later.
type Cohort struct {
	Start  int64
	Offset int
}

// CohortWindow is one figure of retention that is known now.
type CohortWindow struct {
	Grain report.Grain
	Cohort
	Cells []report.Cell
}

// Cohorts closes a calendar week: the figure of every cohort of a week that it says something of, the
// oldest first, and then of every cohort of twelve weeks for which it was the last of the twelve.
// zero says that nobody was active in the week.
func (f *World) Cohorts(r *Run, week int64) (out []CohortWindow, zero bool) {
	counts, zero := f.cohorts(r, week)
	begins := f.Started != NoDay
	for i := catalog.LastOffset; i >= 0; i-- {
		c := Cohort{week - 7*int64(i), i}
		if s := &r.Spans[report.Week]; begins && c.Start >= f.Started+28 && s.Covers(report.Week, c.Start) {
			out = append(out, CohortWindow{report.Week, c, r.cohortCells(report.Week, c, counts[i])})
		}
		b := Cohort{report.CivilStart(report.Block12w, c.Start), i}
		if s := &r.Spans[report.Block12w]; begins && b.Start >= f.Started+28 && s.Covers(report.Block12w, b.Start) {
			r.People.Cohorts[b] += counts[i]
		}
	}
	for i := catalog.LastOffset; i >= 0; i-- {
		b := Cohort{week - 7*int64(i) - 77, i}
		if report.CivilStart(report.Block12w, b.Start) != b.Start {
			continue
		}
		if n, ok := r.People.Cohorts[b]; ok {
			delete(r.People.Cohorts, b)
			out = append(out, CohortWindow{report.Block12w, b, r.cohortCells(report.Block12w, b, n)})
		}
	}
	return out, zero
}

// CohortNow is the size of a cohort that is not closed, as far as it is known.
func (f *World) CohortNow(r *Run, g report.Grain, start int64) uint64 {
	first, last := report.CivilDays(g, start)
	n := r.People.Cohorts[Cohort{start, 0}] // of a block: its weeks that have closed
	if g == report.Week {
		n = 0
	}
	for week := max(first, r.Spans[report.Week].Next); week <= last; week += 7 {
		counts, _ := f.cohorts(r, week)
		n += counts[0]
	}
	return n
}

// cohorts counts who was active in a week by how many weeks ago they were first.
func (f *World) cohorts(r *Run, week int64) (counts [catalog.LastOffset + 1]uint64, zero bool) {
	zero = true
	all := roaring.New()
	for _, set := range f.unions(r, 0, r.People.Book.In(daily.Window{Grain: report.Week, Start: week})) {
		all.Or(set)
	}
	for _, id := range f.who(r, all) {
		zero = false
		since := week - report.CivilStart(report.Week, int64(r.People.first(id)))
		if since >= 0 && since <= 7*catalog.LastOffset && !f.existing(id) {
			counts[since/7]++
		}
	}
	return counts, zero
}

// cohortCells is the one figure of a window of retention; it is there also when it is zero.
func (r *Run) cohortCells(g report.Grain, c Cohort, n uint64) []report.Cell {
	k := Group{}
	if c.Offset > 0 {
		k = Group{B: 1, V1: uint16(c.Offset - 1)}
	}
	cell := Exact(r.series(k, g, report.Value), float64(n))
	cell.Start, cell.Form = c.Start, report.Exact
	return []report.Cell{cell}
}

// CohortsEnd reports whether weeks from this one on say nothing of any cohort that is the run's.
func (r *Run) CohortsEnd(week int64) bool {
	oldest := report.CivilStart(report.Block12w, week-7*catalog.LastOffset-77)
	return week-7*catalog.LastOffset >= r.Spans[report.Week].Until && oldest >= r.Spans[report.Block12w].Until
}
