package api

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/fieldpost/fieldpost/collector/insight"
	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

type pooled struct {
	store.Catalogs
	cat   *catalog.Catalog
	asked store.PoolQuery
}

func (p *pooled) Pooled(_ context.Context, q store.PoolQuery) ([]store.PoolRow, error) {
	p.asked = q
	row := store.PoolRow{Measure: "people", Hash: p.cat.Measures[0].HashString(), Field: report.Value, Start: 20416, Dims: map[string]string{}, Accounts: 100, Sites: 120, Sum: 840}
	few := row
	few.Accounts, few.Start = 99, 20416+84
	return []store.PoolRow{row, few}, nil
}

func (p *pooled) CatalogList(context.Context) ([]store.Catalog, error) {
	return []store.Catalog{{Hash: p.cat.Hash}}, nil
}

func (p *pooled) Catalog(context.Context, exchange.Hash) (store.Catalog, error) {
	return store.Catalog{Raw: p.cat.Raw}, nil
}

func TestThePoolsRowsSayWhatIsKnownOrWhyNot(t *testing.T) {
	c, err := catalog.Parse([]byte("catalog: t\nversion: 1\nvendor: V\nevents: {e: {match: E}}\nmeasures:\n" +
		"  - {id: people, kind: active_users, events: [e], pool: true, category: usage, question: q, purpose: p, owner: o, retention: forever}\n"))
	if err != nil {
		t.Fatal(err)
	}
	p := &pooled{cat: c}
	h := &Handler{insight: insight.New(p, p)}
	r := httptest.NewRequest("GET", "/api/v1/pool?measure=people&environment=production&environment=trial&from=2025-11-24&to=2026-11-24", nil)
	out, err := h.pool(&call{ctx: t.Context(), r: r})
	if err != nil {
		t.Fatal(err)
	}
	if p.asked.Measure != "people" || len(p.asked.Environments) != 2 || p.asked.From != 20416 || p.asked.To != 20416+365 {
		t.Errorf("the store was asked %+v", p.asked)
	}
	b, err := json.Marshal(out.(page).rows)
	if err != nil {
		t.Fatal(err)
	}
	hash := c.Measures[0].HashString()
	want := `[{"measure":"people","hash":"` + hash + `","field":"value","start":"2025-11-24","dims":{},"accounts":100,"sites":120,"form":"noised","value":840,"margin":4,"lo":836,"hi":844,"error":0.004761904761904762,"epsilon":4},` +
		`{"measure":"people","hash":"` + hash + `","field":"value","start":"2026-02-16","dims":{},"accounts":99,"sites":120,"form":"suppressed","reason":"too_few_accounts","epsilon":4}]`
	if string(b) != want {
		t.Errorf("%s\nwant\n%s", b, want)
	}
	if got := strings.Join(columns(reflect.TypeFor[poolRow]()), ","); !strings.HasPrefix(got, "measure,hash,field,start,dims,accounts,sites,form,value,margin") {
		t.Errorf("columns %s", got)
	}
}
