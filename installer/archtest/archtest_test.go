package archtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestImportsKeepTheHouse(t *testing.T) {
	h, err := Open(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range TheRules().Imports(h) {
		t.Error(v)
	}
}

func TestShapeKeepsTheHouse(t *testing.T) {
	h, err := Open(".")
	if err != nil {
		t.Fatal(err)
	}
	if len(h.Packages) < 100 {
		t.Fatalf("only %d packages were read", len(h.Packages))
	}
	for _, v := range TheRules().Shape(h) {
		t.Error(v)
	}
}

// fake builds a house from "from: to to" lines.
func fake(lines ...string) *House {
	h := &House{Module: "m", Packages: map[string]*Package{}}
	for _, l := range lines {
		from, to, _ := strings.Cut(l, ": ")
		p := &Package{ImportPath: from, Imports: strings.Fields(strings.ReplaceAll(to, "[", " ["))}
		if plain, variant, ok := strings.Cut(from, " ["); ok {
			p.ImportPath, p.ForTest = plain, strings.TrimSuffix(variant, ".test]")
		}
		h.Packages[from] = p
	}
	return h
}

func TestEachImportRuleCanFail(t *testing.T) {
	for name, c := range map[string]struct {
		lines []string
		want  string // "" means that nothing may be said
	}{
		"downward arrows":              {[]string{"m/installer/cmd/x: m/agent m/collector", "m/agent: m/protocol/batch m/agent/journal", "m/collector: m/protocol/batch", "m/protocol/batch: "}, ""},
		"agent reaches collector":      {[]string{"m/agent/a: m/protocol/p", "m/protocol/p: m/collector/x"}, "floors: agent/a reaches collector/x: agent/a → protocol/p → collector/x"},
		"protocol reaches agent":       {[]string{"m/protocol/p: m/agent/record"}, "floors: protocol/p reaches agent/record"},
		"somebody imports installer":   {[]string{"m/collector/x: m/installer/svc"}, "floors: collector/x reaches installer/svc"},
		"only in an external test":     {[]string{"m/protocol/p: ", "m/protocol/p_test [m/protocol/p.test]: m/agent"}, "floors: protocol/p reaches agent"},
		"stage imports stage":          {[]string{"m/agent/journal: m/agent/outbox"}, "stages: agent/journal reaches agent/outbox"},
		"stage reaches stage by root":  {[]string{"m/agent/journal: m/agent", "m/agent: m/agent/outbox"}, "stages: agent/journal reaches agent (the root package"},
		"shared room":                  {[]string{"m/agent/journal: m/agent/record"}, ""},
		"shared room reaches a stage":  {[]string{"m/agent/record: m/agent/journal"}, "stages: agent/record reaches agent/journal"},
		"within one room":              {[]string{"m/agent/measure: m/agent/measure/people"}, ""},
		"store's interface":            {[]string{"m/collector/writer: m/collector/store"}, ""},
		"store's implementation":       {[]string{"m/collector/writer: m/collector/store/sqlite"}, "stages: collector/writer reaches collector/store/sqlite"},
		"an implementation of store":   {[]string{"m/collector/store/sqlite: m/collector/store"}, ""},
		"agent's cli past the root":    {[]string{"m/agent/cli: m/agent m/agent/ledger"}, "above: agent/cli imports agent/ledger"},
		"web on a domain room":         {[]string{"m/collector/web: m/collector/sla"}, ""},
		"web past the domain rooms":    {[]string{"m/collector/web: m/collector/ingest"}, "above: collector/web imports collector/ingest"},
		"library elsewhere":            {[]string{"m/agent/outbox: github.com/klauspost/compress/zstd"}, "libraries: agent/outbox imports github.com/klauspost/compress/zstd"},
		"library at home":              {[]string{"m/protocol/batch: github.com/klauspost/compress/zstd"}, ""},
		"template in the agent":        {[]string{"m/agent/console: lib", "lib: html/template"}, "banned: agent/console reaches html/template"},
		"template by cobra":            {[]string{"m/agent/cli: github.com/spf13/cobra", "github.com/spf13/cobra: text/template"}, ""},
		"template in the collector":    {[]string{"m/collector/web: html/template"}, ""},
		"testing in a shipped program": {[]string{"m/installer/cmd/x: lib", "lib: testing"}, "banned: installer/cmd/x reaches testing"},
		"testing in a test":            {[]string{"m/installer/cmd/x [m/installer/cmd/x.test]: testing"}, ""},
	} {
		got := strings.Join(TheRules().Imports(fake(c.lines...)), "\n")
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: want %q, got %q", name, c.want, got)
		}
	}
}

// module writes a module of one package into a fresh folder and reads it.
func module(t *testing.T, gomod string, files map[string]string) *House {
	t.Helper()
	dir := t.TempDir()
	files["go.mod"] = "module m\n\ngo 1.26\n" + gomod
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("GOFLAGS", "-mod=mod")
	h, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

const doc = "// Package p is here for the tests of this package.\npackage p\n"

func TestEachShapeRuleCanFail(t *testing.T) {
	many := func(n int) string { return strings.Repeat("//\n", n) }
	code := func(name string) string {
		return "\nvar " + name + " = `" + strings.Repeat("\n", 449) + "` // a string is code\n"
	}
	for name, c := range map[string]struct {
		gomod string
		files map[string]string
		want  string
	}{
		"in good shape":      {"", map[string]string{"agent/p.go": doc + "func F() {}\n"}, ""},
		"no doc":             {"", map[string]string{"agent/p.go": "package p\n"}, "docs: package agent"},
		"doc in a test only": {"", map[string]string{"agent/p_test.go": doc}, ""},
		"init":               {"", map[string]string{"agent/p.go": doc + "func init() {}\n"}, "init: agent/p.go"},
		"generated init":     {"", map[string]string{"agent/p.go": "// Code generated by x. DO NOT EDIT.\n\n" + doc + "func init() {}\n" + many(600)}, ""},
		"long file":          {"", map[string]string{"agent/p.go": doc + many(499)}, "size: agent/p.go has 501 lines"},
		"file at the limit":  {"", map[string]string{"agent/p.go": doc + many(498)}, ""},
		"long package": {"", map[string]string{
			"agent/a.go": doc + code("A"), "agent/b.go": "package p\n" + code("B"), "agent/c.go": "package p\n" + code("C"),
			"agent/d.go": "package p\n" + code("D"), "agent/e.go": "package p\n\n/* prose\nis free */\n" + code("E"),
		}, "size: package agent has 2255 lines of code"},
		"much prose": {"", map[string]string{
			"agent/a.go": doc + many(450), "agent/b.go": "package p\n" + many(450), "agent/c.go": "package p\n" + many(450),
			"agent/d.go": "package p\n" + many(450), "agent/e.go": "package p\n" + many(450),
		}, ""},
		"long function":      {"", map[string]string{"agent/p.go": doc + "func F() {\n" + many(79) + "}\n"}, "agent/p.go: F has 81 lines"},
		"long main":          {"", map[string]string{"agent/p.go": "// Command p is here for the tests of this package.\npackage main\n\nfunc main() {}\n" + many(60)}, "holds main and has 64 lines"},
		"for another system": {"", map[string]string{"agent/p.go": doc, "agent/p_windows.go": "package p\n\nfunc init() {}\n"}, "init: agent/p_windows.go"},
		"top level":          {"", map[string]string{"agent/p.go": doc, "utils/p.go": doc}, "top level: utils"},
		"replace":            {"\nreplace x.org/y => ./agent\n", map[string]string{"agent/p.go": doc}, "go.mod: x.org/y is replaced"},
	} {
		t.Run(name, func(t *testing.T) {
			got := strings.Join(TheRules().Shape(module(t, c.gomod, c.files)), "\n")
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("want %q, got %q", c.want, got)
			}
		})
	}
}
