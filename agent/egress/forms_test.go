package egress

import (
	"fmt"
	"slices"
	"testing"

	"github.com/fieldpost/fieldpost/agent/egress/egresstest"
)

// TestAttackTheFormTellsNothing: two sites that differ in what one person did in one week are told of by the same code books until the first
// answer that differs. From the forms alone nothing follows.
func TestAttackTheFormTellsNothing(t *testing.T) {
	t.Parallel()
	c := madeUp(t)
	differ := 0
	for _, n := range []int{15, 25} {
		s := egresstest.New(egresstest.Options{Places: n, Active: 0.6, Churn: 0.2, Weeks: 18, Seed: uint64(n) + 2})
		base := drive(t, c, s, n, 0, 16)
		for x := range 12 {
			i, week := x*5%n, x*7%14
			if !s.People[i].Works(week, week) {
				continue
			}
			was := s.Toggle(i, week)
			other := drive(t, c, s, n, 0, 16)
			s.Restore(i, week, was)
			for k, a := range base.told {
				if k >= len(other.told) {
					t.Fatalf("%d people: %d figures left, and %d", n, len(base.told), len(other.told))
				}
				b := other.told[k]
				if a.Series != b.Series || a.Start != b.Start || a.Why.Template != b.Why.Template || a.Why.Known != b.Why.Known || !slices.Equal(a.Why.Answers, b.Why.Answers) {
					t.Fatalf("%d people, %d toggled in week %d: before any answer differed, %s leaves as %+v or %+v", n, i, week, a.measure, a.Ruled, b.Ruled)
				}
				if a.Form != b.Form && (len(a.Why.Answers) == 0 || a.Reason != b.Reason) {
					t.Fatalf("%d people, %d toggled in week %d: %s leaves as %v or %v: the form tells", n, i, week, a.measure, words(a), words(b))
				}
				if a.Lo != b.Lo || a.Hi != b.Hi {
					differ++
					break
				}
			}
		}
	}
	if differ == 0 {
		t.Error("whatever anybody did, nothing sent differs: nothing was tried")
	}
}

func words(a answer) string { return fmt.Sprint(a.Form, " ", a.Lo, "–", a.Hi, " ", a.Reason) }
