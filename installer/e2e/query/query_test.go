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
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/installer/e2e/harness"
	"github.com/fieldpost/fieldpost/installer/e2e/oracle"
	"github.com/fieldpost/fieldpost/installer/examples"
)

func TestMain(m *testing.M) { os.Exit(harness.MainPlain(m, "fieldpost-agent")) }

const (
	forge    = "../../examples/forge"
	catalogs = "../oracle/testdata"
)

// site is a state that was made by a replay.
type site struct {
	*harness.Agent
	t        *testing.T
	accounts control.Counts
	now      time.Time
}

// recording is what is replayed.
type recording struct {
	catalog, file, until string
	zone                 string // default UTC
	remember             string // default: as the program does
	settings             string // further lines of the configuration
}

func (r recording) args(t *testing.T, state string) []string {
	args := []string{"replay", "--state", state, "--catalog", absolute(t, r.catalog), "--until", r.until, "-o", "json"}
	if r.remember != "" {
		args = append(args, "--remember", r.remember)
	}
	return append(args, absolute(t, r.file))
}

// absolute: the agent's commands run in a folder of their own.
func absolute(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

// replayed replays a file up to a date, as in the quick start.
func replayed(t *testing.T, r recording) *site {
	t.Helper()
	if r.zone == "" {
		r.zone = "UTC"
	}
	s := &site{Agent: harness.NewAgent(t, harness.Options{Config: "zone: " + r.zone + "\n" + r.settings}), t: t}
	s.replay(r)
	return s
}

func (s *site) replay(r recording) {
	s.t.Helper()
	out := s.Must(r.args(s.t, s.State)...)
	var res struct {
		Now    time.Time
		Events control.Counts
	}
	if err := json.Unmarshal([]byte(out), &res); err != nil {
		s.t.Fatalf("%v\n%s", err, out)
	}
	s.accounts, s.now = res.Events, res.Now
}

// question is one of `query`, and the lines that answer it.
type question struct {
	control.Query
	kind string
	want []string
}

func (q question) name() string {
	return strings.TrimSpace(q.Measure + " " + q.Grain + " " + strings.Join(q.By, ","))
}

// figures holds every line of every query against the oracle's. Of measures with six grains each site is
// asked for one, turn by turn: every kind at every site, every grain and breakdown at several.
// FIELDPOST_ALL=1 asks every site for everything; the fold itself answers for all grains in the oracle's own tests.
func (s *site) figures(o *oracle.Site, measures []oracle.Measure, turn int, y *tally) {
	s.t.Helper()
	var all []question
	for _, m := range measures {
		for g, grain := range m.Grains() {
			if len(m.Grains()) == 6 && g != turn%6 && os.Getenv("FIELDPOST_ALL") == "" {
				continue
			}
			for _, by := range append([][]string{nil}, m.Breakdowns()...) {
				all = append(all, question{control.Query{Measure: m.ID, Grain: grain, By: by}, m.Kind, o.Lines(m, grain, by...)})
			}
		}
	}
	answers := s.ask(all...)
	for i, q := range all {
		y.add(q.kind, len(q.want), s.same(q, answers[i]))
	}
}

// ask is one query with all questions; the lines of each answer, told apart by what stands in them.
func (s *site) ask(all ...question) [][]string {
	s.t.Helper()
	var in bytes.Buffer
	number := map[string]int{}
	for i, q := range all {
		dims := slices.Sorted(slices.Values(q.By))
		key := fmt.Sprint(q.Measure, q.Grain, dims)
		if _, twice := number[key]; twice {
			s.t.Fatalf("%s is asked twice", q.name())
		}
		number[key] = i
		if err := json.NewEncoder(&in).Encode(q.Query); err != nil {
			s.t.Fatal(err)
		}
	}
	r := s.DoWith(in.String(), "query", "--state", s.State, "--exact", "-o", "json", "--file", "-")
	if r.Code != 0 {
		s.t.Fatalf("query: exit %d\n%s", r.Code, r.Stderr)
	}
	out, last := make([][]string, len(all)), 0
	for line := range strings.Lines(r.Stdout) {
		var l struct {
			Measure, Grain string
			Dims           map[string]string
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			s.t.Fatalf("%v\n%s", err, line)
		}
		i, asked := number[fmt.Sprint(l.Measure, l.Grain, slices.Sorted(maps.Keys(l.Dims)))]
		if !asked || i < last {
			s.t.Fatalf("the line answers nothing that was asked here:\n%s", line)
		}
		out[i], last = append(out[i], strings.TrimSuffix(line, "\n")), i
	}
	return out
}

// same compares an answer with the lines it should have, and counts those that differ.
func (s *site) same(q question, lines []string) (wrong int) {
	s.t.Helper()
	for i := range max(len(q.want), len(lines)) {
		w, g := "nothing", "nothing"
		if i < len(q.want) {
			w = q.want[i]
		}
		if i < len(lines) {
			g = lines[i]
		}
		if oracle.Same(w, g) {
			continue
		}
		if wrong++; wrong == 1 {
			s.t.Errorf("query %s, line %d of %d:\nagent  %s\noracle %s", q.name(), i+1, len(lines), g, w)
		}
	}
	return wrong
}

// tally counts what was compared, by kind.
type tally struct {
	mu    sync.Mutex // guards lines and wrong
	lines map[string]int
	wrong map[string]int
}

func (y *tally) add(kind string, lines, wrong int) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.lines == nil {
		y.lines, y.wrong = map[string]int{}, map[string]int{}
	}
	y.lines[kind] += lines
	y.wrong[kind] += wrong
}

// print says how much of each kind was compared; each has to be there.
func (y *tally) print(t *testing.T) {
	kinds := []string{"active_users", "adoption", "count", "distribution", "first_time", "funnel", "lifecycle", "retention", "seats", "stickiness", "sufficient", "transitions"}
	for _, kind := range kinds {
		t.Logf("%-13s %8d lines, %d differ", kind, y.lines[kind], y.wrong[kind])
		if y.lines[kind] == 0 {
			t.Errorf("nothing was compared of the kind %s", kind)
		}
	}
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

// read is the oracle's reading of the same.
func read(t *testing.T, raw []byte, voc oracle.Vocabulary, zone *time.Location, until string, remember time.Duration) *oracle.Site {
	t.Helper()
	o, err := oracle.Read(bytes.NewReader(raw), voc, oracle.Settings{Zone: zone, Until: date(t, until, zone), Remember: remember})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func recorded(t *testing.T, account, installation string) []byte {
	t.Helper()
	rc, err := examples.Open(account, installation)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(rc)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

const (
	until = "2026-11-01"
	half  = 190 * 24 * time.Hour // how long people are remembered by default
)

func TestExactFiguresOfEveryInstallation(t *testing.T) {
	list := examples.Installations()
	if len(list) != 35 {
		t.Fatalf("%d installations, there should be 35", len(list))
	}
	var y tally
	t.Run("installations", func(t *testing.T) {
		for i, in := range list {
			t.Run(in.Account+"/"+in.Installation, func(t *testing.T) {
				t.Parallel()
				raw := recorded(t, in.Account, in.Installation)
				r := recording{catalog: catalogs + "/kinds.yaml", until: until, file: filepath.Join(forge, "installations", in.Account+"--"+in.Installation+".jsonl.gz")}
				remember := half
				if i%2 == 0 {
					r.remember, remember = "forever", 0
				}
				o := read(t, raw, oracle.Forge(), time.UTC, until, remember)
				s := replayed(t, r)
				s.accounting(o)
				if s.accounts.Received != uint64(in.Events) {
					t.Errorf("%d received, the index says %d", s.accounts.Received, in.Events)
				}
				s.figures(o, oracle.ForgeMeasures(), i, &y)
			})
		}
	})
	y.print(t)
}

// invented are histories with orders, visits, seats, duplicates, changes of role, aliases, late and skewed
// events and clocks that step back. They go on for ten days after the date the clock stops at.
func TestExactFiguresOfInventedInstallations(t *testing.T) {
	var y tally
	t.Run("zones", func(t *testing.T) {
		for i, x := range []struct{ zone, begin string }{
			{"UTC", "2017-08-20"},
			{"Europe/Berlin", "2017-08-20"},     // days of 23 and 25 hours
			{"America/Sao_Paulo", "2017-08-20"}, // a day that begins at one o'clock
			{"Pacific/Apia", "2011-09-20"},      // a day that never was
			{"Asia/Kolkata", "2023-12-01"},      // half an hour
		} {
			t.Run(x.zone, func(t *testing.T) {
				t.Parallel()
				zone, err := time.LoadLocation(x.zone)
				if err != nil {
					t.Fatal(err)
				}
				begin := date(t, x.begin, zone).Add(3 * time.Hour)
				days := 150 + i%2*110 // long enough to be forgotten
				until := begin.AddDate(0, 0, days-10).Format(time.DateOnly)
				raw := oracle.Synthetic(uint64(100+i), begin, days, 1500)
				r := recording{catalog: catalogs + "/rich.yaml", zone: x.zone, until: until, file: filepath.Join(t.TempDir(), "invented.jsonl")}
				if err := os.WriteFile(r.file, raw, 0o600); err != nil {
					t.Fatal(err)
				}
				o := read(t, raw, oracle.Rich(), zone, until, half)
				s := replayed(t, r)
				if !s.now.Equal(date(t, until, zone)) {
					t.Errorf("the clock stands at %s, not at midnight of %s", s.now, until)
				}
				s.accounting(o)
				s.figures(o, oracle.RichMeasures(), i, &y)
				for _, reason := range []string{"unknown_event", "over_limit_value", "duplicate", "late", "measured"} {
					if o.Reasons[reason] == 0 {
						t.Errorf("no event is %s", reason)
					}
				}
			})
		}
	})
	y.print(t)
}

// The site's calendar says which days are worked.
func TestExactStickinessByTheSitesWorkingDays(t *testing.T) {
	begin := date(t, "2024-01-10", time.UTC)
	raw := oracle.Synthetic(7, begin, 60, 600)
	r := recording{catalog: catalogs + "/rich.yaml", until: "2024-03-01", file: filepath.Join(t.TempDir(), "invented.jsonl"), settings: "working_days: [sun, mon, tue, wed, thu]"}
	if err := os.WriteFile(r.file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := oracle.Read(bytes.NewReader(raw), oracle.Rich(), oracle.Settings{Zone: time.UTC, Until: date(t, r.until, time.UTC), Remember: half,
		Working: []time.Weekday{time.Sunday, time.Monday, time.Tuesday, time.Wednesday, time.Thursday}})
	if err != nil {
		t.Fatal(err)
	}
	var y tally
	replayed(t, r).figures(o, slices.DeleteFunc(oracle.RichMeasures(), func(m oracle.Measure) bool { return m.Kind != "stickiness" }), 0, &y)
	if y.lines["stickiness"] < 60 {
		t.Errorf("only %d lines were compared", y.lines["stickiness"])
	}
}

// A replay in several commands is the same as one: each goes on where the last stopped.
func TestAReplayGoesOnWhereItStoppedExactly(t *testing.T) {
	r := recording{catalog: catalogs + "/kinds.yaml", until: "2017-03-01", file: filepath.Join(forge, "installations", "oklog--oklog.jsonl.gz")}
	s := replayed(t, r)
	for _, r.until = range []string{"2017-03-01", "2017-08-15", until} {
		s.replay(r)
	}
	o := read(t, recorded(t, "oklog", "oklog"), oracle.Forge(), time.UTC, until, half)
	s.accounting(o)
	var y tally
	s.figures(o, oracle.ForgeMeasures(), 0, &y)
	y.print(t)
}

// --from and --to are inclusive on start.
func TestFromAndToAreInclusive(t *testing.T) {
	s := replayed(t, recording{catalog: catalogs + "/kinds.yaml", until: until, file: filepath.Join(forge, "installations", "oklog--oklog.jsonl.gz")})
	o := read(t, recorded(t, "oklog", "oklog"), oracle.Forge(), time.UTC, until, half)
	m := oracle.ForgeMeasures()[0]
	all := o.Lines(m, "week", "role")
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
	if len(want) < 3 {
		t.Error("hardly anything was compared")
	}
	// Asked by flags, as in the other answers of this test by a file of questions.
	got := s.Must("query", "--state", s.State, "--exact", "-o", "json", "--measure", m.ID, "--grain", "week", "--by", "role", "--from", from, "--to", to)
	s.same(question{Query: control.Query{Measure: m.ID, Grain: "week"}, want: want}, strings.Split(strings.TrimSuffix(got, "\n"), "\n"))
	q := question{Query: control.Query{Measure: m.ID, Grain: "week", By: []string{"role"}, From: from, To: to}, want: want}
	s.same(q, s.ask(q)[0])
	if got := s.Must("query", "--state", s.State, "--exact", "-o", "json", "--measure", m.ID, "--grain", "week", "--from", "2031-01-01"); got != "" {
		t.Errorf("figures of the future:\n%s", got)
	}
	if r := s.Do("query", "--state", s.State, "--measure", m.ID, "--grain", "week", "--from", fmt.Sprint("not ", from)); r.Code != 2 {
		t.Errorf("a date that is none: exit %d\n%s", r.Code, r.Stderr)
	}
}
