package lint

import (
	"fmt"
	"slices"

	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/noise"
)

// sums says of each count about people whether its total can leave (ADR 0013), and otherwise why not.
func (k *checker) sums() {
	var told []set
	for i := range k.c.Measures {
		m := &k.c.Measures[i]
		if m.Kind != catalog.Count || m.Subject != catalog.Person {
			continue
		}
		s := base(m)
		other := slices.IndexFunc(told, func(o set) bool { return !o.apart(s) })
		stays := func(key, hint, why string, args ...any) {
			k.say(Note, "sum_stays", m, []string{key, "kind"}, hint, "its total stays at the site at the level aggregate: "+why, args...)
		}
		switch {
		case len(m.WhereUser) > 0:
			stays("where_user", "where_user taken out", "it is over some of the people")
		case other >= 0:
			stays("events", "events that share nothing, or this one before "+told[other].of, "it shares events with %s, and what is left between two sums could be one person's", told[other].of)
		case !k.peopleBefore(i, s):
			stays("events", "active_users of the same events, listed before it", "no measure before it tells how many people did it")
		case k.besides(s):
			stays("events", "events that no measure of traffic or machines counts", "some of its events are in a figure of traffic or machines, which leaves exactly")
		case k.bends(s):
			stays("events", "uses: 2, or steps that share nothing", "doing it once more can make somebody an adopter, or take them a step on")
		default:
			told = append(told, s)
			k.leaves(m)
		}
	}
}

// leaves says in which form a sum leaves.
func (k *checker) leaves(m *catalog.Measure) {
	if m.Cap == 0 {
		k.say(Note, "sum_told", m, []string{"kind"}, "cap: five times what somebody usually does in four weeks, for narrower bands, and for a figure at the level strict",
			"its total leaves per 4w as a band, where its people were told as one number of 10 or more; a person counts at most %d times and the two who do most as often as the third, and at the level strict it stays", m.Most())
		return
	}
	strict := ""
	if p, ok := noise.PlanOf(k.c, m, noise.Strict); ok {
		if x, ok := p.Params(p.Figures()[0]); ok {
			strict = fmt.Sprintf("± %.0f", x.Margin(noise.Confidence))
		}
	}
	k.say(Note, "sum_told", m, []string{"cap"}, "",
		"its total leaves per 4w as a band, where its people were told as one number of 10 or more; a person counts at most %d times and the two who do most as often as the third; at the level strict with noise of %s (95 %%)", m.Most(), strict)
}

// peopleBefore reports whether active_users of the same events are listed before measure i.
func (k *checker) peopleBefore(i int, s set) bool {
	return slices.ContainsFunc(k.c.Measures[:i], func(m catalog.Measure) bool {
		b := base(&m)
		return m.Kind == catalog.ActiveUsers && m.Subject == catalog.Person && len(m.WhereUser) == 0 && b.in(s) && s.in(b) &&
			!slices.ContainsFunc(k.tree, func(o set) bool { return !s.in(o) && !o.in(s) && !s.apart(o) })
	})
}

// besides reports whether a figure of traffic or machines counts some of the events.
func (k *checker) besides(s set) bool {
	return slices.ContainsFunc(k.c.Measures, func(m catalog.Measure) bool {
		if m.Subject == catalog.Person {
			return false
		}
		for _, x := range []*catalog.Selector{m.Valid, m.Good} {
			if x != nil && x.Event != "" && !oneOf(x.Event, x.Where).apart(s) {
				return true
			}
		}
		return !base(&m).apart(s)
	})
}

// bends reports whether one event more can change a count of people.
func (k *checker) bends(s set) bool {
	return slices.ContainsFunc(k.c.Measures, func(m catalog.Measure) bool {
		for _, f := range m.Features {
			if m.Uses > 2 && !newSet("", f.Events, f.Where).apart(s) {
				return true
			}
		}
		if m.Kind != catalog.Funnel {
			return false
		}
		for j, b := range m.Steps {
			for _, a := range m.Steps[:j] {
				x, y := oneOf(a.Event, a.Where), oneOf(b.Event, b.Where)
				if !x.apart(y) && !x.apart(s) && !y.apart(s) {
					return true
				}
			}
		}
		return false
	})
}
