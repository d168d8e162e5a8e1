package seed_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/collector/store/sqlite"
	"github.com/fieldpost/fieldpost/installer/e2e/seed"
	"github.com/fieldpost/fieldpost/protocol/report"
)

func TestFillMakesAccountsOfEveryBehaviour(t *testing.T) {
	raw, err := os.ReadFile("../../examples/forge/catalog.yaml")
	if err != nil {
		t.Fatal(err)
	}
	st, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "c.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	begin := time.Now()
	if err := seed.Fill(t.Context(), st, seed.Config{Catalog: raw}); err != nil {
		t.Fatal(err)
	}
	t.Logf("40 accounts in %v", time.Since(begin))
	forms := map[report.Form]int{}
	for i := range 40 {
		ps, err := st.Periods(t.Context(), store.PeriodQuery{Measure: "people", Account: seed.Key(i)})
		if err != nil {
			t.Fatal(err)
		}
		if len(ps) == 0 {
			forms[report.Unknown]++
			continue
		}
		forms[ps[len(ps)-1].Form()]++
	}
	for _, f := range []report.Form{report.Exact, report.Band, report.Suppressed, report.Unknown} {
		if forms[f] < 4 {
			t.Errorf("%d accounts end %s, want at least 4: %v", forms[f], f, forms)
		}
	}
}
