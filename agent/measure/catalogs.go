package measure

import (
	"errors"
	"math"
	"slices"
	"strings"

	"github.com/fieldpost/fieldpost/agent/measure/people"
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
		var same []*run
		for _, r := range old {
			if r.m.ID == m.ID {
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
		// Everything is off: nothing stays known, and history begins again.
		f.people, f.started = people.New(), noDay
		clear(f.streams)
	}
	f.due = slices.DeleteFunc(f.due, func(d due) bool { return d.run != 0 && f.run(d.run) == nil })
	slices.SortFunc(f.due, compareDue) // a sorted slice is a heap
	f.needPeople = slices.ContainsFunc(f.runs, func(r *run) bool { return r.people != nil || r.userFact() })
	if len(f.runs) > 0 && !slices.ContainsFunc(f.due, func(d due) bool { return d.run == 0 }) {
		day := f.cal.day(f.now) + 1
		f.push(due{at: f.cal.begin(day), start: day})
	}
	f.userFacts()
	f.programFacts()
}

// runsOf is the runs of measure i of the adopted catalog, given those it had.
func (f *Fold) runsOf(same []*run, i int) []*run {
	m := &f.adopted.Measures[i]
	if len(same) == 0 {
		return []*run{f.newRun(i, nil)}
	}
	last := same[len(same)-1]
	if last.m.DefHash == m.DefHash {
		f.rebind(last, i)
		return same
	}
	// The definition changed. A run that has not begun yet is dropped, and the one before it goes on.
	if len(same) > 1 && last.pending(f) {
		before := same[len(same)-2]
		same = same[:len(same)-1]
		if before.m.DefHash == m.DefHash {
			for g := range before.spans {
				before.spans[g].until = math.MaxInt64
			}
			f.rebind(before, i)
			f.schedule(before)
			return same
		}
		last = before
	}
	if last.fact != nil { // a fact has no open windows to finish
		return []*run{f.newRun(i, last)}
	}
	return append(same, f.newRun(i, last))
}

// pending reports whether the run's first windows lie ahead.
func (r *run) pending(f *Fold) bool {
	s := r.spans[r.m.Grains()[0]]
	if s.from == math.MinInt64 {
		return false
	}
	begin, _ := f.cal.span(r.m.Grains()[0], s.from)
	return begin > f.now
}

func (f *Fold) rebind(r *run, i int) {
	if r.cat == f.adopted {
		return
	}
	r.bind(f.people, f.adopted, i)
	for j := range f.due {
		if f.due[j].run == r.id {
			f.due[j].mi = i
		}
	}
}

// newRun begins to measure; before is the run it takes over from, or nil.
func (f *Fold) newRun(i int, before *run) *run {
	r := newRun(f.people, f.nextRun, f.adopted, i, f.now)
	f.nextRun++
	if before != nil {
		for _, g := range r.m.Grains() {
			from := next(g, f.cal.start(g, f.now))
			switch {
			case r.fact != nil:
				from = math.MinInt64
				if g == report.Day {
					from = f.cal.day(f.now)
				}
			case r.people != nil:
				from = next(report.Month, f.cal.start(report.Month, f.now))
			}
			r.spans[g].from = from
			before.spans[g].until = min(before.spans[g].until, from)
		}
		if r.people != nil && before.people != nil {
			r.people.first = slices.Clone(before.people.first)
		}
	}
	f.schedule(r)
	return r
}

// schedule enters the chains of windows that are closed whether or not anything happens.
func (f *Fold) schedule(r *run) {
	for _, g := range r.chains() {
		if slices.ContainsFunc(f.due, func(d due) bool { return d.run == r.id && d.grain == g }) {
			continue
		}
		// The earliest window that is still open: late events may belong to it.
		start := f.cal.start(g, f.now-r.grace)
		if s := &r.spans[g]; s.from != math.MinInt64 {
			for firstOf(g, start) < s.from {
				start = next(g, start)
			}
		}
		_, end := f.cal.span(g, start)
		for end+r.grace <= f.now {
			start = next(g, start)
			_, end = f.cal.span(g, start)
		}
		r.spans[g].next = start
		f.push(due{at: end + r.grace, mi: r.mi, run: r.id, grain: g, start: start})
	}
}

// chains are the grains whose windows follow each other without a gap.
func (r *run) chains() []report.Grain {
	switch {
	case r.people != nil:
		return r.personGrains()
	case r.fact != nil, r.m.Kind == catalog.Count:
		return []report.Grain{report.Day}
	}
	return nil
}

// end forgets a run but for the range of its figures.
func (f *Fold) end(r *run) {
	for _, s := range r.spans {
		if s.lo <= s.hi {
			f.ended = append(f.ended, rangeOf{r.id, r.m.ID, prefixOf(r.cat), r.spans})
			break
		}
	}
}

// finished drops runs whose last window was closed.
func (f *Fold) finished(r *run) {
	for _, g := range r.m.Grains() {
		if r.spans[g].until == math.MaxInt64 {
			return
		}
	}
	if slices.ContainsFunc(f.due, func(d due) bool { return d.run == r.id }) {
		return
	}
	for _, g := range r.m.Grains() {
		if f.runOpen(r, g) {
			return
		}
	}
	f.end(r)
	f.runs = slices.DeleteFunc(f.runs, func(x *run) bool { return x == r })
	clear(f.plans)
}

// runOpen reports whether windows of the grain may still begin.
func (f *Fold) runOpen(r *run, g report.Grain) bool {
	begin, _ := f.cal.span(g, max(r.spans[g].until, 0))
	return r.spans[g].until != math.MaxInt64 && begin > f.now
}

// userFactOf reads from: user.TRAIT=VALUE.
func userFactOf(m *catalog.Measure) (trait, value string, ok bool) {
	rest, ok := strings.CutPrefix(m.From, "user.")
	if !ok || m.Kind != catalog.Fact {
		return "", "", false
	}
	return strings.Cut(rest, "=")
}
