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

// streamsMost bounds the streams remembered: 10,000 at about 200 bytes are 2 MB.
const streamsMost = 10_000

type streamKey struct {
	metric string
	id     [8]byte
}

// stream is the newest cumulative sample of a counter or histogram.
type stream struct {
	time, start int64
	value       float64
	count       uint64
	sum         float64
	buckets     []uint64
}

// increase is what a counter or histogram grew by.
type increase struct {
	value   series.Fixed
	count   uint64
	sum     series.Fixed
	buckets []uint64
}

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
	inc, said, ok := f.grow(mt, s, at)
	if !ok {
		f.acc.StreamsRefused++
		return record.OverValue
	}
	for i := range src.feeds {
		fd := &src.feeds[i]
		combo, match := fd.takeAttributes(s.Attributes)
		switch {
		case !match || fd.r.traffic == nil:
		case !said:
			f.acc.LateFor[fd.r.m.ID]++
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
		if fd.r.traffic == nil || fd.r.traffic.gauge == nil {
			continue
		}
		combo, ok := fd.takeAttributes(s.Attributes)
		if !ok {
			continue
		}
		if !fd.r.traffic.gauge.Add(s.Stream, combo, at, s.Value, streamsMost) {
			f.acc.StreamsRefused++
			return record.OverValue
		}
		f.windows(fd.r, at, func(report.Grain, int64, *bucket) {})
	}
	return record.Measured
}

// grow is how much a counter or histogram grew with this sample. said is false when the sample is
// not newer than what is known; ok is false when there are too many streams.
func (f *Fold) grow(mt *catalog.Metric, s *record.Sample, at int64) (inc increase, said, ok bool) {
	whole := increase{value: series.FromFloat(s.Value), count: s.Count, sum: series.FromFloat(s.Sum), buckets: s.Buckets}
	if s.Delta {
		return whole, true, true
	}
	k := streamKey{mt.ID, s.Stream}
	st := f.streams[k]
	switch {
	case st == nil && len(f.streams) >= streamsMost:
		return inc, false, false
	case st == nil:
		st = &stream{}
		f.streams[k] = st
		if s.Start != 0 && s.Start >= f.acc.Since {
			inc = whole
		}
	case at <= st.time:
		return inc, false, true
	case st.reset(s):
		inc = whole
	default:
		inc.value = series.FromFloat(s.Value).Sub(series.FromFloat(st.value))
		inc.count = s.Count - st.count
		inc.sum = series.FromFloat(s.Sum).Sub(series.FromFloat(st.sum))
		for i := range s.Buckets {
			inc.buckets = append(inc.buckets, s.Buckets[i]-st.buckets[i])
		}
	}
	*st = stream{at, s.Start, s.Value, s.Count, s.Sum, slices.Clone(s.Buckets)}
	return inc, true, true
}

// reset reports whether the sender began to count anew.
func (st *stream) reset(s *record.Sample) bool {
	if s.Value < st.value || s.Count < st.count || len(s.Buckets) != len(st.buckets) || (s.Start != 0 && st.start != 0 && s.Start > st.start) {
		return true
	}
	for i := range s.Buckets {
		if s.Buckets[i] < st.buckets[i] {
			return true
		}
	}
	return false
}

func (f *Fold) addIncrease(fd *feed, mt *catalog.Metric, inc *increase, at int64, combo uint32) {
	r := fd.r
	var n uint64 // slo
	switch {
	case r.m.Kind != catalog.SLO:
	case mt.Type == catalog.Counter:
		n = uint64(max(0, math.Round(inc.value.Float())))
	case fd.atMost < 0:
		n = inc.count
	default:
		for _, c := range inc.buckets[:min(fd.atMost, len(inc.buckets))] {
			n += c
		}
	}
	f.windows(r, at, func(g report.Grain, start int64, b *bucket) {
		for i := range r.breaks {
			t := b.tally(r.key(i, combo, f.people, math.MaxUint32))
			switch r.m.Kind {
			case catalog.SLO:
				t.n[fd.field()] += n
			case catalog.Counter:
				t.sum = t.sum.Add(inc.value)
			case catalog.Histogram:
				t.count += inc.count
				t.sum = t.sum.Add(inc.sum)
				if t.buckets == nil {
					t.buckets = make([]uint64, len(mt.Bounds)+1)
				}
				for j, c := range inc.buckets {
					t.buckets[j] += c
				}
			}
		}
		if g == report.FiveMinutes && r.m.Kind == catalog.SLO {
			r.traffic.burnAdd(start, fd.field(), n)
		}
	})
}
