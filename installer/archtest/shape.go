package archtest

import (
	"fmt"
	"go/ast"
	"slices"
	"strings"
)

// violations keeps one line per key, so that a test variant does not repeat
// what its package already showed.
type violations map[string]string

func (v violations) add(key, format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if old, seen := v[key]; !seen || len(line) < len(old) || len(line) == len(old) && line < old {
		v[key] = line
	}
}

func (v violations) list() []string {
	lines := make([]string, 0, len(v))
	for _, l := range v {
		lines = append(lines, l)
	}
	slices.Sort(lines)
	return lines
}

// Shape returns every violation of the rules about size, documentation,
// initialisers, replaced modules and the top level.
func (r Rules) Shape(h *House) []string {
	v := violations{}
	for _, m := range h.Replaced {
		v.add("replace "+m, "go.mod: %s is replaced; a clone must build what users build", m)
	}
	for _, name := range h.Top {
		if !strings.HasPrefix(name, ".") && !slices.Contains(r.Top, name) {
			v.add("top "+name, "top level: %s does not belong there; see the map of the house", name)
		}
	}
	for _, path := range sortedKeys(h.Packages) {
		p := h.Packages[path]
		if room, ours := h.ours(path); ours && len(p.Files) > 0 {
			r.shapeOf(v, room, p)
		}
	}
	return v.list()
}

func (r Rules) shapeOf(v violations, room string, p *Package) {
	lines, documented, generatedOnly := 0, false, true
	for _, f := range p.Files {
		documented = documented || packageDoc(f)
		if f.Generated {
			continue
		}
		generatedOnly = false
		if !f.Test {
			lines += f.Code
		}
		if f.Lines > r.Limits.File {
			v.add("file "+f.Path, "size: %s has %d lines, at most %d", f.Path, f.Lines, r.Limits.File)
		}
		r.functions(v, f)
	}
	if lines > r.Limits.Package {
		v.add("package "+room, "size: package %s has %d lines of code, at most %d", room, lines, r.Limits.Package)
	}
	if !documented && !generatedOnly {
		v.add("doc "+room, "docs: package %s has no comment that begins with Package or Command and says what it is for", room)
	}
}

func packageDoc(f *File) bool {
	if f.AST.Doc == nil {
		return false
	}
	text := f.AST.Doc.Text()
	return (strings.HasPrefix(text, "Package ") || strings.HasPrefix(text, "Command ")) && len(strings.Fields(text)) >= 6
}

func (r Rules) functions(v violations, f *File) {
	for _, d := range f.AST.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		start, end := f.set.Position(fn.Pos()).Line, f.set.Position(fn.End()).Line
		name := fmt.Sprintf("%s: %s", f.Path, fn.Name.Name)
		if n := end - start + 1; n > r.Limits.Function {
			v.add("func "+name, "size: %s has %d lines, at most %d", name, n, r.Limits.Function)
		}
		if fn.Recv == nil && fn.Name.Name == "init" {
			v.add("init "+f.Path, "init: %s runs code by being imported; wire it explicitly", f.Path)
		}
		if fn.Recv == nil && fn.Name.Name == "main" && f.AST.Name.Name == "main" && f.Lines > r.Limits.Main {
			v.add("main "+f.Path, "size: %s holds main and has %d lines, at most %d", f.Path, f.Lines, r.Limits.Main)
		}
	}
}
