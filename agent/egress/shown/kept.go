package shown

import (
	"slices"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/agent/egress"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// most is how many figures are shown of what does not leave: two windows of 60 measures with 40
// values each. A quarter more are kept, so that not every window moves them all.
const most = 5000

// Kept is what the gate ruled of the newest windows, for the preview: what does not leave, and why what leaves has
// its form. The zero value is ready; it is not safe for concurrent use.
type Kept struct {
	// Watch, where it is set, is told of every figure as it was ruled, and whether its window leaves.
	Watch     func(figures []Watched, leave bool)
	explained map[key]egress.Ruled // figures that leave
	stays     []control.Line
}

type key struct {
	catalog exchange.Hash
	series  report.Series
	start   int64
}

// Add takes a window's figures in.
func (k *Kept) Add(w egress.Window, cells []egress.Ruled, leave bool) {
	if k.Watch != nil {
		k.Watch(watched(w, cells), leave)
	}
	for _, c := range cells {
		if leave {
			if k.explained == nil || len(k.explained) >= most {
				k.explained = map[key]egress.Ruled{} // what waited has left meanwhile; the newest are explained again as they come
			}
			k.explained[key{w.Catalog.Hash, c.Series, c.Start}] = c
		}
		if leave && c.Reason == egress.Leaves || c.Reason == egress.OtherGrain {
			continue
		}
		if l, ok := ruled(w, c); ok {
			k.stays = append(k.stays, l)
		}
	}
	if len(k.stays) > most+most/4 {
		k.stays = append(k.stays[:0], k.newest()...)
	}
}

// Watched is a figure as it was ruled, beside what it is.
type Watched struct {
	control.Line
	Exact *float64 // nil: no number
}

func watched(w egress.Window, cells []egress.Ruled) []Watched {
	exact := make(map[report.Series]float64, len(w.Cells))
	for _, c := range w.Cells {
		exact[c.Series] = c.Lo
	}
	out := make([]Watched, 0, len(cells))
	for _, c := range cells {
		if l, ok := ruled(w, c); ok {
			x := Watched{Line: l}
			if v := exact[c.Series]; !c.Field.IsBlob() && c.Start == w.Start { // one that is not there is nought
				x.Exact = &v
			}
			out = append(out, x)
		}
	}
	return out
}

// ruled is a figure as it was ruled; false when the catalog does not know it.
func ruled(w egress.Window, c egress.Ruled) (control.Line, bool) {
	f, err := w.Catalog.Resolve(c.Cell)
	if err != nil {
		return control.Line{}, false
	}
	m := &w.Catalog.Measures[w.Measure]
	return control.Line{Figure: f, Category: m.Category, Purpose: m.Purpose, Reason: string(c.Reason), Why: c.Reason.Text(), Explain: c.Why.Text()}, true
}

func (k *Kept) newest() []control.Line { return k.stays[max(0, len(k.stays)-most):] }

// Stays is the newest figures that do not leave.
func (k *Kept) Stays() []control.Line { return slices.Clone(k.newest()) }

// Line is a figure that waits to leave; false when the catalog does not know it.
func (k *Kept) Line(c *catalog.Catalog, cell report.Cell) (control.Line, bool) {
	f, err := c.Resolve(cell)
	if err != nil {
		return control.Line{}, false
	}
	m := &c.Measures[cell.Measure]
	l := control.Line{Figure: f, Category: m.Category, Purpose: m.Purpose}
	x, ok := k.explained[key{exchange.Hash(c.Hash), cell.Series, cell.Start}]
	switch {
	case ok:
		l.Reason, l.Why, l.Explain = string(x.Reason), x.Reason.Text(), x.Why.Text()
	case f.Form == report.Suppressed:
		l.Reason, l.Why = "withheld", "it leaves as “withheld”; the reason stays here and was not kept over the last start"
	}
	return l, true
}
