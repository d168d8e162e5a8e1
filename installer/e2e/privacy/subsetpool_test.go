package privacy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/installer/e2e/harness"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// Sites that joined the pool and let nothing of their own leave: all that leaves of people is blocks of 12 weeks with noise,
// of every kind that can be pooled, to the real collector, which takes it. Where usage is not even measured nothing leaves; and
// nothing leaves of a block that began before the pool was joined.
func TestSubset_PoolAlone(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	for _, s := range []site{
		{seed: 41, users: 6, weeks: 15, activity: 0.2, usage: "local", sla: "off", inv: "off", pool: "strict", early: true, pooled: []string{"people", "activation"}},
		{seed: 42, users: 12, weeks: 29, activity: 0.05, usage: "local", sla: "off", inv: "off", pool: "strict", early: true, pooled: []string{"flow", "kept"}},
		{seed: 43, users: 6, weeks: 13, activity: 0.2, usage: "local", sla: "off", inv: "off", pool: "strict", early: true, pooled: []string{"features"}},
	} {
		subsetAtCollector(t, s, seen)
	}
	for _, must := range []string{"active_users", "funnel", "lifecycle", "retention", "adoption"} {
		if seen["pooled "+must+" noised"] == 0 {
			t.Errorf("no pooled figure of the kind %s left: nothing was proved about those (%v)", must, seen)
		}
	}
	t.Logf("what left: %v", seen)
	none := map[string]int{}
	for _, s := range []site{
		{seed: 44, users: 6, weeks: 13, activity: 0.2, usage: "off", sla: "off", inv: "off", pool: "strict", early: true, pooled: []string{"people"}},
		{seed: 45, users: 6, weeks: 13, activity: 0.2, usage: "local", sla: "off", inv: "off", pool: "off", early: true, pooled: []string{"people"}},
		{seed: 46, users: 6, weeks: 13, activity: 0.2, usage: "local", sla: "off", inv: "off", pool: "strict", pooled: []string{"people"}}, // joined an hour late
	} {
		subset(t, t, s, nil, none)
	}
	if len(none) > 0 {
		t.Errorf("without joining the pool, without being measured or before it began, this left: %v", none)
	}
}

// subsetAtCollector lets a site live with the real collector and judges what left.
func subsetAtCollector(t *testing.T, s site, seen map[string]int) {
	t.Helper()
	raw := s.catalog()
	c, err := catalog.Parse(raw)
	if err != nil {
		t.Fatalf("the catalog of the test: %v", err)
	}
	col := harness.NewCollector(t, raw)
	defer col.Stop()
	file := filepath.Join(t.TempDir(), "token")
	col.Must("token", "create", "--account", "acme", "--installation", "berlin", "--environment", "test", "--out", file)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	token, err := exchange.ParseToken(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(t.TempDir(), "state")
	if _, err := agent.Enroll(t.Context(), config(t, state), token); err != nil {
		t.Fatal(err)
	}
	a, err := agent.Open(config(t, state))
	if err != nil {
		t.Fatal(err)
	}
	o := agent.ReplayOptions{Files: []string{peopleOf(s.seed).write(t, "events.jsonl", s.happenings())}, Consent: decision(s), Every: 14 * 24 * time.Hour, Until: s.until()}
	if _, err := a.Replay(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	l := leftOf(t, a, state)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	judgeAll(t, c, l, seen)
	for row := range strings.Lines(col.Must("quarantine", "list", "-o", "json")) {
		if strings.Contains(row, "{") {
			t.Errorf("the collector did not take %s", row)
		}
	}
}
