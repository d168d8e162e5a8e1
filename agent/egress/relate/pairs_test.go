package relate

import "math/bits"

// pairStructures are sites of which two measures tell about the same people, or some of them.
func pairStructures() []structure {
	set := func(k key, role int, in bool) (bool, bool) { return in && ofRole(k, role), k.what != isWeek }
	return []structure{
		{name: "a filter that leaves all roles", roles: []int{3, 2}, types: 2, blocks: 1,
			measures: `id: people, kind: active_users, events: [a], by: [role]; id: some, kind: active_users, events: [a], where_user: {role: [member, manager]}`,
			counts: func(p *Plan, _ int, k key, role, typ int) (bool, bool) {
				return set(k, role, typ == 1)
			}},
		{name: "two funnels with one entry", roles: []int{3, 0}, types: 4, blocks: 1,
			measures: `id: people, kind: active_users, events: [a, b, c]; id: f, kind: funnel, window: 14d, steps: [{id: x, event: a}, {id: y, event: b}]; id: g, kind: funnel, window: 14d, steps: [{id: x, event: a}, {id: y, event: c}]`,
			counts: func(p *Plan, _ int, k key, role, typ int) (bool, bool) {
				return typ > 0, k.what == isStep && k.n == 0
			}},
		{name: "two lifecycles, nested", roles: []int{3, 0}, types: 81, blocks: 2,
			measures: `id: people, kind: active_users, events: [a, b]; id: flow, kind: lifecycle, events: [a, b]; id: sub, kind: lifecycle, events: [a]`,
			counts: func(p *Plan, block int, k key, role, typ int) (bool, bool) {
				// per block: 0 none, 1 only b, 2 a; what was before: 0 none 1 only b 2 a
				at := []int{typ % 3, typ / 3 % 3}
				old := typ / 9 % 3
				need := 1
				sub := false
				if k.what == isSet {
					if int(k.of) != p.root {
						need = 2
					}
					return at[block] >= need, true
				}
				if k.what != isLifecycle || block == 0 {
					return false, false
				}
				_, si := p.cat.Measure("sub")
				if sub = int(k.of) == si; sub {
					need = 2
				}
				now, before := at[1] >= need, at[0] >= need
				first := now && old < need && !before
				return []bool{first, now && before, now && !before && !first, before && !now, !now && !before, now && !before}[k.n], true
			}},
		{name: "features within one another", roles: []int{3, 0}, types: 10, blocks: 1,
			measures: `id: people, kind: active_users, events: [a, b, c]; id: used, kind: adoption, events: [a, b, c], features: {x: {events: [a, b]}, y: {events: [a]}}`,
			counts: func(p *Plan, _ int, k key, role, typ int) (bool, bool) {
				types := [][2]int{{0, 0}, {1, 0}, {1, 1}, {2, 0}, {2, 1}, {2, 2}, {3, 0}, {3, 1}, {3, 2}, {3, 3}}
				switch {
				case k.what == isFeature && k.n >= 0:
					return types[typ][k.n/3] > int(k.n%3), true
				}
				return false, false
			}},
	}
}

// funnelPairs are funnels beside other measures of the people who take their first step.
func funnelPairs() []structure {
	return []structure{
		{name: "a lifecycle and a funnel of its events", roles: []int{3, 0}, types: 8, blocks: 2,
			measures: `id: people, kind: active_users, events: [a]; id: flow, kind: lifecycle, events: [a]; id: f, kind: funnel, window: 14d, steps: [{id: x, event: a}, {id: y, event: b}]`,
			counts: func(p *Plan, block int, k key, role, typ int) (bool, bool) {
				at := []bool{typ&1 == 1, typ&2 == 2}
				old := typ&4 == 4
				if k.what == isStep && k.n == 0 {
					return at[block] && !old && (block == 0 || !at[0]), true
				}
				if k.what == isLifecycle && block == 1 && k.n == lifeNew {
					return at[1] && !at[0] && !old, true
				}
				if k.what == isSet && int(k.of) == p.root {
					return at[block], true
				}
				return false, false
			}},
		{name: "a funnel within a lifecycle, by role", roles: []int{2, 2}, types: 27, blocks: 2,
			measures: `id: people, kind: active_users, events: [a, b], by: [role]; id: flow, kind: lifecycle, events: [a, b]; id: f, kind: funnel, split: role, window: 14d, steps: [{id: x, event: a}, {id: y, event: b}]`,
			counts: func(p *Plan, block int, k key, role, typ int) (bool, bool) {
				at, old := []int{typ % 3, typ / 3 % 3}, typ/9
				switch {
				case k.what == isStep && k.n == 0 && block == 1:
					return at[1] == 2 && at[0] < 2 && old < 2 && ofRole(k, role), true
				case k.what == isSet && int(k.of) == p.root:
					return at[block] > 0 && ofRole(k, role), true
				case k.what == isSet:
					return at[block] > 1 && ofRole(k, role), true
				case k.what != isLifecycle || block == 0:
					return false, false
				}
				now, before := at[1] > 0, at[0] > 0
				first := now && old == 0 && !before
				return []bool{first, now && before, now && !before && !first, before && !now, !now && !before, now && !before}[k.n] && ofRole(k, role), true
			}},
		{name: "a funnel over three blocks", roles: []int{2, 2}, types: 16, blocks: 3,
			measures: `id: as, kind: active_users, events: [a]; id: f, kind: funnel, split: role, window: 14d, steps: [{id: x, event: a}, {id: y, event: b}]`,
			counts: func(p *Plan, block int, k key, role, typ int) (bool, bool) {
				switch {
				case k.what == isStep && k.n == 0:
					return typ>>block&1 == 1 && typ&(1<<block-1) == 0 && typ&8 == 0 && ofRole(k, role), true
				case k.what == isSet && int(k.of) == p.root:
					return typ>>block&1 == 1 && ofRole(k, role), true
				}
				return false, false
			}},
	}
}

// dayPairs are days and habits of some of the people whose weeks or days are told.
func dayPairs() []structure {
	return []structure{
		{name: "days of all and habits of some", roles: []int{2, 0}, types: len(habits(true)), blocks: 1,
			measures: `id: people, kind: active_users, events: [a, b]; id: sticky, kind: stickiness, events: [a, b]; id: used, kind: adoption, events: [a], features: {x: {events: [a]}}`,
			counts: func(p *Plan, _ int, k key, _, typ int) (bool, bool) {
				if k.what == isFeature && k.n < 0 {
					return habits(true)[typ].use > 0, true
				}
				return habitCounts(p, k, habits(true)[typ])
			}},
		{name: "weeks of all and habits of some", roles: []int{3, 0}, types: 16 * 4, blocks: 1,
			measures: `id: people, kind: active_users, events: [a, b]; id: used, kind: adoption, events: [a], features: {x: {events: [a]}}`,
			counts: func(p *Plan, _ int, k key, _, typ int) (bool, bool) {
				h := habit{weeks: typ % 16, use: typ / 16}
				if h.weeks == 0 || h.use == 3 && bits.OnesCount(uint(h.weeks)) < 3 {
					h = habit{}
				}
				if k.what == isFeature && k.n < 0 {
					return h.use > 0, true
				}
				return habitCounts(p, k, h)
			}},
		{name: "weeks of all and days of some", roles: []int{2, 0}, types: 16 * 7, blocks: 1,
			measures: `id: people, kind: active_users, events: [a, b]; id: sticky, kind: stickiness, events: [a]`,
			counts: func(p *Plan, _ int, k key, _, typ int) (bool, bool) {
				h := habit{weeks: typ % 16, bin: typ/16 - 1}
				if h.bin >= 0 && bits.OnesCount(uint(h.weeks)) < []int{1, 1, 1, 2, 2, 3}[h.bin] {
					h = habit{0, -1, 0}
				}
				if k.what == isSet && int(k.of) != p.root {
					return h.bin >= 0, true
				}
				return habitCounts(p, k, h)
			}},
	}
}
