package noise

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/fieldpost/fieldpost/protocol/catalog"
	shared "github.com/fieldpost/fieldpost/protocol/noise"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// release is one window that an attacker sees of a site, with the exact figures when the person is not there and when
// the person is.
type release struct {
	level         string
	without, with Window
}

// sight is what an attacker who knows everything but whether the person is there makes of one release: the log of how
// much more likely the cells are with the person than without, by the formula and the differences of the
// figures seen. No test tells the two sites apart better (Neyman, Pearson 1933).
type sight struct {
	plan  *shared.Plan
	gamma []float64
	lo    [][]float64 // exact cells without the person
	hi    [][]float64 // and with
	moved []moved
}

func sightOf(r release) sight {
	m := &r.with.Catalog.Measures[r.with.Measure]
	plan, _ := shared.PlanOf(r.with.Catalog, m, r.level)
	s := sight{plan: plan}
	of := func(w Window) func(report.Series) float64 {
		return func(x report.Series) float64 {
			for _, c := range w.Cells {
				y := c.Series
				y.Grain = plan.Grain
				if y == x {
					return c.Lo
				}
			}
			return 0
		}
	}
	for i, f := range plan.Families {
		num, den := plan.Ratio(i)
		s.gamma = append(s.gamma, float64(num)/float64(den))
		var lo, hi []float64
		for _, c := range f.Cells {
			lo, hi = append(lo, c.Exact(of(r.without))), append(hi, c.Exact(of(r.with)))
		}
		s.lo, s.hi = append(s.lo, lo), append(s.hi, hi)
	}
	return s
}

func (s *sight) evidence(cells []report.Cell) (sum float64) {
	if s.moved == nil { // cells come in the same order every time
		at := map[report.Series]int{}
		for i, c := range cells {
			at[c.Series] = i
		}
		for i, f := range s.plan.Families {
			for j, c := range f.Cells {
				if s.lo[i][j] != s.hi[i][j] {
					m := moved{gamma: s.gamma[i], lo: s.lo[i][j], hi: s.hi[i][j], plus: at[c.Plus], minus: -1}
					if c.Less {
						m.minus = at[c.Minus]
					}
					s.moved = append(s.moved, m)
				}
			}
		}
	}
	for _, m := range s.moved {
		x := cells[m.plus].Lo
		if m.minus >= 0 {
			x -= cells[m.minus].Lo
		}
		sum += m.gamma * (math.Abs(x-m.lo) - math.Abs(x-m.hi))
	}
	return sum
}

// moved is a cell that the person changes, and where its figures stand.
type moved struct {
	gamma, lo, hi float64
	plus, minus   int
}

// observe draws runs times at one of the two sites and gives the attacker's evidence, and what the ledger says was spent.
func observe(t *testing.T, seed byte, runs int, with bool, rs ...release) (evidence []float64, epsilon float64) {
	r := rand.NewChaCha8([32]byte{seed})
	var sights []sight
	for _, x := range rs {
		sights = append(sights, sightOf(x))
	}
	evidence = make([]float64, runs)
	for n := range evidence {
		d := New(Config{Rand: r})
		for i, x := range rs {
			w := x.without
			if with {
				w = x.with
			}
			cells, done, err := d.Draw(w, x.level, 100)
			if err != nil || !done {
				t.Fatal(done, err)
			}
			evidence[n] += sights[i].evidence(cells)
		}
		epsilon = d.Total()
	}
	slices.Sort(evidence)
	return evidence, epsilon
}

// worst is the largest log ratio of the probabilities of {evidence ≥ t} (or ≤ t) at two sites, less and more four standard errors.
func worst(a, b []float64) (surely, perhaps float64) {
	n := float64(len(a))
	above := func(x []float64, t float64) float64 {
		i, _ := slices.BinarySearch(x, t-1e-9)
		return float64(len(x) - i)
	}
	surely, perhaps = math.Inf(-1), math.Inf(-1)
	for t := a[0]; t <= a[len(a)-1]; t += .05 {
		for _, p := range [][2]float64{{above(a, t), above(b, t)}, {n - above(b, t), n - above(a, t)}} {
			if p[0] < 50 || p[1] < 50 {
				continue
			}
			ratio, se := math.Log(p[0]/p[1]), math.Sqrt(1/p[0]-1/n+1/p[1]-1/n)
			surely, perhaps = max(surely, ratio-4*se), max(perhaps, ratio+4*se)
		}
	}
	return surely, perhaps
}

// Attacker B of PRIVACY: knows everyone else's activity. 100,000 draws at each of two sites, of which one has a person
// more: no event is more likely at one than at the other by more than exp(ε), ε being what the ledger says was
// spent. The test could fail: against nine tenths of that ε it does.
func TestAttackNeighbouringSitesStayWithinEpsilonExact(t *testing.T) {
	c := vendor()
	alone := vendor()
	alone.Measures[1].Pool = false
	last := block + 27
	pooled := vendor()
	for i := range pooled.Measures {
		pooled.Measures[i].Pool = pooled.Measures[i].ID == "uses"
	}
	for i, x := range []struct {
		name    string
		epsilon float64
		rs      []release
	}{
		{"a maintainer more, strict", 1, []release{{shared.Strict, people(c, report.Block4w, block, 60, 0), people(c, report.Block4w, block, 60, 1)}}},
		{"one of two people, pool", 2, []release{{shared.Pool, people(c, report.Block12w, block, 1, 0), people(c, report.Block12w, block, 1, 1)}}},
		{"the only pooled measure", 4, []release{{shared.Pool, people(alone, report.Block12w, block, 6, 0), people(alone, report.Block12w, block, 7, 0)}}},
		{"strict and pool of the same person", 3, []release{
			{shared.Strict, people(c, report.Block4w, block, 60, 0), people(c, report.Block4w, block, 60, 1)},
			{shared.Pool, people(c, report.Block12w, block, 70, 0), people(c, report.Block12w, block, 70, 1)}}},
		{"someone completes a funnel", 1, []release{{shared.Strict, funnel(c, 9, 5, 2, 1), funnel(c, 10, 6, 3, 2)}}},
		{"someone stays", 1, []release{{shared.Strict, cohort(c, 9, 4), cohort(c, 10, 5)}}},
		{"someone works every day", 1, []release{{shared.Strict,
			window(c, "sticky", report.Rolling28, last, map[fig]float64{{0, 0, report.Value}: 9, {1, 0, report.Value}: 9}),
			window(c, "sticky", report.Rolling28, last, map[fig]float64{{0, 0, report.Value}: 10, {1, 0, report.Value}: 9, {1, 5, report.Value}: 1})}}},
		{"someone uses three features, pool", 4, []release{{shared.Pool, features(pooled, block+83, 4, 0), features(pooled, block+83, 5, 0)}}},
		{"someone lives in three features, strict", 1, []release{{shared.Strict, features(c, last, 4, 2), features(c, last, 5, 3)}}},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			const runs = 100_000
			a, epsilon := observe(t, byte(2*i), runs, true, x.rs...)
			b, _ := observe(t, byte(2*i+1), runs, false, x.rs...)
			if epsilon != x.epsilon {
				t.Fatalf("the ledger says ε %v, PRIVACY %v", epsilon, x.epsilon)
			}
			surely, perhaps := worst(a, b)
			back, _ := worst(b, a)
			if surely > epsilon || back > epsilon {
				t.Errorf("an event is surely exp(%.3f) times as likely at one site, and ε is %v", max(surely, back), epsilon)
			}
			if surely <= .9*epsilon {
				t.Errorf("the worst event seen is exp(%.3f) to exp(%.3f): the test could not find a breach of ε %v", surely, perhaps, epsilon)
			}
			t.Logf("ε %v: the worst event is exp(%.3f) to exp(%.3f) times as likely", epsilon, surely, perhaps)
		})
	}
}

func funnel(c *catalog.Catalog, entered, second, third, quick float64) Window {
	return window(c, "way", report.Block4w, block, map[fig]float64{{0, 0, report.Value}: entered, {1, 0, report.Value}: entered, {1, 1, report.Value}: second, {1, 2, report.Value}: third,
		{2, 0, report.Value}: quick, {2, 1, report.Value}: third - quick, {2, 5, report.Value}: entered - third})
}

func cohort(c *catalog.Catalog, size, kept float64) Window {
	return window(c, "kept", report.Block12w, block, map[fig]float64{{0, 0, report.Value}: size, {1, 3, report.Value}: kept})
}

// features are three of which as many people tried each, and some made it a habit.
func features(c *catalog.Catalog, last int64, tried, habitual float64) Window {
	f := map[fig]float64{{0, 0, report.Value}: 10 + tried}
	for n := range 3 {
		f[fig{1, n, report.Tried}], f[fig{1, n, report.Adopted}], f[fig{1, n, report.Habitual}] = tried, habitual, habitual
	}
	return window(c, "uses", report.Rolling28, last, f)
}

// Every figure, and not only the total, is right on average: 10^5 draws.
func TestExactFiguresAreUnbiased(t *testing.T) {
	c := vendor()
	r := rand.NewChaCha8([32]byte{99})
	for _, x := range []release{{level: shared.Strict, with: funnel(c, 40, 21, 9, 4)}, {level: shared.Pool, with: people(c, report.Block12w, block, 5, 2)}} {
		const runs = 100_000
		sum := map[report.Series]float64{}
		for range runs {
			cells, _ := draw(t, New(Config{Rand: r}), x.with, x.level, 100)
			for _, f := range cells {
				sum[f.Series] += f.Lo
			}
		}
		exact := map[report.Series]float64{}
		for _, f := range x.with.Cells {
			s := f.Series
			if x.level == shared.Pool {
				s.Grain = report.Block12w
			}
			exact[s] = f.Lo
		}
		m := &c.Measures[x.with.Measure]
		told := 0
		for s, v := range sum {
			p, ok := shared.Of(c, m, x.level, s)
			if !ok {
				continue
			}
			told++
			if mean, sd := v/runs, math.Sqrt(p.Variance()/runs); math.Abs(mean-exact[s]) > 4.5*sd {
				t.Errorf("%s at %s: %+v is %.4f on average and exactly %v (± %.4f)", m.ID, x.level, s, mean, exact[s], sd)
			}
		}
		if told < 5 {
			t.Errorf("%s: only %d figures were looked at", m.ID, told)
		}
	}
}
