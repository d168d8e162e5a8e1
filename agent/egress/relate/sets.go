package relate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fieldpost/fieldpost/protocol/catalog"
)

// selection is the events of one kind that fulfil all clauses.
type selection struct {
	event   string
	clauses []catalog.Clause // sorted by property
	key     string
}

func selectionOf(event string, where []catalog.Clause) selection {
	s := selection{event: event, clauses: slices.Clone(where)}
	slices.SortFunc(s.clauses, func(a, b catalog.Clause) int { return strings.Compare(a.Property, b.Property) })
	var key strings.Builder
	key.WriteString(event)
	for _, c := range s.clauses {
		vs := slices.Clone(c.Values)
		slices.Sort(vs)
		fmt.Fprintf(&key, "|%q in %q", c.Property, vs)
		if c.Min != nil {
			fmt.Fprintf(&key, " from %v", *c.Min)
		}
		if c.Max != nil {
			fmt.Fprintf(&key, " to %v", *c.Max)
		}
	}
	s.key = key.String()
	return s
}

// in reports whether every event of s surely is one of o.
func (s selection) in(o selection) bool {
	if s.event != o.event {
		return false
	}
	for _, c := range o.clauses {
		i := slices.IndexFunc(s.clauses, func(x catalog.Clause) bool { return x.Property == c.Property })
		if i < 0 || !within(s.clauses[i], c) {
			return false
		}
	}
	return true
}

func within(a, b catalog.Clause) bool {
	if len(a.Values) > 0 || len(b.Values) > 0 {
		return len(a.Values) > 0 && len(b.Values) > 0 && !slices.ContainsFunc(a.Values, func(v string) bool { return !slices.Contains(b.Values, v) })
	}
	return (b.Min == nil || a.Min != nil && *a.Min >= *b.Min) && (b.Max == nil || a.Max != nil && *a.Max <= *b.Max)
}

// apart reports whether no event can be one of both.
func (s selection) apart(o selection) bool {
	if s.event != o.event {
		return true
	}
	for _, a := range s.clauses {
		for _, b := range o.clauses {
			if a.Property == b.Property && disjoint(a, b) {
				return true
			}
		}
	}
	return false
}

func disjoint(a, b catalog.Clause) bool {
	if len(a.Values) > 0 && len(b.Values) > 0 {
		return !slices.ContainsFunc(a.Values, func(v string) bool { return slices.Contains(b.Values, v) })
	}
	return a.Max != nil && b.Min != nil && *a.Max < *b.Min || b.Max != nil && a.Min != nil && *b.Max < *a.Min
}

// set is the people who did one of the selections in a window.
type set struct {
	key      string
	sels     []selection
	parent   int   // the smallest set that holds it; -1: none
	children []int // the largest sets within it
	covered  bool  // whoever is in it is in one of the children
	byTrait  bool  // something about it is told by the trait
	above    int   // the smallest set above it that is told by the trait too; -1: none
}

func setOf(sels []selection) set {
	slices.SortFunc(sels, func(a, b selection) int { return strings.Compare(a.key, b.key) })
	sels = slices.CompactFunc(sels, func(a, b selection) bool { return a.key == b.key })
	var keys []string
	for _, s := range sels {
		keys = append(keys, s.key)
	}
	return set{key: strings.Join(keys, " or "), sels: sels, parent: -1, above: -1}
}

func (s *set) in(o *set) bool {
	for _, a := range s.sels {
		if !slices.ContainsFunc(o.sels, a.in) {
			return false
		}
	}
	return true
}

func (s *set) apart(o *set) bool {
	for _, a := range s.sels {
		for _, b := range o.sels {
			if !a.apart(b) {
				return false
			}
		}
	}
	return true
}

// fits reports whether the set lies within, around or apart from every other one.
func (p *Plan) fits(n *set) bool {
	for i := range p.sets {
		o := &p.sets[i]
		if !n.in(o) && !o.in(n) && !n.apart(o) {
			return false
		}
	}
	return true
}

// admit gives the set's number, entering it if it fits; -1 when it does not.
func (p *Plan) admit(n set) int {
	for i := range p.sets {
		if p.sets[i].key == n.key || p.sets[i].in(&n) && n.in(&p.sets[i]) {
			return i
		}
	}
	if len(n.sels) == 0 || !p.fits(&n) {
		return -1
	}
	p.sets = append(p.sets, n)
	return len(p.sets) - 1
}

// arrange finds every set's place in the tree.
func (p *Plan) arrange() {
	for i := range p.sets {
		for j := range p.sets {
			if i == j || !p.sets[i].in(&p.sets[j]) {
				continue
			}
			if q := p.sets[i].parent; q < 0 || p.sets[j].in(&p.sets[q]) {
				p.sets[i].parent = j
			}
		}
	}
	for i := range p.sets {
		if q := p.sets[i].parent; q >= 0 {
			p.sets[q].children = append(p.sets[q].children, i)
		}
	}
	for i := range p.sets {
		s := &p.sets[i]
		s.covered = len(s.children) > 0 && p.covers(s)
		for q := s.parent; q >= 0 && s.above < 0; q = p.sets[q].parent {
			if p.sets[q].byTrait {
				s.above = q
			}
		}
	}
}

// covers reports whether each selection of s is one of its children's, or is cut up completely by values.
func (p *Plan) covers(s *set) bool {
	for _, a := range s.sels {
		var parts []selection
		whole := false
		for _, c := range s.children {
			for _, b := range p.sets[c].sels {
				switch {
				case a.in(b):
					whole = true
				case b.in(a):
					parts = append(parts, b)
				}
			}
		}
		if !whole && !p.cutUp(a, parts) {
			return false
		}
	}
	return true
}

// cutUp reports whether parts are all values of one listed property of the event.
func (p *Plan) cutUp(a selection, parts []selection) bool {
	e, _ := p.cat.Event(a.event)
	if e == nil {
		return false
	}
	for i := range e.Properties {
		pr := &e.Properties[i]
		left := map[string]bool{}
		for v := range pr.NoneIndex() + 1 {
			left[pr.ValueName(v)] = true
		}
		if pr.IsNumber {
			continue
		}
		for _, b := range parts {
			if len(b.clauses) != len(a.clauses)+1 {
				continue
			}
			for _, c := range b.clauses {
				if c.Property == pr.Name {
					for _, v := range c.Values {
						delete(left, v)
					}
				}
			}
		}
		if len(left) == 0 {
			return true
		}
	}
	return false
}
