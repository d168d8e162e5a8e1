// Package lint tells the author of a catalog what Parse accepts and should not be there: what
// the gate would keep at the site for good, what is declared and used by nothing, and what
// probably means something else than it says. Questions is the other half of a review: which
// question each measure answers.
//
// # Errors: the catalog should not be signed
//
//	overlap           two measures count people by filters that overlap, and neither holds the
//	                  other. Figures over one population have to form a tree (apart, or one within the
//	                  other): else what both tell, put together, tells of the few in one only. The gate
//	                  keeps the later one at the site.
//	step_never        every event of a step of transitions counts for a step listed before
//
// # Warnings: something will not come out as it seems to be meant
//
//	breakdown_overlap active_users by a property whose values overlap with another measure
//	cross_stays       a cross of two dimensions is kept at the site and never leaves
//	duplicate         a measure of the same kind about the same
//	expired           the measure's date has passed: its vendor wanted to ask again
//	feature_outside   a feature has events or values the adoption itself has not: who uses only those
//	                  is not eligible, and not counted
//	feature_shared    a feature shares people with another: it stays at the site
//	feature_overlap   a feature overlaps with another or with another measure's filter
//	good_outside      what is good is not always valid; an slo counts such an event as neither
//	grain_stays       figures about people leave at one grain, and leaves names another
//	never_matches     a filter looks at a property that an event of the measure does not declare
//	no_consumer       nobody is named who uses the answer
//	same_people       an earlier measure tells of the same people in a way that nobody has confirmed
//	                  to be safe beside this one: this one stays
//	second_grain      a measure of the same kind about the same, at another grain
//	second_trait      figures are told by one trait only, the first in the file
//	split_stays       a funnel split by a property of the event: only a split by the trait leaves
//	steps_overlap     an event can be either of two steps
//	unused_event, unused_property, unused_trait, unused_group_trait, unused_resource,
//	unused_metric, unused_probe
//	                  collected and used by nothing: what is not needed should not be taken
//
// # Notes: worth knowing
//
//	no_expiry         the measure is never asked again
//	sum_stays         at the level aggregate this sum about people stays at the site, and why
//	sum_told          the total of a count about people leaves as a band, with noise at the level
//	                  strict where it has a cap
//	uses_of_one       adopted takes two days, and so two uses
//
// What leaves is the gate's to decide, with or without this package; it follows the same rules
// (PRIVACY, "Windows that leave") so that an author hears of them while writing.
//
// The package keeps no state on disk. Check does not change the catalog.
package lint

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/fieldpost/fieldpost/protocol/catalog"
)

// Severity is how much a finding matters.
type Severity string

const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Note    Severity = "note"
)

// Finding is one thing to look at.
type Finding struct {
	Code     string
	Severity Severity
	Measure  string // id; "" where it is about a declaration
	Line     int    // from 1; 0 where there is none
	Text     string
	Hint     string // what to try
}

func (f Finding) String() string {
	s := fmt.Sprintf("%s: ", f.Severity)
	if f.Line > 0 {
		s = fmt.Sprintf("line %d: %s", f.Line, s)
	}
	if f.Measure != "" {
		s += f.Measure + ": "
	}
	s += f.Text + " [" + f.Code + "]"
	if f.Hint != "" {
		s += ". Try: " + f.Hint
	}
	return s
}

// Check is CheckAt for today.
func Check(c *catalog.Catalog) []Finding { return CheckAt(c, time.Now()) }

// CheckAt is everything found in the catalog on that day, in the order of lines.
func CheckAt(c *catalog.Catalog, today time.Time) []Finding {
	k := &checker{c: c, at: read(c.Raw), today: today.Format(time.DateOnly)}
	k.people()
	k.rivals()
	k.sums()
	for i := range c.Measures {
		m := &c.Measures[i]
		k.use(m)
		k.ways(m)
		k.stays(m)
		k.filters(m)
	}
	k.unused()
	slices.SortStableFunc(k.found, func(a, b Finding) int { return cmp.Compare(a.Line, b.Line) })
	return k.found
}

// Refused reports whether there is an error among the findings.
func Refused(fs []Finding) bool {
	return slices.ContainsFunc(fs, func(f Finding) bool { return f.Severity == Error })
}

type checker struct {
	c     *catalog.Catalog
	at    places
	today string
	found []Finding
	trait string // the one trait figures about people are told by
	tree  []set
}

// say notes a finding at the first of the measure's keys that is there.
func (k *checker) say(s Severity, code string, m *catalog.Measure, keys []string, hint, format string, args ...any) {
	k.found = append(k.found, Finding{Code: code, Severity: s, Measure: m.ID, Line: k.at.measure(k.index(m), keys...), Text: fmt.Sprintf(format, args...), Hint: hint})
}

func (k *checker) index(m *catalog.Measure) int {
	_, i := k.c.Measure(m.ID)
	return i
}

// use looks at what people are told about a measure.
func (k *checker) use(m *catalog.Measure) {
	if len(m.ConsumedIn) == 0 {
		k.say(Warning, "no_consumer", m, nil, "consumed_in: [account page]", "nobody is named who uses the answer")
	}
	switch {
	case m.Expires == "":
		k.say(Note, "no_expiry", m, nil, "expires: a date to ask again", "it is measured for good and never asked again")
	case m.Expires < k.today:
		k.say(Warning, "expired", m, []string{"expires"}, "a later date, or take the measure out", "it was to be asked again after %s", m.Expires)
	}
}

// ways looks at the steps and features of a measure.
func (k *checker) ways(m *catalog.Measure) {
	for j, b := range m.Steps {
		for _, a := range m.Steps[:j] {
			sa, sb := oneOf(a.Event, a.Where), oneOf(b.Event, b.Where)
			switch {
			case sa.apart(sb):
			case m.Kind == catalog.Transitions && sb.in(sa):
				k.say(Error, "step_never", m, []string{"steps"}, "list the narrower step first", "every event of the step %q counts for %q, which is listed before", b.ID, a.ID)
			case sa.in(sb) && sb.in(sa): // the second, the third time
			case m.Kind == catalog.Transitions && sa.in(sb): // the narrower is listed first
			default:
				k.say(Warning, "steps_overlap", m, []string{"steps"}, "filters that share nothing", "an event can be the step %q as well as %q; one event serves one step only", a.ID, b.ID)
			}
		}
	}
	if m.Uses == 1 {
		k.say(Note, "uses_of_one", m, []string{"uses"}, "uses: 2", "adopted takes two days, and so two uses")
	}
	if m.Valid != nil && m.Good != nil {
		valid, good := *m.Valid, *m.Good
		if valid.Event != good.Event || valid.Metric != good.Metric || !oneOf("", good.Where).in(oneOf("", valid.Where)) {
			k.say(Warning, "good_outside", m, []string{"good"}, "the filter of valid, and a narrower one", "what is good is not always valid: it is counted only where it is both")
		}
	}
}

// filters looks for conditions on what an event does not have.
func (k *checker) filters(m *catalog.Measure) {
	missing := func(id string, cs []catalog.Clause) {
		e, _ := k.c.Event(id)
		for _, c := range cs {
			if e == nil {
				return
			}
			if p, _ := catalog.Find(e.Properties, c.Property); p == nil {
				k.say(Warning, "never_matches", m, []string{"where", "features"}, "an event that declares it", "the event %q declares no %q and never matches", id, c.Property)
			}
		}
	}
	for _, id := range m.Events {
		missing(id, m.Where)
	}
	for _, f := range m.Features {
		for _, id := range f.Events {
			missing(id, f.Where)
		}
	}
}
