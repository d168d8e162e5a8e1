package path

import (
	"math/big"
	"math/bits"

	"github.com/fieldpost/fieldpost/agent/measure/series"
	"github.com/fieldpost/fieldpost/agent/measure/wire"
	"github.com/fieldpost/fieldpost/agent/record"
)

// Moments is the sums of a measure, by day, user and combination of values. Days for which nothing
// is expected any more are sealed: bytes, as they are saved, a quarter of the size. Users have
// the number they had then; whoever reads asks who they are now.
type Moments struct {
	days map[int64]*sumDay
}

type sumDay struct {
	open    map[sumKey]*Sums
	raw     []byte // sealed; open is nil then
	version uint64 // counts changes
}

type sumKey struct{ user, combo uint32 }

// Sums of observations, exactly. The zero value is no observation.
type Sums struct {
	N          uint64
	X, Y       series.Fixed
	XX, YY, XY Wide
}

func newMoments() *Moments { return &Moments{days: map[int64]*sumDay{}} }

// Add adds an observation; y is 0 where there is none.
func (m *Moments) Add(day int64, user, combo uint32, x, y record.Decimal) {
	d := m.days[day]
	if d == nil {
		d = &sumDay{open: map[sumKey]*Sums{}}
		m.days[day] = d
	}
	if d.open == nil {
		d.open = map[sumKey]*Sums{}
		readSums(wire.NewReader(d.raw), func(user, combo uint32, s *Sums) { d.open[sumKey{user, combo}] = s })
		d.raw = nil
	}
	d.version++
	s := d.open[sumKey{user, combo}]
	if s == nil {
		s = &Sums{}
		d.open[sumKey{user, combo}] = s
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

// Between calls fn for the sums of the days first to last, which it must not change.
func (m *Moments) Between(first, last int64, fn func(user, combo uint32, s *Sums)) {
	for no, d := range m.days {
		switch {
		case no < first || no > last:
		case d.open == nil:
			readSums(wire.NewReader(d.raw), fn)
		default:
			for k, s := range d.open {
				fn(k.user, k.combo, s)
			}
		}
	}
}

// prune drops the days before need and seals those before settled.
func (m *Moments) prune(need, settled int64) {
	for no, d := range m.days {
		switch {
		case no < need:
			delete(m.days, no)
		case no < settled && d.open != nil:
			d.raw, d.open = d.bytes(), nil
		}
	}
}

// Wide is a decimal of eighteen places in 256 bits, two's complement, the lowest word first. A
// product of two numbers of a record is below 2^187 in it.
type Wide [4]uint64

// Product is a × b exactly.
func Product(a, b record.Decimal) Wide { return product(series.FromDecimal(a), series.FromDecimal(b)) }

// product is a × b, both of one record.
func product(a, b series.Fixed) Wide {
	ah, al, an := a.Amount()
	bh, bl, bn := b.Amount()
	var w Wide
	w[1], w[0] = bits.Mul64(al, bl)
	h1, l1 := bits.Mul64(ah, bl)
	h2, l2 := bits.Mul64(al, bh)
	var c, d uint64
	w[1], c = bits.Add64(w[1], l1, 0)
	w[1], d = bits.Add64(w[1], l2, 0)
	w[2] = h1 + h2 + ah*bh + c + d // the upper halves are below 2^30
	if an != bn {
		w.negate()
	}
	return w
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
