package privacy

import (
	"context"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/batch"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/protocoltest"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// What leaves is in the catalog and was covered by the consent: over random catalogs, histories and
// decisions, of which some come in the middle.
func TestSubset(t *testing.T) {
	seen := map[string]int{} // by subject and form, over all histories
	for range 5 {            // a band needs a site of the right size that agreed: some twenty histories have none
		subset(t, seen)
		if t.Failed() || len(unproved(seen)) == 0 {
			break
		}
	}
	if missing := unproved(seen); len(missing) > 0 {
		t.Errorf("in no history a figure left that is %v: nothing was proved about those (%v)", missing, seen)
	}
}

// unproved is what has to be met and was not.
func unproved(seen map[string]int) (missing []string) {
	for _, must := range []string{"machine exact", "traffic exact", "person exact", "person band", "person suppressed"} {
		if seen[must] == 0 {
			missing = append(missing, must)
		}
	}
	return missing
}

func subset(t *testing.T, seen map[string]int) {
	rapid.Check(t, func(r *rapid.T) {
		s := drawSite(r)
		raw := s.catalog()
		c, err := catalog.Parse(raw)
		if err != nil {
			r.Fatalf("the catalog of the test: %v", err)
		}
		f := protocoltest.NewFakeCollector(t, protocoltest.FakeConfig{Catalog: raw})
		changes := rapid.SliceOfN(rapid.Custom(drawSite), 0, 3).Draw(r, "later decisions")
		rng := rand.New(rand.NewPCG(s.seed, 3))
		o := agent.ReplayOptions{
			Files: []string{peopleOf(s.seed).write(t, "events.jsonl", s.happenings())}, Consent: decision(s),
			Every: 7 * 24 * time.Hour, Until: begin.AddDate(0, 0, s.weeks*7+10), Also: checks(c, s.weeks),
		}
		l := replayDeciding(t, enrol(t, f), o, func(ctx context.Context, a *agent.Agent) error {
			if len(changes) == 0 || rng.IntN(3) != 0 {
				return nil
			}
			d := decision(changes[0])
			if rng.IntN(4) == 0 {
				pause := rng.IntN(2) == 0
				d.Pause = &pause
			}
			changes = changes[1:]
			_, err := a.Decide(ctx, *d)
			return err
		})
		k, ok := f.Agent(l.agent)
		if !ok || k.Refused != 0 {
			r.Fatalf("known %v; the collector refused %d batches", ok, k.Refused)
		}
		if len(k.Accepted) != len(l.batches) {
			r.Fatalf("%d batches arrived, %d stand in the ledger", len(k.Accepted), len(l.batches))
		}
		j := judge{t: r, c: c, history: l.history, seen: seen}
		for _, wire := range l.batches {
			b, err := batch.Open(wire, l.key)
			if err != nil {
				r.Fatal(err)
			}
			j.batch(b)
		}
		for _, in := range k.CheckIns {
			j.statement(in.Statement, l)
		}
	})
}

// replayDeciding is replay with decisions on the way.
func replayDeciding(tb testing.TB, state string, o agent.ReplayOptions, step func(context.Context, *agent.Agent) error) left {
	tb.Helper()
	a, err := agent.Open(config(tb, state))
	if err != nil {
		tb.Fatal(err)
	}
	defer func() {
		if err := a.Close(); err != nil {
			tb.Error(err)
		}
	}()
	begun := false
	o.Step = func(ctx context.Context, _ time.Time) error {
		if !begun { // before the first event nothing can be decided
			begun = true
			return nil
		}
		return step(ctx, a)
	}
	if _, err := a.Replay(tb.Context(), o); err != nil {
		tb.Fatal(err)
	}
	return leftOf(tb, a, state)
}

// The agent once told the collector the newest decision only: figures that were ruled under the one
// before, and still waited, were refused as of a consent nobody knew, and lost.
func TestSubset_TwoDecisionsBetweenDeliveries(t *testing.T) {
	s := site{seed: 5, users: 12, weeks: 4, activity: 0.9, usage: "aggregate", sla: "aggregate", inv: "aggregate"}
	c, err := catalog.Parse(s.catalog())
	if err != nil {
		t.Fatal(err)
	}
	f := protocoltest.NewFakeCollector(t, protocoltest.FakeConfig{Catalog: s.catalog()})
	o := agent.ReplayOptions{
		Files: []string{peopleOf(5).write(t, "events.jsonl", s.happenings())}, Consent: decision(s),
		Every: 14 * 24 * time.Hour, Until: begin.AddDate(0, 0, s.weeks*7+10), Also: checks(c, s.weeks),
	}
	l := replayDeciding(t, enrol(t, f), o, func(ctx context.Context, a *agent.Agent) error {
		_, err := a.Decide(ctx, control.Decision{Levels: map[string]exchange.Level{"usage": exchange.Totals}})
		return err
	})
	named := map[[32]byte]bool{}
	for _, wire := range l.batches { // a refused one fails in leftOf
		h, err := batch.Peek(wire)
		if err != nil {
			t.Fatal(err)
		}
		named[h.Consent] = true
	}
	if len(named) < 2 {
		t.Errorf("the batches name %d decisions: this test proves nothing", len(named))
	}
}

// checks are results of the catalog's probes, one every two hours.
func checks(c *catalog.Catalog, weeks int) iter.Seq[*record.Record] {
	return func(yield func(*record.Record) bool) {
		for at := begin; at.Before(begin.AddDate(0, 0, 7*weeks)); at = at.Add(2 * time.Hour) {
			rec := &record.Record{Kind: record.Probed, Received: at.UnixNano()}
			for i := range c.Probes {
				rec.Results = append(rec.Results, record.Result{Probe: uint16(i), Time: at.UnixNano(), Interval: int64(2 * time.Hour), Up: at.Hour() != 12})
			}
			if !yield(rec) {
				return
			}
		}
	}
}

type judge struct {
	t       *rapid.T
	c       *catalog.Catalog
	history []control.ConsentEntry
	seen    map[string]int
}

func (j judge) batch(b *batch.Batch) {
	if b.Header.Catalog != j.c.Hash || b.Header.Zone != "Europe/Berlin" {
		j.t.Fatalf("a batch of another catalog or zone: %+v", b.Header)
	}
	if !slices.ContainsFunc(j.history, func(e control.ConsentEntry) bool { return e.Hash == b.Header.Consent }) {
		j.t.Fatalf("a batch of a consent nobody gave: %x", b.Header.Consent)
	}
	for _, cell := range b.Cells {
		j.cell(cell, time.Unix(b.Header.Created, 0))
	}
}

func (j judge) cell(cell report.Cell, frozen time.Time) {
	f, err := j.c.Resolve(cell)
	if err != nil {
		j.t.Fatalf("a cell outside the catalog: %v", err)
	}
	m := &j.c.Measures[cell.Measure]
	zone, _ := time.LoadLocation("Europe/Berlin")
	from, to := report.WindowTimes(cell.Grain, cell.Start, zone)
	levels := j.levels(m.Category, from, to)
	for _, l := range append(levels, j.at(m.Category, frozen)) {
		if !l.Leaves() {
			j.t.Fatalf("%s: %s left although %s was %q in its window or when it was cut", f.Measure, words(f), m.Category, l)
		}
	}
	j.seen[string(m.Subject)+" "+cell.Form.String()]++
	if m.Subject != catalog.Person {
		return
	}
	total := len(f.Dims) == 0 && cell.Field == report.Value && (m.Kind == catalog.ActiveUsers || m.Kind == catalog.Count) && len(m.Where) == 0
	inTotals := !slices.ContainsFunc(levels, func(l exchange.Level) bool { return l != exchange.Totals })
	switch {
	case cell.Form == report.Suppressed:
	case cell.Form == report.Exact && total && inTotals:
	case cell.Form == report.Band && total && m.Kind == catalog.ActiveUsers && cell.Grain == report.Week && cell.Hi-cell.Lo+1 >= 5:
	case cell.Form == report.Exact && total && m.Kind == catalog.ActiveUsers && cell.Grain == report.Week && cell.Lo >= 10: // a book's answer of one value
	default:
		j.t.Fatalf("about people, at %v, this left: %s", levels, words(f))
	}
}

// levels are those in force at any moment of a window, off where nothing was decided yet.
func (j judge) levels(category string, from, to time.Time) (out []exchange.Level) {
	if len(j.history) == 0 || j.history[0].At.After(from) {
		out = append(out, exchange.Off)
	}
	for i, e := range j.history {
		ended := i+1 < len(j.history) && !j.history[i+1].At.After(from)
		if ended || !e.At.Before(to) {
			continue
		}
		out = append(out, levelIn(e, category))
	}
	return out
}

// at is the level in force at a moment; of decisions of one second the last. A pause stops everything.
func (j judge) at(category string, t time.Time) (l exchange.Level) {
	l = exchange.Off
	for _, e := range j.history {
		if !e.At.After(t) {
			if l = levelIn(e, category); e.Paused {
				l = exchange.Off
			}
		}
	}
	return l
}

func levelIn(e control.ConsentEntry, category string) exchange.Level {
	for _, d := range e.Levels {
		if d.Category == category {
			return d.Level
		}
	}
	return exchange.Off
}

// statement demands that a statement names the catalog's categories and levels and nobody.
func (j judge) statement(signed exchange.SignedStatement, l left) {
	st, err := signed.Verify(l.key)
	if err != nil {
		j.t.Fatal(err)
	}
	for _, d := range st.Categories {
		if !slices.Contains([]string{catalog.Inventory, catalog.SLA, catalog.Usage}, d.Category) || !slices.Contains(exchange.Levels(), d.Level) {
			j.t.Fatalf("a statement with words of its own: %+v", d)
		}
	}
	if strings.Contains(string(signed.Raw), "j.d.") {
		j.t.Fatal("who decided has left the site")
	}
}

func words(f report.Figure) string {
	b, err := f.MarshalJSON()
	if err != nil {
		return err.Error()
	}
	return string(b)
}
