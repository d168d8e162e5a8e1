package path

import (
	"maps"
	"math/big"
	"math/bits"
	"slices"

	"github.com/fieldpost/fieldpost/agent/measure/series"
	"github.com/fieldpost/fieldpost/agent/measure/wire"
	"github.com/fieldpost/fieldpost/agent/record"
)

// Moments is the sums of a measure, by day, user and combination of values.
type Moments struct {
	days map[int64]map[sumKey]*Sums
}

type sumKey struct{ user, combo uint32 }

// Sums of observations, exactly. The zero value is no observation.
type Sums struct {
	N          uint64
	X, Y       series.Fixed
	XX, YY, XY Wide
}

// Add adds an observation; y is 0 where there is none.
func (m *Moments) Add(day int64, user, combo uint32, x, y record.Decimal) {
	if m.days[day] == nil {
		m.days[day] = map[sumKey]*Sums{}
	}
	s := m.days[day][sumKey{user, combo}]
	if s == nil {
		s = &Sums{}
		m.days[day][sumKey{user, combo}] = s
	}
	s.Merge(&Sums{1, series.FromDecimal(x), series.FromDecimal(y), Product(x, x), Product(y, y), Product(x, y)})
}

// Merge adds o to s.
func (s *Sums) Merge(o *Sums) {
	s.N += o.N
	s.X, s.Y = s.X.Add(o.X), s.Y.Add(o.Y)
	s.XX.Add(&o.XX)
	s.YY.Add(&o.YY)
	s.XY.Add(&o.XY)
}

// Between calls fn for the sums of the days first to last.
func (m *Moments) Between(first, last int64, fn func(user, combo uint32, s *Sums)) {
	for day, sums := range m.days {
		if day >= first && day <= last {
			for k, s := range sums {
				fn(k.user, k.combo, s)
			}
		}
	}
}

func (m *Moments) merge(loser, winner uint32) {
	for _, sums := range m.days {
		for _, k := range slices.Collect(maps.Keys(sums)) {
			if k.user != loser {
				continue
			}
			if w := sums[sumKey{winner, k.combo}]; w != nil {
				w.Merge(sums[k])
			} else {
				sums[sumKey{winner, k.combo}] = sums[k]
			}
			delete(sums, k)
		}
	}
}

// Wide is a decimal of eighteen places in 256 bits, two's complement, the lowest word first. A
// product of two numbers of a record is below 2^187 in it.
type Wide [4]uint64

// Product is a × b exactly.
func Product(a, b record.Decimal) Wide {
	ah, al := scaled(a)
	bh, bl := scaled(b)
	var w Wide
	w[1], w[0] = bits.Mul64(al, bl)
	h1, l1 := bits.Mul64(ah, bl)
	h2, l2 := bits.Mul64(al, bh)
	var c, d uint64
	w[1], c = bits.Add64(w[1], l1, 0)
	w[1], d = bits.Add64(w[1], l2, 0)
	w[2] = h1 + h2 + ah*bh + c + d // the upper halves are below 2^30
	if (a.Mantissa < 0) != (b.Mantissa < 0) {
		w.negate()
	}
	return w
}

// scaled is the amount of d in units of 10^-9.
func scaled(d record.Decimal) (hi, lo uint64) {
	scale := uint64(1)
	for i := d.Exponent; i < 9; i++ {
		scale *= 10
	}
	m := uint64(d.Mantissa)
	if d.Mantissa < 0 {
		m = -m
	}
	return bits.Mul64(m, scale)
}

func (w *Wide) negate() {
	carry := uint64(1)
	for i := range w {
		w[i], carry = bits.Add64(^w[i], 0, carry)
	}
}

// Add adds o to w.
func (w *Wide) Add(o *Wide) {
	var carry uint64
	for i := range w {
		w[i], carry = bits.Add64(w[i], o[i], carry)
	}
}

// Float is the float nearest to w.
func (w Wide) Float() float64 {
	neg := int64(w[3]) < 0
	if neg {
		w.negate()
	}
	n := new(big.Int)
	for i := 3; i >= 0; i-- {
		n.Lsh(n, 64).Or(n, new(big.Int).SetUint64(w[i]))
	}
	v, _ := new(big.Rat).SetFrac(n, big.NewInt(1e18)).Float64()
	if neg {
		v = -v
	}
	return v
}

func (w *Wide) save(to *wire.Writer) {
	for _, x := range w[:3] {
		to.Uint(x)
	}
	to.Int(int64(w[3]))
}

func loadWide(r *wire.Reader) Wide {
	return Wide{r.Uint(), r.Uint(), r.Uint(), uint64(r.Int())}
}
