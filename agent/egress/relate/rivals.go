package relate

import (
	"slices"

	"github.com/fieldpost/fieldpost/protocol/catalog"
)

// rivals takes back measures whose figures are bound to those of an earlier one in ways that brute force has not confirmed: of
// two lifecycles, stickinesses, cohorts, peaks of seats or funnels about the same people, or some of them, the second; a
// funnel that begins with what a lifecycle or cohorts are about, because who enters it is who is new there; and
// features within one another.
func (p *Plan) rivals() {
	var features []place // by set and roles, of those before
	for i := range p.places {
		at := &p.places[i]
		m := &p.cat.Measures[i]
		if at.set < 0 {
			continue
		}
		for j := range i {
			o := &p.places[j]
			if o.set >= 0 && p.rival(m, at, &p.cat.Measures[j], o) {
				at.set, at.why = -1, Unrelated
				break
			}
		}
		if at.set < 0 {
			continue
		}
		for f, s := range at.features {
			mine := place{set: s, roles: at.roles}
			if s >= 0 && slices.ContainsFunc(features, func(o place) bool { return p.share(&mine, &o) }) {
				at.features[f] = -1
			} else if s >= 0 {
				features = append(features, mine)
			}
		}
	}
}

func (p *Plan) rival(m *catalog.Measure, at *place, n *catalog.Measure, o *place) bool {
	kinds := []catalog.Kind{m.Kind, n.Kind}
	first := func(m *catalog.Measure) bool { return m.Kind != catalog.Funnel || m.Entry != "each" }
	switch {
	case !first(m) || !first(n):
		return false // entries, not people
	case m.Kind == n.Kind:
		return slices.Contains([]catalog.Kind{catalog.Lifecycle, catalog.Stickiness, catalog.Retention, catalog.Seats, catalog.Funnel}, m.Kind) && p.share(at, o)
	}
	return at.set == o.set && slices.Contains(kinds, catalog.Funnel) && (slices.Contains(kinds, catalog.Lifecycle) || slices.Contains(kinds, catalog.Retention)) && p.share(at, o)
}

// share reports whether somebody can be one of both.
func (p *Plan) share(a, b *place) bool {
	if a.roles != nil && b.roles != nil && !slices.ContainsFunc(a.roles, func(x uint16) bool { return slices.Contains(b.roles, x) }) {
		return false
	}
	return !p.sets[a.set].apart(&p.sets[b.set])
}
