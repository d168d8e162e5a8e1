package relate

import (
	"slices"

	"github.com/fieldpost/fieldpost/protocol/catalog"
)

// Plan is what a catalog's measures about people have to do with one another. It is immutable.
type Plan struct {
	cat    *catalog.Catalog
	sets   []set
	root   int    // the set of the site's total; -1: none
	trait  string // the one trait that figures are told by; "" none
	values int    // how many values the trait has, with (other) and (none)
	places []place
	weeks  bool // something tells on how many days or weeks people were active
}

// place is what one measure counts.
type place struct {
	set      int      // -1: nothing that can be related
	roles    []uint16 // where_user: these values of the trait; nil: everybody
	why      Reason
	features []int   // adoption: the set of each feature; -1: not related
	values   [][]int // active_users: by breakdown, the set of each value; nil: by the trait or not related
}

// Reason is why a cell has no number in the model. "" when it has one.
type Reason string

const (
	Unrelated   Reason = "not_confirmed" // its relation to the other measures is not one that was proved
	OtherTrait  Reason = "second_trait"  // figures are told by one trait only
	Cross       Reason = "cross"         // a cross of two dimensions never leaves
	Sums        Reason = "sum"           // a sum of events, not a count of people
	SmallRole   Reason = "role_merged"   // fewer than 12 people: counted under (other)
	NoBreakdown Reason = "one_role"      // only one role is left after merging
	NotTold     Reason = "kind"          // this figure of the kind stays at the site
	NoGroup     Reason = "group_too_small"
)

// New studies a catalog.
func New(c *catalog.Catalog) *Plan {
	p := &Plan{cat: c, root: -1, places: make([]place, len(c.Measures))}
	for i := range c.Measures {
		p.places[i] = place{set: -1}
		if m := &c.Measures[i]; m.Subject == catalog.Person {
			p.chooseTrait(m)
		}
	}
	p.rootFirst()
	for i := range c.Measures {
		if m := &c.Measures[i]; m.Subject == catalog.Person {
			p.place(m, &p.places[i])
		}
	}
	p.rivals()
	p.arrange()
	return p
}

// rootFirst enters the site's total before all others, so that it is never the one refused.
func (p *Plan) rootFirst() {
	for i := range p.cat.Measures {
		m := &p.cat.Measures[i]
		if IsTotal(m) {
			p.root = p.admit(baseOf(m))
			return
		}
	}
}

// IsTotal reports whether a measure counts people without any condition.
func IsTotal(m *catalog.Measure) bool {
	return m.Kind == catalog.ActiveUsers && m.Subject == catalog.Person && len(m.Where) == 0 && len(m.WhereUser) == 0
}

// chooseTrait takes the first trait that anything is told by.
func (p *Plan) chooseTrait(m *catalog.Measure) {
	if p.trait != "" {
		return
	}
	take := func(name string) {
		if pr, isTrait := p.cat.Dimension(m, name); isTrait && !pr.IsNumber && p.trait == "" {
			p.trait, p.values = name, int(pr.Size())
		}
	}
	switch m.Kind {
	case catalog.ActiveUsers, catalog.Lifecycle, catalog.Funnel:
		for _, dims := range m.By {
			if len(dims) == 1 {
				take(dims[0])
			}
		}
		if m.Split != "" {
			take(m.Split)
		}
	}
	for _, c := range slices.Concat(m.WhereUser, m.Eligible) {
		take(c.Property)
	}
}

func baseOf(m *catalog.Measure) set {
	var sels []selection
	switch m.Kind {
	case catalog.Funnel:
		if len(m.Steps) > 0 {
			sels = append(sels, selectionOf(m.Steps[0].Event, m.Steps[0].Where))
		}
	default:
		for _, e := range m.Events {
			sels = append(sels, selectionOf(e, m.Where))
		}
	}
	return setOf(sels)
}

// place finds what a measure counts.
func (p *Plan) place(m *catalog.Measure, at *place) {
	switch m.Kind {
	case catalog.Count, catalog.Distribution, catalog.Transitions, catalog.Sufficient, catalog.SLO:
		at.why = Sums
		return
	case catalog.ActiveUsers, catalog.Lifecycle, catalog.Stickiness, catalog.Retention, catalog.Funnel, catalog.Adoption, catalog.Seats:
	default:
		at.why = NotTold
		return
	}
	var ok bool
	if at.roles, ok = p.rolesOf(slices.Concat(m.WhereUser, m.Eligible)); !ok {
		at.why = OtherTrait
		return
	}
	if at.set = p.admit(baseOf(m)); at.set < 0 {
		at.why = Unrelated
		return
	}
	s := at.set
	p.sets[s].byTrait = p.sets[s].byTrait || at.roles != nil
	for b, dims := range m.By {
		at.values = append(at.values, nil)
		if len(dims) != 1 {
			continue
		}
		pr, isTrait := p.cat.Dimension(m, dims[0])
		switch {
		case isTrait && dims[0] == p.trait:
			p.sets[s].byTrait = true
		case !isTrait && pr != nil && at.roles == nil && m.Kind == catalog.ActiveUsers:
			at.values[b] = p.byValue(m, dims[0], pr)
		}
	}
	if m.Split == p.trait && m.Split != "" {
		p.sets[s].byTrait = true
	}
	for _, f := range m.Features {
		var sels []selection
		for _, e := range f.Events {
			sels = append(sels, selectionOf(e, f.Where))
		}
		n := -1
		if fs := setOf(sels); fs.in(&p.sets[s]) {
			n = p.admit(fs)
		}
		if n >= 0 && at.roles != nil {
			p.sets[n].byTrait = true
		}
		at.features = append(at.features, n)
	}
	p.weeks = p.weeks || p.ofDays(m, at)
}

// byValue is the sets of people who did the measure's events with each value of a property.
func (p *Plan) byValue(m *catalog.Measure, name string, pr *catalog.Property) (out []int) {
	for v := range pr.Size() {
		var sels []selection
		for _, id := range m.Events {
			where := slices.Clone(m.Where)
			if e, _ := p.cat.Event(id); e != nil {
				if has, _ := catalog.Find(e.Properties, name); has != nil {
					where = append(where, catalog.Clause{Property: name, Values: []string{pr.ValueName(v)}})
				} else if v != pr.NoneIndex() { // an event without the property counts as (none)
					continue
				}
			}
			sels = append(sels, selectionOf(id, where))
		}
		out = append(out, p.admit(setOf(sels)))
	}
	return out
}

// rolesOf is the values of the trait that the clauses leave; false when they look at anything else.
func (p *Plan) rolesOf(where []catalog.Clause) (roles []uint16, ok bool) {
	for _, c := range where {
		pr, _ := catalog.Find(p.cat.Traits, c.Property)
		if c.Property != p.trait || pr == nil || len(c.Values) == 0 || roles != nil {
			return nil, false
		}
		for v := range pr.Size() {
			if slices.Contains(c.Values, pr.ValueName(v)) {
				roles = append(roles, v)
			}
		}
	}
	return roles, true
}

// bound reports whether figures of measure i follow from the weeks of the site's total as well as from their own
// set: then they have to be protected before the first week is told. Figures of all other kinds are parts of
// a set and nothing else, so that what is told of the set leaves them at least as open as itself.
func (p *Plan) bound(i int) bool { return p.ofDays(&p.cat.Measures[i], &p.places[i]) }

// ofDays reports whether a measure tells on how many days or in how many weeks people came whose weeks are told.
func (p *Plan) ofDays(m *catalog.Measure, at *place) bool {
	return (m.Kind == catalog.Stickiness || m.Kind == catalog.Adoption) && p.root >= 0 && at.set >= 0 && p.sets[at.set].in(&p.sets[p.root])
}

// Trait is the one trait that figures are told by; "" when none.
func (p *Plan) Trait() string { return p.trait }

// Weights is how many people have each value of the trait, from numbers by the value's name.
func (p *Plan) Weights(holders map[string]int) []int {
	pr, _ := catalog.Find(p.cat.Traits, p.trait)
	if pr == nil {
		return nil
	}
	out := make([]int, pr.Size())
	for name, n := range holders {
		at := pr.NoneIndex()
		if name != "" {
			at = pr.Index(name)
		}
		out[at] += n
	}
	return out
}
