package shown

import (
	"fmt"
	"strings"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Find is the measure that is asked for, its place in the catalog and the grain. What is not there is refused with
// the nearest that is; c is nil where there is no catalog.
func Find(c *catalog.Catalog, q control.Query) (*catalog.Measure, int, report.Grain, error) {
	refuse := func(code, message, hint string, exit int) (*catalog.Measure, int, report.Grain, error) {
		return nil, 0, 0, &control.Error{Code: code, Message: message, Hint: hint, Exit: exit}
	}
	if c == nil {
		return refuse("catalog_missing", "there is no catalog yet, so nothing is measured", "fieldpost-agent enroll, or replay --catalog FILE", 1)
	}
	m, i := c.Measure(q.Measure)
	if m == nil {
		ids := []string{}
		for i := range c.Measures {
			ids = append(ids, c.Measures[i].ID)
		}
		hint := "fieldpost-agent catalog"
		if near := catalog.Nearest(q.Measure, ids); near != "" {
			hint = "--measure " + near
		}
		return refuse("measure_unknown", fmt.Sprintf("there is no measure %q", q.Measure), hint, 2)
	}
	g, err := report.ParseGrain(q.Grain)
	if err != nil || !m.HasGrain(g) {
		names := []string{}
		for _, g := range m.Grains() {
			names = append(names, g.String())
		}
		return refuse("grain_unknown", fmt.Sprintf("%s has no grain %q", m.ID, q.Grain), "--grain "+strings.Join(names, ", "), 2)
	}
	return m, i, g, nil
}
