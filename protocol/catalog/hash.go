package catalog

import (
	"slices"
	"strconv"
	"strings"
)

// Canonical is the form a measure's definition hash is taken over (SHA-256): everything the
// measure and what it refers to say, but question, owner and purpose.
//
// The first line is "fieldpost/measure/v1". Then one line per leaf: its path, a space, the
// length of its value in bytes, a space, the value, a line feed. Paths are the keys of the
// file; entries of lists are numbered from 0. Lists keep their order; mappings have none and
// are written in the order of their keys (bytewise), as .N.key and .N.to for map. Defaults are
// filled in and a key without a value (empty, 0) is not written, so that a key added to the
// format later changes no old hash. Durations are whole seconds, numbers the shortest decimal
// that reads back the same, in Go's 'g' form.
//
// After the measure's own keys: each event it names, in the order named, with match, type,
// grace and those of its properties the measure uses; its metric or metrics likewise; its
// probe; the traits it uses; for a measure about people the traits that say who is not a
// person; the group trait or resource attribute of a fact.
func (c *Catalog) Canonical(m *Measure) []byte {
	b := []byte("fieldpost/measure/v1\n")
	for _, l := range c.definition(m) {
		b = append(append(b, l.path...), ' ')
		b = append(strconv.AppendInt(b, int64(len(l.value)), 10), ' ')
		b = append(append(b, l.value...), '\n')
	}
	return b
}

// definition are the leaves of the canonical form, in order.
func (c *Catalog) definition(m *Measure) []leaf {
	w := &canon{}
	w.text("id", m.ID)
	w.text("kind", string(m.Kind))
	w.text("subject", string(m.Subject))
	w.texts("events", m.Events)
	w.text("metric", m.Metric)
	w.text("probe", m.Probe)
	w.text("property", m.Property)
	w.text("from", m.From)
	w.texts("values", m.Values)
	w.selector("valid", m.Valid)
	w.selector("good", m.Good)
	w.float("target", m.Target)
	w.whole("window", int64(m.Window.Seconds()))
	w.whole("min_valid", m.MinValid)
	for i, b := range m.By {
		w.texts("by."+strconv.Itoa(i), b)
	}
	w.clauses("where", m.Where)
	w.clauses("where_user", m.WhereUser)
	w.text("leaves", m.Leaves.String())
	w.text("category", m.Category)
	w.texts("consumed_in", m.ConsumedIn)
	w.whole("retention", int64(m.Retention.Seconds()))
	w.text("expires", m.Expires)
	c.canonRefs(w, m)
	return w.leaves
}

// canonRefs writes the declarations the measure refers to.
func (c *Catalog) canonRefs(w *canon, m *Measure) {
	used := map[string]bool{m.Property: true}
	for _, b := range m.By {
		for _, d := range b {
			used[d] = true
		}
	}
	for _, cl := range m.Where {
		used[cl.Property] = true
	}
	src, isFact := Source{}, false
	if m.Kind == Fact {
		src, isFact = c.Source(m)
	}
	eventIDs, metricIDs := slices.Clone(m.Events), []string{m.Metric}
	for _, s := range []*Selector{m.Valid, m.Good} {
		if s != nil {
			eventIDs, metricIDs = append(eventIDs, s.Event), append(metricIDs, s.Metric)
			for _, cl := range s.Where {
				used[cl.Property] = true
			}
		}
	}
	if isFact && src.Of == "event" {
		eventIDs, used[src.Name] = append(eventIDs, src.Event), true
	}
	seen := map[string]bool{}
	for _, id := range eventIDs {
		if e, _ := c.Event(id); e != nil && !seen["event."+id] {
			at := "event." + id
			seen[at] = true
			w.text(at+".match", e.Match)
			w.text(at+".type", e.Type)
			w.whole(at+".grace", int64(e.Grace.Seconds()))
			w.properties(at+".properties", e.Properties, func(p *Property) bool { return used[p.Name] })
		}
	}
	for _, id := range metricIDs {
		if mt, _ := c.Metric(id); mt != nil && !seen["metric."+id] {
			at := "metric." + id
			seen[at] = true
			w.text(at+".match", mt.Match)
			w.text(at+".type", string(mt.Type))
			w.text(at+".unit", mt.Unit)
			w.properties(at+".attributes", mt.Attributes, func(p *Property) bool { return used[p.Name] })
			w.floats(at+".bounds", mt.Bounds)
		}
	}
	if i := c.Probe(m.Probe); i >= 0 {
		w.text("probe."+m.Probe+".label", c.Probes[i].Label)
	}
	c.canonTraits(w, m, src, isFact)
}

func (c *Catalog) canonTraits(w *canon, m *Measure, src Source, isFact bool) {
	used := map[string]bool{}
	for _, cl := range m.WhereUser {
		used[cl.Property] = true
	}
	for _, b := range m.By {
		for _, d := range b {
			if _, isTrait := c.Dimension(m, d); isTrait {
				used[d] = true
			}
		}
	}
	if isFact && src.Of == "user" {
		used[src.Name] = true
	}
	// Samples carry no user: who counts as a person does not touch them.
	people := m.Subject == Person && (len(m.Events) > 0 || isFact && src.aboutPeople())
	w.properties("traits", c.Traits, func(p *Property) bool { return used[p.Name] || people && len(p.NotPeople) > 0 })
	if isFact && src.Of == "group" {
		w.properties("group_traits", c.GroupTraits, func(p *Property) bool { return p.Name == src.Name })
	}
	if isFact && src.Of == "resource" {
		w.properties("resource", c.Resource, func(p *Property) bool { return p.Name == src.Name })
	}
}

// leaf is one line of the canonical form.
type leaf struct{ path, value string }

// canon collects leaves.
type canon struct{ leaves []leaf }

func (w *canon) line(path, v string) { w.leaves = append(w.leaves, leaf{path, v}) }

func (w *canon) text(path, v string) {
	if v != "" {
		w.line(path, v)
	}
}

func (w *canon) whole(path string, v int64) {
	if v != 0 {
		w.line(path, strconv.FormatInt(v, 10))
	}
}

func decimal(f float64) string {
	if f == 0 {
		return "0" // also for -0
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

func (w *canon) float(path string, v float64) {
	if v != 0 {
		w.line(path, decimal(v))
	}
}

func (w *canon) texts(path string, vs []string) {
	for i, v := range vs {
		w.line(path+"."+strconv.Itoa(i), v)
	}
}

func (w *canon) floats(path string, vs []float64) {
	for i, v := range vs {
		w.line(path+"."+strconv.Itoa(i), decimal(v))
	}
}

func (w *canon) selector(path string, s *Selector) {
	if s == nil {
		return
	}
	w.text(path+".event", s.Event)
	w.text(path+".metric", s.Metric)
	w.clauses(path+".where", s.Where)
	w.float(path+".at_most", s.AtMost)
}

func (w *canon) clauses(path string, cs []Clause) {
	cs = slices.Clone(cs)
	slices.SortFunc(cs, func(a, b Clause) int { return strings.Compare(a.Property, b.Property) })
	for _, c := range cs {
		at := path + "." + c.Property
		w.texts(at+".values", c.Values)
		if c.Min != nil {
			w.line(at+".min", decimal(*c.Min))
		}
		if c.Max != nil {
			w.line(at+".max", decimal(*c.Max))
		}
	}
}

func (w *canon) properties(path string, ps []Property, keep func(*Property) bool) {
	var kept []*Property
	for i := range ps {
		if keep(&ps[i]) {
			kept = append(kept, &ps[i])
		}
	}
	slices.SortFunc(kept, func(a, b *Property) int { return strings.Compare(a.Name, b.Name) })
	for _, p := range kept {
		at := path + "." + p.Name
		w.text(at+".match", p.Match)
		w.texts(at+".values", p.Values)
		raws := make([]string, 0, len(p.Map))
		for raw := range p.Map {
			raws = append(raws, raw)
		}
		slices.Sort(raws)
		for i, raw := range raws {
			w.line(at+".map."+strconv.Itoa(i)+".key", raw)
			w.line(at+".map."+strconv.Itoa(i)+".to", p.Map[raw])
		}
		w.texts(at+".not_people", p.NotPeople)
		if p.IsNumber {
			w.line(at+".number.min", decimal(p.Min))
			w.line(at+".number.max", decimal(p.Max))
		}
	}
}
