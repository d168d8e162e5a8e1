package relate

import (
	"github.com/fieldpost/fieldpost/agent/egress/audit"
	"github.com/fieldpost/fieldpost/protocol/catalog"
)

func (m *Model) addFunnel(b *block, i int, ms *catalog.Measure, pop, group audit.Var) {
	if ms.Entry == "each" {
		return // entries, not people
	}
	at := &b.plan.places[i]
	k := func(what byte, role int16, n int) key { return key{what, int16(i), role, int16(n)} }
	entered := m.inside(b, k(isStep, everybody, 0), pop, group)
	m.atMostOnce(b, k(isStep, everybody, 0), group)
	step := entered
	for n := 1; n < len(ms.Steps); n++ {
		prev := step
		step = m.inside(b, k(isStep, everybody, n), prev, group)
		if prev != entered {
			m.part(entered, step, group, leastCell)
		}
	}
	bands := len(catalog.TimeBands())
	var parts []audit.Var
	for n := range bands {
		parts = append(parts, m.inside(b, k(isBand, everybody, n), entered, group))
	}
	m.sum(entered, parts...)
	m.sum(step, parts[:bands-1]...)
	m.sum(entered, step, parts[bands-1]) // follows from both, but not for one interval at a time
	if ms.Split != b.plan.trait || ms.Split == "" || at.roles != nil || b.classes == nil {
		return
	}
	for n := range ms.Steps {
		var parts []audit.Var
		for r := range b.classes {
			whole := b.vars[key{isSet, int16(at.set), int16(r), 0}]
			if n > 0 {
				whole = b.vars[k(isStep, int16(r), n-1)]
			}
			parts = append(parts, m.inside(b, k(isStep, int16(r), n), whole, b.group[r]))
		}
		m.sum(b.vars[k(isStep, everybody, n)], parts...)
		m.ring(append(parts, b.vars[k(isStep, everybody, n)])...)
	}
}

// enterFirst: who took the first step in a block before does not enter the funnel. Between blocks of 12 weeks people come
// and go, so that it says nothing.
func (m *Model) enterFirst(b *block, i int, at *place) {
	for _, o := range m.blocks {
		if o.cohort || o.plan != b.plan || o.start >= b.start || cohortStart(o.start) != cohortStart(b.start) || at.roles != nil {
			continue
		}
		for role := int16(everybody); int(role) < len(b.classes); role++ {
			was, ok := o.vars[key{isSet, int16(at.set), role, 0}]
			terms := []audit.Term{{Var: was, Factor: 1}, {Var: b.groupOf(role), Factor: -1}}
			for _, x := range m.blocks { // nor does anybody enter twice
				if v, entered := x.vars[key{isStep, int16(i), role, 0}]; entered && !x.cohort && x.plan == b.plan && x.start > o.start && x.start <= b.start {
					terms = append(terms, audit.Term{Var: v, Factor: 1})
				}
			}
			if ok && len(terms) > 2 {
				m.atMost(terms...)
			}
		}
	}
}

// newEnter: who is new at the site, as a lifecycle of more than a funnel's first step tells it, and took that step, entered the
// funnel. Whichever is entered last relates them.
func (m *Model) newEnter(b *block, at *place) {
	for j, f := range b.plan.places {
		for l, o := range b.plan.places {
			if f.set != at.set && o.set != at.set || f.set < 0 || o.set < 0 || f.roles != nil || o.roles != nil || !b.plan.sets[f.set].in(&b.plan.sets[o.set]) {
				continue
			}
			for role := int16(everybody); int(role) < len(b.classes); role++ {
				entered, ok := b.vars[key{isStep, int16(j), role, 0}]
				fresh, told := b.vars[key{isLifecycle, int16(l), role, lifeNew}]
				if was, all := m.popBefore(b, &f, role), m.popBefore(b, &o, role); ok && told && was != audit.None && all != audit.None {
					// Who took the step in the block before does not enter.
					m.atMost(audit.Term{Var: entered, Factor: 1}, audit.Term{Var: was, Factor: 1},
						audit.Term{Var: all, Factor: -1}, audit.Term{Var: b.vars[key{isLifecycle, int16(l), role, lifeGained}], Factor: -1})
				}
				if ok && told {
					m.atMost(audit.Term{Var: fresh, Factor: 1}, audit.Term{Var: entered, Factor: -1},
						audit.Term{Var: b.vars[key{isSet, int16(o.set), role, 0}], Factor: -1}, audit.Term{Var: b.vars[key{isSet, int16(f.set), role, 0}], Factor: 1})
				}
			}
		}
	}
}
