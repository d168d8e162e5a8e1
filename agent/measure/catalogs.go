package measure

import (
	"errors"
	"math"
	"slices"

	"github.com/fieldpost/fieldpost/agent/measure/calendar"
	"github.com/fieldpost/fieldpost/agent/measure/people"
	"github.com/fieldpost/fieldpost/agent/measure/run"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

var errOrder = errors.New("journal record was applied before")

// on reports whether the customer lets the measure be taken at all.
func (f *Fold) on(m *catalog.Measure) bool {
	if f.cfg.SimpleLocal {
		return true
	}
	return f.consent != nil && f.consent.Decision(m.Category).Level.AtLeast(exchange.Local)
}

func (f *Fold) adopt(cat *catalog.Catalog) {
	if cat == nil || cat == f.adopted {
		return
	}
	f.adopted = cat
	f.rerun()
}

// rerun makes the runs fit the adopted catalog and the consent in force.
func (f *Fold) rerun() {
	clear(f.plans)
	if f.adopted == nil {
		return
	}
	had := len(f.runs) > 0
	old := f.runs
	f.runs = nil
	for i := range f.adopted.Measures {
		m := &f.adopted.Measures[i]
		var same []*run.Run
		for _, r := range old {
			if r.M.ID == m.ID {
				same = append(same, r)
			}
		}
		if !f.on(m) {
			continue // ended below
		}
		f.runs = append(f.runs, f.runsOf(same, i)...)
	}
	for _, r := range old {
		if !slices.Contains(f.runs, r) {
			f.end(r)
		}
	}
	if had && len(f.runs) == 0 {
		// run.Everything() is off: nothing stays known, and history begins again.
		f.w.People, f.w.Started, f.w.Began = people.New(), run.NoDay, 0
		clear(f.streams)
	}
	f.due = slices.DeleteFunc(f.due, func(d due) bool { return d.run != 0 && f.run(d.run) == nil })
	slices.SortFunc(f.due, compareDue) // a sorted slice is a heap
	f.needPeople = slices.ContainsFunc(f.runs, reads)
	if len(f.runs) > 0 && !slices.ContainsFunc(f.due, func(d due) bool { return d.run == 0 }) {
		day := f.w.Cal.Day(f.now) + 1
		f.push(due{at: f.w.Cal.Begin(day), start: day})
	}
	f.userFacts()
	f.programFacts()
}

// runsOf is the runs of measure i of the adopted catalog, given those it had.
func (f *Fold) runsOf(same []*run.Run, i int) []*run.Run {
	m := &f.adopted.Measures[i]
	if len(same) == 0 {
		return []*run.Run{f.newRun(i, nil)}
	}
	last := same[len(same)-1]
	if last.M.DefHash == m.DefHash {
		f.rebind(last, i)
		return same
	}
	// The definition changed. A run that has not begun yet is dropped, and the one before it goes on.
	if len(same) > 1 && f.pending(last) {
		before := same[len(same)-2]
		same = same[:len(same)-1]
		if before.M.DefHash == m.DefHash {
			for g := range before.Spans {
				before.Spans[g].Until = math.MaxInt64
			}
			f.rebind(before, i)
			f.schedule(before)
			return same
		}
		last = before
	}
	if last.Fact != nil { // a fact has no open windows to finish
		return []*run.Run{f.newRun(i, last)}
	}
	return append(same, f.newRun(i, last))
}

// pending reports whether the run's first windows lie ahead.
func (f *Fold) pending(r *run.Run) bool {
	s := r.Spans[r.M.Grains()[0]]
	if s.From == math.MinInt64 {
		return false
	}
	begin, _ := f.w.Cal.Span(r.M.Grains()[0], s.From)
	return begin > f.now
}

func (f *Fold) rebind(r *run.Run, i int) {
	if r.Cat == f.adopted {
		return
	}
	r.Bind(f.w.People, f.adopted, i)
	for j := range f.due {
		if f.due[j].run == r.ID {
			f.due[j].mi = i
		}
	}
}

// newRun begins to measure; before is the run it takes over from, or nil.
func (f *Fold) newRun(i int, before *run.Run) *run.Run {
	r := run.New(f.w.People, f.nextRun, f.adopted, i, f.now)
	f.nextRun++
	if before != nil {
		for _, g := range r.M.Grains() {
			from := calendar.Next(g, f.w.Cal.Start(g, f.now))
			switch {
			case r.Fact != nil:
				from = math.MinInt64
				if g == report.Day {
					from = f.w.Cal.Day(f.now)
				}
			case r.People != nil:
				from = calendar.Next(report.Month, f.w.Cal.Start(report.Month, f.now))
			}
			r.Spans[g].From = from
			before.Spans[g].Until = min(before.Spans[g].Until, from)
		}
		if r.People != nil && before.People != nil {
			r.TakesOver(before)
		}
	}
	f.schedule(r)
	return r
}

// schedule enters the chains of windows that are closed whether or not anything happens.
func (f *Fold) schedule(r *run.Run) {
	for _, g := range r.Chains() {
		if slices.ContainsFunc(f.due, func(d due) bool { return d.run == r.ID && d.grain == g }) {
			continue
		}
		// The earliest window that is still open: late events may belong to it.
		start := f.w.Cal.Start(g, f.now-r.Grace)
		if s := &r.Spans[g]; s.From != math.MinInt64 {
			for calendar.FirstOf(g, start) < s.From {
				start = calendar.Next(g, start)
			}
		}
		_, end := f.w.Cal.Span(g, start)
		for end+r.Grace <= f.now {
			start = calendar.Next(g, start)
			_, end = f.w.Cal.Span(g, start)
		}
		r.Spans[g].Next = start
		f.push(due{at: end + r.Grace, mi: r.Mi, run: r.ID, grain: g, start: start})
	}
}

// end forgets a run but for the range of its figures.
func (f *Fold) end(r *run.Run) {
	for _, s := range r.Spans {
		if s.Lo <= s.Hi {
			f.ended = append(f.ended, rangeOf{r.ID, r.M.ID, prefixOf(r.Cat), r.Spans})
			break
		}
	}
}

// finished drops runs whose last window was closed.
func (f *Fold) finished(r *run.Run) {
	for _, g := range r.M.Grains() {
		if r.Spans[g].Until == math.MaxInt64 {
			return
		}
	}
	if slices.ContainsFunc(f.due, func(d due) bool { return d.run == r.ID }) {
		return
	}
	for _, g := range r.M.Grains() {
		if f.runOpen(r, g) {
			return
		}
	}
	f.end(r)
	f.runs = slices.DeleteFunc(f.runs, func(x *run.Run) bool { return x == r })
	clear(f.plans)
}

// runOpen reports whether windows of the grain may still begin.
func (f *Fold) runOpen(r *run.Run, g report.Grain) bool {
	begin, _ := f.w.Cal.Span(g, max(r.Spans[g].Until, 0))
	return r.Spans[g].Until != math.MaxInt64 && begin > f.now
}
