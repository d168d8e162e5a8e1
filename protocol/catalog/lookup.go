package catalog

import (
	"slices"
	"strings"
	"time"

	"github.com/fieldpost/fieldpost/protocol/catalog/declare"
	"github.com/fieldpost/fieldpost/protocol/catalog/strict"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Error is one thing that is wrong with a catalog, a signature, a key or a cell. Its codes
// stand in package strict.
type Error = strict.Error

// Errors is all that is wrong with a file.
type Errors = strict.Errors

// Nearest is the word among those given that was most likely meant, or "".
func Nearest(word string, among []string) string { return strict.Nearest(word, among) }

// Span writes a duration the way a catalog does: 48h, 7d; forever for 0.
func Span(d time.Duration) string { return strict.Span(d) }

// Event is the event with the id and its index.
func (c *Catalog) Event(id string) (*Event, int) {
	for i := range c.Events {
		if c.Events[i].ID == id {
			return &c.Events[i], i
		}
	}
	return nil, -1
}

// Metric is the metric with the id and its index.
func (c *Catalog) Metric(id string) (*Metric, int) {
	for i := range c.Metrics {
		if c.Metrics[i].ID == id {
			return &c.Metrics[i], i
		}
	}
	return nil, -1
}

// Measure is the measure with the id and its index.
func (c *Catalog) Measure(id string) (*Measure, int) {
	for i := range c.Measures {
		if c.Measures[i].ID == id {
			return &c.Measures[i], i
		}
	}
	return nil, -1
}

// Probe is the index of the probe with the id, or -1.
func (c *Catalog) Probe(id string) int {
	for i := range c.Probes {
		if c.Probes[i].ID == id {
			return i
		}
	}
	return -1
}

// Find is the property of that name and its index.
func Find(ps []Property, name string) (*Property, int) { return declare.Find(ps, name) }

// HasGrain reports whether the site keeps windows of that grain for the measure.
func (m *Measure) HasGrain(g report.Grain) bool { return slices.Contains(m.Grains(), g) }

// EventIDs are the events the measure reads, each once, in the order of the file: its own, those
// of its steps, of before, of its features, of what is valid and good, and of a fact.
func (m *Measure) EventIDs() []string {
	out := add(nil, m.Events...)
	for _, s := range m.Steps {
		out = add(out, s.Event)
	}
	if m.Before != nil {
		out = add(out, m.Before.Event)
	}
	for _, f := range m.Features {
		out = add(out, f.Events...)
	}
	for _, s := range []*Selector{m.Valid, m.Good} {
		if s != nil {
			out = add(out, s.Event)
		}
	}
	if rest, ok := strings.CutPrefix(m.From, "event."); ok && m.Kind == Fact {
		id, _, _ := strings.Cut(rest, ".")
		out = add(out, id)
	}
	return out
}

// dimensionEvents are the events whose properties can tell the measure apart: its own; of a
// funnel those of its first step, where entries are split.
func (m *Measure) dimensionEvents() []string {
	if m.Kind == Funnel && len(m.Steps) > 0 && m.Steps[0].Event != "" {
		return []string{m.Steps[0].Event}
	}
	return m.Events
}

// Dimension finds what the name of a breakdown, a split or an arm means for the measure: a
// property of its events (of a funnel: of its first step's event) or an attribute of its metric,
// else a trait of the user. Events may list different values for the same name only if they are
// equal; validation sees to that.
func (c *Catalog) Dimension(m *Measure, name string) (p *Property, isTrait bool) {
	for _, id := range m.dimensionEvents() {
		if e, _ := c.Event(id); e != nil {
			if p, _ := Find(e.Properties, name); p != nil {
				return p, false
			}
		}
	}
	if mt, _ := c.Metric(m.Metric); mt != nil {
		if p, _ := Find(mt.Attributes, name); p != nil {
			return p, false
		}
	}
	p, _ = Find(c.Traits, name)
	return p, p != nil
}
