package accounts

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/fieldpost/fieldpost/protocol/report"
)

// Member is an account of a segment: one imported trait and one figure.
type Member struct {
	Key, Name string
	Trait     string // "" where the import has none
	Point     Point
}

// Segment is what accounts with the same trait tell together.
type Segment struct {
	Name    string // the trait's value; of numbers a range
	Filter  []string
	Members []Member
	Sum     report.Tally // how many told it in which form, and the sum of those that did
	// Median, Lower and Upper quartile of the accounts that told it. Each account's figure lies
	// somewhere in its interval, so the median lies between the median of the low ends and the
	// median of the high ends; ok is false when nobody told it.
	Median, Lower, Upper report.Interval
	Told                 bool
	Largest              *Member      // the one with the highest low end, when more than one told it
	Without              report.Tally // the sum without it: shown beside the sum, never instead
}

// NoTrait names the segment of accounts for which nothing was imported.
const NoTrait = "not imported"

const (
	mostSegments = 24 // of texts; the rest is one
	numberRanges = 4  // of numbers with more values than that
)

// Segments groups members by their trait: texts by value in alphabetical order, numbers with
// many values by quarters of the accounts. Accounts without the trait come last and are never
// left out. The last result is of all of them.
func Segments(members []Member, trait string) (out []Segment, all Segment) {
	names, order := grouping(members)
	by := map[string][]Member{}
	for _, m := range members {
		by[names(m.Trait)] = append(by[names(m.Trait)], m)
	}
	for name, list := range by {
		s := segment(name, list)
		if i := slices.IndexFunc(list, func(m Member) bool { return m.Trait != list[0].Trait }); i < 0 && name != NoTrait {
			s.Filter = []string{trait + "=" + list[0].Trait}
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b Segment) int {
		return cmp.Or(cmp.Compare(order(a.Name), order(b.Name)), strings.Compare(a.Name, b.Name))
	})
	return out, segment("all accounts", members)
}

// grouping names the segment of a trait's value and says where it stands.
func grouping(members []Member) (name func(string) string, order func(string) int) {
	count := map[string]int{}
	numeric := true
	var numbers []float64
	for _, m := range members {
		if m.Trait == "" {
			continue
		}
		count[m.Trait]++
		v, err := strconv.ParseFloat(m.Trait, 64)
		numeric = numeric && err == nil && !math.IsNaN(v) && !math.IsInf(v, 0)
		numbers = append(numbers, v)
	}
	slices.Sort(numbers)
	if numeric && len(count) > 2*numberRanges {
		return ranges(numbers)
	}
	kept := map[string]bool{}
	values := make([]string, 0, len(count))
	for v := range count {
		values = append(values, v)
	}
	slices.SortFunc(values, func(a, b string) int { return cmp.Or(cmp.Compare(count[b], count[a]), strings.Compare(a, b)) })
	for i, v := range values {
		kept[v] = i < mostSegments
	}
	rest := fmt.Sprintf("%d other values", len(values)-mostSegments)
	name = func(v string) string {
		switch {
		case v == "":
			return NoTrait
		case kept[v]:
			return v
		}
		return rest
	}
	order = func(n string) int {
		switch n {
		case NoTrait:
			return math.MaxInt
		case rest:
			return math.MaxInt - 1
		}
		if v, err := strconv.ParseFloat(n, 64); err == nil && numeric {
			return int(math.Max(-1e15, math.Min(1e15, v*1000)))
		}
		return 0
	}
	return name, order
}

// ranges cut numbers into quarters of the accounts.
func ranges(sorted []float64) (name func(string) string, order func(string) int) {
	var ends []float64
	for q := 1; q <= numberRanges; q++ {
		e := sorted[len(sorted)*q/numberRanges-1]
		if len(ends) == 0 || e > ends[len(ends)-1] {
			ends = append(ends, e)
		}
	}
	names := make([]string, len(ends))
	from := sorted[0]
	short := func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
	for i, e := range ends {
		names[i] = short(from) + " to " + short(e)
		if at, found := slices.BinarySearch(sorted, e); found {
			for at < len(sorted) && sorted[at] == e {
				at++
			}
			if at < len(sorted) {
				from = sorted[at]
			}
		}
	}
	name = func(v string) string {
		f, err := strconv.ParseFloat(v, 64)
		if v == "" || err != nil {
			return NoTrait
		}
		at, _ := slices.BinarySearch(ends, f)
		return names[min(at, len(names)-1)]
	}
	order = func(n string) int {
		if i := slices.Index(names, n); i >= 0 {
			return i
		}
		return len(names)
	}
	return name, order
}

func segment(name string, members []Member) Segment {
	s := Segment{Name: name, Members: slices.Clone(members)}
	slices.SortStableFunc(s.Members, func(a, b Member) int {
		return cmp.Or(CompareDesc(a.Point, b.Point), strings.Compare(a.Name, b.Name))
	})
	var lo, hi []float64
	for _, m := range s.Members {
		p := m.Point
		s.Sum.Add(p.Form, p.Interval)
		if p.Told() {
			if p.Partial { // adds what was told of it; where it stands among others is open above
				s.Sum.Partial++
				p.Hi = math.Inf(1)
			}
			lo, hi = append(lo, p.Lo), append(hi, p.Hi)
		}
	}
	if len(lo) == 0 {
		s.Without = s.Sum
		return s
	}
	slices.Sort(lo)
	slices.Sort(hi)
	at := func(q float64) report.Interval { return report.Interval{Lo: quantile(lo, q), Hi: quantile(hi, q)} }
	s.Told, s.Lower, s.Median, s.Upper = true, at(0.25), at(0.5), at(0.75)
	if len(lo) > 1 {
		s.Largest = &s.Members[0]
		for _, m := range s.Members[1:] {
			s.Without.Add(m.Point.Form, m.Point.Interval)
			if m.Point.Partial {
				s.Without.Partial++
			}
		}
	}
	return s
}

// quantile by the nearest ranks' mean, so that the median of an even number is the mean of
// the two in the middle.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	a, b := sorted[int(math.Floor(at))], sorted[int(math.Ceil(at))]
	if a == b || math.IsInf(a, 1) || math.IsInf(b, 1) {
		return max(a, b)
	}
	return a + (b-a)*(at-math.Floor(at))
}
