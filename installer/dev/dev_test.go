package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// tree writes files into a fresh repository and returns its root.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	if out, err := exec.Command("git", "-C", root, "init", "-q").CombinedOutput(); err != nil {
		t.Fatalf("git init: %v\n%s", err, out)
	}
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestRunKnowsItsCommands(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{nil, 2, "usage:"},
		{[]string{"help"}, 0, "usage:"},
		{[]string{"lnit"}, 2, `unknown command "lnit"`},
		{[]string{"bench", "-count", "0"}, 2, "-count at least 1"},
		{[]string{"bench", "-only", "("}, 2, "regular expression"},
		{[]string{"golden", "no/such"}, 2, "no/such has no golden test"},
		{[]string{"bench", "-list"}, 0, "≤ 15,000,000"},
	} {
		var out, complaint bytes.Buffer
		code := run(t.Context(), c.args, &out, &complaint)
		if code != c.code || !strings.Contains(out.String()+complaint.String(), c.want) {
			t.Errorf("dev %v: code %d, want %d with %q in:\n%s%s", c.args, code, c.code, c.want, &out, &complaint)
		}
	}
}

func TestUnformattedFilesAreFound(t *testing.T) {
	root := tree(t, map[string]string{"good.go": "package p\n", "sub/bad.go": "package  p\n", "x.txt": "package  p\n"})
	got, err := unformatted(t.Context(), root)
	if err != nil || strings.Join(got, ",") != "sub/bad.go" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestBadWordsAreFoundWithTheirLine(t *testing.T) {
	root := tree(t, map[string]string{
		"a.go":            "package p\n// TO" + "DO: finish\n",
		"b.md":            "fine\n\nComing" + " Soon\n",
		"c.yaml":          "server: https://registry.npm" + "js.org\n",
		"testdata/d.go":   "// TO" + "DO\n",
		"data.bin":        "TO" + "DO",
		"placeholder.css": "::placeholder { color: red }\n",
	})
	if err := os.WriteFile(filepath.Join(root, "e.md"), []byte("see "+filepath.ToSlash(root)+"/x\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := badWords(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	var at []string
	for _, l := range got {
		file, _, _ := strings.Cut(l, ": ")
		at = append(at, file)
	}
	if want := "a.go:2 b.md:3 c.yaml:1 e.md:1"; strings.Join(at, " ") != want {
		t.Errorf("found %q, want %q", got, want)
	}
}

func TestLintReportsEveryCheck(t *testing.T) {
	root := tree(t, map[string]string{
		"go.mod":      "module m\n\ngo 1.26\n",
		"agent/a.go":  "package a\nfunc F( ) {}\n",
		"agent/b.go":  "package a\n\nimport \"fmt\"\n\n// FIX" + "ME\nfunc G() { fmt.Printf(\"%d\", \"x\") }\n",
		"utils/LICEN": "",
	})
	var out, complaint bytes.Buffer
	if code := lint(t.Context(), root, &out, &complaint); code != 1 {
		t.Errorf("code %d", code)
	}
	for _, want := range []string{"gofmt: agent/a.go", "words: agent/b.go:5", "house: docs: package agent", "vet: "} {
		if !strings.Contains(out.String()+complaint.String(), want) {
			t.Errorf("no %q in\n%s%s", want, &out, &complaint)
		}
	}
}

func TestGoldenTouchesOnlyPackagesThatHaveSome(t *testing.T) {
	const withFlag = "package p\n\nimport (\n\t\"flag\"\n\t\"os\"\n\t\"testing\"\n)\n\nvar update = flag.Bool(\"update\", false, \"\")\n\n" +
		"func TestXGolden(t *testing.T) {\n\tif *update {\n\t\tif err := os.WriteFile(\"new\", nil, 0o644); err != nil {\n\t\t\tt.Fatal(err)\n\t\t}\n\t}\n}\n"
	root := tree(t, map[string]string{
		"go.mod":              "module m\n\ngo 1.26\n",
		"with/p_test.go":      withFlag,
		"without/p_test.go":   "package p\n\nimport \"testing\"\n\nfunc TestGoldenNoFlag(t *testing.T) {}\n",
		"with/testdata/x.txt": "",
	})
	var out, complaint bytes.Buffer
	if code := golden(t.Context(), root, nil, &out, &complaint); code != 0 {
		t.Fatalf("code %d\n%s%s", code, &out, &complaint)
	}
	if _, err := os.Stat(filepath.Join(root, "with", "new")); err != nil {
		t.Errorf("the golden file was not rewritten: %v", err)
	}
}

func TestGoBenchTakesTheMedianOfTheMetric(t *testing.T) {
	root := tree(t, map[string]string{
		"go.mod": "module m\n\ngo 1.26\n",
		"p/p_test.go": "package p\n\nimport \"testing\"\n\nfunc BenchmarkX(b *testing.B) {\n\tfor _, n := range []string{\"batch=1\", \"batch=10\"} {\n" +
			"\t\tb.Run(n, func(b *testing.B) {\n\t\t\tfor b.Loop() {\n\t\t\t}\n\t\t\tb.ReportMetric(float64(len(n)), \"events/s\")\n\t\t})\n\t}\n}\n",
	})
	env := Env{Root: root, Dir: t.TempDir(), Count: 1, printed: map[goBench]string{}}
	x := goBench{"./p", "BenchmarkX/batch=10", "10x"}
	got, err := x.metric("events/s", "ns/op")(t.Context(), env)
	if err != nil || got.Figure != 8 || !strings.HasSuffix(got.Note, "ns/op") {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := (goBench{"./p", "BenchmarkY", "10x"}).metric("events/s")(t.Context(), env); err == nil {
		t.Error("a benchmark that does not exist gave a figure")
	}
	if err := os.RemoveAll(filepath.Join(root, "p")); err != nil {
		t.Fatal(err)
	}
	if got, err = x.metric("ns/op")(t.Context(), env); err != nil || got.Figure <= 0 {
		t.Errorf("the second row of a benchmark does not share its run: %+v, %v", got, err)
	}
}

func TestMetricsReadsGoTestsOutput(t *testing.T) {
	got := metrics("goos: linux\nBenchmarkX/batch=10-2  100  123.5 ns/op  456 events/s  0 B/op\nBenchmarkX/batch=10-2  90  140 ns/op  400 events/s\nPASS\n", "events/s")
	if len(got) != 2 || got[0] != 400 || got[1] != 456 {
		t.Errorf("got %v", got)
	}
}

func TestTableShowsTargetsAndWhatHasNoFigure(t *testing.T) {
	env := Env{Root: t.TempDir(), Dir: t.TempDir(), Count: 1}
	figure := func(f float64, err error) func(context.Context, Env) (Result, error) {
		return func(context.Context, Env) (Result, error) { return Result{Figure: f, Note: "n"}, err }
	}
	var out, complaint bytes.Buffer
	code := measure(t.Context(), env, []Row{
		{Name: "fast", Unit: "events/s", AtLeast: 100_000, Run: figure(123456, nil)},
		{Name: "large", Unit: "bytes", AtMost: 10, Run: figure(11, nil)},
		{Name: "broken", Unit: "s", AtMost: 1, Run: figure(0, errors.New("does not build"))},
	}, &out, &complaint)
	if code != 1 {
		t.Errorf("code %d though a row has no figure", code)
	}
	text := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{"machine: ", "fdatasync a second", "fast ≥ 100,000 123,456 events/s yes n", "large ≤ 10 11 bytes no n", "broken ≤ 1 - s no figure"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
	if !strings.Contains(complaint.String(), "does not build") {
		t.Errorf("the reason is missing:\n%s", &complaint)
	}
}

func TestWhatWasMeasuredIsPrintedWhenSomebodyStops(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	env := Env{Root: t.TempDir(), Dir: t.TempDir(), Count: 1}
	var out, complaint bytes.Buffer
	code := measure(ctx, env, []Row{
		{Name: "appends", Unit: "s", Run: func(context.Context, Env) (Result, error) { return Result{Figure: 7}, nil }},
		{Name: "stopped row", Unit: "s", Run: func(ctx context.Context, _ Env) (Result, error) { stop(); return Result{}, ctx.Err() }},
		{Name: "never", Unit: "s", Run: func(context.Context, Env) (Result, error) { t.Error("it went on"); return Result{}, nil }},
	}, &out, &complaint)
	if text := out.String(); code != 1 || !strings.Contains(text, "appends") || strings.Contains(text, "stopped row") || !strings.Contains(complaint.String(), "7 s") {
		t.Errorf("code %d\n%s%s", code, &out, &complaint)
	}
}

func TestSyncRateLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	text, err := syncRate(t.Context(), dir, 20*time.Millisecond)
	if err != nil || !strings.Contains(text, "fdatasync") {
		t.Errorf("%q, %v", text, err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestRowsAreWellFormed(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range rows() {
		if r.Name == "" || r.Unit == "" || r.Run == nil || r.AtLeast > 0 && r.AtMost > 0 || seen[r.Name] {
			t.Errorf("row %+v needs a name of its own, a unit, at most one target and a Run", r)
		}
		seen[r.Name] = true
	}
}
