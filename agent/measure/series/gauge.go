// Package series computes what samples and probe results show in a window: gauges, the
// sums and sketches of distributions, availability. It knows neither catalogs nor time
// zones: windows are [begin, end).
//
// Invariants: sums are exact decimals; nothing depends on the order in which samples of
// different times arrived; of equal times the later arrival is the later.
package series

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"sort"

	"github.com/fieldpost/fieldpost/agent/measure/wire"
)

// Sub is f − o.
func (f Fixed) Sub(o Fixed) Fixed { return f.Add(o.neg()) }

// Reading is what a gauge showed in a window.
type Reading struct {
	Last, Min, Max float64
	at             int64   // of Last
	weight, area   float64 // seconds, and value × seconds
	any            bool
}

// Mean is the mean weighted by time.
func (r Reading) Mean() float64 {
	if r.weight == 0 {
		return r.Last
	}
	return min(r.Max, max(r.Min, r.area/r.weight))
}

// Merge puts another stream's reading in.
func (r *Reading) Merge(o Reading) {
	if !r.any {
		*r = o
		return
	}
	if o.at >= r.at {
		r.Last, r.at = o.Last, o.at
	}
	r.Min, r.Max = min(r.Min, o.Min), max(r.Max, o.Max)
	r.weight += o.weight
	r.area += o.area
}

// Gauge is the samples of the streams of one gauge that open windows may need.
type Gauge struct {
	streams map[gaugeKey]*gaugeStream
}

type gaugeKey struct {
	id    [8]byte
	combo uint32 // its attributes, as the owner numbers them
}

type gaugeStream struct{ samples []point } // by time, then arrival

type point struct {
	time  int64
	value float64
}

// NewGauge returns one without samples.
func NewGauge() *Gauge { return &Gauge{streams: map[gaugeKey]*gaugeStream{}} }

// Add puts a sample in; false when that would make more streams than most.
func (g *Gauge) Add(id [8]byte, combo uint32, at int64, v float64, most int) bool {
	k := gaugeKey{id, combo}
	s := g.streams[k]
	if s == nil {
		if len(g.streams) >= most {
			return false
		}
		s = &gaugeStream{}
		g.streams[k] = s
	}
	i := len(s.samples)
	if i > 0 && s.samples[i-1].time > at {
		i = sort.Search(len(s.samples), func(i int) bool { return s.samples[i].time > at })
	}
	s.samples = slices.Insert(s.samples, i, point{at, v})
	return true
}

func (g *Gauge) keys() []gaugeKey {
	keys := make([]gaugeKey, 0, len(g.streams))
	for k := range g.streams {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b gaugeKey) int {
		if c := bytes.Compare(a.id[:], b.id[:]); c != 0 {
			return c
		}
		return int(a.combo) - int(b.combo)
	})
	return keys
}

// Window calls fn for each stream with samples in [begin, end) ns, in the order of their ids.
func (g *Gauge) Window(begin, end int64, fn func(combo uint32, r Reading)) {
	for _, k := range g.keys() {
		p := g.streams[k].samples
		lo := sort.Search(len(p), func(i int) bool { return p[i].time >= begin })
		hi := sort.Search(len(p), func(i int) bool { return p[i].time >= end })
		if lo == hi {
			continue
		}
		r := Reading{Min: math.Inf(1), Max: math.Inf(-1), any: true}
		for i := lo; i < hi; i++ {
			until := end
			if i+1 < hi {
				until = p[i+1].time
			}
			w := float64(until-p[i].time) / 1e9
			r.weight += w
			r.area += w * p[i].value
			r.Min, r.Max = min(r.Min, p[i].value), max(r.Max, p[i].value)
			r.Last, r.at = p[i].value, p[i].time
		}
		fn(k.combo, r)
	}
}

// Prune drops the samples before t.
func (g *Gauge) Prune(t int64) {
	for k, s := range g.streams {
		n := sort.Search(len(s.samples), func(i int) bool { return s.samples[i].time >= t })
		s.samples = slices.Delete(s.samples, 0, n)
		if len(s.samples) == 0 {
			delete(g.streams, k)
		}
	}
}

// Save writes the samples.
func (g *Gauge) Save(w *wire.Writer) {
	w.Uint(uint64(len(g.streams)))
	for _, k := range g.keys() {
		w.Raw(k.id[:])
		w.Uint(uint64(k.combo))
		p := g.streams[k].samples
		w.Uint(uint64(len(p)))
		var last int64
		for _, x := range p {
			w.Int(x.time - last)
			w.Float(x.value)
			last = x.time
		}
	}
}

// LoadGauge reads what Save wrote; combos are below combos.
func LoadGauge(r *wire.Reader, combos int) *Gauge {
	g := NewGauge()
	for n := r.Count(); n > 0 && r.Err() == nil; n-- {
		var k gaugeKey
		r.Raw(k.id[:])
		k.combo = uint32(r.Below(combos))
		s := &gaugeStream{}
		var at int64
		for m := r.Count(); m > 0 && r.Err() == nil; m-- {
			at += r.Int()
			s.samples = append(s.samples, point{at, r.Float()})
		}
		g.streams[k] = s
	}
	return g
}

// EncodeBuckets writes the counts of a histogram as varints, one after the other.
func EncodeBuckets(counts []uint64) []byte {
	b := []byte{} // a window without observations has an empty blob, not none
	for _, n := range counts {
		b = binary.AppendUvarint(b, n)
	}
	return b
}

// DecodeBuckets is the inverse of EncodeBuckets; nil when b is malformed.
func DecodeBuckets(b []byte) (counts []int64) {
	for len(b) > 0 {
		v, n := binary.Uvarint(b)
		if n <= 0 || v > math.MaxInt64 {
			return nil
		}
		counts = append(counts, int64(v))
		b = b[n:]
	}
	return counts
}
