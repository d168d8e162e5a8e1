package statsd

import (
	"bytes"
	"math/big"
	"math/bits"
	"strconv"

	"github.com/fieldpost/fieldpost/agent/intake"
	"github.com/fieldpost/fieldpost/agent/record"
)

// fixed is a decimal of nine places in 128 bits, two's complement. Sums of it are exact.
type fixed struct{ hi, lo uint64 }

const places = 9

func (f fixed) add(o fixed) fixed {
	lo, carry := bits.Add64(f.lo, o.lo, 0)
	hi, _ := bits.Add64(f.hi, o.hi, carry)
	return fixed{hi, lo}
}

func (f fixed) neg() fixed {
	lo, carry := bits.Add64(^f.lo, 1, 0)
	hi, _ := bits.Add64(^f.hi, 0, carry)
	return fixed{hi, lo}
}

func (f fixed) negative() bool { return int64(f.hi) < 0 }

// float is the float nearest to f.
func (f fixed) float() float64 {
	sign := f.negative()
	if sign {
		f = f.neg()
	}
	n := new(big.Int).SetUint64(f.hi)
	n.Lsh(n, 64).Or(n, new(big.Int).SetUint64(f.lo))
	v, _ := new(big.Rat).SetFrac(n, big.NewInt(1e9)).Float64()
	if sign {
		return -v
	}
	return v
}

// round is f, not negative, as a whole number.
func (f fixed) round() uint64 {
	f = f.add(fixed{0, 5e8})
	if f.hi >= 1e9 {
		return 1<<64 - 1
	}
	q, _ := bits.Div64(f.hi, f.lo, 1e9)
	return q
}

// ratio is f × n ÷ d, rounded half away from zero; |f| < 2^94, n and d at most 10^9.
func (f fixed) ratio(n, d uint64) fixed {
	sign := f.negative()
	if sign {
		f = f.neg()
	}
	carry, lo := bits.Mul64(f.lo, n)
	_, hi := bits.Mul64(f.hi, n)
	lo, c := bits.Add64(lo, d/2, 0)
	hi += carry + c
	q, r := bits.Div64(0, hi, d)
	lo, _ = bits.Div64(r, lo, d)
	if f = (fixed{q, lo}); sign {
		return f.neg()
	}
	return f
}

// tens is 10^n, n at most 12.
func tens(n uint8) uint64 {
	return [...]uint64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12}[n]
}

// number is a value as it was sent.
type number struct {
	record.Decimal
	signed bool // with + or -
	float  float64
}

// trouble is why a text is no number to count with.
type trouble uint8

const (
	fine      trouble = iota
	unlike            // not a number at all
	unbounded         // not finite, or too large
)

// read takes a value apart.
func (n *number) read(b []byte) trouble {
	if len(b) == 0 {
		return unlike
	}
	t := b
	if n.signed = t[0] == '-' || t[0] == '+'; n.signed {
		t = t[1:]
	}
	if !digits(t) {
		switch string(bytes.ToLower(t)) {
		case "nan", "inf", "infinity":
			return unbounded
		}
		return unlike
	}
	negative := b[0] == '-'
	d, exact, ok := intake.ParseDecimal(t)
	if !ok {
		return unbounded
	}
	n.float = float64(d.Mantissa) / float64(tens(d.Exponent))
	if !exact || d.Mantissa > 1<<53 {
		var err error
		if n.float, err = strconv.ParseFloat(string(t), 64); err != nil {
			return unbounded
		}
	}
	if n.Decimal = d; negative {
		n.Mantissa, n.float = -d.Mantissa, -n.float
	}
	return fine
}

// digits says whether t is a decimal number without a sign, with an exponent at most.
func digits(t []byte) bool {
	seen, point := false, false
	for i, c := range t {
		switch {
		case c >= '0' && c <= '9':
			seen = true
		case c == '.' && !point:
			point = true
		case (c == 'e' || c == 'E') && seen:
			t = t[i+1:]
			if len(t) > 0 && (t[0] == '-' || t[0] == '+') {
				t = t[1:]
			}
			for _, c := range t {
				if c < '0' || c > '9' {
					return false
				}
			}
			return len(t) > 0
		default:
			return false
		}
	}
	return seen
}

// fixed is the number ÷ 10^shift, at most 3.
func (n *number) fixed(shift uint8) fixed {
	m := uint64(n.Mantissa)
	if n.Mantissa < 0 {
		m = -m
	}
	var f fixed
	if decimals := n.Exponent + shift; decimals <= places {
		f.hi, f.lo = bits.Mul64(m, tens(places-decimals))
	} else {
		d := tens(decimals - places)
		f.lo = m / d
		if m%d >= d/2 {
			f.lo++
		}
	}
	if n.Mantissa < 0 {
		return f.neg()
	}
	return f
}

// scaled is the float nearest to the number ÷ 10^shift.
func (n *number) scaled(shift uint8) float64 {
	if shift == 0 {
		return n.float
	}
	const exactInts = 1 << 53
	if n.Mantissa <= exactInts && n.Mantissa >= -exactInts {
		return float64(n.Mantissa) / float64(tens(n.Exponent+shift))
	}
	return n.float / float64(tens(shift))
}

// rate is the share of the values that a client sends: part ÷ of. The zero rate is 1.
type rate struct{ part, of uint64 }

// read takes the text behind @.
func (r *rate) read(b []byte) bool {
	var n number
	if n.read(b) != fine || n.Mantissa <= 0 || n.float > 1 {
		return false
	}
	*r = rate{uint64(n.Mantissa), tens(n.Exponent)}
	return true
}

// undo is what f stands for.
func (r rate) undo(f fixed) fixed {
	if r.part == r.of {
		return f
	}
	return f.ratio(r.of, r.part)
}
