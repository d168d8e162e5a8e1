package agent

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/agent/measure/history"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/agent/vault"
	"github.com/fieldpost/fieldpost/protocol/durable"
	"github.com/fieldpost/fieldpost/protocol/durable/durabletest"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/protocoltest"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// real is a real agent's state that was enrolled and decided to measure everything, on fsys.
func real(t testing.TB, fsys durable.FS) Config {
	t.Helper()
	f := protocoltest.NewFakeCollector(t, protocoltest.FakeConfig{Catalog: forgeFile(t)})
	cfg := config(t, filepath.Join(t.TempDir(), "state"))
	if err := os.MkdirAll(cfg.Settings.State, 0o700); err != nil { // for the lock, which is the machine's
		t.Fatal(err)
	}
	cfg.Simulated, cfg.FS = false, fsys
	cfg.Settings.JournalMax, cfg.Settings.LedgerMax = 128<<10, 256<<10 // so that copies of the disk are small
	if _, err := Enroll(t.Context(), cfg, f.Token(t, protocoltest.TokenSpec{Account: "acme", Installation: "forge"})); err != nil {
		t.Fatal(err)
	}
	a := opened(t, cfg)
	d := decide(exchange.Aggregate, 100)
	d.Accept = true
	if _, err := a.Decide(t.Context(), *d); err != nil {
		t.Fatal(err)
	}
	closed(t, a)
	return cfg
}

func opened(t testing.TB, cfg Config) *Agent {
	t.Helper()
	a, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func closed(t testing.TB, a *Agent) {
	t.Helper()
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
}

// die closes an agent as if it had been killed: without a last checkpoint.
func die(a *Agent) {
	a.mu.Lock()
	a.store = nil
	a.mu.Unlock()
	_ = a.Close()
}

// active appends an event of each user to the journal, without measuring it.
func active(t testing.TB, a *Agent, at time.Time, users ...string) {
	t.Helper()
	def := -1
	for i := range a.current.Events {
		if a.current.Events[i].Match == "Change Authored" {
			def = i
		}
	}
	for _, u := range users {
		ev := record.Event{Type: record.Track, Def: uint16(def), Time: at.UnixNano(), User: u}
		if before, name, ok := strings.Cut(u, "="); ok {
			ev = record.Event{Type: record.Alias, Time: at.UnixNano(), Previous: before, User: name}
		}
		if _, err := a.journal.Append(t.Context(), &record.Record{Kind: record.Request, Received: at.UnixNano(), Catalog: [8]byte(a.current.Hash[:8]), Events: []record.Event{ev}}); err != nil {
			t.Fatal(err)
		}
	}
}

func caughtUp(t testing.TB, a *Agent) {
	t.Helper()
	if err := a.catchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// lived is a state in which people were active for weeks: some of it in closed windows, some in the checkpoint and the
// last of it only in the journal. The names are canary-0 … canary-8; canary-0 is also alias-0.
func lived(t testing.TB, fsys durable.FS) Config {
	t.Helper()
	cfg := real(t, fsys)
	a := opened(t, cfg)
	now := time.Now().Truncate(time.Hour)
	for day := range 20 {
		var users []string
		for u := range 9 {
			users = append(users, fmt.Sprint("canary-", u))
		}
		if day == 1 {
			users = append(users, "canary-0=alias-0")
		}
		active(t, a, now.AddDate(0, 0, day), users...)
		caughtUp(t, a)
		if day%4 == 3 {
			if err := a.checkpoint(); err != nil {
				t.Fatal(err)
			}
		}
	}
	active(t, a, now.AddDate(0, 0, 20), "canary-1", "alias-0", "canary-8")
	die(a)
	return cfg
}

// files is the content of every file of the state.
func files(t testing.TB, cfg Config) map[string][]byte {
	t.Helper()
	fsys := cfg.FS
	if fsys == nil {
		fsys = durable.OS()
	}
	out := map[string][]byte{}
	var walk func(dir string)
	walk = func(dir string) {
		entries, err := fsys.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			path := filepath.Join(dir, e.Name())
			if e.IsDir() {
				walk(path)
				continue
			}
			b, err := durable.ReadFile(fsys, path, 1<<30)
			if err != nil {
				t.Fatal(err)
			}
			name, _ := filepath.Rel(cfg.Settings.State, path)
			out[filepath.ToSlash(name)] = b
		}
	}
	walk(cfg.Settings.State)
	return out
}

// inside is what the key's holder finds in a state: every file, those that are sealed opened, and the journal's records
// one after the other.
func inside(t testing.TB, cfg Config) map[string][]byte {
	t.Helper()
	v, err := vault.Open(vault.Config{Dir: cfg.Settings.State, FS: cfg.FS})
	if err != nil {
		t.Fatal(err)
	}
	out := files(t, cfg)
	for name, b := range out {
		if f := v.Files(useMeasure); f.Sealed(b) {
			plain, err := f.Open(strings.TrimSuffix(strings.TrimPrefix(name, "measure/"), ".damaged"), bytes.Clone(b))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			out["opened "+name] = history.Spread(plain)
		}
	}
	for no, b := range journalOf(t, cfg, v) {
		out[fmt.Sprint("opened record ", no)] = b
	}
	return out
}

func journalOf(t testing.TB, cfg Config, v *vault.Vault) map[uint64][]byte {
	t.Helper()
	out := map[uint64][]byte{}
	log, err := durable.Open(filepath.Join(cfg.Settings.State, "journal"), durable.Options{FS: cfg.FS, SegmentBytes: 32 << 10, MaxBytes: cfg.Settings.JournalMax})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	r := v.Records(useJournal)
	if err := log.Read(0, func(no uint64, p []byte) error {
		plain, err := r.Open(no, nil, p)
		if err != nil {
			return fmt.Errorf("record %d: %w", no, err)
		}
		out[no] = plain
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

// named is the files in which one of the words stands.
func named(in map[string][]byte, words ...string) (names []string) {
	for name, b := range in {
		for _, w := range words {
			if bytes.Contains(b, []byte(w)) {
				names = append(names, name+": "+w)
			}
		}
	}
	return names
}

func TestCanaryNoNameAndNoKeyLiesOpenAnywhere(t *testing.T) {
	var logged bytes.Buffer
	cfg := lived(t, nil)
	cfg.Logger = slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	// What a torn write leaves is kept aside.
	segments, err := filepath.Glob(filepath.Join(cfg.Settings.State, "journal", "*.seg"))
	if err != nil || len(segments) == 0 {
		t.Fatal(segments, err)
	}
	if got := named(inside(t, cfg), "canary-"); len(got) < 3 {
		t.Fatalf("the names stand only in %v: the test proves nothing", got)
	}
	last := segments[len(segments)-1]
	b, err := os.ReadFile(last)
	if err != nil {
		t.Fatal(err)
	}
	end := len(bytes.TrimRight(b, "\x00"))
	b[end-40] ^= 1
	if err := os.WriteFile(last, b, 0o600); err != nil {
		t.Fatal(err)
	}
	a := opened(t, cfg)
	if err := a.checkpoint(); err != nil {
		t.Fatal(err)
	}
	answers := saidBy(t, a)
	die(a)
	all := files(t, cfg)
	if kept := named(map[string][]byte{"": []byte(strings.Join(keys(all), " "))}, ".bad"); len(kept) == 0 {
		t.Error("the damage was not kept: the test does not look at such a file")
	}
	if got := named(all, "canary", "alias-0"); len(got) > 0 {
		t.Errorf("names lie open in %v", got)
	}

	text := bytes.TrimSpace(all["site.key"])
	key, err := base64.StdEncoding.DecodeString(string(text))
	if err != nil || len(key) != 32 {
		t.Fatal(err)
	}
	delete(all, "site.key")
	all["answers"], all["log"] = answers, logged.Bytes()
	forms := []string{string(text), string(key), hex.EncodeToString(key), base64.RawURLEncoding.EncodeToString(key), strings.ToUpper(hex.EncodeToString(key)), fmt.Sprint(key)}
	if got := named(all, forms...); len(got) > 0 {
		t.Errorf("the site key stands in %d places", len(got))
	}
	if len(answers) < 1000 {
		t.Errorf("only %d bytes were answered", len(answers))
	}
}

func keys(m map[string][]byte) (out []string) {
	for k := range m {
		out = append(out, k)
	}
	return out
}

// saidBy is everything the console and the command line can ask for.
func saidBy(t testing.TB, s control.Site) (all []byte) {
	t.Helper()
	add := func(v any, err error) {
		b, _ := json.Marshal(v)
		all = append(append(all, b...), fmt.Sprint(err)...)
	}
	ctx := t.Context()
	x, err := s.Status(ctx)
	add(x, err)
	p, err := s.Preview(ctx)
	add(p, err)
	l, err := s.Ledger(ctx, control.LedgerQuery{Figures: true, Limit: 1000})
	add(l, err)
	c, err := s.Catalog(ctx)
	add(c, err)
	d, err := s.Consent(ctx)
	add(d, err)
	q, err := s.Query(ctx, control.Query{Measure: "people", Grain: "day", Exact: true})
	add(q, err)
	return all
}

// The console runs in the agent's process and must have no way to the key: neither it nor the interface it is given
// reaches the room that holds it.
func TestTheConsoleHasNoWayToTheKey(t *testing.T) {
	const key = "github.com/fieldpost/fieldpost/agent/vault"
	deps := func(pkg string) string {
		out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", pkg).Output()
		if err != nil {
			t.Fatal(err)
		}
		return "\n" + string(out)
	}
	for _, pkg := range []string{"./console", "./control", "./journal", "./measure/history", "./ledger", "./outbox", "./uplink", "./egress"} {
		if strings.Contains(deps(pkg), "\n"+key+"\n") {
			t.Errorf("%s reaches the site key", pkg)
		}
	}
	if !strings.Contains(deps("."), "\n"+key+"\n") {
		t.Error("the agent itself does not: the test looks for the wrong name")
	}
}

// unsealed turns a state into one of before there was a site key.
func unsealed(t testing.TB, cfg Config) {
	t.Helper()
	fsys, dir := cfg.FS, cfg.Settings.State
	v, err := vault.Open(vault.Config{Dir: dir, FS: fsys})
	if err != nil {
		t.Fatal(err)
	}
	records := journalOf(t, cfg, v)
	first := ^uint64(0)
	for no := range records {
		first = min(first, no)
	}
	for name, b := range files(t, cfg) {
		switch f := v.Files(useMeasure); {
		case f.Sealed(b):
			plain, err := f.Open(strings.TrimPrefix(name, "measure/"), b)
			if err == nil {
				err = durable.WriteFile(fsys, filepath.Join(dir, name), plain, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		case name == "site.key", name == "vault.json", strings.HasPrefix(name, "journal/"):
			if err := durable.Remove(fsys, filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		case name == "state.json":
			b = bytes.Replace(b, []byte(`"layout": 2`), []byte(`"layout": 1`), 1)
			if err := durable.WriteFile(fsys, filepath.Join(dir, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	log, err := durable.Open(filepath.Join(dir, "journal"), durable.Options{FS: fsys, SegmentBytes: 32 << 10, MaxBytes: cfg.Settings.JournalMax, MinNext: first})
	if err != nil {
		t.Fatal(err)
	}
	for no := first; records[no] != nil; no++ {
		if got, err := log.Append(t.Context(), records[no]); err != nil || got != no {
			t.Fatal(got, no, err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
}

// figures are the exact ones of people by day, and how many are known.
func figures(t testing.TB, a *Agent) string {
	t.Helper()
	lines, err := a.Query(t.Context(), control.Query{Measure: "people", Grain: report.Day.String(), Exact: true})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s %+v", lines, a.accounting().events)
}

// A state of before is sealed at its first start. It may be killed at every single step of that: the next start has the
// same figures, and then nothing lies open and nothing unsealed is believed any more.
func TestAStateOfBeforeIsSealedAtItsFirstStart(t *testing.T) {
	fsys := durabletest.New()
	cfg := lived(t, fsys)
	a := opened(t, cfg)
	want := figures(t, a)
	die(a)
	unsealed(t, cfg)
	if got := named(files(t, cfg), "canary-"); len(got) < 1 { // the journal; what is measured is compressed
		t.Fatalf("the names lie open only in %v", got)
	}
	fsys = fsys.Clone()
	cfg.FS = fsys
	closed(t, opened(t, cfg))
	step := max(1, fsys.Ops()/60)
	for n := 0; n <= fsys.Ops(); n += step {
		cfg.FS = fsys.Killed(n)
		a, err := Open(cfg)
		if err != nil {
			t.Fatalf("killed after %d operations: %v", n, err)
		}
		if got := figures(t, a); got != want {
			t.Fatalf("killed after %d operations:\n%s\nwant\n%s", n, got, want)
		}
		if w := a.store.Damaged(); len(w) > 0 || a.journal.Stats().Undecodable > 0 || !a.vault.Sealed() {
			t.Fatalf("killed after %d operations: damaged %v, sealed %v", n, w, a.vault.Sealed())
		}
		closed(t, a)
		if got := named(files(t, cfg), "canary", "alias-0"); len(got) > 0 {
			t.Fatalf("killed after %d operations: names lie open in %v", n, got)
		}
	}
}

// Whoever's key is gone is told so, with a way out, and the state is left as it is. wipe is that way.
func TestALostOrWrongKeyStopsTheStartWithARemedy(t *testing.T) {
	for code, spoil := range map[string]func(cfg *Config) error{
		"site_key_missing": func(cfg *Config) error { return os.Remove(filepath.Join(cfg.Settings.State, "site.key")) },
		"site_key_wrong": func(cfg *Config) error {
			text := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))
			cfg.Settings.SiteKeyFile = filepath.Join(filepath.Dir(cfg.Settings.State), "key")
			return os.WriteFile(cfg.Settings.SiteKeyFile, []byte(text), 0o600)
		},
		"site_key_open":       func(cfg *Config) error { return os.Chmod(filepath.Join(cfg.Settings.State, "site.key"), 0o644) },
		"site_key_unreadable": func(cfg *Config) error { return os.Truncate(filepath.Join(cfg.Settings.State, "site.key"), 10) },
	} {
		cfg := lived(t, nil)
		if err := spoil(&cfg); err != nil {
			t.Fatal(err)
		}
		before := files(t, cfg)
		var e *control.Error
		_, err := Open(cfg)
		if !errors.As(err, &e) || e.Code != code || e.Hint == "" || e.Exit != 1 {
			t.Errorf("%s: %v", code, err)
		}
		after := files(t, cfg)
		for name, b := range before {
			if !bytes.Equal(after[name], b) && name != "lock" {
				t.Errorf("%s: %s was changed", code, name)
			}
		}
		if len(after) != len(before) {
			t.Errorf("%s: %d files, %d before", code, len(after), len(before))
		}
		if code == "site_key_open" {
			continue // chmod is the remedy
		}
		if _, err := Wipe(t.Context(), cfg, control.WipeOrder{KeepEnrolment: true}); err != nil {
			t.Fatal(code, err)
		}
		a := opened(t, cfg)
		if st, err := a.Status(t.Context()); err != nil || st.Account != "acme" || len(st.Levels) == 0 {
			t.Errorf("%s: after the wipe: %+v %v", code, st, err)
		}
		closed(t, a)
	}
}

// The key can lie outside the state: a service credential, a mounted secret.
func TestTheKeyCanLieElsewhere(t *testing.T) {
	cfg := config(t, filepath.Join(t.TempDir(), "state"))
	cfg.Simulated = false
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "data"), []byte(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{9}, 32))), 0o440); err != nil {
		t.Fatal(err)
	}
	cfg.Settings.SiteKeyFile = filepath.Join(folder, "site_key")
	if err := os.Symlink("data", cfg.Settings.SiteKeyFile); err != nil {
		t.Fatal(err)
	}
	closed(t, opened(t, cfg))
	closed(t, opened(t, cfg))
	if _, err := os.Lstat(filepath.Join(cfg.Settings.State, "site.key")); !errors.Is(err, os.ErrNotExist) {
		t.Error("there is a key in the state all the same")
	}
	if _, err := Wipe(context.Background(), cfg, control.WipeOrder{}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(cfg.Settings.SiteKeyFile); err != nil {
		t.Error("a key that is not ours was removed")
	}
	if _, err := os.Lstat(filepath.Join(cfg.Settings.State, "vault.json")); !errors.Is(err, os.ErrNotExist) {
		t.Error("the salt is still there")
	}
}
