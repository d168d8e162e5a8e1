package path

import (
	"cmp"
	"maps"
	"math/big"
	"math/bits"
	"slices"

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

// bytes is the day as it is saved.
func (d *sumDay) bytes() []byte {
	if d.open == nil {
		return d.raw
	}
	w := &wire.Writer{}
	w.Uint(uint64(len(d.open)))
	for _, k := range slices.SortedFunc(maps.Keys(d.open), func(a, b sumKey) int {
		return cmp.Or(cmp.Compare(a.user, b.user), cmp.Compare(a.combo, b.combo))
	}) {
		s := d.open[k]
		w.Uint(uint64(k.user + 1)) // 0: nobody
		w.Uint(uint64(k.combo))
		w.Uint(s.N)
		s.X.Save(w)
		s.Y.Save(w)
		s.XX.save(w)
		s.YY.save(w)
		s.XY.save(w)
	}
	return slices.Clip(w.B)
}

// readSums reads what bytes wrote.
func readSums(r *wire.Reader, fn func(user, combo uint32, s *Sums)) {
	for n := r.Count(); n > 0 && r.Err() == nil; n-- {
		user, combo := uint32(r.Below(1<<32))-1, uint32(r.Below(1<<32))
		s := &Sums{r.Uint(), series.LoadFixed(r), series.LoadFixed(r), loadWide(r), loadWide(r), loadWide(r)}
		if r.Err() == nil {
			fn(user, combo, s)
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
