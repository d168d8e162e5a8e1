package privacy

import (
	"context"
	"encoding/binary"
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

// What leaves is in the catalog and was covered by the consent: over every level and form, random catalogs, histories and
// decisions, of which some come in the middle.
func TestSubset(t *testing.T) {
	t.Parallel()
	seen := map[string]int{} // by subject, kind and form, over all histories
	for _, s := range []site{
		{seed: 21, users: 36, weeks: 12, activity: 0.3, usage: "aggregate", sla: "aggregate", inv: "aggregate", people: 40, pool: "off"},
		{seed: 22, users: 80, weeks: 29, activity: 0.05, usage: "aggregate", sla: "off", inv: "off", people: 90, pool: "off"},
		{seed: 23, users: 14, weeks: 18, activity: 0.2, usage: "totals", sla: "aggregate", inv: "aggregate", traffic: true, pool: "strict", early: true},
		{seed: 24, users: 52, weeks: 18, activity: 0.1, usage: "strict", sla: "local", inv: "totals", people: 60, pool: "strict", early: true, pooled: []string{"people", "flow"}},
		// Shares of the group are the last template that is tried, and rare but in small groups of whom few come: each of ten histories
		// like this one held some.
		{seed: 510, users: 30, weeks: 29, activity: 0.03, usage: "aggregate", sla: "off", inv: "off", people: 30, pool: "off", measures: without(6, 34)},
	} {
		subset(t, t, s, nil, seen)
	}
	rapid.Check(t, func(r *rapid.T) {
		s, later := drawSite(r), rapid.SliceOfN(rapid.Custom(drawSite), 0, 3).Draw(r, "later decisions")
		subset(t, r, s, later, seen)
	})
	must := []string{"machine exact", "traffic exact", "person exact", "person band", "person share", "person implied", "person noised", "person suppressed",
		"totals exact", "12w band", "12w noised", "pooled noised"}
	for _, k := range catalog.Kinds() {
		must = append(must, "kind "+string(k))
	}
	for _, must := range must {
		if seen[must] == 0 {
			t.Errorf("in no history a figure left that is %s: nothing was proved about those (%v)", must, seen)
		}
	}
	t.Logf("what left: %v", seen)
}

// checker is a test, or a case of one.
type checker interface {
	Fatal(...any)
	Fatalf(string, ...any)
}

func subset(t testing.TB, r checker, s site, changes []site, seen map[string]int) {
	raw := s.catalog()
	c, err := catalog.Parse(raw)
	if err != nil {
		r.Fatalf("the catalog of the test: %v", err)
	}
	f := protocoltest.NewFakeCollector(t, protocoltest.FakeConfig{Catalog: raw})
	rng := rand.New(rand.NewPCG(s.seed, 3))
	o := agent.ReplayOptions{
		Files: []string{peopleOf(s.seed).write(t, "events.jsonl", s.happenings())}, Consent: decision(s),
		Every: 7 * 24 * time.Hour, Until: s.until(), Also: checks(c, s.weeks, s.seed),
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
	judgeAll(r, c, l, seen)
	j := judge{t: r}
	for _, in := range k.CheckIns {
		j.statement(in.Statement, l)
	}
}

// judgeAll judges everything that left.
func judgeAll(r checker, c *catalog.Catalog, l left, seen map[string]int) {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		r.Fatal(err)
	}
	j := judge{t: r, c: c, zone: zone, history: l.history, seen: seen}
	for _, wire := range l.batches {
		b, err := batch.Open(wire, l.key)
		if err != nil {
			r.Fatal(err)
		}
		j.batch(b)
	}
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
	t.Parallel()
	s := site{seed: 5, users: 12, weeks: 4, activity: 0.9, usage: "aggregate", sla: "aggregate", inv: "aggregate"}
	c, err := catalog.Parse(s.catalog())
	if err != nil {
		t.Fatal(err)
	}
	f := protocoltest.NewFakeCollector(t, protocoltest.FakeConfig{Catalog: s.catalog()})
	o := agent.ReplayOptions{
		Files: []string{peopleOf(5).write(t, "events.jsonl", s.happenings())}, Consent: decision(s),
		Every: 14 * 24 * time.Hour, Until: s.until(), Also: checks(c, s.weeks, s.seed),
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

// checks are results of the catalog's probes, one every two hours, and once a day what its metrics read; sender says who
// reported them, which is all that differs between twins.
func checks(c *catalog.Catalog, weeks int, sender uint64) iter.Seq[*record.Record] {
	return func(yield func(*record.Record) bool) {
		for at := begin; at.Before(begin.AddDate(0, 0, 7*weeks)); at = at.Add(2 * time.Hour) {
			rec := &record.Record{Kind: record.Probed, Received: at.UnixNano()}
			for i := range c.Probes {
				rec.Results = append(rec.Results, record.Result{Probe: uint16(i), Time: at.UnixNano(), Interval: int64(2 * time.Hour), Up: at.Hour() != 12})
			}
			if !yield(rec) || at.Hour() == 12 && !yield(samples(c, at, sender)) {
				return
			}
		}
	}
}

// samples are one reading of each metric.
func samples(c *catalog.Catalog, at time.Time, sender uint64) *record.Record {
	at = at.Add(time.Minute) // of two records received at once a replay takes one
	rec := &record.Record{Kind: record.Request, Received: at.UnixNano()}
	for i := range c.Metrics {
		m := &c.Metrics[i]
		s := record.Sample{Metric: uint16(i), Attributes: make([]uint16, len(m.Attributes)), Time: at.UnixNano(), Delta: true, Value: float64(at.Day())}
		binary.LittleEndian.PutUint64(s.Stream[:], sender+uint64(i))
		if len(m.Bounds) > 0 {
			s.Count, s.Sum, s.Buckets = 3, 1, make([]uint64, len(m.Bounds)+1)
			s.Buckets[at.Day()%len(m.Bounds)] = 3
		}
		rec.Samples = append(rec.Samples, s)
	}
	return rec
}

type judge struct {
	t       checker
	c       *catalog.Catalog
	zone    *time.Location
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
	from, to := report.WindowTimes(cell.Grain, cell.Start, j.zone)
	known := judge{t: j.t, c: j.c, zone: j.zone, history: j.until(frozen), seen: j.seen}
	levels := known.levels(m.Category, from, to)
	covered := leaving(append(levels, known.at(m.Category, frozen)))
	pooled := m.Pool && cell.Grain == report.Block12w && (cell.Form == report.Noised || cell.Form == report.Suppressed) &&
		leaving(append(known.levels(catalog.Pool, from, to), known.at(catalog.Pool, frozen)))
	if !covered && !pooled {
		j.t.Fatalf("%s: %s left although %s was %v in its window or when it was cut", f.Measure, words(f), m.Category, levels)
	}
	j.seen[string(m.Subject)+" "+cell.Form.String()]++
	j.seen["kind "+string(m.Kind)]++
	if cell.Grain == report.Block12w {
		j.seen["12w "+cell.Form.String()]++
	}
	if pooled {
		j.seen["pooled "+string(m.Kind)+" "+cell.Form.String()]++
		j.seen["pooled "+cell.Form.String()]++
	}
	if m.Subject == catalog.Person && !pooled && !j.allowed(m, cell, levels) {
		j.t.Fatalf("about people, at %v, this left: %s", levels, words(f))
	}
}

func leaving(levels []exchange.Level) bool {
	return !slices.ContainsFunc(levels, func(l exchange.Level) bool { return !l.Leaves() })
}

// allowed says in words of its own what PRIVACY lets leave of people.
func (j judge) allowed(m *catalog.Measure, cell report.Cell, levels []exchange.Level) bool {
	all := func(want exchange.Level) bool {
		return !slices.ContainsFunc(levels, func(l exchange.Level) bool { return l != want })
	}
	if m.Kind == catalog.Shift || m.Kind == catalog.Environment { // they are made of answers that left
		return cell.Grain == report.Block4w
	}
	switch cell.Grain {
	case report.Week:
		if cell.Breakdown != 0 && !all(exchange.Strict) || m.Kind != catalog.ActiveUsers && m.Kind != catalog.Count {
			return false
		}
	case report.Rolling28:
		if !all(exchange.Strict) && report.CivilStart(report.Block4w, cell.Start)+27 != cell.Start {
			return false
		}
	case report.Change:
		return m.Kind == catalog.FirstTime
	case report.Block4w:
	case report.Block12w:
		if m.Kind != catalog.Retention {
			return false
		}
	default:
		return false
	}
	counts := slices.Contains([]catalog.Kind{catalog.ActiveUsers, catalog.Lifecycle, catalog.Stickiness, catalog.Retention, catalog.Funnel, catalog.Adoption, catalog.Seats}, m.Kind)
	wide := cell.Hi-cell.Lo+1 >= 5
	switch cell.Form {
	case report.Suppressed, report.Unknown:
		return true
	case report.Noised:
		return all(exchange.Strict)
	case report.Exact:
		total := cell.Breakdown == 0 && cell.Field == report.Value && len(m.Where) == 0 && (m.Kind == catalog.ActiveUsers || m.Kind == catalog.Count)
		if total && all(exchange.Totals) {
			j.seen["totals exact"]++
			return true
		}
		contract := cell.Field == report.Purchased || cell.Field == report.Assigned || cell.Field == report.Workdays
		return contract || counts && cell.Lo >= 5
	case report.Band, report.Share:
		sum := m.Kind == catalog.Count && cell.Form == report.Band && cell.Breakdown == 0 && cell.Grain == report.Block4w &&
			len(m.WhereUser) == 0 && cell.Lo >= 10 && !slices.Contains(levels, exchange.Totals)
		return (counts || sum) && wide
	case report.Implied:
		// Beside totals that are told exactly, what follows from them alone may be narrow: it is what the customer agreed to.
		return counts && (wide || cell.Lo == cell.Hi && cell.Lo >= 5 || all(exchange.Totals))
	}
	return false
}

// until are the decisions made when a batch was frozen. A narrower one made later keeps its category's beginning, which is
// before what had left by then.
func (j judge) until(frozen time.Time) []control.ConsentEntry {
	return slices.DeleteFunc(slices.Clone(j.history), func(e control.ConsentEntry) bool { return e.At.After(frozen) })
}

// levels are those in force at any moment of a window, off where nothing was decided yet.
func (j judge) levels(category string, from, to time.Time) (out []exchange.Level) {
	if !slices.ContainsFunc(j.history, func(e control.ConsentEntry) bool { return !begun(e, category).After(from) }) {
		out = append(out, exchange.Off)
	}
	for i, e := range j.history {
		ended := i+1 < len(j.history) && !begun(j.history[i+1], category).After(from)
		if ended || !begun(e, category).Before(to) {
			continue
		}
		out = append(out, levelIn(e, category))
	}
	return out
}

// begun is from when on a decision holds: the customer may choose an earlier moment than that of deciding.
func begun(e control.ConsentEntry, category string) time.Time {
	for _, d := range e.Levels {
		if d.Category == category && d.From < e.At.Unix() {
			return time.Unix(d.From, 0)
		}
	}
	return e.At
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
		if !slices.Contains([]string{catalog.Inventory, catalog.SLA, catalog.Usage, catalog.Pool}, d.Category) || !slices.Contains(exchange.Levels(), d.Level) {
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
