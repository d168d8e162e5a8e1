package noise

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/fieldpost/fieldpost/protocol/catalog"
	shared "github.com/fieldpost/fieldpost/protocol/noise"
	"github.com/fieldpost/fieldpost/protocol/report"
)

const file = `catalog: t
version: 1
vendor: V
events: {e: {match: E}, f: {match: F}, g: {match: G}}
traits: {role: {values: [contributor, maintainer]}}
measures:
  - {id: people, kind: active_users, events: [e], by: [role], pool: true, category: usage, question: q, purpose: p, owner: o, retention: forever}
  - {id: way, kind: funnel, steps: [{id: a, event: e}, {id: b, event: f}, {id: c, event: g}], window: 48h, pool: true, category: usage, question: q, purpose: p, owner: o, retention: forever}
  - {id: kept, kind: retention, events: [e], category: usage, question: q, purpose: p, owner: o, retention: forever}
  - {id: sticky, kind: stickiness, events: [e], category: usage, question: q, purpose: p, owner: o, retention: forever}
  - {id: uses, kind: adoption, events: [e, f, g], features: {f: {events: [e]}, g: {events: [f]}, h: {events: [g]}}, category: usage, question: q, purpose: p, owner: o, retention: forever}
  - {id: seats, kind: seats, events: [e], category: usage, question: q, purpose: p, owner: o, retention: forever}
  - {id: events, kind: count, events: [e], category: usage, question: q, purpose: p, owner: o, retention: forever}
`

func vendor() *catalog.Catalog {
	c, err := catalog.Parse([]byte(file))
	if err != nil {
		panic(err)
	}
	return c
}

var block = report.CivilStart(report.Block12w, 20_000)

// exact is a closed window; figures are named as breakdown, v1, field.
type fig struct {
	b, v1 int
	f     report.Field
}

func window(c *catalog.Catalog, id string, g report.Grain, start int64, figures map[fig]float64) Window {
	_, i := c.Measure(id)
	w := Window{Catalog: c, Measure: i, Grain: g, Start: start}
	for f, v := range figures {
		w.Cells = append(w.Cells, report.Cell{Series: report.Series{Measure: uint16(i), Field: f.f, Grain: g, Breakdown: uint8(f.b), V1: uint16(f.v1)}, Start: start, Form: report.Exact, Lo: v, Hi: v})
	}
	slices.SortFunc(w.Cells, func(a, b report.Cell) int { return a.Compare(b.Series) })
	return w
}

func people(c *catalog.Catalog, g report.Grain, start int64, contributors, maintainers float64) Window {
	return window(c, "people", g, start, map[fig]float64{{0, 0, report.Value}: contributors + maintainers, {1, 0, report.Value}: contributors, {1, 1, report.Value}: maintainers})
}

func draw(t testing.TB, d *Drawer, w Window, level string, group int) ([]report.Cell, bool) {
	t.Helper()
	cells, done, err := d.Draw(w, level, group)
	if err != nil {
		t.Fatal(err)
	}
	return cells, done
}

func TestAWindowIsDrawnOnceAlsoAcrossRestarts(t *testing.T) {
	c := vendor()
	d := New(Config{Rand: seeded(1)})
	w := people(c, report.Block4w, block, 60, 20)
	first, done := draw(t, d, w, shared.Strict, 80)
	if !done || len(first) != 5 {
		t.Fatalf("%v %+v", done, first)
	}
	for n := range 20 {
		again := New(Config{Rand: seeded(byte(n))})
		saved, err := d.Save()
		if err != nil {
			t.Fatal(err)
		}
		if err := again.Load(saved); err != nil {
			t.Fatal(err)
		}
		w.Cells[0].Lo++ // also if the figures were others now
		cells, done := draw(t, again, w, shared.Strict, 80)
		if d := cmp.Diff(first, cells); d != "" || !done {
			t.Fatalf("drawn again: %s", d)
		}
		if looked, ok := again.Drawn(w, shared.Strict); !ok || cmp.Diff(first, looked) != "" {
			t.Fatal("Drawn says something else")
		}
		if resaved, _ := again.Save(); !bytes.Equal(saved, resaved) || again.Total() != 1 {
			t.Fatalf("asking changes the state; spent %v", again.Total())
		}
		d = again
	}
}

func TestFiguresOfOneWindowAgreeWithEachOther(t *testing.T) {
	c := vendor()
	d := New(Config{Rand: seeded(2)})
	cells, _ := draw(t, d, people(c, report.Block4w, block, 60, 20), shared.Strict, 80)
	sum := 0.0
	for _, x := range cells {
		if err := x.Check(); err != nil || x.Form != report.Noised || x.Grain != report.Block4w || x.Start != block {
			t.Errorf("%+v: %v", x, err)
		}
		if x.Breakdown == 1 {
			sum += x.Lo
		}
	}
	if cells[0].Lo != sum {
		t.Errorf("total %v, roles add up to %v", cells[0].Lo, sum)
	}
}

func TestWhatCannotHaveNoiseIsSuppressed(t *testing.T) {
	c := vendor()
	d := New(Config{Rand: seeded(3)})
	last := block + 27
	told := func(cells []report.Cell) (out []string) {
		for _, x := range cells {
			if x.Form == report.Noised {
				out = append(out, fmt.Sprintf("%s/%d/%d", x.Field, x.Breakdown, x.V1))
			} else if x.Form != report.Suppressed || x.Lo != 0 || x.Hi != 0 {
				t.Errorf("%+v", x)
			}
		}
		return out
	}
	cells, done := draw(t, d, window(c, "sticky", report.Rolling28, last, map[fig]float64{{0, 0, report.Value}: 9, {0, 0, report.Daily}: 90, {1, 2, report.Value}: 9}), shared.Strict, 50)
	if got := told(cells); !done || len(got) != 7 || len(cells) != 9 { // total and six bins; daily and working; not the calendar's workdays
		t.Errorf("stickiness tells %v of %d", got, len(cells))
	}
	cells, _ = draw(t, d, window(c, "seats", report.Rolling28, last, map[fig]float64{{0, 0, report.Value}: 9, {0, 0, report.Purchased}: 90}), shared.Strict, 50)
	if got := told(cells); !slices.Equal(got, []string{"value/0/0", "peak/0/0"}) {
		t.Errorf("seats tell %v", got)
	}
	if _, done := draw(t, d, window(c, "events", report.Block4w, block, map[fig]float64{{0, 0, report.Value}: 9}), shared.Strict, 50); done {
		t.Error("a count of events, to which one user can add any number, leaves with noise")
	}
	if _, done := draw(t, d, window(c, "sticky", report.Rolling28, last-1, nil), shared.Strict, 50); done {
		t.Error("a rolling28 that ends no block leaves")
	}
	if _, done := draw(t, d, people(c, report.Week, block, 5, 5), shared.Strict, 50); done {
		t.Error("a week leaves at strict")
	}
	cells, done = draw(t, d, people(c, report.Block4w, block, 40, 9), shared.Strict, 49)
	if got := told(cells); !done || len(got) != 0 || len(cells) != 5 {
		t.Errorf("49 people: %v", cells)
	}
	for _, s := range d.Spent() {
		if s.Measure == "people" {
			t.Errorf("what is suppressed has spent %+v", s)
		}
	}
	cells, done = draw(t, d, people(c, report.Block12w, block, 3, 1), shared.Pool, 4)
	if got := told(cells); !done || len(got) != 5 {
		t.Errorf("the pool takes small sites: %v", cells)
	}
}

func TestAPooledFunnelIsItsThreeBlocks(t *testing.T) {
	c := vendor()
	part := func(n int64, entered, second, third float64) Window {
		return window(c, "way", report.Block4w, block+28*n, map[fig]float64{{0, 0, report.Value}: entered, {1, 0, report.Value}: entered, {1, 1, report.Value}: second, {1, 2, report.Value}: third})
	}
	const runs = 20_000
	var sum [4]float64
	for n := range runs {
		d := New(Config{Rand: rand.NewChaCha8([32]byte{byte(n), byte(n >> 8)})})
		if _, done := draw(t, d, part(0, 10, 6, 2), shared.Pool, 0); done {
			t.Fatal("a third of a block leaves")
		}
		if _, done := draw(t, d, part(0, 10, 6, 2), shared.Pool, 0); done {
			t.Fatal("the same third twice")
		}
		b, _ := d.Save() // a restart in between
		d = New(Config{Rand: rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), 1})})
		if err := d.Load(b); err != nil {
			t.Fatal(err)
		}
		draw(t, d, part(1, 0, 0, 0), shared.Pool, 0)
		cells, done := draw(t, d, part(2, 5, 4, 3), shared.Pool, 0)
		if !done || cells[0].Start != block || cells[0].Grain != report.Block12w || cells[0].Lo != cells[1].Lo {
			t.Fatalf("%v %+v", done, cells)
		}
		for i := range sum {
			sum[i] += cells[i].Lo
		}
	}
	for i, want := range []float64{15, 15, 10, 5} {
		if got := sum[i] / runs; math.Abs(got-want) > .03 {
			t.Errorf("figure %d is %v on average, should be %v", i, got, want)
		}
	}
}

func TestACohortWaitsForTheWeekThatIsKept(t *testing.T) {
	c := vendor()
	d := New(Config{Rand: seeded(4)})
	size := window(c, "kept", report.Block12w, block, map[fig]float64{{0, 0, report.Value}: 9, {1, 0, report.Value}: 8})
	if _, done := draw(t, d, size, shared.Strict, 50); done {
		t.Fatal("leaves before the kept week has closed")
	}
	week4 := window(c, "kept", report.Block12w, block, map[fig]float64{{1, 3, report.Value}: 5})
	cells, done := draw(t, d, week4, shared.Strict, 50)
	if !done || cells[0].Form != report.Noised || cells[4].Form != report.Noised || cells[1].Form != report.Suppressed || len(cells) != 27 {
		t.Fatalf("%v %+v", done, cells)
	}
	if _, done := draw(t, d, window(c, "kept", report.Block12w, block, map[fig]float64{{1, 4, report.Value}: 5}), shared.Strict, 50); done {
		t.Error("every later week would send the cohort again")
	}
	for i := range c.Measures { // the pool is told the kept week alone, which is a window of its own
		c.Measures[i].Pool = c.Measures[i].ID == "kept"
	}
	if _, done := draw(t, d, size, shared.Pool, 7); done {
		t.Error("the pool is told a cohort's size")
	}
	cells, done = draw(t, d, week4, shared.Pool, 7)
	if !done || len(cells) != 1 || cells[0].Form != report.Noised || cells[0].V1 != 3 {
		t.Errorf("%v %+v", done, cells)
	}
}

func TestReleasedNamesTheWindowThatConsentMustCover(t *testing.T) {
	c := vendor()
	g, start, ok := Released(window(c, "way", report.Block4w, block+28, nil), shared.Pool)
	if !ok || g != report.Block12w || start != block {
		t.Errorf("%s %d %v", g, start, ok)
	}
	if _, _, ok := Released(window(c, "kept", report.Block12w, block, nil), shared.Pool); ok {
		t.Error("a measure that is not pooled is taken by the pool")
	}
}

// Exact in thousandths: what was spent adds up, over any order of windows, restarts and changes of the catalog, and
// never passes a measure's ε in a block nor the pool's 4 over all measures.
func TestExactEpsilonAddsUpAndIsNeverPassed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := New(Config{Rand: seeded(5)})
		sent := map[string]uint64{} // ε by what left
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			c := vendor()
			c.Measures[0].DefHash[0] = byte(rapid.IntRange(0, 2).Draw(t, "definition"))
			c.Measures[0].Epsilon = []float64{.1, 1, 4}[rapid.IntRange(0, 2).Draw(t, "ε")]
			c.Measures[1].Pool = rapid.Bool().Draw(t, "two pooled")
			at := block + 84*int64(rapid.IntRange(0, 2).Draw(t, "block"))
			w, level := people(c, report.Block12w, at, 5, 5), shared.Pool
			if rapid.Bool().Draw(t, "strict") {
				w, level = people(c, report.Block4w, at, 5, 5), shared.Strict
			}
			if rapid.Bool().Draw(t, "other") {
				_, i := c.Measure("way")
				c.Measures[i].Pool = true
				w, level = window(c, "way", report.Block4w, at+28*int64(rapid.IntRange(0, 2).Draw(t, "third")), nil), shared.Pool
			}
			if rapid.IntRange(0, 4).Draw(t, "restart") == 0 {
				b, err := d.Save()
				if err != nil {
					t.Fatal(err)
				}
				if err := d.Load(b); err != nil {
					t.Fatal(err)
				}
			}
			_, was := d.Drawn(w, level)
			cells, done, err := d.Draw(w, level, 100)
			if err != nil {
				t.Fatal(err)
			}
			if m := &c.Measures[w.Measure]; done && !was && cells[0].Form == report.Noised {
				plan, _ := shared.PlanOf(c, m, level)
				sent[fmt.Sprintf("%s %s %d", level, m.ID, at)] += plan.Milli
			}
		}
		total, pool := uint64(0), map[int64]uint64{}
		spent := map[string]uint64{}
		for _, s := range d.Spent() {
			spent[fmt.Sprintf("%s %s %d", s.Level, s.Measure, s.Block)] += uint64(s.Milli)
			total += uint64(s.Milli)
			if s.Level == shared.Pool {
				pool[s.Block] += uint64(s.Milli)
			}
			if s.Milli > 4000 {
				t.Fatalf("%+v", s)
			}
		}
		if !maps.Equal(sent, spent) {
			t.Fatalf("what left spent %v, the budget says %v", sent, spent)
		}
		for b, n := range pool {
			if n > shared.PoolMilli() {
				t.Fatalf("the pool spent %d in block %d", n, b)
			}
		}
		if got := d.Total(); got != float64(total)/1000 || d.SpentIn(block, block+1000) != got || d.SpentIn(0, block-1) != 0 {
			t.Fatalf("total %v, by block %d", got, total)
		}
	})
}

func TestOldSpendingIsSummedUpAndStillCounts(t *testing.T) {
	c := vendor()
	d := New(Config{Rand: seeded(6)})
	const blocks = 100 // 23 years
	for n := range int64(blocks) {
		draw(t, d, people(c, report.Block12w, block+84*n, 5, 2), shared.Pool, 7)
	}
	if got := d.Total(); got != 2*blocks {
		t.Errorf("ε %v after %d blocks", got, blocks)
	}
	if n := len(d.Spent()); n > 25 || d.Spent()[0].Block != -1 {
		t.Errorf("%d lines of spending, the first %+v", n, d.Spent()[0])
	}
	if b, _ := d.Save(); len(b) > 4096 {
		t.Errorf("a state of %d bytes", len(b))
	}
}

func TestNoRandomBytesSpendNothingAndAreAskedAgain(t *testing.T) {
	c := vendor()
	d := New(Config{Rand: bytes.NewReader(nil)})
	for n := range int64(2) {
		draw(t, d, window(c, "way", report.Block4w, block+28*n, map[fig]float64{{0, 0, report.Value}: 5, {1, 0, report.Value}: 5}), shared.Pool, 0)
	}
	last := window(c, "way", report.Block4w, block+56, nil)
	if _, done, err := d.Draw(last, shared.Pool, 0); err == nil || done || d.Total() != 0 {
		t.Fatalf("done %v, error %v, spent %v", done, err, d.Total())
	}
	d.cfg.Rand = seeded(9)
	if cells, done := draw(t, d, last, shared.Pool, 0); !done || cells[0].Lo < 0 || d.Total() != 2 {
		t.Errorf("%v %+v", done, cells)
	}
}

func BenchmarkDrawAWindow(b *testing.B) {
	c := vendor()
	for b.Loop() {
		d := New(Config{})
		draw(b, d, people(c, report.Block4w, block, 60, 20), shared.Strict, 80)
	}
}
