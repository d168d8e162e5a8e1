package noise

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// vendor is a catalog with one measure of every kind that can have noise, and some that cannot.
func vendor() *catalog.Catalog {
	day := 24 * time.Hour
	steps := []catalog.Step{{ID: "a", Event: "e"}, {ID: "b", Event: "e"}, {ID: "c", Event: "e"}}
	return &catalog.Catalog{
		Events: []catalog.Event{{ID: "e", Properties: []catalog.Property{{Name: "area", Values: []string{"x", "y"}}}}},
		Traits: []catalog.Property{
			{Name: "role", Values: []string{"contributor", "maintainer", "automation"}, NotPeople: []string{"automation"}},
			{Name: "land", Values: []string{"a", "b", "c", "d", "e", "f", "g", "h", "i"}}},
		Measures: []catalog.Measure{
			{ID: "people", Kind: catalog.ActiveUsers, Subject: catalog.Person, Events: []string{"e"}, By: [][]string{{"area"}, {"role"}, {"land"}, {"role", "land"}}, Pool: true},
			{ID: "lands", Kind: catalog.ActiveUsers, Subject: catalog.Person, Events: []string{"e"}, By: [][]string{{"land"}}},
			{ID: "flow", Kind: catalog.Lifecycle, Subject: catalog.Person, Events: []string{"e"}, By: [][]string{{"role"}}, Epsilon: 2},
			{ID: "kept", Kind: catalog.Retention, Subject: catalog.Person, Events: []string{"e"}},
			{ID: "way", Kind: catalog.Funnel, Subject: catalog.Person, Steps: steps, Window: 2 * day, Entry: "first", Split: "role", Pool: true},
			{ID: "again", Kind: catalog.Funnel, Subject: catalog.Person, Steps: steps, Window: 15 * day, Entry: "each"},
			{ID: "often", Kind: catalog.Funnel, Subject: catalog.Person, Steps: steps, Window: day, Entry: "each"},
			{ID: "objects", Kind: catalog.Funnel, Subject: catalog.Person, Steps: steps, Window: day, Entry: "first", Correlate: "area"},
			{ID: "sticky", Kind: catalog.Stickiness, Subject: catalog.Person, Events: []string{"e"}},
			{ID: "uses", Kind: catalog.Adoption, Subject: catalog.Person, Events: []string{"e"}, Uses: 2, Features: []catalog.Feature{{ID: "f"}, {ID: "g"}, {ID: "h"}}},
			{ID: "seats", Kind: catalog.Seats, Subject: catalog.Person, Events: []string{"e"}},
			{ID: "events", Kind: catalog.Count, Subject: catalog.Person, Events: []string{"e"}},
			{ID: "sums", Kind: catalog.Distribution, Subject: catalog.Person, Events: []string{"e"}},
			{ID: "paths", Kind: catalog.Transitions, Subject: catalog.Person, Steps: steps},
			{ID: "load", Kind: catalog.Count, Subject: catalog.Traffic, Events: []string{"e"}},
		}}
}

func measure(c *catalog.Catalog, id string) *catalog.Measure {
	m, _ := c.Measure(id)
	return m
}

func TestWhatLeavesWithNoiseAndAtWhichEpsilon(t *testing.T) {
	type row struct {
		Level, Measure string
		Grain, Source  report.Grain
		Epsilon        float64
		Families       string
	}
	var got []row
	c := vendor()
	for i := range c.Measures {
		for _, level := range []string{Strict, Pool} {
			m := &c.Measures[i]
			was := m.Pool
			m.Pool = m.Pool || level == Pool
			p, ok := PlanOf(c, m, level)
			m.Pool = was
			if !ok {
				continue
			}
			r := row{level, m.ID, p.Grain, p.Source, float64(p.Milli) / 1000, ""}
			for _, f := range p.Families {
				r.Families += fmt.Sprintf("%s %d/%d; ", f.Name, len(f.Cells), f.Sensitivity)
			}
			got = append(got, r)
		}
	}
	const third = 1.333 // with a third pooled measure, as the loop makes one
	want := []row{
		{Strict, "people", report.Block4w, report.Block4w, 1, "by role 4/1; by land 11/1; "},
		{Pool, "people", report.Block12w, report.Block12w, 2, "by role 4/1; "},
		{Strict, "lands", report.Block4w, report.Block4w, 1, "by land 11/1; total 1/1; "},
		{Pool, "lands", report.Block12w, report.Block12w, third, "by land 11/1; total 1/1; "},
		{Strict, "flow", report.Block4w, report.Block4w, 2, "by role 16/1; "},
		{Pool, "flow", report.Block12w, report.Block4w, third, "by role 16/3; "},
		{Strict, "kept", report.Block12w, report.Block12w, 1, "size 1/1; still active 1/1; "},
		{Pool, "kept", report.Block12w, report.Block12w, third, "still active 1/1; "},
		{Strict, "way", report.Block4w, report.Block4w, 1, "last step 3/1; time to the last step 4/1; last step by role 12/1; "},
		{Pool, "way", report.Block12w, report.Block4w, 2, "last step 3/1; "},
		{Strict, "again", report.Block4w, report.Block4w, 1, "last step 3/2; time to the last step 6/2; "},
		{Strict, "sticky", report.Rolling28, report.Rolling28, 1, "days active 6/1; "},
		{Strict, "uses", report.Rolling28, report.Rolling28, 1, "eligible 1/1; uses of f 3/1; uses of g 3/1; uses of h 3/1; "},
		{Pool, "uses", report.Block12w, report.Rolling28, third, "tried 3/3; "},
		{Strict, "seats", report.Rolling28, report.Rolling28, 1, "active 1/1; peak 1/1; "},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// The noise a pooled cell has must follow from the cell: no 12-week window of a pooled measure may leave at strict.
func TestPooledWindowsHaveOneNoise(t *testing.T) {
	c := vendor()
	kept := measure(c, "kept")
	kept.Pool = true
	if _, ok := PlanOf(c, kept, Strict); ok {
		t.Error("a pooled retention leaves at strict too, and the store could not tell the two apart")
	}
	kept.Category = catalog.Pool
	kept.Pool = false
	if _, ok := PlanOf(c, kept, Strict); ok {
		t.Error("a measure of the category pool leaves outside the pool")
	}
}

func TestTheWindowsThatLeave(t *testing.T) {
	c := vendor()
	block12 := report.CivilStart(report.Block12w, 20000)
	for _, x := range []struct {
		measure, level string
		grain          report.Grain
		start, want    int64
		ok             bool
	}{
		{"people", Strict, report.Block4w, block12, block12, true},
		{"people", Strict, report.Week, block12, 0, false},
		{"people", Pool, report.Block12w, block12, block12, true},
		{"people", Pool, report.Block4w, block12, 0, false},
		{"way", Pool, report.Block4w, block12 + 28, block12, true},
		{"way", Pool, report.Block4w, block12 + 84, block12 + 84, true},
		{"sticky", Strict, report.Rolling28, block12 + 27, block12 + 27, true},
		{"sticky", Strict, report.Rolling28, block12 + 26, 0, false},
		{"uses", Pool, report.Rolling28, block12 + 27, 0, false},
		{"uses", Pool, report.Rolling28, block12 + 83, block12, true},
	} {
		m := measure(c, x.measure)
		m.Pool = m.Pool || x.level == Pool
		p, ok := PlanOf(c, m, x.level)
		if !ok {
			t.Fatalf("no plan for %s at %s", x.measure, x.level)
		}
		got, ok := p.Window(x.grain, x.start)
		if ok != x.ok || ok && got != x.want {
			t.Errorf("%s %s %s %d: %d %v, want %d %v", x.measure, x.level, x.grain, x.start, got, ok, x.want, x.ok)
		}
	}
}

// What the families of a measure spend is its ε, and every figure is a sum of cells of one family.
func TestExactFamiliesSpendTheMeasuresEpsilon(t *testing.T) {
	c := vendor()
	for i := range c.Measures {
		for _, level := range []string{Strict, Pool} {
			p, ok := PlanOf(c, &c.Measures[i], level)
			if !ok {
				continue
			}
			sum := 0.0
			for n, f := range p.Families {
				num, den := p.Ratio(n)
				sum += float64(f.Sensitivity) * float64(num) / float64(den)
			}
			if math.Abs(sum-float64(p.Milli)/1000) > 1e-12 {
				t.Errorf("%s at %s: families spend %v of %v", c.Measures[i].ID, level, sum, float64(p.Milli)/1000)
			}
			for s, at := range p.at {
				q, ok := Of(c, &c.Measures[i], level, s)
				if !ok || q.Draws != len(at.cells) || q.Epsilon != float64(p.Milli)/1000 || q.Gamma() <= 0 {
					t.Errorf("%s at %s: %+v", c.Measures[i].ID, level, q)
				}
			}
		}
	}
	if _, ok := Of(c, measure(c, "seats"), Strict, report.Series{Field: report.Purchased, Grain: report.Rolling28}); ok {
		t.Error("what a contract says has noise")
	}
}

// user is all that matters of one user in one window, for every kind at once.
type user struct {
	role, land   int
	states       [3]int // lifecycle: field in each of three windows
	cohort, kept bool   // retention
	entered      int    // times into the funnel
	last, band   int
	bin          int
	eligible     bool
	rungs        [3]int // adoption: 0 none, 1 tried, 2 adopted, 3 habitual
	hours        [4]bool
}

func anyUser(t *rapid.T, name string) user {
	in := func(n int) int { return rapid.IntRange(0, n-1).Draw(t, name) }
	u := user{role: []int{0, 1, 3, 4}[in(4)], land: in(11), states: [3]int{in(4), in(4), in(4)}, cohort: in(2) == 0, kept: in(2) == 0, entered: in(3), last: in(3), band: in(6), bin: in(6), eligible: in(2) == 0}
	for i := range u.rungs {
		u.rungs[i] = in(4)
	}
	for i := range u.hours {
		u.hours[i] = in(2) == 0
	}
	return u
}

// figures are the exact figures of a set of users, counted as MEASURES says and knowing nothing of families.
func figures(level string, m *catalog.Measure, users []user) map[report.Series]float64 {
	out := map[report.Series]float64{}
	add := func(f report.Field, b, v1, v2 int) {
		out[report.Series{Field: f, Breakdown: uint8(b), V1: uint16(v1), V2: uint16(v2)}]++
	}
	var hours [4]float64
	for _, u := range users {
		switch m.Kind {
		case catalog.ActiveUsers, catalog.Lifecycle:
			countPeople(level, m, u, add)
		case catalog.Retention:
			if u.cohort {
				add(report.Value, 0, 0, 0)
			}
			if u.kept { // also who was not counted four weeks before: an automation that became a person
				add(report.Value, 1, keptOffset-1, 0)
			}
		case catalog.Funnel:
			n := min(u.entered, 1)
			if m.Entry == "each" {
				n = u.entered
			}
			for range n {
				add(report.Value, 0, 0, 0)
				for s := 0; s <= u.last; s++ {
					add(report.Value, 1, s, 0)
					add(report.Value, 3, u.role, s)
				}
				band := 5
				if u.last == 2 {
					band = u.band
				}
				if m.Window < 72*time.Hour && band > 2 {
					band = 5
				}
				add(report.Value, 2, band, 0)
			}
		case catalog.Stickiness:
			add(report.Value, 0, 0, 0)
			add(report.Value, 1, u.bin, 0)
		case catalog.Adoption:
			if !u.eligible {
				continue
			}
			add(report.Value, 0, 0, 0)
			for n, r := range u.rungs {
				for i, f := range []report.Field{report.Tried, report.Adopted, report.Habitual} {
					if r > i {
						add(f, 1, n, 0)
					}
				}
			}
		case catalog.Seats:
			add(report.Value, 0, 0, 0)
			for i, h := range u.hours {
				if h {
					hours[i]++
				}
			}
		}
	}
	if m.Kind == catalog.Seats {
		out[report.Series{Field: report.Peak}] = slices.Max(hours[:])
	}
	return out
}

func countPeople(level string, m *catalog.Measure, u user, add func(f report.Field, b, v1, v2 int)) {
	windows := []report.Field{report.Value}
	if m.Kind == catalog.Lifecycle {
		windows = []report.Field{m.Fields()[u.states[0]]}
		for _, n := range u.states[1:] {
			if level == Pool {
				windows = append(windows, m.Fields()[n])
			}
		}
	}
	for _, f := range windows {
		add(f, 0, 0, 0)
		for n, by := range m.By {
			switch {
			case len(by) == 2:
				add(f, n+1, u.role, u.land)
			case by[0] == "role":
				add(f, n+1, u.role, 0)
			case by[0] == "land":
				add(f, n+1, u.land, 0)
			}
		}
	}
}

// The claim everything rests on: whoever comes or goes, no family's cells change by more than its sensitivity, and
// the cells of a figure add up to the figure.
func TestAttackOneUserMovesAFamilyByItsSensitivityAtMost(t *testing.T) {
	c := vendor()
	for i := range c.Measures {
		for _, level := range []string{Strict, Pool} {
			m := &c.Measures[i]
			was := m.Pool
			m.Pool = m.Pool || level == Pool
			plan, ok := PlanOf(c, m, level)
			m.Pool = was
			if !ok {
				continue
			}
			reached := make([]int, len(plan.Families))
			rapid.Check(t, func(t *rapid.T) {
				var users []user
				for n := range rapid.IntRange(0, 12).Draw(t, "users") {
					users = append(users, anyUser(t, fmt.Sprint(n)))
				}
				one := append(slices.Clone(users), anyUser(t, "more"))
				with, without := lookup(plan, figures(level, m, one)), lookup(plan, figures(level, m, users))
				for n, f := range plan.Families {
					moved := 0.0
					for _, cell := range f.Cells {
						moved += math.Abs(cell.Exact(with) - cell.Exact(without))
					}
					if moved > float64(f.Sensitivity) {
						t.Fatalf("%s at %s: one user moves %q by %v, said to be %d", m.ID, level, f.Name, moved, f.Sensitivity)
					}
					reached[n] = max(reached[n], int(moved))
				}
				for s, at := range plan.at {
					sum := 0.0
					for _, n := range at.cells {
						sum += plan.Families[at.family].Cells[n].Exact(with)
					}
					if sum != with(s) {
						t.Fatalf("%s at %s: cells of %+v add up to %v, the figure is %v", m.ID, level, s, sum, with(s))
					}
				}
			})
			for n, f := range plan.Families {
				if reached[n] != f.Sensitivity {
					t.Errorf("%s at %s: nobody moved %q by more than %d; the test saw too little or %d is too much", m.ID, level, f.Name, reached[n], f.Sensitivity)
				}
			}
		}
	}
}

func lookup(p *Plan, exact map[report.Series]float64) func(report.Series) float64 {
	return func(s report.Series) float64 {
		s.Measure, s.Grain = 0, 0
		return exact[s]
	}
}
