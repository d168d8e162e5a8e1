package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/catalog/canon"
)

// Question is one row of the table that a vendor's review begins with: who asks what, for
// what, and what the answer looks like.
type Question struct {
	Question   string
	Measure    string // id
	Kind       catalog.Kind
	Subject    catalog.Subject
	Answer     string // the figures, and what they are told apart by
	Leaves     string // the grain at which it may leave; "" : it stays at the site
	Category   string
	Purpose    string
	Owner      string
	ConsumedIn []string
}

// Questions are the questions the catalog answers, in the order of the file.
func Questions(c *catalog.Catalog) []Question {
	k := &checker{c: c, at: read(c.Raw)}
	k.people()
	k.sums()
	out := make([]Question, len(c.Measures))
	for i := range c.Measures {
		m := &c.Measures[i]
		out[i] = Question{Question: m.Question, Measure: m.ID, Kind: m.Kind, Subject: m.Subject, Answer: answer(c, m), Leaves: k.leavesAt(m),
			Category: m.Category, Purpose: m.Purpose, Owner: m.Owner, ConsumedIn: m.ConsumedIn}
	}
	return out
}

func (k *checker) leavesAt(m *catalog.Measure) string {
	switch {
	case m.Subject != catalog.Person:
		return m.Leaves.String()
	case slices.ContainsFunc(k.found, func(f Finding) bool { return f.Code == "sum_told" && f.Measure == m.ID }):
		return m.LeavesAt().String()
	}
	switch m.Kind {
	case catalog.Count, catalog.Distribution, catalog.Transitions, catalog.Sufficient, catalog.SLO:
		return ""
	}
	return m.LeavesAt().String()
}

func answer(c *catalog.Catalog, m *catalog.Measure) string {
	var fields, by []string
	for _, f := range m.Fields() {
		fields = append(fields, f.String())
	}
	for _, b := range c.Breakdowns(m) {
		by = append(by, strings.Join(b.Dims, " × "))
	}
	s := strings.Join(fields, ", ")
	if by != nil {
		s += " by " + strings.Join(by, ", ")
	}
	return s
}

func conditions(cs []catalog.Clause) string {
	out := make([]string, len(cs))
	for i, c := range cs {
		switch {
		case c.Values != nil:
			out[i] = c.Property + " is " + strings.Join(c.Values, " or ")
		case c.Min != nil && c.Max != nil:
			out[i] = fmt.Sprintf("%s is %s to %s", c.Property, canon.Decimal(*c.Min), canon.Decimal(*c.Max))
		case c.Min != nil:
			out[i] = c.Property + " is at least " + canon.Decimal(*c.Min)
		case c.Max != nil:
			out[i] = c.Property + " is at most " + canon.Decimal(*c.Max)
		}
	}
	return strings.Join(out, " and ")
}
