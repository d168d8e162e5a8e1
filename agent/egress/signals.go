package egress

import (
	"time"

	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Cells are the cells of figures, without reasons.
func Cells(ruled []Ruled) []report.Cell {
	out := make([]report.Cell, len(ruled))
	for i, c := range ruled {
		out[i] = c.Cell
	}
	return out
}

// Told is what the signals of change may know of a window: of people the answers, and whether they leave; else exact figures.
func Told(w Window, ruled []Ruled, leave bool) (cells []report.Cell, left bool) {
	if w.Catalog.Measures[w.Measure].Subject == catalog.Person {
		return Cells(ruled), leave
	}
	return w.Cells, true
}

// Stated are the cells of a statement that was made of answers: they leave as they are, or not at all.
func Stated(cells []report.Cell, leave bool) []Ruled {
	out := make([]Ruled, len(cells))
	for i, c := range cells {
		if out[i].Cell = c; !leave {
			out[i].Reason = NotConsented
		}
	}
	return out
}

// Covers reports whether consent covers a window for a statement that leaves. At strict nothing is told of people that a
// statement could be made of.
func (p Policy) Covers(m *catalog.Measure, g report.Grain, start int64, zone *time.Location) bool {
	if p.Statement == nil {
		return false
	}
	d, least := p.Statement.Effective(m, p.Accepted), exchange.Strict
	if m.Subject == catalog.Person {
		least = exchange.Aggregate
	}
	begin, _ := report.WindowTimes(g, start, zone)
	return d.Level.AtLeast(least) && begin.Unix() >= d.From
}
