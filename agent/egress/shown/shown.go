// Package shown puts the site's own figures into the forms that its own screens may show them in: for people the
// answers that were given, no matter whether they left.
//
// Invariants: what is exact for everybody is told as it was measured; of everything else nothing but the answer
// is in a line. It keeps no state.
package shown

import (
	"encoding/json"
	"math"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/agent/egress"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Gate knows the forms.
type Gate interface {
	Show(w egress.Window, p egress.Policy, s report.Series, v float64, closed bool) (report.Form, report.Interval, egress.Reason)
}

// Asked is the measure and grain whose lines are shown, at one site.
type Asked struct {
	Gate    Gate
	Policy  egress.Policy
	Judges  bool // false: no answers are given here
	Catalog *catalog.Catalog
	Measure int
	Grain   report.Grain
}

// Line is one line as it was measured.
type Line struct {
	Measure, Grain, Start string
	Dims                  map[string]string
	Closed                bool
	Whole                 any      // the line itself, for what is told exactly
	Count                 *int64   // its value, where it is one number
	Weeks                 int      // of a retention line: how many have closed, with the week they arrived in
	Purchased, Assigned   *float64 // of a seats line, where they are known
}

// line is a line whose figures are not all told exactly.
type line struct {
	Measure string            `json:"measure"`
	Grain   string            `json:"grain"`
	Start   string            `json:"start"`
	Dims    map[string]string `json:"dims"`
	Value   any               `json:"value"` // null
	Form    string            `json:"form"`  // "figures": of a kind with several, each has its own
	Lo      *float64          `json:"lo,omitempty"`
	Hi      *float64          `json:"hi,omitempty"` // absent with lo present: open top
	Why     string            `json:"why,omitempty"`
	Figures []control.Part    `json:"figures,omitempty"`
	Closed  bool              `json:"closed"`
}

// Line gives a line the forms it may be shown in.
func (a Asked) Line(l Line) ([]byte, error) {
	c, i, g := a.Catalog, a.Measure, a.Grain
	start, err := report.ParseStart(g, l.Start)
	if err != nil {
		return nil, err
	}
	m := &c.Measures[i]
	w := egress.Window{Catalog: c, Measure: i, Grain: g, Start: start}
	if m.Subject == catalog.Person && !a.Judges {
		return json.Marshal(line{Measure: l.Measure, Grain: l.Grain, Start: l.Start, Dims: l.Dims, Form: report.Suppressed.String(),
			Why: "nothing is judged in a recording that is not enrolled: ask with --exact", Closed: l.Closed})
	}
	if m.Subject != catalog.Person {
		form, in, why := a.Gate.Show(w, a.Policy, report.Series{}, 0, l.Closed)
		return oneShown(l, form, in, why)
	}
	if l.Count != nil {
		cell, err := c.Cell(report.Figure{Measure: m.ID, Hash: m.HashString(), Field: report.Value, Grain: g, Start: start, Dims: l.Dims, Form: report.Suppressed})
		if err != nil { // of a definition that is no more
			return oneShown(l, report.Suppressed, report.Interval{}, egress.OtherGrain)
		}
		form, in, why := a.Gate.Show(w, a.Policy, cell.Series, float64(*l.Count), l.Closed)
		return oneShown(l, form, in, why)
	}
	if m.Kind == catalog.FirstTime || m.Kind == catalog.Fact {
		form, in, why := a.Gate.Show(w, a.Policy, report.Series{Field: report.Value, Grain: g, Measure: uint16(i)}, 0, l.Closed)
		return oneShown(l, form, in, why)
	}
	figures := a.figuresOf(w, l)
	if why, none := withheld(figures); none {
		return json.Marshal(line{Measure: l.Measure, Grain: l.Grain, Start: l.Start, Dims: l.Dims, Form: report.Suppressed.String(), Why: why, Closed: l.Closed})
	}
	return json.Marshal(line{Measure: l.Measure, Grain: l.Grain, Start: l.Start, Dims: l.Dims, Form: "figures", Figures: figures, Closed: l.Closed})
}

// withheld reports whether all figures are suppressed for one reason.
func withheld(figures []control.Part) (why string, none bool) {
	for i, f := range figures {
		if f.Form != report.Suppressed.String() || i > 0 && f.Why != why {
			return "", false
		}
		why = f.Why
	}
	return why, len(figures) > 0
}

func oneShown(l Line, form report.Form, in report.Interval, why egress.Reason) ([]byte, error) {
	if form == report.Exact {
		return json.Marshal(l.Whole)
	}
	s := line{Measure: l.Measure, Grain: l.Grain, Start: l.Start, Dims: l.Dims, Form: form.String(), Why: why.Text(), Closed: l.Closed}
	s.Lo, s.Hi = ends(form, in)
	return json.Marshal(s)
}

func ends(form report.Form, in report.Interval) (lo, hi *float64) {
	if !form.HasNumbers() {
		return nil, nil
	}
	if !math.IsInf(in.Hi, 1) {
		hi = &in.Hi
	}
	return &in.Lo, hi
}

// figuresOf are the figures of a line of a kind that has several: its own, and those of the breakdowns that
// belong to the kind.
func (a Asked) figuresOf(w egress.Window, l Line) []control.Part {
	m := &w.Catalog.Measures[w.Measure]
	var out []control.Part
	add := func(s report.Series, dims map[string]string) {
		closed := l.Closed
		if m.Kind == catalog.Retention {
			if int(s.V1)+1 >= l.Weeks && s.Breakdown > 0 {
				return // its week has not closed
			}
			closed = true
		}
		v := contract(l, s.Field)
		if math.IsNaN(v) {
			return
		}
		form, in, why := a.Gate.Show(w, a.Policy, s, v, closed)
		f := control.Part{Field: s.Field.String(), Dims: dims, Form: form.String(), Why: why.Text()}
		f.Lo, f.Hi = ends(form, in)
		out = append(out, f)
	}
	s := report.Series{Measure: uint16(w.Measure), Grain: w.Grain}
	if len(l.Dims) == 0 {
		for _, s.Field = range m.Fields() {
			add(s, map[string]string{})
		}
	}
	for n, b := range w.Catalog.Breakdowns(m) {
		s.Breakdown = uint8(n + 1)
		for s.V1, s.V2 = range b.Cells() {
			dims, fits := own(b, []uint16{s.V1, s.V2}, l.Dims)
			for _, s.Field = range m.FieldsOf(n + 1) {
				if fits {
					add(s, dims)
				}
			}
		}
	}
	return out
}

// own are the dimensions of a cell that belong to the kind; fits says that all others are those of the line.
func own(b catalog.Breakdown, at []uint16, line map[string]string) (dims map[string]string, fits bool) {
	dims, found := map[string]string{}, 0
	for i, p := range b.Props {
		name := p.ValueName(at[i])
		if p.Fixed {
			dims[b.Dims[i]] = name
			continue
		}
		if v, ok := line[b.Dims[i]]; !ok || v != name {
			return nil, false
		}
		found++
	}
	return dims, found == len(line)
}

// contract is a figure that is no matter of people: what was bought. NaN when it is not known.
func contract(l Line, f report.Field) float64 {
	known := func(x *float64) float64 {
		if x == nil {
			return math.NaN()
		}
		return *x
	}
	switch f {
	case report.Purchased:
		return known(l.Purchased)
	case report.Assigned:
		return known(l.Assigned)
	case report.Workdays:
		return math.NaN() // a line has the ratio instead
	}
	return 0
}
