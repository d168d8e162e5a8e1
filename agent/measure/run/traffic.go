package run

import (
	"math"
	"slices"

	"github.com/fieldpost/fieldpost/agent/measure/series"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Traffic is what a measure of traffic or machines keeps: its open windows.
type Traffic struct {
	Open [Grains]map[int64]*Bucket // 5m, hour, day

	Gauge *series.Gauge
	Avail *series.Availability
	Burn  map[int64][2]uint64 // slo: good and valid by 5 minutes, three days of them
}

// Bucket is one open window. Gauges and availability keep their figures elsewhere and only the
// window's existence here.
type Bucket struct{ groups map[Group]*Tally }

// Tally is the figures of one group.
type Tally struct {
	N       [2]uint64 // slo: good, valid; count: only the second
	Dist    series.Dist
	Sum     series.Fixed // counter: increase; histogram: sum
	Count   uint64       // histogram
	Buckets []uint64     // histogram
}

func newTraffic(m *catalog.Measure) *Traffic {
	s := &Traffic{}
	for _, g := range m.Grains() {
		s.Open[g] = map[int64]*Bucket{}
	}
	switch m.Kind {
	case catalog.Gauge:
		s.Gauge = series.NewGauge()
	case catalog.Availability:
		s.Avail = &series.Availability{}
	case catalog.SLO:
		s.Burn = map[int64][2]uint64{}
	}
	return s
}

// Tally of a group, made if need be.
func (b *Bucket) Tally(k Group) *Tally {
	t := b.groups[k]
	if t == nil {
		t = &Tally{}
		if b.groups == nil {
			b.groups = map[Group]*Tally{}
		}
		b.groups[k] = t
	}
	return t
}

// cells of a window of traffic or machines.
func (f *World) traffic(r *Run, g report.Grain, start int64) (cells []report.Cell, zero bool) {
	begin, end := f.Cal.Span(g, start)
	b := r.Traffic.Open[g][start]
	switch r.M.Kind {
	case catalog.Gauge:
		for k, v := range r.gauges(f, begin, end) {
			for i, x := range []float64{v.Last, v.Min, v.Max, v.Mean()} {
				cells = append(cells, Exact(r.series(k, g, r.M.Fields()[i]), x))
			}
		}
	case catalog.Availability:
		if b != nil {
			v := r.Traffic.Avail.Window(begin/1e9, end/1e9)
			for i, n := range []int64{v.Up, v.Down, v.Maintenance, v.Unknown, v.Incidents} {
				cells = append(cells, Exact(r.series(Group{}, g, r.M.Fields()[i]), float64(n)))
			}
		}
	default:
		cells = r.tallyCells(g, b)
	}
	zero = len(cells) == 0
	if zero && r.M.Kind == catalog.Count {
		cells = append(cells, Exact(r.series(Group{}, g, report.Value), 0))
	}
	for i := range cells {
		cells[i].Start, cells[i].Form = start, report.Exact
	}
	slices.SortFunc(cells, func(a, b report.Cell) int { return a.Series.Compare(b.Series) })
	return cells, zero
}

func (r *Run) tallyCells(g report.Grain, b *Bucket) (cells []report.Cell) {
	if b == nil {
		return nil
	}
	for k, t := range b.groups {
		switch r.M.Kind {
		case catalog.Count:
			cells = append(cells, Exact(r.series(k, g, report.Value), float64(t.N[1])))
		case catalog.SLO:
			cells = append(cells, Exact(r.series(k, g, report.Good), float64(t.N[0])), Exact(r.series(k, g, report.Valid), float64(t.N[1])))
		case catalog.Distribution:
			cells = append(cells, r.distCells(k, g, &t.Dist)...)
		case catalog.Counter:
			cells = append(cells, Exact(r.series(k, g, report.Increase), t.Sum.Float()))
		case catalog.Histogram:
			cells = append(cells, Exact(r.series(k, g, report.Count), float64(t.Count)), Exact(r.series(k, g, report.Sum), t.Sum.Float()),
				report.Cell{Series: r.series(k, g, report.Buckets), Blob: series.EncodeBuckets(t.Buckets)})
		}
	}
	return cells
}

// gauges is what the gauge's streams show in [begin, end), by group.
func (r *Run) gauges(f *World, begin, end int64) map[Group]*series.Reading {
	out := map[Group]*series.Reading{}
	r.Traffic.Gauge.Window(begin, end, func(combo uint32, v series.Reading) {
		for i := range r.Breaks {
			k := r.Key(i, combo, f.People, math.MaxUint32)
			if out[k] == nil {
				out[k] = &series.Reading{}
			}
			out[k].Merge(v)
		}
	})
	return out
}

// BurnAdd counts n good or valid ones in a slot of five minutes.
func (s *Traffic) BurnAdd(start int64, field int, n uint64) {
	v := s.Burn[start]
	v[field] += n
	s.Burn[start] = v
}
