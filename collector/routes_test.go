package collector

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/collector/access"
	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// TestPagesAndAPIShowWhatArrived goes the whole way: a batch in, a person logged in once by
// the printed link, the account's page and the API's figures out.
func TestPagesAndAPIShowWhatArrived(t *testing.T) {
	h := start(t, filepath.Join(t.TempDir(), "data"), func(c *Config) { c.Routes = Pages })
	a := h.enrol("acme", "eu", store.Production)
	a.consent(exchange.Aggregate, longAgo)
	a.send(a.freeze(cell(people, report.Week, week(0), report.Band, 10, 14)))
	a.stored(1)
	get := func(c *http.Client, path, bearer string) (int, string) {
		t.Helper()
		r := must[*http.Request](t)(http.NewRequestWithContext(t.Context(), "GET", h.c.URL()+path, nil))
		if bearer != "" {
			r.Header.Set("Authorization", "Bearer "+bearer)
		}
		res := must[*http.Response](t)(c.Do(r))
		defer res.Body.Close()
		return res.StatusCode, string(must[[]byte](t)(io.ReadAll(res.Body)))
	}
	if status, _ := get(a.client, "/api/v1/measurements?measure=people", ""); status != http.StatusUnauthorized {
		t.Fatalf("the API answers strangers with %d", status)
	}
	acc := h.c.Data().Access()
	check(t, acc.PutUser(t.Context(), "test", "ann", access.Viewer, false))
	token := must[string](t)(acc.NewToken(t.Context(), "test", "ann", "test", time.Hour))
	status, body := get(a.client, "/api/v1/measurements?measure=people", token)
	if status != http.StatusOK || !strings.Contains(body, `"band"`) || !json.Valid([]byte(body)) {
		t.Fatalf("%d %s", status, body)
	}
	if status, body := get(a.client, "/agent/v1/nothing", token); status == http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	link := must[string](t)(h.c.LoginLink(t.Context()))
	person := *a.client
	person.Jar = must[*cookiejar.Jar](t)(cookiejar.New(nil))
	if status, body := get(&person, strings.TrimPrefix(link, h.c.URL()), ""); status != http.StatusOK {
		t.Fatalf("the login link: %d %s", status, body)
	}
}
