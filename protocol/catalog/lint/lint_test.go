package lint_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/catalog/lint"
)

var update = flag.Bool("update", false, "write the golden files anew")

func today() time.Time { return time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC) }

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func parse(t *testing.T, raw []byte) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if d := cmp.Diff(string(read(t, path)), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", name, d)
	}
}

// What lint says about a bad catalog stands in bad.golden; each code the package doc explains
// is shown there, and each that is found is explained.
func TestBadCatalog(t *testing.T) {
	fs := lint.CheckAt(parse(t, read(t, "testdata/bad.yaml")), today())
	var said strings.Builder
	found := map[string]bool{}
	for _, f := range fs {
		said.WriteString(f.String() + "\n")
		found[f.Code] = true
		if f.Line == 0 || f.Text == "" {
			t.Errorf("%+v", f)
		}
	}
	golden(t, "bad.golden", said.String())
	if !lint.Refused(fs) {
		t.Error("a catalog with overlapping filters was not refused")
	}
	doc, _, _ := strings.Cut(string(read(t, "lint.go")), "\npackage lint")
	var explained []string
	for _, m := range regexp.MustCompile(`(?m)^//\t([a-z_]+(?:, [a-z_]+)*),?(?:\s|$)`).FindAllStringSubmatch(doc, -1) {
		explained = append(explained, strings.Split(m[1], ", ")...)
	}
	if len(explained) < 20 {
		t.Fatalf("only %q are explained", explained)
	}
	for _, code := range explained {
		if !found[code] {
			t.Errorf("bad.yaml does not show %s", code)
		}
		delete(found, code)
	}
	for code := range found {
		t.Errorf("%s is not explained", code)
	}
}

const head = `catalog: shop
version: 1
vendor: Example Ltd
events:
  saved: {properties: {area: {values: [code, docs, tests]}, files: {number: {min: 0, max: 100}}}}
  sent: {properties: {area: {values: [code, docs, tests]}}}
  read: {}
traits:
  role: {values: [clerk, manager, boss, robot], not_people: [robot]}
measures:
`

// two is a catalog of two measures that differ in what is given.
func two(t *testing.T, a, b string) *catalog.Catalog {
	t.Helper()
	raw := head
	for i, m := range []string{a, b} {
		raw += "  - id: " + []string{"first", "second"}[i] + "\n    " + strings.ReplaceAll(m, "; ", "\n    ") +
			"\n    category: usage\n    question: Why?\n    purpose: Example\n    owner: product\n    retention: 30d\n"
	}
	return parse(t, []byte(raw))
}

// The rule of overlapping filters, pair by pair: apart or one within the other is a tree, the
// rest is refused; in either order.
func TestOverlap(t *testing.T) {
	const users = "kind: active_users; events: "
	for _, c := range []struct {
		a, b    string
		overlap bool
	}{
		{users + "[saved, sent, read]", users + "[saved]", false},
		{users + "[saved]", users + "[sent]", false},
		{users + "[saved, sent]", users + "[sent, read]", true},
		{users + "[saved, sent]", "kind: lifecycle; events: [sent, read]", true},
		{users + "[saved, sent]", "kind: lifecycle; events: [sent, saved]", false},
		{users + "[saved, sent]", "kind: count; events: [sent, read]", false}, // a sum stays anyway
		{users + "[saved, sent]", "kind: count; subject: traffic; events: [sent, read]", false},
		{users + "[saved]; where: {area: code}", users + "[saved]; where: {area: docs}", false},
		{users + "[saved]; where: {area: [code, docs]}", users + "[saved]; where: {area: [docs]}", false},
		{users + "[saved]; where: {area: [code, docs]}", users + "[saved]; where: {area: [docs, tests]}", true},
		{users + "[saved]; where: {area: code}", users + "[saved]; where: {files: {min: 3}}", true},
		{users + "[saved]; where: {area: code}", users + "[saved]; where: {area: code, files: {min: 3}}", false},
		{users + "[saved]; where: {area: code, files: {max: 2}}", users + "[saved]; where: {files: {min: 3}}", false},
		{users + "[saved]; where: {files: {min: 3, max: 9}}", users + "[saved]; where: {files: {min: 5, max: 12}}", true},
		{users + "[saved]; where: {files: {min: 3, max: 9}}", users + "[saved]; where: {files: {min: 3}}", false},
		{users + "[saved, sent]; where: {area: code}", users + "[saved]", true}, // nor apart nor within
		{users + "[saved, sent]; where: {area: code}", users + "[saved]; where: {area: docs}", false},
		{users + "[saved]; where_user: {role: [clerk, manager]}", users + "[saved]; where_user: {role: [manager, boss]}", true},
		{users + "[saved]; where_user: {role: [clerk, manager]}", users + "[saved]; where_user: {role: [manager]}", false},
		{users + "[saved]; where_user: {role: [clerk]}", users + "[saved]; where_user: {role: [boss]}", false},
		{users + "[saved]; where_user: {role: [clerk, manager]}", users + "[read]; where_user: {role: [manager, boss]}", false},
		{"kind: retention; events: [saved, sent]", "kind: stickiness; events: [sent, read]", true},
		{"kind: seats; events: [saved, sent]", "kind: adoption; events: [sent, read]; features: {a: {events: [read]}}", true},
		{"kind: funnel; window: 7d; steps: [{id: a, event: saved, where: {area: code}}, {id: b, event: sent}]", users + "[saved]; where: {files: {min: 3}}", true},
		{"kind: funnel; window: 7d; steps: [{id: a, event: saved, where: {area: code}}, {id: b, event: sent}]", users + "[saved]", false},
	} {
		for _, order := range [][2]string{{c.a, c.b}, {c.b, c.a}} {
			var got []string
			fs := lint.CheckAt(two(t, order[0], order[1]), today())
			for _, f := range fs {
				if f.Code == "overlap" {
					got = append(got, f.Measure)
					other := map[string]string{"first": "second", "second": "first"}[f.Measure]
					if !strings.Contains(f.Text, other) {
						t.Errorf("%q does not say with which", f.Text)
					}
				}
			}
			if (len(got) == 1) != c.overlap || len(got) > 1 || lint.Refused(fs) != c.overlap {
				t.Errorf("%s\nand %s\noverlap by %q, want %v", order[0], order[1], got, c.overlap)
			}
		}
	}
}

// The site's total is never the one that is refused, wherever it stands.
func TestTheTotalIsNotRefused(t *testing.T) {
	fs := lint.CheckAt(two(t, "kind: retention; events: [sent, read]", "kind: active_users; events: [saved, sent]"), today())
	i := slices.IndexFunc(fs, func(f lint.Finding) bool { return f.Code == "overlap" })
	if i < 0 || fs[i].Measure != "first" || fs[i].Line != 13 {
		t.Errorf("%+v", fs)
	}
}

// A catalog in which everything has its use and its place gives no finding at all.
func TestGoodCatalog(t *testing.T) {
	for _, f := range lint.CheckAt(parse(t, read(t, "testdata/good.yaml")), today()) {
		t.Error(f)
	}
	if lint.Refused(nil) || lint.Refused([]lint.Finding{{Severity: lint.Warning}, {Severity: lint.Note}}) {
		t.Error("refused without an error")
	}
}

func TestExpiryIsByDay(t *testing.T) {
	c := two(t, "kind: count; events: [read]; expires: 2026-11-22", "kind: count; events: [read]; expires: 2026-11-21")
	var expired []string
	for _, f := range lint.CheckAt(c, today()) {
		if f.Code == "expired" {
			expired = append(expired, f.Measure)
		}
	}
	if d := cmp.Diff([]string{"second"}, expired); d != "" {
		t.Error(d)
	}
}

func TestQuestions(t *testing.T) {
	c := parse(t, read(t, "../testdata/every-kind.yaml"))
	qs := lint.Questions(c)
	if len(qs) != len(c.Measures) {
		t.Fatalf("%d questions of %d measures", len(qs), len(c.Measures))
	}
	var said strings.Builder
	for i, q := range qs {
		if q.Measure != c.Measures[i].ID || q.Question == "" || q.Answer == "" || q.Owner == "" || q.Purpose == "" {
			t.Errorf("%+v", q)
		}
		said.WriteString(strings.Join([]string{q.Question, q.Measure, string(q.Kind), q.Answer, q.Leaves}, " | ") + "\n")
	}
	golden(t, "questions.golden", said.String())
}
