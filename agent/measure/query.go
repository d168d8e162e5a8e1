package measure

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/fieldpost/fieldpost/agent/measure/answer"
	"github.com/fieldpost/fieldpost/agent/measure/calendar"
	"github.com/fieldpost/fieldpost/agent/measure/run"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// asked is a query made ready.
type asked struct {
	answer.Asked
	spans map[uint32]run.Span // of each run, at the grain, open windows included
}

// Query returns the lines of one measure, open windows as they stand now. They are sorted by
// start, then dims.
func (f *Fold) Query(q Query) ([]Line, error) {
	a := &asked{Asked: answer.Asked{Query: q}, spans: map[uint32]run.Span{}}
	if err := f.check(a); err != nil {
		return nil, err
	}
	have := map[spanKey]bool{}
	cohorts := map[uint32]map[int64][]report.Cell{}
	take := func(s Stored) error {
		if s.Measure != q.Measure || s.Grain != q.Grain || s.Start < a.Min || s.Start > a.Max {
			return nil
		}
		cat := f.catalog(s.Catalog)
		if cat == nil {
			return nil // its catalog is gone: the cells cannot be named
		}
		m, _ := cat.Measure(s.Measure)
		if m != nil && m.Kind == catalog.Retention {
			if cohorts[s.Run] == nil {
				cohorts[s.Run] = map[int64][]report.Cell{}
			}
			cohorts[s.Run][s.Start] = append(cohorts[s.Run][s.Start], s.Cells...)
			return nil
		}
		if m != nil && f.inRange(a, s.Run, m, s.Start) {
			have[spanKey{s.Run, s.Start}] = true
			a.Add(cat, m, s.Start, s.Cells, true)
		}
		return nil
	}
	if f.cfg.Past != nil {
		if oldest := f.cfg.Past.Oldest(q.Grain); oldest > math.MinInt64 {
			a.Min = max(a.Min, calendar.Next(q.Grain, f.w.Cal.Start(q.Grain, oldest)))
		}
		if err := f.cfg.Past.Each(q.Measure, q.Grain, take); err != nil {
			return nil, fmt.Errorf("reading closed windows: %w", err)
		}
	}
	if p := f.closed[packKey{q.Measure, q.Grain}]; p != nil {
		if err := p.Each(take); err != nil {
			return nil, err
		}
	}
	if m, _ := a.Cat.Measure(q.Measure); m.Kind == catalog.Retention {
		f.queryCohorts(a, cohorts)
		return a.Lines(), nil
	}
	for _, r := range f.runs {
		if r.M.ID == q.Measure {
			f.queryOpen(a, r, have)
			f.zeroes(a, rangeOf{run: r.ID, measure: r.M.ID}, r, have)
		}
	}
	for _, e := range f.ended {
		if e.measure == q.Measure {
			f.zeroes(a, e, nil, have)
		}
	}
	return a.Lines(), nil
}

type spanKey struct {
	run   uint32
	start int64
}

// check resolves the names of a query against the adopted catalog, or an ended run's.
func (f *Fold) check(a *asked) error {
	var m *catalog.Measure
	var cat *catalog.Catalog
	if f.adopted != nil {
		cat = f.adopted
		m, _ = cat.Measure(a.Measure)
	}
	for i := len(f.ended) - 1; i >= 0 && m == nil; i-- {
		if f.ended[i].measure == a.Measure {
			if cat = f.catalog(f.ended[i].catalog); cat != nil {
				m, _ = cat.Measure(a.Measure)
			}
		}
	}
	if m == nil {
		return fmt.Errorf("%w: %q", ErrMeasure, a.Measure)
	}
	if !m.HasGrain(a.Grain) {
		return fmt.Errorf("%w: %s of %s", ErrGrain, a.Grain, a.Measure)
	}
	if len(a.By) > 0 && answer.Breakdown(m, a.By) == 0 {
		return fmt.Errorf("%w: %s by %s", ErrBreakdown, a.Measure, strings.Join(a.By, ", "))
	}
	a.Cat = cat
	var err error
	if a.Min, err = answer.Bound(a.Grain, a.From, math.MinInt64, false); err != nil {
		return err
	}
	a.Max, err = answer.Bound(a.Grain, a.To, math.MaxInt64, true)
	return err
}

// inRange keeps rolling28 to the days from the first to the last event and lifecycle to the
// windows from the first to the last with activity.
func (f *Fold) inRange(a *asked, id uint32, m *catalog.Measure, start int64) bool {
	if !answer.Filled(m) || (a.Grain != report.Rolling28 && m.Kind != catalog.Lifecycle && m.Kind != catalog.Seats) {
		return true
	}
	s := f.spanNow(a, id)
	return start >= s.Lo && start <= s.Hi
}

// opens is the open windows of a run in which something may have happened, in order.
func (f *Fold) opens(r *run.Run, g report.Grain) (starts []int64) {
	switch {
	case r.Path != nil:
		return f.opensPath(r, g)
	case r.People != nil && g.Civil():
		seen, today := map[int64]bool{}, f.w.Cal.Day(f.now)
		for _, w := range r.People.Book.Rests() {
			if w.Grain == g {
				seen[w.Start] = true
			}
		}
		for _, d := range r.People.Book.Days() {
			last := d
			if g == report.Rolling28 {
				last = d + 27
			}
			for ; d <= last; d++ {
				seen[report.CivilStart(g, d)] = true
			}
		}
		f.alsoOpen(r, g, seen)
		for s := range seen {
			if g == report.Rolling28 && s > today {
				continue // named by a day that has not come
			}
			if s >= r.Spans[g].Next && r.Spans[g].Covers(g, s) {
				starts = append(starts, s)
			}
		}
	case r.Traffic != nil:
		starts = slices.Collect(maps.Keys(r.Traffic.Open[g]))
	case r.Fact != nil && g == report.Day:
		for d := r.Spans[g].Next; d <= f.w.Cal.Day(f.now); d++ {
			starts = append(starts, d)
		}
	}
	slices.Sort(starts)
	return starts
}

// alsoOpen adds the open windows that have figures although nothing happened in them: who was here in the window
// before is dormant, and a day knows how many seats there are.
func (f *Fold) alsoOpen(r *run.Run, g report.Grain, seen map[int64]bool) {
	switch {
	case r.M.Kind == catalog.Lifecycle:
		for _, s := range slices.Collect(maps.Keys(seen)) {
			seen[calendar.Next(g, s)] = true
		}
	case r.M.Kind == catalog.Seats && g == report.Day:
		if days := r.People.Book.Days(); len(days) > 0 {
			for d := slices.Min(days); d <= slices.Max(days); d++ {
				seen[d] = true
			}
		}
	}
}

// spanNow is the span of a run at the grain asked for, with the open windows in it.
func (f *Fold) spanNow(a *asked, id uint32) run.Span {
	if s, ok := a.spans[id]; ok {
		return s
	}
	s := run.Everything()
	if r := f.run(id); r != nil {
		s = r.Spans[a.Grain]
		switch {
		case r.M.Kind == catalog.Retention:
			for _, d := range r.People.Book.Days() {
				if !f.w.Quiet(r, d) {
					s.Nonzero(report.CivilStart(a.Grain, d))
				}
			}
		case answer.Filled(r.M):
			look := a.Grain
			if look == report.Rolling28 {
				look = report.Day // its range is that of the days
			}
			for _, start := range f.opens(r, look) {
				if start < s.Next && r.People != nil {
					continue
				}
				if a.Grain == report.Rolling28 {
					if !f.w.Quiet(r, start) {
						s.Nonzero(start)
					}
				} else if _, zero := f.w.Cells(r, look, start); !zero {
					s.Nonzero(start)
				}
			}
		}
	} else if i := slices.IndexFunc(f.ended, func(e rangeOf) bool { return e.run == id }); i >= 0 {
		s = f.ended[i].spans[a.Grain]
	}
	a.spans[id] = s
	return s
}

// queryOpen answers for the open windows.
func (f *Fold) queryOpen(a *asked, r *run.Run, have map[spanKey]bool) {
	for _, start := range f.opens(r, a.Grain) {
		if start < a.Min || start > a.Max || have[spanKey{r.ID, start}] || !r.Measures(&f.w, a.Grain, start) || !f.inRange(a, r.ID, r.M, start) {
			continue
		}
		cells, _ := f.w.Cells(r, a.Grain, start)
		if r.Fact == nil && answer.AllZero(cells) {
			continue // zeroes makes its line, if it has one
		}
		have[spanKey{r.ID, start}] = true
		a.Add(r.Cat, r.M, start, cells, false)
	}
}

// zeroes adds the zero lines of totals between the first and the last window of a run that was not
// zero.
func (f *Fold) zeroes(a *asked, e rangeOf, r *run.Run, have map[spanKey]bool) {
	cat := f.catalog(e.catalog)
	if r != nil {
		cat = r.Cat
	}
	if cat == nil || len(a.By) > 0 {
		return
	}
	m, _ := cat.Measure(e.measure)
	if m == nil || !answer.Filled(m) || !m.HasGrain(a.Grain) {
		return
	}
	s := f.spanNow(a, e.run)
	if s.Lo > s.Hi {
		return
	}
	start := s.Lo
	if a.Min > start {
		start = calendar.Floor(a.Grain, a.Min)
	}
	for ; start <= s.Hi && start <= a.Max; start = calendar.Next(a.Grain, start) {
		switch {
		case start < a.Min || start < s.Lo || have[spanKey{e.run, start}] || !s.Covers(a.Grain, start):
		case r != nil && !r.Measures(&f.w, a.Grain, start):
		case r == nil && m.Kind == catalog.Lifecycle && f.w.Started != run.NoDay && start < f.w.Started+28:
		default:
			_, end := f.w.Cal.Span(a.Grain, start)
			closed := r == nil || end+r.Grace <= f.now
			a.Put(start, nil, answer.Zero(m, a.Grain), closed)
		}
	}
}
