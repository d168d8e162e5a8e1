package storetest

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

func pooled(t *testing.T, s Store) {
	block := report.CivilStart(report.Block12w, monday(0))
	total, role := people(report.Block12w, nil), people(report.Block12w, map[string]string{"role": "admin"})
	total.Pool, role.Pool = true, true
	short := people(report.Block4w, nil)
	short.Pool = true
	noised := func(s *store.Series, start int64, v float64) store.Cell {
		return store.Cell{Series: s, Start: start, Form: report.Noised, Lo: v, Hi: v}
	}
	for n := range 6 {
		env := store.Production
		if n == 5 {
			env = store.Test
		}
		a := enrol(t, s, fmt.Sprintf("account%d", n/2), fmt.Sprintf("i%d", n), env) // two installations each
		apply(t, s, a.batch(noised(total, block, float64(n)-1), noised(role, block, -2), noised(short, block, 100), noised(total, block+84, 7)))
	}
	audited := enrol(t, s, "big", "eu", store.Production)
	apply(t, s, audited.batch(exact(total, block, 500), store.Cell{Series: role, Start: block, Form: report.Suppressed}))

	row := func(start int64, dims map[string]string, accounts, sites int, sum float64) store.PoolRow {
		if dims == nil {
			dims = map[string]string{}
		}
		return store.PoolRow{Measure: "people", Hash: total.Hash, Kind: total.Kind, Field: report.Value, Dims: dims, Start: start, Accounts: accounts, Sites: sites, Sum: sum}
	}
	all := []store.PoolRow{row(block, nil, 3, 6, 9), row(block, role.Dims, 3, 6, -12), row(block+84, nil, 3, 6, 42)}
	for name, x := range map[string]struct {
		q    store.PoolQuery
		want []store.PoolRow
	}{
		"all":           {store.PoolQuery{}, all},
		"measure":       {store.PoolQuery{Measure: "people"}, all},
		"other measure": {store.PoolQuery{Measure: "nothing"}, nil},
		"one block":     {store.PoolQuery{From: block + 84, To: block + 84}, all[2:]},
		"until":         {store.PoolQuery{To: block}, all[:2]},
		"production": {store.PoolQuery{Environments: []string{store.Production}, To: block}, []store.PoolRow{
			row(block, nil, 3, 5, 5), row(block, role.Dims, 3, 5, -10)}},
		"test": {store.PoolQuery{Environments: []string{store.Test}, From: block, To: block}, []store.PoolRow{
			row(block, nil, 1, 1, 4), row(block, role.Dims, 1, 1, -2)}},
	} {
		got := must[[]store.PoolRow](t)(s.Pooled(t.Context(), x.q))
		if d := cmp.Diff(x.want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// poolHidden: what a single site gave to the pool is told by no other method, under no filter; what stands beside it is.
func poolHidden(t *testing.T, s Store) {
	ctx := t.Context()
	block := report.CivilStart(report.Block12w, monday(0))
	total, role, short := people(report.Block12w, nil), people(report.Block12w, map[string]string{"role": "admin"}), people(report.Block4w, nil)
	total.Pool, role.Pool, short.Pool = true, true, true
	own := people(report.Block12w, nil) // of a measure that joins no pool: noise told at strict
	own.Measure = "own"
	noised := func(se *store.Series, start int64, v float64) store.Cell {
		return store.Cell{Series: se, Start: start, Form: report.Noised, Lo: v, Hi: v}
	}
	a := enrol(t, s, "acme", "eu", store.Production)
	apply(t, s, a.batch(noised(total, block, 41), noised(role, block, 42), noised(total, block+84, 43), noised(short, block, 31), noised(own, block, 32)))
	apply(t, s, a.batch(store.Cell{Series: total, Start: block + 168, Form: report.Suppressed}))
	a.epoch, a.seq = exchange.ID{9}, 0 // the same windows again, with other noise
	apply(t, s, a.batch(noised(total, block, 44), noised(role, block, 42)))

	secret := func(where string, f report.Form, lo, hi float64) {
		t.Helper()
		for _, v := range []float64{lo, hi} {
			if v >= 41 && v <= 44 {
				t.Errorf("%s tells what was given to the pool: %s %v–%v", where, f, lo, hi)
			}
		}
	}
	for _, q := range []store.FigureQuery{{}, {Limit: 1}, {Grain: report.Block12w}, {Account: "acme", Installation: "eu"}, {Measure: "people", Dims: map[string]string{}},
		{Dims: role.Dims}, {Field: report.Value, From: epoch0.AddDate(0, -4, 0), To: epoch0.AddDate(1, 0, 0)}} {
		for _, r := range all(t, s, q) {
			secret(fmt.Sprintf("Figures %+v", q), r.Figure.Form, r.Figure.Lo, r.Figure.Hi)
		}
	}
	if n := len(all(t, s, store.FigureQuery{})); n != 3 {
		t.Errorf("%d figures are told, want those of 4 weeks, of the measure without a pool, and the withheld one", n)
	}
	for _, grain := range []report.Grain{report.Week, report.Month, report.Rolling28, report.Block4w, report.Block12w} {
		for _, q := range []store.PeriodQuery{{Grain: grain}, {Grain: grain, Account: "acme"}, {Grain: grain, Fleet: true}, {Grain: grain, Fleet: true, Environments: []string{store.Production}}} {
			for _, p := range must[[]store.Period](t)(s.Periods(ctx, q)) {
				secret(fmt.Sprintf("Periods %+v", q), p.Form(), p.Interval.Lo, p.Interval.Hi)
			}
		}
	}
	for _, r := range must[[]store.LatestRow](t)(s.Latest(ctx, "acme", "")) {
		secret("Latest", r.Figure.Form, r.Figure.Lo, r.Figure.Hi)
		if r.Figure.Form == report.Noised && r.Figure.Grain == report.Block12w && r.Figure.Measure == "people" {
			t.Errorf("Latest names a window that was given to the pool")
		}
	}
	for _, sort := range []string{"measure", "name"} {
		for _, r := range must[store.AccountPage](t)(s.AccountPage(ctx, store.AccountQuery{Measure: "people", Sort: sort, Recent: 10})).Rows {
			for _, p := range append(r.Recent, deref(r.Measure)...) {
				secret("AccountPage", p.Form(), p.Interval.Lo, p.Interval.Hi)
			}
		}
	}
	aside := must[[]store.Aside](t)(s.Aside(ctx, store.TroubleQuery{}))
	if len(aside) != 2 || !aside[0].ForPool || aside[0].Figure.Measure != "people" {
		t.Errorf("set aside: %+v", aside)
	}
	for _, x := range aside {
		secret("Aside", x.Figure.Form, x.Figure.Lo, x.Figure.Hi)
	}
	sums := must[[]store.PoolRow](t)(s.Pooled(ctx, store.PoolQuery{}))
	if len(sums) != 3 || sums[0].Sum != 41 || sums[1].Sum != 42 || sums[2].Sum != 43 {
		t.Errorf("the pool itself: %+v", sums)
	}
}

func deref(p *store.Period) []store.Period {
	if p == nil {
		return nil
	}
	return []store.Period{*p}
}
