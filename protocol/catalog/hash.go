package catalog

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"

	"github.com/fieldpost/fieldpost/protocol/catalog/canon"
	"github.com/fieldpost/fieldpost/protocol/catalog/declare"
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
// probe; for a measure about people the doors where they find users, when one differs from its
// default; the traits it uses and those that say who is not a person; the group traits or
// resource attribute it reads; of a measure that looks at another the hash of that one's
// definition, as of.definition.
func (c *Catalog) Canonical(m *Measure) []byte {
	return canon.Render("fieldpost/measure/v1", c.Definition(m))
}

// Definition are the leaves of the canonical form, in order.
func (c *Catalog) Definition(m *Measure) []canon.Leaf {
	w := &canonical{}
	w.Text("id", m.ID)
	w.Text("kind", string(m.Kind))
	w.Text("subject", string(m.Subject))
	w.Texts("events", m.Events)
	w.Text("metric", m.Metric)
	w.Text("probe", m.Probe)
	w.Text("property", m.Property)
	w.Text("from", m.From)
	w.Texts("values", m.Values)
	w.selector("valid", m.Valid)
	w.selector("good", m.Good)
	for i, s := range m.Steps {
		at := "steps." + strconv.Itoa(i)
		w.Text(at+".id", s.ID)
		w.Text(at+".event", s.Event)
		w.Clauses(at+".where", s.Where)
	}
	w.Text("entry", m.Entry)
	w.Text("correlate", m.Correlate)
	w.Text("split", m.Split)
	if m.Before != nil {
		w.Text("before.event", m.Before.Event)
		w.Clauses("before.where", m.Before.Where)
	}
	for i, f := range m.Features {
		at := "features." + strconv.Itoa(i)
		w.Text(at+".id", f.ID)
		w.Texts(at+".events", f.Events)
		w.Clauses(at+".where", f.Where)
	}
	w.Clauses("eligible", m.Eligible)
	w.Whole("uses", m.Uses)
	w.Text("purchased", m.Purchased)
	w.Text("assigned", m.Assigned)
	w.Text("arm", m.Arm)
	w.Text("x", m.X)
	w.Text("y", m.Y)
	w.Text("of", m.Of)
	w.Float("target", m.Target)
	w.Whole("window", int64(m.Window.Seconds()))
	w.Whole("min_valid", m.MinValid)
	for i, b := range m.By {
		w.Texts("by."+strconv.Itoa(i), b)
	}
	w.Clauses("where", m.Where)
	w.Clauses("where_user", m.WhereUser)
	w.Text("leaves", m.Leaves.String())
	if m.Pool {
		w.Line("pool", "true")
	}
	if m.Epsilon != defaultEpsilon {
		w.Float("epsilon", m.Epsilon)
	}
	w.Whole("cap", m.Cap)
	w.Text("category", m.Category)
	w.Texts("consumed_in", m.ConsumedIn)
	w.Whole("retention", int64(m.Retention.Seconds()))
	w.Text("expires", m.Expires)
	c.canonRefs(w, m)
	return w.Leaves
}

// canonRefs writes the declarations the measure refers to.
func (c *Catalog) canonRefs(w *canonical, m *Measure) {
	src, isFact := Source{}, false
	if m.Kind == Fact {
		src, isFact = c.Source(m)
	}
	used, metricIDs := m.PropertyNames(), []string{m.Metric}
	for _, s := range []*Selector{m.Valid, m.Good} {
		if s != nil {
			metricIDs = append(metricIDs, s.Metric)
		}
	}
	if isFact && src.Of == "event" {
		used[src.Name] = true
	}
	seen := map[string]bool{}
	for _, id := range m.EventIDs() {
		if e, _ := c.Event(id); e != nil && !seen["event."+id] {
			at := "event." + id
			seen[at] = true
			w.Text(at+".match", e.Match)
			w.Text(at+".type", e.Type)
			w.Whole(at+".grace", int64(e.Grace.Seconds()))
			w.Properties(at+".properties", e.Properties, func(p *Property) bool { return used[p.Name] })
		}
	}
	for _, id := range metricIDs {
		if mt, _ := c.Metric(id); mt != nil && !seen["metric."+id] {
			at := "metric." + id
			seen[at] = true
			w.Text(at+".match", mt.Match)
			w.Text(at+".type", string(mt.Type))
			w.Text(at+".unit", mt.Unit)
			w.Properties(at+".attributes", mt.Attributes, func(p *Property) bool { return used[p.Name] })
			w.Floats(at+".bounds", mt.Bounds)
		}
	}
	if i := c.Probe(m.Probe); i >= 0 {
		w.Text("probe."+m.Probe+".label", c.Probes[i].Label)
	}
	c.canonTraits(w, m, src, isFact)
	if of, _ := c.Measure(m.Of); of != nil && of != m && of.Of == "" {
		sum := sha256.Sum256(c.Canonical(of))
		w.Line("of.definition", hex.EncodeToString(sum[:]))
	}
}

// PropertyNames are the names of properties, attributes and dimensions the measure looks at.
func (m *Measure) PropertyNames() map[string]bool {
	used := map[string]bool{m.Property: true, m.Correlate: true, m.Split: true, m.Arm: true, m.X: true, m.Y: true}
	for _, b := range m.By {
		for _, d := range b {
			used[d] = true
		}
	}
	add := func(cs []Clause) {
		for _, c := range cs {
			used[c.Property] = true
		}
	}
	add(m.Where)
	for _, s := range []*Selector{m.Valid, m.Good} {
		if s != nil {
			add(s.Where)
		}
	}
	for _, s := range m.Steps {
		add(s.Where)
	}
	if m.Before != nil {
		add(m.Before.Where)
	}
	for _, f := range m.Features {
		add(f.Where)
	}
	return used
}

func (c *Catalog) canonTraits(w *canonical, m *Measure, src Source, isFact bool) {
	used := map[string]bool{}
	for _, cl := range slices.Concat(m.WhereUser, m.Eligible) {
		used[cl.Property] = true
	}
	for _, b := range append(slices.Clone(m.By), []string{m.Split, m.Arm}) {
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
	users := len(m.Events)+len(m.Steps) > 0 || isFact && src.aboutPeople()
	for _, s := range []*Selector{m.Valid, m.Good} {
		users = users || s != nil && s.Event != ""
	}
	people := m.Subject == Person && users
	if standard := declare.DefaultDoors(); people && c.Doors != standard {
		w.Line("doors.cloudevents.user", cmp.Or(c.Doors.CloudEvents, declare.Nowhere))
		w.Line("doors.logs.user", cmp.Or(c.Doors.Logs, declare.Nowhere))
	}
	w.Properties("traits", c.Traits, func(p *Property) bool { return used[p.Name] || people && len(p.NotPeople) > 0 })
	if isFact && src.Of == "group" || m.Kind == Seats {
		w.Properties("group_traits", c.GroupTraits, func(p *Property) bool {
			return isFact && p.Name == src.Name || p.Name == m.Purchased || p.Name == m.Assigned
		})
	}
	if isFact && src.Of == "resource" {
		w.Properties("resource", c.Resource, func(p *Property) bool { return p.Name == src.Name })
	}
}

// canonical writes the parts of a definition that have a shape of their own.
type canonical struct{ declare.Writer }

func (w *canonical) selector(path string, s *Selector) {
	if s == nil {
		return
	}
	w.Text(path+".event", s.Event)
	w.Text(path+".metric", s.Metric)
	w.Clauses(path+".where", s.Where)
	w.Float(path+".at_most", s.AtMost)
}
