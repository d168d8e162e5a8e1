package intcol

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// columns draws what columns look like: constants, runs, ramps, few values, noise, extremes.
func columns(t *rapid.T) []int64 {
	n := rapid.IntRange(1, 200).Draw(t, "n")
	v := make([]int64, n)
	small := rapid.Int64Range(-40, 300)
	switch rapid.IntRange(0, 6).Draw(t, "kind") {
	case 0:
		x := rapid.Int64().Draw(t, "x")
		for i := range v {
			v[i] = x
		}
	case 1: // runs
		for i := 0; i < n; {
			x := small.Draw(t, "x") << rapid.IntRange(0, 40).Draw(t, "shift")
			for range rapid.IntRange(1, 30).Draw(t, "length") {
				if i < n {
					v[i] = x
					i++
				}
			}
		}
	case 2: // ramps
		x := rapid.Int64().Draw(t, "x")
		for i := 0; i < n; {
			step := small.Draw(t, "step")
			for range rapid.IntRange(1, 60).Draw(t, "length") {
				if i < n {
					v[i] = x
					x += step
					i++
				}
			}
		}
	case 3:
		few := rapid.SliceOfN(rapid.Int64(), 1, 40).Draw(t, "few")
		for i := range v {
			v[i] = rapid.SampledFrom(few).Draw(t, "v")
		}
	case 4:
		for i := range v {
			v[i] = small.Draw(t, "v")
		}
	case 5:
		for i := range v {
			v[i] = int64(i)*1000 + small.Draw(t, "v")
		}
	default:
		for i := range v {
			v[i] = rapid.OneOf(rapid.Int64(), rapid.SampledFrom([]int64{math.MaxInt64, math.MinInt64, 0, -1})).Draw(t, "v")
		}
	}
	return v
}

func TestRoundTrip(t *testing.T) {
	var p Planner
	rapid.Check(t, func(t *rapid.T) {
		v := columns(t)
		b := p.Append([]byte{0xaa}, v)
		plan := p.Plan(v)
		if len(b) != 2+plan.Size || b[1] != plan.Layout {
			t.Fatalf("layout %d of %d bytes was planned, %d of %d written", plan.Layout, plan.Size, b[1], len(b)-2)
		}
		r := Reader{B: append(b[1:], 0x55)}
		if got := r.Ints(nil, len(v)); r.Bad || !slices.Equal(got, v) || len(r.B) != 1 {
			t.Fatalf("layout %d: %d read as %d, %d bytes left", plan.Layout, v, got, len(r.B))
		}
		// Cut short anywhere it is noticed, and what comes is all zero.
		for n := range len(b) - 1 {
			r := Reader{B: b[1 : 1+n]}
			if got := r.Ints(nil, len(v)); !r.Bad || slices.ContainsFunc(got, func(x int64) bool { return x != 0 }) {
				t.Fatalf("layout %d cut to %d bytes: %d", plan.Layout, n, got)
			}
		}
	})
}

// Each layout has columns it is the shortest for.
func TestEachLayoutIsTakenWhereItIsShortest(t *testing.T) {
	for _, c := range []struct {
		v    []int64
		want byte
	}{
		{[]int64{7, 7, 7}, layConst},
		{[]int64{5}, layConst},
		{[]int64{1, -900, 63}, layPlain},
		{[]int64{9000, 9000, 9000, 9000, 1, 1, 1, 1, 1, 1}, layRuns},
		{[]int64{1 << 40, 1<<40 + 63, 1<<40 - 1, 1<<40 + 9}, layDelta},
		{[]int64{10, 20, 30, 40, 50, 60, 60, 60, 60, 60}, layDeltaRuns},
		{[]int64{1, 0, 1, 1, 0, 1, 0, 0, 1, 0, 1, 1, 0, 1}, layPacked},
		{[]int64{1000, 2001, 3000, 4001, 5001, 6000, 7001, 8000, 9001}, layDeltaPack},
		{[]int64{1, 1 << 50, 1, 1, 1 << 50, 1, 1 << 50, 1 << 50, 1, 1 << 50, 1}, layDict},
	} {
		var p Planner
		if got := p.Plan(c.v); got.Layout != c.want {
			t.Errorf("%d: layout %d of %d bytes, want %d", c.v, got.Layout, got.Size, c.want)
		}
	}
}

func FuzzReader(f *testing.F) {
	var p Planner
	f.Add(p.Append(nil, []int64{1, 1 << 50, 1, 1, 1 << 50, 1, 1 << 50, 1 << 50, 1}), 9)
	f.Add(p.Append(nil, []int64{1000, 2001, 3000, 4001, 5001, 6000}), 6)
	f.Add(p.Append(nil, []int64{10, 20, 30, 40, 50, 60, 60, 60, 60, 60}), 10)
	f.Add([]byte{layPacked, 0, 58, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, 2)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		if n < 0 || n > 1000 {
			return
		}
		r := Reader{B: b}
		v := r.Ints(nil, n)
		if r.Bad || n == 0 {
			return
		}
		again := Reader{B: p.Append(nil, v)}
		if got := again.Ints(nil, n); again.Bad || !slices.Equal(got, v) {
			t.Fatalf("%d written and read is %d", v, got)
		}
	})
}
