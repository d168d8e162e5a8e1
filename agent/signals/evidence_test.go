package signals

import (
	"math/rand/v2"
	"testing"

	"github.com/fieldpost/fieldpost/protocol/report"
)

func between2(lo, hi float64) Figure { return Figure{report.Interval{Lo: lo, Hi: hi}, true} }

func eight(vs ...float64) (out [8]Figure) {
	copy(out[:], exactly(vs...))
	return out
}

func TestExplain(t *testing.T) {
	flat := eight(100, 100, 100, 100, 100, 100, 100, 100)
	for name, c := range map[string]struct {
		in   Facts
		want Why
	}{
		"nothing told": {Facts{Direction: Unknown}, Why{Unknown, Unknown, Unknown, Unknown, Unknown}},
		"forty accounts in one week": {Facts{Direction: Up, Weeks: eight(100, 100, 100, 100, 100, 140, 140, 140), Before: Exact(110), Active: Exact(150), New: Exact(40), Resurrected: Exact(2), Dormant: Exact(1)},
			Why{Yes, Unknown, Unknown, No, No}},
		"forty over four weeks": {Facts{Direction: Up, Weeks: eight(100, 100, 100, 100, 110, 120, 130, 140), Before: Exact(110), Active: Exact(150), New: Exact(40), Resurrected: Exact(2), Dormant: Exact(1)},
			Why{No, Unknown, Unknown, No, No}},
		"seats given to many": {Facts{Direction: Unknown, Assigned: Exact(80), AssignedBefore: Exact(50)}, Why{Yes, Unknown, Unknown, Unknown, Unknown}},
		"a week of a campaign": {Facts{Direction: Level, Weeks: eight(100, 100, 100, 100, 100, 180, 100, 100), Active: Exact(110), New: Exact(0), Resurrected: Exact(3), Dormant: Exact(2), Before: Exact(110)},
			Why{No, Unknown, Unknown, Yes, No}},
		"a burst or a new level": {Facts{Direction: Unknown, Weeks: eight(100, 100, 100, 100, 100, 100, 100, 180)}, Why{Unknown, Unknown, Unknown, Unknown, Unknown}},
		"a volcano": {Facts{Direction: Level, Weeks: flat, Before: Exact(100), Active: Exact(100), New: between2(30, 34), Resurrected: between2(5, 9), Dormant: between2(35, 39), Invited: Exact(20)},
			Why{No, Unknown, Yes, No, Yes}},
		"bands too wide": {Facts{Direction: Level, Weeks: flat, Before: Exact(100), Active: Exact(100), New: between2(0, 49), Resurrected: between2(0, 49), Dormant: between2(20, 49), Invited: Exact(20)},
			Why{No, Unknown, Unknown, No, Unknown}},
		"a department begins": {Facts{Direction: Unknown, Groups: []Group{{Exact(20), exactly(19, 20)}, {between2(5, 9), exactly(0, 0)}}}, Why{Unknown, Yes, Unknown, Unknown, Unknown}},
		"maybe it was there":  {Facts{Direction: Unknown, Groups: []Group{{Exact(20), exactly(19, 20)}, {between2(5, 9), []Figure{between2(0, 4), {}}}}}, Why{Unknown, Unknown, Unknown, Unknown, Unknown}},
		"all were there":      {Facts{Direction: Unknown, Groups: []Group{{Exact(20), exactly(19, 20)}, {between2(5, 9), []Figure{between2(5, 9), {}}}}}, Why{Unknown, No, Unknown, Unknown, Unknown}},
		"nobody invited":      {Facts{Direction: Unknown, New: Exact(12), Invited: between2(0, 4)}, Why{Unknown, Unknown, No, Unknown, Unknown}},
	} {
		if got := Explain(c.in); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestObserve(t *testing.T) {
	var office, always, idle []Figure
	for d := range 28 {
		v := 400.0
		if d%7 > 4 {
			v = 10
		}
		office, always, idle = append(office, Exact(v)), append(always, Exact(300)), append(idle, Exact(3))
	}
	weeks := exactly(repeated(60, 10)...)
	roles := []Figure{between2(20, 24), between2(10, 14), between2(0, 4)}
	for name, c := range map[string]struct {
		in   Site
		want Stage
	}{
		"production":     {Site{Days: office, Active: Exact(80), Weeks: weeks, Groups: roles, Blocks: exactly(repeated(70, 6)...)}, Stage{Production, High, Yes, Yes, Yes, Yes, Yes, Yes}},
		"a robot":        {Site{Days: always, Active: between2(0, 4), Weeks: weeks, Groups: []Figure{Exact(1)}, Blocks: exactly(1, 1)}, Stage{Pilot, High, No, No, Yes, No, No, Yes}},
		"a trial":        {Site{Days: idle, Active: between2(5, 9), Weeks: exactly(5, 9, 0, 0, 1, 8, 0, 0), Groups: roles, Blocks: exactly(9)}, Stage{Trial, High, No, No, No, Yes, No, No}},
		"no traffic":     {Site{Active: Exact(80), Weeks: weeks, Groups: roles, Blocks: exactly(repeated(70, 6)...)}, Stage{Production, High, Unknown, Yes, Yes, Yes, Yes, Unknown}},
		"not told much":  {Site{Active: between2(9, 24), Weeks: weeks, Blocks: exactly(1, 2, 3, 4, 5, 6)}, Stage{Unknown, Unknown, Unknown, Unknown, Yes, Unknown, Yes, Unknown}},
		"nothing at all": {Site{}, Stage{Unknown, Unknown, Unknown, Unknown, Unknown, Unknown, Unknown, Unknown}},
	} {
		if got := Observe(c.in); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

// TestExactEvidenceHoldsForEveryWorldInTheIntervals: an answer from intervals is the answer of every world that lies in them.
func TestExactEvidenceHoldsForEveryWorldInTheIntervals(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	var world func(f Figure) Figure
	wide := func(most int) Figure {
		v, w := float64(r.IntN(most)), float64([]int{0, 0, 4, 9}[r.IntN(4)])
		lo := max(0, v-float64(r.IntN(int(w)+1)))
		return Figure{report.Interval{Lo: lo, Hi: lo + w}, r.IntN(12) > 0}
	}
	world = func(f Figure) Figure {
		if !f.Known { // it is some number, which nobody told
			return Exact(float64(r.IntN(150)))
		}
		return Exact(f.Lo + float64(r.IntN(int(f.Hi-f.Lo)+1)))
	}
	answered := [5]map[Answer]int{}
	for i := range answered {
		answered[i] = map[Answer]int{}
	}
	for range 20000 {
		f := Facts{Direction: Answer(r.IntN(3)), Active: wide(120), Before: wide(120), New: wide(60), Resurrected: wide(40), Dormant: wide(60), Assigned: wide(100), AssignedBefore: wide(100), Invited: wide(40)}
		for i := range f.Weeks {
			f.Weeks[i] = wide(120)
		}
		for range r.IntN(3) {
			f.Groups = append(f.Groups, Group{wide(20), []Figure{wide(3), wide(3)}})
		}
		said := Explain(f).Answers()
		w := f
		for _, p := range []*Figure{&w.Active, &w.Before, &w.New, &w.Resurrected, &w.Dormant, &w.Assigned, &w.AssignedBefore, &w.Invited} {
			*p = world(*p)
		}
		for i := range w.Weeks {
			w.Weeks[i] = world(w.Weeks[i])
		}
		w.Groups = nil
		for _, g := range f.Groups {
			w.Groups = append(w.Groups, Group{world(g.Now), []Figure{world(g.Before[0]), world(g.Before[1])}})
		}
		truth := Explain(w).Answers()
		for i, a := range said {
			answered[i][a]++
			// Seats that were not told are left out of what bulk looks at, so its no speaks of people alone then.
			seats := f.Assigned.Known && f.AssignedBefore.Known
			if a != Unknown && truth[i] != Unknown && truth[i] != a && !(i == 0 && !seats) {
				t.Fatalf("evidence %d: %d was said, a world has %d\n%+v\n%+v", i, a, truth[i], f, w)
			}
		}
	}
	for i, m := range answered {
		if m[Yes] == 0 || m[No] == 0 || m[Unknown] == 0 {
			t.Errorf("evidence %d: %v", i, m)
		}
	}
}
