// Package docs holds the guides for administrators, vendors and support. What they show is tried here.
package docs

import (
	"os"
	"strings"
	"testing"

	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/catalog/lint"
)

// The catalog of the vendor's guide can be signed as it stands, holds every kind, and each kind has its row in the table.
func TestTheGuidesCatalogHoldsEveryKind(t *testing.T) {
	text, err := os.ReadFile("for-vendors.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Every kind of question\n")
	section, _, _ = strings.Cut(section, "\n## ")
	table, yaml, _ := strings.Cut(section, "```yaml\n")
	yaml, _, found := strings.Cut(yaml, "```\n")
	if !found {
		t.Fatal("the guide shows no catalog")
	}
	c, err := catalog.Parse([]byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range lint.Check(c) {
		if f.Severity != lint.Note {
			t.Error(f)
		}
	}
	have := map[catalog.Kind]bool{}
	for i := range c.Measures {
		have[c.Measures[i].Kind] = true
	}
	for _, k := range []catalog.Kind{catalog.Count, catalog.Distribution, catalog.ActiveUsers, catalog.Lifecycle, catalog.Gauge, catalog.Counter, catalog.Histogram,
		catalog.Fact, catalog.Availability, catalog.SLO, catalog.Stickiness, catalog.Retention, catalog.Funnel, catalog.Adoption, catalog.FirstTime,
		catalog.Transitions, catalog.Seats, catalog.Sufficient, catalog.Shift, catalog.Environment} {
		if !have[k] {
			t.Errorf("the catalog has no %s", k)
		}
		if !strings.Contains(table, "`"+string(k)+"`") {
			t.Errorf("the table has no row for %s", k)
		}
	}
}
