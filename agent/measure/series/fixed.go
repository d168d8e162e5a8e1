package series

import (
	"math"
	"math/big"
	"math/bits"

	"github.com/fieldpost/fieldpost/agent/measure/dense"
	"github.com/fieldpost/fieldpost/agent/measure/wire"
	"github.com/fieldpost/fieldpost/agent/record"
)

// Fixed is a decimal of nine places in 128 bits, two's complement: ± 1.7 × 10^29. Sums of
// it are exact and do not depend on their order.
type Fixed struct {
	hi uint64
	lo uint64
}

// FromDecimal is d exactly.
func FromDecimal(d record.Decimal) Fixed {
	scale := uint64(1)
	for i := d.Exponent; i < 9; i++ {
		scale *= 10
	}
	m := uint64(d.Mantissa)
	if d.Mantissa < 0 {
		m = -m
	}
	hi, lo := bits.Mul64(m, scale)
	f := Fixed{hi, lo}
	if d.Mantissa < 0 {
		f = f.neg()
	}
	return f
}

// FromFloat is v rounded to nine places; beyond ± 10^20 it stays there.
func FromFloat(v float64) Fixed {
	const most = 1e20
	v = max(-most, min(most, v))
	whole, part := math.Modf(v)
	a := math.Abs(whole)
	upper := math.Floor(a / 1e10) // both halves are whole numbers below 2^53·2^…, converted exactly
	lower := a - upper*1e10
	f := mul(uint64(upper), 1e19).Add(mul(uint64(lower), 1e9))
	if whole < 0 {
		f = f.neg()
	}
	p := int64(math.RoundToEven(part * 1e9))
	return f.Add(FromDecimal(record.Decimal{Mantissa: p, Exponent: 9}))
}

func mul(a, b uint64) Fixed { hi, lo := bits.Mul64(a, b); return Fixed{hi, lo} }

func (f Fixed) neg() Fixed {
	lo, carry := bits.Add64(^f.lo, 1, 0)
	hi, _ := bits.Add64(^f.hi, 0, carry)
	return Fixed{hi, lo}
}

// Add is f + o.
func (f Fixed) Add(o Fixed) Fixed {
	lo, carry := bits.Add64(f.lo, o.lo, 0)
	hi, _ := bits.Add64(f.hi, o.hi, carry)
	return Fixed{hi, lo}
}

// IsZero reports whether f is 0.
func (f Fixed) IsZero() bool { return f == Fixed{} }

// Float is the float nearest to f.
func (f Fixed) Float() float64 {
	neg := int64(f.hi) < 0
	if neg {
		f = f.neg()
	}
	n := new(big.Int).SetUint64(f.hi)
	n.Lsh(n, 64).Or(n, new(big.Int).SetUint64(f.lo))
	v, _ := new(big.Rat).SetFrac(n, big.NewInt(1e9)).Float64()
	if neg {
		v = -v
	}
	return v
}

// Save writes f.
func (f Fixed) Save(w *wire.Writer) { w.Int(int64(f.hi)); w.Uint(f.lo) }

// LoadFixed reads what Save wrote.
func LoadFixed(r *wire.Reader) Fixed { return Fixed{uint64(r.Int()), r.Uint()} }

// AppendColumn writes at most dense.Most amounts: as whole numbers of the largest unit, a power of ten, that divides all
// of them, or as they are where one is too large for that.
func AppendColumn(w *wire.Writer, of []Fixed) {
	unit := 9
	for i := range of {
		for ; unit > 0 && !of[i].divides(unit); unit-- {
		}
	}
	vs := make([]uint64, len(of))
	for i := range of {
		q, ok := of[i].whole(unit)
		if !ok {
			w.Raw([]byte{noUnit})
			for _, f := range of {
				f.Save(w)
			}
			return
		}
		vs[i] = q
	}
	w.Raw([]byte{byte(unit)})
	dense.Append(w, vs)
}

// ReadColumn appends n amounts that AppendColumn wrote to dst; none after an error of r.
func ReadColumn(r *wire.Reader, dst []Fixed, n int) []Fixed {
	var unit [1]byte
	if r.Raw(unit[:]); unit[0] == noUnit {
		for ; n > 0 && r.Err() == nil; n-- {
			dst = append(dst, LoadFixed(r))
		}
		return dst
	}
	if unit[0] > 9 || n > dense.Most {
		r.Fail("a unit")
		return dst
	}
	vs := make([]uint64, n)
	if dense.Read(r, vs); r.Err() != nil {
		return dst
	}
	for _, v := range vs {
		f := mul(v>>1, powers[unit[0]])
		if v&1 != 0 {
			f = f.neg()
		}
		dst = append(dst, f)
	}
	return dst
}

const noUnit = 255

var powers = [...]uint64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9}

// divides reports whether 10^unit divides f, where whole can tell.
func (f Fixed) divides(unit int) bool {
	hi, lo, _ := f.Amount()
	if hi >= powers[unit] {
		return true
	}
	_, rest := bits.Div64(hi, lo, powers[unit])
	return rest == 0
}

// whole is f in 10^unit, twice and one more below zero; false when that is too large, or not whole.
func (f Fixed) whole(unit int) (v uint64, ok bool) {
	hi, lo, neg := f.Amount()
	if hi >= powers[unit] {
		return 0, false
	}
	q, rest := bits.Div64(hi, lo, powers[unit])
	if rest != 0 || q >= 1<<63 {
		return 0, false
	}
	if v = q << 1; neg {
		v |= 1
	}
	return v, true
}

// Amount is how far f is from zero in units of 10^-9, and on which side.
func (f Fixed) Amount() (hi, lo uint64, neg bool) {
	if neg = int64(f.hi) < 0; neg {
		f = f.neg()
	}
	return f.hi, f.lo, neg
}
