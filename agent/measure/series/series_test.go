package series

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/fieldpost/fieldpost/agent/measure/wire"
	"github.com/fieldpost/fieldpost/agent/record"
)

func TestFixedSumsAreExactInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var sum, back Fixed
		want := new(big.Rat)
		n := rapid.IntRange(0, 50).Draw(t, "n")
		var all []Fixed
		for range n {
			d := record.Decimal{Mantissa: rapid.Int64().Draw(t, "mantissa"), Exponent: uint8(rapid.IntRange(0, 9).Draw(t, "exponent"))}
			f := FromDecimal(d)
			all = append(all, f)
			sum = sum.Add(f)
			den := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(d.Exponent)), nil)
			want.Add(want, new(big.Rat).SetFrac(big.NewInt(d.Mantissa), den))
		}
		for i := range all {
			back = back.Add(all[len(all)-1-i])
		}
		if sum != back {
			t.Fatal("the order matters")
		}
		if f, _ := want.Float64(); sum.Float() != f {
			t.Fatalf("%v, want %v", sum.Float(), f)
		}
		var w wire.Writer
		sum.Save(&w)
		if LoadFixed(wire.NewReader(w.B)) != sum {
			t.Fatal("saved and loaded is something else")
		}
	})
}

func TestFixedFromFloat(t *testing.T) {
	for _, v := range []float64{0, 1, -1, 0.1, -0.1, 1e9 + 0.5, 123456789012, -98765432109.25, 1e15, 9007199254740991, -1e20, 1e-9} {
		if got := FromFloat(v).Float(); got != v {
			t.Errorf("%v became %v", v, got)
		}
	}
	if FromFloat(math.MaxFloat64).Float() != 1e20 {
		t.Error("too large a value does not stay at the limit")
	}
}

// The sketch does not depend on the order of arrival, even where bins collapse.
func TestSketchBytesDoNotDependOnOrder(t *testing.T) {
	b := NewBins()
	var one, two Dist
	var values []float64
	for i := -300; i <= 300; i++ {
		values = append(values, math.Pow(10, float64(i)), -math.Pow(10, float64(i)/3), 0)
	}
	for i := range values {
		one.Add(b.Of(values[i]), 1, Fixed{})
		two.Add(b.Of(values[len(values)-1-i]), 1, Fixed{})
	}
	if string(one.Encode()) != string(two.Encode()) {
		t.Error("other bytes in another order")
	}
	// 10^300, the largest, is the last rank; the low positive ones have collapsed.
	if q := Quantiles(one.Encode(), 1); len(q) != 1 || q[0] < 0.99e300 || q[0] > 1.01e300 {
		t.Errorf("largest is %v", q)
	}
	if Quantiles(nil, 0.5) != nil || Quantiles([]byte{1, 2, 3}, 0.5) != nil {
		t.Error("no sketch has quantiles")
	}
}

func TestBuckets(t *testing.T) {
	got := DecodeBuckets(EncodeBuckets([]uint64{0, 5, 1 << 40}))
	if len(got) != 3 || got[1] != 5 || got[2] != 1<<40 || DecodeBuckets([]byte{0x80}) != nil {
		t.Error(got)
	}
}

// Pruning changes no window that begins at or after the moment it was told.
func TestPruneKeepsWhatWindowsNeed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var whole, cut Availability
		at := int64(0)
		for range rapid.IntRange(0, 30).Draw(t, "n") {
			at += rapid.Int64Range(0, 90).Draw(t, "gap")
			until := at + rapid.Int64Range(0, 120).Draw(t, "interval")
			s := State(rapid.IntRange(0, 2).Draw(t, "state"))
			whole.Add(at, until, s)
			cut.Add(at, until, s)
		}
		p := rapid.Int64Range(0, 1200).Draw(t, "prune")
		cut.Prune(p)
		for begin := p; begin < p+600; begin += 50 {
			if a, b := whole.Window(begin, begin+100), cut.Window(begin, begin+100); a != b {
				t.Fatalf("window %d after pruning at %d: %+v, want %+v", begin, p, b, a)
			} else if a.Up+a.Down+a.Maintenance+a.Unknown != 100 {
				t.Fatalf("%+v does not add up", a)
			}
		}
	})
}
