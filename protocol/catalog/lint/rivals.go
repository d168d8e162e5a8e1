package lint

import (
	"slices"

	"github.com/fieldpost/fieldpost/protocol/catalog"
)

// rivals says which measures stay at the site because an earlier one tells of the same people: what follows from both
// together is more than anybody has confirmed (ADR 0009). In the order of the file, as the gate takes them.
func (k *checker) rivals() {
	var before []*catalog.Measure
	var features []feature
	for i := range k.c.Measures {
		m := &k.c.Measures[i]
		if !counted(m) || !k.tells(m) {
			continue
		}
		if j := slices.IndexFunc(before, func(o *catalog.Measure) bool { return k.rival(m, o) }); j >= 0 {
			k.say(Warning, "same_people", m, []string{"events", "steps"}, "events that share nothing with it, or one of the two measures",
				"is about people of whom %s (%s) tells already: its figures stay at the site", before[j].ID, before[j].Kind)
			continue
		}
		before = append(before, m)
		features = k.nested(m, features)
	}
}

// feature is the people who used a feature, as an adoption counts them.
type feature struct {
	set
	of *catalog.Measure
}

// nested notes the features of an adoption that share people with one before.
func (k *checker) nested(m *catalog.Measure, before []feature) []feature {
	for _, f := range m.Features {
		s := newSet(m.ID+"."+f.ID, f.Events, f.Where)
		if !s.in(base(m)) || k.overlaps(s) {
			continue // that is said already
		}
		if j := slices.IndexFunc(before, func(o feature) bool { return k.meet(m, o.of) && !s.apart(o.set) }); j >= 0 {
			k.say(Warning, "feature_shared", m, []string{"features"}, "features that share nothing",
				"the feature %q (%s) shares people with %s: it stays at the site", f.ID, s.words(), before[j].set.of)
			continue
		}
		before = append(before, feature{s, m})
	}
	return before
}

// tells reports whether figures of a measure can leave at all.
func (k *checker) tells(m *catalog.Measure) bool {
	if len(m.WhereUser)+len(m.Eligible) > 0 && k.byTrait(m) == nil {
		return false
	}
	return !k.overlaps(base(m))
}

// overlaps reports whether a set was kept out of the tree.
func (k *checker) overlaps(s set) bool {
	return !slices.ContainsFunc(k.tree, func(o set) bool { return s.in(o) && o.in(s) })
}

func (k *checker) rival(m, o *catalog.Measure) bool {
	if !k.meet(m, o) || base(m).apart(base(o)) || m.Entry == "each" || o.Entry == "each" {
		return false
	}
	if m.Kind == o.Kind {
		return m.Kind != catalog.ActiveUsers && m.Kind != catalog.Adoption
	}
	a, b := base(m), base(o)
	begins := func(x, y catalog.Kind) bool {
		return x == catalog.Funnel && (y == catalog.Lifecycle || y == catalog.Retention)
	}
	return a.in(b) && b.in(a) && (begins(m.Kind, o.Kind) || begins(o.Kind, m.Kind))
}

// meet reports whether somebody can pass the filters on users of both measures.
func (k *checker) meet(m, o *catalog.Measure) bool {
	a, b := k.byTrait(m), k.byTrait(o)
	return a == nil || b == nil || !oneOf("", a).apart(oneOf("", b))
}
