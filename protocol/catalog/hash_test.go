package catalog_test

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"github.com/fieldpost/fieldpost/protocol/catalog"
)

// The hashes name series in every store there is. A change here loses them all.
func TestDefinitionHashesStay(t *testing.T) {
	c := forge(t)
	var hashes strings.Builder
	for i := range c.Measures {
		m := &c.Measures[i]
		fmt.Fprintf(&hashes, "%x %s\n", m.DefHash, m.ID)
		if sha256.Sum256(c.Canonical(m)) != m.DefHash {
			t.Errorf("%s: the hash is not of the canonical form", m.ID)
		}
		if len(m.HashString()) != 16 || !strings.HasPrefix(fmt.Sprintf("%x", m.DefHash), m.HashString()) {
			t.Errorf("%s: %s", m.ID, m.HashString())
		}
	}
	golden(t, "forge-like.hashes", hashes.String())
	for _, id := range []string{"people", "fast_enough", "changes"} {
		m, _ := measure(t, c, id)
		golden(t, "forge-like."+id+".canonical", string(c.Canonical(m)))
	}
}

func TestWhatBeginsANewSeries(t *testing.T) {
	const people, changes = "people", "changes"
	for _, c := range []struct {
		name, old, now string
		changed        string // ids that begin a new series
	}{
		{"question", `"How many people work here?"`, `"Who is there?"`, ""},
		{"purpose", `"Seat planning with the customer"`, `"Seats"`, ""},
		{"owner", "owner: operations", "owner: engineering", ""},
		{"comments and layout", "events: [change_authored, change_accepted, change_merged]\n    by: [role, area, [role, area]]", "events: # these\n      - change_authored\n      - change_accepted\n      - change_merged\n    by: [role, area, [role, area]]", ""},
		{"order of keys", "    kind: active_users\n    subject: person\n", "    subject: person\n    kind: active_users\n", ""},
		{"a default spelled out", "  change_merged: {match: \"Change Merged\"}", "  change_merged: {match: \"Change Merged\", type: track, grace: 48h}", ""},
		{"a unit of time spelled otherwise", "retention: 730d\n    expires", "retention: 17520h\n    expires", ""},
		{"an event nobody names", "  settings_page: {match: \"Settings\", type: page}", "  settings_page: {match: \"Setup\", type: page}", ""},
		{"a property only one measure uses", "{min: 0, max: 10000000}", "{min: 0, max: 99}", "accepted_in_time"},
		{"version", "version: 3", "version: 4", ""},
		{"retention", "retention: 730d\n    expires", "retention: 731d\n    expires", people},
		{"expires", "2028-01-01", "2028-01-02", people},
		{"consumed_in", "[account page, CRM]", "[account page]", people},
		{"category", "subject: person\n    events: [change_authored, change_accepted, change_merged]\n    by: [role, area, [role, area]]\n    leaves: 4w\n    category: usage", "subject: person\n    events: [change_authored, change_accepted, change_merged]\n    by: [role, area, [role, area]]\n    leaves: 4w\n    category: pool", people},
		{"leaves", "leaves: 4w", "leaves: 12w", people},
		{"breakdown", "by: [role, area, [role, area]]", "by: [role, area]", people},
		{"order of breakdowns", "by: [role, area, [role, area]]", "by: [area, role, [role, area]]", people},
		{"filter", "files: {min: 1, max: 500}", "files: {min: 1, max: 501}", changes},
		{"filter on users", "region: emea", "region: apac", changes},
		{"match of an event", `match: "Change Accepted"`, `match: "Accepted"`, "people flow accepted_in_time"},
		{"grace", "grace: 7d", "grace: 6d", "people flow accepted_in_time"},
		{"a listed value", "{values: [browse, push, review], match: http.route}", "{values: [browse, push, review, admin], match: http.route}", "latency fast_enough"},
		{"bounds", "[0.1, 0.25, 0.5, 1, 2.5]", "[0.1, 0.25, 0.5, 1, 5]", "latency fast_enough"},
		{"who is no person", ", not_people: [automation]", "", "people flow changes files has_maintainer channel accepted_in_time"},
		{"probe", "The forge answers over HTTP", "The forge answers", "web_up"},
		{"target", "target: 0.995", "target: 0.999", "web_up"},
		{"group trait", "[team, business]", "[team, business, trial]", "plan"},
		{"resource", "[production, staging]", "[production, staging, test]", "environment"},
		{"at_most", "at_most: 0.5", "at_most: 0.25", "fast_enough"},
		{"window", "window: 30d", "window: 28d", "fast_enough"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before, after := forge(t), edited(t, c.old, c.now)
			var changed []string
			for i := range before.Measures {
				if before.Measures[i].DefHash != after.Measures[i].DefHash {
					changed = append(changed, before.Measures[i].ID)
				}
			}
			if got := strings.Join(changed, " "); got != c.changed {
				t.Errorf("new series for %q, want %q", got, c.changed)
			}
		})
	}
}

// edited is the example with every old text replaced.
func edited(t testing.TB, replacements ...string) *catalog.Catalog {
	t.Helper()
	raw := string(read(t, "forge-like.yaml"))
	for i := 0; i < len(replacements); i += 2 {
		if !strings.Contains(raw, replacements[i]) {
			t.Fatalf("the example does not hold %q", replacements[i])
		}
		raw = strings.ReplaceAll(raw, replacements[i], replacements[i+1])
	}
	c, err := catalog.Parse([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What is told of a sum depends on how often a person counts in it.
func TestACapMakesANewSeries(t *testing.T) {
	was, now := forge(t), edited(t, "    by: [area]\n    where: {area: [code, docs, testing]", "    by: [area]\n    cap: 300\n    where: {area: [code, docs, testing]")
	before, _ := was.Measure("changes")
	after, _ := now.Measure("changes")
	if before.DefHash == after.DefHash || before.Most() != 5600 || after.Most() != 300 || after.Cap != 300 {
		t.Errorf("%d and %d, one hash: %v", before.Most(), after.Most(), before.DefHash == after.DefHash)
	}
}

func TestDefinitionsOfDifferentMeasuresDiffer(t *testing.T) {
	c := forge(t)
	seen := map[[32]byte]string{}
	for i := range c.Measures {
		m := &c.Measures[i]
		if other := seen[m.DefHash]; other != "" {
			t.Errorf("%s and %s have one hash", m.ID, other)
		}
		seen[m.DefHash] = m.ID
	}
}
