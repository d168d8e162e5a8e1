package relate

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/catalog/lint"
)

// What the author of a catalog is told while writing is what the gate does: a measure of people, or a feature, is refused as not
// confirmed exactly where lint says that it stays.
func TestExactLintSaysWhatIsRefused(t *testing.T) {
	says := map[string]bool{"overlap": true, "same_people": true, "feature_overlap": true, "feature_outside": true, "feature_shared": true}
	refused := 0
	for seed := range uint64(3000) {
		raw := madeUp(rand.New(rand.NewPCG(seed, 1)))
		c, err := catalog.Parse([]byte(raw))
		if err != nil {
			t.Fatalf("%v\n%s", err, raw)
		}
		stays := map[string]bool{}
		for _, f := range lint.Check(c) {
			if says[f.Code] {
				name := f.Measure
				if strings.HasPrefix(f.Code, "feature") {
					name += "." + strings.Split(f.Text, `"`)[1]
				}
				stays[name] = true
			}
		}
		p := New(c)
		for i := range c.Measures {
			m := &c.Measures[i]
			if got, want := stays[m.ID], p.places[i].why == Unrelated; got != want {
				t.Fatalf("seed %d: of %s lint says that it stays: %v; it is refused: %v\n%s", seed, m.ID, got, want, raw)
			} else if want {
				refused++
			}
			for f, s := range p.places[i].features {
				if name := m.ID + "." + m.Features[f].ID; p.places[i].set >= 0 && stays[name] != (s < 0) {
					t.Fatalf("seed %d: of %s lint says that it stays: %v; it is refused: %v\n%s", seed, name, stays[name], s < 0, raw)
				}
			}
		}
	}
	if refused < 100 {
		t.Errorf("%d measures were refused: this proves little", refused)
	}
}

// madeUp is a catalog of a few measures of people that may get in one another's way.
func madeUp(rng *rand.Rand) string {
	var b strings.Builder
	b.WriteString("catalog: x\nversion: 1\nvendor: Example\nevents:\n")
	for _, e := range []string{"a", "b", "c"} {
		fmt.Fprintf(&b, "  %s: {match: %s, properties: {part: {values: [x, y, z]}}}\n", e, strings.ToUpper(e))
	}
	b.WriteString("traits: {role: {values: [dev, lead, robot], not_people: [robot]}}\nmeasures:\n  - {id: all, kind: active_users, events: [a, b, c], by: [role]" + rest)
	pick := func(of ...string) string { return of[rng.IntN(len(of))] }
	events := func() string { return pick("[a]", "[b]", "[c]", "[a, b]", "[b, c]", "[a, b, c]") }
	for i := range 2 + rng.IntN(4) {
		body := ""
		switch kind := pick("active_users", "lifecycle", "stickiness", "retention", "seats", "funnel", "adoption"); kind {
		case "seats":
			body = "kind: seats, events: " + events() + ", purchased: bought"
		case "funnel":
			x, y := pick("a", "b", "c"), pick("a", "b", "c")
			body = fmt.Sprintf("kind: funnel, window: 7d, steps: [{id: s, event: %s}, {id: t, event: %s}]%s", x, y, pick("", "", ", entry: each"))
		case "adoption":
			body = fmt.Sprintf("kind: adoption, events: [a, b, c], features: {f: {events: %s}, g: {events: %s, where: {part: x}}}", events(), events())
		default:
			body = fmt.Sprintf("kind: %s, events: %s%s%s", kind, events(), pick("", "", ", where: {part: x}", ", where: {part: [x, y]}"),
				pick("", "", ", where_user: {role: dev}", ", where_user: {role: lead}"))
		}
		fmt.Fprintf(&b, "  - {id: m%d, %s%s", i, body, rest)
	}
	return strings.Replace(b.String(), "measures:", "group_traits: {bought: {number: {min: 0, max: 9}}}\nmeasures:", 1)
}

const rest = ", category: usage, question: q, purpose: p, owner: o, retention: forever}\n"
