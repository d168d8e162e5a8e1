package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fieldpost/fieldpost/protocol/catalog"
)

// unused notes what is declared and used by no measure: data minimisation begins here.
func (k *checker) unused() {
	for _, e := range k.c.Events {
		if !k.anyMeasure(func(m *catalog.Measure) bool { return slices.Contains(m.EventIDs(), e.ID) }) {
			k.idle("unused_event", "event", e.ID, "events", e.ID)
			continue
		}
		for _, p := range e.Properties {
			if !k.anyMeasure(func(m *catalog.Measure) bool { return readsProperty(m, e.ID, p.Name) }) {
				k.idle("unused_property", "property", e.ID+"."+p.Name, "events", e.ID, "properties", p.Name)
			}
		}
	}
	for _, p := range k.c.Traits {
		used := len(p.NotPeople) > 0 || k.anyMeasure(func(m *catalog.Measure) bool { return k.readsTrait(m, p.Name) })
		if !used {
			k.idle("unused_trait", "trait", p.Name, "traits", p.Name)
		}
	}
	for _, p := range k.c.GroupTraits {
		if !k.anyMeasure(func(m *catalog.Measure) bool {
			return m.From == "group."+p.Name || m.Purchased == p.Name || m.Assigned == p.Name
		}) {
			k.idle("unused_group_trait", "trait of the group", p.Name, "group_traits", p.Name)
		}
	}
	for _, p := range k.c.Resource {
		if !k.anyMeasure(func(m *catalog.Measure) bool { return m.From == "resource."+p.Name }) {
			k.idle("unused_resource", "resource attribute", p.Name, "resource", p.Name)
		}
	}
	k.unusedMetrics()
	for _, p := range k.c.Probes {
		if !k.anyMeasure(func(m *catalog.Measure) bool { return m.Probe == p.ID }) {
			k.idle("unused_probe", "probe", p.ID, "probes", p.ID)
		}
	}
}

func (k *checker) unusedMetrics() {
	reads := func(m *catalog.Measure, id string) bool {
		return m.Metric == id || m.Valid != nil && m.Valid.Metric == id || m.Good != nil && m.Good.Metric == id
	}
	for _, mt := range k.c.Metrics {
		if !k.anyMeasure(func(m *catalog.Measure) bool { return reads(m, mt.ID) }) {
			k.idle("unused_metric", "metric", mt.ID, "metrics", mt.ID)
			continue
		}
		for _, p := range mt.Attributes {
			if !k.anyMeasure(func(m *catalog.Measure) bool { return reads(m, mt.ID) && m.PropertyNames()[p.Name] }) {
				k.idle("unused_property", "attribute", mt.ID+"."+p.Name, "metrics", mt.ID, "attributes", p.Name)
			}
		}
	}
}

func (k *checker) anyMeasure(is func(*catalog.Measure) bool) bool {
	for i := range k.c.Measures {
		if is(&k.c.Measures[i]) {
			return true
		}
	}
	return false
}

func (k *checker) idle(code, what, name string, place ...string) {
	k.found = append(k.found, Finding{Code: code, Severity: Warning, Line: k.at.declared(place...), Hint: "take it out until a measure needs it",
		Text: fmt.Sprintf("the %s %s is collected, and no measure uses it", what, name)})
}

// readsProperty reports whether the measure looks at that property of that event.
func readsProperty(m *catalog.Measure, event, name string) bool {
	if m.From == "event."+event+"."+name {
		return true
	}
	in := func(cs []catalog.Clause) bool {
		return slices.ContainsFunc(cs, func(c catalog.Clause) bool { return c.Property == name })
	}
	for _, s := range m.Steps {
		if s.Event == event && (in(s.Where) || m.Correlate == name) {
			return true
		}
	}
	if len(m.Steps) > 0 && m.Steps[0].Event == event && m.Split == name {
		return true
	}
	if m.Before != nil && m.Before.Event == event && in(m.Before.Where) {
		return true
	}
	for _, f := range m.Features {
		if slices.Contains(f.Events, event) && in(f.Where) {
			return true
		}
	}
	for _, s := range []*catalog.Selector{m.Valid, m.Good} {
		if s != nil && s.Event == event && in(s.Where) {
			return true
		}
	}
	own := slices.Contains(m.Events, event)
	return own && (in(m.Where) || m.Property == name || m.Arm == name || m.X == name || m.Y == name || slices.ContainsFunc(m.By, func(b []string) bool { return slices.Contains(b, name) }))
}

func (k *checker) readsTrait(m *catalog.Measure, name string) bool {
	if strings.HasPrefix(m.From, "user."+name+"=") {
		return true
	}
	for _, c := range slices.Concat(m.WhereUser, m.Eligible) {
		if c.Property == name {
			return true
		}
	}
	for _, b := range append(slices.Clone(m.By), []string{m.Split, m.Arm}) {
		if _, isTrait := k.c.Dimension(m, name); isTrait && slices.Contains(b, name) {
			return true
		}
	}
	return false
}
