package privacy

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/protocol/batch"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/protocoltest"
)

// twin prepares a state with key, epoch and decision fixed, and feeds the same history to two copies
// of it, with other people in each.
func twin(tb testing.TB, s site, one, other []happening) (a, b left) {
	tb.Helper()
	c, err := catalog.Parse(s.catalog())
	if err != nil {
		tb.Fatalf("the catalog of the test: %v", err)
	}
	f := protocoltest.NewFakeCollector(tb, protocoltest.FakeConfig{Catalog: s.catalog()})
	state := enrol(tb, f)
	// One fact leaves first, so that the epoch is open; then the decision that is tried.
	first := []happening{{at: begin.Add(-48 * time.Hour), kind: "group", plan: "trial", message: -1}}
	fact := &control.Decision{Levels: map[string]exchange.Level{"inventory": exchange.Aggregate}, Accept: true}
	l := replay(tb, state, agent.ReplayOptions{Files: []string{peopleOf(0).write(tb, "first.jsonl", first)}, Consent: fact, Until: begin.Add(-24 * time.Hour)},
		func(ctx context.Context, a *agent.Agent) {
			d := decision(s)
			d.From = nil // it is decided before the history begins
			if _, err := a.Decide(ctx, *d); err != nil {
				tb.Fatal(err)
			}
		})
	if len(l.batches) == 0 {
		tb.Fatal("nothing left before the twins parted: their epochs will differ")
	}
	copied := clone(tb, state)
	feed := func(state string, seed uint64, list []happening) left {
		p := peopleOf(seed)
		return replay(tb, state, agent.ReplayOptions{Files: []string{p.write(tb, "events.jsonl", list)}, Every: 14 * 24 * time.Hour,
			Also: p.also(tb, c, s), Until: s.until()}, nil)
	}
	a = feed(state, 1, one)
	a.catalog = c
	f.Forget(a.agent, len(a.batches)-len(l.batches)) // or the copy is found out as one, and opens an epoch of its own
	b = feed(copied, 2, other)
	if k, _ := f.Agent(a.agent); k.Refused != 0 {
		tb.Errorf("the collector refused %d batches: the twins forked", k.Refused)
	}
	return a, b
}

// Two sites where the same things were done by people of other names, addresses, words and messages
// send the same bytes, whatever door they came through: cohorts and pooled blocks of 12 weeks included, with the same noise in both.
func TestNonInterference(t *testing.T) { // not in parallel: the noise comes from a source the whole process reads
	seen := map[string]bool{}
	for _, s := range []site{
		{seed: 31, users: 60, weeks: 29, activity: 0.05, usage: "aggregate", sla: "aggregate", inv: "aggregate", people: 70, pool: "strict", pooled: []string{"people", "activation"}},
		{seed: 32, users: 52, weeks: 29, activity: 0.03, usage: "strict", sla: "off", inv: "off", people: 60, pool: "strict", pooled: []string{"flow", "features"}},
		{seed: 33, users: 20, weeks: 9, activity: 0.2, usage: "totals", sla: "aggregate", inv: "totals", traffic: true, pool: "off"},
		{seed: 34, users: 7, weeks: 13, activity: 0.2, usage: "local", sla: "off", inv: "off", pool: "strict", pooled: []string{"people"}},
	} {
		interfere(t, t, s, seen)
	}
	histories := 4
	rapid.Check(t, func(r *rapid.T) { interfere(t, r, drawSite(r), seen); histories++ })
	c, err := catalog.Parse(site{}.catalog())
	if err != nil {
		t.Fatal(err)
	}
	must := []string{"exact week", "exact 4w", "suppressed 4w", "band 4w", "implied 4w", "noised 4w", "band 12w", "noised 12w"}
	for _, k := range catalog.Kinds() {
		if slices.ContainsFunc(c.Measures, func(m catalog.Measure) bool { return m.Kind == k }) {
			must = append(must, string(k))
		}
	}
	for _, must := range must {
		if !seen[must] && !t.Failed() {
			t.Errorf("no history sent %s: nothing was proved about it", must)
		}
	}
	t.Logf("%d histories, each lived twice: %v", histories, slices.Sorted(maps.Keys(seen)))
}

func interfere(t *testing.T, r checker, s site, seen map[string]bool) {
	list := s.happenings()
	a, b := twin(t, s, list, list)
	if d := gocmp.Diff(a.figures, b.figures); d != "" {
		r.Fatalf("figures differ by who the people are:\n%s", d)
	}
	if d := gocmp.Diff(a.preview, b.preview); d != "" {
		r.Fatalf("what would leave next differs by who the people are:\n%s", d)
	}
	if len(a.batches) != len(b.batches) {
		r.Fatalf("%d batches and %d", len(a.batches), len(b.batches))
	}
	for i := range a.batches {
		if !bytes.Equal(a.batches[i], b.batches[i]) {
			r.Fatalf("batch %d differs in its bytes", i)
		}
	}
	for _, wire := range a.batches {
		b, err := batch.Open(wire, a.key)
		if err != nil {
			r.Fatal(err)
		}
		for _, cell := range b.Cells {
			seen[cell.Form.String()+" "+cell.Grain.String()] = true
			seen[string(a.catalog.Measures[cell.Measure].Kind)] = true
		}
	}
}

// The proof can fail: with one person more at the level totals the bytes differ.
func TestNonInterference_SeesADifference(t *testing.T) {
	s := site{seed: 7, users: 12, weeks: 3, activity: 0.9, usage: "totals", sla: "off", inv: "off"}
	list := s.happenings()
	more := append(append([]happening{}, list...), happening{at: begin.AddDate(0, 0, 20), kind: "track", name: "Logged In", user: 99, message: 1 << 20})
	a, b := twin(t, s, list, more)
	if lines(a.figures) == lines(b.figures) {
		t.Error("a person more makes no difference at the level totals: this would not see one less either")
	}
}
