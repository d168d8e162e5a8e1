package catalog

import (
	"slices"
	"time"

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
func Find(ps []Property, name string) (*Property, int) {
	for i := range ps {
		if ps[i].Name == name {
			return &ps[i], i
		}
	}
	return nil, -1
}

// Fields are the figures one window of the measure's kind has, in order.
func (m *Measure) Fields() []report.Field {
	switch m.Kind {
	case Count, ActiveUsers:
		return []report.Field{report.Value}
	case Lifecycle:
		return []report.Field{report.New, report.Retained, report.Resurrected, report.Dormant}
	case Distribution:
		return []report.Field{report.Count, report.Sum, report.Sketch}
	case Histogram:
		return []report.Field{report.Count, report.Sum, report.Buckets}
	case Gauge:
		return []report.Field{report.Last, report.Min, report.Max, report.Mean}
	case Counter:
		return []report.Field{report.Increase}
	case Fact:
		return []report.Field{report.Value, report.Since}
	case Availability:
		return []report.Field{report.Up, report.Down, report.Maintenance, report.Unseen, report.Incidents}
	case SLO:
		return []report.Field{report.Good, report.Valid}
	}
	return nil
}

// Grains are the windows kept at the site for the measure: all grains of its subject
// (MEASURES, "Grains"). A fact has days and changes; lifecycle only weeks and months.
func (m *Measure) Grains() []report.Grain {
	switch {
	case m.Kind == Fact:
		return []report.Grain{report.Day, report.Change}
	case m.Kind == Lifecycle:
		return []report.Grain{report.Week, report.Month}
	case m.Subject != Person:
		return []report.Grain{report.FiveMinutes, report.Hour, report.Day}
	}
	return []report.Grain{report.Day, report.Week, report.Month, report.Rolling28, report.Block4w, report.Block12w}
}

// HasGrain reports whether the site keeps windows of that grain for the measure.
func (m *Measure) HasGrain(g report.Grain) bool { return slices.Contains(m.Grains(), g) }

// Dimension finds what a breakdown's name means for the measure: a property of its events
// or an attribute of its metric, else a trait of the user. Events may list different values for
// the same name only if they are equal; validation sees to that.
func (c *Catalog) Dimension(m *Measure, name string) (p *Property, isTrait bool) {
	for _, id := range m.Events {
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
