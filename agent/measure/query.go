package measure

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/fieldpost/fieldpost/agent/measure/calendar"
	"github.com/fieldpost/fieldpost/agent/measure/run"
	"github.com/fieldpost/fieldpost/agent/measure/series"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Errors of Query; match them with errors.Is.
var (
	ErrMeasure   = errors.New("no such measure")
	ErrGrain     = errors.New("measure has no windows of that grain")
	ErrBreakdown = errors.New("measure has no such breakdown")
	ErrRange     = errors.New("from and to are dates or times")
)

// asked is a query made ready.
type asked struct {
	Query
	cat      *catalog.Catalog
	from, to int64
	spans    map[uint32]run.Span // of each run, at the grain, open windows included
	order    []ordered
}

type ordered struct {
	start int64
	dims  string
	line  Line
}

// Query returns the lines of one measure, open windows as they stand now. They are sorted by
// start, then dims.
func (f *Fold) Query(q Query) ([]Line, error) {
	a := &asked{Query: q, spans: map[uint32]run.Span{}}
	if err := f.check(a); err != nil {
		return nil, err
	}
	have := map[spanKey]bool{}
	cohorts := map[uint32]map[int64][]report.Cell{}
	take := func(s Stored) error {
		if s.Measure != q.Measure || s.Grain != q.Grain || s.Start < a.from || s.Start > a.to {
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
			a.add(cat, m, s.Start, s.Cells, true)
		}
		return nil
	}
	if f.cfg.Past != nil {
		if oldest := f.cfg.Past.Oldest(q.Grain); oldest > math.MinInt64 {
			a.from = max(a.from, calendar.Next(q.Grain, f.w.Cal.Start(q.Grain, oldest)))
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
	if m, _ := a.cat.Measure(q.Measure); m.Kind == catalog.Retention {
		f.queryCohorts(a, cohorts)
		return a.sorted(), nil
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
	return a.sorted(), nil
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
	if len(a.By) > 0 && breakdownOf(m, a.By) == 0 {
		return fmt.Errorf("%w: %s by %s", ErrBreakdown, a.Measure, strings.Join(a.By, ", "))
	}
	a.cat = cat
	var err error
	if a.from, err = bound(a.Grain, a.From, math.MinInt64, false); err != nil {
		return err
	}
	a.to, err = bound(a.Grain, a.To, math.MaxInt64, true)
	return err
}

// bound reads from or to. A date with a grain of seconds is the whole day in UTC.
func bound(g report.Grain, s string, none int64, last bool) (int64, error) {
	if s == "" {
		return none, nil
	}
	if v, err := report.ParseStart(g, s); err == nil {
		return v, nil
	}
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		if last {
			t = t.Add(24*time.Hour - time.Second)
		}
		return t.Unix(), nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return 0, fmt.Errorf("%w: %q", ErrRange, s)
	}
	y, mo, d := t.Date()
	return time.Date(y, mo, d, 0, 0, 0, 0, time.UTC).Unix() / 86400, nil
}

// breakdownOf is the number of the breakdown with these names, in any order; 0 when there is none.
func breakdownOf(m *catalog.Measure, by []string) int {
	want := slices.Sorted(slices.Values(by))
	for i, b := range m.By {
		if slices.Equal(slices.Sorted(slices.Values(b)), want) {
			return i + 1
		}
	}
	return pathBreakdown(m, want)
}

// inRange keeps rolling28 to the days from the first to the last event and lifecycle to the
// windows from the first to the last with activity.
func (f *Fold) inRange(a *asked, id uint32, m *catalog.Measure, start int64) bool {
	if !filled(m) || (a.Grain != report.Rolling28 && m.Kind != catalog.Lifecycle && m.Kind != catalog.Seats) {
		return true
	}
	s := f.spanNow(a, id)
	return start >= s.Lo && start <= s.Hi
}

// filled reports whether a measure's totals have zero lines.
func filled(m *catalog.Measure) bool {
	switch m.Kind {
	case catalog.Count, catalog.ActiveUsers, catalog.Lifecycle, catalog.Funnel, catalog.Stickiness, catalog.Adoption, catalog.Seats:
		return true
	}
	return false
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
		case filled(r.M):
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
		if start < a.from || start > a.to || have[spanKey{r.ID, start}] || !r.Measures(&f.w, a.Grain, start) || !f.inRange(a, r.ID, r.M, start) {
			continue
		}
		cells, _ := f.w.Cells(r, a.Grain, start)
		if r.Fact == nil && allZero(cells) {
			continue // zeroes makes its line, if it has one
		}
		have[spanKey{r.ID, start}] = true
		a.add(r.Cat, r.M, start, cells, false)
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
	if m == nil || !filled(m) || !m.HasGrain(a.Grain) {
		return
	}
	s := f.spanNow(a, e.run)
	if s.Lo > s.Hi {
		return
	}
	start := s.Lo
	if a.from > start {
		start = f.floor(a.Grain, a.from)
	}
	for ; start <= s.Hi && start <= a.to; start = calendar.Next(a.Grain, start) {
		switch {
		case start < a.from || start < s.Lo || have[spanKey{e.run, start}] || !s.Covers(a.Grain, start):
		case r != nil && !r.Measures(&f.w, a.Grain, start):
		case r == nil && m.Kind == catalog.Lifecycle && f.w.Started != run.NoDay && start < f.w.Started+28:
		default:
			_, end := f.w.Cal.Span(a.Grain, start)
			closed := r == nil || end+r.Grace <= f.now
			a.line(start, nil, zeroValue(m, a.Grain), closed)
		}
	}
}

// floor is the start of the window that holds v, both in the unit of the grain's starts.
func (f *Fold) floor(g report.Grain, v int64) int64 {
	switch g {
	case report.FiveMinutes:
		return calendar.FloorDiv(v, 300) * 300
	case report.Hour:
		return calendar.FloorDiv(v, 3600) * 3600
	}
	return report.CivilStart(g, v)
}

func zeroValue(m *catalog.Measure, g report.Grain) any {
	switch m.Kind {
	case catalog.Lifecycle:
		return LifecycleValue{}
	case catalog.Funnel:
		return *newFunnelValue(m)
	}
	if v, ok := wholeValue(m, g, nil); ok {
		return v
	}
	return int64(0)
}

// add makes the lines of a window from its cells.
func (a *asked) add(cat *catalog.Catalog, m *catalog.Measure, start int64, cells []report.Cell, closed bool) {
	if m.Kind == catalog.Funnel {
		a.addFunnel(cat, m, start, cells, closed)
		return
	}
	if v, ok := wholeValue(m, a.Grain, cells); ok {
		a.line(start, nil, v, closed)
		return
	}
	b := 0
	if len(a.By) > 0 {
		if b = breakdownOf(m, a.By); b == 0 {
			return // an older definition without this breakdown
		}
	}
	groups := map[run.Group][]report.Cell{}
	for _, c := range cells {
		if int(c.Breakdown) == b {
			k := run.Group{B: c.Breakdown, V1: c.V1, V2: c.V2}
			groups[k] = append(groups[k], c)
		}
	}
	for k, cs := range groups {
		var dims map[string]string
		if b > 0 {
			if allZero(cs) {
				continue
			}
			dims = map[string]string{}
			of := cat.Breakdowns(m)[b-1]
			for i, name := range of.Dims {
				if p := of.Props[i]; p != nil {
					dims[name] = p.ValueName([]uint16{k.V1, k.V2}[i])
				}
			}
		}
		a.line(start, dims, valueOf(m, cs), closed)
	}
}

func (a *asked) line(start int64, dims map[string]string, value any, closed bool) {
	if dims == nil {
		dims = map[string]string{}
	}
	key := ""
	for _, name := range slices.Sorted(maps.Keys(dims)) {
		key += name + "\x00" + dims[name] + "\x00"
	}
	a.order = append(a.order, ordered{start, key, Line{
		Measure: a.Measure, Grain: a.Grain.String(), Start: report.StartString(a.Grain, start), Dims: dims, Value: value, Closed: closed,
	}})
}

func (a *asked) sorted() []Line {
	slices.SortStableFunc(a.order, func(x, y ordered) int {
		if c := cmp.Compare(x.start, y.start); c != 0 {
			return c
		}
		return cmp.Compare(x.dims, y.dims)
	})
	lines := make([]Line, 0, len(a.order))
	for _, o := range a.order {
		lines = append(lines, o.line)
	}
	return lines
}

// valueOf is the value of a line.
func valueOf(m *catalog.Measure, cells []report.Cell) any {
	v := map[report.Field]float64{}
	blob := map[report.Field][]byte{}
	for _, c := range cells {
		v[c.Field], blob[c.Field] = c.Lo, c.Blob
	}
	n := func(f report.Field) int64 { return int64(v[f]) }
	switch m.Kind {
	case catalog.Lifecycle:
		return LifecycleValue{n(report.New), n(report.Retained), n(report.Resurrected), n(report.Dormant)}
	case catalog.Distribution:
		d := DistributionValue{Count: n(report.Count), Sum: v[report.Sum]}
		if q := series.Quantiles(blob[report.Sketch], 0.5, 0.9, 0.95, 0.99); q != nil {
			d.P50, d.P90, d.P95, d.P99 = &q[0], &q[1], &q[2], &q[3]
		}
		return d
	case catalog.Gauge:
		return GaugeValue{v[report.Last], v[report.Min], v[report.Max], v[report.Mean]}
	case catalog.Counter:
		return CounterValue{v[report.Increase]}
	case catalog.Histogram:
		return HistogramValue{n(report.Count), v[report.Sum], series.DecodeBuckets(blob[report.Buckets])}
	case catalog.FirstTime:
		return FirstTimeValue{m.Listed(report.Value, 0)[n(report.Value)]}
	case catalog.Fact:
		p := catalog.Property{Values: run.FactValues(m)}
		return FactValue{p.ValueName(uint16(n(report.Value))), time.Unix(n(report.Since), 0).UTC().Format(time.RFC3339)}
	case catalog.Availability:
		a := AvailabilityValue{Up: n(report.Up), Down: n(report.Down), Maintenance: n(report.Maintenance), Unknown: n(report.Unseen), Incidents: n(report.Incidents)}
		seen := a.Up + a.Down
		if seen > 0 {
			share := float64(a.Up) / float64(seen)
			a.Availability = &share
		}
		if all := seen + a.Maintenance + a.Unknown; all > 0 {
			a.Coverage = float64(seen) / float64(all)
		}
		return a
	case catalog.SLO:
		s := SLOValue{Good: n(report.Good), Valid: n(report.Valid)}
		if s.Valid > 0 {
			ratio := float64(s.Good) / float64(s.Valid)
			s.Ratio = &ratio
		}
		return s
	case catalog.Sufficient:
		return sufficientValue(m, v)
	}
	return n(report.Value)
}
