// Package answer is what a query is answered with: lines, and the value of each, made of the cells of
// closed and open windows. Which windows there are is package measure's to know.
//
// Invariants: a value marshals as MEASURES prints it; lines are sorted by start, then dims; the same cells
// give the same lines. It keeps no state on disk.
package answer

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/fieldpost/fieldpost/agent/measure/run"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Asked is a query being answered: lines are added in any order.
type Asked struct {
	Query
	Cat      *catalog.Catalog // that of the measure
	Min, Max int64            // the windows asked for
	order    []ordered
}

// Query asks for one measure's windows.
type Query struct {
	Measure  string
	Grain    report.Grain
	By       []string // names of one breakdown, in any order; empty: totals
	From, To string   // inclusive, in the form of Line.Start (or a date); "" open
}

// Line is one line of the answer; it marshals as MEASURES prints it.
type Line struct {
	Measure string            `json:"measure"`
	Grain   string            `json:"grain"`
	Start   string            `json:"start"`
	Dims    map[string]string `json:"dims"`
	Value   any               `json:"value"` // int64 or one of the values below
	Closed  bool              `json:"closed"`
}

// Errors of Query; match them with errors.Is.
var (
	ErrMeasure   = errors.New("no such measure")
	ErrGrain     = errors.New("measure has no windows of that grain")
	ErrBreakdown = errors.New("measure has no such breakdown")
	ErrRange     = errors.New("from and to are dates or times")
)

type ordered struct {
	start int64
	dims  string
	line  Line
}

// Bound reads from or to. A date with a grain of seconds is the whole day in UTC.
func Bound(g report.Grain, s string, none int64, last bool) (int64, error) {
	if s == "" {
		return none, nil
	}
	if v, err := report.ParseStart(g, s); err == nil {
		return v, nil
	}
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		if last {
			t = t.Add(24*time.Hour - time.Second)
		}
		return t.Unix(), nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return 0, fmt.Errorf("%w: %q", ErrRange, s)
	}
	y, mo, d := t.Date()
	return time.Date(y, mo, d, 0, 0, 0, 0, time.UTC).Unix() / 86400, nil
}

// Breakdown is the number of the breakdown with these names, in any order; 0 when there is none.
func Breakdown(m *catalog.Measure, by []string) int {
	want := slices.Sorted(slices.Values(by))
	for i, b := range m.By {
		if slices.Equal(slices.Sorted(slices.Values(b)), want) {
			return i + 1
		}
	}
	return pathBreakdown(m, want)
}

// Filled reports whether a measure's totals have zero lines.
func Filled(m *catalog.Measure) bool {
	switch m.Kind {
	case catalog.Count, catalog.ActiveUsers, catalog.Lifecycle, catalog.Funnel, catalog.Stickiness, catalog.Adoption, catalog.Seats:
		return true
	}
	return false
}

// Add makes the lines of a window from its cells.
func (a *Asked) Add(cat *catalog.Catalog, m *catalog.Measure, start int64, cells []report.Cell, closed bool) {
	if m.Kind == catalog.Funnel {
		a.addFunnel(cat, m, start, cells, closed)
		return
	}
	if v, ok := wholeValue(m, a.Grain, cells); ok {
		a.Put(start, nil, v, closed)
		return
	}
	b := 0
	if len(a.By) > 0 {
		if b = Breakdown(m, a.By); b == 0 {
			return // an older definition without this breakdown
		}
	}
	groups := map[run.Group][]report.Cell{}
	for _, c := range cells {
		if int(c.Breakdown) == b {
			k := run.Group{B: c.Breakdown, V1: c.V1, V2: c.V2}
			groups[k] = append(groups[k], c)
		}
	}
	for k, cs := range groups {
		var dims map[string]string
		if b > 0 {
			if AllZero(cs) {
				continue
			}
			dims = map[string]string{}
			of := cat.Breakdowns(m)[b-1]
			for i, name := range of.Dims {
				if p := of.Props[i]; p != nil {
					dims[name] = p.ValueName([]uint16{k.V1, k.V2}[i])
				}
			}
		}
		a.Put(start, dims, valueOf(m, cs), closed)
	}
}

// Put adds one line.
func (a *Asked) Put(start int64, dims map[string]string, value any, closed bool) {
	if dims == nil {
		dims = map[string]string{}
	}
	key := ""
	for _, name := range slices.Sorted(maps.Keys(dims)) {
		key += name + "\x00" + dims[name] + "\x00"
	}
	a.order = append(a.order, ordered{start, key, Line{
		Measure: a.Measure, Grain: a.Grain.String(), Start: report.StartString(a.Grain, start), Dims: dims, Value: value, Closed: closed,
	}})
}

// Lines are the lines that were added, in order.
func (a *Asked) Lines() []Line {
	slices.SortStableFunc(a.order, func(x, y ordered) int {
		if c := cmp.Compare(x.start, y.start); c != 0 {
			return c
		}
		return cmp.Compare(x.dims, y.dims)
	})
	lines := make([]Line, 0, len(a.order))
	for _, o := range a.order {
		lines = append(lines, o.line)
	}
	return lines
}

// AllZero reports whether a window's figures are all 0. A histogram or sketch without values
// has a count of 0 beside it.
func AllZero(cells []report.Cell) bool {
	for i := range cells {
		switch cells[i].Field {
		case report.Sketch, report.Buckets, report.Workdays:
		case report.Last, report.Min, report.Max, report.Mean, report.Increase, report.Since, report.Unseen, report.Purchased, report.Assigned:
			return false // a sample of 0 is not nothing
		default:
			if cells[i].Lo != 0 {
				return false
			}
		}
	}
	return true
}
