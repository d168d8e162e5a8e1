// Package noise gives the figures of a closed block their noise: at the level strict, and for the pool.
//
// Which figures can have noise, of which disjoint cells they are made and how much each spends is package
// protocol/noise's; here the noise is drawn, exactly and from integers alone, added, and remembered.
//
// Invariants: a window is drawn once; asked again, also after a restart, the Drawer answers the same. The state
// (Save, Load) is committed with the agent's checkpoint, and a batch is frozen only from what is
// committed: noise that was lost in a crash was never seen. What a measure has spent in a block is
// counted and never passes its ε, for the pool never 4 per block over all measures; what would pass it is
// Suppressed. Whether a figure leaves, and in which form, follows from catalog, consent and
// group size and never from a value.
//
// The caller offers every closed window, those in which nothing happened too, with the exact figures; a series that
// is not among them is nought (of a cohort: its week has not closed).
package noise

import (
	"crypto/rand"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/fieldpost/fieldpost/protocol/catalog"
	shared "github.com/fieldpost/fieldpost/protocol/noise"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Config of the room. The zero value of each field is its documented default.
type Config struct {
	Rand     io.Reader // default crypto/rand.Reader
	MinGroup int       // fewest people at the level strict; default and least 50
}

// Window is one closed window of one measure with its exact figures.
type Window struct {
	Catalog *catalog.Catalog
	Measure int
	Grain   report.Grain
	Start   int64
	Cells   []report.Cell
}

// Drawer draws. It is used by one goroutine.
type Drawer struct {
	cfg    Config
	budget Budget
	drawn  map[string]drawn   // windows that left
	parts  map[string]partial // windows of which parts are missing
}

// New is a Drawer that has drawn nothing.
func New(cfg Config) *Drawer {
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	cfg.MinGroup = max(cfg.MinGroup, shared.MinGroup)
	return &Drawer{cfg: cfg, drawn: map[string]drawn{}, parts: map[string]partial{}}
}

// Released is the window that leaves with noise at the level and that w is or is a part of. ok is false when
// nothing of w leaves with noise. The caller holds the consent against the released window, and where the
// pool takes a window nothing else of it leaves.
func Released(w Window, level string) (g report.Grain, start int64, ok bool) {
	plan, ok := shared.PlanOf(w.Catalog, &w.Catalog.Measures[w.Measure], level)
	if !ok {
		return 0, 0, false
	}
	start, ok = plan.Window(w.Grain, w.Start)
	return plan.Grain, start, ok
}

// Draw is what leaves of a window at the level (Strict or Pool of protocol/noise), Noised or Suppressed, in order: at
// strict every figure of the measure, for the pool those that join it. done is false while parts of the released window are missing: two of three
// blocks of a pooled funnel, a cohort whose kept week has not closed. group is the block's group size;
// the pool takes sites of any size. An error means that there were no random bytes: nothing was spent.
func (d *Drawer) Draw(w Window, level string, group int) (cells []report.Cell, done bool, err error) {
	m := &w.Catalog.Measures[w.Measure]
	plan, ok := shared.PlanOf(w.Catalog, m, level)
	if !ok {
		return nil, false, nil
	}
	start, ok := plan.Window(w.Grain, w.Start)
	if !ok {
		return nil, false, nil
	}
	key := keyOf(level, m, start)
	if have, ok := d.drawn[key]; ok {
		if m.Kind == catalog.Retention { // its windows are offered again with every week that closes
			return nil, false, nil
		}
		return answer(w.Catalog, plan, start, have), true, nil
	}
	of, whole := d.gather(key, plan, start, w)
	if !whole {
		return nil, false, nil
	}
	var now drawn
	block := plan.Block(start)
	if (level == shared.Pool || group >= d.cfg.MinGroup) && d.budget.fits(level, m, block, plan.Milli) {
		if now, err = d.draw(plan, of); err != nil {
			return nil, false, err
		}
		d.budget.spend(Spending{Level: level, Measure: m.ID, Block: block, Days: plan.Days(), Milli: int64(plan.Milli)})
	}
	now.Block = block
	d.drawn[key] = now
	delete(d.parts, key)
	d.forget(block)
	return answer(w.Catalog, plan, start, now), true, nil
}

// Drawn is what was drawn of a window before, for those who only look.
func (d *Drawer) Drawn(w Window, level string) (cells []report.Cell, ok bool) {
	m := &w.Catalog.Measures[w.Measure]
	plan, ok := shared.PlanOf(w.Catalog, m, level)
	if !ok {
		return nil, false
	}
	start, _ := plan.Window(w.Grain, w.Start)
	have, ok := d.drawn[keyOf(level, m, start)]
	if !ok {
		return nil, false
	}
	return answer(w.Catalog, plan, start, have), true
}

func keyOf(level string, m *catalog.Measure, start int64) string {
	return fmt.Sprintf("%s %s %s %d", level, m.ID, m.HashString(), start)
}

// draw gives each cell its noise. The noise is drawn before the counts are looked at.
func (d *Drawer) draw(plan *shared.Plan, of func(report.Series) float64) (drawn, error) {
	s := source{r: d.cfg.Rand}
	var out drawn
	for i, f := range plan.Families {
		num, den := plan.Ratio(i)
		cells := make([]int64, len(f.Cells))
		for j := range cells {
			cells[j] = s.geometric(num, den)
		}
		for j, c := range f.Cells {
			cells[j] += int64(math.Round(c.Exact(of)))
		}
		out.Cells = append(out.Cells, cells)
	}
	return out, s.err
}

// answer is what Draw and Drawn say of a window.
func answer(c *catalog.Catalog, plan *shared.Plan, start int64, have drawn) []report.Cell {
	m := &c.Measures[plan.Measure]
	var out []report.Cell
	add := func(s report.Series) {
		cell := report.Cell{Series: s, Start: start, Form: report.Suppressed}
		family, cells, ok := plan.Cells(s)
		if !ok && plan.Level == shared.Pool {
			return // other levels tell it or not
		}
		if ok && family < len(have.Cells) {
			cell.Form = report.Noised
			for _, n := range cells {
				cell.Lo += float64(have.Cells[family][n])
			}
			cell.Hi = cell.Lo
		}
		out = append(out, cell)
	}
	s := report.Series{Measure: uint16(plan.Measure), Grain: plan.Grain}
	for _, f := range m.Fields() {
		if !public(f) {
			s.Field = f
			add(s)
		}
	}
	for n, b := range c.Breakdowns(m) {
		fields := m.FieldsOf(n + 1)
		for v1, v2 := range b.Cells() {
			for _, f := range fields {
				add(report.Series{Measure: s.Measure, Field: f, Grain: s.Grain, Breakdown: uint8(n + 1), V1: v1, V2: v2})
			}
		}
	}
	slices.SortFunc(out, func(a, b report.Cell) int { return a.Compare(b.Series) })
	return out
}

// public are figures about contracts and calendars: no matter of noise. The gate rules on them.
func public(f report.Field) bool {
	return f == report.Purchased || f == report.Assigned || f == report.Workdays
}
