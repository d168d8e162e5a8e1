package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
)

var (
	goldenTest = regexp.MustCompile(`(?m)^func Test\w*Golden`)
	updateFlag = regexp.MustCompile(`flag\.Bool(Var)?\([^)]*"update"`)
)

// golden runs the golden tests with -update, in packages that have both such a
// test and the flag: any other package would refuse the flag.
func golden(ctx context.Context, root string, only []string, stdout, stderr io.Writer) int {
	packages, err := goldenPackages(ctx, root)
	if err != nil {
		fmt.Fprintln(stderr, "golden:", err)
		return 1
	}
	if packages, err = choose(packages, only); err != nil {
		fmt.Fprintln(stderr, "golden:", err)
		return 2
	}
	if len(packages) == 0 {
		fmt.Fprintln(stdout, "golden: no package has golden files")
		return 0
	}
	args := append([]string{"test", "-count=1", "-run", "Golden"}, packages...)
	text, err := output(ctx, root, "go", append(args, "-update")...)
	if err != nil {
		fmt.Fprintln(stderr, "golden:", err)
		return 1
	}
	fmt.Fprint(stdout, text)
	fmt.Fprintln(stdout, "golden: rewritten; read the diff before you commit it")
	return 0
}

// choose keeps the packages that were asked for, all of them if none was.
func choose(packages, only []string) ([]string, error) {
	if len(only) == 0 {
		return packages, nil
	}
	var chosen []string
	for _, want := range only {
		want = "./" + path.Clean(filepath.ToSlash(want))
		found := false
		for _, p := range packages {
			if p == want {
				chosen, found = append(chosen, p), true
			}
		}
		if !found {
			return nil, fmt.Errorf("choosing packages: %s has no golden test; those that have: %s", want, strings.Join(packages, " "))
		}
	}
	return chosen, nil
}

func goldenPackages(ctx context.Context, root string) ([]string, error) {
	files, err := tracked(ctx, root)
	if err != nil {
		return nil, err
	}
	tests, flags := map[string]bool{}, map[string]bool{}
	for _, f := range files {
		if !strings.HasSuffix(f, "_test.go") || strings.Contains(f, "testdata/") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, f))
		if errors.Is(err, os.ErrNotExist) {
			continue // deleted, not committed
		} else if err != nil {
			return nil, fmt.Errorf("reading %s: %w", f, err)
		}
		dir := "./" + path.Dir(f)
		tests[dir] = tests[dir] || goldenTest.Match(text)
		flags[dir] = flags[dir] || updateFlag.Match(text)
	}
	var packages []string
	for dir := range tests {
		if tests[dir] && flags[dir] {
			packages = append(packages, dir)
		}
	}
	sort.Strings(packages)
	return packages, nil
}
