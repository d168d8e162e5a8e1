package accounts

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/fieldpost/fieldpost/protocol/report"
)

func within(lo, hi float64) Point {
	return Point{Form: report.Band, Interval: report.Interval{Lo: lo, Hi: hi}}
}

// TestMediansHoldWhateverLiesInTheIntervals draws a value from each account's interval.
func TestMediansHoldWhateverLiesInTheIntervals(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		var members []Member
		for i := range 1 + r.IntN(9) {
			lo := float64(r.IntN(40))
			members = append(members, Member{Key: fmt.Sprint(i), Name: fmt.Sprint(i), Trait: "x", Point: within(lo, lo+float64(r.IntN(10)))})
		}
		_, s := Segments(members, "industry")
		for range 20 {
			var v []float64
			total := 0.0
			for _, m := range members {
				x := m.Point.Lo + r.Float64()*(m.Point.Hi-m.Point.Lo)
				v, total = append(v, x), total+x
			}
			slices.Sort(v)
			for q, i := range map[float64]report.Interval{0.25: s.Lower, 0.5: s.Median, 0.75: s.Upper} {
				if got := quantile(v, q); got < i.Lo-1e-9 || got > i.Hi+1e-9 {
					t.Fatalf("the quantile %v of %v is %v, outside %v", q, v, got, i)
				}
			}
			if total < s.Sum.Lo-1e-9 || total > s.Sum.Hi+1e-9 {
				t.Fatalf("the sum %v lies outside %v", total, s.Sum.Interval)
			}
		}
	}
}

func TestSegmentsLeaveNobodyOut(t *testing.T) {
	members := []Member{
		{Key: "a", Name: "a", Trait: "Bank", Point: within(10, 14)}, {Key: "b", Name: "b", Trait: "Bank", Point: within(900, 900)},
		{Key: "c", Name: "c", Trait: "Bank", Point: Point{Form: report.Suppressed}}, {Key: "d", Name: "d", Point: Point{}}, {Key: "e", Name: "e", Trait: "Rail", Point: within(5, 9)},
	}
	list, all := Segments(members, "industry")
	var names []string
	n := 0
	for _, s := range list {
		names, n = append(names, s.Name), n+len(s.Members)
	}
	if !slices.Equal(names, []string{"Bank", "Rail", NoTrait}) || n != 5 || len(all.Members) != 5 {
		t.Errorf("segments %v of %d", names, n)
	}
	bank := list[0]
	if bank.Sum.Told() != 2 || bank.Sum.Suppressed != 1 || bank.Largest == nil || bank.Largest.Key != "b" {
		t.Errorf("%+v", bank)
	}
	if bank.Sum.Interval != (report.Interval{Lo: 910, Hi: 914}) || bank.Without.Interval != (report.Interval{Lo: 10, Hi: 14}) {
		t.Errorf("with the largest %v, without %v", bank.Sum.Interval, bank.Without.Interval)
	}
	if list[1].Largest != nil || list[2].Told || list[2].Sum.Unknown != 1 {
		t.Errorf("one account has no largest, and none told in the last: %+v %+v", list[1], list[2])
	}
}

func TestNumbersAreGroupedByQuarters(t *testing.T) {
	var members []Member
	for i := range 40 {
		members = append(members, Member{Key: fmt.Sprint(i), Trait: fmt.Sprint(10 * (i + 1)), Point: within(1, 1)})
	}
	members = append(members, Member{Key: "z"})
	list, _ := Segments(members, "seats")
	if len(list) != 5 || list[0].Name != "10 to 100" || list[3].Name != "310 to 400" || list[4].Name != NoTrait {
		for _, s := range list {
			t.Errorf("%s: %d", s.Name, len(s.Members))
		}
	}
	for _, s := range list[:4] {
		if len(s.Members) != 10 {
			t.Errorf("%s has %d accounts, want a quarter", s.Name, len(s.Members))
		}
	}
}

func TestBlocksReadLikeWeeks(t *testing.T) {
	var points []Point
	for range 4 {
		points = append(points, within(20, 20))
	}
	s := Status{Consented: true, Weeks: 4}
	s.LastReport = s.Clock.Add(1)
	if r := Read(points, s); r.Word != Steady {
		t.Errorf("four equal blocks: %+v", r)
	}
	points[3] = within(30, 34)
	if r := Read(points, s); r.Word != Growing {
		t.Errorf("half more in the newest: %+v", r)
	}
	points[3] = within(0, math.Inf(1))
	if r := Read(points, s); r.Word != Unclear {
		t.Errorf("an open newest: %+v", r)
	}
}

// An account that told it in part adds what was told, is said to have, and stands open above in the median.
func TestAPartIsSaidToBeOne(t *testing.T) {
	one := Member{Key: "a", Point: Point{Form: report.Exact, Interval: report.Interval{Lo: 20, Hi: 20}}}
	part := Member{Key: "b", Point: Point{Form: report.Band, Interval: report.Interval{Lo: 16, Hi: 26}, Partial: true}}
	_, all := Segments([]Member{one, part}, "")
	if all.Sum.Interval != (report.Interval{Lo: 36, Hi: 46}) || all.Sum.Partial != 1 || all.Sum.Told() != 2 || !math.IsInf(all.Median.Hi, 1) {
		t.Errorf("%+v, median %v", all.Sum, all.Median)
	}
	if all.Without.Interval != (report.Interval{Lo: 16, Hi: 26}) || all.Without.Partial != 1 {
		t.Errorf("without the largest: %+v", all.Without)
	}
}
