package lint

import (
	"fmt"
	"slices"

	"github.com/fieldpost/fieldpost/protocol/catalog"
)

// unused notes what is declared and used by no measure: data minimisation begins here.
func (k *checker) unused() {
	var all []catalog.Reads
	for i := range k.c.Measures {
		all = append(all, k.c.Reads(&k.c.Measures[i]))
	}
	anyOf := func(is func(catalog.Reads) bool) bool { return slices.ContainsFunc(all, is) }
	for _, e := range k.c.Events {
		if !anyOf(func(r catalog.Reads) bool { _, ok := r.Events[e.ID]; return ok }) {
			k.idle("unused_event", "event", e.ID, "events", e.ID)
			continue
		}
		for _, p := range e.Properties {
			if !anyOf(func(r catalog.Reads) bool { return slices.Contains(r.Events[e.ID], p.Name) }) {
				k.idle("unused_property", "property", e.ID+"."+p.Name, "events", e.ID, "properties", p.Name)
			}
		}
	}
	for _, p := range k.c.Traits {
		if len(p.NotPeople) == 0 && !anyOf(func(r catalog.Reads) bool { return slices.Contains(r.Traits, p.Name) }) {
			k.idle("unused_trait", "trait", p.Name, "traits", p.Name)
		}
	}
	for _, p := range k.c.GroupTraits {
		if !anyOf(func(r catalog.Reads) bool { return slices.Contains(r.GroupTraits, p.Name) }) {
			k.idle("unused_group_trait", "trait of the group", p.Name, "group_traits", p.Name)
		}
	}
	for _, p := range k.c.Resource {
		if !anyOf(func(r catalog.Reads) bool { return slices.Contains(r.Resource, p.Name) }) {
			k.idle("unused_resource", "resource attribute", p.Name, "resource", p.Name)
		}
	}
	for i, mt := range k.c.Metrics {
		if !anyOf(func(r catalog.Reads) bool { return slices.Contains(r.Metrics, mt.ID) }) {
			k.idle("unused_metric", "metric", mt.ID, "metrics", mt.ID)
			continue
		}
		k.unusedAttributes(&k.c.Metrics[i], all)
	}
	for _, p := range k.c.Probes {
		if !slices.ContainsFunc(k.c.Measures, func(m catalog.Measure) bool { return m.Probe == p.ID }) {
			k.idle("unused_probe", "probe", p.ID, "probes", p.ID)
		}
	}
}

func (k *checker) unusedAttributes(mt *catalog.Metric, all []catalog.Reads) {
	for _, p := range mt.Attributes {
		used := false
		for i := range all {
			used = used || slices.Contains(all[i].Metrics, mt.ID) && k.c.Measures[i].PropertyNames()[p.Name]
		}
		if !used {
			k.idle("unused_property", "attribute", mt.ID+"."+p.Name, "metrics", mt.ID, "attributes", p.Name)
		}
	}
}

func (k *checker) idle(code, what, name string, place ...string) {
	k.found = append(k.found, Finding{Code: code, Severity: Warning, Line: k.at.declared(place...), Hint: "take it out until a measure needs it",
		Text: fmt.Sprintf("the %s %s is collected, and no measure uses it", what, name)})
}
