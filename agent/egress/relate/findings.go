package relate

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/fieldpost/fieldpost/agent/egress/audit"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Finding is what everything told says of one count of people.
type Finding struct {
	What   string         // in words
	Start  int64          // civil day its block began
	Known  audit.Interval // what follows
	Public audit.Interval // what was known before
	Holds  bool           // the principle allows it
}

// Bounds is what follows for every number so far.
func (m *Model) Bounds() []audit.Interval {
	out := make([]audit.Interval, m.worlds[0].Len())
	for v := range out {
		if m.worlds[0].Protected(audit.Var(v)) {
			out[v] = m.worlds[0].Bounds(audit.Var(v))
		}
	}
	return out
}

// Findings are all counts of people of which anything was told or follows, the narrowest first. before is what
// Bounds gave when only what was meant to be known had been told.
func (m *Model) Findings(before []audit.Interval) (out []Finding, numbers int) {
	s := m.worlds[0]
	names := map[audit.Var]string{}
	starts := map[audit.Var]int64{}
	for _, b := range m.blocks {
		names[b.all] = "everybody"
		for r, g := range b.group {
			names[g] = fmt.Sprintf("everybody with %s %s", b.plan.trait, b.plan.roleName(b, int16(r)))
		}
		for k, v := range b.vars {
			if n := b.plan.describe(b, k); names[v] == "" || n < names[v] {
				names[v], starts[v] = n, b.start
			}
		}
	}
	for v := audit.Var(0); int(v) < s.Len(); v++ {
		if !s.Protected(v) {
			continue
		}
		numbers++
		known, public := s.Bounds(v), s.Public(v)
		if known == public {
			continue
		}
		f := Finding{What: names[v], Start: starts[v], Known: known, Public: public, Holds: s.Holds(v, known) || int(v) < len(before) && known == before[v]}
		if of, ok := m.rests[v]; ok {
			f.What, f.Start = fmt.Sprintf("%s without those of: %s", names[of[0]], names[of[1]]), starts[of[1]]
		}
		if f.What == "" {
			continue // an auxiliary number
		}
		out = append(out, f)
	}
	slices.SortStableFunc(out, func(a, b Finding) int {
		return cmp.Or(b2i(a.Holds)-b2i(b.Holds), cmp.Compare(a.Known.Len(), b.Known.Len()), cmp.Compare(a.Start, b.Start))
	})
	return out, numbers
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (p *Plan) roleName(b *block, r int16) string {
	if pr, _ := catalog.Find(p.cat.Traits, p.trait); pr != nil && int(r) < len(b.classes) {
		return pr.ValueName(b.classes[r].value)
	}
	return ""
}

// describe says in words what a number counts.
func (p *Plan) describe(b *block, k key) string {
	role := ""
	if k.role != everybody {
		role = fmt.Sprintf(" with %s %s", p.trait, p.roleName(b, k.role))
	}
	measure := func() *catalog.Measure { return &p.cat.Measures[k.of] }
	switch k.what {
	case isSet:
		return "people" + role + " who did " + p.sets[k.of].key
	case isWeek:
		return fmt.Sprintf("people of the week of %s", report.StartString(report.Week, b.start+7*int64(k.n)))
	case isWeeks:
		return fmt.Sprintf("people active in %d of the weeks", k.n)
	case isLifecycle:
		return measure().ID + " " + []string{"new", "retained", "resurrected", "dormant", "absent", "gained"}[k.n] + role
	case isDays:
		return measure().ID + ": active on " + catalog.DayBins()[k.n] + " days"
	case isPeak:
		return measure().ID + ": peak"
	case isFeature:
		if k.n < 0 {
			return measure().ID + ": eligible"
		}
		return measure().ID + " " + measure().Features[k.n/3].ID + []string{": tried", ": adopted", ": habitual"}[k.n%3]
	case isFiltered:
		return measure().ID
	case isStep:
		return measure().ID + ": reached " + measure().Steps[k.n].ID + role
	case isBand:
		return measure().ID + ": within " + catalog.TimeBands()[k.n]
	case isCohort:
		return fmt.Sprintf("%s: of the cohort after %d weeks", measure().ID, k.n)
	}
	return ""
}
