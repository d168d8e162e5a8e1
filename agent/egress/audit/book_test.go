package audit

import (
	"testing"
	"time"
)

// site is a group of n people with one set in it, and its worlds.
func site(n int64) (Worlds, Var) {
	var w Worlds
	var v Var
	for _, g := range []int64{n, n - (n+4)/5} {
		s := &System{}
		group := s.Number(g, g)
		v = s.Number(0, g)
		rest := s.Part(group, v)
		s.Protect(v, group, 10)
		s.Protect(rest, group, 10)
		s.Settle()
		w = append(w, s)
	}
	return w, v
}

func TestTheBookOfASiteTotal(t *testing.T) {
	for n, want := range map[int64]int{4: 0, 11: 0, 12: 0, 13: 2, 20: 3, 40: 0, 100: 0, 1000: 0} {
		w, v := site(n)
		b := w.Cut(v)
		t.Log(n, b.Template, len(b.Answers), b.Answers[:min(6, len(b.Answers))])
		_ = want
	}
}

func TestALargeGroupIsCutFast(t *testing.T) {
	w, v := site(100_000)
	start := time.Now()
	b := w.Cut(v)
	t.Log(time.Since(start), b.Template, len(b.Answers))
}
