package egress

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// edit switches a rule off where the environment says so. The switches exist in copies of the source that only this test
// builds; the program has none.
type edit struct {
	file, old, new string
}

// rule is one of PRIVACY's and a test that fails without it.
type rule struct {
	name, test string
	edits      []edit
}

func rules() []rule {
	const (
		book, doc    = "audit/book.go", "audit/doc.go"
		kinds, model = "relate/kinds.go", "relate/model.go"
		cells, sets  = "relate/cells.go", "relate/sets.go"
		people, gate = "people.go", "gate.go"
	)
	return []rule{
		{"width of five values", "TestAttackMinimality/a_ladder", []edit{{doc, "const Width = 5", `var Width = func() int64 {
	if off("width of five values") {
		return 1
	}
	return 5
}()`}}},
		{"least known count", "TestAttackMinimality/a_union", []edit{{book, "if i.Lo != i.Hi || i.Lo < int64(s.least[v]) {",
			`if i.Lo == i.Hi && off("least known count") {
		return true
	}
	if i.Lo != i.Hi || i.Lo < int64(s.least[v]) {`}}},
		{"complement counts too", "TestAttackMinimality/a_union", []edit{{book, "return g == None || s.dom[g].Lo-i.Lo >= int64(s.least[v])",
			`return g == None || s.dom[g].Lo-i.Lo >= int64(s.least[v]) || off("complement counts too")`},
			{model, "s.Protect(rest, group, least)", `if !off("complement counts too") {
			s.Protect(rest, group, least)
		}`}}},
		{"the form is fixed first", "TestAttackMinimality/a_union", []edit{{people, "switch {\n\tcase len(book.Answers) > 0:", `if off("the form is fixed first") {
		book = g.model.Greedy(q, v)
	}
	switch {
	case len(book.Answers) > 0:`}}},
		{"a fifth fewer people", "TestAttackWrongGroupSize", []edit{{model, "return max(0, min(n, n-(n*z.Margin+99)/100+z.Extra))",
			`if off("a fifth fewer people") {
		return n
	}
	return max(0, min(n, n-(n*z.Margin+99)/100+z.Extra))`}}},
		{"roles below 12 merge", "TestAttackSmallRolesAreMerged", []edit{{model, "minRole := cmp.Or(z.minRole, minRole)", `minRole := cmp.Or(z.minRole, minRole)
	if off("roles below 12 merge") {
		minRole = 1
	}`}}},
		{"no figure below nine people", "TestAttackSmallSitesSendNoPeople", []edit{{people, "g.people(w) >= minGroup", `(g.people(w) >= minGroup || off("no figure below nine people"))`}}},
		{"one trait only", "TestAttackOneTraitAndNoCross", []edit{{cells, "case dims[0] != p.trait:", `case dims[0] != p.trait && !off("one trait only"):`}}},
		{"no cross of two dimensions", "TestAttackOneTraitAndNoCross", []edit{{cells, "case len(dims) > 1:\n\t\treturn key{}, Cross\n\tcase sets",
			"case len(dims) > 1 && !off(\"no cross of two dimensions\"):\n\t\treturn key{}, Cross\n\tcase sets"},
			{cells, "case len(dims) > 1:\n\t\treturn key{}, Cross\n\tcase dims", "case len(dims) > 1 && !off(\"no cross of two dimensions\"):\n\t\treturn key{}, Cross\n\tcase dims"}}},
		{"no weekly lifecycle", "TestAttackNoWeeklyLifecycle", []edit{{cells, "case g == report.Week:\n\t\treturn ", "case g == report.Week:\n\t\treturn off(\"no weekly lifecycle\") || "}}},
		{"crossing sets are refused", "TestAttackOverlappingSetsAreRefused", []edit{{sets, "func (p *Plan) fits(n *set) bool {", `func (p *Plan) fits(n *set) bool {
	if off("crossing sets are refused") {
		return true
	}`}}},
		{"those absent are counted", "TestAttackMinimality/lifecycle", []edit{{kinds, "\tm.sum(universe, now, all[lifeDormant], all[lifeAbsent])\n", "\tif !off(\"those absent are counted\") {\n\tm.sum(universe, now, all[lifeDormant], all[lifeAbsent])\n"},
			{kinds, "\tm.sum(universe, all[lifeGained], all[lifeRetained], all[lifeDormant], all[lifeAbsent])\n", "\tm.sum(universe, all[lifeGained], all[lifeRetained], all[lifeDormant], all[lifeAbsent])\n\t}\n"}}},
		{"weeks lie within their block", "TestAttackAwayInAWeek", []edit{{model, "m.part(root, w[i], b.all, leastCell)", `if !off("weeks lie within their block") {
			m.part(root, w[i], b.all, leastCell)
		}`}}},
		{"rings are probed", "TestAttackPersonWeeks", []edit{{book, "return s.probed(s.near(touched))",
			`return off("rings are probed") || s.probed(s.near(touched))`}}},
		{"sums stay", "TestAttackSumsStay", []edit{{people, "if r.Reason = SumOfEvents; g.exactTotal(s, w, m, p) {", `if r.Reason = SumOfEvents; off("sums stay") || g.exactTotal(s, w, m, p) {`}}},
		{"noise is drawn once", "TestAttackNoiseIsDrawnOnce", []edit{{"noise/noise.go", "if have, ok := d.drawn[key]; ok {\n\t\tif m.Kind", "if have, ok := d.drawn[key]; ok && !off(\"noise is drawn once\") {\n\t\tif m.Kind"}}},
		{"consent covers the whole window", "TestSubsetOfConsent", []edit{{gate, "if begin.Unix() < d.From {\n\t\treturn BeforeConsent", "if begin.Unix() < d.From && !off(\"consent covers the whole window\") {\n\t\treturn BeforeConsent"}}},
	}
}

// switches is what the edits call; and the finest answer that happens to be safe, which the prototype gave.
var switches = map[string]string{
	"off.go":       "package egress\n\nimport \"os\"\n\nfunc off(rule string) bool { return os.Getenv(\"FIELDPOST_OFF\") == rule }\n",
	"noise/off.go": "package noise\n\nimport \"os\"\n\nfunc off(rule string) bool { return os.Getenv(\"FIELDPOST_OFF\") == rule }\n",
	"relate/off.go": `package relate

import (
	"os"

	"github.com/fieldpost/fieldpost/agent/egress/audit"
)

func off(rule string) bool { return os.Getenv("FIELDPOST_OFF") == rule }

// Greedy tells a value alone if that is safe.
func (m *Model) Greedy(q Question, n int64) audit.Book { return m.worlds.Greedy(q.v, n) }
`,
	"audit/off.go": `package audit

import "os"

func off(rule string) bool { return os.Getenv("FIELDPOST_OFF") == rule }

func (w Worlds) Greedy(v Var, n int64) Book {
	b := w.Cut(v)
	for span := int64(0); span < Width; span++ {
		for lo := n - span; lo <= n; lo++ {
			if a := (Interval{lo, lo + span}); lo >= b.Before.Lo && a.Hi <= b.Before.Hi && w.keep(v, a) {
				b.Answers = []Interval{a}
				return b
			}
		}
	}
	return b
}
`,
}

// TestAttackEachRuleIsNeeded switches off each rule in turn and demands that a test fails without it.
func TestAttackEachRuleIsNeeded(t *testing.T) {
	if os.Getenv("FIELDPOST_OFF") != "" {
		t.Skip("this is a build without a rule")
	}
	t.Parallel()
	binary := withSwitches(t)
	t.Logf("%-34s %s", "without the rule", "this fails")
	for _, r := range rules() {
		if out, failed := runWithout(t, binary, r); !failed {
			t.Errorf("without %q nothing fails in %s:\n%s", r.name, r.test, out)
		} else {
			t.Logf("%-34s %s", r.name, r.test)
		}
	}
}

func runWithout(t *testing.T, binary string, r rule) (out []byte, failed bool) {
	t.Helper()
	pattern := "^" + strings.ReplaceAll(r.test, "/", "$/")
	if !strings.Contains(r.test, "/") {
		pattern += "$"
	}
	cmd := exec.CommandContext(t.Context(), binary, "-test.run", pattern, "-test.timeout", "60s", "-test.v")
	cmd.Env = append(os.Environ(), "FIELDPOST_OFF="+r.name)
	out, err := cmd.CombinedOutput()
	top, _, _ := strings.Cut(r.test, "/")
	return out, err != nil && bytes.Contains(out, []byte("--- FAIL: "+top)) && !bytes.Contains(out, []byte("panic:"))
}

// withSwitches builds this package's tests from edited copies of the source.
func withSwitches(t *testing.T) (binary string) {
	t.Helper()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	source, replace := map[string]string{}, map[string]string{}
	for _, r := range rules() {
		for _, e := range r.edits {
			text, ok := source[e.file]
			if !ok {
				b, err := os.ReadFile(filepath.FromSlash(e.file))
				if err != nil {
					t.Fatal(err)
				}
				text = strings.ReplaceAll(string(b), "\r\n", "\n")
			}
			if strings.Count(text, e.old) != 1 {
				t.Fatalf("%s holds the place of %q %d times, not once: where is the rule now?\n%s", e.file, r.name, strings.Count(text, e.old), e.old)
			}
			source[e.file] = strings.Replace(text, e.old, e.new, 1)
		}
	}
	for name, text := range switches {
		source[name] = text
	}
	for name, text := range source {
		copied := filepath.Join(dir, strings.ReplaceAll(name, "/", "_"))
		if err := os.WriteFile(copied, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		replace[filepath.Join(here, filepath.FromSlash(name))] = copied
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	binary = filepath.Join(dir, "egress.test")
	cmd := exec.CommandContext(t.Context(), "go", "test", "-c", "-overlay", list, "-o", binary, ".")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatal(fmt.Sprint(err), "\n", string(out))
	}
	return binary
}
