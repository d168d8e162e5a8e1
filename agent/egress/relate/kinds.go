package relate

import (
	"slices"

	"github.com/fieldpost/fieldpost/agent/egress/audit"
	"github.com/fieldpost/fieldpost/protocol/catalog"
)

// Positions of a lifecycle's numbers: those of catalog.Measure.Fields, then what never leaves.
const (
	lifeNew = iota
	lifeRetained
	lifeResurrected
	lifeDormant
	lifeAbsent
	lifeGained
)

// population is the number a measure's figures are parts of, and the group it is out of; None when it has none.
func (m *Model) population(b *block, at *place) (v, group audit.Var) {
	if at.set < 0 {
		return audit.None, audit.None
	}
	if at.roles == nil {
		return b.vars[key{isSet, int16(at.set), everybody, 0}], b.all
	}
	if b.classes == nil {
		return audit.None, audit.None
	}
	var parts, groups []audit.Var
	left := slices.Clone(at.roles)
	for r, c := range b.classes {
		if !slices.ContainsFunc(c.values, func(x uint16) bool { return slices.Contains(at.roles, x) }) {
			continue
		}
		for _, x := range c.values {
			if i := slices.Index(left, x); i >= 0 {
				left = slices.Delete(left, i, i+1)
			} else if b.sizes.Roles[x] > 0 { // merged with a value that does not count
				return audit.None, audit.None
			}
		}
		parts = append(parts, b.vars[key{isSet, int16(at.set), int16(r), 0}])
		groups = append(groups, b.group[r])
	}
	switch len(parts) {
	case 0:
		return audit.None, audit.None
	case 1:
		return parts[0], groups[0]
	}
	// Filters that leave the same people are one number, and what the others are is one too.
	var classes uint64
	for r := range b.classes {
		if slices.Contains(parts, b.vars[key{isSet, int16(at.set), int16(r), 0}]) {
			classes |= 1 << r
		}
	}
	if len(parts) == len(b.classes) {
		return b.vars[key{isSet, int16(at.set), everybody, 0}], b.all
	}
	if f, ok := b.filters[filter{at.set, classes}]; ok {
		return f[0], f[1]
	}
	size := func(world int) (n int64) {
		for _, g := range groups {
			n += m.worlds[world].Public(g).Hi
		}
		return n
	}
	group = m.constant(size(0), size(len(m.worlds)-1))
	v = m.same(group)
	m.protect(v, group, leastCell)
	m.part(group, v, group, leastCell)
	m.sum(v, parts...)
	others := []audit.Term{{Var: b.vars[key{isSet, int16(at.set), everybody, 0}], Factor: -1}, {Var: v, Factor: 1}}
	for r := range b.classes {
		if classes>>r&1 == 0 {
			others = append(others, audit.Term{Var: b.vars[key{isSet, int16(at.set), int16(r), 0}], Factor: 1})
		}
	}
	m.each(func(s *audit.System) { s.Equal(others...) })
	m.ring(append(slices.Clone(parts), v)...)
	b.filters[filter{at.set, classes}] = [2]audit.Var{v, group}
	return v, group
}

// filter is the people of a set that have one of several classes of the trait.
type filter struct {
	set     int
	classes uint64
}

// addKind enters the numbers of one measure in a block of four weeks.
func (m *Model) addKind(b *block, i int, ms *catalog.Measure) {
	at := &b.plan.places[i]
	pop, group := m.population(b, at)
	if pop == audit.None {
		return
	}
	switch ms.Kind {
	case catalog.ActiveUsers:
		if at.roles != nil {
			b.vars[key{isFiltered, int16(i), everybody, 0}] = pop
		}
	case catalog.Lifecycle:
		m.addLifecycle(b, i, pop, group)
		m.newEnter(b, at)
	case catalog.Stickiness:
		m.addDays(b, i, pop, group)
	case catalog.Seats:
		peak := m.inside(b, key{isPeak, int16(i), everybody, 0}, pop, group)
		if at.set == b.plan.root && at.roles == nil {
			m.each(func(s *audit.System) { s.AtMostOne(peak, b.weekVars()...) })
		}
	case catalog.Adoption:
		m.addAdoption(b, i, ms, pop, group)
	case catalog.Funnel:
		m.addFunnel(b, i, ms, pop, group)
		m.enterFirst(b, i, at)
		m.newEnter(b, at)
	}
}

func (b *block) weekVars() (out []audit.Var) {
	for n := range int16(4) {
		out = append(out, b.vars[key{isWeek, 0, everybody, n}])
	}
	return out
}

// inside adds a protected part of a population.
func (m *Model) inside(b *block, k key, whole, group audit.Var) audit.Var {
	v := m.same(whole)
	m.protect(v, group, leastCell)
	m.part(whole, v, group, leastCell)
	m.part(group, v, group, leastCell)
	b.vars[k] = v
	return v
}

// same adds a number that can be as large as another.
func (m *Model) same(as audit.Var) (v audit.Var) {
	for _, w := range m.worlds {
		v = w.Number(0, w.Public(as).Hi)
	}
	return v
}

// before is the block of four weeks before, if anything could be told of it.
func (m *Model) before(b *block) *block { return m.find(b.start-fourWeeks, false) }

func (m *Model) addLifecycle(b *block, i int, pop, group audit.Var) {
	at := &b.plan.places[i]
	total := m.life(b, i, everybody, pop, m.popBefore(b, at, everybody), group)
	if at.roles != nil || !b.plan.sets[at.set].byTrait { // told by the trait or not, what is told of the set's roles bounds it
		return
	}
	for n := range total {
		var parts []audit.Var
		for r := range b.classes {
			if n == 0 {
				m.life(b, i, int16(r), b.vars[key{isSet, int16(at.set), int16(r), 0}], m.popBefore(b, at, int16(r)), b.group[r])
			}
			parts = append(parts, b.vars[key{isLifecycle, int16(i), int16(r), int16(n)}])
		}
		if len(parts) > 0 {
			m.sum(total[n], parts...)
		}
	}
}

// popBefore is the same population four weeks before; None when it is not the same there.
func (m *Model) popBefore(b *block, at *place, role int16) audit.Var {
	prev := m.before(b)
	if prev == nil || at.roles != nil {
		return audit.None
	}
	same := slices.IndexFunc(prev.plan.sets, func(s set) bool { return s.key == b.plan.sets[at.set].key })
	if same < 0 || role != everybody && !slices.EqualFunc(prev.classes, b.classes, func(x, y class) bool { return slices.Equal(x.values, y.values) }) {
		return audit.None
	}
	if v, ok := prev.vars[key{isSet, int16(same), role, 0}]; ok {
		return v
	}
	return audit.None
}

// life relates who came, stayed and left between two blocks. Everybody is new, back, retained, dormant or absent.
func (m *Model) life(b *block, i int, role int16, now, before, group audit.Var) (all [6]audit.Var) {
	universe := group
	if before == audit.None {
		before = m.same(group)
	} else if prev := m.before(b); prev != nil {
		universe = m.larger(group, prev.groupOf(role))
	}
	for n := range all {
		v := m.same(universe)
		m.protect(v, universe, leastCell)
		b.vars[key{isLifecycle, int16(i), role, int16(n)}] = v
		all[n] = v
	}
	m.ring(append(all[:], now, before)...)
	m.sum(all[lifeGained], all[lifeNew], all[lifeResurrected])
	m.sum(now, all[lifeGained], all[lifeRetained])
	m.sum(before, all[lifeRetained], all[lifeDormant])
	m.sum(universe, now, all[lifeDormant], all[lifeAbsent])
	m.sum(universe, before, all[lifeGained], all[lifeAbsent])
	m.sum(universe, all[lifeGained], all[lifeRetained], all[lifeDormant], all[lifeAbsent])
	if prev := m.before(b); prev != nil && prev.plan == b.plan {
		if away, ok := prev.vars[key{isLifecycle, int16(i), role, lifeAbsent}]; ok { // who is new was absent before
			m.atMost(audit.Term{Var: all[lifeNew], Factor: 1}, audit.Term{Var: away, Factor: -1})
		}
	}
	m.atMostOnce(b, key{isLifecycle, int16(i), role, lifeNew}, group)
	if role == everybody && b.plan.places[i].roles == nil {
		m.joinCohorts(b, b.plan.places[i].set, all)
	}
	return all
}

// larger is a constant as large as the larger of two groups.
func (m *Model) larger(x, y audit.Var) audit.Var {
	n := max(m.worlds[0].Public(x).Hi, m.worlds[0].Public(y).Hi)
	f := n
	if len(m.worlds) > 1 {
		f = max(m.worlds[1].Public(x).Hi, m.worlds[1].Public(y).Hi)
	}
	return m.constant(n, f)
}

// atMostOnce says that nobody is counted under k in two blocks of the same twelve weeks. Those left for the blocks to
// come are protected now: a later count can be no larger.
func (m *Model) atMostOnce(b *block, k key, group audit.Var) {
	parts := []audit.Var{b.vars[k]}
	for _, o := range m.blocks {
		if !o.cohort && o.plan == b.plan && o != b && cohortStart(o.start) == cohortStart(b.start) {
			if v, ok := o.vars[k]; ok {
				parts = append(parts, v)
			}
		}
	}
	if len(parts) > 1 {
		left := m.same(group)
		m.protect(left, group, leastCell)
		m.sum(group, append(parts, left)...)
	}
}
