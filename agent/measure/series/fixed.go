package series

import (
	"math"
	"math/big"
	"math/bits"

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
