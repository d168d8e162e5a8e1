package pages

import (
	"encoding/json"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/fieldpost/fieldpost/collector/access"
	"github.com/fieldpost/fieldpost/installer/e2e/seed"
)

// TestNoLinkIsDead follows every link of every page once: pages, pins, sorts, exports.
func TestNoLinkIsDead(t *testing.T) {
	s := newSite(t, &seed.Config{Accounts: 20, Weeks: 40})
	c := s.user(t, "root", access.Admin)
	href := regexp.MustCompile(`(?:href|src)="([^"]*)"`)
	seen, queue := map[string]bool{}, addresses()
	csv := 0
	for depth := 0; depth < 2; depth++ {
		var next []string
		for _, a := range queue {
			if seen[a] {
				continue
			}
			seen[a] = true
			status, body, h := get(t, c, s.URL+a)
			if status != http.StatusOK {
				t.Errorf("%s: %d", a, status)
			}
			if strings.HasPrefix(h.Get("Content-Type"), "text/csv") {
				csv++
			}
			if !strings.HasPrefix(h.Get("Content-Type"), "text/html") || depth > 0 {
				continue
			}
			for _, m := range href.FindAllStringSubmatch(body, -1) {
				to, _, _ := strings.Cut(html.UnescapeString(m[1]), "#")
				if !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") {
					if to != "" {
						t.Errorf("%s links to %q", a, to)
					}
					continue
				}
				next = append(next, to)
			}
		}
		queue = next
	}
	if len(seen) < 150 || csv < 15 {
		t.Errorf("only %d links and %d exports were followed", len(seen), csv)
	}
}

// TestALinkFromElsewhereFindsTheSession: SameSite=Strict hides the cookie on the way from a
// mail or a chat; one step on our own page brings it out, and nobody else gets further.
func TestALinkFromElsewhereFindsTheSession(t *testing.T) {
	s := newSite(t, nil)
	ask := func(site string) (int, string, string) {
		t.Helper()
		req, err := http.NewRequest("GET", s.URL+"/accounts?q=%22%3E%3Cscript%3E", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Sec-Fetch-Site", site)
		req.Header.Set("Sec-Fetch-Mode", "navigate")
		res, err := s.anonymous(t).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var b strings.Builder
		if _, err := copyTo(&b, res); err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, b.String(), res.Header.Get("Location")
	}
	if status, body, _ := ask("cross-site"); status != 200 || !strings.Contains(body, `http-equiv="refresh"`) || strings.Contains(body, "<script>") {
		t.Errorf("from elsewhere: %d\n%s", status, body)
	}
	if status, _, to := ask("same-origin"); status != http.StatusSeeOther || to != "/login" {
		t.Errorf("the step after it without a session: %d %s", status, to)
	}
}

func TestTheAPIsDescriptionIsWhole(t *testing.T) {
	s := newSite(t, nil)
	status, body, h := get(t, s.anonymous(t), s.URL+"/api/openapi.json")
	if status != 200 || h.Get("Content-Type") != "application/json" {
		t.Fatalf("%d %s", status, h.Get("Content-Type"))
	}
	var doc map[string]any
	if err := json.Unmarshal([]byte(body), &doc); err != nil || doc["openapi"] != "3.1.0" {
		t.Fatalf("%v %v", doc["openapi"], err)
	}
	ids := map[string]string{}
	var walk func(at string, v any)
	walk = func(at string, v any) {
		switch x := v.(type) {
		case map[string]any:
			if ref, ok := x["$ref"].(string); ok {
				var to any = doc
				for _, k := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
					m, _ := to.(map[string]any)
					to = m[k]
				}
				if to == nil {
					t.Errorf("%s refers to %s, which is not there", at, ref)
				}
			}
			if id, ok := x["operationId"].(string); ok {
				if ids[id] != "" {
					t.Errorf("%s and %s are both %s", at, ids[id], id)
				}
				ids[id] = at
			}
			for k, v := range x {
				walk(at+"/"+k, v)
			}
		case []any:
			for _, v := range x {
				walk(at, v)
			}
		}
	}
	walk("", doc)
	paths, _ := doc["paths"].(map[string]any)
	for p, item := range paths {
		get, _ := item.(map[string]any)["get"].(map[string]any)
		params, _ := get["parameters"].([]any)
		for _, name := range regexp.MustCompile(`\{(\w+)\}`).FindAllStringSubmatch(p, -1) {
			found := false
			for _, x := range params {
				m, _ := x.(map[string]any)
				found = found || m["name"] == name[1] && m["in"] == "path" && m["required"] == true
			}
			if !found {
				t.Errorf("%s does not describe {%s}", p, name[1])
			}
		}
	}
	if len(ids) < 25 {
		t.Errorf("%d operations", len(ids))
	}
}
