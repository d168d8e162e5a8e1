package intake

import (
	"math"
	"strconv"

	"github.com/fieldpost/fieldpost/agent/record"
)

// Number reads the text of a JSON number and checks it against the word's bounds. ok is false
// when it lies outside them or beyond what a record.Decimal holds.
func (w *Word) Number(text []byte) (d record.Decimal, ok bool) {
	d, exact, ok := ParseDecimal(text)
	if !ok {
		return d, false
	}
	f, fits := decimalFloat(d)
	if !exact || !fits {
		var err error
		if f, err = strconv.ParseFloat(string(text), 64); err != nil {
			return d, false
		}
	}
	return d, f >= w.Min && f <= w.Max
}

// decimalFloat is the nearest float64 where one division of exact numbers finds it.
func decimalFloat(d record.Decimal) (f float64, fits bool) {
	const exactInts = 1 << 53
	if d.Mantissa > exactInts || d.Mantissa < -exactInts {
		return 0, false
	}
	return float64(d.Mantissa) / tens(d.Exponent), true
}

func tens(n uint8) float64 {
	return [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9}[n]
}

const decimals = 9

// ParseDecimal reads the text of a valid JSON number as a decimal with the fewest decimals,
// at most nine; further digits are rounded half away from zero, which exact tells. Of a
// number with more digits than 64 bits hold, fewer decimals are kept. ok is false when its
// integer part does not fit.
func ParseDecimal(text []byte) (d record.Decimal, exact, ok bool) {
	t := text
	negative := len(t) > 0 && t[0] == '-'
	if negative {
		t = t[1:]
	}
	digits, point := t, -1 // digits before the exponent, with the point in it
	exponent := 0
	for i, c := range t {
		if c == '.' {
			point = i
		} else if c == 'e' || c == 'E' {
			digits, exponent = t[:i], parseExponent(t[i+1:])
			break
		}
	}
	whole := len(digits)
	if point >= 0 {
		whole = point
	}
	m, kept, roundUp, exact, cut := significant(digits, whole+exponent)
	places := kept - (whole + exponent) // decimals in m; negative: zeros to add
	if cut && places < 0 {
		return d, false, false
	}
	if roundUp && m < math.MaxInt64 {
		m++
	}
	for ; places < 0 && m != 0; places++ {
		if m > math.MaxInt64/10 {
			return d, false, false
		}
		m *= 10
	}
	for places > 0 && m%10 == 0 {
		if m == 0 {
			places = 0
			break
		}
		m, places = m/10, places-1
	}
	if negative {
		m = -m
	}
	return record.Decimal{Mantissa: m, Exponent: uint8(max(places, 0))}, exact, true
}

// significant reads digits up to nine places after position unit, fewer where they do not fit in
// m. kept is the number of digits read (the point not counted), cut says that some were left.
func significant(digits []byte, unit int) (m int64, kept int, roundUp, exact, cut bool) {
	exact = true
	for _, c := range digits {
		if c == '.' {
			continue
		}
		v := int64(c - '0')
		if !cut && kept < unit+decimals && m <= (math.MaxInt64-v)/10 {
			m, kept = m*10+v, kept+1
			continue
		}
		if !cut {
			cut, roundUp = true, v >= 5 && kept >= unit && kept <= unit+decimals
		}
		exact = exact && v == 0
	}
	return m, kept, roundUp, exact, cut
}

// parseExponent reads an exponent, far out ones as ±100,000.
func parseExponent(t []byte) int {
	sign, e := 1, 0
	for _, c := range t {
		switch {
		case c == '-':
			sign = -1
		case c == '+':
		case e < 100_000:
			e = e*10 + int(c-'0')
		}
	}
	return sign * min(e, 100_000)
}
