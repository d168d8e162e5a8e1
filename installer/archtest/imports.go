package archtest

import (
	"slices"
	"sort"
	"strings"
)

// Imports returns every violation of the rules about who imports whom.
func (r Rules) Imports(h *House) []string {
	v := violations{}
	for _, path := range sortedKeys(h.Packages) {
		p := h.Packages[path]
		from, ours := h.ours(path)
		if !ours || strings.HasSuffix(path, ".test") {
			continue
		}
		reached := h.reach(path, nil)
		r.floors(h, v, from, reached)
		r.stages(h, v, from, reached)
		r.above(h, v, from, p)
		if p.ForTest == "" {
			r.libraries(h, v, from, p)
			r.banned(h, v, from, path)
		}
	}
	return v.list()
}

func (r Rules) floors(h *House, v violations, from string, reached map[string][]string) {
	for _, f := range r.Floors {
		if top(from) != f.Name {
			continue
		}
		for to, chain := range reached {
			if room, ours := h.ours(to); ours && !slices.Contains(f.May, top(room)) {
				v.add(from+" "+top(room), "floors: %s reaches %s: %s", from, room, h.show(chain))
			}
		}
	}
}

func (r Rules) stages(h *House, v violations, from string, reached map[string][]string) {
	for _, t := range r.Trees {
		room := t.room(from)
		if room == "" || slices.Contains(t.Above, room) {
			continue // another tree, the root package, or a room above
		}
		for to, chain := range reached {
			path, ours := h.ours(to)
			if !ours || top(path) != t.Name {
				continue
			}
			other := t.room(path)
			if other == room || slices.Contains(t.Shared, other) {
				continue
			}
			name := t.Name + "/" + other
			if other == "" {
				name = t.Name + " (the root package, which wires the stages)"
			}
			v.add(from+" "+name, "stages: %s reaches %s: %s", from, name, h.show(chain))
		}
	}
}

// room returns the room of this tree that path lies in, "" for the root package
// and for other trees.
func (t Tree) room(path string) string {
	rest, ok := strings.CutPrefix(path, t.Name+"/")
	if !ok {
		return ""
	}
	for _, deep := range t.Rooms {
		if within(rest, deep) {
			return deep
		}
	}
	return top(rest)
}

func (r Rules) above(h *House, v violations, from string, p *Package) {
	for _, a := range r.Above {
		if !within(from, a.Room) {
			continue
		}
		for _, i := range p.Imports {
			to, ours := h.ours(i)
			if !ours || top(to) != top(a.Room) || within(to, a.Room) || slices.Contains(a.May, to) {
				continue
			}
			v.add(from+" "+to, "above: %s imports %s; of its own tree it may import %s", from, to, strings.Join(a.May, ", "))
		}
	}
}

func (r Rules) libraries(h *House, v violations, from string, p *Package) {
	for _, l := range r.Libraries {
		for _, i := range p.Imports {
			if within(i, l.Prefix) && !slices.Contains(l.Only, from) {
				v.add(from+" "+l.Prefix, "libraries: %s imports %s; only %s does", from, i, strings.Join(l.Only, ", "))
			}
		}
	}
}

func (r Rules) banned(h *House, v violations, from, path string) {
	for _, b := range r.Banned {
		if !slices.ContainsFunc(b.From, func(f string) bool { return within(from, f) }) {
			continue
		}
		reached := h.reach(path, b.Through)
		for _, never := range b.Never {
			for to, chain := range reached {
				if within(to, never) && (to == never || strings.Contains(never, ".")) {
					v.add(from+" "+never, "banned: %s reaches %s (%s): %s", from, never, b.Why, h.show(chain))
				}
			}
		}
	}
}

// reach returns every package that path reaches, each with a shortest chain of
// imports; it does not look behind the packages in through.
func (h *House) reach(path string, through []string) map[string][]string {
	chains := map[string][]string{path: {path}}
	for queue := []string{path}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		p := h.Packages[at]
		if p == nil || slices.ContainsFunc(through, func(t string) bool { return within(at, t) }) {
			continue
		}
		for _, next := range p.Imports {
			if _, seen := chains[next]; !seen {
				chains[next] = append(slices.Clone(chains[at]), next)
				queue = append(queue, next)
			}
		}
	}
	delete(chains, path)
	return chains
}

// ours returns the path relative to the module, with the marks of test variants
// taken off, and whether the package belongs to the module.
func (h *House) ours(path string) (string, bool) {
	plain, variant, isVariant := strings.Cut(path, " [")
	if isVariant {
		// "a/b_test [a/b.test]" is the external test of a/b.
		if tested := strings.TrimSuffix(strings.TrimSuffix(variant, "]"), ".test"); plain == tested+"_test" {
			plain = tested
		}
	}
	if plain == h.Module {
		return ".", true
	}
	return strings.CutPrefix(plain, h.Module+"/")
}

func (h *House) show(chain []string) string {
	names := make([]string, len(chain))
	for i, c := range chain {
		plain, _, _ := strings.Cut(c, " [")
		names[i] = strings.TrimPrefix(plain, h.Module+"/")
	}
	return strings.Join(names, " → ")
}

func top(path string) string {
	first, _, _ := strings.Cut(path, "/")
	return first
}

func within(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, folder+"/")
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
