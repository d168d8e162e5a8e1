package agent

import (
	"encoding/json"
	"slices"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/agent/egress"
	"github.com/fieldpost/fieldpost/agent/measure"
	"github.com/fieldpost/fieldpost/agent/outbox"
	"github.com/fieldpost/fieldpost/agent/signals/statements"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// noteTold gives the signals of change what was told of a window: of people answers, else exact figures. mu is held.
func (a *Agent) noteTold(w egress.Window, cells []egress.Ruled, leave bool) {
	n := statements.Window{Catalog: w.Catalog, Measure: w.Measure, Grain: w.Grain, Start: w.Start, Cells: w.Cells, Left: true}
	if w.Catalog.Measures[w.Measure].Subject == catalog.Person {
		n.Cells, n.Left = cellsOf(cells), leave
	}
	a.changes.Note(n)
}

func cellsOf(ruled []egress.Ruled) []report.Cell {
	out := make([]report.Cell, len(ruled))
	for i, c := range ruled {
		out[i] = c.Cell
	}
	return out
}

// sayChanges puts the statements that have become due by now (unix ns) on the shelf. mu is held.
func (a *Agent) sayChanges(now int64) {
	c := a.current
	for _, d := range a.changes.Say(c, now, statements.Site{Zone: a.zone, Working: a.cfg.Settings.WorkingDays, May: a.covered}) {
		cells := d.Statement.Cells(c, d.Measure, report.Block4w)
		ruled := make([]egress.Ruled, len(cells))
		for i, cell := range cells {
			if ruled[i] = (egress.Ruled{Cell: cell}); !d.Leaves {
				ruled[i].Reason = egress.NotConsented
			}
		}
		a.kept.Add(egress.Window{Catalog: c, Measure: d.Measure, Grain: report.Block4w, Start: d.Statement.Start}, ruled, d.Leaves)
		if d.Leaves {
			a.outbox.Put(outbox.Origin{Catalog: c.Hash, Consent: a.delivery.consent, Zone: a.zone.String(), Simulated: a.cfg.Simulated}, cells)
		}
	}
}

// covered reports whether consent covers a window for a statement that leaves: of the category of the statement, and of that
// of every measure it is made of.
func (a *Agent) covered(m *catalog.Measure, g report.Grain, start int64) bool {
	if a.policy.Statement == nil {
		return false
	}
	d := a.policy.Statement.Effective(m, a.policy.Accepted)
	begin, _ := report.WindowTimes(g, start, a.zone)
	least := exchange.Strict // of machines everything is exact
	if m.Subject == catalog.Person {
		least = exchange.Aggregate
	}
	return d.Level.AtLeast(least) && begin.Unix() >= d.From
}

// changesAsked answers a query for a change or an environment: what was said, or, exact, what the exact figures say. mu is held.
func (a *Agent) changesAsked(c *catalog.Catalog, i int, g report.Grain, q control.Query) ([]json.RawMessage, error) {
	from := a.changes
	if q.Exact {
		from = statements.New()
		last, err := a.feedExact(c, i, from)
		if err != nil {
			return nil, err
		}
		from.Blocks(c, i, last, a.cfg.Settings.WorkingDays)
	}
	return from.Lines(c, statements.Ask{Measure: i, Grain: g, From: q.From, To: q.To}, a.cfg.Settings.WorkingDays)
}

// feedExact fills a memory with the exact figures of closed windows, and says which civil day is the last.
func (a *Agent) feedExact(c *catalog.Catalog, i int, to *statements.Memory) (last int64, err error) {
	for _, need := range to.Needs(c, i) {
		m := &c.Measures[need.Measure]
		lines, err := a.store.Fold().Query(measure.Query{Measure: m.ID, Grain: need.Grain, By: need.By})
		if err != nil {
			return 0, refuse("query_refused", err.Error(), "fieldpost-agent catalog", 2)
		}
		for _, l := range slices.DeleteFunc(lines, func(l measure.Line) bool { return !l.Closed }) {
			start, err := report.ParseStart(need.Grain, l.Start)
			if err != nil {
				return 0, err
			}
			if _, end := report.CivilDays(need.Grain, start); need.Of {
				last = max(last, end)
			}
			to.Feed(c, need, start, l.Dims, exactFigures(l.Value))
		}
	}
	return last, nil
}

// exactFigures are the figures of a line that signals look at.
func exactFigures(v any) map[report.Field]float64 {
	switch v := v.(type) {
	case int64:
		return map[report.Field]float64{report.Value: float64(v)}
	case measure.CounterValue:
		return map[report.Field]float64{report.Increase: v.Increase}
	case measure.LifecycleValue:
		return map[report.Field]float64{report.New: float64(v.New), report.Retained: float64(v.Retained), report.Resurrected: float64(v.Resurrected), report.Dormant: float64(v.Dormant)}
	case measure.SeatsValue:
		if v.Assigned != nil {
			return map[report.Field]float64{report.Assigned: *v.Assigned}
		}
	}
	return nil
}
