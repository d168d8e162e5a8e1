package series

import (
	"math"
	"slices"

	"github.com/DataDog/sketches-go/ddsketch"
	"github.com/DataDog/sketches-go/ddsketch/mapping"
	"github.com/DataDog/sketches-go/ddsketch/store"
)

// DDSketch (Masson, Rim, Lee: DDSketch, VLDB 2019) with relative accuracy 0.01, logarithmic
// mapping, collapsing the lowest of 2,048 bins.
const (
	accuracy = 0.01
	maxBins  = 2048
	zeroBin  = math.MinInt32
)

// Bins finds the bin of a value.
type Bins struct{ m mapping.IndexMapping }

// NewBins returns the mapping of MEASURES.
func NewBins() *Bins {
	m, err := mapping.NewLogarithmicMapping(accuracy)
	if err != nil {
		panic("series: " + err.Error()) // the accuracy is a constant
	}
	return &Bins{m}
}

// Of is the bin of v: its index doubled, odd for negative values.
func (b *Bins) Of(v float64) int32 {
	a := math.Abs(v)
	switch {
	case a < b.m.MinIndexableValue():
		return zeroBin
	case v < 0:
		return int32(b.m.Index(min(a, b.m.MaxIndexableValue())))*2 + 1
	}
	return int32(b.m.Index(min(a, b.m.MaxIndexableValue()))) * 2
}

// Dist is a distribution: how many, their exact sum, and how many in each bin.
type Dist struct {
	Count uint64
	Sum   Fixed
	Bins  map[int32]uint64
}

// Add counts n values of one bin, which sum to sum.
func (d *Dist) Add(bin int32, n uint64, sum Fixed) {
	if d.Bins == nil {
		d.Bins = make(map[int32]uint64)
	}
	d.Count += n
	d.Bins[bin] += n
	d.Sum = d.Sum.Add(sum)
}

// Encode is the sketch in DDSketch's own encoding, mapping included. It is built from the
// highest bin down, so it does not depend on the order in which values arrived.
func (d *Dist) Encode() []byte {
	s, err := ddsketch.LogCollapsingLowestDenseDDSketch(accuracy, maxBins)
	if err != nil {
		panic("series: " + err.Error()) // constants again
	}
	keys := make([]int32, 0, len(d.Bins))
	for k := range d.Bins {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b int32) int { return int(b) - int(a) })
	for _, k := range keys {
		n := float64(d.Bins[k])
		switch {
		case k == zeroBin:
			_ = s.AddWithCount(0, n) // zero is always trackable
		case k&1 != 0:
			s.GetNegativeValueStore().AddWithCount(int(k-1)/2, n)
		default:
			s.GetPositiveValueStore().AddWithCount(int(k)/2, n)
		}
	}
	var out []byte
	s.Encode(&out, false)
	return out
}

// Quantiles reads an encoded sketch: the value at each q, lower nearest rank; nil when it
// is empty or no sketch.
func Quantiles(blob []byte, qs ...float64) []float64 {
	if len(blob) == 0 {
		return nil
	}
	provider := func() store.Store { return store.NewCollapsingLowestDenseStore(maxBins) }
	s, err := ddsketch.DecodeDDSketch(blob, provider, nil)
	if err != nil {
		return nil
	}
	v, err := s.GetValuesAtQuantiles(qs)
	if err != nil {
		return nil
	}
	return v
}
