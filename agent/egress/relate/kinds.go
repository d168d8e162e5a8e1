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
	top := int64(0)
	for _, g := range groups {
		top += m.worlds[0].Public(g).Hi
	}
	group = m.number(top, top)
	m.sum(group, groups...)
	v = m.number(top, top)
	m.protect(v, group, leastCell)
	m.sum(v, parts...)
	return v, group
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

// weeksOfDays are the numbers of weeks in which people with so many active days were active.
var weeksOfDays = [6][]int{{1}, {1, 2, 3}, {1, 2, 3, 4}, {2, 3, 4}, {2, 3, 4}, {3, 4}}

func (m *Model) addDays(b *block, i int, pop, group audit.Var) {
	var bins [6]audit.Var
	byWeeks := [5][]audit.Var{}
	weekly := b.plan.weeks && b.vars[key{isSet, int16(b.plan.root), everybody, 0}] == pop
	if weekly {
		m.weekCounts(b)
	}
	for n := range bins {
		bins[n] = m.inside(b, key{isDays, int16(i), everybody, int16(n)}, pop, group)
		if !weekly {
			continue
		}
		var parts []audit.Var
		for _, w := range weeksOfDays[n] {
			v := m.same(pop)
			parts, byWeeks[w] = append(parts, v), append(byWeeks[w], v)
		}
		m.sum(bins[n], parts...)
	}
	m.sum(pop, bins[:]...)
	if weekly {
		m.ring(append(bins[:], pop)...)
	}
	for w, parts := range byWeeks {
		if len(parts) > 0 {
			m.sum(b.vars[key{isWeeks, 0, everybody, int16(w)}], parts...)
		}
	}
	m.oneDay(b, &b.plan.places[i], pop)
	if weekly {
		m.personWeeks(b)
	}
}

// personWeeks relates the weeks, the days and the habits of the same people at once, whichever is entered last. Somebody who
// came on 8 days was there in two weeks at least, who came on 21 or has a habit in three; of three weeks somebody misses
// at most one in which others saw them. All of it follows from weekCounts, but not for one interval at a time.
func (m *Model) personWeeks(b *block) {
	root := key{isSet, int16(b.plan.root), everybody, 0}
	var days [6]audit.Var
	var habits []audit.Var
	found := false
	for i := range b.plan.places {
		if o := &b.plan.places[i]; !b.kinds[i] || o.set != b.plan.root || o.roles != nil {
			continue
		}
		for n := range days {
			if v, ok := b.vars[key{isDays, int16(i), everybody, int16(n)}]; ok {
				days[n], found = v, true
			}
		}
		for f := range b.plan.cat.Measures[i].Features {
			if v, ok := b.vars[key{isFeature, int16(i), everybody, int16(3*f + 2)}]; ok {
				habits = append(habits, v)
			}
		}
	}
	for mask := 1; mask < 16; mask++ {
		var weeks, some []audit.Term
		for i, w := range b.weekVars() {
			if mask>>i&1 == 1 {
				weeks, some = append(weeks, audit.Term{Var: w, Factor: -1}), append(some, audit.Term{Var: w, Factor: 1})
			}
		}
		n := len(weeks)
		if n == 4 { // the first week in which somebody came counts for the block
			weeks = append(weeks, audit.Term{Var: b.vars[root], Factor: 1})
		}
		atLeast := func(of ...audit.Term) { m.atMost(append(slices.Clone(weeks), of...)...) }
		for _, h := range habits {
			if n > 1 {
				atLeast(audit.Term{Var: h, Factor: int32(min(n, 3) - 1)})
			}
			if n > 2 && found {
				atLeast(audit.Term{Var: h, Factor: 1}, audit.Term{Var: days[3], Factor: 1}, audit.Term{Var: days[4], Factor: 1}, audit.Term{Var: days[5], Factor: 1})
			}
		}
		if n < 2 || !found {
			continue
		}
		if n == 2 {
			atLeast(audit.Term{Var: days[5], Factor: 1})
		} else {
			atLeast(audit.Term{Var: days[3], Factor: 1}, audit.Term{Var: days[4], Factor: 1}, audit.Term{Var: days[5], Factor: 2})
		}
		some = append(some, audit.Term{Var: b.vars[root], Factor: -int32(n)}, audit.Term{Var: days[0], Factor: int32(n - 1)})
		if n == 4 {
			some = append(some, audit.Term{Var: days[1], Factor: 1})
		}
		m.atMost(some...)
	}
}

func (m *Model) addAdoption(b *block, i int, ms *catalog.Measure, pop, group audit.Var) {
	at := &b.plan.places[i]
	b.vars[key{isFeature, int16(i), everybody, -1}] = pop
	for f, s := range at.features {
		if s < 0 {
			continue
		}
		k := func(n int) key { return key{isFeature, int16(i), everybody, int16(3*f + n)} }
		feature := place{set: s, roles: at.roles}
		tried, _ := m.population(b, &feature)
		if tried == audit.None {
			continue
		}
		b.vars[k(0)] = tried
		m.part(pop, tried, group, leastCell)
		adopted := m.inside(b, k(1), tried, group)
		m.part(pop, adopted, group, leastCell)
		if ms.Uses > 3 { // three weeks of use need not be adoption: no ladder
			continue
		}
		habitual := m.inside(b, k(2), adopted, group)
		m.part(pop, habitual, group, leastCell)
		if b.plan.weeks && at.set == b.plan.root {
			m.weekCounts(b)
			w := func(n int16) audit.Term {
				return audit.Term{Var: b.vars[key{isWeeks, 0, everybody, n}], Factor: -1}
			}
			m.atMost(audit.Term{Var: habitual, Factor: 1}, w(3), w(4))
		}
	}
	m.oneDay(b, at, pop)
	if b.plan.weeks && at.set == b.plan.root && at.roles == nil {
		m.personWeeks(b)
	}
}

// oneDay relates adoption with active days of the same people, whichever is entered last: who was active on one day
// has not adopted anything.
func (m *Model) oneDay(b *block, at *place, pop audit.Var) {
	var day audit.Var = audit.None
	var adopted []audit.Var
	for i := range b.plan.places {
		if o := &b.plan.places[i]; !b.kinds[i] || o.set != at.set || !slices.Equal(o.roles, at.roles) {
			continue
		}
		if v, ok := b.vars[key{isDays, int16(i), everybody, 0}]; ok {
			day = v
		}
		for f := range b.plan.cat.Measures[i].Features {
			if v, ok := b.vars[key{isFeature, int16(i), everybody, int16(3*f + 1)}]; ok {
				adopted = append(adopted, v)
			}
		}
	}
	for _, v := range adopted {
		if day != audit.None {
			m.atMost(audit.Term{Var: v, Factor: 1}, audit.Term{Var: day, Factor: 1}, audit.Term{Var: pop, Factor: -1})
		}
	}
}

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
