package relate

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/fieldpost/fieldpost/agent/egress/audit"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// structure is a small site whose people can be enumerated: who is of which role, and of which type each can be.
type structure struct {
	name     string
	measures string
	roles    []int // people by role: member, manager
	types    int
	blocks   int
	counts   func(p *Plan, block int, k key, role, typ int) (counted, known bool)

	offsets  []int // of the cohort of measure "kept", entered after the blocks as another one
	variants int   // people of one world are of types of one variant; 0: one
	loose    int   // so many per mille of the intervals may be wider than what follows (ADR 0009, "What is weaker")
}

const tiny = `
catalog: tiny
version: 1
vendor: Test
events:
  a: {match: a}
  b: {match: b}
  c: {match: c}
traits:
  role: {values: [member, manager]}
group_traits:
  seats: {number: {min: 0, max: 1000}}
measures:
`

func tinyPlan(t *testing.T, measures string) *Plan {
	t.Helper()
	var b strings.Builder
	b.WriteString(tiny)
	for _, m := range strings.Split(strings.TrimSpace(measures), ";") {
		b.WriteString("  - {" + strings.TrimSpace(m) + ", category: usage, question: q, purpose: p, owner: o, retention: 730d}\n")
	}
	c, err := catalog.Parse([]byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	return New(c)
}

// did reports whether the events of a type (bit 0 a, bit 1 b, bit 2 c) make somebody one of the set.
func did(p *Plan, set int, events int) bool {
	for _, s := range p.sets[set].sels {
		if events>>(s.event[0]-'a')&1 == 1 {
			return true
		}
	}
	return false
}

func ofRole(k key, role int) bool { return k.role == everybody || int(k.role) == role }

func plain(name, measures string, roles []int, types, blocks int, counts func(p *Plan, block int, k key, role, typ int) (counted, known bool)) structure {
	return structure{name: name, measures: measures, roles: roles, types: types, blocks: blocks, counts: counts}
}

func structures() []structure {
	return append([]structure{
		plain("a tree of sets by role", `id: people, kind: active_users, events: [a, b, c], by: [role]; id: as, kind: active_users, events: [a];
			id: bcs, kind: active_users, events: [b, c], by: [role]; id: bs, kind: active_users, events: [b]`, []int{3, 2}, 8, 1,
			func(p *Plan, _ int, k key, role, typ int) (bool, bool) {
				return k.what == isSet && ofRole(k, role) && did(p, int(k.of), typ), k.what == isSet
			}),
		plain("a union of two sets by role", `id: people, kind: active_users, events: [a, b], by: [role]; id: as, kind: active_users, events: [a], by: [role]; id: bs, kind: active_users, events: [b]`,
			[]int{3, 3}, 4, 1,
			func(p *Plan, _ int, k key, role, typ int) (bool, bool) {
				return k.what == isSet && ofRole(k, role) && did(p, int(k.of), typ), k.what == isSet
			}),
		plain("lifecycle over three blocks", `id: people, kind: active_users, events: [a]; id: flow, kind: lifecycle, events: [a]`, []int{4, 0}, 16, 3, lifecycleCounts),
		plain("lifecycle by role over two blocks", `id: people, kind: active_users, events: [a], by: [role]; id: flow, kind: lifecycle, events: [a], by: [role]`, []int{3, 2}, 16, 2, lifecycleCounts),
		plain("weeks and days", `id: people, kind: active_users, events: [a, b]; id: sticky, kind: stickiness, events: [a, b]`, []int{3, 0}, len(habits(false)), 1,
			func(p *Plan, _ int, k key, _, typ int) (bool, bool) { return habitCounts(p, k, habits(false)[typ]) }),
		plain("weeks, days and habits", `id: people, kind: active_users, events: [a, b]; id: sticky, kind: stickiness, events: [a, b];
			id: used, kind: adoption, events: [a, b], features: {x: {events: [a]}}`, []int{2, 0}, len(habits(true)), 1,
			func(p *Plan, _ int, k key, _, typ int) (bool, bool) { return habitCounts(p, k, habits(true)[typ]) }),
		plain("weeks and a lifecycle by role", `id: people, kind: active_users, events: [a], by: [role]; id: flow, kind: lifecycle, events: [a], by: [role]`, []int{2, 1}, 64, 2,
			func(p *Plan, block int, k key, role, typ int) (bool, bool) {
				weeks, here := typ&15, 0
				if weeks != 0 {
					here = 2
				}
				switch {
				case k.what == isWeek && block == 1:
					return weeks>>k.n&1 == 1, true
				case k.what == isWeek:
					return false, false
				}
				return lifecycleCounts(p, block, k, role, typ>>4&1|here|typ>>5&1<<3)
			}),
		plain("a tree of three levels by three answers", `id: people, kind: active_users, events: [a, b, c]; id: abs, kind: active_users, events: [a, b], by: [role];
			id: as, kind: active_users, events: [a]; id: bs, kind: active_users, events: [b], by: [role]; id: cs, kind: active_users, events: [c]`, []int{3, 2}, 8, 1,
			func(p *Plan, _ int, k key, role, typ int) (bool, bool) {
				return k.what == isSet && ofRole(k, role) && did(p, int(k.of), typ), k.what == isSet
			}),
		plain("a funnel split by role", `id: people, kind: active_users, events: [a, b, c]; id: path, kind: funnel, window: 14d, split: role, steps: [{id: x, event: a}, {id: y, event: b}, {id: z, event: c}]`,
			[]int{3, 2}, 9, 1, funnelCounts),
	}, slices.Concat(laterStructures(), pairStructures(), funnelPairs(), dayPairs())...)
}

// lifecycleCounts: bit i of a type says active in block i; the highest bit, that the person was there before.
func lifecycleCounts(p *Plan, block int, k key, role, typ int) (bool, bool) {
	old := typ&8 != 0
	now, before := typ>>block&1 == 1, block > 0 && typ>>(block-1)&1 == 1
	first := now && !old && typ&(1<<block-1) == 0
	in := false
	switch {
	case k.what == isSet:
		in = now
	case k.what != isLifecycle || block == 0:
		return false, false // of the first block nothing is known about who was there before
	default:
		in = []bool{first, now && before, now && !before && !first, before && !now, !now && !before, now && !before}[k.n]
	}
	return in && ofRole(k, role), true
}

type habit struct{ weeks, bin, use int } // weeks: a set of four; use: 0 none, 1 tried, 2 adopted, 3 habitual

func habits(uses bool) (out []habit) {
	out = append(out, habit{0, -1, 0})
	for weeks := 1; weeks < 16; weeks++ {
		for bin := range 6 {
			if !slices.Contains(weeksOfDays[bin], bits.OnesCount(uint(weeks))) {
				continue
			}
			for use := range 4 {
				if use > 0 && !uses || use == 2 && bin == 0 || use == 3 && bits.OnesCount(uint(weeks)) < 3 {
					continue
				}
				out = append(out, habit{weeks, bin, use})
			}
		}
	}
	return out
}

func habitCounts(p *Plan, k key, h habit) (bool, bool) {
	switch k.what {
	case isWeek:
		return h.weeks>>k.n&1 == 1, true
	case isDays:
		return h.bin == int(k.n), true
	case isSet:
		if int(k.of) == p.root {
			return h.weeks != 0, true
		}
		return h.use > 0, true
	case isFeature:
		if k.n < 0 {
			return h.weeks != 0, true
		}
		return h.use > int(k.n), true
	}
	return false, false
}

// funnelCounts: type 0 did nothing; 1 other events; 2 entered; 3 the second step; 4… the last, in a band.
func funnelCounts(p *Plan, _ int, k key, role, typ int) (bool, bool) {
	step := min(typ-1, 3)
	switch {
	case k.what == isStep:
		return ofRole(k, role) && step > int(k.n), true
	case k.what == isBand:
		return typ >= 4 && int(k.n) == typ-4 || (typ == 2 || typ == 3) && k.n == 5, true
	case k.what == isSet && int(k.of) == p.root:
		return typ > 0, true
	}
	return false, false
}

// TestExactBoundsAreWhatSetsOfPeopleAllow enumerates every world of people that fits what was told and compares,
// for every count, the least and most it has in them with what the model concludes.
func TestExactBoundsAreWhatSetsOfPeopleAllow(t *testing.T) {
	for _, st := range structures() {
		t.Run(st.name, func(t *testing.T) {
			wide, narrow, checked := compare(t, st, 200)
			t.Logf("%d bounds: %d too wide, %d too narrow", checked, wide, narrow)
			if narrow > 0 {
				t.Errorf("%d intervals exclude what sets of people can be", narrow)
			}
			if wide*1000 > checked*st.loose {
				t.Errorf("%d intervals are wider than what follows: disclosure would be underestimated", wide)
			}
		})
	}
}

type number struct {
	block int
	k     key
	v     audit.Var
}

func compare(t *testing.T, st structure, trials int) (wide, narrow, checked int) {
	p := tinyPlan(t, st.measures)
	r := rand.New(rand.NewPCG(7, uint64(len(st.name))))
	var m *Model
	var numbers []number
	build := func() { m, numbers = st.model(p, 0) }
	build()
	worlds := enumerate(st, p, numbers)
	for range trials {
		build()
		truth := worlds[r.IntN(len(worlds))]
		told := map[int][2]int{}
		for range 1 + r.IntN(5) {
			n := r.IntN(len(numbers))
			if _, again := told[n]; again {
				continue
			}
			lo, hi := int(truth[n])-r.IntN(2), int(truth[n])+r.IntN(3)
			told[n] = [2]int{lo, hi}
			if !m.worlds[0].Tell(numbers[n].v, int64(lo), int64(hi)) {
				t.Fatalf("%s: the truth was refused: %+v in [%d, %d]", st.name, numbers[n].k, lo, hi)
			}
		}
		least, most := make([]int64, len(numbers)), make([]int64, len(numbers))
		for i := range least {
			least[i], most[i] = 99, -1
		}
	next:
		for _, w := range worlds {
			for n, in := range told {
				if int(w[n]) < in[0] || int(w[n]) > in[1] {
					continue next
				}
			}
			for i := range w {
				least[i], most[i] = min(least[i], int64(w[i])), max(most[i], int64(w[i]))
			}
		}
		for i, n := range numbers {
			b := m.worlds[0].Bounds(n.v)
			checked++
			if b.Lo < least[i] || b.Hi > most[i] {
				if wide++; wide < 4 {
					t.Logf("%s: block %d %c of %d role %d n %d: [%d, %d], people allow [%d, %d]; told %v", st.name, n.block, n.k.what, n.k.of, n.k.role, n.k.n, b.Lo, b.Hi, least[i], most[i], describe(numbers, told))
				}
			}
			if b.Lo > least[i] || b.Hi < most[i] {
				if narrow++; narrow < 4 {
					t.Logf("%s: block %d %c of %d role %d n %d: [%d, %d] but people allow [%d, %d]; told %v", st.name, n.block, n.k.what, n.k.of, n.k.role, n.k.n, b.Lo, b.Hi, least[i], most[i], describe(numbers, told))
				}
			}
		}
	}
	return wide, narrow, checked
}

// model enters the site's numbers; margin is how many per cent smaller the second world is (0: there is none).
func (st structure) model(p *Plan, margin int) (m *Model, numbers []number) {
	m = NewModel(func([8]byte) *Plan { return p })
	if margin == 0 {
		m.worlds = audit.Worlds{{}}
	}
	z := Sizes{People: st.roles[0] + st.roles[1], Roles: []int{st.roles[0], st.roles[1], 0, 0}, Margin: margin, minRole: 1}
	start := report.CivilStart(report.Block12w, 20000)
	for b := range st.blocks {
		blk := m.newBlock(p, start+int64(b)*fourWeeks, z)
		for i := range p.cat.Measures {
			m.enterKind(blk, i)
		}
		numbers = append(numbers, st.numbers(p, b, blk)...)
	}
	if st.offsets != nil {
		_, i := p.cat.Measure("kept")
		c := m.enter(p, &entry{Start: start, Cohort: true, Sizes: &z})
		m.newCohort(c, i)
		for _, n := range st.offsets {
			m.offset(c, i, n)
		}
		numbers = append(numbers, st.numbers(p, st.blocks, c)...)
	}
	m.settle()
	return m, numbers
}

func (st structure) numbers(p *Plan, b int, blk *block) (out []number) {
	for k, v := range blk.vars {
		if _, known := st.counts(p, b, k, 0, 0); known {
			out = append(out, number{b, k, v})
		}
	}
	slices.SortFunc(out, func(a, b number) int { return strings.Compare(fmt.Sprint(a.k), fmt.Sprint(b.k)) })
	return out
}

func describe(numbers []number, told map[int][2]int) (out []string) {
	for n, in := range told {
		k := numbers[n]
		out = append(out, fmt.Sprintf("block %d %c of %d role %d n %d in %v", k.block, k.k.what, k.k.of, k.k.role, k.k.n, in))
	}
	return out
}

// enumerate is every vector of counts that people can make.
func enumerate(st structure, p *Plan, numbers []number) (worlds [][]int8) {
	one := make([][][]int8, 2) // by role and type: what one person adds
	for role := range one {
		for typ := range st.types {
			v := make([]int8, len(numbers))
			for i, n := range numbers {
				if in, _ := st.counts(p, n.block, n.k, role, typ); in {
					v[i] = 1
				}
			}
			one[role] = append(one[role], v)
		}
	}
	seen := map[string]bool{}
	first, end := 0, st.types
	var add func(role, left, from int, sum []int8)
	add = func(role, left, from int, sum []int8) {
		if left == 0 {
			if role == 0 {
				add(1, st.roles[1], first, sum)
				return
			}
			b := make([]byte, len(sum))
			for i, x := range sum {
				b[i] = byte(x)
			}
			key := string(b)
			if !seen[key] {
				seen[key] = true
				worlds = append(worlds, slices.Clone(sum))
			}
			return
		}
		for typ := from; typ < end; typ++ { // people of a role are alike: only how many of each type
			next := slices.Clone(sum)
			for i, x := range one[role][typ] {
				next[i] += x
			}
			add(role, left-1, typ, next)
		}
	}
	for v := range max(1, st.variants) {
		each := st.types / max(1, st.variants)
		first, end = v*each, (v+1)*each
		add(0, st.roles[0], first, make([]int8, len(numbers)))
	}
	return worlds
}
