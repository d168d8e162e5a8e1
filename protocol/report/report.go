// Package report holds closed windows in memory: cells, the forms a figure can
// take, and interval arithmetic over them.
//
// A cell is one figure of one window. It carries integers only: which measure of
// the catalog, which of its fields, which listed values of its dimensions. Every
// name is looked up in the signed catalog by whoever reads it, so no string can
// leave a site that the catalog does not hold (package catalog resolves a Cell to
// a Figure with names).
//
// Invariants: Lo ≤ Hi; an exact cell has Lo == Hi; Hi may be +Inf (an open top
// answer, "≥ Lo"); a suppressed or unknown cell carries no numbers at all. Silence
// is unknown, never zero.
package report

import (
	"errors"
	"fmt"
	"math"
)

// Form says how much of a figure is told. It is fixed before the value is looked up.
// The numbers are wire format and never change.
type Form uint8

const (
	// Unknown: nobody measured or nobody reported. The zero value on purpose.
	Unknown Form = 0
	// Exact: Lo == Hi is the figure.
	Exact Form = 1
	// Band: the figure lies in [Lo, Hi], both included; Hi may be +Inf.
	Band Form = 2
	// Share: the figure is the low, middle or high third of the group: Lo and Hi are
	// the third's bounds in people.
	Share Form = 3
	// Implied: not answered by itself; [Lo, Hi] follows from other answers.
	Implied Form = 4
	// Noised: Lo == Hi is the figure plus noise; ε travels in the measure's book.
	Noised Form = 5
	// Suppressed: measured at the site and withheld.
	Suppressed Form = 6
)

var formNames = [...]string{"unknown", "exact", "band", "share", "implied", "noised", "suppressed"}

func (f Form) String() string { return name(formNames[:], int(f)) }

// ParseForm is the inverse of String.
func ParseForm(s string) (Form, error) { n, err := parse("form", formNames[:], s); return Form(n), err }

// HasNumbers reports whether a cell of this form carries Lo and Hi.
func (f Form) HasNumbers() bool { return f >= Exact && f <= Noised }

// Grain is the length of a window. The numbers are wire format.
type Grain uint8

const (
	FiveMinutes Grain = 1 // 300 s, aligned to the UTC epoch
	Hour        Grain = 2 // 3,600 s, aligned to the UTC epoch
	Day         Grain = 3 // calendar day in the installation's zone
	Week        Grain = 4 // ISO week, named by its Monday
	Month       Grain = 5 // calendar month, named by its first day
	Rolling28   Grain = 6 // 28 days, named by the LAST day
	Block4w     Grain = 7 // 4 ISO weeks counted from Monday 1970-01-05, named by the first Monday
	Block12w    Grain = 8 // 3 blocks of 4 weeks
	Change      Grain = 9 // a fact at the moment it changed; Start in unix seconds
)

var grainNames = [...]string{"", "5m", "hour", "day", "week", "month", "rolling28", "4w", "12w", "change"}

func (g Grain) String() string { return name(grainNames[:], int(g)) }

// ParseGrain is the inverse of String.
func ParseGrain(s string) (Grain, error) {
	n, err := parse("grain", grainNames[:], s)
	return Grain(n), err
}

// Civil reports whether a window's Start is a civil day number (days since
// 1970-01-01 in the installation's zone) and not unix seconds.
func (g Grain) Civil() bool { return g >= Day && g <= Block12w }

// Field names which figure of a measure a cell is. The numbers are wire format.
type Field uint8

const (
	Value       Field = 1  // the figure of kinds that have one; of facts an index into the listed values
	New         Field = 2  // lifecycle
	Retained    Field = 3  // lifecycle
	Resurrected Field = 4  // lifecycle
	Dormant     Field = 5  // lifecycle
	Count       Field = 6  // distribution, histogram: how many
	Sum         Field = 7  // distribution, histogram: exact sum
	Sketch      Field = 8  // distribution: DDSketch in Blob
	Buckets     Field = 9  // histogram: counts per bucket of the catalog's bounds in Blob
	Last        Field = 10 // gauge
	Min         Field = 11 // gauge
	Max         Field = 12 // gauge
	Mean        Field = 13 // gauge, weighted by time
	Increase    Field = 14 // counter
	Since       Field = 15 // fact: unix seconds of the last change
	Up          Field = 16 // availability, seconds
	Down        Field = 17 // availability, seconds
	Maintenance Field = 18 // availability, seconds
	Unseen      Field = 19 // availability, seconds for which nothing is known
	Incidents   Field = 20 // availability, incidents that began in the window
	Good        Field = 21 // slo
	Valid       Field = 22 // slo
	Daily       Field = 23 // stickiness: sum over the days of each day's active users
	Working     Field = 24 // stickiness: the same over working days only
	Workdays    Field = 25 // stickiness: how many working days the window has
	Tried       Field = 26 // adoption
	Adopted     Field = 27 // adoption
	Habitual    Field = 28 // adoption
	Purchased   Field = 29 // seats
	Assigned    Field = 30 // seats
	Peak        Field = 31 // seats: most distinct users within one clock hour
	AtCap       Field = 32 // seats: days on which the peak reached what was purchased
	SumX        Field = 33 // sufficient
	SumXX       Field = 34 // sufficient
	SumY        Field = 35 // sufficient
	SumYY       Field = 36 // sufficient
	SumXY       Field = 37 // sufficient
	Level       Field = 38 // change: the seasonally adjusted level
	Direction   Field = 39 // change: listed, see catalog.Measure.Listed
	Size        Field = 40 // change: listed
	Confidence  Field = 41 // change, environment: listed
)

// Fields is one more than the largest number of a field.
const Fields = 42

var fieldNames = [...]string{"", "value", "new", "retained", "resurrected", "dormant", "count", "sum", "sketch",
	"buckets", "last", "min", "max", "mean", "increase", "since", "up", "down", "maintenance", "unknown", "incidents", "good", "valid",
	"daily", "working", "workdays", "tried", "adopted", "habitual", "purchased", "assigned", "peak", "at_cap",
	"sum_x", "sum_xx", "sum_y", "sum_yy", "sum_xy", "level", "direction", "size", "confidence"}

func (f Field) String() string { return name(fieldNames[:], int(f)) }

// ParseField is the inverse of String.
func ParseField(s string) (Field, error) {
	n, err := parse("field", fieldNames[:], s)
	return Field(n), err
}

// IsBlob reports whether cells of the field carry Blob instead of numbers.
func (f Field) IsBlob() bool { return f == Sketch || f == Buckets }

// Series names one row of figures over time, within one catalog.
type Series struct {
	Measure   uint16 // index into Catalog.Measures
	Field     Field
	Grain     Grain
	Breakdown uint8  // 0: the total; i: Measure.By[i-1]
	V1, V2    uint16 // listed value of the breakdown's first and second dimension; 0 where there is none
}

// Compare orders series the way batches hold them.
func (s Series) Compare(o Series) int {
	a := [...]int{int(s.Measure), int(s.Grain), int(s.Breakdown), int(s.V1), int(s.V2), int(s.Field)}
	b := [...]int{int(o.Measure), int(o.Grain), int(o.Breakdown), int(o.V1), int(o.V2), int(o.Field)}
	for i := range a {
		if a[i] != b[i] {
			return a[i] - b[i]
		}
	}
	return 0
}

// Cell is one figure of one window.
type Cell struct {
	Series
	Start  int64   // civil day number for civil grains, unix seconds otherwise
	Form   Form    //
	Lo, Hi float64 // the closed interval the figure lies in; exact for integers up to 2^53
	Blob   []byte  // Sketch and Buckets when Form is Exact; owned by the cell
}

var errCell = errors.New("cell breaks an invariant")

// Check reports the first invariant the cell breaks.
func (c Cell) Check() error {
	switch {
	case name(grainNames[:], int(c.Grain)) == "" || name(fieldNames[:], int(c.Field)) == "" || int(c.Form) >= len(formNames):
		return fmt.Errorf("%w: grain %d, field %d, form %d", errCell, c.Grain, c.Field, c.Form)
	case !c.Form.HasNumbers() && (c.Lo != 0 || c.Hi != 0 || len(c.Blob) != 0):
		return fmt.Errorf("%w: %s with numbers", errCell, c.Form)
	case c.Field.IsBlob() && (c.Lo != 0 || c.Hi != 0 || (c.Form != Exact && c.Form.HasNumbers())):
		return fmt.Errorf("%w: %s holds a blob and only exact ones", errCell, c.Field)
	case !c.Field.IsBlob() && len(c.Blob) != 0:
		return fmt.Errorf("%w: %s with a blob", errCell, c.Field)
	case math.IsNaN(c.Lo) || math.IsNaN(c.Hi) || math.IsInf(c.Lo, 0) || math.IsInf(c.Hi, -1) || c.Lo > c.Hi:
		return fmt.Errorf("%w: interval %v to %v", errCell, c.Lo, c.Hi)
	case (c.Form == Exact || c.Form == Noised) && c.Lo != c.Hi:
		return fmt.Errorf("%w: %s with an interval", errCell, c.Form)
	}
	return nil
}

func name(names []string, n int) string {
	if n < 0 || n >= len(names) {
		return ""
	}
	return names[n]
}

func parse(what string, names []string, s string) (int, error) {
	for i, n := range names {
		if n == s && n != "" {
			return i, nil
		}
	}
	return 0, fmt.Errorf("unknown %s %q", what, s)
}
