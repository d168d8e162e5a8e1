package egress

import (
	"math"
	"slices"

	"github.com/fieldpost/fieldpost/protocol/report"
)

// The thresholds of PRIVACY, "The principle for people". They can be raised, never lowered.
const (
	minTotal = 10 // an exact site total needs this many inside and this many outside
	minWidth = 5  // any other answer is at least this many values wide
	minGroup = 9  // smaller sites send no figure about people below the level totals
)

// groupSteps are the sizes a group size that the customer did not name is rounded down to, so that
// the book that travels with the answers does not tell the number of known users. Between two
// steps lie at least five values and about a quarter of the size (R10 series, rounded).
var groupSteps = [...]int{9, 14, 20, 25, 32, 40, 50, 63, 80, 100}

// roundGroup rounds a number of known users down to a step; sizes above 100 continue the
// series times ten. Below the first step it is 0.
func roundGroup(n int) int {
	scale := 1
	for n >= 100*scale*10 {
		scale *= 10
	}
	best := 0
	for s := 1; s <= scale*10; s *= 10 {
		for _, g := range groupSteps {
			if g >= 10 || s == 1 {
				if v := g * s; v <= n && v > best {
					best = v
				}
			}
		}
	}
	return best
}

// Book is a code book: the answers a question can get, in rising order, covering every count from
// nought up. It is chosen before the value is looked up and depends on the group size alone.
// The last answer is open ("≥ x"), for counts above the group size.
type Book []report.Interval

// Answer is the one interval of the book that holds the value.
func (b Book) Answer(v float64) report.Interval {
	for _, i := range b {
		if v <= i.Hi {
			return i
		}
	}
	return b[len(b)-1]
}

// TotalBook is the code book for a site's total of people out of a group of n: single values
// where at least ten are inside and ten outside, merged with their neighbours elsewhere until
// every answer is at least five values wide. The outside is judged with a group that is a fifth smaller,
// because an attacker's staff list may be shorter than the customer's number. nil: no book
// has two answers, so the figure is suppressed.
func TotalBook(n int) Book {
	if n < minGroup {
		return nil
	}
	safe := n - (n+4)/5 // a fifth fewer, rounded against us
	pass := func(lo, hi int) bool {
		if lo == hi {
			return lo >= minTotal && safe-hi >= minTotal
		}
		return min(hi, safe)-lo+1 >= minWidth
	}
	var b Book
	lo := 0
	for v := 0; v <= safe; v++ {
		if pass(lo, v) {
			b = append(b, report.Interval{Lo: float64(lo), Hi: float64(v)})
			lo = v + 1
		}
	}
	if len(b) == 0 {
		return nil
	}
	if lo <= safe { // the rest is too narrow to stand alone: merge it into what it follows
		last := len(b) - 1
		for last > 0 && !pass(int(b[last].Lo), safe) {
			b = slices.Delete(b, last, last+1)
			last--
		}
	}
	b[len(b)-1].Hi = math.Inf(1)
	if len(b) < 2 {
		return nil
	}
	return b
}
