package lint

import (
	"slices"
	"strings"

	"github.com/fieldpost/fieldpost/protocol/catalog"
)

// counted reports whether a measure tells how many people did something: those have to fit
// into one tree.
func counted(m *catalog.Measure) bool {
	switch m.Kind {
	case catalog.ActiveUsers, catalog.Lifecycle, catalog.Stickiness, catalog.Retention, catalog.Funnel, catalog.Adoption, catalog.Seats:
		return m.Subject == catalog.Person
	}
	return false
}

// people builds the tree of who is counted, in the order of the file but the site's total first,
// and notes what does not fit.
func (k *checker) people() {
	k.trait = k.firstTrait()
	var order []*catalog.Measure
	for i := range k.c.Measures {
		if m := &k.c.Measures[i]; counted(m) {
			order = append(order, m)
		}
	}
	if i := slices.IndexFunc(order, total); i > 0 {
		m := order[i]
		order = slices.Insert(slices.Delete(order, i, i+1), 0, m)
	}
	for _, m := range order {
		s := base(m)
		if other := k.admit(s); other != nil {
			k.say(Error, "overlap", m, []string{"where", "events", "steps"}, "filters that share nothing, or one within the other",
				"counts people by %s, which overlaps with %s (%s), and neither holds the other", s.words(), other.of, other.words())
			continue
		}
		k.roles(m, s)
		k.features(m, s)
		k.values(m)
	}
	for i, m := range order {
		k.twice(m, order[:i])
	}
}

func total(m *catalog.Measure) bool {
	return m.Kind == catalog.ActiveUsers && len(m.Where) == 0 && len(m.WhereUser) == 0
}

// firstTrait is the trait that figures about people are told by: the first any of them names.
func (k *checker) firstTrait() string {
	for i := range k.c.Measures {
		m := &k.c.Measures[i]
		if m.Subject != catalog.Person {
			continue
		}
		for _, d := range k.traits(m) {
			if p, _ := catalog.Find(k.c.Traits, d); p != nil && !p.IsNumber {
				return d
			}
		}
	}
	return ""
}

// traits are those the figures of a measure are told or filtered by, in order, each once.
func (k *checker) traits(m *catalog.Measure) (out []string) {
	add := func(name string) {
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	for _, b := range append(slices.Clone(m.By), []string{m.Split}) {
		if _, isTrait := k.c.Dimension(m, b[0]); isTrait && len(b) == 1 && counted(m) {
			add(b[0])
		}
	}
	for _, c := range slices.Concat(m.WhereUser, m.Eligible) {
		add(c.Property)
	}
	return out
}

// byTrait is the filter on the one trait that figures are told by; nil when there is none, or when
// there are others, with which nothing leaves.
func (k *checker) byTrait(m *catalog.Measure) []catalog.Clause {
	cs := slices.Concat(m.WhereUser, m.Eligible)
	if len(cs) != 1 || cs[0].Property != k.trait || cs[0].Values == nil {
		return nil
	}
	return cs
}

// roles compares the values of the trait that filters leave, among measures about the same events.
func (k *checker) roles(m *catalog.Measure, s set) {
	mine := k.byTrait(m)
	if mine == nil {
		return
	}
	for i := range k.c.Measures {
		o := &k.c.Measures[i]
		if o == m {
			return
		}
		theirs := k.byTrait(o)
		if !counted(o) || theirs == nil {
			continue
		}
		a, b := oneOf("", mine), oneOf("", theirs)
		if other := base(o); !other.apart(s) && !a.apart(b) && !a.in(b) && !b.in(a) {
			k.say(Error, "overlap", m, []string{"where_user", "eligible"}, "filters that share nothing, or one within the other",
				"counts users where %s, which overlaps with %s (where %s), and neither holds the other", conditions(mine), o.ID, conditions(theirs))
			return
		}
	}
}

// features of an adoption are sets within who is eligible.
func (k *checker) features(m *catalog.Measure, whole set) {
	for _, f := range m.Features {
		s := newSet(m.ID+"."+f.ID, f.Events, f.Where)
		if !s.in(whole) {
			k.say(Warning, "feature_outside", m, []string{"features"}, "its events among events", "the feature %q has %s, which events does not all have: who uses only that is not eligible", f.ID, s.words())
			continue
		}
		if other := k.admit(s); other != nil {
			k.say(Warning, "feature_overlap", m, []string{"features"}, "features that share nothing, or one within the other",
				"the feature %q (%s) overlaps with %s (%s), and neither holds the other: it stays at the site", f.ID, s.words(), other.of, other.words())
		}
	}
}

// values of a property are sets as well, when active users are told apart by it.
func (k *checker) values(m *catalog.Measure) {
	if m.Kind != catalog.ActiveUsers || len(m.WhereUser) > 0 {
		return
	}
	for _, by := range m.By {
		p, isTrait := k.c.Dimension(m, by[0])
		if len(by) != 1 || isTrait || p == nil {
			continue
		}
		for i := range p.Size() {
			s := set{of: m.ID + " by " + by[0]}
			for _, id := range m.Events {
				where := m.Where
				e, _ := k.c.Event(id)
				switch has, _ := catalog.Find(e.Properties, by[0]); {
				case has != nil:
					where = append(slices.Clone(where), catalog.Clause{Property: by[0], Values: []string{p.ValueName(i)}})
				case i != p.NoneIndex(): // without the property an event counts as (none)
					continue
				}
				s.sels = append(s.sels, oneOf(id, where).sels...)
			}
			if other := k.admit(s); len(s.sels) > 0 && other != nil {
				k.say(Warning, "breakdown_overlap", m, []string{"by"}, "", "its people with %s %s overlap with %s (%s), and neither holds the other: they stay at the site",
					by[0], p.ValueName(i), other.of, other.words())
				break
			}
		}
	}
}

// twice looks for measures before this one that say the same.
func (k *checker) twice(m *catalog.Measure, before []*catalog.Measure) {
	if m.Kind == catalog.Funnel || m.Kind == catalog.Adoption {
		return // they differ in more than whom they are about
	}
	for _, o := range before {
		a, b := base(m), base(o)
		ra, rb := oneOf("", m.WhereUser), oneOf("", o.WhereUser)
		if o.Kind != m.Kind || !a.in(b) || !b.in(a) || !ra.in(rb) || !rb.in(ra) {
			continue
		}
		if o.Leaves != m.Leaves {
			k.say(Warning, "second_grain", m, []string{"leaves"}, "one of the two", "is the same as %s at another grain; all grains are kept at the site, and one leaves", o.ID)
		} else {
			k.say(Warning, "duplicate", m, nil, "one of the two, with both breakdowns", "counts the same people as %s", o.ID)
		}
		return
	}
}

// stays notes what will be kept at the site for good.
func (k *checker) stays(m *catalog.Measure) {
	if m.Subject != catalog.Person {
		return
	}
	for _, by := range m.By {
		if len(by) == 2 {
			k.say(Warning, "cross_stays", m, []string{"by"}, strings.Join(by, ", ")+" as two breakdowns", "the cross of %s is kept at the site and never leaves", strings.Join(by, " and "))
		}
	}
	if g := m.LeavesAt(); m.Leaves != g && m.Kind != catalog.Fact {
		k.say(Warning, "grain_stays", m, []string{"leaves"}, "leave it out", "figures of the kind %s leave per %s, not per %s", m.Kind, g, m.Leaves)
	}
	for _, t := range k.traits(m) {
		p, _ := catalog.Find(k.c.Traits, t)
		switch {
		case t != k.trait:
			k.say(Warning, "second_trait", m, []string{"by", "split", "where_user", "eligible"}, "", "figures about people are told by one trait, %s; those by %s stay at the site", k.trait, t)
		case p.IsNumber:
			k.say(Warning, "second_trait", m, []string{"where_user", "eligible"}, "a trait with a list of values", "figures about people are told by a trait with a list of values; those by the number %s stay at the site", t)
		}
	}
	if _, isTrait := k.c.Dimension(m, m.Split); m.Split != "" && !isTrait {
		k.say(Warning, "split_stays", m, []string{"split"}, "", "a split by a property (%s) is kept at the site; only one by a trait leaves", m.Split)
	}
	switch m.Kind {
	case catalog.Distribution, catalog.Transitions, catalog.Sufficient, catalog.SLO:
		k.say(Note, "sum_stays", m, []string{"kind"}, "active_users of the same events", "at the level aggregate sums of this kind about people stay at the site")
	}
}

// selection is the events of one id that fulfil all clauses.
type selection struct {
	event string
	where []catalog.Clause
}

func (s selection) in(o selection) bool {
	return s.event == o.event && !slices.ContainsFunc(o.where, func(c catalog.Clause) bool {
		return !slices.ContainsFunc(s.where, func(x catalog.Clause) bool { return x.Property == c.Property && narrower(x, c) })
	})
}

// narrower reports whether what fulfils a fulfils b.
func narrower(a, b catalog.Clause) bool {
	if a.Values != nil || b.Values != nil {
		return a.Values != nil && b.Values != nil && !slices.ContainsFunc(a.Values, func(v string) bool { return !slices.Contains(b.Values, v) })
	}
	return (b.Min == nil || a.Min != nil && *a.Min >= *b.Min) && (b.Max == nil || a.Max != nil && *a.Max <= *b.Max)
}

func (s selection) apart(o selection) bool {
	return s.event != o.event || slices.ContainsFunc(s.where, func(a catalog.Clause) bool {
		return slices.ContainsFunc(o.where, func(b catalog.Clause) bool { return a.Property == b.Property && disjoint(a, b) })
	})
}

func disjoint(a, b catalog.Clause) bool {
	if a.Values != nil && b.Values != nil {
		return !slices.ContainsFunc(a.Values, func(v string) bool { return slices.Contains(b.Values, v) })
	}
	return a.Max != nil && b.Min != nil && *a.Max < *b.Min || b.Max != nil && a.Min != nil && *b.Max < *a.Min
}

// set is the people who did one of the selections.
type set struct {
	of   string // the measure, and which part of it
	sels []selection
}

func oneOf(event string, where []catalog.Clause) set {
	return set{sels: []selection{{event, where}}}
}

func newSet(of string, events []string, where []catalog.Clause) set {
	s := set{of: of}
	for _, id := range events {
		s.sels = append(s.sels, selection{id, where})
	}
	return s
}

// base is whom a measure is about: of a funnel those who enter.
func base(m *catalog.Measure) set {
	if m.Kind == catalog.Funnel && len(m.Steps) > 0 {
		return newSet(m.ID, []string{m.Steps[0].Event}, m.Steps[0].Where)
	}
	return newSet(m.ID, m.Events, m.Where)
}

func (s set) in(o set) bool {
	return !slices.ContainsFunc(s.sels, func(a selection) bool { return !slices.ContainsFunc(o.sels, a.in) })
}

func (s set) apart(o set) bool {
	return !slices.ContainsFunc(s.sels, func(a selection) bool {
		return slices.ContainsFunc(o.sels, func(b selection) bool { return !a.apart(b) })
	})
}

// admit enters the set into the tree, or gives the one it overlaps with.
func (k *checker) admit(s set) *set {
	for i := range k.tree {
		if o := &k.tree[i]; !s.in(*o) && !o.in(s) && !s.apart(*o) {
			return o
		}
	}
	k.tree = append(k.tree, s)
	return nil
}

// words says whom a set is made of; selections with the same filter are said together.
func (s set) words() string {
	var out []string
	for i := 0; i < len(s.sels); {
		where, ids := conditions(s.sels[i].where), []string{}
		for ; i < len(s.sels) && conditions(s.sels[i].where) == where; i++ {
			ids = append(ids, s.sels[i].event)
		}
		text := strings.Join(ids, ", ")
		if where != "" {
			text += " where " + where
		}
		out = append(out, text)
	}
	return strings.Join(out, "; ")
}
