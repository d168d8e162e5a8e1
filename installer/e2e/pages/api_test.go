package pages

import (
	"encoding/csv"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/collector/access"
	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/installer/e2e/seed"
	"github.com/fieldpost/fieldpost/protocol/report"
)

type apiPage struct {
	Rows  []json.RawMessage `json:"rows"`
	Next  string            `json:"next"`
	Total *int              `json:"total"`
}

func list(t testing.TB, c *http.Client, address string) apiPage {
	t.Helper()
	status, body, _ := get(t, c, address)
	if status != http.StatusOK {
		t.Fatalf("%s: %d %s", address, status, body)
	}
	var p apiPage
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Fatalf("%s: %v", address, err)
	}
	return p
}

func TestMeasurementsGiveEveryFigureOnceInItsOwnShape(t *testing.T) {
	s := newSite(t, &seed.Config{Accounts: 6, Weeks: 12})
	c := s.user(t, "v", access.Viewer)
	got := map[string]report.Figure{}
	after, pages := "", 0
	for {
		p := list(t, c, s.URL+"/api/v1/measurements?limit=700&after="+after)
		for _, raw := range p.Rows {
			var f report.Figure
			var owner struct{ Account, Installation, Environment string }
			if err := json.Unmarshal(raw, &f); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(raw, &owner); err != nil || owner.Account == "" || owner.Environment == "" {
				t.Fatalf("%s: %v", raw, err)
			}
			k := owner.Account + "/" + owner.Installation + " " + f.Key()
			if _, twice := got[k]; twice {
				t.Fatalf("%s came twice", k)
			}
			got[k] = f
		}
		pages++
		if after = p.Next; after == "" {
			break
		}
	}
	want, at := map[string]report.Figure{}, ""
	for {
		p, err := s.store.Figures(t.Context(), store.FigureQuery{Limit: 10_000, After: at})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range p.Rows {
			want[r.Account+"/"+r.Installation+" "+r.Figure.Key()] = r.Figure
		}
		if at = p.Next; at == "" {
			break
		}
	}
	if len(got) < 2000 || pages < 3 {
		t.Fatalf("only %d figures on %d pages", len(got), pages)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("the API differs from the store: %s", d[:min(len(d), 2000)])
	}
	forms := map[report.Form]int{}
	for _, f := range got {
		forms[f.Form]++
	}
	if forms[report.Suppressed] == 0 || forms[report.Band] == 0 {
		t.Errorf("forms %v", forms)
	}
}

func TestMeasurementsFilter(t *testing.T) {
	s := newSite(t, &seed.Config{Accounts: 4, Weeks: 12})
	c := s.user(t, "v", access.Viewer)
	for query, want := range map[string]int{
		"measure=people&account=" + seed.Key(0):                                              12,
		"measure=people&account=" + seed.Key(0) + "&from=2026-10-01":                         3, // weeks of 5, 12 and 19 October
		"measure=people&account=" + seed.Key(0) + "&from=2026-10-05&to=2026-10-12":           2,
		"measure=people&grain=week":                                                          60,
		"measure=people&grain=hour":                                                          0,
		"measure=people&account=" + seed.Key(3) + "&installation=lab":                        12,
		"measure=web&field=down&account=" + seed.Key(0) + "&from=2026-10-25&to=2026-10-31":   7,
		"measure=web&field=unknown&account=" + seed.Key(0) + "&from=2026-10-31&to=2026-12-1": -1, // no such date
		"account=nobody": 0,
	} {
		status, body, _ := get(t, c, s.URL+"/api/v1/measurements?"+query)
		if want < 0 {
			if status != http.StatusBadRequest {
				t.Errorf("%s: %d", query, status)
			}
			continue
		}
		var p apiPage
		if err := json.Unmarshal([]byte(body), &p); err != nil || status != 200 || len(p.Rows) != want {
			t.Errorf("%s: %d, %d rows, want %d (%v)", query, status, len(p.Rows), want, err)
		}
	}
}

func TestBadRequestsAreToldWithCodeMessageAndHint(t *testing.T) {
	s := newSite(t, &seed.Config{Accounts: 2, Weeks: 4})
	c := s.user(t, "v", access.Viewer)
	for path, want := range map[string]struct {
		status int
		code   string
	}{
		"/api/v1/measurements?mesure=people":                       {400, "parameter_invalid"},
		"/api/v1/measurements?grain=fortnight":                     {400, "parameter_invalid"},
		"/api/v1/measurements?limit=-1":                            {400, "parameter_invalid"},
		"/api/v1/measurements?limit=many":                          {400, "parameter_invalid"},
		"/api/v1/measurements?from=yesterday":                      {400, "parameter_invalid"},
		"/api/v1/measurements?measure=a&measure=b":                 {400, "parameter_invalid"},
		"/api/v1/measurements?after=../../etc":                     {400, "cursor_invalid"},
		"/api/v1/measurements?installation=main":                   {400, "parameter_missing"},
		"/api/v1/measurements?account=" + strings.Repeat("a", 600): {400, "parameter_invalid"},
		"/api/v1/periods":                                          {400, "parameter_missing"},
		"/api/v1/accounts?f=region":                                {400, "filter_invalid"},
		"/api/v1/accounts/nobody":                                  {404, "not_found"},
		"/api/v1/installations/" + seed.Key(0) + "/no":             {404, "not_found"},
		"/api/v1/quarantine/1/bytes":                               {403, "role_missing"},
		"/api/v1/audit":                                            {403, "role_missing"},
		"/api/v2/accounts":                                         {404, "route_unknown"},
		"/api/v1/accounts/" + url.PathEscape("a/b/../c"):           {404, "not_found"},
	} {
		status, body, h := get(t, c, s.URL+path)
		var p struct{ Code, Message, Hint string }
		if err := json.Unmarshal([]byte(body), &p); err != nil || status != want.status || p.Code != want.code || p.Message == "" || p.Hint == "" || h.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s, want %d %s", path, status, strings.TrimSpace(body), want.status, want.code)
		}
	}
	if got := send(t, c, "DELETE", s.URL+"/api/v1/accounts", ""); got != http.StatusMethodNotAllowed {
		t.Errorf("DELETE: %d", got)
	}
}

func TestExportHoldsEveryRowOfTheList(t *testing.T) {
	s := newSite(t, &seed.Config{Accounts: 12, Weeks: 30})
	c := s.user(t, "root", access.Admin)
	for _, path := range []string{"/api/v1/accounts", "/api/v1/installations", "/api/v1/measurements?measure=web", "/api/v1/periods?measure=people", "/api/v1/measures", "/api/v1/batches", "/api/v1/audit"} {
		base, query, _ := strings.Cut(path, "?")
		n, after := 0, ""
		for {
			p := list(t, c, s.URL+base+"?"+query+"&after="+url.QueryEscape(after))
			n += len(p.Rows)
			if after = p.Next; after == "" {
				break
			}
		}
		_, body, _ := get(t, c, s.URL+base+".csv?"+query)
		rows, err := csv.NewReader(strings.NewReader(body)).ReadAll()
		if err != nil || len(rows)-1 != n || n == 0 {
			t.Errorf("%s: %d rows as CSV, %d as JSON (%v)", path, len(rows)-1, n, err)
		}
	}
}

// TestFleetSumsAreTheSumOfTheAccounts: an account with two environments counts once and its
// people are joined by the largest … the sum.
func TestFleetSumsAreTheSumOfTheAccounts(t *testing.T) {
	s := newSite(t, &seed.Config{Accounts: 14, Weeks: 30})
	c := s.user(t, "v", access.Viewer)
	all, err := s.store.Periods(t.Context(), store.PeriodQuery{Measure: "people"})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]report.Tally{}
	for _, p := range all {
		k := report.StartString(report.Week, p.Start)
		x := want[k]
		x.Add(p.Form(), p.Interval)
		want[k] = x
	}
	for _, raw := range list(t, c, s.URL+"/api/v1/periods?measure=people&fleet=true").Rows {
		var p struct {
			Start, Form                                string
			Lo, Hi                                     *float64
			Exact, Banded, Noised, Suppressed, Unknown int
		}
		if err := json.Unmarshal(raw, &p); err != nil {
			t.Fatal(err)
		}
		w := want[p.Start]
		if p.Exact != w.Exact || p.Banded != w.Banded || p.Noised != w.Noised || p.Suppressed != w.Suppressed || p.Lo == nil || *p.Lo != w.Lo || p.Exact+p.Banded+p.Noised+p.Suppressed+p.Unknown > 14 {
			t.Errorf("%s: %s, want %+v", p.Start, raw, w)
		}
		delete(want, p.Start)
	}
	if len(want) > 0 {
		t.Errorf("%d weeks are missing", len(want))
	}
}
