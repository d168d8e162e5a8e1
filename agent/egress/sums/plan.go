// Package sums says which sums of what people did may be told at all, from the catalog alone (ADR 0013): those that share no
// event with one taken before, of which the people are told, and of which neither what is told of people nor anything
// exact says more.
//
// The package keeps no state.
package sums

import (
	"slices"

	"github.com/fieldpost/fieldpost/agent/egress/relate"
	"github.com/fieldpost/fieldpost/protocol/catalog"
)

// Why a sum of what people did stays, whatever happened: it follows from the catalog alone (ADR 0013).
const (
	OfSome   relate.Reason = "sum_of_some"    // it is over some of the people
	Overlaps relate.Reason = "overlaps_a_sum" // what is left of the other without it could be one person's
	Unknown  relate.Reason = "users_not_told" // no measure listed before tells how many people are in it
	InTotal  relate.Reason = "within_a_total" // an exact figure holds some of its events
)

// Sum is what has to be known of a sum of what people did that may be told.
type Sum struct {
	Users int // the measure that tells how many people are in it
	Least int // so many of its events at most are certain of one person, whatever counts of people are told
}

type sum struct {
	Sum
	why relate.Reason
}

// Plan is what a catalog's sums have to do with one another and with counts of people.
type Plan struct {
	cat  *catalog.Catalog
	tree *relate.Plan
	sums []sum // by measure
}

// New studies a catalog; tree is its plan.
func New(c *catalog.Catalog, tree *relate.Plan) *Plan {
	p := &Plan{cat: c, tree: tree}
	p.sumUp()
	return p
}

// What a person did at least who is in a set, by what may be told of it. Each is a number of events that suffice: one
// on each day or in each week.
const (
	eventsOfWeeks   = 4  // which weeks they were there; cohorts
	eventsOfDays    = 21 // the least of the highest bin of active days
	eventsOfFeature = 3  // habitual: in three weeks
	leastEvents     = 2  // that everybody did one thing and no more is not told
)

// Sum says of a count of events whether it may be told at all.
func (p *Plan) Sum(measure int) (Sum, relate.Reason) {
	s := p.sums[measure]
	return s.Sum, s.why
}

// sumUp takes counts in the catalog's order whose events are apart from those of all taken before: between what is
// told of them there is no difference.
func (p *Plan) sumUp() {
	p.sums = make([]sum, len(p.cat.Measures))
	var told []relate.Set
	for i := range p.cat.Measures {
		m, at := &p.cat.Measures[i], &p.sums[i]
		if m.Kind != catalog.Count || m.Subject != catalog.Person {
			at.why = relate.Sums
			continue
		}
		e := relate.BaseOf(m)
		at.Users = p.usersOf(i, &e)
		switch {
		case len(m.WhereUser) > 0:
			at.why = OfSome
		case slices.ContainsFunc(told, func(o relate.Set) bool { return !o.Apart(&e) }):
			at.why = Overlaps
		case at.Users < 0:
			at.why = Unknown
		case p.counted(&e):
			at.why = InTotal
		case p.bends(&e):
			at.why = relate.Unrelated
		default:
			at.Least = p.certain(&e)
			told = append(told, e)
		}
	}
}

// usersOf is the measure before i that counts the people who did the events; -1: none.
func (p *Plan) usersOf(i int, e *relate.Set) int {
	return slices.IndexFunc(p.cat.Measures[:i], func(m catalog.Measure) bool {
		if m.Kind != catalog.ActiveUsers || m.Subject != catalog.Person || len(m.WhereUser) > 0 {
			return false
		}
		b := relate.BaseOf(&m)
		return b.In(e) && e.In(&b) && slices.ContainsFunc(p.tree.Sets(), func(s relate.Set) bool { return s.In(e) && e.In(&s) })
	})
}

// counted reports whether some of the events are in a figure that is told as traffic or of machines.
func (p *Plan) counted(e *relate.Set) bool {
	return slices.ContainsFunc(p.exact(), func(o relate.Set) bool { return !o.Apart(e) })
}

// exact is the events that figures of traffic and machines are made of.
func (p *Plan) exact() (out []relate.Set) {
	for i := range p.cat.Measures {
		m := &p.cat.Measures[i]
		if m.Subject == catalog.Person {
			continue
		}
		out = append(out, relate.BaseOf(m))
		for _, s := range []*catalog.Selector{m.Valid, m.Good} {
			if s != nil && s.Event != "" {
				out = append(out, relate.Events(s.Where, s.Event))
			}
		}
	}
	return out
}

// bends reports whether doing one of the events once more could change a count of people that is told: a third use
// makes an adopter, and the same event again may be the next step.
func (p *Plan) bends(e *relate.Set) bool {
	for i := range p.cat.Measures {
		m := &p.cat.Measures[i]
		for f := range m.Features {
			if s := featureOf(m, f); m.Uses > 2 && !s.Apart(e) {
				return true
			}
		}
		if m.Kind != catalog.Funnel {
			continue
		}
		steps := stepsOf(m)
		for a := range len(m.Steps) {
			for b := range a {
				if !steps[a].Apart(&steps[b]) && !steps[a].Apart(e) && !steps[b].Apart(e) {
					return true
				}
			}
		}
	}
	return false
}

func featureOf(m *catalog.Measure, f int) relate.Set {
	return relate.Events(m.Features[f].Where, m.Features[f].Events...)
}

// stepsOf is the events of each step of a funnel, and last those that have to come before.
func stepsOf(m *catalog.Measure) (out []relate.Set) {
	steps := slices.Clone(m.Steps)
	if m.Before != nil {
		steps = append(steps, *m.Before)
	}
	for _, s := range steps {
		out = append(out, relate.Events(s.Where, s.Event))
	}
	return out
}

// certain is how many of the events one person may have to have done for all that counts of people can say: witnesses of
// each set within e, and of a set around it unless something else that nobody looks at can witness that.
func (p *Plan) certain(e *relate.Set) (n int) {
	need, also := make([]int, len(p.tree.Sets())), 0
	for k := range need {
		need[k] = 1
	}
	if p.tree.Root() >= 0 {
		need[p.tree.Root()] = eventsOfWeeks
	}
	for i := range p.cat.Measures {
		m, k := &p.cat.Measures[i], p.tree.SetOf(i)
		if m.Subject != catalog.Person {
			continue
		}
		switch m.Kind {
		case catalog.Stickiness, catalog.Retention, catalog.Seats:
			if k >= 0 {
				need[k] = max(need[k], map[catalog.Kind]int{catalog.Stickiness: eventsOfDays, catalog.Retention: eventsOfWeeks, catalog.Seats: 2}[m.Kind])
			}
		case catalog.Adoption:
			for _, f := range p.tree.Features(i) {
				if f >= 0 {
					need[f] = max(need[f], eventsOfFeature)
				}
			}
		case catalog.Funnel:
			for _, s := range stepsOf(m) {
				if !s.Apart(e) {
					also++
				}
			}
		case catalog.FirstTime:
			if b := relate.BaseOf(m); !b.Apart(e) {
				also++
			}
		}
	}
	others := p.looked()
	for k := range p.tree.Sets() {
		if s := &p.tree.Sets()[k]; !s.Apart(e) && (s.In(e) || !spare(s, others)) {
			n += need[k]
		}
	}
	return max(n+also, leastEvents)
}

// looked is all that something is told of.
func (p *Plan) looked() []relate.Set {
	out := append(slices.Clone(p.tree.Sets()), p.exact()...)
	for i := range p.cat.Measures {
		m := &p.cat.Measures[i]
		switch m.Kind {
		case catalog.Funnel:
			out = append(out, stepsOf(m)...)
		case catalog.FirstTime:
			out = append(out, relate.BaseOf(m))
		case catalog.Adoption:
			for f := range m.Features {
				out = append(out, featureOf(m, f))
			}
		}
	}
	return out
}

// spare reports whether one of the set's kinds of events makes nobody a part of anything but this set and those around it.
func spare(s *relate.Set, others []relate.Set) bool {
	return slices.ContainsFunc(s.Parts(), func(one relate.Set) bool {
		return !slices.ContainsFunc(others, func(o relate.Set) bool { return !one.Apart(&o) && !s.In(&o) })
	})
}
