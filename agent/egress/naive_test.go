package egress

import (
	"fmt"
	"slices"
	"testing"

	"github.com/fieldpost/fieldpost/agent/egress/egresstest"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// naive concludes what it can from told intervals: numbers by name, and sums between them. It shares nothing with packages audit and
// relate, and looks at each relation again until none says more.
type naive struct {
	names []string
	index map[string]int
	lo    []int
	hi    []int
	group []int // for protected numbers: of how many people; 0: not protected
	least []int
	sums  [][]int // the first is the sum of the others
	most  [][]int // the first is at most the sum of the others
}

func newNaive() *naive { return &naive{index: map[string]int{}} }

// number is the number of that name, entered as one of 0…hi if it is new.
func (n *naive) number(name string, hi int) int {
	if i, ok := n.index[name]; ok {
		return i
	}
	i := len(n.names)
	n.index[name] = i
	n.names = append(n.names, name)
	n.lo, n.hi = append(n.lo, 0), append(n.hi, hi)
	n.group, n.least = append(n.group, 0), append(n.least, 0)
	return i
}

// count is a protected count out of a group.
func (n *naive) count(name string, group, least int) int {
	i := n.number(name, group)
	n.group[i], n.least[i] = group, max(n.least[i], least)
	return i
}

func (n *naive) constant(name string, v int) int {
	i := n.number(name, v)
	n.lo[i] = v
	return i
}

func (n *naive) sum(total int, parts ...int) { n.sums = append(n.sums, append([]int{total}, parts...)) }

func (n *naive) atMost(x int, of ...int) { n.most = append(n.most, append([]int{x}, of...)) }

// part enters a subset of whole and, protected too, what is left of it.
func (n *naive) part(whole int, name string, group, least int) int {
	i := n.count(name, group, least)
	n.sum(whole, i, n.count(n.names[whole]+" without "+name, group, least))
	return i
}

func (n *naive) told(i, lo, hi int) { n.lo[i], n.hi[i] = max(n.lo[i], lo), min(n.hi[i], hi) }

// conclude draws conclusions until there are none; false: they contradict each other.
func (n *naive) conclude() bool {
	for changed := true; changed; {
		changed = false
		cut := func(i, lo, hi int) {
			if lo > n.lo[i] {
				n.lo[i], changed = lo, true
			}
			if hi < n.hi[i] {
				n.hi[i], changed = hi, true
			}
		}
		for _, c := range n.sums {
			lo, hi := 0, 0
			for _, p := range c[1:] {
				lo, hi = lo+n.lo[p], hi+n.hi[p]
			}
			cut(c[0], lo, hi)
			for _, p := range c[1:] {
				cut(p, n.lo[c[0]]-(hi-n.hi[p]), n.hi[c[0]]-(lo-n.lo[p]))
			}
		}
		for _, c := range n.most {
			hi := 0
			for _, p := range c[1:] {
				hi += n.hi[p]
			}
			cut(c[0], 0, hi)
			for _, p := range c[1:] {
				cut(p, n.lo[c[0]]-(hi-n.hi[p]), many)
			}
		}
		for i := range n.lo {
			if n.lo[i] > n.hi[i] {
				return false
			}
		}
	}
	return true
}

// breaches are the protected counts that are known too well.
func (n *naive) breaches() (out []string, checked int) {
	public := *n
	for i := range n.names {
		if n.least[i] == 0 {
			continue
		}
		checked++
		lo, hi, g := n.lo[i], n.hi[i], public.group[i]
		switch {
		case hi-lo+1 >= 5, lo == 0 && hi == g:
		case lo == hi && lo >= n.least[i] && g-lo >= n.least[i]:
		default:
			out = append(out, fmt.Sprintf("%s in [%d, %d] of %d", n.names[i], lo, hi, g))
		}
	}
	return out, checked
}

// of enters a made-up site's blocks with everything that was told; people is how many there really are, by role.
func (d *driven) naive(blocks int, roles []int) *naive {
	n := newNaive()
	people := 0
	for _, r := range roles {
		people += r
	}
	all := n.constant("everybody", people)
	for b := range blocks {
		n.block(d, b, all, people, roles)
	}
	for c := 1; c*3 < blocks; c++ {
		n.cohort(d, c, all, people)
	}
	return n
}

func (n *naive) take(d *driven, i int, id string, g report.Grain, start int64, f report.Field, by uint8, v int) {
	if lo, hi, ok := d.in(id, g, start, f, by, v); ok {
		n.told(i, lo, hi)
	}
}

const (
	leastTold  = 5
	leastTotal = 10
)

func (n *naive) block(d *driven, b, all, people int, roles []int) {
	start := d.site.Zero + int64(b)*28
	name := func(s string, x ...any) string { return fmt.Sprintf("block %d ", b) + fmt.Sprintf(s, x...) }
	total := n.part(all, name("active"), people, leastTotal)
	n.take(d, total, "people", report.Block4w, start, report.Value, 0, 0)
	for _, id := range []string{"sticky", "used", "seats"} {
		n.take(d, total, id, report.Rolling28, start+27, report.Value, 0, 0)
	}
	var weeks []int
	for w := range 4 {
		x := n.part(all, name("week %d", w), people, leastTotal)
		n.sum(total, x, n.count(name("not in week %d", w), people, leastTold))
		n.take(d, x, "people", report.Week, start+int64(w)*7, report.Value, 0, 0)
		weeks = append(weeks, x)
	}
	n.atMost(total, weeks...)
	var inRoles []int
	for r, size := range roles {
		group := n.constant(fmt.Sprintf("role %d", r), size)
		x := n.number(name("role %d", r), size)
		if _, _, ok := d.in("people", report.Block4w, start, report.Value, 1, r); ok {
			x = n.part(group, name("role %d", r), size, leastTold)
			n.take(d, x, "people", report.Block4w, start, report.Value, 1, r)
			n.lifecycle(d, b, fmt.Sprintf(" of role %d", r), x, group, size, 1, r)
		}
		inRoles = append(inRoles, x)
	}
	n.sum(total, inRoles...)
	n.lifecycle(d, b, "", total, all, people, 0, 0)
	var bins []int
	for v := range 6 {
		x := n.part(total, name("days %d", v), people, leastTold)
		n.take(d, x, "sticky", report.Rolling28, start+27, report.Value, 1, v)
		bins = append(bins, x)
	}
	n.sum(total, bins...)
	peak := n.part(total, name("peak"), people, leastTold)
	n.take(d, peak, "seats", report.Rolling28, start+27, report.Peak, 0, 0)
	use0 := -1
	for f := range egresstest.Features {
		whole := total
		for k, field := range []report.Field{report.Tried, report.Adopted, report.Habitual} {
			x := n.part(whole, name("feature %d %d", f, k), people, leastTold)
			n.sum(total, x, n.count(name("active without feature %d %d", f, k), people, leastTold))
			n.sum(all, x, n.count(name("without feature %d %d", f, k), people, leastTold))
			n.take(d, x, "used", report.Rolling28, start+27, field, 1, f)
			if f == 0 && k == 0 {
				use0 = x
			}
			whole = x
		}
	}
	n.funnel(d, b, use0, people)
}

func (n *naive) funnel(d *driven, b, use0, people int) {
	start := d.site.Zero + int64(b)*28
	name := func(s string, x ...any) string { return fmt.Sprintf("block %d ", b) + fmt.Sprintf(s, x...) }
	entered := n.part(use0, name("step 0"), people, leastTold)
	n.take(d, entered, "path", report.Block4w, start, report.Value, 0, 0)
	step := entered
	for k := range 3 {
		if k > 0 {
			step = n.part(step, name("step %d", k), people, leastTold)
		}
		n.take(d, step, "path", report.Block4w, start, report.Value, 1, k)
	}
	var bands []int
	for v := range 6 {
		x := n.part(entered, name("band %d", v), people, leastTold)
		n.take(d, x, "path", report.Block4w, start, report.Value, 2, v)
		bands = append(bands, x)
	}
	n.sum(entered, bands...)
	n.sum(step, bands[:5]...)
	n.sum(entered, step, bands[5])
}

func (n *naive) lifecycle(d *driven, b int, of string, now, group, size int, by uint8, v int) {
	start := d.site.Zero + int64(b)*28
	name := func(s string) string { return fmt.Sprintf("block %d %s%s", b, s, of) }
	var x [4]int
	for k, f := range []report.Field{report.New, report.Retained, report.Resurrected, report.Dormant} {
		x[k] = n.count(name([]string{"new", "retained", "resurrected", "dormant"}[k]), size, leastTold)
		n.take(d, x[k], "flow", report.Block4w, start, f, by, v)
	}
	gained, absent := n.count(name("gained"), size, leastTold), n.count(name("absent"), size, leastTold)
	n.sum(gained, x[0], x[2])
	n.sum(now, gained, x[1])
	n.sum(group, now, x[3], absent)
	before := fmt.Sprintf("block %d active%s", b-1, of)
	if of != "" {
		before = fmt.Sprintf("block %d %s", b-1, of[len(" of "):])
	}
	if p, ok := n.index[before]; ok {
		n.sum(p, x[1], x[3])
		n.sum(group, p, gained, absent)
	}
}

func (n *naive) cohort(d *driven, c, all, people int) {
	start := d.site.Zero + int64(c)*84
	size := n.part(all, fmt.Sprintf("cohort %d", c), people, leastTold)
	n.take(d, size, "kept", report.Block12w, start, report.Value, 0, 0)
	if b, ok := n.index[fmt.Sprintf("block %d new", c*3+2)]; ok {
		n.sum(size, n.index[fmt.Sprintf("block %d new", c*3)], n.index[fmt.Sprintf("block %d new", c*3+1)], b)
	}
	for k := 1; k < 9; k++ {
		x := n.part(size, fmt.Sprintf("cohort %d after %d", c, k), people, leastTold)
		n.take(d, x, "kept", report.Block12w, start, report.Value, 1, k-1)
	}
}

// rolesAt is how many work there in a week, by role.
func rolesAt(s *egresstest.Site, week int) []int {
	out := make([]int, len(egresstest.Roles()))
	for i := range s.People {
		if s.People[i].Works(week, week) {
			out[s.People[i].Role]++
		}
	}
	return out
}

// TestAttackB: also who knows how many people there are of each role concludes nothing about any count, total, complement or
// difference but an interval of five values, or the exact number where it is allowed.
func TestAttackB(t *testing.T) {
	t.Parallel()
	c := madeUp(t)
	for _, n := range []int{9, 13, 15, 25, 40, 90, 300} {
		for _, active := range []float64{0.3, 0.6, 0.95} {
			weeks := 24
			if n > 50 {
				weeks = 16
			}
			s := egresstest.New(egresstest.Options{Places: n, Active: active, Weeks: weeks + 2, Seed: uint64(n)})
			d := drive(t, c, s, n, 0, weeks)
			x := d.naive(weeks/4, rolesAt(s, 0))
			if !x.conclude() {
				t.Errorf("%d people, %.0f %%: what was told contradicts itself", n, active*100)
			}
			bad, checked := x.breaches()
			if len(bad) > 0 {
				t.Errorf("%d people, %.0f %%: %d of %d counts are known too well: %s", n, active*100, len(bad), checked, bad[:min(4, len(bad))])
			}
			if checked < 100 {
				t.Errorf("only %d counts were looked at", checked)
			}
		}
	}
}

// TestAttackWrongGroupSize: the customer named a fifth more or fewer people than there are, and the attacker knows better.
func TestAttackWrongGroupSize(t *testing.T) {
	t.Parallel()
	c := madeUp(t)
	t.Logf("%8s %8s %10s %10s", "people", "named", "counts", "breached")
	for _, n := range []int{15, 25, 40} {
		for _, off := range []int{-20, -10, 10, 20, 25} {
			s := egresstest.New(egresstest.Options{Places: n, Active: 0.6, Weeks: 14, Seed: uint64(n)})
			named := (n*(100+off) + 50) / 100
			x := drive(t, c, s, named, 0, 12).naive(3, rolesAt(s, 0))
			if !x.conclude() {
				t.Errorf("%d people, %d named: what was told contradicts the staff list", n, named)
				continue
			}
			bad, checked := x.breaches()
			t.Logf("%8d %8d %10d %10d %v", n, named, checked, len(bad), bad[:min(3, len(bad))])
			if len(bad)*100 > checked {
				t.Errorf("%d people, %d named: %d of %d counts are known too well: %s", n, named, len(bad), checked, bad[:min(4, len(bad))])
			}
		}
	}
}

// TestAttackJoinersAndLeavers: somebody left and somebody else came, which the size that was fixed for twelve weeks does not tell. The attacker
// has the list.
func TestAttackJoinersAndLeavers(t *testing.T) {
	t.Parallel()
	c := madeUp(t)
	t.Logf("%8s %8s %10s %10s", "people", "churn", "counts", "breached")
	for _, n := range []int{15, 25, 40} {
		for _, churn := range []float64{0.1, 0.3} {
			s := egresstest.New(egresstest.Options{Places: n, Active: 0.6, Churn: churn, Weeks: 14, Seed: uint64(n) + 5})
			d := drive(t, c, s, n, 0, 12)
			bad, checked := []string{}, 0
			for b := range 3 { // each block with the list of those who could have been active in it
				roles := make([]int, 3)
				for i := range s.People {
					if s.People[i].Works(b*4, b*4+3) {
						roles[s.People[i].Role]++
					}
				}
				one := newNaive()
				people := sumInts(roles)
				one.block(d, b, one.constant("everybody", people), people, roles)
				if !one.conclude() {
					t.Errorf("%d people, block %d: what was told contradicts the staff list", n, b)
				}
				x, k := one.breaches()
				bad, checked = append(bad, x...), checked+k
			}
			t.Logf("%8d %8.0f %10d %10d %v", n, churn*100, checked, len(bad), bad[:min(3, len(bad))])
			if len(bad)*100 > checked {
				t.Errorf("%d people: %d of %d counts are known too well: %s", n, len(bad), checked, slices.Compact(bad)[:min(4, len(bad))])
			}
		}
	}
}

func sumInts(x []int) (t int) {
	for _, v := range x {
		t += v
	}
	return t
}
