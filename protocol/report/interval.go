package report

import "math"

// Interval is [Lo, Hi], both included; Hi may be +Inf. Arithmetic follows Moore,
// Interval Analysis (1966), chapter 2, for non-negative counts and for sums.
type Interval struct{ Lo, Hi float64 }

// Add is the interval of the sum of two figures.
func (i Interval) Add(o Interval) Interval { return Interval{i.Lo + o.Lo, i.Hi + o.Hi} }

// Sub is the interval of the difference of two figures.
func (i Interval) Sub(o Interval) Interval { return Interval{i.Lo - o.Hi, i.Hi - o.Lo} }

// Union is the interval of the size of a union of two sets: max … sum (installations of one
// account may share users). A figure with noise can be below nought: the top is never below
// that of either set.
func (i Interval) Union(o Interval) Interval {
	return Interval{math.Max(i.Lo, o.Lo), math.Max(i.Hi+o.Hi, math.Max(i.Hi, o.Hi))}
}

// Ratio is the interval of i ÷ o for non-negative figures; ok is false when o may be nought.
func (i Interval) Ratio(o Interval) (r Interval, ok bool) {
	if o.Lo <= 0 {
		return Interval{}, false
	}
	return Interval{i.Lo / o.Hi, i.Hi / o.Lo}, true
}

// ShareOf is up ÷ (up + down) as an interval, monotone in both; ok is false when
// both may be nought.
func ShareOf(up, down Interval) (r Interval, ok bool) {
	if up.Lo+down.Lo <= 0 {
		return Interval{}, false
	}
	div := func(a, b float64) float64 {
		if math.IsInf(b, 1) {
			return 0
		}
		if math.IsInf(a, 1) {
			return 1
		}
		if a+b == 0 {
			return 0
		}
		return a / (a + b)
	}
	return Interval{div(up.Lo, down.Hi), div(up.Hi, down.Lo)}, true
}

// Known reports whether the interval is a single value.
func (i Interval) Known() bool { return i.Lo == i.Hi }

// Tally sums figures of many sites without hiding how much is known of each.
// The zero value is an empty sum.
type Tally struct {
	Interval
	// How many figures went in, by what they told. Noised ones are added as they came: their
	// noise, known from the catalog, is not in the interval.
	Exact, Banded, Noised, Suppressed, Unknown int
	// Partial is how many of those that told something did so for a part of them only, an account
	// of which an installation withheld it. Whoever adds such a figure counts it here.
	Partial int
}

// Add puts one figure in. Suppressed and unknown ones are counted and add nothing to
// the interval: the sum is over those that told something, and says so.
func (t *Tally) Add(f Form, i Interval) {
	switch f {
	case Exact:
		t.Exact++
		t.Interval = t.Interval.Add(i)
	case Noised:
		t.Noised++
		t.Interval = t.Interval.Add(i)
	case Band, Share, Implied:
		t.Banded++
		t.Interval = t.Interval.Add(i)
	case Suppressed:
		t.Suppressed++
	default:
		t.Unknown++
	}
}

// Told is the number of figures inside the sum.
func (t Tally) Told() int { return t.Exact + t.Banded + t.Noised }

// Parts is the number of all figures that were put in.
func (t Tally) Parts() int { return t.Told() + t.Suppressed + t.Unknown }

// Form is the form of the sum itself: exact only when all parts were, and noised when any
// was, for then nothing is certain; a noised sum may have an interval.
func (t Tally) Form() Form {
	switch {
	case t.Told() == 0 && t.Suppressed > 0:
		return Suppressed
	case t.Told() == 0:
		return Unknown
	case t.Noised > 0:
		return Noised
	case t.Interval.Known():
		return Exact
	default:
		return Band
	}
}
