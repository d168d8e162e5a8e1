package relate

import "slices"

// laterStructures are those whose people are looked at over more than a block, or at hours.
func laterStructures() []structure {
	return []structure{
		{name: "a cohort beside a lifecycle", roles: []int{3, 0}, types: len(cohortTypes(4)), blocks: cohortBlocks, offsets: []int{4}, loose: 2,
			measures: `id: people, kind: active_users, events: [a]; id: flow, kind: lifecycle, events: [a]; id: kept, kind: retention, events: [a]`,
			counts:   cohortCounts(4)},
		{name: "a cohort alone", roles: []int{3, 0}, types: len(cohortTypes(4)), blocks: cohortBlocks, offsets: []int{4},
			measures: `id: people, kind: active_users, events: [a]; id: kept, kind: retention, events: [a]`,
			counts:   cohortCounts(4)},
		{name: "the peak of seats", roles: []int{3, 0}, types: 4 * 32, variants: 4, blocks: 1,
			measures: `id: people, kind: active_users, events: [a]; id: used, kind: seats, purchased: seats, events: [a]`,
			counts:   peakCounts},
		{name: "people of one role", roles: []int{2, 2}, types: 16, blocks: 2,
			measures: `id: people, kind: active_users, events: [a], by: [role]; id: members, kind: active_users, events: [a], where_user: {role: member};
				id: flow, kind: lifecycle, events: [a]`,
			counts: filteredCounts},
	}
}

// cohortBlocks are the three of a cohort and one after them.
const cohortBlocks = 4

// cohortType is somebody over the blocks of a cohort and the one after it.
type cohortType struct {
	blocks int // bit b: active in block b
	first  int // week of the cohort in which somebody was active for the first time; -1: not in the cohort
	kept   int // bit i: active that many whole weeks after the first
}

// cohortTypes are all that people can be as to a cohort and its people after so many weeks. In every block there are weeks of
// which no figure tells.
func cohortTypes(offsets ...int) (out []cohortType) {
	whole := len(offsets) == 1 && offsets[0]%4 == 0 // then which week of a block the first was says nothing
	for blocks := range 1 << cohortBlocks {
		out = append(out, cohortType{blocks, -1, 0}) // known before, or never seen in the cohort's blocks
		for week := range 12 {
			home := week / 4
			if blocks&(1<<(home+1)-1) != 1<<home || whole && week%4 != 0 {
				continue
			}
		kept:
			for kept := range 1 << len(offsets) {
				for i, n := range offsets {
					if kept>>i&1 == 1 && blocks>>((week+n)/4)&1 == 0 {
						continue kept
					}
				}
				out = append(out, cohortType{blocks, week, kept})
			}
		}
	}
	return out
}

func cohortCounts(offsets ...int) func(p *Plan, block int, k key, role, typ int) (bool, bool) {
	types := cohortTypes(offsets...)
	return func(_ *Plan, block int, k key, _, typ int) (bool, bool) {
		x := types[typ]
		now, before := x.blocks>>block&1 == 1, block > 0 && x.blocks>>(block-1)&1 == 1
		fresh := x.first >= 0 && block == x.first/4
		switch {
		case k.what == isSet:
			return now, true
		case k.what == isCohort && k.n == 0:
			return x.first >= 0, true
		case k.what == isCohort:
			return x.kept>>slices.Index(offsets, int(k.n))&1 == 1, true
		case k.what != isLifecycle || block > 2 || block == 0 && k.n != lifeNew:
			return false, false // nothing is known of the block before the first, nor of who is new after the cohort
		}
		return []bool{fresh, now && before, now && !before && !fresh, before && !now, !now && !before, now && !before}[k.n], true
	}
}

// peakCounts: a variant is the week of the peak, when some of those who came in it were there at once. That it is at least one when
// anybody came tells no more than that somebody did, which may be told; so nought is let through. Of a type bits 0–3
// say in which weeks somebody came, bit 4 that it was at the peak too.
func peakCounts(p *Plan, _ int, k key, _, typ int) (bool, bool) {
	weeks, at, there := typ&15, typ/32, typ>>4&1 == 1
	if there && weeks>>at&1 == 0 {
		weeks, there = 0, false // nobody is at the peak of a week in which they did not come
	}
	switch k.what {
	case isSet:
		return weeks != 0, true
	case isWeek:
		return weeks>>k.n&1 == 1, true
	case isPeak:
		return there, true
	}
	return false, false
}

// filteredCounts: lifecycleCounts, and people under a filter by role.
func filteredCounts(p *Plan, block int, k key, role, typ int) (bool, bool) {
	if k.what == isFiltered {
		return role == 0 && typ>>block&1 == 1, true
	}
	return lifecycleCounts(p, block, k, role, typ)
}
