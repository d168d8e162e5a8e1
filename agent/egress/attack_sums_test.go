package egress

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"

	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// sumsOf is a catalog with people of each kind of event, and the counts given.
func sumsOf(t testing.TB, counts ...string) *catalog.Catalog {
	t.Helper()
	return parsed(t, append([]string{"id: people\n    kind: active_users\n    events: [a, b]\n    by: [role]",
		"id: as\n    kind: active_users\n    events: [a]", "id: bs\n    kind: active_users\n    events: [b]"}, counts...)...)
}

const countOfA, countOfB = "id: s\n    kind: count\n    events: [a]\n    by: [role]", "id: t\n    kind: count\n    events: [b]"

// summed is a block's sum, and what was ruled of the total.
func summed(t testing.TB, g *Gate, p Policy, id string, s *Sum) (Ruled, bool) {
	t.Helper()
	w := window(p.Accepted, id, report.Block4w, 1e6) // more than any answer: the raw figure must not show
	w.Sum = s
	cells, leave := judge(t, g, w, p)
	if len(cells) == 0 {
		t.Fatalf("%s: nothing was ruled", id)
	}
	for _, c := range cells[1:] {
		if says(c) {
			t.Errorf("%s: a part of the sum was told: %+v", id, c)
		}
	}
	return cells[0], leave
}

// A ladder's answers follow on one another from one event of each person to the cap of each; the first holds what counts of people
// can need, the last leaves open that five did it once.
func TestAttackSumsALadder(t *testing.T) {
	t.Parallel()
	for _, users := range []int64{10, 17, 40, 250} {
		for _, most := range []int64{5, 7, 20, 60, 300, 5600} {
			for _, least := range []int64{2, 5, 26} {
				l := ladder{users, least, most}
				answers := 0
				for lo := users; ; answers++ {
					next := l.next(lo)
					hi := next - 1
					if next == 0 {
						hi = users * most
					}
					switch {
					case next != 0 && (next <= lo || hi-lo+1 < 5):
						t.Fatalf("%+v: %d–%d", l, lo, hi)
					case lo == users && next != 0 && hi < users*least:
						t.Fatalf("%+v: the first ends at %d", l, hi)
					case next == 0 && lo > users && hi-lo < 5*(most-1):
						t.Fatalf("%+v: the last begins at %d", l, lo)
					}
					if next == 0 {
						break
					}
					if a, b, _ := l.band(next); a != next || b < a {
						t.Fatalf("%+v: %d is in %d–%d", l, next, a, b)
					}
					lo = next
				}
				if most >= 300 && least < 26 && answers < 10 {
					t.Errorf("%+v has %d answers only", l, answers+1)
				}
			}
		}
	}
}

// even is what is told of a world: nobody counts more often than most, and the two who did most as often as the third.
func even(did []int64, most int64) (sum int64) {
	var top [3]int64
	for _, n := range did {
		n = min(n, most)
		sum += n
		for i := range top {
			if n > top[i] {
				n, top[i] = top[i], n
			}
		}
	}
	return sum - top[0] - top[1] + 2*top[2]
}

// Whoever knows what all others did still finds a fifth of what somebody did possible, at least: the p % rule, for intervals.
func TestAttackSumsHideAFifthOfEverybody(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	narrow, open := math.Inf(1), 0
	for range 20000 {
		l := ladder{int64(10 + r.IntN(40)), 2 + int64(r.IntN(2)*r.IntN(20)), []int64{5, 12, 20, 60, 100, 300, 5600}[r.IntN(7)]}
		did, steep := make([]int64, l.users), 1+5*r.Float64()
		for i := range did {
			did[i] = 1 + int64(float64(l.most-1)*math.Pow(r.Float64(), steep))
		}
		lo, hi, _ := l.band(even(did, l.most))
		who := r.IntN(len(did))
		was := did[who]
		in := func(n int64) int { // beside the answer: below, in it, above
			did[who] = n
			switch v := even(did, l.most); {
			case v < lo:
				return -1
			case v > hi:
				return 1
			}
			return 0
		}
		from := int64(sort.Search(int(l.most), func(n int) bool { return in(int64(n+1)) >= 0 })) + 1
		to := int64(sort.Search(int(l.most), func(n int) bool { return in(int64(n+1)) > 0 }))
		switch {
		case was < from || was > to:
			t.Fatalf("%+v, %d–%d: %d is not in %d–%d", l, lo, hi, was, from, to)
		case to == l.most: // or more often
			open++
		default:
			narrow = min(narrow, float64(to-from+1)/float64(was))
		}
	}
	if t.Logf("narrowest: %.0f %% of what somebody did; nothing bounds it above in %d of 20,000", 100*narrow, open); narrow < 0.2 || open == 20000 {
		t.Errorf("known to %.2f of it", narrow)
	}
}

// The same people did it, and whatever each of them did, also when one did nearly all: the answer is a band of one ladder, in the same
// form, and only the sum decides which.
func TestAttackSumsTheFormTellsNothingOfWhoDidHowMuch(t *testing.T) {
	t.Parallel()
	c := sumsOf(t, countOfA)
	p := policy(c, exchange.Aggregate, 60)
	type answer struct{ lo, hi float64 }
	told := map[answer][2]int64{}
	r := rand.New(rand.NewPCG(5, 6))
	for n := range 600 {
		g := gate(60, 60, p)
		judge(t, g, window(c, "as", report.Block4w, 30), p)
		did := make([]int64, 30)
		for i := range did {
			did[i] = int64(1 + r.IntN(1+n*n/400))
		}
		if n%3 == 0 {
			did[0] = 1 + r.Int64N(5600) // it dominates
		}
		s := &Sum{Bounded: 1e6, Even: even(did, 5600), Users: 30}
		x, leave := summed(t, g, p, "s", s)
		if !leave || x.Form != report.Band || x.Reason != Leaves || float64(s.Even) < x.Lo || float64(s.Even) > x.Hi {
			t.Fatalf("%+v: %+v", s, x)
		}
		a := answer{x.Lo, x.Hi}
		if was, ok := told[a]; ok {
			told[a] = [2]int64{min(was[0], s.Even), max(was[1], s.Even)}
		} else {
			told[a] = [2]int64{s.Even, s.Even}
		}
	}
	var order []answer
	for a := range told {
		order = append(order, a)
	}
	slices.SortFunc(order, func(x, y answer) int { return int(x.lo - y.lo) })
	for i := 1; i < len(order); i++ {
		if order[i].lo <= order[i-1].hi {
			t.Errorf("%v and %v overlap: which was chosen tells more than the sum", order[i-1], order[i])
		}
	}
	if len(order) < 8 {
		t.Errorf("only %d answers were given", len(order))
	}
}

// Why a sum has no answer is public: it follows from catalog and consent, and from what was told of its people.
func TestAttackSumsStayForPublicReasons(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		counts []string
		users  float64 // who did a, of 60
		level  exchange.Level
		sum    *Sum
		want   Reason
	}{
		"told":                  {[]string{countOfA}, 30, exchange.Aggregate, &Sum{400, 400, 30}, Leaves},
		"nine people":           {[]string{countOfA}, 9, exchange.Aggregate, &Sum{400, 400, 9}, UsersNotExact},
		"people in a band":      {[]string{countOfA}, 59, exchange.Aggregate, &Sum{400, 400, 59}, UsersNotExact},
		"other people":          {[]string{countOfA}, 30, exchange.Aggregate, &Sum{400, 400, 31}, Inconsistent},
		"not known":             {[]string{countOfA}, 30, exchange.Aggregate, nil, SumOfEvents},
		"not agreed to":         {[]string{countOfA}, 30, exchange.Local, &Sum{400, 400, 30}, NotConsented},
		"within another":        {[]string{"id: all\n    kind: count\n    events: [a, b]", countOfA}, 30, exchange.Aggregate, &Sum{400, 400, 30}, OverlapsSum},
		"answers too few":       {[]string{countOfA + "\n    cap: 5"}, 10, exchange.Aggregate, &Sum{30, 30, 10}, NoAnswer},
		"of some":               {[]string{"id: s\n    kind: count\n    events: [a]\n    where_user: {role: admin}"}, 30, exchange.Aggregate, &Sum{400, 400, 30}, SumOfSome},
		"people stay elsewhere": {[]string{"id: s\n    kind: count\n    events: [a]"}, 30, exchange.Off, &Sum{400, 400, 30}, UsersNotTold},
	} {
		t.Run(name, func(t *testing.T) {
			c := sumsOf(t, x.counts...)
			p := policy(c, x.level, 60)
			if x.level == exchange.Off { // the sum leaves and its people do not
				p = policy(c, exchange.Aggregate, 60)
				_, i := c.Measure("as")
				c.Measures[i].Category = catalog.Diagnostics
			}
			g := gate(60, 60, p)
			judge(t, g, window(c, "as", report.Block4w, x.users), p)
			got, leave := summed(t, g, p, "s", x.sum)
			if got.Reason != x.want || (got.Form == report.Band) != (x.want == Leaves) || leave != (x.level != exchange.Local) {
				t.Fatalf("%q, want %q: %+v", got.Reason, x.want, got.Cell)
			}
			kept, err := g.Save()
			if err != nil {
				t.Fatal(err)
			}
			h := New(g.cfg)
			if err := h.Load(kept); err != nil {
				t.Fatal(err)
			}
			w := window(c, "s", report.Block4w, 1e6)
			for _, g := range []*Gate{g, h} { // the site's own screens show the same
				form, in, why := g.Show(w, p, got.Series, 1e6, true)
				if x.level != exchange.Local && (form != got.Form || in.Lo != got.Lo || in.Hi != got.Hi || why != got.Reason) {
					t.Errorf("shown as %s %v %q, told as %s %v–%v %q", form, in, why, got.Form, got.Lo, got.Hi, got.Reason)
				}
			}
		})
	}
}

// At totals the site's totals of events leave exactly; whatever is within one of them, or beside it, stays.
func TestAttackSumsNotBesideExactTotals(t *testing.T) {
	t.Parallel()
	c := parsed(t, "id: as\n    kind: active_users\n    events: [a]", "id: all\n    kind: count\n    events: [b]", countOfA+"\n    where_user: {role: admin}", "id: u\n    kind: count\n    events: [a]")
	for level, exact := range map[exchange.Level]bool{exchange.Totals: true, exchange.Aggregate: false} {
		p := policy(c, level, 60)
		g := gate(60, 60, p)
		judge(t, g, window(c, "as", report.Block4w, 30), p)
		if x, _ := summed(t, g, p, "u", &Sum{400, 400, 30}); (x.Form == report.Exact) != exact || (x.Form == report.Band) == exact {
			t.Errorf("%s: %+v", level, x.Cell)
		}
		if x, _ := summed(t, g, p, "s", &Sum{40, 40, 30}); says(x) {
			t.Errorf("%s: %+v", level, x.Cell)
		}
	}
	// One category at totals, the other at aggregate.
	p := policy(c, exchange.Aggregate, 60)
	p.Statement.Categories[1].Level = exchange.Totals
	_, i := c.Measure("all")
	c.Measures[i].Category = catalog.SLA
	g := gate(60, 60, p)
	judge(t, g, window(c, "as", report.Block4w, 30), p)
	if x, _ := summed(t, g, p, "u", &Sum{400, 400, 30}); x.Reason != SumInTotal {
		t.Errorf("%+v", x)
	}
}

// Of a sum before and after somebody joined, what the newcomer did is known no closer than to a fifth, also to whoever knows
// what each of the others did, the same in both blocks.
func TestAttackSumsAroundAJoiner(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	narrow, open := math.Inf(1), 0
	for range 5000 {
		users, most := 10+r.IntN(40), []int64{20, 100, 300, 5600}[r.IntN(4)]
		did := make([]int64, users)
		for i := range did {
			did[i] = 1 + int64(float64(most-1)*math.Pow(r.Float64(), 4))
		}
		was := 1 + int64(float64(most-1)*math.Pow(r.Float64(), 3))
		lo, hi, _ := ladder{int64(users) + 1, 2, most}.band(even(append(did, was), most))
		from := 1 + sort.Search(int(most), func(n int) bool { return even(append(did, int64(n+1)), most) >= lo })
		to := sort.Search(int(most), func(n int) bool { return even(append(did, int64(n+1)), most) > hi })
		if to == int(most) {
			open++
		} else {
			narrow = min(narrow, float64(to-from+1)/float64(was))
		}
	}
	if t.Logf("narrowest: %.0f %% of what the newcomer did; nothing bounds it above in %d of 5,000", 100*narrow, open); narrow < 0.2 {
		t.Errorf("known to %.2f of it", narrow)
	}
}

// The noise of the level strict is for the cap, and where none is declared there is no figure.
func TestAttackSumsAtStrictHaveTheNoiseOfTheCap(t *testing.T) {
	t.Parallel()
	c := sumsOf(t, countOfA+"\n    cap: 40", countOfB)
	p := policy(c, exchange.Strict, 200)
	spread := 0.0
	for range 400 {
		g := gate(200, 200, p)
		x, leave := summed(t, g, p, "s", &Sum{900, 900, 60})
		if !leave || x.Form != report.Noised {
			t.Fatalf("%+v", x)
		}
		spread += math.Abs(x.Lo-900) / 400
	}
	if spread < 33 || spread > 47 { // the mean deviation of noise of scale 40
		t.Errorf("it is %.1f off on the mean", spread)
	}
	g := gate(200, 200, p)
	w := window(c, "t", report.Block4w, 900)
	w.Sum = &Sum{900, 900, 60}
	if cells, leave := judge(t, g, w, p); leave || len(cells) > 0 {
		t.Errorf("without a cap: %+v", cells)
	}
	if cells, leave := judge(t, g, window(c, "s", report.Block4w, 900), p); leave || len(cells) > 0 {
		t.Errorf("of no sum: %+v", cells)
	}
}

// teller is a way to tell a sum: its answer to a world as a number; two worlds of one number look the same.
type teller struct {
	name string
	tell func(l ladder, w world) int64
}

const stays = -1

// TestAttackSumsTheLargest measures what somebody who knows what each person usually does (attacker A) learns of whether they did more than
// usual, by four rules: the sum told exactly; exactly wherever the p % check holds; in bands; and, as it is, in bands with the two
// largest made even with the third.
func TestAttackSumsTheLargest(t *testing.T) {
	t.Parallel()
	rules := []teller{
		{"exact", func(_ ladder, w world) int64 { return w.sum }},
		{"exact, p % check", func(_ ladder, w world) int64 {
			if 5*(w.sum-w.top[0]-w.top[1]) < w.top[0] {
				return stays
			}
			return w.sum
		}},
		{"bands", func(l ladder, w world) int64 { lo, _, _ := l.band(w.sum); return lo }},
		{"as it is", func(l ladder, w world) int64 {
			lo, _, _ := l.band(w.sum - w.top[0] - w.top[1] + 2*w.top[2])
			return lo
		}},
	}
	shapes := map[string]func(r *rand.Rand, i int) float64{
		"even":       func(*rand.Rand, int) float64 { return 20 },
		"uneven":     func(r *rand.Rand, _ int) float64 { return 12 * math.Exp(r.NormFloat64()) },
		"one of all": func(_ *rand.Rand, i int) float64 { return map[bool]float64{true: 1500, false: 3}[i == 0] },
	}
	mean := gains{} // over people as the other families: the largest, one in the middle, the last
	for _, shape := range []string{"even", "uneven", "one of all"} {
		top, stayed, asked := gains{}, map[string]int{}, 0
		for _, n := range []int{12, 30, 100, 300} {
			r := rand.New(rand.NewPCG(uint64(n), 11))
			usual := make([]float64, n)
			for i := range usual {
				usual[i] = shapes[shape](r, i)
			}
			slices.SortFunc(usual, func(a, b float64) int { return int(b*1000) - int(a*1000) })
			for _, target := range []int{0, n / 2, n - 1} {
				worlds := block(r, usual, target, 4000)
				for _, rl := range rules {
					told := make([]int64, len(worlds))
					for i, w := range worlds {
						told[i] = rl.tell(ladder{int64(n), 4, 5600}, w)
					}
					for real := range 25 {
						post := posterior(worlds, told, real)
						of := fmt.Sprintf("%s, %d people", shape, n)
						if rl.name == "as it is" {
							mean.add("", of, 0.5, post)
						}
						if target == 0 {
							top.add(rl.name, of, 0.5, post)
							if told[real] == stays {
								stayed[rl.name]++
							}
						}
					}
				}
			}
			asked += 25
		}
		for _, rl := range rules {
			f := top[rl.name]
			t.Logf("%-11s %-17s the largest: won %5.1f points on the mean, largest shift %3.0f; stayed %3.0f %%", shape, rl.name, f.gain/float64(f.guesses)*100, f.shift*100,
				100*float64(stayed[rl.name])/float64(asked))
		}
		if f := top["as it is"]; stayed["as it is"] > 0 || f.gain/float64(f.guesses) > 0.1 {
			t.Errorf("%s: of the largest too much is learnt, or an answer stayed", shape)
		}
	}
	f := mean[""]
	won := f.gain / float64(f.guesses) * 100
	if t.Logf("all shapes, as it is: won %.2f points on the mean of %d guesses, largest shift %.0f (%s)", won, f.guesses, f.shift*100, f.of); won > 5 {
		t.Error("guessing is better on the mean than without anything sent by more than the 5 points that are allowed")
	}
}

// world is one block: what the target did, and what the rules look at.
type world struct {
	did, sum int64
	top      [3]int64 // the largest, in order
}

// block lets a block pass many times: everybody does what they usually do, half or twice as much now and then.
func block(r *rand.Rand, usual []float64, target, times int) []world {
	out := make([]world, times)
	for k := range out {
		w := &out[k]
		for i, u := range usual {
			did := max(1, min(5600, int64(math.Round(u*math.Exp(0.5*r.NormFloat64())))))
			if w.sum += did; i == target {
				w.did = did
			}
			for j := range w.top {
				if did > w.top[j] {
					did, w.top[j] = w.top[j], did
				}
			}
		}
	}
	return out
}

// posterior is how likely the target did more than usual, for those who see what was told of a real world. A sum told exactly is
// matched to a hundredth: there are not so many worlds.
func posterior(worlds []world, told []int64, real int) float64 {
	dids := make([]int64, len(worlds))
	for i, w := range worlds {
		dids[i] = w.did
	}
	slices.Sort(dids)
	median := dids[len(dids)/2]
	more, all := 0.0, 0.0
	for i, w := range worlds {
		a, b := told[i], told[real]
		if a == stays != (b == stays) || math.Abs(float64(a-b)) > 0.01*float64(b) {
			continue
		}
		all++
		switch {
		case w.did > median:
			more++
		case w.did == median:
			more += 0.5
		}
	}
	return (more + 10) / (all + 20) // some of the prior, so that few worlds do not look like certainty
}
