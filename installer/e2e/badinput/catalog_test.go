package badinput

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fieldpost/fieldpost/installer/e2e/harness"
	"github.com/fieldpost/fieldpost/installer/examples"
)

// A catalog that asks for what cannot be is refused before anybody signs it, with the line, a stable code and a
// remedy; a site does not take it either.
func TestCatalog_ThatAsksForWhatCannotBe(t *testing.T) {
	const about = `    category: usage
    question: "What is it?"
    purpose: "Sizing"
    owner: product
    consumed_in: [account page]
    retention: 30d
    expires: 2028-01-01
`
	events := filepath.Join(t.TempDir(), "events.jsonl")
	if err := os.WriteFile(events, []byte(`{"type":"track","userId":"ann","event":"Workflow Created","messageId":"1","receivedAt":"2024-01-01T00:00:00Z"}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const overlapping = "overlapping filters"
	for name, c := range map[string]struct {
		measures string
		says     []string
	}{
		"three dimensions": {"  - id: bad\n    kind: count\n    events: [workflow_saved]\n    by: [[state, guide, role]]\n" + about,
			[]string{"measures.bad.by[0]", "crosses 3 dimensions", "[catalog_bad_breakdown]", "Try: "}},
		"a funnel without a window": {"  - id: bad\n    kind: funnel\n    steps: [{id: a, event: signed_up}, {id: b, event: logged_in}]\n" + about,
			[]string{"measures.bad", `"window"`, "[catalog_missing_key]", "Try: window: 14d"}},
		"a window no funnel may have": {"  - id: bad\n    kind: funnel\n    window: 60d\n    steps: [{id: a, event: signed_up}, {id: b, event: logged_in}]\n" + about,
			[]string{"measures.bad.window", "[catalog_bad_duration]", "Try: "}},
		"thresholds below the floor": {"  - id: bad\n    kind: active_users\n    events: [logged_in]\n    threshold: 1\n" + about,
			[]string{`"threshold"`, "[catalog_unknown_key]", "Try: leave it out: the smallest groups"}},
		overlapping: {"  - id: bad\n    kind: active_users\n    events: [workflow_created]\n    where: {template: [blank, approval]}\n" + about +
			"  - id: worse\n    kind: active_users\n    events: [workflow_created]\n    where: {template: [approval, incident]}\n" + about,
			[]string{"overlap", "bad", "worse", "filters that share nothing, or one within the other"}},
	} {
		file := filepath.Join(t.TempDir(), "catalog.yaml")
		if err := os.WriteFile(file, append(examples.ProductCatalog(), "\n"+c.measures...), 0o600); err != nil {
			t.Fatal(err)
		}
		a := harness.NewAgent(t, harness.Options{})
		r := a.Do("catalog", "lint", "--no-shares", file)
		for _, w := range c.says {
			if !strings.Contains(r.Stdout+r.Stderr, w) {
				t.Errorf("%s: lint does not say %q:\n%s%s", name, w, r.Stdout, r.Stderr)
			}
		}
		if name == overlapping { // each measure by itself is one: a site keeps to itself what it must not tell
			if r.Code != 1 {
				t.Errorf("%s: lint: exit %d", name, r.Code)
			}
			continue
		}
		refused(t, r, 2, "catalog_invalid", c.says[0])
		refused(t, a.Do("replay", "--catalog", file, events, "-o", "json"), 2, "catalog_invalid", c.says[0])
	}
}
