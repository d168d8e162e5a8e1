// Package query proves the figures of the shipped program: each of the 35 recorded installations,
// and invented ones with what the real ones lack, are replayed and queried from the command line as
// a user would, and every line is held, byte for byte, against the oracle, which read the same raw
// events and shares nothing with the agent. There is no state on disk outside the tests' temporary
// folders.
package query

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/installer/e2e/harness"
	"github.com/fieldpost/fieldpost/installer/e2e/oracle"
	"github.com/fieldpost/fieldpost/installer/examples"
)

func TestMain(m *testing.M) { os.Exit(harness.MainPlain(m, "fieldpost-agent")) }

const forge = "../../examples/forge"

// site is a state that was made by a replay.
type site struct {
	*harness.Agent
	t        *testing.T
	accounts control.Counts
	now      time.Time
}

// replayed replays a file up to a date, as in the quick start.
func replayed(t *testing.T, zone, until, file string) *site {
	t.Helper()
	s := &site{Agent: harness.NewAgent(t, harness.Options{Config: "zone: " + zone}), t: t}
	out := s.Must("replay", "--state", s.State, "--catalog", filepath.Join(forge, "catalog.yaml"), "--until", until, "--remember", "forever", "-o", "json", file)
	var res struct {
		Now    time.Time
		Events control.Counts
	}
	if err := json.Unmarshal([]byte(out), &res); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s.accounts, s.now = res.Events, res.Now
	return s
}

func (s *site) Must(args ...string) string {
	s.t.Helper()
	for i, a := range args { // the agent's commands run in a folder of their own
		if strings.HasPrefix(a, forge) {
			abs, err := filepath.Abs(a)
			if err != nil {
				s.t.Fatal(err)
			}
			args[i] = abs
		}
	}
	return s.Agent.Must(args...)
}

// figures holds every line of every query against the oracle's, and returns how many there are.
func (s *site) figures(o *oracle.Site) (n int) {
	s.t.Helper()
	for _, m := range oracle.ForgeMeasures() {
		grains := []string{"day", "week", "month", "rolling28"}
		if m.Kind == "lifecycle" {
			grains = []string{"week", "month"}
		}
		for _, grain := range grains {
			n += s.same(o.Lines(m, grain, false), "--measure", m.ID, "--grain", grain)
			if m.By != "" {
				n += s.same(o.Lines(m, grain, true), "--measure", m.ID, "--grain", grain, "--by", m.By)
			}
		}
	}
	return n
}

// same runs one query and compares its output with the lines it should have.
func (s *site) same(want []string, query ...string) int {
	s.t.Helper()
	got := s.Must(append([]string{"query", "--state", s.State, "--exact", "-o", "json"}, query...)...)
	if got == strings.Join(append(want, ""), "\n") {
		return len(want)
	}
	lines := strings.Split(strings.TrimSuffix(got, "\n"), "\n")
	for i := range max(len(want), len(lines)) {
		w, g := "nothing", "nothing"
		if i < len(want) {
			w = want[i]
		}
		if i < len(lines) {
			g = lines[i]
		}
		if w != g {
			s.t.Errorf("query %s, line %d of %d:\nagent  %s\noracle %s", strings.Join(query, " "), i+1, len(lines), g, w)
			break
		}
	}
	return len(want)
}

// accounting compares what became of every event, and that it adds up.
func (s *site) accounting(o *oracle.Site) {
	s.t.Helper()
	reasons, sum := map[string]int{}, uint64(0)
	for reason, n := range s.accounts.Reasons {
		if sum += n; n > 0 {
			reasons[reason] = int(n)
		}
	}
	if d := cmp.Diff(o.Reasons, reasons); d != "" {
		s.t.Errorf("accounting (-oracle +agent):\n%s", d)
	}
	if s.accounts.Received != sum || s.accounts.Received != uint64(o.Received) {
		s.t.Errorf("%d received, the reasons add up to %d, the oracle received %d", s.accounts.Received, sum, o.Received)
	}
	if st := s.Status(); st.Skewed != uint64(o.Skewed) || st.Back != uint64(o.Back) || cmp.Diff(st.Events, s.accounts) != "" {
		s.t.Errorf("status says skewed %d, clock_back %d, %+v; the oracle %d and %d, the replay %+v", st.Skewed, st.Back, st.Events, o.Skewed, o.Back, s.accounts)
	}
}

// date is midnight at the beginning of a date.
func date(t *testing.T, text string, zone *time.Location) time.Time {
	t.Helper()
	d, err := time.ParseInLocation(time.DateOnly, text, zone)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestEveryInstallation(t *testing.T) {
	const until = "2026-11-01"
	list := examples.Installations()
	if len(list) != 35 {
		t.Fatalf("%d installations, there should be 35", len(list))
	}
	for _, in := range list {
		t.Run(in.Account+"/"+in.Installation, func(t *testing.T) {
			t.Parallel()
			rc, err := examples.Open(in.Account, in.Installation)
			if err != nil {
				t.Fatal(err)
			}
			raw, err := io.ReadAll(rc)
			if err != nil {
				t.Fatal(err)
			}
			o, err := oracle.Read(bytes.NewReader(raw), oracle.Forge(), time.UTC, date(t, until, time.UTC))
			if err != nil {
				t.Fatal(err)
			}
			s := replayed(t, "UTC", until, filepath.Join(forge, "installations", in.Account+"--"+in.Installation+".jsonl.gz"))
			s.accounting(o)
			if s.accounts.Received != uint64(in.Events) {
				t.Errorf("%d received, the index says %d", s.accounts.Received, in.Events)
			}
			if n := s.figures(o); n < 100 {
				t.Errorf("only %d lines were compared", n)
			}
		})
	}
}

// invented are histories with duplicates, changes of role, aliases, late and skewed events and clocks that
// step back. They go on for ten days after the date the clock stops at.
func TestInventedInstallations(t *testing.T) {
	for i, x := range []struct{ zone, begin string }{
		{"UTC", "2017-08-20"},
		{"America/New_York", "2017-08-20"},  // days of 23 and 25 hours
		{"America/Sao_Paulo", "2017-08-20"}, // a day that begins at one o'clock
		{"Pacific/Apia", "2011-09-20"},      // a day that never was
		{"Asia/Kolkata", "2023-12-01"},
		{"Australia/Lord_Howe", "2017-08-20"}, // half an hour
	} {
		t.Run(x.zone, func(t *testing.T) {
			t.Parallel()
			zone, err := time.LoadLocation(x.zone)
			if err != nil {
				t.Fatal(err)
			}
			begin := date(t, x.begin, time.UTC).Add(3 * time.Hour)
			until := begin.AddDate(0, 0, 140).Format(time.DateOnly)
			raw := oracle.Synthetic(uint64(100+i), begin, 150, 3000)
			file := filepath.Join(t.TempDir(), "invented.jsonl")
			if err := os.WriteFile(file, raw, 0o600); err != nil {
				t.Fatal(err)
			}
			o, err := oracle.Read(bytes.NewReader(raw), oracle.Forge(), zone, date(t, until, zone))
			if err != nil {
				t.Fatal(err)
			}
			s := replayed(t, x.zone, until, file)
			if !s.now.Equal(date(t, until, zone)) {
				t.Errorf("the clock stands at %s, not at midnight of %s", s.now, until)
			}
			s.accounting(o)
			if n := s.figures(o); n < 1000 {
				t.Errorf("only %d lines were compared", n)
			}
			for _, reason := range []string{"unknown_event", "over_limit_value", "duplicate", "late", "measured"} {
				if o.Reasons[reason] == 0 {
					t.Errorf("no event is %s", reason)
				}
			}
		})
	}
}

// A replay in several commands is the same as one: each goes on where the last stopped.
func TestAReplayGoesOnWhereItStopped(t *testing.T) {
	file := filepath.Join(forge, "installations", "oklog--oklog.jsonl.gz")
	s := replayed(t, "UTC", "2017-03-01", file)
	for _, until := range []string{"2017-03-01", "2017-08-15", "2026-11-01"} {
		out := s.Must("replay", "--state", s.State, "--catalog", filepath.Join(forge, "catalog.yaml"), "--until", until, "--remember", "forever", "-o", "json", file)
		var res struct{ Events control.Counts }
		if err := json.Unmarshal([]byte(out), &res); err != nil {
			t.Fatal(err)
		}
		s.accounts = res.Events
	}
	rc, err := examples.Open("oklog", "oklog")
	if err != nil {
		t.Fatal(err)
	}
	o, err := oracle.Read(rc, oracle.Forge(), time.UTC, date(t, "2026-11-01", time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	s.accounting(o)
	s.figures(o)
}

// --from and --to are inclusive on start.
func TestFromAndToAreInclusive(t *testing.T) {
	s := replayed(t, "UTC", "2026-11-01", filepath.Join(forge, "installations", "oklog--oklog.jsonl.gz"))
	rc, err := examples.Open("oklog", "oklog")
	if err != nil {
		t.Fatal(err)
	}
	o, err := oracle.Read(rc, oracle.Forge(), time.UTC, date(t, "2026-11-01", time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	m := oracle.ForgeMeasures()[0]
	all := o.Lines(m, "week", true)
	start := func(line string) (s string) {
		var l harness.Line
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		return l.Start
	}
	from, to := start(all[len(all)/3]), start(all[len(all)/2])
	var want []string
	for _, l := range all {
		if at := start(l); at >= from && at <= to {
			want = append(want, l)
		}
	}
	if s.same(want, "--measure", m.ID, "--grain", "week", "--by", m.By, "--from", from, "--to", to) < 3 {
		t.Error("hardly anything was compared")
	}
	s.same(nil, "--measure", m.ID, "--grain", "week", "--from", "2031-01-01")
	if r := s.Do("query", "--state", s.State, "--measure", m.ID, "--grain", "week", "--from", fmt.Sprint("not ", from)); r.Code != 2 {
		t.Errorf("a date that is none: exit %d\n%s", r.Code, r.Stderr)
	}
}
