package statements

import (
	"encoding/json"
	"fmt"

	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Lines are the lines of a query for exact figures, as MEASURES prints them.
type Lines func(measure string, g report.Grain, by []string) ([]json.RawMessage, error)

// need is windows that a statement is made of.
type need struct {
	measure int
	grain   report.Grain
	by      []string
}

// Exact is a memory of its own, for a question that may see exact figures, with the statements of a change or environment
// of every closed block.
func Exact(c *catalog.Catalog, measure int, working [7]bool, ask Lines) (*Memory, error) {
	m := New()
	for _, in := range m.inputs(c) {
		if in.measure != measure {
			continue
		}
		var last int64
		for _, n := range in.needs(c) {
			lines, err := ask(c.Measures[n.measure].ID, n.grain, n.by)
			if err != nil {
				return nil, err
			}
			for _, l := range lines {
				end, err := m.feed(c, n, l)
				if err != nil {
					return nil, err
				}
				if n.measure == in.of {
					last = max(last, end)
				}
			}
		}
		start, ok := m.first(c, in)
		key := c.Measures[measure].HashString()
		for ; ok && start+block-1 <= last; start += block {
			m.said[key] = append(m.said[key], m.statement(c, in, report.Block4w, start, working, nil))
		}
	}
	return m, nil
}

func (in *inputs) needs(c *catalog.Catalog) (out []need) {
	if in.weekly {
		out = append(out, need{in.of, report.Week, nil}, need{in.of, report.Block4w, nil})
	} else {
		out = append(out, need{in.of, report.Day, nil})
	}
	if in.groups > 0 {
		out = append(out, need{in.of, report.Block4w, c.Measures[in.of].By[in.groups-1]})
	}
	for _, x := range []need{{in.flows, report.Block4w, nil}, {in.invited, report.Block4w, nil}, {in.seats, report.Rolling28, nil}, {in.traffic, report.Day, nil}} {
		if x.measure >= 0 && x.measure != in.of {
			out = append(out, x)
		}
	}
	return out
}

// feed takes a line in; end is the last day of a closed window, 0 of an open one.
func (m *Memory) feed(c *catalog.Catalog, n need, raw json.RawMessage) (end int64, err error) {
	var l struct {
		Start  string            `json:"start"`
		Dims   map[string]string `json:"dims"`
		Value  json.RawMessage   `json:"value"`
		Closed bool              `json:"closed"`
	}
	if err := json.Unmarshal(raw, &l); err != nil {
		return 0, fmt.Errorf("reading an exact line: %w", err)
	}
	start, err := report.ParseStart(n.grain, l.Start)
	if err != nil || !l.Closed {
		return 0, err
	}
	_, end = report.CivilDays(n.grain, start)
	figures := map[string]any{}
	var one float64
	if json.Unmarshal(l.Value, &one) == nil {
		figures[report.Value.String()] = one
	} else if err := json.Unmarshal(l.Value, &figures); err != nil {
		return 0, fmt.Errorf("reading an exact figure: %w", err)
	}
	ms := &c.Measures[n.measure]
	w := Window{Catalog: c, Measure: n.measure, Grain: n.grain, Start: start, Left: true}
	for name, x := range figures {
		v, number := x.(float64)
		f, err := report.ParseField(name)
		if !number || err != nil {
			continue // not a figure that signals look at
		}
		cell, err := c.Cell(report.Figure{Measure: ms.ID, Hash: ms.HashString(), Field: f, Grain: n.grain, Start: start, Dims: l.Dims, Form: report.Exact, Lo: v, Hi: v})
		if err == nil { // else of a definition that is no more
			w.Cells = append(w.Cells, cell)
		}
	}
	m.note(w)
	return end, nil
}
