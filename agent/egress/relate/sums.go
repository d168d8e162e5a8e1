package relate

import "github.com/fieldpost/fieldpost/protocol/catalog"

// Set is the people who did one of some kinds of events, for those who ask how sets lie to one another.
type Set = set

// BaseOf is the set a measure is about: of a funnel those who enter.
func BaseOf(m *catalog.Measure) Set { return baseOf(m) }

// Events is the set of those who did one of the events under a filter.
func Events(where []catalog.Clause, ids ...string) Set {
	var sels []selection
	for _, id := range ids {
		sels = append(sels, selectionOf(id, where))
	}
	return setOf(sels)
}

// Parts are the kinds of events of the set, each as one.
func (s *set) Parts() (out []Set) {
	for _, a := range s.sels {
		out = append(out, setOf([]selection{a}))
	}
	return out
}

// In reports whether every event of s is surely one of o; Apart whether none can be of both.
func (s *set) In(o *Set) bool    { return s.in(o) }
func (s *set) Apart(o *Set) bool { return s.apart(o) }

// Sets are those of which something can be told; Root is the number of the site's total, or -1.
func (p *Plan) Sets() []Set { return p.sets }
func (p *Plan) Root() int   { return p.root }

// SetOf is the number of the set that a measure is about, Features those of an adoption's features; -1: not told.
func (p *Plan) SetOf(measure int) int      { return p.places[measure].set }
func (p *Plan) Features(measure int) []int { return p.places[measure].features }
