package kinds

import (
	"slices"
	"strings"

	"github.com/fieldpost/fieldpost/collector/accounts"
	"github.com/fieldpost/fieldpost/collector/web/words"
	"github.com/fieldpost/fieldpost/protocol/catalog"
)

// breakdowns are tables of the catalog's own dimensions for the newest window that told any.
func (s *set) breakdowns() []Table {
	var out []Table
	for _, dims := range s.m.By {
		for _, start := range s.recent(26) {
			if t, ok := s.breakdown(start, dims); ok {
				out = append(out, t)
				break
			}
		}
	}
	return out
}

func (s *set) breakdown(start int64, dims []string) (Table, bool) {
	values := s.values(start, dims)
	if len(values) == 0 {
		return Table{}, false
	}
	fields := s.m.Fields()
	t := Table{Title: "By " + strings.Join(dims, " × ") + ", " + s.window(start), Heads: heads(words.Label(strings.Join(dims, " × ")))}
	if len(fields) == 1 {
		t.Heads = append(t.Heads, Head{}, Head{"Figure", true}, Head{"Of the total", true})
	} else {
		for _, f := range fields {
			t.Heads = append(t.Heads, Head{words.Label(f.String()), true})
		}
	}
	merged := false
	var all []accounts.Point
	for _, v := range values {
		all = append(all, s.at(start, fields[0], pairs(dims, v)...))
	}
	for i, v := range values {
		merged = merged || slices.Contains(v, catalog.Other)
		row := []Cell{text(strings.Join(v, " × "))}
		if len(fields) == 1 {
			row = append(row, bar(all[i], top(all...)), fig(all[i]), percentCell(share(all[i], s.at(start, fields[0]))))
		} else {
			for _, f := range fields {
				row = append(row, fig(s.at(start, f, pairs(dims, v)...)))
			}
		}
		t.Rows = append(t.Rows, row)
	}
	if merged {
		t.Note = "(other): values that are not listed, and those with too few people to be told apart, counted together."
	}
	return t, true
}

func pairs(dims, values []string) []string {
	var out []string
	for i, d := range dims {
		out = append(out, d, values[i])
	}
	return out
}

// values that were told for exactly these dimensions in a window, in the catalog's order.
func (s *set) values(start int64, dims []string) [][]string {
	var out [][]string
	seen := map[string]bool{}
	for k := range s.by {
		d := s.dims[k.dims]
		if k.start != start || seen[k.dims] || len(d) != len(dims) {
			continue
		}
		v := make([]string, len(dims))
		for i, name := range dims {
			var ok bool
			if v[i], ok = d[name]; !ok {
				v = nil
				break
			}
		}
		if v != nil {
			seen[k.dims] = true
			out = append(out, v)
		}
	}
	rank := func(i int, v string) int {
		p, _ := s.c.Dimension(s.m, dims[i])
		if p == nil {
			return 0
		}
		if n := slices.Index(p.Values, v); n >= 0 {
			return n
		}
		return len(p.Values) + map[string]int{catalog.Other: 0, catalog.None: 1}[v]
	}
	slices.SortFunc(out, func(a, b []string) int {
		for i := range a {
			if d := rank(i, a[i]) - rank(i, b[i]); d != 0 {
				return d
			}
		}
		return strings.Compare(strings.Join(a, "\x00"), strings.Join(b, "\x00"))
	})
	return out
}
