package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/fieldpost/fieldpost/installer/archtest"
)

// check finds what is wrong in the tree, one line each.
type check struct {
	name string
	find func(ctx context.Context, root string) ([]string, error)
}

func checks() []check {
	return []check{
		{"gofmt", unformatted},
		{"words", badWords},
		{"house", houseRules},
		{"vet", vet},
	}
}

// lint runs all checks, whatever the earlier ones found.
func lint(ctx context.Context, root string, stdout, stderr io.Writer) int {
	found := 0
	for _, c := range checks() {
		lines, err := c.find(ctx, root)
		if err != nil {
			fmt.Fprintf(stderr, "%s: %v\n", c.name, err)
			found++
			continue
		}
		for _, l := range lines {
			fmt.Fprintf(stdout, "%s: %s\n", c.name, l)
		}
		found += len(lines)
	}
	if found > 0 {
		fmt.Fprintf(stderr, "lint: %d found\n", found)
		return 1
	}
	fmt.Fprintln(stdout, "lint: nothing found")
	return 0
}

func unformatted(ctx context.Context, root string) ([]string, error) {
	files, err := tracked(ctx, root)
	if err != nil {
		return nil, err
	}
	args := []string{"-l"}
	for _, f := range files {
		if filepath.Ext(f) == ".go" && exists(filepath.Join(root, f)) {
			args = append(args, f)
		}
	}
	if len(args) == 1 {
		return nil, nil
	}
	text, err := output(ctx, root, "gofmt", args...)
	return lines(text), err
}

func vet(ctx context.Context, root string) ([]string, error) {
	_, err := output(ctx, root, "go", "vet", "./...")
	return nil, err
}

func houseRules(_ context.Context, root string) ([]string, error) {
	h, err := archtest.Open(root)
	if err != nil {
		return nil, err
	}
	r := archtest.TheRules()
	return append(r.Imports(h), r.Shape(h)...), nil
}

// forbidden is what may not be committed. The words are put together from parts
// so that this file does not find itself.
func forbidden(root string) *regexp.Regexp {
	words := []string{
		`\bTO` + `DO\b`, `\bFIX` + `ME\b`, `\bX` + `XX\b`,
		`(?i)coming` + ` soon`, `(?i)not (yet )?imple` + `mented`, `(?i)lorem` + ` ipsum`,
		`^<{7} |^>{7} `,
		`registry\.npm` + `js`, `proxy\.go` + `lang`, `deb\.deb` + `ian\.org`,
	}
	if p := ownPath(root); p != "" {
		words = append(words, regexp.QuoteMeta(p))
	}
	return regexp.MustCompile(strings.Join(words, "|"))
}

// ownPath is the place of this clone as it must not appear in a file: the folder
// above it, or the clone itself where that folder is one every machine has.
func ownPath(root string) string {
	above := filepath.ToSlash(filepath.Dir(root))
	if slices.Contains([]string{"/", "/tmp", "/home", "/root", "/usr", "/opt", "/srv", "/var", "/src", "/app", "/mnt"}, above) || strings.HasPrefix(above, "/home/") || strings.HasPrefix(above, "/tmp/") {
		above = filepath.ToSlash(root)
	}
	if strings.Count(above, "/") == 1 && len(above) < 4 {
		return ""
	}
	return above + "/"
}

func badWords(ctx context.Context, root string) ([]string, error) {
	files, err := tracked(ctx, root)
	if err != nil {
		return nil, err
	}
	words := forbidden(root)
	var found []string
	for _, f := range files {
		if !ownText(f) || !exists(filepath.Join(root, f)) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, f))
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", f, err)
		}
		for i, l := range strings.Split(string(text), "\n") {
			if w := words.FindString(l); w != "" {
				found = append(found, fmt.Sprintf("%s:%d: %q may not be committed", f, i+1, w))
			}
		}
	}
	return found, nil
}

// ownText reports whether a file is text written here, not data and not
// somebody else's work.
func ownText(f string) bool {
	for _, foreign := range []string{"testdata/", "node_modules/", "/vendor/", ".min.", "installer/examples/forge/installations/"} {
		if strings.Contains(f, foreign) {
			return false
		}
	}
	ext := filepath.Ext(f)
	return f == ".ci/run" || slices.Contains([]string{".go", ".md", ".yaml", ".yml", ".html", ".css", ".js", ".mjs", ".json", ".sql", ".proto", ".sh", ".txtar", ".mod"}, ext)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func lines(text string) []string {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}
