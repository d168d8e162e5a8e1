package measure

import (
	"math"
	"time"

	"github.com/fieldpost/fieldpost/agent/measure/run"
	"github.com/fieldpost/fieldpost/agent/measure/series"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// streamsMost bounds the streams remembered: 10,000 at about 200 bytes are 2 MB.
const streamsMost = 10_000

// sample folds one reading in and says what became of it.
func (f *Fold) sample(p *plan, s *record.Sample) record.Reason {
	if int(s.Metric) >= len(p.metrics) {
		return record.Malformed
	}
	src, mt := &p.metrics[s.Metric], &p.cat.Metrics[s.Metric]
	at := s.Time
	if at > f.now+5*int64(time.Minute) {
		at = f.now
		f.acc.Skewed++
	}
	switch {
	case src.off:
		return record.Off
	case len(s.Attributes) != len(mt.Attributes), mt.Type == catalog.Histogram && len(s.Buckets) != len(mt.Bounds)+1:
		return record.Malformed
	case !finite(s.Value) || !finite(s.Sum), mt.Type == catalog.Counter && s.Value < 0:
		return record.OverValue
	case f.now-at > graceSample:
		return record.Late
	}
	if mt.Type == catalog.Gauge {
		return f.gaugeSample(src, s, at)
	}
	inc, said, ok := f.grow(mt.ID, s, at)
	if !ok {
		f.acc.StreamsRefused++
		return record.OverValue
	}
	for i := range src.feeds {
		fd := &src.feeds[i]
		combo, match := fd.TakeAttributes(s.Attributes)
		switch {
		case !match || fd.R.Traffic == nil:
		case !said:
			f.acc.LateFor[fd.R.M.ID]++
		default:
			f.addIncrease(fd, mt, &inc, at, combo)
		}
	}
	return record.Measured
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

func (f *Fold) gaugeSample(src *source, s *record.Sample, at int64) record.Reason {
	for i := range src.feeds {
		fd := &src.feeds[i]
		if fd.R.Traffic == nil || fd.R.Traffic.Gauge == nil {
			continue
		}
		combo, ok := fd.TakeAttributes(s.Attributes)
		if !ok {
			continue
		}
		if !fd.R.Traffic.Gauge.Add(s.Stream, combo, at, s.Value, streamsMost) {
			f.acc.StreamsRefused++
			return record.OverValue
		}
		f.windows(fd.R, at, func(report.Grain, int64, *run.Bucket) {})
	}
	return record.Measured
}

// grow is how much the stream grew; ok is false when there are too many streams.
func (f *Fold) grow(metric string, s *record.Sample, at int64) (inc series.Increase, said, ok bool) {
	if s.Delta {
		return series.Whole(s), true, true
	}
	k := series.StreamKey{Metric: metric, ID: s.Stream}
	st := f.streams[k]
	if st == nil {
		if len(f.streams) >= streamsMost {
			return inc, false, false
		}
		st = &series.Stream{}
		f.streams[k] = st
	}
	inc, said = st.Grow(s, at, f.acc.Since)
	return inc, said, true
}

func (f *Fold) addIncrease(fd *run.Feed, mt *catalog.Metric, inc *series.Increase, at int64, combo uint32) {
	r := fd.R
	var n uint64 // slo
	switch {
	case r.M.Kind != catalog.SLO:
	case mt.Type == catalog.Counter:
		n = uint64(max(0, math.Round(inc.Value.Float())))
	case fd.AtMost < 0:
		n = inc.Count
	default:
		for _, c := range inc.Buckets[:min(fd.AtMost, len(inc.Buckets))] {
			n += c
		}
	}
	f.windows(r, at, func(g report.Grain, start int64, b *run.Bucket) {
		for i := range r.Breaks {
			t := b.Tally(r.Key(i, combo, f.w.People, math.MaxUint32))
			switch r.M.Kind {
			case catalog.SLO:
				t.N[fd.Field()] += n
			case catalog.Counter:
				t.Sum = t.Sum.Add(inc.Value)
			case catalog.Histogram:
				t.Count += inc.Count
				t.Sum = t.Sum.Add(inc.Sum)
				if t.Buckets == nil {
					t.Buckets = make([]uint64, len(mt.Bounds)+1)
				}
				for j, c := range inc.Buckets {
					t.Buckets[j] += c
				}
			}
		}
		if g == report.FiveMinutes && r.M.Kind == catalog.SLO {
			r.Traffic.BurnAdd(start, fd.Field(), n)
		}
	})
}
