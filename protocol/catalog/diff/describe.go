package diff

import (
	"fmt"
	"strings"

	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/catalog/canon"
	"github.com/fieldpost/fieldpost/protocol/catalog/strict"
)

// Describe says in one plain sentence what the measure takes.
func Describe(c *catalog.Catalog, m *catalog.Measure) string {
	var b strings.Builder
	b.WriteString(takes(m))
	for i, br := range m.By {
		b.WriteString(map[bool]string{true: ", told apart by ", false: "; by "}[i == 0] + strings.Join(br, " and "))
	}
	if len(m.Where)+len(m.WhereUser) > 0 {
		b.WriteString(", only where " + all(m.Where, m.WhereUser))
	}
	about := map[catalog.Subject]string{catalog.Person: "people", catalog.Traffic: "traffic", catalog.Machine: "machines"}[m.Subject]
	fmt.Fprintf(&b, ". About %s, category %s, kept %s", about, m.Category, strict.Span(m.Retention))
	if m.Expires != "" {
		b.WriteString(", asked again after " + m.Expires)
	}
	if m.Cap > 0 {
		fmt.Fprintf(&b, ". Where the sum leaves, a person counts at most %d times in four weeks", m.Cap)
	}
	if m.Pool {
		b.WriteString(". Its noised figures may join those of other customers in the pool")
	}
	return b.String() + ". The question: " + m.Question
}

func takes(m *catalog.Measure) string {
	events := strings.Join(m.Events, ", ")
	switch m.Kind {
	case catalog.Count:
		return "how many events of " + events
	case catalog.Distribution:
		return fmt.Sprintf("how many, the sum and the spread of %s of %s", m.Property, events)
	case catalog.ActiveUsers:
		return "how many people did " + events
	case catalog.Lifecycle:
		return "how many people were new, stayed, came back or stopped, by " + events
	case catalog.Gauge, catalog.Counter, catalog.Histogram:
		return fmt.Sprintf("the %s %s", m.Kind, m.Metric)
	case catalog.Fact:
		return fmt.Sprintf("which one of %s, from %s", few(m.Values), m.From)
	case catalog.Availability:
		return "seconds up and down of the check " + m.Probe
	case catalog.SLO:
		if m.Valid != nil {
			return "how many were valid and how many of those were good, of " + m.Valid.Event + m.Valid.Metric
		}
	case catalog.Stickiness:
		return "of the people who did " + events + " in 28 days, how many do it on a usual day, and on how many days people did"
	case catalog.Retention:
		return "of the people who first did " + events + " in some week, how many do it in each of the 26 weeks after"
	case catalog.Funnel:
		return way(m)
	case catalog.Adoption:
		return features(m, events)
	case catalog.FirstTime:
		return "how long after the start somebody first did " + events
	case catalog.Transitions:
		return "how often people went from one straight to the next, of " + strings.Join(texts(m.Steps, step), ", ")
	case catalog.Seats:
		return seats(m, events)
	case catalog.Sufficient:
		return fmt.Sprintf("how many, the sums and the squares of %s of %s, for each %s", join(" and ", m.X, m.Y), events, m.Arm)
	case catalog.Shift:
		return "whether the level of " + m.Of + " moved, which way, how far and how surely, and signs of why"
	case catalog.Environment:
		return "whether the installation looks like a trial, a pilot or production by its " + m.Of + ", how surely, and by which signs"
	}
	return string(m.Kind)
}

func way(m *catalog.Measure) string {
	var b strings.Builder
	fmt.Fprintf(&b, "how many people go the way %s within %s, how far they come and how long it takes", strings.Join(texts(m.Steps, step), ", then "), strict.Span(m.Window))
	if m.Entry == "each" {
		b.WriteString(", every time they begin anew")
	}
	if m.Correlate != "" {
		b.WriteString(", each " + m.Correlate + " by itself (which one it was is not told)")
	}
	if m.Before != nil {
		b.WriteString(", arriving only if they did " + step(*m.Before) + " before")
	}
	if m.Split != "" {
		b.WriteString(", told apart by " + m.Split + " at the beginning")
	}
	return b.String()
}

func features(m *catalog.Measure, events string) string {
	who := "the people who did " + events
	if len(m.Eligible) > 0 {
		who += " and where " + all(m.Eligible)
	}
	parts := texts(m.Features, func(f catalog.Feature) string {
		return f.ID + " (" + selection(strings.Join(f.Events, " or "), f.Where) + ")"
	})
	return fmt.Sprintf("of %s, how many tried, adopted (%d uses on two days) or habitually use %s", who, m.Uses, few(parts))
}

func seats(m *catalog.Measure, events string) string {
	s := "how many people did " + events + ", and the most within one hour"
	if m.Purchased+m.Assigned == "" {
		return s
	}
	return s + ", beside the seats the organisation has (" + join(", ", m.Purchased, m.Assigned) + ")"
}

// join is for words of which some may be empty.
func join(sep string, words ...string) string {
	var out []string
	for _, w := range words {
		if w != "" {
			out = append(out, w)
		}
	}
	return strings.Join(out, sep)
}

func step(s catalog.Step) string {
	if s.ID == "" || s.ID == s.Event {
		return selection(s.Event, s.Where)
	}
	return s.ID + " (" + selection(s.Event, s.Where) + ")"
}

func selection(events string, where []catalog.Clause) string {
	if len(where) == 0 {
		return events
	}
	return events + " where " + all(where)
}

// all are conditions that must hold together.
func all(lists ...[]catalog.Clause) string {
	var out []string
	for _, cs := range lists {
		out = append(out, conditions(cs)...)
	}
	return strings.Join(out, " and ")
}

func conditions(cs []catalog.Clause) []string {
	return texts(cs, func(c catalog.Clause) string {
		switch {
		case c.Values != nil:
			return c.Property + " is " + strings.Join(c.Values, " or ")
		case c.Min != nil && c.Max != nil:
			return fmt.Sprintf("%s is %s to %s", c.Property, canon.Decimal(*c.Min), canon.Decimal(*c.Max))
		case c.Min != nil:
			return c.Property + " is at least " + canon.Decimal(*c.Min)
		case c.Max != nil:
			return c.Property + " is at most " + canon.Decimal(*c.Max)
		}
		return c.Property
	})
}

func few(vs []string) string {
	if len(vs) > 8 {
		return fmt.Sprintf("%s and %d more", strings.Join(vs[:7], ", "), len(vs)-7)
	}
	return strings.Join(vs, ", ")
}

func texts[T any](xs []T, of func(T) string) []string {
	out := make([]string, len(xs))
	for i, x := range xs {
		out[i] = of(x)
	}
	return out
}
