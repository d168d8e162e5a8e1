package seed

import (
	"context"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/noise"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// FillKinds puts a fleet into the store that tells every kind of measure about people in every
// form, at the grains at which they leave. The catalog is one with measures of all kinds
// (protocol/catalog/testdata/every-kind.yaml). Sites are alike but for their size and form;
// figures of one site agree with each other (steps fall, rungs nest, bands add up).
func FillKinds(ctx context.Context, s Store, c Config) error {
	c.kinds = true
	if c.Accounts == 0 {
		c.Accounts = 160 // the pool needs 100 that tell it
	}
	return Fill(ctx, s, c)
}

// maker makes the cells of one site.
type maker struct {
	f     *seeder
	r     *rand.Rand
	i     int // account
	cells []store.Cell
	group float64 // people of the site
}

func (m *maker) series(measure string, field report.Field, grain report.Grain, dims map[string]string) *store.Series {
	k := fmt.Sprint(measure, field, grain, store.DimsKey(dims))
	if m.f.series[k] == nil {
		x, _ := m.f.cat.Measure(measure)
		if x == nil {
			panic("the catalog has no measure " + measure)
		}
		m.f.series[k] = &store.Series{Measure: x.ID, Hash: x.HashString(), Kind: string(x.Kind), Subject: string(x.Subject), Category: x.Category, Field: field, Grain: grain, Dims: maps.Clone(dims), Pool: x.Pool}
	}
	return m.f.series[k]
}

// put tells a value in the form of the site: exact, in fives, as a third of the group, with
// noise, mostly withheld, or a form that changes from cell to cell.
func (m *maker) put(measure string, field report.Field, grain report.Grain, start int64, v float64, dims ...string) {
	d := map[string]string{}
	for j := 0; j+1 < len(dims); j += 2 {
		d[dims[j]] = dims[j+1]
	}
	v = math.Max(0, math.Round(v))
	c := store.Cell{Series: m.series(measure, field, grain, d), Start: start, Form: report.Exact, Lo: v, Hi: v}
	style := m.i % 7
	if style == 6 {
		style = m.r.IntN(6)
	}
	switch style {
	case 1: // fives, open above
		c.Form, c.Lo = report.Band, 5*math.Floor(v/5)
		if c.Hi = c.Lo + 4; c.Lo >= 60 {
			c.Lo, c.Hi = 60, math.Inf(1)
		}
	case 2: // thirds, and what follows from others
		third := math.Max(1, math.Ceil(m.group/3))
		at := math.Min(2, math.Floor(v/third))
		c.Form, c.Lo, c.Hi = report.Share, at*third, math.Max(v, (at+1)*third)
		if len(dims) > 0 && m.r.IntN(4) == 0 {
			c.Form = report.Implied
		}
	case 4:
		c.Form = report.Suppressed
		c.Lo, c.Hi = 0, 0
		if m.r.IntN(5) == 0 {
			c.Form, c.Lo, c.Hi = report.Band, 10*math.Floor(v/10), 10*math.Floor(v/10)+9
		}
	case 5:
		if x, _ := m.f.cat.Measure(measure); x == nil || !m.strict(x) || grain == report.Block12w {
			break
		}
		c.Form, c.Lo = report.Noised, v+math.Round(m.r.NormFloat64()*2)
		c.Hi = c.Lo
	}
	m.cells = append(m.cells, c)
}

// strict reports whether the measure leaves with noise at that level.
func (m *maker) strict(x *catalog.Measure) bool {
	_, ok := noise.PlanOf(m.f.cat, x, noise.Strict)
	return ok
}

// plain tells a figure about machines or a word.
func (m *maker) plain(measure string, field report.Field, grain report.Grain, start int64, v float64, dims map[string]string) {
	m.cells = append(m.cells, store.Cell{Series: m.series(measure, field, grain, dims), Start: start, Form: report.Exact, Lo: v, Hi: v})
}

// everyKind are the cells of a site: two years of blocks.
func (f *seeder) everyKind(i, n int) []store.Cell {
	m := &maker{f: f, r: rand.New(rand.NewPCG(uint64(i)+5, uint64(n)+11)), i: i, group: float64(24 + 11*(i%11))}
	end := report.CivilStart(report.Block4w, report.CivilDay(f.end(i), time.UTC))
	for b := int64(1); b <= 16; b++ {
		start := end - 28*b
		if start+84 < end-28*14 && i%3 == 0 {
			continue // younger than the rest
		}
		m.block(start, float64(16-b))
		if start == report.CivilStart(report.Block12w, start) && b >= 3 {
			m.cohort(start, end)
		}
	}
	m.plain("first_sent", report.Value, report.Change, f.end(i).AddDate(-1, 0, i%9).Unix(), float64(i%5), nil)
	for w := int64(1); w <= 60; w++ {
		start := report.CivilStart(report.Week, report.CivilDay(f.end(i), time.UTC)) - 7*w
		m.put("people", report.Value, report.Week, start, m.group*(0.6+0.1*math.Sin(float64(w)/6)))
	}
	return m.cells
}

func (m *maker) block(start int64, age float64) {
	g, last := m.group, start+27
	busy := g * (0.62 + 0.08*math.Sin(age/3)) * (0.94 + 0.12*m.r.Float64())
	m.put("people", report.Value, report.Block4w, start, busy)
	for j, role := range []string{"clerk", "manager", catalog.Other} {
		m.put("people", report.Value, report.Block4w, start, busy*[]float64{0.6, 0.25, 0.15}[j], "role", role)
	}
	gained, lost := g*0.12, g*0.1
	if m.i%10 == 3 { // flows cancel out
		gained, lost = g*0.3, g*0.3
	}
	for _, x := range []struct {
		f report.Field
		v float64
	}{{report.New, gained * 0.6}, {report.Resurrected, gained * 0.4}, {report.Retained, busy - gained}, {report.Dormant, lost}} {
		m.put("flow", x.f, report.Block4w, start, x.v)
		m.put("flow", x.f, report.Block4w, start, x.v*0.7, "role", "clerk")
		m.put("flow", x.f, report.Block4w, start, x.v*0.3, "role", catalog.Other)
	}
	m.put("habit", report.Value, report.Rolling28, last, busy)
	for j, bin := range catalog.DayBins() {
		m.put("habit", report.Value, report.Rolling28, last, busy*[]float64{0.1, 0.14, 0.2, 0.22, 0.24, 0.1}[j], "days", bin)
	}
	m.put("parts", report.Value, report.Rolling28, last, busy)
	for j, feature := range []string{"orders", "large_orders", "stock"} {
		share := []float64{0.85, 0.3, 0.5}[j]
		m.put("parts", report.Tried, report.Rolling28, last, busy*share, "feature", feature)
		m.put("parts", report.Adopted, report.Rolling28, last, busy*share*0.7, "feature", feature)
		m.put("parts", report.Habitual, report.Rolling28, last, busy*share*0.4, "feature", feature)
	}
	m.put("seats", report.Value, report.Rolling28, last, busy)
	m.put("seats", report.Peak, report.Rolling28, last, busy*0.55)
	m.plain("seats", report.Purchased, report.Rolling28, last, math.Round(g*(0.7+0.1*float64(m.i%6))), nil)
	m.plain("seats", report.Assigned, report.Rolling28, last, math.Round(g*(0.66+0.1*float64(m.i%6))), nil)
	m.funnels(start, busy)
	total := busy * 30
	m.put("next", report.Value, report.Block4w, start, total)
	for _, from := range []string{"opened", "sent", "report"} {
		for _, to := range []string{"opened", "sent", "report"} {
			weight := map[string]float64{"opened sent": 0.4, "sent opened": 0.22, "sent report": 0.12, "report opened": 0.1}[from+" "+to]
			m.put("next", report.Value, report.Block4w, start, total*max(0.02, weight), "from", from, "to", to)
		}
	}
	m.arms(start, busy*20)
	for j, f := range []report.Field{report.Level, report.Direction, report.Size, report.Confidence} {
		m.plain("moved", f, report.Block4w, start, []float64{math.Round(busy), float64(m.i % 3), float64(m.i % 4), float64(m.i % 3)}[j], nil)
	}
	for j, e := range []string{"bulk_provisioning", "new_group", "invited", "burst", "flows_cancel"} {
		m.plain("moved", report.Value, report.Block4w, start, float64((m.i+j)%3), map[string]string{"evidence": e})
	}
	m.plain("stage", report.Value, report.Block4w, start, float64(m.i%3), nil)
	m.plain("stage", report.Confidence, report.Block4w, start, 2, nil)
}

func (m *maker) funnels(start int64, busy float64) {
	entered := busy * 0.7
	m.put("sending", report.Value, report.Block4w, start, entered)
	reach := []float64{1, 0.7, 0.45}
	for j, step := range []string{"opened", "checked", "sent"} {
		m.put("sending", report.Value, report.Block4w, start, entered*reach[j], "step", step)
		m.put("sending", report.Value, report.Block4w, start, entered*reach[j]*0.65, "channel", "web", "step", step)
		m.put("sending", report.Value, report.Block4w, start, entered*reach[j]*0.35, "channel", catalog.Other, "step", step)
	}
	for j, band := range catalog.TimeBands() {
		if band != "30d" {
			m.put("sending", report.Value, report.Block4w, start, entered*[]float64{0.12, 0.15, 0.1, 0.08, 0, 0.55}[j], "band", band)
		}
	}
}

func (m *maker) arms(start int64, n float64) {
	for _, arm := range []string{"", "north", "south"} {
		w, x := 0.5, 210.0
		switch arm {
		case "":
			w, x = 1, 205
		case "south":
			x = 200
		}
		c := math.Round(n * w)
		d := map[string]string(nil)
		if arm != "" {
			d = map[string]string{"site": arm}
		}
		for f, v := range map[report.Field]float64{report.Count: c, report.SumX: c * x, report.SumXX: c * (x*x + 900), report.SumY: c * 12, report.SumYY: c * (144 + 25), report.SumXY: c * (x*12 + 90)} {
			m.plain("test_by_site", f, report.Block4w, start, v, d)
		}
	}
}

// cohort is one block's newcomers and who of them came back, as far as offsets have closed.
func (m *maker) cohort(start, end int64) {
	size := math.Max(4, m.group*0.35)
	poolOnly := m.i%2 == 0
	if !poolOnly {
		m.put("kept", report.Value, report.Block12w, start, size)
	}
	for o := int64(1); o <= catalog.LastOffset && start+84+7*o+3 <= end; o++ {
		v := size * (0.35 + 0.55*math.Exp(-float64(o)/6))
		if !poolOnly {
			m.put("kept", report.Value, report.Block12w, start, v, "offset", strconv.FormatInt(o, 10))
		}
	}
	noisy := func(v float64, dims map[string]string) {
		v = math.Round(v + m.r.NormFloat64())
		m.cells = append(m.cells, store.Cell{Series: m.series("people", report.Value, report.Block12w, dims), Start: start, Form: report.Noised, Lo: v, Hi: v})
	}
	noisy(m.group*0.7, nil)
	for j, role := range []string{"clerk", "manager", catalog.Other} {
		noisy(m.group*[]float64{0.42, 0.2, 0.01}[j], map[string]string{"role": role})
	}
}

// kindBatches carries the cells of a site, in order of their starts, a block to a batch.
func (f *seeder) kindBatches(ctx context.Context, i, n int, agent exchange.ID, st exchange.Hash) error {
	cells := f.everyKind(i, n)
	slices.SortStableFunc(cells, func(a, b store.Cell) int { return int(a.Start - b.Start) })
	var epoch exchange.ID
	epoch[0], epoch[1], epoch[2] = byte(i), byte(i>>8), byte(n+1)
	b := store.Batch{Agent: agent, Epoch: epoch, Seq: 1, Hash: exchange.Hash(seedOf("batch", i, n)), Bytes: 900, Zone: "Europe/Berlin", Catalog: exchange.Hash(f.cat.Hash), Statement: st, Received: f.end(i).Add(-time.Hour), Cells: cells}
	_, err := f.s.Apply(ctx, []store.Batch{b})
	return err
}
