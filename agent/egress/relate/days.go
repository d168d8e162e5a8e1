package relate

import (
	"slices"

	"github.com/fieldpost/fieldpost/agent/egress/audit"
	"github.com/fieldpost/fieldpost/protocol/catalog"
)

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
	m.oneDay(b)
	if b.plan.bound(i) {
		m.personWeeks(b)
	}
}

// personWeeks relates the weeks, the days and the habits of the same people at once, whichever is entered last. Somebody who
// came on 8 days was there in two weeks at least, who came on 21 or has a habit in three; of three weeks somebody misses
// at most one in which others saw them. All of it follows from weekCounts, but not for one interval at a time.
func (m *Model) personWeeks(b *block) {
	var days [][6]audit.Var
	var habits []audit.Var
	whole := -1 // of days, those of everybody
	for i := range b.plan.places {
		if !b.kinds[i] || !b.plan.bound(i) {
			continue
		}
		if _, ok := b.vars[key{isDays, int16(i), everybody, 0}]; ok {
			var bins [6]audit.Var
			for n := range bins {
				bins[n] = b.vars[key{isDays, int16(i), everybody, int16(n)}]
			}
			if o := &b.plan.places[i]; o.set == b.plan.root && o.roles == nil {
				whole = len(days)
			}
			days = append(days, bins)
		}
		for f := range b.plan.cat.Measures[i].Features {
			if v, ok := b.vars[key{isFeature, int16(i), everybody, int16(3*f + 2)}]; ok {
				habits = append(habits, v)
			}
		}
	}
	root := b.vars[key{isSet, int16(b.plan.root), everybody, 0}]
	for mask := 1; mask < 16; mask++ {
		var weeks, some []audit.Term
		for i, w := range b.weekVars() {
			if mask>>i&1 == 1 {
				weeks, some = append(weeks, audit.Term{Var: w, Factor: -1}), append(some, audit.Term{Var: w, Factor: 1})
			}
		}
		n := len(weeks)
		if n < 2 {
			continue
		}
		if n == 4 { // the first week in which somebody came counts for the block
			weeks = append(weeks, audit.Term{Var: root, Factor: 1})
		}
		atLeast := func(of ...audit.Term) { m.atMost(append(slices.Clone(weeks), of...)...) }
		for _, h := range habits {
			atLeast(audit.Term{Var: h, Factor: int32(min(n, 3) - 1)})
		}
		for d, bins := range days {
			if n == 2 {
				atLeast(audit.Term{Var: bins[5], Factor: 1})
			} else {
				atLeast(audit.Term{Var: bins[3], Factor: 1}, audit.Term{Var: bins[4], Factor: 1}, audit.Term{Var: bins[5], Factor: 2})
			}
			for _, h := range habits {
				if n > 2 {
					atLeast(audit.Term{Var: h, Factor: 1}, audit.Term{Var: bins[3], Factor: 1}, audit.Term{Var: bins[4], Factor: 1}, audit.Term{Var: bins[5], Factor: 1})
				}
			}
			if d == whole {
				some := append(slices.Clone(some), audit.Term{Var: root, Factor: -int32(n)}, audit.Term{Var: bins[0], Factor: int32(n - 1)})
				if n == 4 {
					some = append(some, audit.Term{Var: bins[1], Factor: 1})
				}
				m.atMost(some...)
			}
		}
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
		if b.plan.bound(i) {
			m.weekCounts(b)
			w := func(n int16) audit.Term {
				return audit.Term{Var: b.vars[key{isWeeks, 0, everybody, n}], Factor: -1}
			}
			m.atMost(audit.Term{Var: habitual, Factor: 1}, w(3), w(4))
		}
	}
	m.oneDay(b)
	if b.plan.bound(i) {
		m.personWeeks(b)
	}
}

// oneDay relates adoption with active days of the same people or more, whichever is entered last: who was active on one day has
// not adopted anything.
func (m *Model) oneDay(b *block) {
	for i := range b.plan.places {
		day, told := b.vars[key{isDays, int16(i), everybody, 0}]
		o := &b.plan.places[i]
		if !told {
			continue
		}
		pop, _ := m.population(b, o)
		for j := range b.plan.places {
			a := &b.plan.places[j]
			if a.set < 0 || !b.plan.sets[a.set].in(&b.plan.sets[o.set]) || o.roles != nil && !slices.Equal(o.roles, a.roles) {
				continue
			}
			for f := range b.plan.cat.Measures[j].Features {
				if v, ok := b.vars[key{isFeature, int16(j), everybody, int16(3*f + 1)}]; ok {
					m.atMost(audit.Term{Var: v, Factor: 1}, audit.Term{Var: day, Factor: 1}, audit.Term{Var: pop, Factor: -1})
				}
			}
		}
	}
}
