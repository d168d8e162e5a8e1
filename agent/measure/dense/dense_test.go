package dense

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/fieldpost/fieldpost/agent/measure/wire"
)

func TestExactColumnsComeBack(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	columns := [][]uint64{nil, {0}, {math.MaxUint64}, {0, math.MaxUint64}, {math.MaxUint64, 0, 1}, make([]uint64, Most)}
	for range 2000 {
		c := make([]uint64, r.IntN(300))
		wide, from := r.IntN(65), r.Uint64()>>r.IntN(65)
		for i := range c {
			c[i] = from + r.Uint64()>>(64-wide)
			switch r.IntN(40) {
			case 0:
				c[i] = r.Uint64()
			case 1:
				c[i] = from
			}
		}
		columns = append(columns, c)
	}
	w := &wire.Writer{}
	for _, c := range columns {
		Append(w, c)
	}
	in := wire.NewReader(w.B)
	for i, c := range columns {
		got := make([]uint64, len(c))
		if Read(in, got); !slices.Equal(got, c) || in.Err() != nil {
			t.Fatalf("column %d: %v, not %v (%v)", i, got, c, in.Err())
		}
	}
	if in.End() != nil {
		t.Error(in.Err())
	}
}

// TestSetsTakeLittleMoreThanTheyMust: gaps between people of whom a share p is there, against the entropy.
func TestSetsTakeLittleMoreThanTheyMust(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for _, p := range []float64{0.001, 0.01, 0.05, 0.2, 0.4} {
		w, n := &wire.Writer{}, 0
		var gaps []uint64
		gap := uint64(0)
		for n = 0; n < 400_000; n++ {
			if r.Float64() >= p {
				gap++
				continue
			}
			if gaps, gap = append(gaps, gap), 0; len(gaps) == Most {
				Append(w, gaps)
				gaps = gaps[:0]
			}
		}
		Append(w, gaps)
		must := -float64(n) * (p*math.Log2(p) + (1-p)*math.Log2(1-p)) / 8
		if over := float64(len(w.B)) / must; over > 1.07 {
			t.Errorf("share %v: %d bytes, %.2f times the entropy", p, len(w.B), over)
		}
	}
}

func TestOneFarAwayCostsLittle(t *testing.T) {
	c := make([]uint64, 1000)
	for i := range c {
		c[i] = uint64(i % 3)
	}
	plain, with := &wire.Writer{}, &wire.Writer{}
	Append(plain, c)
	c[500] = 1 << 60
	Append(with, c)
	if len(with.B) > len(plain.B)+16 {
		t.Errorf("%d bytes, without it %d", len(with.B), len(plain.B))
	}
}

func FuzzRead(f *testing.F) {
	for _, c := range [][]uint64{{1, 2, 3}, {7, 7}, {1 << 40, 3, 9}, {math.MaxUint64, 0}} {
		w := &wire.Writer{}
		Append(w, c)
		f.Add(len(c), w.B)
	}
	f.Fuzz(func(t *testing.T, n int, b []byte) {
		if n < 0 || n > Most+1 {
			return
		}
		got := make([]uint64, n)
		in := wire.NewReader(b)
		Read(in, got)
		if in.Err() != nil {
			return
		}
		w := &wire.Writer{}
		Append(w, got)
		again := make([]uint64, n)
		in = wire.NewReader(w.B)
		if Read(in, again); !slices.Equal(got, again) || in.End() != nil {
			t.Fatalf("%v became %v: %v", got, again, in.Err())
		}
	})
}

func BenchmarkRead(b *testing.B) {
	r := rand.New(rand.NewPCG(3, 3))
	c := make([]uint64, Most)
	for i := range c {
		c[i] = uint64(r.ExpFloat64() * 4)
	}
	w := &wire.Writer{}
	Append(w, c)
	for b.Loop() {
		Read(wire.NewReader(w.B), c)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/Most, "ns/number")
}
