package measure

import (
	"math"
	"slices"
	"time"

	"github.com/fieldpost/fieldpost/agent/measure/series"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// trafficState is what a measure of traffic or machines keeps: its open windows.
type trafficState struct {
	open [grains]map[int64]*bucket // 5m, hour, day

	gauge *series.Gauge
	avail *series.Availability
	burn  map[int64][2]uint64 // slo: good and valid by 5 minutes, three days of them
}

// bucket is one open window. Gauges and availability keep their figures elsewhere and only the
// window's existence here.
type bucket struct{ groups map[group]*tally }

type tally struct {
	n       [2]uint64 // slo: good, valid; count: only the second
	dist    series.Dist
	sum     series.Fixed // counter: increase; histogram: sum
	count   uint64       // histogram
	buckets []uint64     // histogram
}

func newTrafficState(m *catalog.Measure) *trafficState {
	s := &trafficState{}
	for _, g := range m.Grains() {
		s.open[g] = map[int64]*bucket{}
	}
	switch m.Kind {
	case catalog.Gauge:
		s.gauge = series.NewGauge()
	case catalog.Availability:
		s.avail = &series.Availability{}
	case catalog.SLO:
		s.burn = map[int64][2]uint64{}
	}
	return s
}

// windows calls fn for each open window of r that holds the moment. It counts the moment as late
// when some window is closed already.
func (f *Fold) windows(r *run, at int64, fn func(g report.Grain, start int64, b *bucket)) {
	late := false
	for _, g := range r.m.Grains() {
		start := f.cal.start(g, at)
		b, open := f.window(r, g, start)
		late = late || !open
		if b != nil {
			fn(g, start, b)
		}
	}
	if late {
		f.acc.LateFor[r.m.ID]++
	}
}

// window is the open window with that start, made if need be; nil when it is closed (open is
// false) or not r's.
func (f *Fold) window(r *run, g report.Grain, start int64) (b *bucket, open bool) {
	if b := r.traffic.open[g][start]; b != nil {
		return b, true
	}
	_, end := f.cal.span(g, start)
	if end+r.grace <= f.now {
		return nil, false
	}
	if !r.spans[g].covers(g, start) {
		return nil, true
	}
	b = &bucket{}
	r.traffic.open[g][start] = b
	if !slices.Contains(r.chains(), g) {
		f.push(due{at: end + r.grace, mi: r.mi, run: r.id, grain: g, start: start})
	}
	return b, true
}

func (b *bucket) tally(k group) *tally {
	t := b.groups[k]
	if t == nil {
		t = &tally{}
		if b.groups == nil {
			b.groups = map[group]*tally{}
		}
		b.groups[k] = t
	}
	return t
}

// addTraffic adds a matching event to its windows. A breakdown by a trait takes what is known now.
func (f *Fold) addTraffic(fd *feed, e *record.Event, id uint32, combo uint32) {
	r := fd.r
	var bin int32
	var sum series.Fixed
	if r.m.Kind == catalog.Distribution {
		v := find(e.Properties, int(fd.number))
		if v == nil {
			return
		}
		bin, sum = f.bins.Of(decimal(v.Number)), series.FromDecimal(v.Number)
	}
	f.windows(r, e.Time, func(g report.Grain, start int64, b *bucket) {
		for i := range r.breaks {
			t := b.tally(r.key(i, combo, f.people, id))
			switch r.m.Kind {
			case catalog.Distribution:
				t.dist.Add(bin, 1, sum)
			case catalog.SLO:
				t.n[fd.field()]++
			default:
				t.n[1]++
			}
		}
		if g == report.FiveMinutes && r.m.Kind == catalog.SLO {
			r.traffic.burnAdd(start, fd.field(), 1)
		}
	})
}

func (fd *feed) field() int {
	if fd.good {
		return 0
	}
	return 1
}

// cells of a window of traffic or machines.
func (f *Fold) traffic(r *run, g report.Grain, start int64) (cells []report.Cell, zero bool) {
	begin, end := f.cal.span(g, start)
	b := r.traffic.open[g][start]
	switch r.m.Kind {
	case catalog.Gauge:
		for k, v := range r.gauges(f, begin, end) {
			for i, x := range []float64{v.Last, v.Min, v.Max, v.Mean()} {
				cells = append(cells, exact(r.series(k, g, r.m.Fields()[i]), x))
			}
		}
	case catalog.Availability:
		if b != nil {
			v := r.traffic.avail.Window(begin/1e9, end/1e9)
			for i, n := range []int64{v.Up, v.Down, v.Maintenance, v.Unknown, v.Incidents} {
				cells = append(cells, exact(r.series(group{}, g, r.m.Fields()[i]), float64(n)))
			}
		}
	default:
		cells = r.tallyCells(g, b)
	}
	zero = len(cells) == 0
	if zero && r.m.Kind == catalog.Count {
		cells = append(cells, exact(r.series(group{}, g, report.Value), 0))
	}
	for i := range cells {
		cells[i].Start, cells[i].Form = start, report.Exact
	}
	slices.SortFunc(cells, func(a, b report.Cell) int { return a.Series.Compare(b.Series) })
	return cells, zero
}

func (r *run) tallyCells(g report.Grain, b *bucket) (cells []report.Cell) {
	if b == nil {
		return nil
	}
	for k, t := range b.groups {
		switch r.m.Kind {
		case catalog.Count:
			cells = append(cells, exact(r.series(k, g, report.Value), float64(t.n[1])))
		case catalog.SLO:
			cells = append(cells, exact(r.series(k, g, report.Good), float64(t.n[0])), exact(r.series(k, g, report.Valid), float64(t.n[1])))
		case catalog.Distribution:
			cells = append(cells, r.distCells(k, g, &t.dist)...)
		case catalog.Counter:
			cells = append(cells, exact(r.series(k, g, report.Increase), t.sum.Float()))
		case catalog.Histogram:
			cells = append(cells, exact(r.series(k, g, report.Count), float64(t.count)), exact(r.series(k, g, report.Sum), t.sum.Float()),
				report.Cell{Series: r.series(k, g, report.Buckets), Blob: series.EncodeBuckets(t.buckets)})
		}
	}
	return cells
}

// gauges is what the gauge's streams show in [begin, end), by group.
func (r *run) gauges(f *Fold, begin, end int64) map[group]*series.Reading {
	out := map[group]*series.Reading{}
	r.traffic.gauge.Window(begin, end, func(combo uint32, v series.Reading) {
		for i := range r.breaks {
			k := r.key(i, combo, f.people, math.MaxUint32)
			if out[k] == nil {
				out[k] = &series.Reading{}
			}
			out[k].Merge(v)
		}
	})
	return out
}

// result folds one answer of a probe in.
func (f *Fold) result(p *plan, x *record.Result) {
	if int(x.Probe) >= len(p.probes) {
		return
	}
	state := series.Down
	switch {
	case x.Maintenance:
		state = series.Maintained
	case x.Up:
		state = series.Up
	}
	at := floorDiv(x.Time, 1e9)
	until := at + max(0, min(-floorDiv(-x.Interval, 1e9), 24*3600))
	for i := range p.probes[x.Probe].feeds {
		r := p.probes[x.Probe].feeds[i].r
		if at*1e9 < f.now-dayNs || at*1e9 > f.now+5*int64(time.Minute) {
			f.acc.LateFor[r.m.ID]++
			continue
		}
		r.traffic.avail.Add(at, until, state)
		f.windows(r, at*1e9, func(report.Grain, int64, *bucket) {})
		for _, g := range r.m.Grains() { // it also speaks for the windows that follow
			for s := next(g, f.cal.start(g, at*1e9)); ; s = next(g, s) {
				if begin, _ := f.cal.span(g, s); begin >= until*1e9 {
					break
				}
				f.window(r, g, s)
			}
		}
	}
}

// burnAdd counts n good or valid ones in a slot of five minutes.
func (s *trafficState) burnAdd(start int64, field int, n uint64) {
	v := s.burn[start]
	v[field] += n
	s.burn[start] = v
}

const burnMost = int64(3 * 24 * 3600)

// Burn is the burn rate of an slo now; false when the measure is none, has a person as subject
// or promises nothing. Each window is the five-minute slots that lie in it, the one being
// filled included.
func (f *Fold) Burn(measure string) (Burn, bool) {
	for _, r := range f.runs {
		if r.m.ID != measure || r.m.Kind != catalog.SLO || r.traffic == nil || r.m.Target <= 0 || r.m.Target >= 1 {
			continue
		}
		if s := r.spans[report.FiveMinutes]; s.until != math.MaxInt64 {
			continue // a newer definition follows
		}
		out := Burn{Measure: measure, Target: r.m.Target, MinValid: max(1, r.m.MinValid)}
		for i, w := range [3][2]time.Duration{{5 * time.Minute, time.Hour}, {30 * time.Minute, 6 * time.Hour}, {6 * time.Hour, 72 * time.Hour}} {
			p := BurnPair{Short: w[0], Long: w[1]}
			p.ShortRate, p.ShortValid = f.burnRate(r, w[0])
			p.LongRate, p.LongValid = f.burnRate(r, w[1])
			p.Known = p.ShortValid >= out.MinValid && p.LongValid >= out.MinValid
			out.Pairs[i] = p
		}
		return out, true
	}
	return Burn{}, false
}

// burnRate is the share of bad ones over the share the target allows.
func (f *Fold) burnRate(r *run, w time.Duration) (rate float64, valid int64) {
	slot := f.cal.start(report.FiveMinutes, f.now)
	var good, all uint64
	for start, n := range r.traffic.burn {
		if start <= slot && start > slot-int64(w/time.Second) {
			good += n[0]
			all += n[1]
		}
	}
	if all == 0 {
		return 0, 0
	}
	bad := 1 - float64(good)/float64(all)
	return max(0, bad) / (1 - r.m.Target), int64(all)
}
