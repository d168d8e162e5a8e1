package statements

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/agent/signals"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// line is a statement as query prints it: in words under value, and each figure in the form it has.
type line struct {
	Measure string            `json:"measure"`
	Grain   string            `json:"grain"`
	Start   string            `json:"start"`
	Dims    map[string]string `json:"dims"`
	Value   value             `json:"value"`
	Form    string            `json:"form"` // figures
	Figures []control.Part    `json:"figures"`
	Closed  bool              `json:"closed"`
}

type value struct {
	Value      string            `json:"value,omitempty"`
	Level      *[2]*float64      `json:"level,omitempty"` // from, to; to null: open
	Direction  string            `json:"direction,omitempty"`
	Size       string            `json:"size,omitempty"`
	Confidence string            `json:"confidence"`
	Since      string            `json:"since,omitempty"` // the present level began in the week or block that starts then
	Evidence   map[string]string `json:"evidence"`
}

// Ask is which statements are asked for.
type Ask struct {
	Measure  int
	Grain    report.Grain
	From, To string // inclusive
}

// newestWeeks bounds what a question about weeks has to compute.
const newestWeeks = 52

// Lines are the statements of a change or environment: those that were made of blocks, and of weeks (which never leave) what
// would have been said at the end of each.
func (m *Memory) Lines(c *catalog.Catalog, q Ask, working [7]bool) ([]json.RawMessage, error) {
	all := m.said[c.Measures[q.Measure].HashString()]
	if q.Grain == report.Week {
		all = m.weekly(c, q.Measure, working)
	}
	out := []json.RawMessage{}
	for _, s := range all {
		if at := report.StartString(q.Grain, s.Start); q.From != "" && at < q.From || q.To != "" && at > q.To {
			continue
		}
		b, err := s.line(c, q.Measure, q.Grain)
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

// weekly are the statements that would have been made at the end of each of the newest weeks.
func (m *Memory) weekly(c *catalog.Catalog, measure int, working [7]bool) (out []Statement) {
	for _, in := range m.inputs(c) {
		if in.measure != measure {
			continue
		}
		of := &c.Measures[in.of]
		g := report.Day
		if in.weekly {
			g = report.Week
		}
		all := m.answers[seriesKey(of, report.Series{Grain: g, Field: in.field})]
		if len(all) == 0 {
			return nil
		}
		_, end := report.CivilDays(g, all[len(all)-1].Start)
		last := report.CivilStart(report.Week, end+1) - 7
		for w := max(report.CivilStart(report.Week, all[0].Start), last-7*(newestWeeks-1)); w <= last; w += 7 {
			out = append(out, m.statement(c, in, report.Week, w, working, nil))
		}
	}
	return out
}

func (s Statement) line(c *catalog.Catalog, measure int, g report.Grain) (json.RawMessage, error) {
	ms := &c.Measures[measure]
	word := func(f report.Field, b int, a signals.Answer) string {
		if a == signals.Unknown {
			return "unknown"
		}
		return ms.Listed(f, b)[a]
	}
	l := line{Measure: ms.ID, Grain: g.String(), Start: report.StartString(g, s.Start), Dims: map[string]string{}, Form: "figures", Closed: true,
		Value: value{Confidence: word(report.Confidence, 0, s.Confidence), Evidence: map[string]string{}}}
	if ms.Kind == catalog.Environment {
		l.Value.Value = word(report.Value, 0, s.Value)
	} else {
		l.Value.Direction, l.Value.Size = word(report.Direction, 0, s.Direction), word(report.Size, 0, s.Size)
		if s.Known {
			l.Value.Since = report.StartString(report.Week, s.Since)
			l.Value.Level = &[2]*float64{&s.Lo, &s.Hi}
			if s.Hi == math.MaxFloat64 {
				l.Value.Level[1] = nil
			}
		}
	}
	for _, cell := range s.Cells(c, measure, g) {
		f, err := c.Resolve(cell)
		if err != nil {
			return nil, fmt.Errorf("naming a statement: %w", err)
		}
		x := control.Part{Field: f.Field.String(), Dims: f.Dims, Form: f.Form.String(), Text: f.Text}
		if f.Form.HasNumbers() {
			x.Lo = &f.Lo
			if !math.IsInf(f.Hi, 1) {
				x.Hi = &f.Hi
			}
		}
		if cell.Breakdown > 0 {
			l.Value.Evidence[f.Dims["evidence"]] = f.Text
		}
		l.Figures = append(l.Figures, x)
	}
	b, err := json.Marshal(l)
	if err != nil {
		return nil, fmt.Errorf("writing a statement: %w", err)
	}
	return b, nil
}
