package egresstest

import (
	"fmt"
	"strings"

	"github.com/fieldpost/fieldpost/protocol/catalog"
)

// Catalog has every kind whose figures are counts of people, and a sum over people's events.
func Catalog() (*catalog.Catalog, error) {
	var features, all []string
	for i := range Features {
		features = append(features, fmt.Sprintf("      f%d: {events: [use%d]}", i, i))
		all = append(all, fmt.Sprintf("use%d", i))
	}
	events := "[login, " + strings.Join(all, ", ") + "]"
	return Parse(append(all, "login"),
		"id: people\n    kind: active_users\n    events: "+events+"\n    by: [role]",
		"id: flow\n    kind: lifecycle\n    events: "+events+"\n    by: [role]",
		"id: sticky\n    kind: stickiness\n    events: "+events,
		"id: kept\n    kind: retention\n    events: "+events,
		"id: used\n    kind: adoption\n    events: "+events+"\n    features:\n"+strings.Join(features, "\n"),
		"id: path\n    kind: funnel\n    window: 14d\n    steps:\n      - {id: a, event: use0}\n      - {id: b, event: use1}\n      - {id: c, event: use2}",
		"id: seats\n    kind: seats\n    purchased: seats\n    events: "+events,
		"id: actions\n    kind: count\n    events: "+events,
	)
}

// Parse makes a catalog of events and measures; each of the latter begins with its id.
func Parse(events []string, measures ...string) (*catalog.Catalog, error) {
	var b strings.Builder
	b.WriteString("catalog: sim\nversion: 1\nvendor: Test\nevents:\n")
	for _, e := range events {
		fmt.Fprintf(&b, "  %s: {match: %s}\n", e, e)
	}
	fmt.Fprintf(&b, "traits:\n  role: {values: [%s]}\n  office: {values: [north, south]}\ngroup_traits:\n  seats: {number: {min: 0, max: 1000000}}\nmeasures:\n", strings.Join(Roles(), ", "))
	for _, m := range measures {
		b.WriteString("  - " + m + "\n    category: usage\n    question: q\n    purpose: p\n    owner: o\n    retention: 730d\n")
	}
	c, err := catalog.Parse([]byte(b.String()))
	if err != nil {
		return nil, fmt.Errorf("parsing the catalog of made-up sites: %w", err)
	}
	return c, nil
}
