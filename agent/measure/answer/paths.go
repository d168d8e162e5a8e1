package answer

import (
	"slices"

	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// FunnelValue is the value of a funnel line: how many entered, how many reached each step (the first
// is the entry), and within which time they reached the last.
type FunnelValue struct {
	Entered int64       `json:"entered"`
	Steps   []int64     `json:"steps"`
	Bands   FunnelBands `json:"bands"`
}

// FunnelBands add up to the entries.
type FunnelBands struct {
	Hour  int64 `json:"1h"`
	Day   int64 `json:"24h"`
	Days3 int64 `json:"3d"`
	Week  int64 `json:"7d"`
	Month int64 `json:"30d"`
	Never int64 `json:"never"`
}

// SufficientValue is the value of a sufficient line; the figures of y are absent where none is declared.
type SufficientValue struct {
	N     int64    `json:"n"`
	SumX  float64  `json:"sum_x"`
	SumXX float64  `json:"sum_xx"`
	SumY  *float64 `json:"sum_y,omitempty"`
	SumYY *float64 `json:"sum_yy,omitempty"`
	SumXY *float64 `json:"sum_xy,omitempty"`
}

// Breakdowns of a funnel.
const (
	funnelStep = iota + 1
	funnelBand
	funnelSplitStep
	funnelSplitBand
)

// pathBreakdown is the breakdown that answers --by these names (sorted) for kinds whose breakdowns
// are their own; 0 when there is none.
func pathBreakdown(m *catalog.Measure, by []string) int {
	switch {
	case m.Kind == catalog.Transitions && slices.Equal(by, []string{"from", "to"}),
		m.Kind == catalog.Sufficient && slices.Equal(by, []string{m.Arm}):
		return 1
	case m.Kind == catalog.Funnel && m.Split != "" && slices.Equal(by, []string{m.Split}):
		return funnelSplitStep
	}
	return 0
}

func newFunnelValue(m *catalog.Measure) *FunnelValue {
	return &FunnelValue{Steps: make([]int64, len(m.Steps))}
}

func (v *FunnelValue) put(band bool, at uint16, n int64) {
	b := &v.Bands
	bands := []*int64{&b.Hour, &b.Day, &b.Days3, &b.Week, &b.Month, &b.Never}
	switch {
	case band && int(at) < len(bands):
		*bands[at] = n
	case !band && int(at) < len(v.Steps):
		v.Steps[at] = n
		v.Entered = v.Steps[0]
	}
}

// addFunnel makes the lines of a funnel's window: one value of many cells.
func (a *Asked) addFunnel(cat *catalog.Catalog, m *catalog.Measure, start int64, cells []report.Cell, closed bool) {
	if len(a.By) == 0 {
		v := newFunnelValue(m)
		for _, c := range cells {
			switch c.Breakdown {
			case funnelStep, funnelBand:
				v.put(c.Breakdown == funnelBand, c.V1, int64(c.Lo))
			}
		}
		a.Put(start, nil, *v, closed)
		return
	}
	if pathBreakdown(m, a.By) == 0 {
		return // an older definition without this split
	}
	p := cat.Breakdowns(m)[funnelSplitStep-1].Props[0]
	values := map[uint16]*FunnelValue{}
	for _, c := range cells {
		switch c.Breakdown {
		case funnelSplitStep, funnelSplitBand:
			if values[c.V1] == nil {
				values[c.V1] = newFunnelValue(m)
			}
			values[c.V1].put(c.Breakdown == funnelSplitBand, c.V2, int64(c.Lo))
		}
	}
	for i, v := range values {
		a.Put(start, map[string]string{m.Split: p.ValueName(i)}, *v, closed)
	}
}

func sufficientValue(m *catalog.Measure, v map[report.Field]float64) SufficientValue {
	s := SufficientValue{N: int64(v[report.Count]), SumX: v[report.SumX], SumXX: v[report.SumXX]}
	if m.Y != "" {
		y, yy, xy := v[report.SumY], v[report.SumYY], v[report.SumXY]
		s.SumY, s.SumYY, s.SumXY = &y, &yy, &xy
	}
	return s
}
