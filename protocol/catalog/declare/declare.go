// Package declare reads what a catalog says may arrive and what is known of it: events with
// their properties, traits, attributes, metrics, probes and doors; and the conditions on them
// that measures are made of. Every closed list is closed here: no free text is declared.
//
// It keeps no state on disk.
package declare

import "time"

// Kind is what is computed for a measure, and what a metric is. Package catalog names the kinds.
type Kind string

// Kinds of metrics.
const (
	Gauge     Kind = "gauge"
	Counter   Kind = "counter"
	Histogram Kind = "histogram"
)

// Reserved values of a closed list. They take the indexes len(Values) and len(Values)+1.
const (
	Other = "(other)"
	None  = "(none)"
)

// Doors says where doors whose format does not name a user find one. "" : nowhere, the events
// then count under no user.
type Doors struct {
	CloudEvents string // an extension attribute (default authid) or data.PATH
	Logs        string // an attribute of the OTLP log record (default user.id)
}

// Event is one kind of event that may arrive.
type Event struct {
	ID         string
	Match      string        // the client's event, page or screen name
	Type       string        // track, page or screen
	Grace      time.Duration // how late it may arrive
	Properties []Property
}

// Property is a declared property, trait or attribute.
type Property struct {
	Name      string
	Match     string            // the client's name; Name where not given
	Values    []string          // a closed list, or nil for a number
	Map       map[string]string // raw value → listed value
	NotPeople []string          // traits only
	Min, Max  float64           // bounds of a number, both included
	IsNumber  bool
	Fixed     bool // a dimension of a kind's own (offset, step, band …): no (other), no (none)
}

// Index is the position of a raw value: a listed one, a mapped one, or Other.
func (p *Property) Index(raw string) uint16 {
	if to, ok := p.Map[raw]; ok {
		raw = to
	}
	for i, v := range p.Values {
		if v == raw {
			return uint16(i)
		}
	}
	return p.OtherIndex()
}

// OtherIndex is the index that stands for (other).
func (p *Property) OtherIndex() uint16 { return uint16(len(p.Values)) }

// NoneIndex is the index that stands for (none).
func (p *Property) NoneIndex() uint16 { return uint16(len(p.Values) + 1) }

// Size is how many values a cell of this dimension can have.
func (p *Property) Size() uint16 {
	if p.Fixed {
		return uint16(len(p.Values))
	}
	return uint16(len(p.Values)) + 2
}

// Name of the value at an index; "" when out of range.
func (p *Property) ValueName(i uint16) string {
	switch {
	case int(i) < len(p.Values):
		return p.Values[i]
	case p.Fixed:
		return ""
	case i == p.OtherIndex():
		return Other
	case i == p.NoneIndex():
		return None
	}
	return ""
}

// Metric is one kind of sample that may arrive.
type Metric struct {
	ID         string
	Match      string // the OTLP metric name
	Type       Kind   // Gauge, Counter or Histogram
	Unit       string
	Attributes []Property // lists only
	Bounds     []float64  // histogram: upper bounds, rising; counts are merged into them
}

// Probe is a check the vendor would like to see; its target is decided at the site.
type Probe struct {
	ID    string
	Label string
}

// Find is the index of a value's name as ValueName gives it.
func (p *Property) Find(name string) (uint16, bool) {
	for i := range p.Size() {
		if p.ValueName(i) == name {
			return i, true
		}
	}
	return 0, false
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

// Clause is one condition of where: the property's value is one of Values, or lies in [Min, Max].
type Clause struct {
	Property string
	Values   []string
	Min, Max *float64
}
