package catalog

import "slices"

// Reads is what a measure takes from what arrives: whoever collects needs nothing else, and
// drops the rest before it is kept.
type Reads struct {
	Events      map[string][]string // event → names of its properties, maybe none
	Metrics     []string            // ids
	Traits      []string            // of users; beside those that say who is not a person
	GroupTraits []string
	Resource    []string
	Users       bool // it is told who did it
}

// Reads says what the measure takes. Of a measure that looks at another (Of) it is what that one takes.
func (c *Catalog) Reads(m *Measure) Reads {
	r := Reads{Events: map[string][]string{}}
	if of, _ := c.Measure(m.Of); of != nil && of.Of == "" {
		return c.Reads(of)
	}
	for _, id := range m.EventIDs() {
		r.Events[id] = nil
	}
	own := []string{m.Property, m.X, m.Y}
	for _, b := range append(slices.Clone(m.By), []string{m.Split, m.Arm}) {
		for _, d := range b {
			if _, isTrait := c.Dimension(m, d); isTrait {
				r.Traits = add(r.Traits, d)
			} else {
				own = append(own, d)
			}
		}
	}
	for _, id := range m.dimensionEvents() {
		r.of(id, own...)
		r.clauses(id, m.Where)
	}
	for _, s := range m.Steps {
		r.of(s.Event, m.Correlate)
		r.clauses(s.Event, s.Where)
	}
	if m.Before != nil {
		r.clauses(m.Before.Event, m.Before.Where)
	}
	for _, f := range m.Features {
		for _, id := range f.Events {
			r.clauses(id, f.Where)
		}
	}
	r.Metrics = add(r.Metrics, m.Metric)
	for _, s := range []*Selector{m.Valid, m.Good} {
		if s != nil {
			r.clauses(s.Event, s.Where)
			r.Metrics = add(r.Metrics, s.Metric)
		}
	}
	for _, cl := range slices.Concat(m.WhereUser, m.Eligible) {
		r.Traits = add(r.Traits, cl.Property)
	}
	r.GroupTraits = add(r.GroupTraits, m.Purchased, m.Assigned)
	if m.Kind == Fact {
		r.fact(c, m)
	}
	r.Users = m.Subject == Person && len(r.Events) > 0 || len(r.Traits) > 0
	return r
}

func (r *Reads) fact(c *Catalog, m *Measure) {
	switch s, _ := c.Source(m); s.Of {
	case "group":
		r.GroupTraits = add(r.GroupTraits, s.Name)
	case "resource":
		r.Resource = add(r.Resource, s.Name)
	case "event":
		r.of(s.Event, s.Name)
	case "user":
		r.Traits = add(r.Traits, s.Name)
	}
}

func (r *Reads) of(event string, names ...string) {
	if event != "" {
		r.Events[event] = add(r.Events[event], names...)
	}
}

func (r *Reads) clauses(event string, cs []Clause) {
	for _, c := range cs {
		r.of(event, c.Property)
	}
}

// add appends what is not empty and not there yet.
func add(to []string, names ...string) []string {
	for _, s := range names {
		if s != "" && !slices.Contains(to, s) {
			to = append(to, s)
		}
	}
	return to
}
