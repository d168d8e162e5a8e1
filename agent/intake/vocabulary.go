package intake

import (
	"strings"

	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/catalog"
)

// Vocabulary is a catalog turned round: from what clients send to positions, each look-up in
// constant time. It also knows what is collected: only what a measure that is on uses.
// Immutable, so safe for concurrent use; the wiring swaps it when catalog or consent change.
type Vocabulary struct {
	hash    [8]byte
	empty   bool
	events  [record.Screen + 1]map[string]*Event // by type
	metrics map[string]*Metric

	// Traits, GroupTraits and Resource are the declared words of identify, group and OTLP
	// resources.
	Traits, GroupTraits, Resource *Words
	// Doors says where doors whose format names no user find one.
	Doors catalog.Doors
	// People says that identify and alias are collected: a measure about people is on, or one
	// that reads traits. Groups says so of group.
	People, Groups bool
}

// Event is a declared track, page or screen event.
type Event struct {
	Def   uint16
	On    bool // used by a measure that is on
	Words *Words
}

// Metric is a declared metric.
type Metric struct {
	Def    uint16
	On     bool
	Type   catalog.Kind // Gauge, Counter or Histogram
	Unit   string
	Bounds []float64
	Words  *Words // attributes
}

// Words are the declared properties of one thing.
type Words struct {
	list   []Word
	byName map[string]*Word // nil when the list is short: comparing a few names is faster
}

// Word is one declared property, trait or attribute.
type Word struct {
	Position uint16
	Keep     bool // a measure that is on uses it; otherwise it is checked and dropped
	IsNumber bool
	Min, Max float64

	name   string
	values map[string]uint16 // listed and mapped values
	other  uint16
}

// Value is the position of a raw value; listed is false when it is (other).
func (w *Word) Value(raw []byte) (position uint16, listed bool) {
	if i, ok := w.values[string(raw)]; ok {
		return i, true
	}
	return w.other, false
}

// None is the position of (none).
func (w *Word) None() uint16 { return w.other + 1 }

const fewWords = 8

// Find is the word with the client's name, or nil.
func (w *Words) Find(name []byte) *Word {
	if w.byName != nil {
		return w.byName[string(name)]
	}
	for i := range w.list {
		if w.list[i].name == string(name) {
			return &w.list[i]
		}
	}
	return nil
}

// Len is the number of words.
func (w *Words) Len() int { return len(w.list) }

// At is the word at a position.
func (w *Words) At(i int) *Word { return &w.list[i] }

// NewVocabulary is the vocabulary of a catalog at a site where on says which measures are
// collected. Without a catalog everything is off.
func NewVocabulary(cat *catalog.Catalog, on func(*catalog.Measure) bool) *Vocabulary {
	v := &Vocabulary{empty: cat == nil, Traits: &Words{}, GroupTraits: &Words{}, Resource: &Words{}}
	if cat == nil {
		return v
	}
	copy(v.hash[:], cat.Hash[:])
	v.Doors = cat.Doors
	u := uses(cat, on)
	v.People, v.Groups = u.people, u.groups
	v.Traits = words(cat.Traits, func(p *catalog.Property) bool {
		return u.traits[p.Name] || u.people && len(p.NotPeople) > 0
	})
	v.GroupTraits = words(cat.GroupTraits, func(p *catalog.Property) bool { return u.groupTraits[p.Name] })
	v.Resource = words(cat.Resource, func(p *catalog.Property) bool { return u.resource[p.Name] })
	for i := range cat.Events {
		e := &cat.Events[i]
		t := eventType(e.Type)
		if v.events[t] == nil {
			v.events[t] = map[string]*Event{}
		}
		names := u.events[e.ID]
		v.events[t][e.Match] = &Event{Def: uint16(i), On: names != nil,
			Words: words(e.Properties, func(p *catalog.Property) bool { return names[p.Name] })}
	}
	v.metrics = make(map[string]*Metric, len(cat.Metrics))
	for i := range cat.Metrics {
		m := &cat.Metrics[i]
		v.metrics[m.Match] = &Metric{Def: uint16(i), On: u.metrics[m.ID], Type: m.Type, Unit: m.Unit, Bounds: m.Bounds,
			Words: words(m.Attributes, func(*catalog.Property) bool { return true })}
	}
	return v
}

func eventType(t string) record.Type {
	switch t {
	case "page":
		return record.Page
	case "screen":
		return record.Screen
	}
	return record.Track
}

func words(ps []catalog.Property, keep func(*catalog.Property) bool) *Words {
	w := &Words{list: make([]Word, len(ps))}
	for i := range ps {
		p := &ps[i]
		x := Word{Position: uint16(i), Keep: keep(p), IsNumber: p.IsNumber, Min: p.Min, Max: p.Max, name: p.Match, other: p.OtherIndex()}
		if x.name == "" {
			x.name = p.Name
		}
		if !p.IsNumber {
			x.values = make(map[string]uint16, len(p.Values)+len(p.Map))
			for j, v := range p.Values {
				x.values[v] = uint16(j)
			}
			for raw := range p.Map { // a mapping goes before a listed value of the same text
				x.values[raw] = p.Index(raw)
			}
		}
		w.list[i] = x
	}
	if len(w.list) > fewWords {
		w.byName = make(map[string]*Word, len(w.list))
		for i := range w.list {
			w.byName[w.list[i].name] = &w.list[i]
		}
	}
	return w
}

// Hash is what a record made with this vocabulary carries.
func (v *Vocabulary) Hash() [8]byte { return v.hash }

// Empty says that there is no catalog: everything is off.
func (v *Vocabulary) Empty() bool { return v.empty }

// Event is the declared event of that type and client's name, or nil.
func (v *Vocabulary) Event(t record.Type, name []byte) *Event {
	if int(t) >= len(v.events) {
		return nil
	}
	return v.events[t][string(name)]
}

// Metric is the declared metric of that client's name, or nil.
func (v *Vocabulary) Metric(name []byte) *Metric { return v.metrics[string(name)] }

// MetricsOn says whether any metric is collected: where none is, nothing need be asked for samples.
func (v *Vocabulary) MetricsOn() bool {
	for _, m := range v.metrics {
		if m.On {
			return true
		}
	}
	return false
}

// used is what the measures that are on read.
type used struct {
	events         map[string]map[string]bool // id → names of properties
	metrics        map[string]bool
	traits         map[string]bool
	groupTraits    map[string]bool
	resource       map[string]bool
	people, groups bool
}

func uses(cat *catalog.Catalog, on func(*catalog.Measure) bool) *used {
	u := &used{events: map[string]map[string]bool{}, metrics: map[string]bool{}, traits: map[string]bool{},
		groupTraits: map[string]bool{}, resource: map[string]bool{}}
	for i := range cat.Measures {
		if m := &cat.Measures[i]; on(m) {
			u.measure(cat, m)
		}
	}
	u.groups = u.groups || len(u.events) > 0
	return u
}

func (u *used) measure(cat *catalog.Catalog, m *catalog.Measure) {
	var names []string
	if m.Property != "" {
		names = append(names, m.Property)
	}
	for _, c := range m.Where {
		names = append(names, c.Property)
	}
	for _, dims := range m.By {
		for _, d := range dims {
			p, trait := cat.Dimension(m, d)
			if p != nil && trait {
				u.trait(d)
			}
			names = append(names, d)
		}
	}
	for _, c := range m.WhereUser {
		u.trait(c.Property)
	}
	u.ways(cat, m)
	for _, n := range []string{m.X, m.Y} {
		if n != "" {
			names = append(names, n)
		}
	}
	if m.Arm != "" {
		names = append(names, u.dimension(cat, m, m.Arm))
	}
	for _, id := range m.Events {
		u.event(id, names)
		u.people = u.people || m.Subject == catalog.Person || m.Subject == ""
	}
	if m.Metric != "" {
		u.metrics[m.Metric] = true
	}
	for _, s := range []*catalog.Selector{m.Valid, m.Good} {
		if s != nil {
			u.selector(m, s)
		}
	}
	u.from(m.From)
}

// ways are what funnels, transitions, adoption and seats read beside the measure's own events.
func (u *used) ways(cat *catalog.Catalog, m *catalog.Measure) {
	step := func(event string, where []catalog.Clause, also ...string) {
		for _, c := range where {
			also = append(also, c.Property)
		}
		u.event(event, also)
		u.people = true
	}
	var also []string
	if m.Correlate != "" {
		also = append(also, m.Correlate)
	}
	if m.Split != "" {
		also = append(also, u.dimension(cat, m, m.Split))
	}
	for _, s := range m.Steps {
		step(s.Event, s.Where, also...)
	}
	if m.Before != nil {
		step(m.Before.Event, m.Before.Where, also...)
	}
	for _, f := range m.Features {
		for _, id := range f.Events {
			step(id, f.Where)
		}
	}
	for _, c := range m.Eligible {
		u.trait(c.Property)
	}
	for _, name := range []string{m.Purchased, m.Assigned} {
		if name != "" {
			u.groupTraits[name], u.groups = true, true
		}
	}
}

// dimension notes a dimension that may be a trait and gives its name.
func (u *used) dimension(cat *catalog.Catalog, m *catalog.Measure, name string) string {
	if p, trait := cat.Dimension(m, name); p != nil && trait {
		u.trait(name)
	}
	return name
}

func (u *used) selector(m *catalog.Measure, s *catalog.Selector) {
	if s.Metric != "" {
		u.metrics[s.Metric] = true
	}
	if s.Event == "" {
		return
	}
	var names []string
	for _, where := range [][]catalog.Clause{s.Where, m.Where} {
		for _, c := range where {
			names = append(names, c.Property)
		}
	}
	u.event(s.Event, names)
	u.people = u.people || m.Subject == catalog.Person || m.Subject == ""
}

// from reads what a fact comes from: group.TRAIT, resource.NAME, event.EVENT.PROPERTY,
// user.TRAIT=VALUE; agent.… needs nothing from outside.
func (u *used) from(from string) {
	kind, name, _ := strings.Cut(from, ".")
	switch kind {
	case "group":
		u.groupTraits[name], u.groups = true, true
	case "resource":
		u.resource[name] = true
	case "user":
		name, _, _ = strings.Cut(name, "=")
		u.trait(name)
	case "event":
		if id, property, ok := strings.Cut(name, "."); ok {
			u.event(id, []string{property})
		}
	}
}

func (u *used) trait(name string) { u.traits[name], u.people = true, true }

func (u *used) event(id string, properties []string) {
	if u.events[id] == nil {
		u.events[id] = map[string]bool{}
	}
	for _, p := range properties {
		u.events[id][p] = true
	}
}
