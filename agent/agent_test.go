package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent/consent"
	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/agent/settings"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/protocoltest"
	"github.com/fieldpost/fieldpost/protocol/report"
)

func forgeFile(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile("../installer/examples/forge/catalog.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func config(t testing.TB, state string) Config {
	t.Helper()
	s, err := settings.Load(settings.Source{Getenv: func(string) string { return "" },
		Flags: map[string]string{"state": state, "listen": "127.0.0.1:0", "console": "off", "local-exact": "true"}})
	if err != nil {
		t.Fatal(err)
	}
	return Config{Settings: s, Version: "0.1.0", Simulated: true}
}

// events writes a recorded file: people users, each active on every working day of weeks weeks from
// Monday 2024-01-01, with an odd one who works on the first Monday only.
func events(t testing.TB, people, weeks int) string {
	t.Helper()
	var b strings.Builder
	n := 0
	line := func(at time.Time, user string) {
		n++
		fmt.Fprintf(&b, `{"type":"track","event":"Change Authored","messageId":"m%d","userId":%q,"timestamp":%q,"receivedAt":%q,"properties":{"area":"code","files":2}}`+"\n",
			n, user, at.Format(time.RFC3339), at.Format(time.RFC3339))
	}
	begin := time.Date(2024, 1, 1, 9, 0, 0, 0, time.UTC)
	line(begin, "odd")
	for d := range weeks * 7 {
		if day := begin.AddDate(0, 0, d); day.Weekday() != time.Saturday && day.Weekday() != time.Sunday {
			for u := range people {
				line(day.Add(time.Duration(u+1)*time.Minute), fmt.Sprintf("u%03d", u))
			}
		}
	}
	path := filepath.Join(t.TempDir(), "events.jsonl")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

type fakeSite struct {
	fake *protocoltest.FakeCollector
	cfg  Config
}

func enrolled(t *testing.T) fakeSite {
	t.Helper()
	f := protocoltest.NewFakeCollector(t, protocoltest.FakeConfig{Catalog: forgeFile(t)})
	cfg := config(t, filepath.Join(t.TempDir(), "state"))
	if _, err := Enroll(t.Context(), cfg, f.Token(t, protocoltest.TokenSpec{Account: "acme", Installation: "forge"})); err != nil {
		t.Fatal(err)
	}
	return fakeSite{f, cfg}
}

func (s fakeSite) replay(t *testing.T, o ReplayOptions) ReplayResult {
	t.Helper()
	a, err := Open(s.cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	res, err := a.Replay(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func decide(level exchange.Level, people int) *control.Decision {
	return &control.Decision{Levels: map[string]exchange.Level{"usage": level, "inventory": level, "sla": level}, People: people, By: "j.d."}
}

// left is what the ledger says was sent, by key; a window that was sent twice fails the test.
func (s fakeSite) left(t *testing.T) map[string]report.Figure {
	t.Helper()
	a, err := Open(s.cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	l, err := a.Ledger(t.Context(), control.LedgerQuery{Kind: "batch", Figures: true, Limit: 1 << 20, Verify: true})
	if err != nil || !*l.Verified {
		t.Fatal(err, l.Problem)
	}
	out := map[string]report.Figure{}
	for _, e := range l.Entries {
		for _, f := range e.Figures {
			if _, twice := out[f.Key()]; twice {
				t.Errorf("sent twice: %s", f.Key())
			}
			out[f.Key()] = f
		}
	}
	return out
}

func TestReplaySendsWhatConsentCovers(t *testing.T) {
	s := enrolled(t)
	res := s.replay(t, ReplayOptions{Files: []string{events(t, 30, 30)}, Consent: decide(exchange.Aggregate, 100)})
	if res.Events.Reasons["measured"] != res.Events.Received || res.Events.Received != 30*5*30+1 {
		t.Errorf("accounting: %+v", res.Events)
	}
	weeks, told := 0, map[string]int{}
	for key, f := range s.left(t) {
		if f.Measure == "people" && f.Grain == report.Week && len(f.Dims) == 0 {
			weeks++
			if f.Form != report.Exact || f.Lo != 30 && f.Lo != 31 {
				t.Errorf("%s: %+v", key, f)
			}
		}
		if f.Form.HasNumbers() {
			told[f.Measure+" "+f.Grain.String()]++
		}
	}
	for _, must := range []string{"people 4w", "flow 4w", "active_authors 4w", "habit rolling28", "kept 12w", "areas rolling28"} {
		if told[must] == 0 {
			t.Errorf("nothing was told of %s: %v", must, told)
		}
	}
	a, err := Open(s.cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	r, err := a.Audit(t.Context(), control.AuditOrder{})
	if err != nil || r.Breaches != 0 || r.Told == 0 || len(r.Narrow) == 0 {
		t.Errorf("audit: %+v, %v", r, err)
	}
	if weeks < 25 { // windows that begin after the first event, up to the last delivery
		t.Errorf("%d weeks of people left", weeks)
	}
}

func TestTheSameReplayAgainSendsNothingNew(t *testing.T) {
	s := enrolled(t)
	o := ReplayOptions{Files: []string{events(t, 12, 20)}, Consent: decide(exchange.Totals, 0)}
	s.replay(t, o)
	first := s.left(t)
	if res := s.replay(t, o); res.Sent.Cells != 0 {
		t.Errorf("sent %d cells again", res.Sent.Cells)
	}
	if again := s.left(t); len(again) != len(first) || len(first) == 0 {
		t.Errorf("%d figures, then %d", len(first), len(again))
	}
}

func TestNothingDecidedSendsCheckInsOnly(t *testing.T) {
	s := enrolled(t)
	res := s.replay(t, ReplayOptions{Files: []string{events(t, 12, 20)}})
	if n := s.fake.Calls(exchange.PathBatches); n != 0 || res.Sent.Cells != 0 {
		t.Errorf("%d batches were sent", n)
	}
	if s.fake.Calls(exchange.PathCheckIn) == 0 {
		t.Error("no check-in")
	}
	if res.Events.Reasons["off"] != res.Events.Received {
		t.Errorf("collected without consent: %+v", res.Events)
	}
}

func TestOfflineStretchArrivesLaterOnce(t *testing.T) {
	s, o := enrolled(t), enrolled(t)
	file := events(t, 15, 40)
	s.replay(t, ReplayOptions{Files: []string{file}, Consent: decide(exchange.Totals, 0)})
	off := time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC)
	o.replay(t, ReplayOptions{Files: []string{file}, Consent: decide(exchange.Totals, 0),
		Offline: func(now time.Time) bool { return now.After(off) && now.Before(off.AddDate(0, 4, 0)) }})
	a, b := s.left(t), o.left(t)
	for k, f := range a {
		if g, ok := b[k]; !ok || g.Form != f.Form || g.Lo != f.Lo {
			t.Errorf("%s: %+v online, %+v after the stretch", k, f, g)
		}
	}
	if len(a) != len(b) {
		t.Errorf("%d figures online, %d after the stretch", len(a), len(b))
	}
}

// A replay that is cut off anywhere and started again sends exactly what an uncut one sends.
func TestCutOffAnywhereSendsTheSame(t *testing.T) {
	file := events(t, 12, 24)
	whole := enrolled(t)
	whole.replay(t, ReplayOptions{Files: []string{file}, Consent: decide(exchange.Totals, 0)})
	want := whole.left(t)
	s := enrolled(t)
	for cut := 1; ; cut++ {
		ctx, cancel := context.WithCancel(t.Context())
		steps := 0
		a, err := Open(s.cfg)
		if err != nil {
			t.Fatal(err)
		}
		_, err = a.Replay(ctx, ReplayOptions{Files: []string{file}, Consent: decide(exchange.Totals, 0), Step: func(context.Context, time.Time) error {
			if steps++; steps == 2 {
				cancel()
			}
			return nil
		}})
		a.store = nil // no last checkpoint: the process died here
		a.Close()
		cancel()
		if err == nil {
			break
		}
		if !errors.Is(err, context.Canceled) && !strings.Contains(err.Error(), "context canceled") {
			t.Fatal(err)
		}
		if cut > 60 {
			t.Fatal("it makes no progress")
		}
	}
	got := s.left(t)
	for k, f := range want {
		if g, ok := got[k]; !ok || g.Form != f.Form || g.Lo != f.Lo {
			t.Errorf("%s: %+v whole, %+v cut", k, f, g)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d figures whole, %d cut", len(want), len(got))
	}
}

func TestOffStopsAtOnceAndDeletesWhatWaits(t *testing.T) {
	s := enrolled(t)
	s.replay(t, ReplayOptions{Files: []string{events(t, 12, 4)}, Consent: decide(exchange.Totals, 0), Offline: func(now time.Time) bool { return now.After(time.Date(2024, 1, 2, 0, 0, 0, 0, time.UTC)) }})
	a, err := Open(s.cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	before, err := a.Preview(t.Context())
	if err != nil || len(before.Leaves) == 0 || before.Bytes == 0 {
		t.Fatalf("%v: nothing waits: %+v", err, before)
	}
	if _, err := a.Decide(t.Context(), control.Decision{Levels: map[string]exchange.Level{"usage": exchange.Off}}); err != nil {
		t.Fatal(err)
	}
	after, err := a.Preview(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range after.Leaves {
		if l.Category == "usage" {
			t.Errorf("still waits: %+v", l)
		}
	}
}

func TestQueryObeysTheFormsUnlessExact(t *testing.T) {
	s := enrolled(t)
	s.replay(t, ReplayOptions{Files: []string{events(t, 30, 20)}, Consent: decide(exchange.Aggregate, 100)})
	a, err := Open(s.cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	for _, q := range []control.Query{{Measure: "people", Grain: "day"}, {Measure: "people", Grain: "week", By: []string{"role"}}, {Measure: "flow", Grain: "week"}} {
		lines, err := a.Query(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range lines {
			if !strings.Contains(string(l), `"value":null,"form":"suppressed"`) {
				t.Errorf("%+v shows %s", q, l)
			}
		}
		q.Exact = true
		if lines, err = a.Query(t.Context(), q); err != nil || len(lines) == 0 || strings.Contains(string(lines[0]), "form") {
			t.Errorf("exact: %v %v", err, lines)
		}
	}
	l, err := a.Ledger(t.Context(), control.LedgerQuery{Kind: "exact"})
	if err != nil || len(l.Entries) != 3 {
		t.Errorf("%d uses of exact figures are recorded: %v", len(l.Entries), err)
	}
	var e *control.Error
	if _, err := a.Query(t.Context(), control.Query{Measure: "poeple", Grain: "day"}); !errors.As(err, &e) || e.Hint != "--measure people" || e.Exit != 2 {
		t.Errorf("%v", err)
	}
	st, err := a.Status(t.Context())
	if b, _ := json.Marshal(st); err != nil || !strings.Contains(string(b), `"acknowledged"`) {
		t.Errorf("%v: %s", err, b)
	}
	if d := st.Delivery; d.Frozen != d.Acknowledged+d.Outbox+d.Quarantined {
		t.Errorf("frozen does not add up: %+v", d)
	}
}

// A decision that reached the disk but not the journal, because the agent died in between, is in force
// after the next start.
func TestADecisionCutOffBeforeTheJournalIsCarriedOn(t *testing.T) {
	f := protocoltest.NewFakeCollector(t, protocoltest.FakeConfig{Catalog: forgeFile(t)})
	cfg := config(t, filepath.Join(t.TempDir(), "state"))
	cfg.Simulated = false
	if _, err := Enroll(t.Context(), cfg, f.Token(t, protocoltest.TokenSpec{Account: "acme", Installation: "forge"})); err != nil {
		t.Fatal(err)
	}
	a, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	d := decide(exchange.Aggregate, 0)
	d.Accept = true
	if _, err := a.Decide(t.Context(), *d); err != nil {
		t.Fatal(err)
	}
	if _, err := a.consent.Decide(time.Now(), consent.Change{Levels: map[string]exchange.Level{"usage": exchange.Off}}); err != nil {
		t.Fatal(err)
	}
	a.store = nil // it dies here
	a.Close()
	a, err = Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if l := a.policy.Statement.Decision("usage").Level; l != exchange.Off {
		t.Errorf("the gate still goes by %q", l)
	}
}
