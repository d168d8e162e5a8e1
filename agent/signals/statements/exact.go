package statements

import (
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Need is windows that a statement is made of.
type Need struct {
	Measure int
	Grain   report.Grain
	By      []string
	Of      bool // of the measure that is looked at
}

// Needs are all windows that a change or environment is made of.
func (m *Memory) Needs(c *catalog.Catalog, measure int) (out []Need) {
	for _, in := range m.inputs(c) {
		if in.measure != measure {
			continue
		}
		if in.weekly {
			out = append(out, Need{in.of, report.Week, nil, true}, Need{in.of, report.Block4w, nil, true})
		} else {
			out = append(out, Need{in.of, report.Day, nil, true})
		}
		if in.groups > 0 {
			out = append(out, Need{in.of, report.Block4w, c.Measures[in.of].By[in.groups-1], true})
		}
		for _, x := range []Need{{Measure: in.flows, Grain: report.Block4w}, {Measure: in.invited, Grain: report.Block4w}, {Measure: in.seats, Grain: report.Rolling28}, {Measure: in.traffic, Grain: report.Day}} {
			if x.Measure >= 0 && x.Measure != in.of {
				out = append(out, x)
			}
		}
	}
	return out
}

// Feed takes in exact figures of a window, for a Memory of its own that answers a question which may see them. Windows come in
// order.
func (m *Memory) Feed(c *catalog.Catalog, n Need, start int64, dims map[string]string, figures map[report.Field]float64) {
	ms := &c.Measures[n.Measure]
	for f, v := range figures {
		cell, err := c.Cell(report.Figure{Measure: ms.ID, Hash: ms.HashString(), Field: f, Grain: n.Grain, Start: start, Dims: dims, Form: report.Exact, Lo: v, Hi: v})
		if err != nil {
			continue // of a definition that is no more
		}
		m.note(Window{Catalog: c, Measure: n.Measure, Grain: n.Grain, Start: start, Cells: []report.Cell{cell}, Left: true})
	}
}
