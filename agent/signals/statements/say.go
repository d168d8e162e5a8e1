package statements

import (
	"math"
	"slices"
	"time"

	"github.com/fieldpost/fieldpost/agent/signals"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Statement is what is said of one block, or one week.
type Statement struct {
	Start      int64            `json:"start"` // civil day
	Known      bool             `json:"known,omitempty"`
	Lo         float64          `json:"lo,omitempty"` // the level
	Hi         float64          `json:"hi,omitempty"` // math.MaxFloat64: open
	Direction  signals.Answer   `json:"direction"`
	Size       signals.Answer   `json:"size"`
	Value      signals.Answer   `json:"value"` // of an environment
	Confidence signals.Answer   `json:"confidence"`
	Since      int64            `json:"since,omitempty"` // civil day
	Evidence   []signals.Answer `json:"evidence,omitempty"`
}

// Due is a statement that was made now.
type Due struct {
	Measure   int // index in the catalog
	Statement Statement
	Leaves    bool // consent covers the block
}

// Site is what the statements need to know beside answers.
type Site struct {
	Zone    *time.Location
	Working [7]bool
	May     Covered // for what is shipped
}

// Say makes the statements of the blocks of four weeks that ended more than the longest grace before now (unix ns); call it
// before a window that closes at now is noted.
func (m *Memory) Say(c *catalog.Catalog, now int64, site Site) []Due {
	if c == nil || len(m.inputs(c)) == 0 {
		return nil
	}
	past := time.Unix(0, now-1).Add(-grace * 24 * time.Hour) // what closes at this very moment is still to come
	newest := report.WindowStart(report.Block4w, past, site.Zone) - block
	if newest <= m.newest {
		return nil
	}
	var out []Due
	for _, in := range m.inputs(c) {
		ms := &c.Measures[in.measure]
		key := ms.HashString()
		start, ok := m.next[key]
		if !ok {
			if start, ok = m.first(c, in); !ok {
				continue
			}
		}
		for start = max(start, newest-kept); start <= newest; start += block {
			leaves := site.May != nil && site.May(ms, report.Block4w, start)
			may := site.May
			if !leaves {
				may = nil // it stays here: everything told here may go into it
			}
			s := m.statement(c, in, report.Block4w, start, site.Working, may)
			all := append(m.said[key], s)
			m.said[key] = slices.Delete(all, 0, max(0, len(all)-kept/block))
			out = append(out, Due{in.measure, s, leaves})
		}
		m.next[key] = start
	}
	m.newest = newest
	return out
}

// first is the first block of which anything was told.
func (m *Memory) first(c *catalog.Catalog, in inputs) (int64, bool) {
	of := &c.Measures[in.of]
	first := int64(math.MaxInt64)
	for _, g := range []report.Grain{report.Week, report.Block4w, report.Day} {
		if all := m.answers[seriesKey(of, report.Series{Grain: g, Field: in.field})]; len(all) > 0 {
			first = min(first, all[0].Start)
		}
	}
	return report.CivilStart(report.Block4w, first), first < math.MaxInt64
}

// statement is made of what was told up to the end of a window.
func (m *Memory) statement(c *catalog.Catalog, in inputs, g report.Grain, start int64, working [7]bool, may Covered) Statement {
	_, last := report.CivilDays(g, start)
	weeks, blocks := m.weeks(c, in, last, may), m.blocks(c, in, last, may)
	if c.Measures[in.measure].Kind == catalog.Environment {
		return m.stage(c, in, start, weeks, blocks, working, may)
	}
	series, cfg, step := weeks, signals.Config{}, int64(7)
	if count(weeks) == 0 { // weeks are told of the site's totals alone
		series, cfg, step = blocks, signals.Blocks(), block
	}
	ch := signals.Detect(series, cfg)
	s := Statement{Start: start, Known: ch.Known, Direction: ch.Direction, Size: ch.Size, Confidence: ch.Confidence, Value: signals.Unknown}
	if ch.Known {
		s.Lo, s.Hi = rounded(ch)
		s.Since = last + 1 - step*int64(len(series)-ch.Since)
	}
	s.Evidence = signals.Explain(m.facts(c, in, report.CivilStart(report.Block4w, start), ch.Direction, weeks, blocks, may)).Answers()
	return s
}

// rounded is the level to a tenth, outwards where it is not exact.
func rounded(ch signals.Change) (lo, hi float64) {
	if ch.Exact {
		v := math.Round(10*ch.Level.Lo) / 10
		return v, v
	}
	return math.Floor(10*ch.Level.Lo) / 10, min(math.Ceil(10*ch.Level.Hi)/10, math.MaxFloat64)
}

func count(fs []signals.Figure) (n int) {
	for _, f := range fs {
		if f.Known {
			n++
		}
	}
	return n
}

// weeks are those of the measure that is looked at, up to a day.
func (m *Memory) weeks(c *catalog.Catalog, in inputs, last int64, may Covered) []signals.Figure {
	of := &c.Measures[in.of]
	if in.weekly {
		monday := report.CivilStart(report.Week, last+1) - 7
		return m.series(of, report.Series{Grain: report.Week, Field: in.field}, 7, monday, may)
	}
	days := m.series(of, report.Series{Grain: report.Day, Field: in.field}, 1, last, may)
	if len(days) == 0 {
		return nil
	}
	first := last + 1 - int64(len(days))
	skip := (report.CivilStart(report.Week, first+6) - first) // to the first Monday
	return signals.Weekly(days[min(int(skip), len(days)):])
}

// blocks are those of the measure that is looked at, up to a day.
func (m *Memory) blocks(c *catalog.Catalog, in inputs, last int64, may Covered) []signals.Figure {
	return m.series(&c.Measures[in.of], report.Series{Grain: report.Block4w, Field: in.field}, block, report.CivilStart(report.Block4w, last+1)-block, may)
}

// facts are the figures of the block that starts then.
func (m *Memory) facts(c *catalog.Catalog, in inputs, start int64, d signals.Answer, weeks, blocks []signals.Figure, may Covered) signals.Facts {
	f := signals.Facts{Direction: d}
	if n := len(blocks); n > 0 {
		f.Active = blocks[n-1]
		if n > 1 {
			f.Before = blocks[n-2]
		}
	}
	if n := len(weeks); n >= 8 {
		copy(f.Weeks[:], weeks[n-8:])
	}
	get := func(i int, s report.Series, at int64) signals.Figure {
		if i < 0 {
			return signals.Figure{}
		}
		return m.at(&c.Measures[i], s, at, may)
	}
	flow := func(field report.Field) signals.Figure {
		return get(in.flows, report.Series{Grain: report.Block4w, Field: field}, start)
	}
	f.New, f.Retained, f.Resurrected, f.Dormant = flow(report.New), flow(report.Retained), flow(report.Resurrected), flow(report.Dormant)
	seats := report.Series{Grain: report.Rolling28, Field: report.Assigned}
	f.Assigned, f.AssignedBefore = get(in.seats, seats, start+block-1), get(in.seats, seats, start-1)
	f.Invited = get(in.invited, report.Series{Grain: report.Block4w, Field: report.Value}, start)
	for _, g := range m.groups(c, in, start, may) {
		n := len(g)
		f.Groups = append(f.Groups, signals.Group{Now: g[n-1], Before: g[:n-1]})
	}
	return f
}

// groups are the blocks of each role that anything was told of.
func (m *Memory) groups(c *catalog.Catalog, in inputs, start int64, may Covered) (out [][]signals.Figure) {
	of := &c.Measures[in.of]
	if in.groups == 0 {
		return nil
	}
	for v := range c.Breakdowns(of)[in.groups-1].Props[0].Size() {
		s := report.Series{Grain: report.Block4w, Field: in.field, Breakdown: uint8(in.groups), V1: v}
		if g := m.series(of, s, block, start, may); len(g) > 0 {
			out = append(out, g)
		}
	}
	return out
}

// stage is the statement of an environment.
func (m *Memory) stage(c *catalog.Catalog, in inputs, start int64, weeks, blocks []signals.Figure, working [7]bool, may Covered) Statement {
	site := signals.Site{Working: working, Weeks: weeks, Blocks: blocks}
	if n := len(blocks); n > 0 && c.Measures[in.of].Kind == catalog.ActiveUsers {
		site.Active = blocks[n-1]
	}
	for _, g := range m.groups(c, in, start, may) {
		site.Groups = append(site.Groups, g[len(g)-1])
	}
	if in.traffic >= 0 {
		t := &c.Measures[in.traffic]
		if days := m.series(t, report.Series{Grain: report.Day, Field: t.Fields()[0]}, 1, start+block-1, may); len(days) >= block {
			site.Days = days[len(days)-block:]
		}
	}
	st := signals.Observe(site)
	return Statement{Start: start, Direction: signals.Unknown, Size: signals.Unknown, Value: st.Value, Confidence: st.Confidence, Evidence: st.Answers()}
}

// Cells are a statement's figures, as they leave.
func (s Statement) Cells(c *catalog.Catalog, measure int, g report.Grain) []report.Cell {
	ms := &c.Measures[measure]
	var out []report.Cell
	add := func(x report.Series, form report.Form, lo, hi float64) {
		x.Measure, x.Grain = uint16(measure), g
		out = append(out, report.Cell{Series: x, Start: s.Start, Form: form, Lo: lo, Hi: hi})
	}
	listed := func(f report.Field, a signals.Answer) {
		if a == signals.Unknown {
			add(report.Series{Field: f}, report.Unknown, 0, 0)
			return
		}
		add(report.Series{Field: f}, report.Exact, float64(a), float64(a))
	}
	if ms.Kind == catalog.Environment {
		listed(report.Value, s.Value)
	} else {
		lo, hi, form := s.Lo, s.Hi, report.Implied // it follows from other answers
		switch {
		case !s.Known:
			lo, hi, form = 0, 0, report.Unknown
		case lo == hi:
			form = report.Exact
		case hi == math.MaxFloat64:
			hi = math.Inf(1)
		}
		add(report.Series{Field: report.Level}, form, lo, hi)
		listed(report.Direction, s.Direction)
		listed(report.Size, s.Size)
	}
	listed(report.Confidence, s.Confidence)
	for i, a := range s.Evidence {
		v := float64(a)
		if a == signals.Unknown {
			v = 2 // the list has a word for it
		}
		add(report.Series{Field: report.Value, Breakdown: 1, V1: uint16(i)}, report.Exact, v, v)
	}
	return out
}
