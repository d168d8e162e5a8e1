package relate

import (
	"github.com/fieldpost/fieldpost/agent/egress/audit"
	"github.com/fieldpost/fieldpost/protocol/catalog"
)

// newCohort enters the people whose first activity lay in twelve weeks, for one measure.
func (m *Model) newCohort(b *block, i int) {
	k := key{isCohort, int16(i), everybody, 0}
	if _, ok := b.vars[k]; ok {
		return
	}
	size := m.add(b, k, leastCell)
	m.part(b.all, size, b.all, leastCell)
	var parts []audit.Var
	for j := range int64(3) {
		if x := m.find(b.start+j*fourWeeks, false); x != nil && x.plan == b.plan {
			parts = append(parts, m.fresh(x, b.plan.places[i].set))
		}
	}
	switch len(parts) {
	case 3:
		m.sum(size, parts...)
		m.bindStates(b, b.plan.places[i].set, never, size, parts)
	default: // of a block of which nothing was told, nothing is known
		for _, v := range parts {
			m.atMost(audit.Term{Var: v, Factor: 1}, audit.Term{Var: size, Factor: -1})
		}
	}
}

// offset enters the cohort's people who were active n whole weeks after their first. Who was first seen in a block was
// then active so many blocks later, or in the one after that.
func (m *Model) offset(b *block, i, n int) audit.Var {
	k := key{isCohort, int16(i), everybody, int16(n)}
	if v, ok := b.vars[k]; ok {
		return v
	}
	v := m.inside(b, k, b.vars[key{isCohort, int16(i), everybody, 0}], b.all)
	set := b.plan.places[i].set
	var parts []audit.Var
	for j := range int64(3) {
		a := m.same(v)
		parts = append(parts, a)
		x := m.find(b.start+j*fourWeeks, false)
		if x == nil || x.plan != b.plan {
			continue
		}
		m.atMost(audit.Term{Var: a, Factor: 1}, audit.Term{Var: m.fresh(x, set), Factor: -1})
		if n < 4 { // in the very block, or in the next: any of them may have been
			continue
		}
		terms := []audit.Term{{Var: a, Factor: 1}}
		blocks := 1 + min(n%4, 1)
		for later := range blocks {
			if y := m.find(x.start+int64(n/4+later)*fourWeeks, false); y != nil && y.plan == b.plan {
				terms = append(terms, audit.Term{Var: m.stayed(y, set, n/4+later), Factor: -1})
			}
		}
		if len(terms) == 1+blocks {
			m.atMost(terms...)
		}
	}
	m.sum(v, parts...)
	m.bindStates(b, set, n, v, parts)
	return v
}

const never = -1

// bindStates relates a cohort's people, or those who were active n weeks after their first, with what a lifecycle says of
// them block by block: who was first seen later is absent, then new, then retained or dormant, and so on. For people of some
// of the three blocks together all states they cannot be in leave them room. It follows from the numbers of
// each block, but not for one interval at a time.
func (m *Model) bindStates(b *block, set, n int, whole audit.Var, parts []audit.Var) {
	for _, x := range m.blocks {
		i := int((x.start - b.start) / fourWeeks)
		life, ok := m.lifeOf(x, set)
		if x.cohort || x.plan != b.plan || i < 0 || i > 3+max(n, 0)/4 || !ok {
			continue
		}
		for some := 1; some < 8; some++ { // of the three blocks
			free := [5]bool{true, true, true, true, true}
			var terms []audit.Term
			for j, v := range parts {
				if some>>j&1 == 1 {
					for _, s := range statesOf(j, i, n) {
						free[s] = false
					}
					terms = append(terms, audit.Term{Var: v, Factor: 1})
				}
			}
			if some == 7 {
				terms = []audit.Term{{Var: whole, Factor: 1}}
			}
			any := false
			for s, ok := range free {
				if ok {
					any = true
					terms = append(terms, audit.Term{Var: life[s], Factor: 1})
				}
			}
			if any {
				m.atMost(append(terms, audit.Term{Var: x.all, Factor: -1})...)
			}
		}
	}
}

// statesOf is what somebody first seen in block j, and active n whole weeks later, can be in block i.
func statesOf(j, i, n int) []int {
	switch back := i - j; {
	case back < 0:
		return []int{lifeAbsent}
	case back == 0:
		return []int{lifeNew}
	case n > 3 && n%4 == 0 && back == n/4 && back == 1:
		return []int{lifeRetained}
	case n > 3 && n%4 == 0 && back == n/4:
		return []int{lifeRetained, lifeResurrected}
	case back == 1 || n > 3 && n%4 == 0 && back == n/4+1:
		return []int{lifeRetained, lifeDormant}
	}
	return []int{lifeRetained, lifeResurrected, lifeDormant, lifeAbsent}
}

// fresh is the people of a set who were first seen in a block: the new ones of its lifecycle, where there is one.
func (m *Model) fresh(b *block, set int) audit.Var {
	k := key{isFirst, int16(set), everybody, 0}
	if v, ok := b.vars[k]; ok {
		return v
	}
	if life, ok := m.lifeOf(b, set); ok {
		b.vars[k] = life[lifeNew]
		return life[lifeNew]
	}
	v := m.same(b.all)
	b.vars[k] = v
	m.atMost(audit.Term{Var: v, Factor: 1}, audit.Term{Var: b.vars[key{isSet, int16(set), everybody, 0}], Factor: -1})
	for _, o := range m.blocks { // who was seen before is not new
		if seen, ok := o.vars[key{isSet, int16(set), everybody, 0}]; ok && o.plan == b.plan && o.start < b.start && cohortStart(o.start) == cohortStart(b.start) {
			m.atMost(audit.Term{Var: v, Factor: 1}, audit.Term{Var: seen, Factor: 1}, audit.Term{Var: b.all, Factor: -1})
		}
	}
	return v
}

// stayed is the people of a set who were first seen so many blocks before and are active in this one. People of one
// block are not those of another.
func (m *Model) stayed(b *block, set, blocks int) audit.Var {
	k := key{isFirst, int16(set), everybody, int16(blocks)}
	if v, ok := b.vars[k]; ok {
		return v
	}
	x := m.find(b.start-int64(blocks)*fourWeeks, false)
	v := m.same(x.all)
	b.vars[k] = v
	m.atMost(audit.Term{Var: v, Factor: 1}, audit.Term{Var: m.fresh(x, set), Factor: -1})
	if life, ok := m.lifeOf(b, set); ok && blocks == 1 {
		m.atMost(audit.Term{Var: v, Factor: 1}, audit.Term{Var: life[lifeRetained], Factor: -1})
	}
	terms := []audit.Term{{Var: b.vars[key{isSet, int16(set), everybody, 0}], Factor: -1}, {Var: m.fresh(b, set), Factor: 1}}
	for n := int16(1); n <= kept/fourWeeks; n++ {
		if o, ok := b.vars[key{isFirst, int16(set), everybody, n}]; ok {
			terms = append(terms, audit.Term{Var: o, Factor: 1})
		}
	}
	m.atMost(terms...)
	return v
}

// lifeOf is the numbers of a lifecycle of a set's people, if one was entered.
func (m *Model) lifeOf(b *block, set int) (all [6]audit.Var, ok bool) {
	for i := range b.plan.places {
		if o := &b.plan.places[i]; o.set != set || o.roles != nil || b.plan.cat.Measures[i].Kind != catalog.Lifecycle {
			continue
		}
		for n := range all {
			if all[n], ok = b.vars[key{isLifecycle, int16(i), everybody, int16(n)}]; !ok {
				break
			}
		}
		if ok {
			return all, true
		}
	}
	return all, false
}

// joinCohorts relates a lifecycle with cohorts of the same people that were entered before it.
func (m *Model) joinCohorts(b *block, set int, life [6]audit.Var) {
	if v, ok := b.vars[key{isFirst, int16(set), everybody, 0}]; ok {
		m.sum(v, life[lifeNew])
	}
	if v, ok := b.vars[key{isFirst, int16(set), everybody, 1}]; ok {
		m.atMost(audit.Term{Var: v, Factor: 1}, audit.Term{Var: life[lifeRetained], Factor: -1})
	}
}
