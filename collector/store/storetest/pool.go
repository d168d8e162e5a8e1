package storetest

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/report"
)

func pooled(t *testing.T, s Store) {
	block := report.CivilStart(report.Block12w, monday(0))
	total, role := people(report.Block12w, nil), people(report.Block12w, map[string]string{"role": "admin"})
	short := people(report.Block4w, nil)
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
