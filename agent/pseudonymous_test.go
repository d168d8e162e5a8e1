//go:build pseudonymous

package agent

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// fixture is what happened at a site, written down beside it: for each person's first name events of count `changes` and
// the days of active_users `people`, by block.
type fixture struct {
	first  int64 // the first block that begins after now
	events map[string]map[int64]int
	days   map[string]map[int64]map[int64]bool
}

// busy feeds a site two whole blocks and what closes them. Of 40 people 13 are maintainers, 3 automation and the last has no role;
// p0 is also p0-alias; after the first block has closed it turns out that p1 is p2.
func busy(t testing.TB, a *Agent, seed uint64) fixture {
	t.Helper()
	f := fixture{events: map[string]map[int64]int{}, days: map[string]map[int64]map[int64]bool{}}
	f.first = report.CivilStart(report.Block4w, report.CivilDay(time.Now(), a.zone)) + 28
	c := a.current
	def := func(id string) uint16 { _, n := c.Event(id); return uint16(n) }
	rng := rand.New(rand.NewPCG(seed, 1))
	add := func(at time.Time, ev ...record.Event) {
		t.Helper()
		if _, err := a.journal.Append(t.Context(), &record.Record{Kind: record.Request, Received: at.UnixNano(), Catalog: [8]byte(c.Hash[:8]), Events: ev}); err != nil {
			t.Fatal(err)
		}
	}
	begin := report.Midnight(f.first, a.zone)
	for p := range 40 {
		if role := slices.Index([]bool{p < 24, p < 36, p < 39}, true); role >= 0 {
			add(begin.Add(-time.Hour), record.Event{Type: record.Identify, Time: begin.UnixNano(), User: fmt.Sprint("p", p), Properties: []record.Value{{Index: uint16(role)}}})
		}
	}
	note := func(user string, start, day int64, change bool) {
		if user == "p1" && start > f.first {
			user = "p2"
		}
		if f.days[user] == nil {
			f.days[user], f.events[user] = map[int64]map[int64]bool{}, map[int64]int{}
		}
		if f.days[user][start] == nil {
			f.days[user][start] = map[int64]bool{}
		}
		f.days[user][start][day] = true
		if change {
			f.events[user][start]++
		}
	}
	for day := f.first; day < f.first+56; day++ {
		start := report.CivilStart(report.Block4w, day)
		at := report.Midnight(day, a.zone).Add(9 * time.Hour)
		var all []record.Event
		for p := range 40 {
			if rng.Float64() > 0.4 {
				continue
			}
			user := fmt.Sprint("p", p)
			called := user
			if p == 0 && day > f.first+3 {
				called = "p0-alias"
			}
			for range 1 + rng.IntN(3) {
				ev := record.Event{Type: record.Track, Def: def("change_authored"), Time: at.UnixNano(), User: called, HasID: true, MessageID: [16]byte{byte(rng.Uint32()), byte(rng.Uint32()), byte(rng.Uint32()), byte(day), byte(p)}}
				if rng.IntN(4) == 0 {
					ev.Def = def("change_merged")
				}
				all = append(all, ev)
				if rng.IntN(5) == 0 { // the same again
					all = append(all, ev)
				}
				if p < 36 || p == 39 { // not automation
					note(user, start, day, ev.Def == def("change_authored"))
				}
			}
		}
		if day == f.first+31 {
			all = append(all, record.Event{Type: record.Alias, Time: at.UnixNano(), Previous: "p2", User: "p1"})
		}
		if day == f.first+3 {
			all = append(all, record.Event{Type: record.Alias, Time: at.UnixNano(), Previous: "p0", User: "p0-alias"})
		}
		add(at, all...)
	}
	for d := range int64(12) { // grace
		ns := report.Midnight(f.first+56+d, a.zone).UnixNano()
		if _, err := a.journal.Append(t.Context(), &record.Record{Kind: record.Tick, Received: ns, Catalog: [8]byte(c.Hash[:8])}); err != nil {
			t.Fatal(err)
		}
	}
	caughtUp(t, a)
	return f
}

func allow(t testing.TB, a *Agent, o control.PersonsOrder) {
	t.Helper()
	o.Do, o.By = control.AllowRows, "j.d."
	if o.Measures == nil {
		o.Measures = []string{"people", "changes"}
	}
	if _, err := a.Persons(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

type exportedRow struct {
	Person string         `json:"person"`
	First  string         `json:"first_block"`
	Trait  string         `json:"trait"`
	Days   map[string]int `json:"days"`
	Events map[string]int `json:"events"`
}

func export(t testing.TB, a *Agent, start int64) (head map[string]any, rows map[string]exportedRow, file []byte) {
	t.Helper()
	out, err := a.Persons(t.Context(), control.PersonsOrder{Do: control.ExportRows, Block: report.StartString(report.Block4w, start)})
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSuffix(out.File, []byte("\n")), []byte("\n"))
	if err := json.Unmarshal(lines[0], &head); err != nil {
		t.Fatal(err)
	}
	rows = map[string]exportedRow{}
	for _, l := range lines[1:] {
		var r exportedRow
		if err := json.Unmarshal(l, &r); err != nil || rows[r.Person].Person != "" {
			t.Fatal(err, r)
		}
		rows[r.Person] = r
	}
	return head, rows, out.File
}

// pseudonymOf makes a name's pseudonym from the words of the decision, beside the room.
func pseudonymOf(t testing.TB, a *Agent, name string) string {
	t.Helper()
	raw, err := a.extra.room.Save(a.around(time.Now().UnixNano()))
	if err != nil {
		t.Fatal(err)
	}
	var kept struct {
		Rows struct {
			Decision struct {
				Salt []byte `json:"salt"`
			} `json:"decision"`
		} `json:"rows"`
	}
	if err := json.Unmarshal(raw, &kept); err != nil || len(kept.Rows.Decision.Salt) != 16 {
		t.Fatal(err, string(raw))
	}
	message := append(append([]byte{1}, kept.Rows.Decision.Salt...), 0)
	return hex.EncodeToString(a.vault.MAC("pseudonymous-rows")(append(message, name...))[:16])
}

func TestExactRowsAreAnIndependentCount(t *testing.T) {
	cfg := real(t, nil)
	a := opened(t, cfg)
	allow(t, a, control.PersonsOrder{Trait: "role"})
	f := busy(t, a, 7)
	closed(t, a) // what is kept comes back from disk
	a = opened(t, cfg)
	defer a.Close()
	for _, start := range []int64{f.first, f.first + 28} {
		head, rows, file := export(t, a, start)
		want := 0
		for user, days := range f.days {
			if len(days[start]) == 0 {
				continue
			}
			want++
			r := rows[pseudonymOf(t, a, user)]
			if r.Days["people"] != len(days[start]) || r.Events["changes"] != f.events[user][start] {
				t.Errorf("%s: %+v, want %d days and %d changes", user, r, len(days[start]), f.events[user][start])
			}
			var n int
			_, _ = fmt.Sscanf(user, "p%d", &n)
			if role := map[bool]string{true: "contributor", false: "(other)"}[n < 24]; r.Trait != role { // 12 maintainers and somebody without
				t.Errorf("%s is %q, want %q", user, r.Trait, role)
			}
			if r.First != report.StartString(report.Block4w, f.first) {
				t.Errorf("%s was first seen in %s", user, r.First)
			}
		}
		if len(rows) != want || want < 35 || int(head["rows"].(float64)) != want || head["site"] != "acme/forge" {
			t.Errorf("%d rows, want %d: %v", len(rows), want, head)
		}
		if bytes.Contains(file, []byte(`"p`+"1\"")) || bytes.Contains(file, []byte("alias")) || bytes.Contains(file, []byte("T0")) {
			t.Errorf("a name or a time is in the file:\n%.500s", file)
		}
	}
	l, err := a.Ledger(t.Context(), control.LedgerQuery{Kind: "rows", Verify: true})
	if err != nil || len(l.Entries) != 3 || !*l.Verified || !strings.Contains(l.Entries[0].Text, `"sha256"`) || strings.Contains(fmt.Sprint(l), pseudonymOf(t, a, "p1")) {
		t.Errorf("%+v %v", l, err)
	}
}

func TestS80PseudonymsDifferBetweenSitesAndLastWithinOne(t *testing.T) {
	seen := map[string]string{}
	both := func(name string, a *Agent, f fixture) (first, second map[string]exportedRow) {
		_, first, _ = export(t, a, f.first)
		_, second, _ = export(t, a, f.first+28)
		for _, rows := range []map[string]exportedRow{first, second} {
			for p := range rows {
				if seen[p] != "" && seen[p] != name {
					t.Errorf("%s stands in %s and in %s", p, seen[p], name)
				}
				seen[p] = name
			}
		}
		return first, second
	}
	common := func(x, y map[string]exportedRow) (n int) {
		for p := range x {
			if y[p].Person != "" {
				n++
			}
		}
		return n
	}
	for _, site := range []string{"one", "two"} {
		a := opened(t, real(t, nil))
		allow(t, a, control.PersonsOrder{})
		first, second := both(site, a, busy(t, a, 7))
		if n := common(first, second); n < 30 {
			t.Errorf("%d of %d people have one pseudonym in both blocks", n, len(first))
		}
		closed(t, a)
	}
	a := opened(t, real(t, nil))
	defer a.Close()
	allow(t, a, control.PersonsOrder{Rotate: "4w"})
	first, second := both("rotated", a, busy(t, a, 7))
	if n := common(first, second); n != 0 {
		t.Errorf("%d pseudonyms last longer than a block", n)
	}
	before := pseudonymOf(t, a, "p1")
	if _, err := a.Persons(t.Context(), control.PersonsOrder{Do: control.DenyRows}); err != nil {
		t.Fatal(err)
	}
	allow(t, a, control.PersonsOrder{Rotate: "4w"})
	if pseudonymOf(t, a, "p1") == before {
		t.Error("a decision after none makes the old pseudonyms again")
	}
}

// Without both decisions nothing is kept, and when one goes, what is kept goes.
func TestRowsNeedTheirDecisionAndConsent(t *testing.T) {
	coded := func(a *Agent, o control.PersonsOrder, code string) {
		t.Helper()
		var e *control.Error
		if _, err := a.Persons(t.Context(), o); !errors.As(err, &e) || e.Code != code {
			t.Errorf("%+v: %v, want %s", o, err, code)
		}
	}
	kept := func(a *Agent) int {
		t.Helper()
		out, err := a.Persons(t.Context(), control.PersonsOrder{Do: control.ShowPersons})
		if err != nil {
			t.Fatal(err)
		}
		return len(out.Rows.Blocks)
	}
	level := func(a *Agent, l exchange.Level) {
		t.Helper()
		if _, err := a.Decide(t.Context(), *decide(l, 100)); err != nil {
			t.Fatal(err)
		}
	}
	rows := control.PersonsOrder{Do: control.AllowRows, By: "j.d.", Measures: []string{"people"}}

	never := opened(t, real(t, nil))
	busy(t, never, 1)
	coded(never, control.PersonsOrder{Do: control.ExportRows}, "rows_not_allowed")
	if n := kept(never); n != 0 {
		t.Errorf("%d blocks without a decision", n)
	}
	allow(t, never, control.PersonsOrder{}) // the past stays as it was
	if n := kept(never); n != 0 {
		t.Errorf("%d blocks of before the decision", n)
	}
	closed(t, never)

	for _, l := range []exchange.Level{exchange.Off, exchange.Local, exchange.Strict} {
		low := opened(t, real(t, nil))
		level(low, l)
		coded(low, rows, "rows_consent")
		closed(t, low)

		was := opened(t, real(t, nil))
		allow(t, was, control.PersonsOrder{})
		busy(t, was, 1)
		if n := kept(was); n != 2 {
			t.Fatalf("%d blocks are kept", n)
		}
		level(was, l)
		if n := kept(was); n != 0 {
			t.Errorf("%d blocks are kept at %s", n, l)
		}
		coded(was, control.PersonsOrder{Do: control.ExportRows}, "rows_consent")
		closed(t, was)
	}

	a := opened(t, real(t, nil))
	defer a.Close()
	coded(a, control.PersonsOrder{Do: control.AllowRows, Measures: []string{"people"}}, "by_missing")
	coded(a, control.PersonsOrder{Do: control.AllowRows, By: "x"}, "rows_measures")
	coded(a, control.PersonsOrder{Do: control.AllowRows, By: "x", Measures: []string{"flow"}}, "rows_measures")
	coded(a, control.PersonsOrder{Do: control.AllowRows, By: "x", Measures: []string{"people"}, Trait: "name"}, "rows_trait")
	coded(a, control.PersonsOrder{Do: control.AllowRows, By: "x", Measures: []string{"people"}, Rotate: "1d"}, "rows_rotate")
	allow(t, a, control.PersonsOrder{})
	coded(a, control.PersonsOrder{Do: control.ExportRows}, "rows_none")
	busy(t, a, 1)
	on := true
	if _, err := a.Decide(t.Context(), control.Decision{Pause: &on}); err != nil {
		t.Fatal(err)
	}
	coded(a, control.PersonsOrder{Do: control.ExportRows}, "consent_paused")
	a.cfg.Settings.ConsentLock = true
	coded(a, rows, "consent_locked")
	if _, err := a.Persons(t.Context(), control.PersonsOrder{Do: control.DenyRows}); err != nil {
		t.Error("narrowing is always possible:", err)
	}
	if n := kept(a); n != 0 {
		t.Errorf("%d blocks are kept after rows deny", n)
	}
}

func TestForgetAndWipeReachRows(t *testing.T) {
	cfg := real(t, nil)
	a := opened(t, cfg)
	allow(t, a, control.PersonsOrder{})
	f := busy(t, a, 3)
	_, before, _ := export(t, a, f.first)
	gone := []string{pseudonymOf(t, a, "p0"), pseudonymOf(t, a, "p5")}
	if _, err := a.Forget(t.Context(), control.ForgetOrder{Users: []string{"p0-alias", "p5"}}); err != nil {
		t.Fatal(err)
	}
	die(a)
	a = opened(t, cfg)
	for _, start := range []int64{f.first, f.first + 28} {
		_, rows, _ := export(t, a, start)
		for _, p := range gone {
			if rows[p].Person != "" {
				t.Errorf("block %d still has somebody who was forgotten", start)
			}
		}
		if start == f.first && len(rows) != len(before)-2 {
			t.Errorf("%d rows of %d are left", len(rows), len(before))
		}
	}
	if _, err := a.Wipe(t.Context(), control.WipeOrder{KeepEnrolment: true}); err != nil {
		t.Fatal(err)
	}
	closed(t, a)
	if got := named(files(t, cfg), "pseudonym", gone[0]); len(got) > 0 {
		t.Errorf("still there: %v", got)
	}
	a = opened(t, cfg)
	defer a.Close()
	out, err := a.Persons(t.Context(), control.PersonsOrder{Do: control.ShowPersons})
	if err != nil || out.Rows.Allowed || len(out.Rows.Blocks) > 0 {
		t.Errorf("%+v %v", out.Rows, err)
	}
}

// What is allowed here changes nothing of what leaves: the same journal gives the same batches, byte for byte, with nothing
// allowed, with rows and triggers, and in the program without the tag.
func TestNonInterferenceTheSameBatchesLeave(t *testing.T) {
	s := enrolled(t)
	path := events(t, 40, 30)
	begin := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	s.replay(t, ReplayOptions{Files: []string{path}, Until: begin.AddDate(0, 0, 20), Consent: decide(exchange.Aggregate, 40)})
	wires := func(cfg Config) [][]byte {
		a := opened(t, cfg)
		defer a.Close()
		return wiresOf(t, a)
	}
	copied := func() Config {
		cfg := s.cfg
		cfg.Settings.State = filepath.Join(t.TempDir(), "state")
		copyState(t, s.cfg.Settings.State, cfg.Settings.State)
		return cfg
	}
	bin := filepath.Join(t.TempDir(), "fieldpost-agent")
	if out, err := exec.Command("go", "build", "-tags", "", "-o", bin, "../installer/cmd/fieldpost-agent").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	without := copied()
	before := len(wires(without))
	again := func() { // the collector must not know a copy by what another sent
		a := opened(t, without)
		defer a.Close()
		s.fake.Forget(a.id.Enrolment.Agent, len(wiresOf(t, a))-before)
	}
	if out, err := exec.Command(bin, "replay", "--state", without.Settings.State, path).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	again()
	nothing := copied()
	fakeSite{s.fake, nothing}.replay(t, ReplayOptions{Files: []string{path}})
	again()
	allowed := copied()
	a := opened(t, allowed)
	allow(t, a, control.PersonsOrder{})
	closed(t, a)
	fakeSite{s.fake, allowed}.replay(t, ReplayOptions{Files: []string{path}})
	want := wires(without)
	if len(want) < before+5 {
		t.Fatalf("%d batches, %d of them before", len(want), before)
	}
	for name, cfg := range map[string]Config{"nothing allowed": nothing, "rows allowed": allowed} {
		got := wires(cfg)
		if !slices.EqualFunc(got, want, bytes.Equal) {
			t.Errorf("%s: %d batches differ from the %d of the program without the tag", name, len(got), len(want))
		}
	}
	a = opened(t, allowed)
	out, err := a.Persons(t.Context(), control.PersonsOrder{Do: control.ExportRows})
	if err != nil || bytes.Count(out.File, []byte("\n")) < 30 {
		t.Errorf("nothing was kept beside: %v", err)
	}
	closed(t, a)
	// The program without the tag drops it all.
	if out, err := exec.Command(bin, "preview", "--state", allowed.Settings.State).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	a = opened(t, allowed)
	defer a.Close()
	if out, err = a.Persons(t.Context(), control.PersonsOrder{Do: control.ShowPersons}); err != nil || out.Rows.Allowed || len(out.Rows.Blocks) > 0 {
		t.Errorf("the program without the tag kept %+v %v", out.Rows, err)
	}
}

// wiresOf is every batch on the ledger, byte for byte.
func wiresOf(t testing.TB, a *Agent) (out [][]byte) {
	t.Helper()
	l, err := a.Ledger(t.Context(), control.LedgerQuery{Kind: "batch", Figures: true, Limit: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range l.Entries {
		out = append(out, e.Wire)
	}
	return out
}
