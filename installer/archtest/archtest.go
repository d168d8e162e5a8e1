// Package archtest keeps the house in its shape: who may import whom
// (transitively, tests included), how large a file, a package and a function
// may grow, what must be documented and what must not stand at the top level.
//
// The rules are data in rules.go. A rule about a room that does not exist yet
// holds. All violations are reported at once, each with the chain of imports
// that leads to it.
package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// House is the module as the rules see it.
type House struct {
	Module string
	Root   string
	// Packages by import path as go list prints it; the test variant of a
	// package is an entry of its own, "path [path.test]".
	Packages map[string]*Package
	// Top is every name at the top level that is under version control.
	Top []string
	// Replaced is every module that go.mod replaces.
	Replaced []string
}

// Package is one package or test variant, with its files parsed if it is ours.
type Package struct {
	ImportPath string
	Dir        string
	Name       string
	Standard   bool
	ForTest    string
	Imports    []string
	Files      []*File
}

// File is one source file of ours.
type File struct {
	Path      string // relative to the root
	Lines     int
	Code      int // lines that hold code, neither blank nor comment only
	Test      bool
	Generated bool
	Imports   []string
	AST       *ast.File
	set       *token.FileSet
}

type listed struct {
	ImportPath, Dir, Name, ForTest    string
	Standard                          bool
	Imports                           []string
	ImportMap                         map[string]string
	GoFiles, CgoFiles, IgnoredGoFiles []string
	TestGoFiles, XTestGoFiles         []string
	Error                             *struct{ Err string }
	Module                            *struct{ Path string }
}

// Open reads the module that holds dir.
func Open(dir string) (*House, error) {
	gomod, err := output(dir, "go", "env", "GOMOD")
	if err != nil {
		return nil, fmt.Errorf("looking for go.mod: %w", err)
	}
	h := &House{Root: filepath.Dir(strings.TrimSpace(string(gomod))), Packages: map[string]*Package{}}
	if err := h.readGoMod(); err != nil {
		return nil, err
	}
	if h.Top, err = topLevel(h.Root); err != nil {
		return nil, err
	}
	return h, h.readPackages()
}

func (h *House) readGoMod() error {
	text, err := output(h.Root, "go", "mod", "edit", "-json")
	if err != nil {
		return fmt.Errorf("reading go.mod: %w", err)
	}
	var mod struct {
		Module  struct{ Path string }
		Replace []struct{ Old struct{ Path string } }
	}
	if err := json.Unmarshal(text, &mod); err != nil {
		return fmt.Errorf("reading go.mod: %w", err)
	}
	h.Module = mod.Module.Path
	for _, r := range mod.Replace {
		h.Replaced = append(h.Replaced, r.Old.Path)
	}
	return nil
}

func (h *House) readPackages() error {
	text, err := output(h.Root, "go", "list", "-e", "-test", "-deps",
		"-json=ImportPath,Dir,Name,ForTest,Standard,Imports,ImportMap,GoFiles,CgoFiles,IgnoredGoFiles,TestGoFiles,XTestGoFiles,Error,Module", "./...")
	if err != nil {
		return fmt.Errorf("listing packages: %w", err)
	}
	for dec := json.NewDecoder(bytes.NewReader(text)); ; {
		var l listed
		if err := dec.Decode(&l); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("reading the list of packages: %w", err)
		}
		if err := h.add(l); err != nil {
			return err
		}
	}
}

func (h *House) add(l listed) error {
	p := &Package{ImportPath: l.ImportPath, Dir: l.Dir, Name: l.Name, Standard: l.Standard, ForTest: l.ForTest, Imports: l.Imports}
	ours := l.Module != nil && l.Module.Path == h.Module
	generatedMain := strings.HasSuffix(l.ImportPath, ".test")
	if ours && l.Error != nil && !generatedMain {
		return fmt.Errorf("listing %s: %s", l.ImportPath, l.Error.Err)
	}
	h.Packages[l.ImportPath] = p
	if !ours || l.ForTest != "" || generatedMain {
		return nil
	}
	for _, names := range [][]string{l.GoFiles, l.CgoFiles, l.IgnoredGoFiles, l.TestGoFiles, l.XTestGoFiles} {
		for _, name := range names {
			f, err := h.parse(filepath.Join(l.Dir, name))
			if err != nil {
				return err
			}
			p.Files = append(p.Files, f)
		}
	}
	// go list sees one operating system; what the files for others import
	// counts as well.
	for _, f := range p.Files {
		if !f.Test {
			p.Imports = append(p.Imports, f.Imports...)
		}
	}
	return nil
}

func (h *House) parse(path string) (*File, error) {
	set := token.NewFileSet()
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	tree, err := parser.ParseFile(set, path, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("parsing %s: %w", path, err)
	}
	rel, err := filepath.Rel(h.Root, path)
	if err != nil {
		return nil, fmt.Errorf("placing %s: %w", path, err)
	}
	f := &File{
		Path: filepath.ToSlash(rel), Lines: set.File(tree.FileStart).LineCount(), Code: codeLines(text), AST: tree, set: set,
		Test: strings.HasSuffix(path, "_test.go"), Generated: ast.IsGenerated(tree),
	}
	for _, i := range tree.Imports {
		name, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			return nil, fmt.Errorf("reading an import of %s: %w", path, err)
		}
		f.Imports = append(f.Imports, name)
	}
	return f, nil
}

// codeLines counts the lines on which a token stands, so that prose is free.
func codeLines(text []byte) int {
	set := token.NewFileSet()
	file := set.AddFile("", -1, len(text))
	var s scanner.Scanner
	s.Init(file, text, nil, 0)
	seen := map[int]bool{}
	for {
		pos, tok, literal := s.Scan()
		if tok == token.EOF {
			return len(seen)
		}
		if tok == token.SEMICOLON && literal == "\n" {
			continue // put in by the scanner at the end of a line
		}
		first := file.Line(pos)
		for n := range 1 + strings.Count(literal, "\n") {
			seen[first+n] = true
		}
	}
}

// topLevel asks git, so that what was built here does not count; outside a
// clone it takes every name.
func topLevel(root string) ([]string, error) {
	text, err := output(root, "git", "ls-files")
	if err != nil || len(text) == 0 {
		names, err := filepath.Glob(filepath.Join(root, "*"))
		if err != nil {
			return nil, fmt.Errorf("reading the top level: %w", err)
		}
		for i, n := range names {
			names[i] = filepath.Base(n)
		}
		return names, nil
	}
	seen := map[string]bool{}
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		name, _, _ := strings.Cut(line, "/")
		seen[name] = true
	}
	var names []string
	for n := range seen {
		names = append(names, n)
	}
	sort.Strings(names)
	return names, nil
}

func output(dir, name string, args ...string) ([]byte, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	text, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("running %s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(complaint.String()))
	}
	return text, nil
}
