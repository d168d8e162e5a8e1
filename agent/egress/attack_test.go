package egress

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/fieldpost/fieldpost/agent/egress/egresstest"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// family is how well an attacker guessed at questions of one kind.
type family struct {
	guesses int
	gain    float64 // Σ of what was won over the best guess without what was told
	shift   float64 // the largest change of what is believed of one person
	of      string
}

type gains map[string]*family

func (g gains) add(id, of string, prior, post float64) {
	f := g[id]
	if f == nil {
		f = &family{}
		g[id] = f
	}
	f.guesses++
	f.gain += max(post, 1-post) - max(prior, 1-prior)
	if s := math.Abs(post - prior); s > f.shift {
		f.shift, f.of = s, of
	}
}

// attacker A knows the algorithm, the catalog, everything sent, the staff list with roles and dates, and what each
// person was always like. What the others did is known by chance only.
type attacker struct {
	*driven
	habits []egresstest.Habit
	gains  gains
	of     string
}

func newAttacker(d *driven, g gains, of string) *attacker {
	a := &attacker{driven: d, gains: g, of: of}
	for i := range d.site.People {
		a.habits = append(a.habits, d.site.People[i].Habit(100, uint64(i)))
	}
	return a
}

// block is the chance to be active in a block of somebody who may work there for a part of it.
func (a *attacker) block(i, b int) float64 {
	p := &a.site.People[i]
	switch weeks := min(p.To, b*4+4) - max(p.From, b*4); {
	case weeks <= 0:
		return 0
	case weeks >= 4:
		return a.habits[i].Block
	default:
		stay := egresstest.Persist + (1-egresstest.Persist)*(1-p.Weekly)
		return 1 - (1-p.Weekly)*math.Pow(stay, float64(weeks-1))
	}
}

// onADay is the chance that somebody who works in a week does so on a given one of its five days: one to five times a day is drawn, and no day
// of the block had more people than the peak.
const onADay = (0.2 + 0.36 + 0.488 + 0.5904 + 0.67232) / 5

// part is how much less likely somebody is of a habit who works there for a part of a block.
func (a *attacker) part(i, b int) float64 {
	return min(1, a.block(i, b)/max(a.habits[i].Block, 1e-9))
}

func (a *attacker) at(i, week int) float64 {
	if !a.site.People[i].Works(week, week) {
		return 0
	}
	return a.site.People[i].Weekly
}

// targets are some people who could have been there.
func (a *attacker) targets(could func(i int) bool) (out []int) {
	for i := range a.site.People {
		if could(i) {
			out = append(out, i)
		}
	}
	if n := len(out); n > 3 {
		out = []int{out[0], out[n/2], out[n-1]}
	}
	return out
}

// one asks about each target whether it is one of those counted, of whom lo…hi were told.
func (a *attacker) one(id string, lo, hi int, told bool, p func(i int) float64) {
	n := len(a.site.People)
	for _, x := range a.targets(func(i int) bool { return p(i) > 0 && p(i) < 1 }) {
		prior := p(x)
		if !told {
			a.gains.add(id, a.of, prior, prior)
			continue
		}
		others := []float64{1}
		for i := range n {
			if q := p(i); i != x && q > 0 {
				others = convolve(others, q)
			}
		}
		with, without := prior*mass(others, lo-1, hi-1), (1-prior)*mass(others, lo, hi)
		if with+without < 1e-12 {
			continue // the sampled habits do not allow what happened
		}
		a.gains.add(id, a.of, prior, with/(with+without))
	}
}

func convolve(d []float64, q float64) []float64 {
	out := make([]float64, len(d)+1)
	for k, v := range d {
		out[k] += v * (1 - q)
		out[k+1] += v * q
	}
	return out
}

func mass(d []float64, lo, hi int) (sum float64) {
	for k := max(lo, 0); k <= hi && k < len(d); k++ {
		sum += d[k]
	}
	return sum
}

// several asks the same where people are of several types, and the sums of up to three counts were told together. share gives how
// likely a person is of each type, adds what a type adds to the counts, allow which counts fit what was told.
func (a *attacker) several(id string, share func(i int) []float64, adds [][3]int, allow func(n [3]int) bool, is func(typ int) bool) {
	people := len(a.site.People)
	for _, x := range a.targets(func(i int) bool { s := share(i); return s[0] < 1 })[:min(2, a.site.Places)] {
		side := 2
		dense := []float64{1, 0, 0, 0, 0, 0, 0, 0} // side³
		for i := range people {
			s := share(i)
			if i == x || s[0] >= 1 {
				continue
			}
			grown := make([]float64, (side+1)*(side+1)*(side+1))
			for k, v := range dense {
				if v == 0 {
					continue
				}
				n := [3]int{k / side / side, k / side % side, k % side}
				for typ, q := range s {
					grown[((n[0]+adds[typ][0])*(side+1)+n[1]+adds[typ][1])*(side+1)+n[2]+adds[typ][2]] += v * q
				}
			}
			dense, side = grown, side+1
		}
		var prior, yes, all float64
		for typ, q := range share(x) {
			if is(typ) {
				prior += q
			}
			for k, v := range dense {
				if v == 0 || q == 0 {
					continue
				}
				n := [3]int{k/side/side + adds[typ][0], k/side%side + adds[typ][1], k%side + adds[typ][2]}
				if !allow(n) {
					continue
				}
				all += v * q
				if is(typ) {
					yes += v * q
				}
			}
		}
		if all > 1e-12 {
			a.gains.add(id, a.of, prior, yes/all)
		}
	}
}

func within(n, lo, hi int) bool { return n >= lo && n <= hi }

// attack asks everything.
func (a *attacker) attack(weeks int) {
	s := a.site
	for w := range weeks {
		lo, hi, told := a.in("people", report.Week, s.Zero+int64(w)*7, report.Value, 0, 0)
		a.one("membership in a week", lo, hi, told, func(i int) float64 { return a.at(i, w) })
		if w > 0 {
			a.difference(w)
		}
	}
	for b := range weeks / 4 {
		start := s.Zero + int64(b)*28
		active := func(i int) float64 { return a.block(i, b) }
		lo, hi, told := a.in("people", report.Block4w, start, report.Value, 0, 0)
		a.one("membership in a block", lo, hi, told, active)
		for r := range egresstest.Roles() {
			lo, hi, told := a.in("people", report.Block4w, start, report.Value, 1, r)
			a.one("role (complement)", lo, hi, told, func(i int) float64 {
				if s.People[i].Role != r {
					return 0
				}
				return active(i)
			})
		}
		for n := range 6 {
			lo, hi, told := a.in("sticky", report.Rolling28, start+27, report.Value, 1, n)
			a.one("stickiness", lo, hi, told, func(i int) float64 { return a.part(i, b) * a.habits[i].Bins[n] })
		}
		_, most, known := a.in("seats", report.Rolling28, start+27, report.Peak, 0, 0)
		a.one("seats (on a working day)", 0, most, known, func(i int) float64 { return a.at(i, b*4+1) * onADay })
		lo, hi, told = a.in("path", report.Block4w, start, report.Value, 1, 0)
		a.one("funnel", lo, hi, told, func(i int) float64 { return a.enters(i, b) })
		for f := range egresstest.Features {
			for n, field := range []report.Field{report.Tried, report.Adopted, report.Habitual} {
				lo, hi, told := a.in("used", report.Rolling28, start+27, field, 1, f)
				a.one("adoption", lo, hi, told, func(i int) float64 { return a.part(i, b) * sum(a.habits[i].Rungs[f][n+1:]) })
			}
		}
		if len(s.People) <= 32 {
			a.together(b)
		}
	}
	a.retention(weeks)
}

func sum(x []float64) (t float64) {
	for _, v := range x {
		t += v
	}
	return t
}

// difference is the question who was active in a week but not in the one before, or the other way round, knowing that people mostly
// go on as they were; and what of those who joined or left between.
func (a *attacker) difference(w int) {
	s := a.site
	lo0, hi0, told0 := a.in("people", report.Week, s.Zero+int64(w-1)*7, report.Value, 0, 0)
	lo1, hi1, told1 := a.in("people", report.Week, s.Zero+int64(w)*7, report.Value, 0, 0)
	pair := func(i int) []float64 { // neither, the first only, the second only, both
		p := s.People[i].Weekly
		x, y := a.at(i, w-1) > 0, a.at(i, w) > 0
		switch {
		case x && y:
			turn := (1 - egresstest.Persist) * p * (1 - p)
			return []float64{1 - p - turn, turn, turn, p - turn}
		case x:
			return []float64{1 - p, p, 0, 0}
		case y:
			return []float64{1 - p, 0, p, 0}
		}
		return []float64{1, 0, 0, 0}
	}
	if len(s.People) > 32 || !told0 && !told1 {
		return
	}
	adds := [][3]int{{}, {1}, {0, 1}, {1, 1}}
	fits := func(n [3]int) bool { return within(n[0], lo0, hi0) && within(n[1], lo1, hi1) }
	a.several("difference of two weeks", pair, adds, fits, func(typ int) bool { return typ == 1 || typ == 2 })
	for i := range s.People {
		p := &s.People[i]
		if p.From != w && p.To != w {
			continue
		}
		one := *a // only this one is asked about
		one.habits = a.habits
		only := func(j int) []float64 { return pair(j) }
		one.about1("around joiners and leavers", i, only, adds, fits, func(typ int) bool { return typ != 0 })
	}
}

// about1 is several for one person.
func (a *attacker) about1(id string, x int, share func(i int) []float64, adds [][3]int, allow func([3]int) bool, is func(int) bool) {
	people := a.site.People
	order := slices.Clone(people)
	// The target is put where several looks first: the others keep their habits.
	if x != 0 {
		order[0], order[x] = order[x], order[0]
	}
	at := func(i int) int {
		switch i {
		case 0:
			return x
		case x:
			return 0
		}
		return i
	}
	site := *a.site
	site.People, site.Places = order, 1
	d := *a.driven
	d.site = &site
	b := attacker{driven: &d, gains: a.gains, of: a.of}
	b.several(id, func(i int) []float64 { return share(at(i)) }, adds, allow, is)
}

// together asks about what several figures tell in common: lifecycle, roles against the total, ladders.
func (a *attacker) together(b int) {
	s := a.site
	start := s.Zero + int64(b)*28
	tell := func(id string, g report.Grain, at int64, f report.Field, by uint8, v int) [2]int {
		lo, hi, _ := a.in(id, g, at, f, by, v)
		return [2]int{lo, hi}
	}
	ok := func(n int, in [2]int) bool { return within(n, in[0], in[1]) }
	total := tell("people", report.Block4w, start, report.Value, 0, 0)
	for r := range egresstest.Roles() {
		role := tell("people", report.Block4w, start, report.Value, 1, r)
		a.several("intersection of role and total", func(i int) []float64 {
			p := a.block(i, b)
			if s.People[i].Role == r {
				return []float64{1 - p, p, 0}
			}
			return []float64{1 - p, 0, p}
		}, [][3]int{{}, {1, 1}, {0, 1}}, func(n [3]int) bool { return ok(n[0], role) && ok(n[1], total) }, func(typ int) bool { return typ > 0 })
	}
	if b > 0 {
		before := tell("people", report.Block4w, start-28, report.Value, 0, 0)
		kept, gone := tell("flow", report.Block4w, start, report.Retained, 0, 0), tell("flow", report.Block4w, start, report.Dormant, 0, 0)
		fresh, back := tell("flow", report.Block4w, start, report.New, 0, 0), tell("flow", report.Block4w, start, report.Resurrected, 0, 0)
		a.several("lifecycle", func(i int) []float64 {
			p, q := a.block(i, b-1), a.block(i, b)
			return []float64{(1 - p) * (1 - q), p * (1 - q), (1 - p) * q, p * q}
		}, [][3]int{{}, {1}, {0, 1}, {0, 0, 1}}, func(n [3]int) bool {
			return ok(n[0]+n[2], before) && ok(n[1]+n[2], total) && ok(n[2], kept) && ok(n[0], gone) && within(n[1], fresh[0]+back[0], fresh[1]+back[1])
		}, func(typ int) bool { return typ == 1 || typ == 2 })
	}
	for f := range 3 {
		in := [3][2]int{}
		for n, field := range []report.Field{report.Tried, report.Adopted, report.Habitual} {
			in[n] = tell("used", report.Rolling28, start+27, field, 1, f)
		}
		a.several("adoption, the whole ladder", func(i int) []float64 {
			h := a.habits[i].Rungs[f]
			p := a.part(i, b)
			out := []float64{0, h[1] * p, h[2] * p, h[3] * p}
			out[0] = max(0, 1-sum(out))
			return out
		}, [][3]int{{}, {1}, {1, 1}, {1, 1, 1}}, func(n [3]int) bool { return ok(n[0], in[0]) && ok(n[1], in[1]) && ok(n[2], in[2]) },
			func(typ int) bool { return typ == 3 })
	}
}

// enters is the chance to enter the funnel in a block: whoever did before does not again.
func (a *attacker) enters(i, b int) float64 {
	t := 1 - a.habits[i].Rungs[0][0]
	p := 0.0
	if now := a.part(i, b); now > 0 {
		p = t * now
		for e := range b {
			if a.block(i, e) > 0 {
				p *= 1 - t
			}
		}
	}
	return min(p, 1)
}

// retention is the question who of a cohort was active after n weeks; who is in it stands in the staff list.
func (a *attacker) retention(weeks int) {
	s := a.site
	for c := 1; c < weeks/12; c++ {
		for n := 1; n < 9; n++ {
			lo, hi, told := a.in("kept", report.Block12w, s.Zero+int64(c)*84, report.Value, 1, n-1)
			a.one("retention", lo, hi, told, func(i int) float64 {
				if !s.People[i].InCohort(c) {
					return 0
				}
				return s.People[i].Weekly
			})
		}
	}
}

// TestAttackA: on sites of 3 to 500 people, joining and leaving, what was sent wins next to nothing over what was known of each person
// all along.
func TestAttackA(t *testing.T) {
	t.Parallel()
	c := madeUp(t)
	g := gains{}
	for _, n := range attackSizes() {
		for _, active := range []float64{0.3, 0.6, 0.95} {
			s := egresstest.New(egresstest.Options{Places: n, Active: active, Churn: 0.15, Weeks: 14, Seed: uint64(n)})
			newAttacker(drive(t, c, s, n, 0, 12), g, fmt.Sprintf("%d people, %.0f %% a week", n, active*100)).attack(12)
		}
	}
	for _, n := range []int{25, 90} { // long enough for a cohort
		s := egresstest.New(egresstest.Options{Places: n, Active: 0.6, Churn: 0.8, Weeks: 36, Seed: 3})
		newAttacker(drive(t, c, s, n, 0, 35), g, fmt.Sprintf("%d people, 60 %% a week, 35 weeks", n)).attack(35)
	}
	g.report(t)
	if len(g) < 12 {
		t.Errorf("only %d families were tried", len(g))
	}
}

func (g gains) report(t *testing.T) {
	t.Helper()
	var ids []string
	for id := range g {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	t.Logf("%-32s %8s %14s %22s", "family", "guesses", "won, points", "largest shift, points")
	for _, id := range ids {
		f := g[id]
		mean := f.gain / float64(f.guesses) * 100
		t.Logf("%-32s %8d %14.2f %22.0f (%s)", id, f.guesses, mean, f.shift*100, f.of)
		if mean > 5 {
			t.Errorf("%s: guessing is %.1f points better on the mean than without anything sent; 5 are allowed", id, mean)
		}
	}
}

func attackSizes() []int {
	if testing.Short() {
		return []int{3, 9, 15, 25}
	}
	return []int{3, 9, 15, 25, 90, 500}
}
