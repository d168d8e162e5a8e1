package sums

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/fieldpost/fieldpost/agent/egress/relate"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/catalog/lint"
)

func tinyPlan(t *testing.T, measures string) *Plan {
	t.Helper()
	text := "catalog: tiny\nversion: 1\nvendor: Test\nevents:\n  a: {match: a}\n  b: {match: b}\n  c: {match: c}\ntraits:\n  role: {values: [member, manager]}\nmeasures:\n"
	for _, m := range strings.Split(strings.TrimSpace(measures), ";") {
		text += "  - {" + strings.TrimSpace(m) + ", category: usage, question: q, purpose: p, owner: o, retention: 730d}\n"
	}
	c, err := catalog.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return New(c, relate.New(c))
}

func measureNo(t *testing.T, p *Plan, id string) int {
	t.Helper()
	_, i := p.cat.Measure(id)
	if i < 0 {
		t.Fatal(id)
	}
	return i
}

// Which sums may be told follows from the catalog: the first of those that share an event, with a measure before that
// tells their people, and nothing exact or sensitive to one event more beside it.
func TestSumsAreApart(t *testing.T) {
	t.Parallel()
	const people = "id: all, kind: active_users, events: [a, b, c]; id: as, kind: active_users, events: [a]; id: bs, kind: active_users, events: [b];"
	for name, x := range map[string]struct {
		measures string
		want     map[string]relate.Reason
	}{
		"apart":           {people + "id: s, kind: count, events: [a]; id: t, kind: count, events: [b]", map[string]relate.Reason{"s": "", "t": ""}},
		"nested":          {people + "id: s, kind: count, events: [a, b, c]; id: t, kind: count, events: [b]", map[string]relate.Reason{"s": "", "t": Overlaps}},
		"the first wins":  {people + "id: t, kind: count, events: [b]; id: s, kind: count, events: [a, b, c]", map[string]relate.Reason{"s": Overlaps, "t": ""}},
		"twice":           {people + "id: s, kind: count, events: [a]; id: t, kind: count, events: [a], by: [role]", map[string]relate.Reason{"s": "", "t": Overlaps}},
		"no people told":  {people + "id: s, kind: count, events: [c]; id: t, kind: count, events: [a, b]", map[string]relate.Reason{"s": Unknown, "t": Unknown}},
		"told too late":   {"id: s, kind: count, events: [a]; id: as, kind: active_users, events: [a]", map[string]relate.Reason{"s": Unknown}},
		"of some":         {people + "id: s, kind: count, events: [a], where_user: {role: member}; id: t, kind: count, events: [a]", map[string]relate.Reason{"s": OfSome, "t": ""}},
		"people of some":  {"id: as, kind: active_users, events: [a], where_user: {role: member}; id: s, kind: count, events: [a]", map[string]relate.Reason{"s": Unknown}},
		"beside traffic":  {people + "id: x, kind: count, subject: traffic, events: [a, b]; id: s, kind: count, events: [a]", map[string]relate.Reason{"s": InTotal}},
		"beside an slo":   {people + "id: x, kind: slo, subject: traffic, valid: {event: b}, good: {event: b}, target: 0.9; id: s, kind: count, events: [b]; id: t, kind: count, events: [a]", map[string]relate.Reason{"s": InTotal, "t": ""}},
		"a third use":     {people + "id: u, kind: adoption, events: [a, b, c], features: {f: {events: [a]}}, uses: 3; id: s, kind: count, events: [a]; id: t, kind: count, events: [b]", map[string]relate.Reason{"s": relate.Unrelated, "t": ""}},
		"a second use":    {people + "id: u, kind: adoption, events: [a, b, c], features: {f: {events: [a]}}, uses: 2; id: s, kind: count, events: [a]", map[string]relate.Reason{"s": ""}},
		"the same step":   {people + "id: f, kind: funnel, window: 7d, steps: [{id: x, event: a}, {id: y, event: a}]; id: s, kind: count, events: [a]; id: t, kind: count, events: [b]", map[string]relate.Reason{"s": relate.Unrelated, "t": ""}},
		"different steps": {people + "id: f, kind: funnel, window: 7d, steps: [{id: x, event: a}, {id: y, event: b}]; id: s, kind: count, events: [a]", map[string]relate.Reason{"s": ""}},
		"other sums":      {people + "id: s, kind: transitions, steps: [{id: x, event: a}, {id: y, event: b}]", map[string]relate.Reason{"s": relate.Sums}},
	} {
		p := tinyPlan(t, x.measures)
		said := map[string]bool{} // the author of the catalog is told the same
		for _, f := range lint.Check(p.cat) {
			said[f.Measure] = said[f.Measure] || f.Code == "sum_told"
		}
		for id, want := range x.want {
			s, why := p.Sum(measureNo(t, p, id))
			if why != want {
				t.Errorf("%s: %s: %q, want %q", name, id, why, want)
			}
			if said[id] != (why == "") {
				t.Errorf("%s: %s: %q, lint says %v", name, id, why, said[id])
			}
			if why == "" && (s.Least < leastEvents || p.cat.Measures[s.Users].Kind != catalog.ActiveUsers) {
				t.Errorf("%s: %s: %+v", name, id, s)
			}
		}
	}
}

// oneLife is what one person does in a block: for each of its days which events, each once.
type oneLife [6]uint8

var lifeDays = [6]int{0, 1, 8, 9, 16, 24}

// signature is all that counts of people can depend on, of one person: computed plainly, by measure.
func (l oneLife) signature(c *catalog.Catalog) (out string) {
	events := map[string]uint8{"a": 1, "b": 2, "c": 4}
	mask := func(ids []string) (m uint8) {
		for _, id := range ids {
			m |= events[id]
		}
		return m
	}
	did := func(m uint8) (days, weeks int) {
		last := -1
		for i, d := range l {
			if d&m == 0 {
				continue
			}
			days++
			if lifeDays[i]/7 != last {
				weeks, last = weeks+1, lifeDays[i]/7
			}
		}
		return days, weeks
	}
	for i := range c.Measures {
		m := &c.Measures[i]
		all := mask(m.Events)
		days, weeks := did(all)
		switch m.Kind {
		case catalog.ActiveUsers:
			out += fmt.Sprint(m.ID, days > 0)
			if len(m.Events) == 3 { // the total's weeks
				for w := range 4 {
					in := false
					for i, d := range l {
						in = in || d&all != 0 && lifeDays[i]/7 == w
					}
					out += fmt.Sprint(in)
				}
			}
		case catalog.Lifecycle:
			out += fmt.Sprint(m.ID, days > 0)
		case catalog.Retention:
			out += fmt.Sprint(m.ID, weeks)
		case catalog.Stickiness:
			bin := 0
			for _, top := range []int{0, 1, 3, 7} {
				if days > top {
					bin++
				}
			}
			out += fmt.Sprint(m.ID, bin)
		case catalog.Adoption:
			out += fmt.Sprint(m.ID, days > 0)
			for _, f := range m.Features {
				days, weeks := did(mask(f.Events))
				out += fmt.Sprint(days > 0, days >= 2, weeks >= 3)
			}
		case catalog.Funnel:
			reached, first, last := 0, 0, 0
			for i, d := range l {
				for _, e := range []string{"a", "b", "c"} { // within a day in this order
					if reached < len(m.Steps) && d&events[e] != 0 && m.Steps[reached].Event == e && (reached == 0 || lifeDays[i]-first <= 7) {
						if last = lifeDays[i]; reached == 0 {
							first = last
						}
						reached++
					}
				}
			}
			out += fmt.Sprint(m.ID, reached, last-first > 1, last-first > 3)
		}
	}
	return out
}

// For everything that counts of people can depend on of a person who is in a sum, there is a life with as few of its events as Least
// says: so the first answer of a sum rules none out. (That more of them rule none out either is what bends is about: the same
// event again.)
func TestSumsTellNothingOfCountsOfPeople(t *testing.T) {
	t.Parallel()
	const all = "id: all, kind: active_users, events: [a, b, c];"
	for name, x := range map[string]struct {
		measures string
		least    int
	}{
		"one set":                {all + "id: as, kind: active_users, events: [a]", 2},
		"everything is told":     {all + "id: as, kind: active_users, events: [a]; id: bs, kind: active_users, events: [b]; id: cs, kind: active_users, events: [c]", 5},
		"something is not":       {all + "id: as, kind: active_users, events: [a]; id: bs, kind: active_users, events: [b]", 2},
		"days, nothing to spare": {all + "id: as, kind: active_users, events: [a]; id: bs, kind: active_users, events: [b, c]; id: d, kind: stickiness, events: [a, b, c]", 22},
		"days":                   {all + "id: as, kind: active_users, events: [a]; id: bs, kind: active_users, events: [b]; id: d, kind: stickiness, events: [a, b, c]; id: k, kind: retention, events: [a, b, c]", 2},
		"its own days":           {all + "id: as, kind: active_users, events: [a]; id: d, kind: stickiness, events: [a]", 21},
		"a feature":              {all + "id: as, kind: active_users, events: [a]; id: u, kind: adoption, events: [a, b, c], features: {f: {events: [a]}, g: {events: [b]}}", 3},
		"a funnel":               {all + "id: as, kind: active_users, events: [a]; id: f, kind: funnel, window: 7d, steps: [{id: x, event: b}, {id: y, event: a}]", 2},
		"a funnel that begins":   {all + "id: as, kind: active_users, events: [a]; id: f, kind: funnel, window: 7d, steps: [{id: x, event: a}, {id: y, event: c}]; id: l, kind: lifecycle, events: [a, b, c]", 2},
	} {
		t.Run(name, func(t *testing.T) {
			p := tinyPlan(t, x.measures+"; id: s, kind: count, events: [a]")
			s, why := p.Sum(measureNo(t, p, "s"))
			if why != "" || s.Least != x.least {
				t.Fatalf("%q, %d events at least; want %d", why, s.Least, x.least)
			}
			fewest := map[string]int{}
			var l oneLife
			for n := range 1 << 18 {
				as := 0 // how often
				for d := range l {
					l[d] = uint8(n >> (3 * d) & 7)
					as += int(l[d] & 1)
				}
				if as == 0 {
					continue
				}
				key := l.signature(p.cat)
				if was, ok := fewest[key]; !ok || as < was {
					fewest[key] = as
				}
			}
			if worst := slices.Max(values(fewest)); worst > s.Least {
				t.Errorf("somebody has to do it %d times; %d was said to be enough", worst, s.Least)
			} else {
				t.Logf("%d kinds of lives; %d times are needed at most, %d are allowed for", len(fewest), worst, s.Least)
			}
		})
	}
}

func values(m map[string]int) (out []int) {
	for _, v := range m {
		out = append(out, v)
	}
	return out
}
