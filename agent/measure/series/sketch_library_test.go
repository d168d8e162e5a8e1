package series

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/DataDog/sketches-go/ddsketch"
	"github.com/DataDog/sketches-go/ddsketch/mapping"
	"github.com/DataDog/sketches-go/ddsketch/store"
)

// library is the sketch as DDSketch's own library makes it, from the highest bin down.
func library(t *testing.T, d *Dist) []byte {
	t.Helper()
	s, err := ddsketch.LogCollapsingLowestDenseDDSketch(accuracy, maxBins)
	if err != nil {
		t.Fatal(err)
	}
	var keys []int32
	for k := range d.Bins {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b int32) int { return int(b) - int(a) })
	for _, k := range keys {
		n := float64(d.Bins[k])
		switch {
		case k == zeroBin:
			err = s.AddWithCount(0, n)
		case k&1 != 0:
			s.GetNegativeValueStore().AddWithCount(int(k-1)/2, n)
		default:
			s.GetPositiveValueStore().AddWithCount(int(k)/2, n)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var out []byte
	s.Encode(&out, false)
	return out
}

func TestSketchesAreTheLibrarysByteForByte(t *testing.T) {
	m, err := mapping.NewLogarithmicMapping(accuracy)
	if err != nil {
		t.Fatal(err)
	}
	bins := NewBins()
	if minIndexable != m.MinIndexableValue() || bins.largest != m.MaxIndexableValue() {
		t.Errorf("bounds %v, %v; the library's %v, %v", minIndexable, bins.largest, m.MinIndexableValue(), m.MaxIndexableValue())
	}
	rng := rand.New(rand.NewPCG(1, 2))
	qs := []float64{0, 0.01, 0.5, 0.9, 0.95, 0.99, 1}
	for round := range 400 {
		d := &Dist{}
		spread := math.Pow(10, float64(round%9)-2) // from all in a few bins to far more than there may be
		for range rng.IntN(500) {
			v := math.Exp(rng.NormFloat64() * spread)
			switch rng.IntN(20) {
			case 0:
				v = -v
			case 1:
				v = 0
			}
			if round%5 == 0 {
				v = -v
			}
			if a := math.Abs(v); a >= m.MinIndexableValue() && a <= m.MaxIndexableValue() {
				want := int32(m.Index(a)) * 2
				if v < 0 {
					want++
				}
				if got := bins.Of(v); got != want || bins.value(want>>1) != m.Value(int(want>>1)) {
					t.Fatalf("%v is in bin %d, the library says %d", v, got, want)
				}
			}
			d.Add(bins.Of(v), 1+uint64(rng.IntN(3)*rng.IntN(100_000)), Fixed{})
		}
		got, want := d.Encode(), library(t, d)
		if !bytes.Equal(got, want) {
			t.Fatalf("round %d, %d bins:\n%x\n%x", round, len(d.Bins), got, want)
		}
		s, err := ddsketch.DecodeDDSketch(want, func() store.Store { return store.NewCollapsingLowestDenseStore(maxBins) }, nil)
		if err != nil {
			t.Fatal(err)
		}
		values, err := s.GetValuesAtQuantiles(qs)
		if err != nil {
			values = nil
		}
		if got := Quantiles(got, qs...); !slices.Equal(got, values) {
			t.Fatalf("round %d: quantiles %v, the library's %v", round, got, values)
		}
		for cut := range got { // what is cut off or changed is refused or read, never a panic
			_ = Quantiles(got[:cut], 0.5)
			bad := slices.Clone(got[:min(len(got), 64)])
			if cut < len(bad) {
				bad[cut] ^= byte(1 + rng.IntN(255))
				_ = Quantiles(bad, 0.5)
			}
		}
	}
}
