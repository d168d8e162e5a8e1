package intake

import (
	"math"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/fieldpost/fieldpost/agent/record"
)

func TestDecimalsAreExact(t *testing.T) {
	for text, want := range map[string]record.Decimal{
		"0": {}, "-0": {}, "0.000": {}, "1": {Mantissa: 1}, "-1.50": {Mantissa: -15, Exponent: 1},
		"100": {Mantissa: 100}, "1e2": {Mantissa: 100}, "1.25E-3": {Mantissa: 125, Exponent: 5},
		"0.1": {Mantissa: 1, Exponent: 1}, "0.1234567894": {Mantissa: 123456789, Exponent: 9},
		"0.0000000005": {Mantissa: 1, Exponent: 9}, "5e-10": {Mantissa: 1, Exponent: 9}, "-5e-10": {Mantissa: -1, Exponent: 9},
		"9e-11": {}, "9e-20": {}, "9223372036854775807": {Mantissa: math.MaxInt64},
		"1234567890123.123456789": {Mantissa: 1234567890123123457, Exponent: 6},
		"0e999999999999":          {}, "1.0e1": {Mantissa: 10},
	} {
		d, _, ok := ParseDecimal([]byte(text))
		if !ok || d != want {
			t.Errorf("%s: got %+v %v, want %+v", text, d, ok, want)
		}
	}
	for _, text := range []string{"9223372036854775808", "92233720368547758080", "1e19", "1e400", "-1e999999999999"} {
		if d, _, ok := ParseDecimal([]byte(text)); ok {
			t.Errorf("%s: got %+v, want a refusal", text, d)
		}
	}
}

// math/big is the judge: the decimal is the number itself where nine decimals and 64 bits hold
// it, otherwise within half of its last place.
func TestDecimalAgreesWithBigRationals(t *testing.T) {
	number := rapid.StringMatching(`-?(0|[1-9][0-9]{0,19})(\.[0-9]{1,14})?([eE][+-]?[0-9]{1,2})?`)
	rapid.Check(t, func(t *rapid.T) {
		text := number.Draw(t, "number")
		d, exact, ok := ParseDecimal([]byte(text))
		want, _ := new(big.Rat).SetString(text)
		if !ok {
			if a := new(big.Rat).Abs(want); a.Cmp(new(big.Rat).SetInt64(math.MaxInt64)) <= 0 {
				t.Fatalf("%s was refused", text)
			}
			return
		}
		unit := new(big.Rat).SetFrac(big.NewInt(1), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(d.Exponent)), nil))
		got := new(big.Rat).Mul(new(big.Rat).SetInt64(d.Mantissa), unit)
		diff := new(big.Rat).Sub(got, want)
		if exact != (diff.Sign() == 0) {
			t.Fatalf("%s: %+v, exact is %v", text, d, exact)
		}
		if exact {
			return
		}
		// Trailing zeros were dropped, so judge by nine places or by 64 bits.
		limit := new(big.Rat).SetFrac64(1, 2_000_000_000)
		if wholeDigits := len(strings.TrimLeft(new(big.Int).Quo(want.Num(), want.Denom()).String(), "-")); wholeDigits > 9 {
			limit.SetFrac(big.NewInt(1), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(0, 18-wholeDigits))), nil))
		}
		if diff.Abs(diff).Cmp(limit) > 0 {
			t.Fatalf("%s: %+v is off by %s", text, d, diff.FloatString(20))
		}
	})
}
