package declare

import (
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/fieldpost/fieldpost/protocol/catalog/canon"
	"github.com/fieldpost/fieldpost/protocol/catalog/strict"
)

// Clauses reads {area: [code, docs], files: {min: 1, max: 10}}: all must match.
func (p *Reader) Clauses(n *yaml.Node, path string, find func(n *yaml.Node, at, name string) *Property) []Clause {
	var out []Clause
	es := p.Mapping(n, path)
	if n.Kind == yaml.MappingNode && len(n.Content) == 0 {
		p.Fail(n, path, strict.CodeEmptyList, "leave the key out", "no condition is given")
	}
	for _, e := range es {
		at := path + "." + strict.Clip(e.Name)
		pr := find(e.Key, at, e.Name)
		if pr == nil {
			continue
		}
		c := Clause{Property: e.Name}
		switch {
		case pr.IsNumber:
			p.within(e.Val, at, pr, &c)
		case e.Val.Kind == yaml.MappingNode:
			p.Fail(e.Val, at, strict.CodeWrongType, "[a, b]", "%s is a list; name its values", strict.Clip(e.Name))
		case e.Val.Kind == yaml.ScalarNode:
			if v, ok := p.Word(e.Val, at); ok {
				p.listedIn(e.Val, at, v, pr.Values, e.Name)
				c.Values = []string{v}
			}
		default:
			c.Values = p.Words(e.Val, at)
			p.allListed(e.Val, at, pr)
		}
		out = append(out, c)
	}
	return out
}

func (p *Reader) within(n *yaml.Node, path string, pr *Property, c *Clause) {
	if n.Kind != yaml.MappingNode {
		p.Fail(n, path, strict.CodeWrongType, "{min: 1, max: 10}", "%s is a number; give min, max or both", strict.Clip(c.Property))
		return
	}
	have := p.Object(n, path, "min", "max")
	if have["min"] == nil && have["max"] == nil {
		p.Fail(n, path, strict.CodeMissingKey, "{min: 1, max: 10}", "%s is a number; give min, max or both", strict.Clip(c.Property))
		return
	}
	for key, to := range map[string]**float64{"min": &c.Min, "max": &c.Max} {
		if v := have[key]; v != nil {
			f, ok := p.Number(v, path+"."+key)
			if ok && (f < pr.Min || f > pr.Max) {
				p.Fail(v, path+"."+key, strict.CodeBadNumber, "", "lies outside the bounds of %s, %v to %v", strict.Clip(c.Property), pr.Min, pr.Max)
			}
			*to = &f
		}
	}
	if c.Min != nil && c.Max != nil && *c.Min > *c.Max {
		p.Fail(have["max"], path+".max", strict.CodeBadNumber, "", "max should not be below min")
	}
}

// Writer writes declarations in the canonical form of definitions.
type Writer struct{ canon.Writer }

// Clauses writes conditions in the order of what they are about.
func (w *Writer) Clauses(path string, cs []Clause) {
	cs = slices.Clone(cs)
	slices.SortFunc(cs, func(a, b Clause) int { return strings.Compare(a.Property, b.Property) })
	for _, c := range cs {
		at := path + "." + c.Property
		w.Texts(at+".values", c.Values)
		if c.Min != nil {
			w.Line(at+".min", canon.Decimal(*c.Min))
		}
		if c.Max != nil {
			w.Line(at+".max", canon.Decimal(*c.Max))
		}
	}
}

// Properties writes the properties to keep, in the order of their names.
func (w *Writer) Properties(path string, ps []Property, keep func(*Property) bool) {
	var kept []*Property
	for i := range ps {
		if keep(&ps[i]) {
			kept = append(kept, &ps[i])
		}
	}
	slices.SortFunc(kept, func(a, b *Property) int { return strings.Compare(a.Name, b.Name) })
	for _, p := range kept {
		at := path + "." + p.Name
		w.Text(at+".match", p.Match)
		w.Texts(at+".values", p.Values)
		raws := make([]string, 0, len(p.Map))
		for raw := range p.Map {
			raws = append(raws, raw)
		}
		slices.Sort(raws)
		for i, raw := range raws {
			w.Line(at+".map."+strconv.Itoa(i)+".key", raw)
			w.Line(at+".map."+strconv.Itoa(i)+".to", p.Map[raw])
		}
		w.Texts(at+".not_people", p.NotPeople)
		if p.IsNumber {
			w.Line(at+".number.min", canon.Decimal(p.Min))
			w.Line(at+".number.max", canon.Decimal(p.Max))
		}
	}
}
