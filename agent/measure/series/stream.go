package series

import (
	"slices"

	"github.com/fieldpost/fieldpost/agent/measure/wire"
	"github.com/fieldpost/fieldpost/agent/record"
)

// Stream is the newest cumulative sample of a counter or histogram.
type Stream struct {
	known       bool
	Time, start int64 // unix ns
	value       float64
	count       uint64
	sum         float64
	buckets     []uint64
}

// Increase is what a counter or histogram grew by.
type Increase struct {
	Value   Fixed
	Count   uint64
	Sum     Fixed
	Buckets []uint64
}

// Whole is all a sample holds.
func Whole(s *record.Sample) Increase {
	return Increase{FromFloat(s.Value), s.Count, FromFloat(s.Sum), s.Buckets}
}

// Grow is how much a counter or histogram grew with the cumulative sample s of time at. st is what
// was known of the stream, the zero Stream when nothing was: then what accumulated since s.Start
// counts if that is not before since. said is false when s is not newer than what was known.
func (st *Stream) Grow(s *record.Sample, at, since int64) (inc Increase, said bool) {
	switch {
	case !st.known:
		if s.Start != 0 && s.Start >= since {
			inc = Whole(s)
		}
	case at <= st.Time:
		return inc, false
	case st.reset(s):
		inc = Whole(s)
	default:
		inc.Value = FromFloat(s.Value).Sub(FromFloat(st.value))
		inc.Count = s.Count - st.count
		inc.Sum = FromFloat(s.Sum).Sub(FromFloat(st.sum))
		for i := range s.Buckets {
			inc.Buckets = append(inc.Buckets, s.Buckets[i]-st.buckets[i])
		}
	}
	*st = Stream{true, at, s.Start, s.Value, s.Count, s.Sum, slices.Clone(s.Buckets)}
	return inc, true
}

// reset reports whether the sender began to count anew.
func (st *Stream) reset(s *record.Sample) bool {
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

// Save writes the stream.
func (st *Stream) Save(w *wire.Writer) {
	w.Int(st.Time)
	w.Int(st.start)
	w.Float(st.value)
	w.Uint(st.count)
	w.Float(st.sum)
	w.Uint(uint64(len(st.buckets)))
	for _, n := range st.buckets {
		w.Uint(n)
	}
}

// LoadStream reads what Save wrote.
func LoadStream(r *wire.Reader) *Stream {
	st := &Stream{known: true, Time: r.Int(), start: r.Int(), value: r.Float(), count: r.Uint(), sum: r.Float()}
	for n := r.Count(); n > 0 && r.Err() == nil; n-- {
		st.buckets = append(st.buckets, r.Uint())
	}
	return st
}
