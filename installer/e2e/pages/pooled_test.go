package pages

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/collector/access"
	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/installer/e2e/seed"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// What one site gave to the pool stands in no page, no list and no CSV, under whatever question: figures with a
// number that nothing else has are looked for everywhere. The store keeps them, for the sum needs them.
func TestASingleSitesPoolIsToldNowhere(t *testing.T) {
	s := newKinds(t, seed.Config{Accounts: 4})
	raw, err := s.store.NewestCatalog(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	cat, err := catalog.Parse(raw.Raw)
	if err != nil {
		t.Fatal(err)
	}
	pooled := poolCells(t, s, cat)
	sums, err := s.store.Pooled(t.Context(), store.PoolQuery{Measure: pooled[0]})
	if err != nil || len(sums) == 0 {
		t.Fatalf("the pool itself knows nothing: %v", err)
	}

	c := s.user(t, "root", access.Admin)
	addresses := []string{"/", "/accounts", "/accounts/lonely", "/accounts/lonely?env=production", "/fleet", "/fleet/lonely/main", "/fleet/lonely/again", "/measures", "/answers", "/pool", "/quarantine", "/quarantine?account=lonely", "/settings"}
	for _, m := range pooled {
		addresses = append(addresses, "/accounts/lonely?m="+m, "/accounts?m="+m+"&sort=figure", "/measures/"+m, "/measures/"+m+"?by=region", "/?m="+m)
	}
	path := strings.NewReplacer("{key}", "lonely", "{account}", "lonely", "{installation}", "main", "{id}", "1")
	for _, rt := range s.api.Routes() {
		for _, form := range []string{"", ".csv"} {
			a := path.Replace(rt.Path) + form
			addresses = append(addresses, a)
			for _, m := range pooled {
				for _, grain := range []string{"week", "month", "rolling28", "4w", "12w"} {
					for _, more := range []string{"", "&account=lonely", "&account=lonely&installation=main", "&fleet=true", "&totals=1", "&start=2026-07-06&trait=region", "&m=" + m} {
						addresses = append(addresses, a+"?measure="+m+"&grain="+grain+more)
					}
				}
			}
		}
	}
	said := 0
	for _, a := range addresses {
		status, body, _ := get(t, c, s.URL+a)
		if status == http.StatusOK {
			said++
		}
		if found := secret.FindString(body); found != "" {
			i := strings.Index(body, found)
			t.Errorf("%s tells %s: …%s…", a, found, body[max(0, i-120):min(len(body), i+40)])
		}
	}
	if said < 80 {
		t.Errorf("only %d of %d addresses answered at all", said, len(addresses))
	}
}

// secret is what poolCells gave to the pool, as any output would write it.
var secret = regexp.MustCompile(`7,?7[0-9]31\b`)

// poolCells lets one account with two installations give figures of every pooled measure to the pool, some of them twice, and
// says which measures those are.
func poolCells(t *testing.T, s *site, cat *catalog.Catalog) (out []string) {
	t.Helper()
	ctx, at := t.Context(), now()
	start := report.CivilStart(report.Block12w, report.CivilDay(at, time.UTC)) - 84
	for n, installation := range []string{"main", "again"} {
		tok := store.Token{ID: exchange.ID{77, byte(n)}, Key: append([]byte{77, byte(n)}, make([]byte, 30)...), Account: "lonely", Installation: installation, Environment: store.Production, MaxUses: 1, Created: at, Expires: at.Add(time.Hour)}
		if err := s.store.AddToken(ctx, tok); err != nil {
			t.Fatal(err)
		}
		a, err := s.store.Join(ctx, tok.ID, tok.Key, at)
		if err != nil {
			t.Fatal(err)
		}
		var cells []store.Cell
		for i := range cat.Measures {
			m := &cat.Measures[i]
			if !m.Pool {
				continue
			}
			if n == 0 {
				out = append(out, m.ID)
			}
			dims := []map[string]string{nil}
			for _, b := range cat.Breakdowns(m) {
				d := map[string]string{}
				for j, name := range b.Dims {
					d[name] = b.Props[j].ValueName(1)
				}
				dims = append(dims, d)
			}
			for _, d := range dims {
				one := &store.Series{Measure: m.ID, Hash: m.HashString(), Kind: string(m.Kind), Subject: string(m.Subject), Category: m.Category, Field: report.Value, Grain: report.Block12w, Dims: d, Pool: m.Pool}
				for b := range int64(3) {
					v := float64(77031 + 100*b + 300*int64(n))
					cells = append(cells, store.Cell{Series: one, Start: start - 84*b, Form: report.Noised, Lo: v, Hi: v})
				}
			}
		}
		for epoch := range byte(2) { // the second epoch's windows came before: they are set aside
			r, err := s.store.Apply(ctx, []store.Batch{{Agent: a.ID, Epoch: exchange.ID{78, epoch}, Seq: 1, Zone: "UTC", Received: at, Cells: cells}})
			if err != nil || epoch == 1 && r[0].Aside != len(cells) {
				t.Fatalf("%+v: %v", r, err)
			}
		}
	}
	if _, _, err := s.store.ImportAccounts(ctx, []store.Account{{Key: "lonely", Attributes: map[string]string{"region": "north"}}}); err != nil || len(out) == 0 {
		t.Fatalf("%d pooled measures: %v", len(out), err)
	}
	return out
}
