package catalog

import (
	"encoding/hex"
	"iter"
	"math"
	"slices"

	"github.com/fieldpost/fieldpost/protocol/catalog/strict"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Breakdown is one way a measure is told apart. Breakdown i of a measure is number i+1 in a cell.
type Breakdown struct {
	Dims  []string    // one or two names
	Props []*Property // what they mean, in the same order
}

// Breakdowns are the measure's breakdowns in order. The result is shared: do not change it.
func (c *Catalog) Breakdowns(m *Measure) []Breakdown {
	for i := range c.Measures {
		if m == &c.Measures[i] {
			return c.breakdownsAt(i)
		}
	}
	return c.listBreakdowns(m)
}

func (c *Catalog) breakdownsAt(i int) []Breakdown {
	if i < len(c.breakdowns) {
		return c.breakdowns[i]
	}
	return c.listBreakdowns(&c.Measures[i])
}

func (c *Catalog) listBreakdowns(m *Measure) []Breakdown {
	var out []Breakdown
	for _, dims := range m.By {
		b := Breakdown{Dims: dims}
		for _, d := range dims {
			p, _ := c.Dimension(m, d)
			b.Props = append(b.Props, p)
		}
		out = append(out, b)
	}
	for _, props := range m.own() {
		var b Breakdown
		for _, p := range props {
			if p == nil {
				p = c.named(m)
			}
			b.Props = append(b.Props, p)
			b.Dims = append(b.Dims, p.Name)
		}
		out = append(out, b)
	}
	return out
}

// named is the dimension of the catalog that a funnel is split by or an experiment's arms are told by.
func (c *Catalog) named(m *Measure) *Property {
	name := m.Split
	if m.Kind == Sufficient {
		name = m.Arm
	}
	if p, _ := c.Dimension(m, name); p != nil {
		return p
	}
	return &Property{Name: name}
}

// Cells are V1 and V2 of every cell of the breakdown, in order: each listed value, then
// (other), then (none). What is there does not depend on what was measured.
func (b Breakdown) Cells() iter.Seq2[uint16, uint16] {
	return func(yield func(uint16, uint16) bool) {
		for v1 := range b.Props[0].Size() {
			if len(b.Props) == 1 {
				if !yield(v1, 0) {
					return
				}
				continue
			}
			for v2 := range b.Props[1].Size() {
				if !yield(v1, v2) {
					return
				}
			}
		}
	}
}

// Cells are the series of one field and grain of the measure at index i, all of them: the
// total first, then every cell of every breakdown that has the field, in the order of report.Series.
func (c *Catalog) Cells(i int, f report.Field, g report.Grain) iter.Seq[report.Series] {
	return func(yield func(report.Series) bool) {
		s := report.Series{Measure: uint16(i), Field: f, Grain: g}
		if slices.Contains(c.Measures[i].Fields(), f) && !yield(s) {
			return
		}
		for n, b := range c.breakdownsAt(i) {
			if !slices.Contains(c.Measures[i].FieldsOf(n+1), f) {
				continue
			}
			s.Breakdown = uint8(n + 1)
			for v1, v2 := range b.Cells() {
				s.V1, s.V2 = v1, v2
				if !yield(s) {
					return
				}
			}
		}
	}
}

// Dims names a series of the measure: dimension → value, empty for the total. The series is one of the
// measure's own, as Cells gives them; what came from the wire has to go through Resolve.
func (c *Catalog) Dims(m *Measure, s report.Series) map[string]string {
	out := map[string]string{}
	if s.Breakdown == 0 {
		return out
	}
	b := c.Breakdowns(m)[s.Breakdown-1]
	for i, v := range []uint16{s.V1, s.V2}[:len(b.Props)] {
		out[b.Dims[i]] = b.Props[i].ValueName(v)
	}
	return out
}

// Resolve gives a cell its names. Cells come from the wire: what the measure does not have
// is an error, never a panic, and never a figure with a name missing.
func (c *Catalog) Resolve(cell report.Cell) (report.Figure, error) {
	if int(cell.Measure) >= len(c.Measures) {
		return report.Figure{}, strict.Coded(strict.CodeBadCell, "measure %d; the catalog has %d", cell.Measure, len(c.Measures))
	}
	m := &c.Measures[cell.Measure]
	if err := m.check(cell); err != nil {
		return report.Figure{}, err
	}
	f := report.Figure{Measure: m.ID, Hash: m.HashString(), Field: cell.Field, Grain: cell.Grain, Start: cell.Start,
		Dims: map[string]string{}, Form: cell.Form, Lo: cell.Lo, Hi: cell.Hi, Blob: cell.Blob}
	v := [2]uint16{cell.V1, cell.V2}
	var b Breakdown
	if cell.Breakdown > 0 {
		all := c.breakdownsAt(int(cell.Measure))
		if int(cell.Breakdown) > len(all) {
			return report.Figure{}, strict.Coded(strict.CodeBadCell, "breakdown %d of %s, which has %d", cell.Breakdown, m.ID, len(all))
		}
		b = all[cell.Breakdown-1]
	}
	for i, x := range v {
		switch {
		case i >= len(b.Props) && x != 0:
			return report.Figure{}, strict.Coded(strict.CodeBadCell, "a value %d for a dimension %s does not have", x, m.ID)
		case i < len(b.Props) && x >= b.Props[i].Size():
			return report.Figure{}, strict.Coded(strict.CodeBadCell, "value %d of %s, which has %d", x, b.Dims[i], b.Props[i].Size())
		case i < len(b.Props):
			f.Dims[b.Dims[i]] = b.Props[i].ValueName(x)
		}
	}
	if cell.Form == report.Exact {
		f.Text = m.valueName(cell.Field, int(cell.Breakdown), cell.Lo)
	}
	return f, nil
}

// ResolveAll resolves cells in order and stops at the first that cannot be.
func (c *Catalog) ResolveAll(cells []report.Cell) ([]report.Figure, error) {
	out := make([]report.Figure, len(cells))
	for i := range cells {
		f, err := c.Resolve(cells[i])
		if err != nil {
			return nil, strict.Coded(strict.CodeBadCell, "cell %d: %v", i, err)
		}
		out[i] = f
	}
	return out, nil
}

// Cell is the inverse of Resolve. The figure's definition hash has to be the measure's: a
// figure of another definition is another series.
func (c *Catalog) Cell(f report.Figure) (report.Cell, error) {
	m, i := c.Measure(f.Measure)
	if m == nil {
		return report.Cell{}, strict.Coded(strict.CodeBadCell, "no measure %q", strict.Clip(f.Measure))
	}
	if f.Hash != m.HashString() {
		return report.Cell{}, strict.Coded(strict.CodeBadCell, "%s has the definition %s, not %q", m.ID, m.HashString(), strict.Clip(f.Hash))
	}
	cell := report.Cell{Series: report.Series{Measure: uint16(i), Field: f.Field, Grain: f.Grain}, Start: f.Start,
		Form: f.Form, Lo: f.Lo, Hi: f.Hi, Blob: f.Blob}
	if len(f.Dims) > 0 {
		if !c.place(m, f.Dims, &cell) {
			return report.Cell{}, strict.Coded(strict.CodeBadCell, "%s has no such cell in its breakdowns", m.ID)
		}
	}
	if list := m.Listed(f.Field, int(cell.Breakdown)); list != nil && f.Form == report.Exact {
		p := Property{Values: list, Fixed: m.Kind != Fact}
		at, ok := p.Find(f.Text)
		if !ok {
			return report.Cell{}, strict.Coded(strict.CodeBadCell, "%q is not a listed value of %s", strict.Clip(f.Text), m.ID)
		}
		cell.Lo, cell.Hi = float64(at), float64(at)
	} else if f.Text != "" {
		return report.Cell{}, strict.Coded(strict.CodeBadCell, "a text where %s has none", m.ID)
	}
	if err := m.check(cell); err != nil {
		return report.Cell{}, err
	}
	return cell, nil
}

// place finds the breakdown that has exactly these dimensions, and their values' indexes.
func (c *Catalog) place(m *Measure, dims map[string]string, cell *report.Cell) bool {
next:
	for n, b := range c.Breakdowns(m) {
		if len(b.Dims) != len(dims) {
			continue
		}
		var v [2]uint16
		for i, d := range b.Dims {
			name, ok := dims[d]
			if !ok {
				continue next
			}
			if v[i], ok = b.Props[i].Find(name); !ok {
				return false
			}
		}
		cell.Breakdown, cell.V1, cell.V2 = uint8(n+1), v[0], v[1]
		return true
	}
	return false
}

// ValueIndex is the index of a fact's value in Values; what is not listed is (other), and
// "(none)" is (none). Mapping of raw values is the property's matter: see Property.Index.
func (m *Measure) ValueIndex(v string) uint16 {
	p := Property{Values: m.Values}
	if i, ok := p.Find(v); ok {
		return i
	}
	return p.OtherIndex()
}

// valueName is the text a listed number stands for; "" where it stands for none.
func (m *Measure) valueName(f report.Field, b int, at float64) string {
	p := Property{Values: m.Listed(f, b), Fixed: m.Kind != Fact}
	if p.Values == nil || at < 0 || at >= float64(p.Size()) || at != math.Trunc(at) {
		return ""
	}
	return p.ValueName(uint16(at))
}

// Range of window starts that are believed: 1900-01-01 to 9999-12-31.
const (
	firstDay = -25_567
	lastDay  = 2_932_896
)

// check holds a cell against the measure's kind: its fields, grains, forms and numbers.
func (m *Measure) check(c report.Cell) error {
	if err := c.Check(); err != nil {
		return Error{Code: strict.CodeBadCell, Message: err.Error()}
	}
	switch {
	case !slices.Contains(m.FieldsOf(int(c.Breakdown)), c.Field):
		return strict.Coded(strict.CodeBadCell, "%s (%s) has no %s", m.ID, m.Kind, c.Field)
	case !m.HasGrain(c.Grain) && !(m.Pool && c.Grain == report.Block12w):
		return strict.Coded(strict.CodeBadCell, "%s (%s) has no windows of a %s", m.ID, m.Kind, c.Grain)
	case !aligned(c.Grain, c.Start):
		return strict.Coded(strict.CodeBadCell, "%s: no %s begins at %d", m.ID, c.Grain, c.Start)
	case !c.Form.HasNumbers() || c.Field.IsBlob():
		return nil
	}
	return m.checkNumbers(c)
}

func (m *Measure) checkNumbers(c report.Cell) error {
	counted := true // whole numbers from 0
	switch c.Field {
	case report.Sum, report.Last, report.Min, report.Max, report.Mean, report.SumX, report.SumY, report.SumXY:
		return nil // may be negative
	case report.Increase, report.SumXX, report.SumYY, report.Level, report.Up, report.Down, report.Maintenance, report.Unseen, report.Good, report.Valid:
		counted = false
	}
	listed := m.Listed(c.Field, int(c.Breakdown)) != nil
	switch {
	case (listed || m.Kind == Fact) && c.Form != report.Exact:
		return strict.Coded(strict.CodeBadCell, "%s: %s is told exactly or not at all, not as %s", m.ID, c.Field, c.Form)
	case listed && !wholeNumber(c.Lo):
		return strict.Coded(strict.CodeBadCell, "%s: %s is a whole number, not %v", m.ID, c.Field, c.Lo)
	case listed && m.valueName(c.Field, int(c.Breakdown), c.Lo) == "":
		return strict.Coded(strict.CodeBadCell, "%s has no value %v", m.ID, c.Lo)
	case c.Form != report.Noised && c.Lo < 0: // noise may push a count below nought
		return strict.Coded(strict.CodeBadCell, "%s: %s cannot be %v", m.ID, c.Field, c.Lo)
	case counted && (!wholeNumber(c.Lo) || !wholeNumber(c.Hi) && !math.IsInf(c.Hi, 1)):
		return strict.Coded(strict.CodeBadCell, "%s: %s is a whole number, not %v to %v", m.ID, c.Field, c.Lo, c.Hi)
	}
	return nil
}

func wholeNumber(f float64) bool { return f == math.Trunc(f) && math.Abs(f) <= 1<<53 }

func aligned(g report.Grain, start int64) bool {
	if g.Civil() {
		return start >= firstDay && start <= lastDay && report.CivilStart(g, start) == start
	}
	if start < firstDay*86400 || start > lastDay*86400+86399 {
		return false
	}
	switch g {
	case report.FiveMinutes:
		return start%300 == 0
	case report.Hour:
		return start%3600 == 0
	}
	return true
}

func hex16(h [32]byte) string { return hex.EncodeToString(h[:8]) }
