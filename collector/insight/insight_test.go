package insight

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/noise"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// pooledBy is a catalog with the measures named, all in the pool.
func pooledBy(t testing.TB, version int, measures ...string) *catalog.Catalog {
	t.Helper()
	body := map[string]string{
		"people": "kind: active_users, events: [e]",
		"roles":  "kind: active_users, events: [e], by: [role]",
		"way":    "kind: funnel, steps: [{id: begun, event: e}, {id: done, event: f}], window: 7d",
		"kept":   "kind: retention, events: [e]",
		"uses":   "kind: adoption, events: [e, f], features: {x: {events: [e]}, y: {events: [f]}, z: {events: [e, f]}}",
	}
	b := fmt.Sprintf("catalog: t\nversion: %d\nvendor: V\nevents:\n  e: {match: E}\n  f: {match: F}\ntraits:\n  role: {values: [admin, user]}\nmeasures:\n", version)
	for _, id := range measures {
		b += fmt.Sprintf("  - {id: %s, %s, pool: true, category: usage, question: q, purpose: p, owner: o, retention: forever}\n", id, body[id])
	}
	c, err := catalog.Parse([]byte(b))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func params(t testing.TB, c *catalog.Catalog, id string, f report.Field, b, v1 int) noise.Params {
	t.Helper()
	m, i := c.Measure(id)
	n, ok := noise.Of(c, m, noise.Pool, report.Series{Measure: uint16(i), Field: f, Grain: report.Block12w, Breakdown: uint8(b), V1: uint16(v1)})
	if !ok {
		t.Fatalf("%s/%s/%d/%d has no noise", id, f, b, v1)
	}
	return n
}

// PRIVACY: "100 sites of 7 users give a total within 2 %, a 15 % role within 11 %, funnel completion within 6 %, one
// retention offset within 32 %". People per site as in the design's simulation: 7, 15 % and 30 % of them, 1.97 who complete
// the funnel in 12 weeks, 0.37 who were new and are there after four weeks.
func TestExactTableOfThePool(t *testing.T) {
	var out strings.Builder
	fmt.Fprintf(&out, "\n%-24s %8s %6s %22s\n", "95 % error, sites of 7", "per site", "ε", "20 / 100 / 300 sites")
	for _, x := range []struct {
		name    string
		id      string
		field   report.Field
		b, v1   int
		perSite float64
		at100   float64
	}{
		{"total", "people", report.Value, 0, 0, 7, 2},
		{"role of 15 %", "roles", report.Value, 1, 0, .15 * 7, 11},
		{"feature of 30 %", "uses", report.Tried, 1, 0, .3 * 7, 20},
		{"funnel completed", "way", report.Value, 1, 1, 1.97, 6},
		{"one retention offset", "kept", report.Value, 1, 3, .37, 32},
	} {
		other := "people"
		if x.id == other {
			other = "kept"
		}
		n := params(t, pooledBy(t, 1, x.id, other), x.id, x.field, x.b, x.v1)
		if n.Epsilon != 2 {
			t.Errorf("%s: ε %v", x.name, n.Epsilon)
		}
		errs := map[int]float64{}
		for _, sites := range []int{20, 100, 300} {
			errs[sites] = margins{}.of(n, sites) / (float64(sites) * x.perSite) * 100
		}
		fmt.Fprintf(&out, "%-24s %8.2f %6.2f %8.1f / %4.1f / %4.1f %%\n", x.name, x.perSite, n.Epsilon, errs[20], errs[100], errs[300])
		if math.Abs(errs[100]-x.at100) > 1 {
			t.Errorf("%s: %.1f %% at 100 sites, PRIVACY says %v", x.name, errs[100], x.at100)
		}
	}
	t.Log(out.String())
}

// 100,000 blocks of 100 sites each: what is shown is right on average, and the bar holds the truth in 95 of 100.
func TestExactPooledSumsAreUnbiasedAndTheirBarsHold(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	c := pooledBy(t, 1, "roles", "way")
	for _, x := range []struct {
		name  string
		n     noise.Params
		exact func(site int) float64
	}{
		{"total of five cells", params(t, c, "roles", report.Value, 0, 0), func(int) float64 { return 7 }},
		{"role", params(t, c, "roles", report.Value, 1, 1), func(i int) float64 { return float64(i % 4) }},
		{"completed", params(t, c, "way", report.Value, 1, 1), func(i int) float64 { return float64(i % 3) }},
	} {
		const runs, sites = 100_000, 100
		geometric := func() float64 { return math.Floor(math.Log(1-r.Float64()) / -x.n.Gamma()) }
		exact := 0.0
		for i := range sites {
			exact += x.exact(i)
		}
		bars := margins{}
		sum, in, less, shown := 0.0, 0, 0, 0
		for range runs {
			row := store.PoolRow{Accounts: sites, Sites: sites, Sum: exact}
			for range sites * x.n.Draws {
				row.Sum += geometric() - geometric()
			}
			f := read(row, x.n, true, bars)
			if f.Reason != Shown {
				continue
			}
			shown++
			sum += f.Value
			if f.Interval.Lo <= exact && exact <= f.Interval.Hi {
				in++
			}
			if math.Abs(f.Value-exact) <= f.Margin-1 {
				less++
			}
		}
		if shown != runs {
			t.Fatalf("%s: %d of %d shown; this case must not select", x.name, shown, runs)
		}
		sd := math.Sqrt(x.n.Variance() * sites / runs)
		if bias := sum/runs - exact; math.Abs(bias) > 4*sd {
			t.Errorf("%s: %.3f off on average, ± %.3f is chance", x.name, bias, sd)
		}
		chance := math.Sqrt(runs * .95 * .05)
		if float64(in) < .95*runs-4*chance || float64(less) > .95*runs+4*chance {
			t.Errorf("%s: the bar holds in %d of %d, a bar one shorter in %d", x.name, in, runs, less)
		}
		t.Logf("%s: exact %v, mean %.3f, bar ± %v holds %.2f %%", x.name, exact, sum/runs, bars.of(x.n, sites), float64(in)/runs*100)
	}
}

func TestReasonsToWithholdAreToldApart(t *testing.T) {
	n := params(t, pooledBy(t, 1, "people", "roles"), "people", report.Value, 0, 0)
	bar := margins{}.of(n, 100)
	for name, x := range map[string]struct {
		accounts int
		sum      float64
		known    bool
		want     Reason
	}{
		"enough":               {100, 700, true, Shown},
		"one account less":     {99, 700, true, TooFew},
		"few and uncertain":    {5, 1, true, TooFew},
		"at 30 %":              {100, bar / .3, true, Shown},
		"above 30 %":           {100, bar/.3 - .1, true, TooUncertain},
		"nought":               {100, 0, true, TooUncertain},
		"below nought":         {100, -40, true, TooUncertain},
		"of an unknown noise":  {500, 7000, false, UnknownNoise},
		"far above everything": {100, 1e9, true, Shown},
	} {
		f := read(store.PoolRow{Accounts: x.accounts, Sites: 100, Sum: x.sum}, n, x.known, margins{})
		if f.Reason != x.want || (f.Reason != Shown) != (f.Reason.Text() != "") {
			t.Errorf("%s: %q (%s), want %q", name, f.Reason, f.Reason.Text(), x.want)
		}
		if f.Reason != Shown && (f.Value != 0 || f.Margin != 0 || f.Error != 0 || f.Interval != report.Interval{}) {
			t.Errorf("%s: withheld and told: %+v", name, f)
		}
		if f.Reason == Shown && (f.Value != x.sum || f.Interval.Hi-f.Value != f.Margin || f.Interval.Lo < 0 || f.Error > noise.MaxError) {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

// vendor is a store with these catalogs and rows.
type vendor struct {
	store.Catalogs
	all  []*catalog.Catalog
	rows []store.PoolRow
}

func (v vendor) Pooled(context.Context, store.PoolQuery) ([]store.PoolRow, error) { return v.rows, nil }

func (v vendor) CatalogList(context.Context) (out []store.Catalog, err error) {
	for _, c := range v.all {
		out = append(out, store.Catalog{Hash: c.Hash, Name: c.Name, Version: c.Version})
	}
	return out, nil
}

func (v vendor) Catalog(_ context.Context, h exchange.Hash) (store.Catalog, error) {
	for _, c := range v.all {
		if c.Hash == h {
			return store.Catalog{Hash: h, Raw: c.Raw}, nil
		}
	}
	return store.Catalog{}, store.ErrNotFound
}

func TestNoiseIsFoundInTheCatalogsAndTheWidestCounts(t *testing.T) {
	alone, two := pooledBy(t, 1, "roles"), pooledBy(t, 2, "roles", "way")
	m, _ := two.Measure("roles")
	w, _ := two.Measure("way")
	admin := store.PoolRow{Measure: "roles", Hash: m.HashString(), Field: report.Value, Dims: map[string]string{"role": "admin"}, Accounts: 100, Sites: 100, Sum: 700}
	done := store.PoolRow{Measure: "way", Hash: w.HashString(), Field: report.Value, Dims: map[string]string{"step": "done"}, Accounts: 100, Sites: 100, Sum: 700}
	band := done
	band.Dims = map[string]string{"band": "1h"} // not in the pool
	old := admin
	old.Hash = "0123456789abcdef"
	ask := func(v vendor) []Figure {
		t.Helper()
		v.rows = []store.PoolRow{admin, done, band, old}
		out, err := New(v, v).Figures(t.Context(), store.PoolQuery{})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	before := ask(vendor{all: []*catalog.Catalog{alone}})
	after := ask(vendor{all: []*catalog.Catalog{alone, two}})
	if before[0].Epsilon != 4 || after[0].Epsilon != 2 || before[0].Margin >= after[0].Margin {
		t.Errorf("ε %v ± %v, then %v ± %v", before[0].Epsilon, before[0].Margin, after[0].Epsilon, after[0].Margin)
	}
	if before[1].Reason != UnknownNoise || after[1].Reason != Shown || after[1].Dims["step"] != "done" {
		t.Errorf("%+v, then %+v", before[1], after[1])
	}
	for i := 2; i < 4; i++ {
		if after[i].Reason != UnknownNoise {
			t.Errorf("%+v", after[i])
		}
	}
}
