package storetest

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

func all(t *testing.T, s Store, q store.FigureQuery) []store.FigureRow {
	t.Helper()
	var out []store.FigureRow
	for {
		p := must[store.FigurePage](t)(s.Figures(t.Context(), q))
		out = append(out, p.Rows...)
		if q.After = p.Next; q.After == "" {
			return out
		}
		if len(p.Rows) == 0 {
			t.Fatal("an empty page that is not the last")
		}
	}
}

func batchesOnce(t *testing.T, s Store) {
	a := enrol(t, s, "acme", "eu", store.Production)
	week := people(report.Week, nil)
	b1, b2, b3 := a.batch(exact(week, monday(0), 3)), a.batch(exact(week, monday(1), 4)), a.batch(exact(week, monday(2), 5))
	r := apply(t, s, b1, b3, b1, b2, b2, b3)
	want := []store.Result{{What: store.ResultStored, Cells: 1}, {What: store.ResultGap}, {What: store.ResultDuplicate},
		{What: store.ResultStored, Cells: 1}, {What: store.ResultDuplicate}, {What: store.ResultStored, Cells: 1}}
	if d := cmp.Diff(want, r); d != "" {
		t.Fatal(d)
	}
	if r := apply(t, s, b1, b2, b3); r[0].What != store.ResultDuplicate || r[2].What != store.ResultDuplicate {
		t.Fatalf("a second time: %+v", r)
	}
	if n := len(all(t, s, store.FigureQuery{})); n != 3 {
		t.Fatalf("%d cells for 3", n)
	}
	seq, hash, err := s.Mark(t.Context(), a.ID, a.epoch)
	if ok(t, err); seq != 3 || hash != b3.Hash {
		t.Fatalf("mark %d", seq)
	}
	if h, code, err := s.Judged(t.Context(), a.ID, a.epoch, 2); err != nil || h != b2.Hash || code != "" {
		t.Fatalf("the second was judged %s %q: %v", h, code, err)
	}
	if _, _, err := s.Judged(t.Context(), a.ID, a.epoch, 4); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("judgement of what never came: %v", err)
	}
	if th := must[[]exchange.Through](t)(s.Through(t.Context(), a.ID, 5)); len(th) != 1 || th[0].Stored != 3 {
		t.Fatalf("through %+v", th)
	}
	i := must[store.Installation](t)(s.Installation(t.Context(), "acme", "eu"))
	if i.Batches != 3 || i.Cells != 3 || !i.FirstReport.Equal(b1.Received) || !i.LastReport.Equal(b3.Received) || i.Zone != "UTC" {
		t.Fatalf("installation says %+v", i)
	}
	if l := must[[]store.BatchRow](t)(s.Batches(t.Context(), store.BatchQuery{Account: "acme", Installation: "eu"})); len(l) != 3 || l[0].Seq != 3 || l[0].Hash != b3.Hash {
		t.Fatalf("batches %+v", l)
	}
}

func windowsOnce(t *testing.T, s Store) {
	a := enrol(t, s, "acme", "eu", store.Production)
	week := people(report.Week, nil)
	apply(t, s, a.batch(exact(week, monday(0), 3), exact(week, monday(1), 4)))
	// A restore: another epoch sends one window again, equal, one changed, one new.
	a.epoch, a.seq = exchange.ID{42}, 0
	r := apply(t, s, a.batch(exact(week, monday(0), 3), exact(week, monday(1), 9), exact(week, monday(2), 5)))
	if r[0] != (store.Result{What: store.ResultStored, Cells: 1, Aside: 2}) {
		t.Fatalf("%+v", r[0])
	}
	got := all(t, s, store.FigureQuery{Measure: "people"})
	var values []float64
	for _, f := range got {
		values = append(values, f.Figure.Lo)
	}
	if d := cmp.Diff([]float64{3, 4, 5}, values); d != "" {
		t.Fatalf("the first arrival must stay: %s", d)
	}
	aside := must[[]store.Aside](t)(s.Aside(t.Context(), store.TroubleQuery{}))
	if len(aside) != 2 || aside[0].Equal || !aside[1].Equal || aside[0].Figure.Lo != 9 || aside[0].Epoch != a.epoch {
		t.Fatalf("set aside %+v", aside)
	}
	ps := must[[]store.Period](t)(s.Periods(t.Context(), store.PeriodQuery{Measure: "people", Account: "acme"}))
	if len(ps) != 3 || ps[1].Interval.Lo != 4 {
		t.Fatalf("a window that came twice is in the roll-up twice: %+v", ps)
	}
}

func refusals(t *testing.T, s Store) {
	a := enrol(t, s, "acme", "eu", store.Production)
	bad := a.batch()
	bad.Refused, bad.Message, bad.Raw = "consent_not_covered", "usage is local", []byte("bytes")
	good := a.batch(exact(people(report.Week, nil), monday(0), 3))
	r := apply(t, s, bad, good, bad)
	if r[0].What != store.ResultRefused || r[1].What != store.ResultStored || r[2].What != store.ResultDuplicate {
		t.Fatalf("%+v", r)
	}
	q := must[[]store.Quarantined](t)(s.Quarantine(t.Context(), store.TroubleQuery{Account: "acme"}))
	if len(q) != 1 || q[0].Code != "consent_not_covered" || q[0].Seq != 1 {
		t.Fatalf("quarantine %+v", q)
	}
	if b := must[[]byte](t)(s.QuarantineBytes(t.Context(), q[0].ID)); string(b) != "bytes" {
		t.Fatalf("came back as %q", b)
	}
	if i := must[store.Installation](t)(s.Installation(t.Context(), "acme", "eu")); i.Refused != 1 || i.Batches != 1 {
		t.Fatalf("%+v", i)
	}
}

func failedApply(t *testing.T, s Store) {
	a := enrol(t, s, "acme", "eu", store.Production)
	stranger := &site{Agent: store.Agent{ID: exchange.ID{77}}, epoch: exchange.ID{7}}
	week := people(report.Week, nil)
	first := a.batch(exact(week, monday(0), 3))
	if _, err := s.Apply(t.Context(), []store.Batch{first, stranger.batch(exact(week, monday(0), 3))}); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("a batch of nobody: %v", err)
	}
	if n := len(all(t, s, store.FigureQuery{})); n != 0 {
		t.Fatalf("%d cells of a transaction that failed", n)
	}
	if r := apply(t, s, first); r[0].What != store.ResultStored {
		t.Fatalf("afterwards: %+v", r)
	}
	if ps := must[[]store.Period](t)(s.Periods(t.Context(), store.PeriodQuery{Fleet: true})); len(ps) != 1 || ps[0].Interval.Lo != 3 {
		t.Fatalf("roll-ups after a failed transaction: %+v", ps)
	}
}

// rollups compares what was kept with sums made afresh from every cell.
func rollups(t *testing.T, s Store) {
	r := rand.New(rand.NewPCG(1, 2))
	week, week2 := people(report.Week, nil), requests(report.Week)
	want := map[string]report.Tally{} // fleet sums of account forms
	type perAccount map[string]report.Tally
	byAccount := map[string]perAccount{}
	for n := range 12 {
		account := fmt.Sprintf("account%d", n/2) // two installations each
		a := enrol(t, s, account, fmt.Sprintf("i%d", n), store.Production)
		for w := range 8 {
			c := randomCell(r, week, monday(w))
			apply(t, s, a.batch(c, randomCell(r, week2, monday(w))))
			k := fmt.Sprint("people ", monday(w))
			if byAccount[k] == nil {
				byAccount[k] = perAccount{}
			}
			ta := byAccount[k][account]
			before, told := ta.Interval, ta.Told()
			ta.Add(c.Form, report.Interval{Lo: c.Lo, Hi: c.Hi})
			if c.Form.HasNumbers() && told > 0 {
				ta.Interval = before.Union(report.Interval{Lo: c.Lo, Hi: c.Hi})
			}
			byAccount[k][account] = ta
		}
	}
	for k, accounts := range byAccount {
		var f report.Tally
		for _, ta := range accounts {
			f.Add(ta.Form(), ta.Interval)
		}
		want[k] = f
	}
	for _, p := range must[[]store.Period](t)(s.Periods(t.Context(), store.PeriodQuery{Measure: "people"})) {
		w := byAccount[fmt.Sprint("people ", p.Start)][p.Account]
		if p.Interval != w.Interval || p.Exact != w.Exact || p.Banded != w.Banded || p.Noised != w.Noised || p.Form() != w.Form() || p.Suppressed != w.Suppressed {
			t.Errorf("%s week %d: kept %+v, afresh %+v", p.Account, p.Start, p, w)
		}
	}
	fleet := must[[]store.Period](t)(s.Periods(t.Context(), store.PeriodQuery{Measure: "people", Fleet: true}))
	if len(fleet) != 8 {
		t.Fatalf("%d weeks of the fleet", len(fleet))
	}
	for _, p := range fleet {
		w := want[fmt.Sprint("people ", p.Start)]
		if p.Interval != w.Interval || p.Exact != w.Exact || p.Banded != w.Banded || p.Noised != w.Noised || p.Form() != w.Form() || p.Suppressed != w.Suppressed {
			t.Errorf("fleet week %d: kept %+v, afresh %+v", p.Start, p, w)
		}
	}
}

func randomCell(r *rand.Rand, s *store.Series, start int64) store.Cell {
	switch v := float64(r.IntN(50)); r.IntN(5) {
	case 4: // noise takes it below nought as well
		return store.Cell{Series: s, Start: start, Form: report.Noised, Lo: v - 10, Hi: v - 10}
	case 0:
		return store.Cell{Series: s, Start: start, Form: report.Suppressed}
	case 1:
		return band(s, start, v, v+10)
	case 2:
		return band(s, start, v, math.Inf(1))
	default:
		return exact(s, start, v)
	}
}

func unions(t *testing.T, s Store) {
	eu, us := enrol(t, s, "acme", "eu", store.Production), enrol(t, s, "acme", "us", store.Production)
	p, q := people(report.Week, nil), requests(report.Week)
	apply(t, s, eu.batch(exact(p, monday(0), 30), exact(q, monday(0), 100)), us.batch(exact(p, monday(0), 12), exact(q, monday(0), 50)))
	ps := must[[]store.Period](t)(s.Periods(t.Context(), store.PeriodQuery{Account: "acme"}))
	if len(ps) != 2 || ps[0].Interval != (report.Interval{Lo: 30, Hi: 42}) || ps[1].Interval != (report.Interval{Lo: 150, Hi: 150}) {
		t.Fatalf("%+v", ps)
	}
	// Environments are kept apart and joined on demand.
	test := enrol(t, s, "acme", "lab", store.Test)
	apply(t, s, test.batch(exact(q, monday(0), 1000)))
	ps = must[[]store.Period](t)(s.Periods(t.Context(), store.PeriodQuery{Account: "acme", Measure: "requests", Environments: []string{store.Production}}))
	if len(ps) != 1 || ps[0].Interval.Lo != 150 {
		t.Fatalf("production alone: %+v", ps)
	}
	ps = must[[]store.Period](t)(s.Periods(t.Context(), store.PeriodQuery{Account: "acme", Measure: "requests"}))
	if len(ps) != 1 || ps[0].Interval.Lo != 1150 || ps[0].Exact != 3 {
		t.Fatalf("all environments: %+v", ps)
	}
}

// grains: hours and days of the same events are not added to each other.
func grains(t *testing.T, s Store) {
	a := enrol(t, s, "acme", "eu", store.Production)
	hour, day := requests(report.Hour), requests(report.Day)
	var cells []store.Cell
	for h := range 24 {
		cells = append(cells, exact(hour, monday(0)*86400+int64(h)*3600, 10))
	}
	cells = append(cells, exact(day, monday(0), 240), exact(day, monday(0)+1, 240))
	apply(t, s, a.batch(cells...))
	for _, g := range []report.Grain{store.Weekly, store.Monthly} {
		ps := must[[]store.Period](t)(s.Periods(t.Context(), store.PeriodQuery{Account: "acme", Grain: g}))
		if len(ps) != 1 || ps[0].Interval != (report.Interval{Lo: 480, Hi: 480}) || ps[0].Windows != 2 {
			t.Fatalf("%s: %+v", g, ps)
		}
	}
}

func figures(t *testing.T, s Store) {
	role := people(report.Week, map[string]string{"role": "admin"})
	total := people(report.Week, nil)
	fact := &store.Series{Measure: "version", Hash: "00000000000000cc", Kind: "fact", Subject: "machine", Category: "inventory", Field: report.Value, Grain: report.Day, Texts: []string{"1.0", "1.1", "(other)", "(none)"}}
	sketch := &store.Series{Measure: "wait", Hash: "00000000000000dd", Kind: "distribution", Subject: "traffic", Category: "usage", Field: report.Sketch, Grain: report.Hour}
	for _, name := range []string{"eu", "us"} {
		a := enrol(t, s, "acme", name, store.Production)
		for w := range 20 {
			apply(t, s, a.batch(exact(total, monday(w), float64(w)), store.Cell{Series: role, Start: monday(w), Form: report.Suppressed}, exact(fact, monday(w), 1),
				store.Cell{Series: sketch, Start: monday(w) * 86400, Form: report.Exact, Blob: []byte{1, 2, byte(w)}}))
		}
	}
	count := func(q store.FigureQuery, want int) []store.FigureRow {
		t.Helper()
		q.Limit = 7 // many pages
		got := all(t, s, q)
		if len(got) != want {
			t.Fatalf("%+v: %d figures, want %d", q, len(got), want)
		}
		seen := map[string]bool{}
		for _, f := range got {
			k := f.Installation + f.Figure.Key()
			if seen[k] {
				t.Fatalf("%s came twice", k)
			}
			seen[k] = true
		}
		return got
	}
	count(store.FigureQuery{}, 160)
	count(store.FigureQuery{Measure: "people"}, 80)
	count(store.FigureQuery{Measure: "people", Dims: map[string]string{}}, 40)
	got := count(store.FigureQuery{Measure: "people", Dims: map[string]string{"role": "admin"}, Account: "acme", Installation: "us"}, 20)
	if got[0].Figure.Form != report.Suppressed || got[0].Figure.Dims["role"] != "admin" || got[0].Account != "acme" || got[0].Installation != "us" {
		t.Fatalf("%+v", got[0])
	}
	from, to := time.Unix(monday(5)*86400, 0), time.Unix(monday(7)*86400, 0)
	count(store.FigureQuery{Measure: "people", Dims: map[string]string{}, Installation: "eu", Account: "acme", From: from, To: to}, 3)
	count(store.FigureQuery{Measure: "wait", From: from, To: to}, 6)
	if got := count(store.FigureQuery{Measure: "version"}, 40); got[0].Figure.Text != "1.1" {
		t.Fatalf("a fact without its text: %+v", got[0].Figure)
	}
	if got := count(store.FigureQuery{Measure: "wait", Grain: report.Hour, Field: report.Sketch, Account: "acme", Installation: "us"}, 20); len(got[3].Figure.Blob) != 3 || got[3].Figure.Blob[2] != 3 {
		t.Fatalf("a sketch came back as %v", got[3].Figure.Blob)
	}
	count(store.FigureQuery{Measure: "nothing"}, 0)
	latest := must[[]store.LatestRow](t)(s.Latest(t.Context(), "acme", "eu"))
	if len(latest) != 4 || latest[0].Figure.Start != monday(19) || latest[0].First != monday(0) || latest[0].Windows != 20 {
		t.Fatalf("latest %+v", latest)
	}
}
