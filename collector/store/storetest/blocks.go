package storetest

import (
	"math"
	"testing"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// blocks: windows of 28 days and of blocks are periods of their own, and people of two
// installations of an account are joined to the largest … the sum and never added.
func blocks(t *testing.T, s Store) {
	block := report.CivilStart(report.Block12w, monday(0))
	series := func(measure string, kind catalog.Kind, g report.Grain) *store.Series {
		return &store.Series{Measure: measure, Hash: "0123456789abcdef", Kind: string(kind), Subject: "person", Category: "usage", Field: report.Value, Grain: g}
	}
	steps, paths, habit, cohort := series("steps", catalog.Funnel, report.Block4w), series("paths", catalog.Transitions, report.Block4w), series("habit", catalog.Stickiness, report.Rolling28), series("cohort", catalog.Retention, report.Block12w)
	in := func(lo, hi float64, start int64, se *store.Series) store.Cell {
		f := report.Band
		if lo == hi {
			f = report.Exact
		}
		return store.Cell{Series: se, Start: start, Form: f, Lo: lo, Hi: hi}
	}
	one, two := enrol(t, s, "acme", "eu", store.Production), enrol(t, s, "acme", "us", store.Production)
	apply(t, s, one.batch(in(30, 30, block, steps), in(100, 100, block, paths), in(20, 24, block+27, habit), in(10, 14, block, cohort)))
	apply(t, s, two.batch(in(20, 24, block, steps), in(50, 50, block, paths), in(20, 24, block+27, habit), store.Cell{Series: cohort, Start: block, Form: report.Noised, Lo: 7, Hi: 7}))
	other := enrol(t, s, "small", "eu", store.Production)
	apply(t, s, other.batch(store.Cell{Series: cohort, Start: block, Form: report.Noised, Lo: 7, Hi: 7}))
	for _, x := range []struct {
		account, measure string
		grain            report.Grain
		start            int64
		form             report.Form
		lo, hi           float64
	}{{"acme", "steps", report.Block4w, block, report.Band, 30, 54}, {"acme", "paths", report.Block4w, block, report.Exact, 150, 150},
		{"acme", "habit", report.Rolling28, block + 27, report.Band, 20, 48}, {"acme", "cohort", report.Block12w, block, report.Noised, 10, 21}, {"small", "cohort", report.Block12w, block, report.Noised, 7, 7}} {
		list := must[[]store.Period](t)(s.Periods(t.Context(), store.PeriodQuery{Measure: x.measure, Account: x.account, Grain: x.grain}))
		if len(list) != 1 {
			t.Errorf("%s of %s: %d periods", x.measure, x.account, len(list))
			continue
		}
		if p := list[0]; p.Start != x.start || p.Form() != x.form || p.Interval.Lo != x.lo || math.Abs(p.Interval.Hi-x.hi) > 0 {
			t.Errorf("%s of %s: %s %v from %d, want %s %v to %v from %d", x.measure, x.account, p.Form(), p.Interval, p.Start, x.form, x.lo, x.hi, x.start)
		}
		if weeks := must[[]store.Period](t)(s.Periods(t.Context(), store.PeriodQuery{Measure: x.measure, Account: x.account})); len(weeks) != 0 {
			t.Errorf("%s of %s: %d weeks were made of a longer window", x.measure, x.account, len(weeks))
		}
	}
}
