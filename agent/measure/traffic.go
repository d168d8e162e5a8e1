package measure

import (
	"math"
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

const burnMost = int64(3 * 24 * 3600)

// Burn is the burn rate of an slo now; false when the measure is none, has a person as subject
// or promises nothing. Each window is the five-minute slots that lie in it, the one being
// filled included.
func (f *Fold) Burn(measure string) (Burn, bool) {
	for _, r := range f.runs {
		if r.M.ID != measure || r.M.Kind != catalog.SLO || r.Traffic == nil || r.M.Target <= 0 || r.M.Target >= 1 {
			continue
		}
		if s := r.Spans[report.FiveMinutes]; s.Until != math.MaxInt64 {
			continue // a newer definition follows
		}
		out := Burn{Measure: measure, Target: r.M.Target, MinValid: max(1, r.M.MinValid)}
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
func (f *Fold) burnRate(r *run.Run, w time.Duration) (rate float64, valid int64) {
	slot := f.w.Cal.Start(report.FiveMinutes, f.now)
	var good, all uint64
	for start, n := range r.Traffic.Burn {
		if start <= slot && start > slot-int64(w/time.Second) {
			good += n[0]
			all += n[1]
		}
	}
	if all == 0 {
		return 0, 0
	}
	bad := 1 - float64(good)/float64(all)
	return max(0, bad) / (1 - r.M.Target), int64(all)
}
