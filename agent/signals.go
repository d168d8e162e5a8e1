package agent

import (
	"encoding/json"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/agent/egress"
	"github.com/fieldpost/fieldpost/agent/measure"
	"github.com/fieldpost/fieldpost/agent/outbox"
	"github.com/fieldpost/fieldpost/agent/signals/statements"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// noteTold gives the signals of change what was told of a window. mu is held.
func (a *Agent) noteTold(w egress.Window, ruled []egress.Ruled, leave bool) {
	cells, left := egress.Told(w, ruled, leave)
	a.changes.Note(statements.Window{Catalog: w.Catalog, Measure: w.Measure, Grain: w.Grain, Start: w.Start, Cells: cells, Left: left})
}

// sayChanges puts the statements that have become due by now (unix ns) on the shelf. mu is held.
func (a *Agent) sayChanges(now int64) {
	c := a.current
	may := func(m *catalog.Measure, g report.Grain, start int64) bool {
		return a.policy.Covers(m, g, start, a.zoneAt(now))
	}
	for _, d := range a.changes.Say(c, now, statements.Site{Zone: a.zoneAt(now), Working: a.cfg.Settings.WorkingDays, May: may}) {
		cells := d.Statement.Cells(c, d.Measure, report.Block4w)
		a.kept.Add(egress.Window{Catalog: c, Measure: d.Measure, Grain: report.Block4w, Start: d.Statement.Start}, egress.Stated(cells, d.Leaves), d.Leaves)
		if d.Leaves {
			a.outbox.Put(outbox.Origin{Catalog: c.Hash, Consent: a.delivery.consent, Zone: a.zoneAt(now).String(), Simulated: a.cfg.Simulated}, cells)
		}
	}
}

// changesAsked answers a query for a change or an environment: what was said, or, exact, what the exact figures say. mu is held.
func (a *Agent) changesAsked(c *catalog.Catalog, i int, g report.Grain, q control.Query) ([]json.RawMessage, error) {
	from, working := a.changes, a.cfg.Settings.WorkingDays
	if q.Exact {
		var err error
		if from, err = statements.Exact(c, i, working, a.exactLines); err != nil {
			return nil, refuse("query_refused", err.Error(), "fieldpost-agent catalog", 2)
		}
	}
	return from.Lines(c, statements.Ask{Measure: i, Grain: g, From: q.From, To: q.To}, working)
}

// exactLines are the fold's own lines. mu is held.
func (a *Agent) exactLines(id string, g report.Grain, by []string) (out []json.RawMessage, err error) {
	lines, err := a.store.Fold().Query(measure.Query{Measure: id, Grain: g, By: by})
	for _, l := range lines {
		b, err := json.Marshal(l)
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, err
}
