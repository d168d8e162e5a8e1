package collector

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// specCodes reads the two tables of SPEC's section "Refusals": status → codes, for receipts and
// for problems.
var specCodes = sync.OnceValues(func() (receipts, problems map[int][]string) {
	b, err := os.ReadFile(filepath.Join("..", "protocol", "SPEC.md"))
	if err != nil {
		panic(err)
	}
	_, text, _ := strings.Cut(string(b), "\n## Refusals\n")
	receipts, problems = map[int][]string{}, map[int][]string{}
	code := regexp.MustCompile("`([a-z_]+)`")
	for _, line := range strings.Split(text, "\n") {
		cols := strings.Split(line, "|")
		to, statusAt := problems, 1
		if len(cols) == 5 { // outcome, status, codes
			to, statusAt = receipts, 2
		} else if len(cols) != 4 {
			continue
		}
		status, err := strconv.Atoi(strings.TrimSpace(cols[statusAt]))
		if err != nil {
			continue
		}
		for _, m := range code.FindAllStringSubmatch(cols[statusAt+1], -1) {
			to[status] = append(to[status], m[1])
		}
	}
	return receipts, problems
})

// listed says what is wrong with an answer to an agent by SPEC's tables; "" = nothing.
func listed(status int, body []byte) string {
	if status == http.StatusOK {
		return ""
	}
	var a struct {
		exchange.Problem
		Outcome exchange.Outcome `json:"outcome"`
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return "not JSON: " + string(body)
	}
	receipts, problems := specCodes()
	table := problems
	if a.Outcome != "" {
		table = receipts
	}
	if !slices.Contains(table[status], a.Code) {
		return "SPEC lists no " + a.Code + " with status " + strconv.Itoa(status)
	}
	return ""
}

// TestSpecListsEveryCode finds every code that the rooms which answer agents mention, in their
// source, so that a new one fails here even while no test provokes it.
func TestSpecListsEveryCode(t *testing.T) {
	receipts, problems := specCodes()
	known := map[string]bool{}
	for _, table := range []map[int][]string{receipts, problems} {
		for _, codes := range table {
			for _, c := range codes {
				known[c] = true
			}
		}
	}
	if len(known) < 35 {
		t.Fatalf("SPEC lists only %d codes", len(known))
	}
	values := constants(t, "store/problem.go", "Code")
	// Never told to agents: poison is an accepted batch's, the others are told to operators.
	ours := []string{"CodePoison", "CodeBadInput", "CodeNoCatalogKey", "CodeConflict"}
	used := 0
	for _, file := range []string{"enroll/*.go", "ingest/*.go", "bridge.go"} {
		for _, path := range must[[]string](t)(filepath.Glob(file)) {
			for _, name := range mentions(t, path, "store") {
				if v, ok := values[name]; ok && !slices.Contains(ours, name) {
					if used++; !known[v] {
						t.Errorf("%s answers %s, which SPEC does not list", path, v)
					}
				}
			}
		}
	}
	if used < 25 {
		t.Fatalf("only %d codes were found in the source", used)
	}
	for name, v := range constants(t, "../protocol/batch/errors.go", "Err") {
		if !known[v] {
			t.Errorf("package batch refuses with %s (%s), which SPEC does not list", v, name)
		}
	}
	if got := listed(http.StatusTeapot, []byte(`{"code":"busy"}`)); got == "" {
		t.Error("a wrong status is not noticed")
	}
	if got := listed(http.StatusServiceUnavailable, []byte(`{"code":"busi"}`)); got == "" {
		t.Error("an unlisted code is not noticed")
	}
}

// constants are the string constants of a file whose names begin with prefix.
func constants(t *testing.T, path, prefix string) map[string]string {
	t.Helper()
	f := must[*ast.File](t)(parser.ParseFile(token.NewFileSet(), path, nil, 0))
	out := map[string]string{}
	ast.Inspect(f, func(n ast.Node) bool {
		if s, ok := n.(*ast.ValueSpec); ok {
			for i, name := range s.Names {
				if i < len(s.Values) && strings.HasPrefix(name.Name, prefix) {
					if lit, ok := s.Values[i].(*ast.BasicLit); ok && lit.Kind == token.STRING {
						out[name.Name] = must[string](t)(strconv.Unquote(lit.Value))
					}
				}
			}
		}
		return true
	})
	if len(out) == 0 {
		t.Fatalf("%s has no constants %s…", path, prefix)
	}
	return out
}

// mentions are the names of a package that a file uses.
func mentions(t *testing.T, path, pkg string) (out []string) {
	t.Helper()
	f := must[*ast.File](t)(parser.ParseFile(token.NewFileSet(), path, nil, 0))
	ast.Inspect(f, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok && x.Name == pkg {
				out = append(out, s.Sel.Name)
			}
		}
		return true
	})
	return out
}

// TestAgentPathsAnswerProblems: nothing below /agent/ is a page, whatever else is served.
func TestAgentPathsAnswerProblems(t *testing.T) {
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) })
	h := start(t, filepath.Join(t.TempDir(), "data"), func(c *Config) {
		c.Routes = func(*Collector) ([]Route, error) { return []Route{{"/", page}}, nil }
	})
	a := h.enrol("acme", "eu", "test")
	for _, c := range []struct {
		method, path string
		status       int
		code, allow  string
	}{
		{"GET", "/agent/v1/nothing", 404, "not_found", ""},
		{"POST", "/agent/v2/join", 404, "not_found", ""},
		{"GET", "/agent", 404, "not_found", ""},
		{"GET", "/agent/", 404, "not_found", ""},
		{"POST", "/agent/v1/join/", 404, "not_found", ""},
		{"POST", "/agent/v1//join", 404, "not_found", ""},
		{"POST", "/agent/v1/../v1/join", 404, "not_found", ""},
		{"GET", exchange.PathJoin, 405, "method_not_allowed", "POST"},
		{"PUT", exchange.PathBatches, 405, "method_not_allowed", "POST"},
		{"DELETE", exchange.PathCheckIn, 405, "method_not_allowed", "POST"},
		{"POST", exchange.PathChallenge, 405, "method_not_allowed", "GET"},
	} {
		r := a.request(c.method, c.path, nil)
		status, body := a.do(r) // checks that it is signed and listed
		if wantCode(t, status, body, c.status, c.code); t.Failed() {
			t.Fatalf("%s %s", c.method, c.path)
		}
		if c.allow != "" {
			res := must[*http.Response](t)(a.client.Do(a.request(c.method, c.path, nil)))
			if check(t, res.Body.Close()); res.Header.Get("Allow") != c.allow {
				t.Errorf("%s %s allows %q", c.method, c.path, res.Header.Get("Allow"))
			}
		}
	}
	res := must[*http.Response](t)(a.client.Get(h.c.URL() + "/agents"))
	if check(t, res.Body.Close()); res.StatusCode != http.StatusOK {
		t.Errorf("a page beside the agents' paths: %d", res.StatusCode)
	}
}
