package egress

import (
	"math"
	"testing"
)

// Every answer of every book must satisfy the principle, judged by a second, plain reading of it:
// for the true group anywhere between a fifth fewer and n people, the set of counts that give the
// same answer is one value with ten inside and ten outside, or at least five values.
func TestTotalBookKeepsThePrinciple(t *testing.T) {
	for n := range 1200 {
		b := TotalBook(n)
		if n < 12 && b != nil {
			t.Fatalf("group of %d: a book with %d answers", n, len(b))
		}
		if n >= 12 && b == nil {
			t.Fatalf("group of %d: no book", n)
		}
		if b == nil {
			continue
		}
		smallest := int(math.Floor(float64(n) * 0.8))
		for _, group := range []int{smallest, n} {
			counts := map[float64][]int{}
			for v := range group + 1 {
				a := b.Answer(float64(v))
				if float64(v) < a.Lo || float64(v) > a.Hi {
					t.Fatalf("group %d: %d is answered with [%v, %v]", n, v, a.Lo, a.Hi)
				}
				counts[a.Lo] = append(counts[a.Lo], v)
			}
			for lo, vs := range counts {
				alone := len(vs) == 1 && vs[0] >= 10 && group-vs[0] >= 10
				if !alone && len(vs) < 5 {
					t.Errorf("group named %d, truly %d: the answer from %v fits only %v", n, group, lo, vs)
				}
			}
		}
	}
}

func TestTotalBookIsExactInTheMiddleOfALargeSite(t *testing.T) {
	b := TotalBook(100)
	exact := 0
	for v := range 101 {
		if a := b.Answer(float64(v)); a.Lo == a.Hi {
			exact++
		}
	}
	if exact != 61 { // 10 … 70: safe group 80, ten outside
		t.Errorf("%d exact answers of a group of 100", exact)
	}
	if a := b.Answer(250); !math.IsInf(a.Hi, 1) {
		t.Errorf("a count above the group is answered with [%v, %v]", a.Lo, a.Hi)
	}
}

func TestRoundGroup(t *testing.T) {
	for n, want := range map[int]int{0: 0, 8: 0, 9: 9, 13: 9, 14: 14, 24: 20, 99: 80, 100: 100, 139: 100, 140: 140, 199: 140, 200: 200, 1490: 1400, 12500: 10000} {
		if got := roundGroup(n); got != want {
			t.Errorf("roundGroup(%d) = %d, want %d", n, got, want)
		}
	}
}
