package relate

import (
	"cmp"
	"slices"

	"github.com/fieldpost/fieldpost/agent/egress/audit"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Sizes is how many people there are in a block of 12 weeks; it is public.
type Sizes struct {
	People int   `json:"people"`
	Roles  []int `json:"roles,omitempty"`  // by value of the plan's trait; they add up to People
	Margin int   `json:"margin,omitempty"` // safety is tested with so many per cent fewer
	Extra  int   `json:"extra,omitempty"`  // people that answers have shown to be there beyond the margin

	minRole int // for tests on tiny sites; 0: minRole
}

// Least are the least known counts that may leave.
const (
	leastTotal = 10
	leastCell  = 5
	minGroup   = 9
	minRole    = 12
	fourWeeks  = 28
	twelve     = 84
)

// key names one number within a block.
type key struct {
	what byte
	of   int16 // a set, or a measure
	role int16 // a class of the trait; -1: everybody
	n    int16
}

const everybody = -1

// What a number is.
const (
	isSet       = 'P' // of = set: people in the block
	isWeek      = 'W' // n = 0…3: people of the root in that week
	isLifecycle = 'L' // of = measure, n = position in Fields, then absent and gained
	isDays      = 'D' // of = measure, n = bin
	isPeak      = 'K' // of = measure
	isFeature   = 'F' // of = measure, n = 3·feature + 0 tried, 1 adopted, 2 habitual
	isEntered   = '+' // no number: a step of the log
	isFiltered  = 'U' // of = measure: people under where_user
	isStep      = 'S' // of = measure, n = step
	isBand      = 'B' // of = measure, n = band
	isWeeks     = 'C' // n = 1…4: people active in so many weeks
	isFirst     = 'Y' // of = set, n = how many blocks before they were first seen
	isCohort    = 'R' // of = measure, n = 0 size, 1… offsets
)

// block is the numbers of four weeks, or a cohort of twelve.
type block struct {
	start   int64
	cohort  bool
	plan    *Plan
	sizes   Sizes
	classes []class // how the trait's values are told; fewer than two: not at all
	vars    map[key]audit.Var
	told    map[key]Told
	kinds   map[int]bool            // measures whose numbers were entered
	filters map[filter][2]audit.Var // numbers and groups of several classes
	all     audit.Var               // everybody
	group   []audit.Var
}

// class is values of the trait that are told as one.
type class struct {
	value  uint16 // the cell's
	values []uint16
	size   int
}

func (z Sizes) fewer(n int) int {
	return max(0, min(n, n-(n*z.Margin+99)/100+z.Extra))
}

// classes merges values that too few people have.
func (z Sizes) classes() []class {
	var out []class
	minRole := cmp.Or(z.minRole, minRole)
	other := class{value: uint16(max(0, len(z.Roles)-2))}
	for v, n := range z.Roles {
		if n >= minRole && v != int(other.value) {
			out = append(out, class{uint16(v), []uint16{uint16(v)}, n})
		} else {
			other.values, other.size = append(other.values, uint16(v)), other.size+n
		}
	}
	for other.size > 0 && other.size < minRole && len(out) > 0 {
		i := 0
		for j := range out {
			if out[j].size < out[i].size {
				i = j
			}
		}
		other.values, other.size = append(other.values, out[i].values...), other.size+out[i].size
		out = slices.Delete(out, i, i+1)
	}
	if other.size > 0 {
		out = append(out, other)
	}
	return out
}

func (m *Model) find(start int64, cohort bool) *block {
	for _, b := range m.blocks {
		if b.start == start && b.cohort == cohort {
			return b
		}
	}
	return nil
}

// number adds a number that is at most so many.
func (m *Model) number(n, fewer int64) audit.Var {
	var v audit.Var
	for i, w := range m.worlds {
		v = w.Number(0, pick(i, n, fewer))
	}
	return v
}

func pick(world int, n, fewer int64) int64 {
	if world == 0 {
		return n
	}
	return fewer
}

func (m *Model) constant(n, fewer int64) (v audit.Var) {
	for i, w := range m.worlds {
		x := pick(i, n, fewer)
		v = w.Number(x, x)
	}
	return v
}

func (m *Model) each(fn func(*audit.System)) {
	for _, w := range m.worlds {
		fn(w)
	}
}

// part says that part lies within whole; what is left of whole is protected too.
func (m *Model) part(whole, part, group audit.Var, least int) {
	m.each(func(s *audit.System) {
		rest := s.Part(whole, part)
		s.Protect(rest, group, least)
		m.rests[rest] = [2]audit.Var{whole, part}
	})
}

func (m *Model) sum(total audit.Var, parts ...audit.Var) {
	m.each(func(s *audit.System) { s.Sum(total, parts...) })
}

func (m *Model) ring(vs ...audit.Var) {
	m.each(func(s *audit.System) { s.Ring(vs...) })
}

func (m *Model) atMost(terms ...audit.Term) {
	m.each(func(s *audit.System) { s.AtMost(slices.Clone(terms)...) })
}

func (m *Model) protect(v, group audit.Var, least int) {
	m.each(func(s *audit.System) { s.Protect(v, group, least) })
}

// newBlock enters the numbers of a block.
func (m *Model) newBlock(p *Plan, start int64, z Sizes) *block {
	b := &block{start: start, plan: p, sizes: z, vars: map[key]audit.Var{}, told: map[key]Told{}, kinds: map[int]bool{}, filters: map[filter][2]audit.Var{}}
	b.all = m.constant(int64(z.People), int64(z.fewer(z.People)))
	if b.classes = z.classes(); p.trait == "" || len(b.classes) < 2 {
		b.classes = nil
	}
	for _, c := range b.classes {
		b.group = append(b.group, m.constant(int64(c.size), int64(z.fewer(c.size))))
	}
	for i := range p.sets {
		m.addSet(b, i)
	}
	for i := range p.sets {
		m.relateSet(b, i)
	}
	if p.root >= 0 {
		m.addWeeks(b)
	}
	m.blocks = append(m.blocks, b)
	for i := range p.cat.Measures {
		if p.bound(i) {
			m.enterKind(b, i)
		}
	}
	return b
}

func (b *block) groupOf(role int16) audit.Var {
	if role == everybody {
		return b.all
	}
	return b.group[role]
}

// add enters a protected number of people of a role.
func (m *Model) add(b *block, k key, least int) audit.Var {
	g := b.groupOf(k.role)
	n := m.worlds[0].Public(g).Hi
	f := n
	if len(m.worlds) > 1 {
		f = m.worlds[1].Public(g).Hi
	}
	v := m.number(n, f)
	m.protect(v, g, least)
	b.vars[k] = v
	return v
}

func (m *Model) addSet(b *block, i int) {
	least := leastCell
	if i == b.plan.root {
		least = leastTotal
	}
	v := m.add(b, key{isSet, int16(i), everybody, 0}, least)
	m.part(b.all, v, b.all, least)
	if !b.plan.sets[i].byTrait || b.classes == nil {
		return
	}
	var parts []audit.Var
	for r := range b.classes {
		x := m.add(b, key{isSet, int16(i), int16(r), 0}, leastCell)
		m.part(b.group[r], x, b.group[r], leastCell)
		parts = append(parts, x)
	}
	m.sum(v, parts...)
	m.ring(append(parts, v)...)
}

// relateSet places a set within its parent and its children within it.
func (m *Model) relateSet(b *block, i int) {
	s := &b.plan.sets[i]
	v := b.vars[key{isSet, int16(i), everybody, 0}]
	if s.parent >= 0 {
		m.part(b.vars[key{isSet, int16(s.parent), everybody, 0}], v, b.all, leastCell)
	}
	if s.byTrait && s.above >= 0 {
		for r := range b.classes {
			m.part(b.vars[key{isSet, int16(s.above), int16(r), 0}], b.vars[key{isSet, int16(i), int16(r), 0}], b.group[r], leastCell)
		}
	}
	if !s.covered {
		return
	}
	m.cover(b, i, everybody)
	if s.byTrait {
		for r := range b.classes {
			m.cover(b, i, int16(r))
		}
	}
}

func (m *Model) cover(b *block, i int, role int16) {
	terms := []audit.Term{{Var: b.vars[key{isSet, int16(i), role, 0}], Factor: 1}}
	for _, c := range b.plan.sets[i].children {
		v, ok := b.vars[key{isSet, int16(c), role, 0}]
		if !ok {
			v = b.vars[key{isSet, int16(c), everybody, 0}]
		}
		terms = append(terms, audit.Term{Var: v, Factor: -1})
	}
	m.atMost(terms...)
}

// addWeeks enters the four weeks of the site's total.
func (m *Model) addWeeks(b *block) {
	root := b.vars[key{isSet, int16(b.plan.root), everybody, 0}]
	var w [4]audit.Var
	terms := []audit.Term{{Var: root, Factor: 1}}
	for i := range w {
		w[i] = m.add(b, key{isWeek, 0, everybody, int16(i)}, leastTotal)
		m.part(b.all, w[i], b.all, leastTotal)
		m.part(root, w[i], b.all, leastCell)
		terms = append(terms, audit.Term{Var: w[i], Factor: -1})
	}
	m.atMost(terms...)
	m.ring(append(w[:], root)...)
}

// weekCounts enters in how many weeks people were active, when something first looks at it.
func (m *Model) weekCounts(b *block) {
	if _, ok := b.vars[key{isWeeks, 0, everybody, 1}]; !ok {
		m.addWeekCounts(b, b.vars[key{isSet, int16(b.plan.root), everybody, 0}], [4]audit.Var(b.weekVars()))
	}
}

// addWeekCounts relates the weeks to how many people were active in one, two, three or four of them: the
// sizes of four sets and of how often people are in them (Gale 1957, Ryser 1957: sums of any of the weeks
// are at most what the counts allow; all four add up).
func (m *Model) addWeekCounts(b *block, root audit.Var, w [4]audit.Var) {
	var c [5]audit.Var
	top := m.worlds[0].Public(b.all).Hi
	for i := 1; i <= 4; i++ {
		c[i] = m.number(top, top)
		b.vars[key{isWeeks, 0, everybody, int16(i)}] = c[i]
	}
	m.sum(root, c[1:]...)
	all := []audit.Term{}
	for i := range w {
		all = append(all, audit.Term{Var: w[i], Factor: 1})
		m.atMost(audit.Term{Var: c[4], Factor: 1}, audit.Term{Var: w[i], Factor: -1})
	}
	for i := 1; i <= 4; i++ {
		all = append(all, audit.Term{Var: c[i], Factor: -int32(i)})
	}
	m.each(func(s *audit.System) { s.Equal(all...) })
	m.each(func(s *audit.System) { // the same with the root
		s.Equal(append(slices.Clone(all[:4]), audit.Term{Var: root, Factor: -4}, audit.Term{Var: c[1], Factor: 3}, audit.Term{Var: c[2], Factor: 2}, audit.Term{Var: c[3], Factor: 1})...)
		s.Equal(append(slices.Clone(all[:4]), audit.Term{Var: root, Factor: -1}, audit.Term{Var: c[2], Factor: -1}, audit.Term{Var: c[3], Factor: -2}, audit.Term{Var: c[4], Factor: -3})...)
	})
	for mask := 1; mask < 15; mask++ {
		var some []audit.Term
		for i := range w {
			if mask>>i&1 == 1 {
				some = append(some, audit.Term{Var: w[i], Factor: 1})
			}
		}
		n := len(some)
		if n < 2 {
			continue
		}
		var low []audit.Term
		for i := range some {
			low = append(low, audit.Term{Var: some[i].Var, Factor: -1})
		}
		m.sharper(some, low, root, c, n)
		for i := 1; i <= 4; i++ {
			some = append(some, audit.Term{Var: c[i], Factor: -int32(min(i, n))})
			if least := i + n - 4; least > 0 {
				low = append(low, audit.Term{Var: c[i], Factor: int32(least)})
			}
		}
		m.atMost(some...)
		m.atMost(low...)
	}
}

// sharper says the same with the root in the place of what its parts have in common: it follows, but not for one
// interval at a time.
func (m *Model) sharper(some, low []audit.Term, root audit.Var, c [5]audit.Var, n int) {
	some, low = slices.Clone(some), slices.Clone(low)
	some = append(some, audit.Term{Var: root, Factor: -int32(n)})
	for i := 1; i < n; i++ {
		some = append(some, audit.Term{Var: c[i], Factor: int32(n - i)})
	}
	m.atMost(some...)
	if n < 3 {
		return
	}
	low = append(low, audit.Term{Var: root, Factor: 1}, audit.Term{Var: c[1], Factor: -1}, audit.Term{Var: c[3], Factor: 1}, audit.Term{Var: c[4], Factor: 2})
	m.atMost(low...)
}

func blockStart(start int64) int64  { return report.CivilStart(report.Block4w, start) }
func cohortStart(start int64) int64 { return report.CivilStart(report.Block12w, start) }
