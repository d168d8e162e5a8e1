package measure

import (
	"slices"
	"time"

	"github.com/fieldpost/fieldpost/agent/measure/calendar"
	"github.com/fieldpost/fieldpost/agent/measure/run"
	"github.com/fieldpost/fieldpost/agent/measure/series"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// windows calls fn for each open window of r that holds the moment. It counts the moment as late
// when some window is closed already.
func (f *Fold) windows(r *run.Run, at int64, fn func(g report.Grain, start int64, b *run.Bucket)) {
	late := false
	for _, g := range r.M.Grains() {
		start := f.w.Cal.Start(g, at)
		b, open := f.window(r, g, start)
		late = late || !open
		if b != nil {
			fn(g, start, b)
		}
	}
	if late {
		f.acc.LateFor[r.M.ID]++
	}
}

// window is the open window with that start, made if need be; nil when it is closed (open is
// false) or not r's.
func (f *Fold) window(r *run.Run, g report.Grain, start int64) (b *run.Bucket, open bool) {
	if b := r.Traffic.Open[g][start]; b != nil {
		return b, true
	}
	_, end := f.w.Cal.Span(g, start)
	if end+r.Grace <= f.now {
		return nil, false
	}
	if !r.Spans[g].Covers(g, start) {
		return nil, true
	}
	b = &run.Bucket{}
	r.Traffic.Open[g][start] = b
	if !slices.Contains(r.Chains(), g) {
		f.push(due{at: end + r.Grace, mi: r.Mi, run: r.ID, grain: g, start: start})
	}
	return b, true
}

// addTraffic adds a matching event to its windows. A breakdown by a trait takes what is known now.
func (f *Fold) addTraffic(fd *run.Feed, e *record.Event, id uint32, combo uint32) {
	r := fd.R
	var bin int32
	var sum series.Fixed
	if r.M.Kind == catalog.Distribution {
		v := run.Find(e.Properties, int(fd.Number))
		if v == nil {
			return
		}
		bin, sum = f.w.Bins.Of(run.Decimal(v.Number)), series.FromDecimal(v.Number)
	}
	f.windows(r, e.Time, func(g report.Grain, start int64, b *run.Bucket) {
		for i := range r.Breaks {
			t := b.Tally(r.Key(i, combo, f.w.People, id))
			switch r.M.Kind {
			case catalog.Distribution:
				t.Dist.Add(bin, 1, sum)
			case catalog.SLO:
				t.N[fd.Field()]++
			default:
				t.N[1]++
			}
		}
		if g == report.FiveMinutes && r.M.Kind == catalog.SLO {
			r.Traffic.BurnAdd(start, fd.Field(), 1)
		}
	})
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
	at := calendar.FloorDiv(x.Time, 1e9)
	until := at + max(0, min(-calendar.FloorDiv(-x.Interval, 1e9), 24*3600))
	for i := range p.probes[x.Probe].feeds {
		r := p.probes[x.Probe].feeds[i].R
		if at*1e9 < f.now-dayNs || at*1e9 > f.now+5*int64(time.Minute) {
			f.acc.LateFor[r.M.ID]++
			continue
		}
		r.Traffic.Avail.Add(at, until, state)
		f.windows(r, at*1e9, func(report.Grain, int64, *run.Bucket) {})
		for _, g := range r.M.Grains() { // it also speaks for the windows that follow
			for s := calendar.Next(g, f.w.Cal.Start(g, at*1e9)); ; s = calendar.Next(g, s) {
				if begin, _ := f.w.Cal.Span(g, s); begin >= until*1e9 {
					break
				}
				f.window(r, g, s)
			}
		}
	}
}

// Burn is the burn rate of an slo now; false when the measure is none, has a person as subject
// or promises nothing.
func (f *Fold) Burn(measure string) (Burn, bool) {
	for _, r := range f.runs {
		if r.M.ID == measure {
			if b, ok := r.Burning(&f.w); ok {
				return b, true
			}
		}
	}
	return Burn{}, false
}
