package consent

import (
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

var (
	key = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	t0  = time.Unix(1_700_000_000, 0)
	cat = &catalog.Catalog{Name: "forge", Version: 3, Hash: [32]byte{3}}
)

func open(t *testing.T, dir string, change func(*Config)) *Consent {
	t.Helper()
	cfg := Config{Dir: dir, Key: key}
	if change != nil {
		change(&cfg)
	}
	c, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func levels(kv ...string) map[string]exchange.Level {
	m := map[string]exchange.Level{}
	for i := 0; i < len(kv); i += 2 {
		m[kv[i]] = exchange.Level(kv[i+1])
	}
	return m
}

func TestNothingDecidedMeansOff(t *testing.T) {
	c := open(t, t.TempDir(), nil)
	if s, ok := c.Current(); ok || s.Statement.Decision(catalog.Usage).Level != exchange.Off {
		t.Errorf("%v %+v", ok, s)
	}
}

func TestDecisionsFollowEachOtherAndSurvive(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir, nil)
	one, err := c.Decide(t0, Change{Levels: levels("usage", "aggregate"), Accept: cat, By: "j.d.", Ticket: "CHG-1", People: 38})
	if err != nil {
		t.Fatal(err)
	}
	two, err := c.Decide(t0.Add(time.Hour), Change{Levels: levels("usage", "local", "sla", "totals")})
	if err != nil {
		t.Fatal(err)
	}
	if two.Statement.Number != 2 || two.Statement.Prev != one.Signed.Hash() || two.Record.People != 38 || two.Statement.CatalogVersion != 3 {
		t.Errorf("%+v", two)
	}
	if d := two.Statement.Decision("usage"); d.Level != exchange.Local || d.From != t0.Unix() {
		t.Errorf("narrowing moved the beginning: %+v", d)
	}
	again := open(t, dir, nil)
	if s, ok := again.Current(); !ok || s.Signed.Hash() != two.Signed.Hash() || len(again.History()) != 2 {
		t.Errorf("%+v", s)
	}
	if strings.Contains(string(two.Signed.Raw)+string(one.Signed.Raw), "j.d.") || strings.Contains(string(one.Signed.Raw), "CHG-1") {
		t.Error("who decided is in what the vendor gets")
	}
}

func TestRefusals(t *testing.T) {
	c := open(t, t.TempDir(), nil)
	for name, ch := range map[string]Change{
		"category": {Levels: levels("usge", "local")},
		"level":    {Levels: levels("usage", "everything")},
		"pool":     {Levels: levels("pool", "aggregate"), Accept: cat}, // who joins has noise
		"nothing":  {Levels: levels("pool", "strict")},                 // of a catalog that was not accepted
		"future":   {Levels: levels("usage", "local"), From: t0.Add(time.Hour)},
		"catalog":  {Levels: levels("usage", "aggregate")},
		"people":   {People: -1},
	} {
		if _, err := c.Decide(t0, ch); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, ok := c.Current(); ok {
		t.Error("a refused decision is in force")
	}
}

func TestALockOnlyLetsNarrow(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, nil).Decide(t0, Change{Levels: levels("usage", "totals"), Accept: cat})
	c := open(t, dir, func(cfg *Config) { cfg.Lock = true })
	if _, err := c.Decide(t0, Change{Levels: levels("sla", "local")}); !errors.Is(err, ErrLocked) {
		t.Errorf("widened: %v", err)
	}
	if _, err := c.Decide(t0, Change{Levels: levels("usage", "aggregate")}); err != nil {
		t.Errorf("narrowing: %v", err)
	}
	pause, resume := true, false
	if _, err := c.Decide(t0, Change{Pause: &pause}); err != nil {
		t.Errorf("pausing: %v", err)
	}
	if _, err := c.Decide(t0, Change{Pause: &resume}); !errors.Is(err, ErrLocked) {
		t.Errorf("resuming: %v", err)
	}
}

func TestDoNotTrackCountsAsOff(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, nil).Decide(t0, Change{Levels: levels("usage", "totals"), Accept: cat})
	s, ok := open(t, dir, func(cfg *Config) { cfg.DoNot = true }).Current()
	if !ok || s.Statement.Decision("usage").Level != exchange.Off {
		t.Errorf("%+v", s.Statement)
	}
}

func TestADamagedOrForeignFileNeverWidens(t *testing.T) {
	for name, spoil := range map[string]func([]byte) []byte{
		"flipped":   func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"truncated": func(b []byte) []byte { return b[:len(b)/2] },
		"empty":     func([]byte) []byte { return nil },
		"level":     func(b []byte) []byte { return []byte(strings.Replace(string(b), "j.d.", "x.y.", 1)) },
	} {
		dir := t.TempDir()
		c := open(t, dir, nil)
		c.Decide(t0, Change{Levels: levels("usage", "local"), Accept: cat})
		c.Decide(t0, Change{Levels: levels("usage", "totals"), By: "j.d."})
		path := filepath.Join(dir, "000002.json")
		b, _ := os.ReadFile(path)
		os.WriteFile(path, spoil(b), 0o600)
		again := open(t, dir, nil)
		s, ok := again.Current()
		if !ok || s.Statement.Decision("usage").Level != exchange.Local || !s.Statement.Paused || len(again.Damaged()) != 1 {
			t.Errorf("%s: %+v, damaged %v", name, s.Statement, again.Damaged())
		}
		if next, err := again.Decide(t0, Change{}); err != nil || next.Statement.Number <= 2 {
			t.Errorf("%s: the next decision has number %d: %v", name, next.Statement.Number, err)
		}
		if s, _ := open(t, dir, nil).Current(); s.Statement.Paused {
			t.Errorf("%s: still paused after a new decision", name)
		}
	}
}

// A measure that a later catalog adds is covered from its acceptance on, not from when its category was
// decided; one that stays as it was keeps its beginning.
func TestAnAddedMeasureIsCoveredFromItsAcceptanceOn(t *testing.T) {
	measure := func(id string, def byte) catalog.Measure {
		return catalog.Measure{ID: id, Category: "usage", DefHash: [32]byte{def}}
	}
	one := &catalog.Catalog{Name: "forge", Version: 1, Hash: [32]byte{1}, Measures: []catalog.Measure{measure("people", 1), measure("changes", 2)}}
	two := &catalog.Catalog{Name: "forge", Version: 2, Hash: [32]byte{2}, Measures: []catalog.Measure{measure("people", 1), measure("changes", 3), measure("files", 4)}}
	three := &catalog.Catalog{Name: "forge", Version: 3, Hash: [32]byte{3}, Measures: append(two.Measures[:3:3], measure("waits", 5))}
	c := open(t, t.TempDir(), nil)
	c.Decide(t0, Change{Levels: levels("usage", "aggregate"), Accept: one})
	c.Decide(t0.Add(time.Hour), Change{Accept: two, Before: one})
	s, err := c.Decide(t0.Add(2*time.Hour), Change{Accept: three, Before: two})
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]time.Duration{"people": 0, "changes": time.Hour, "files": time.Hour, "waits": 2 * time.Hour} {
		m, _ := three.Measure(id)
		if d := s.Statement.Effective(m, three); d.Level != exchange.Aggregate || d.From != t0.Add(want).Unix() {
			t.Errorf("%s: %+v, want from %s", id, d, t0.Add(want))
		}
	}
}

// The pool is a line of its own: joining it changes no other category, and leaving it none either.
func TestThePoolIsDecidedOnByItself(t *testing.T) {
	c := open(t, t.TempDir(), nil)
	if _, err := c.Decide(t0, Change{Levels: levels("usage", "strict", "pool", "strict"), Accept: cat}); err != nil {
		t.Fatal(err)
	}
	s, err := c.Decide(t0.Add(time.Hour), Change{Levels: levels("usage", "aggregate")})
	if err != nil {
		t.Fatal(err)
	}
	if d := s.Statement.Decision("pool"); d.Level != exchange.Strict || d.From != t0.Unix() {
		t.Errorf("pool is %+v", d)
	}
	if d := s.Statement.Decision("usage"); d.Level != exchange.Aggregate || d.From != t0.Add(time.Hour).Unix() {
		t.Errorf("usage is %+v: aggregate is wider than strict and begins anew", d)
	}
	s, err = c.Decide(t0.Add(2*time.Hour), Change{Levels: levels("pool", "off", "usage", "strict")})
	if err != nil {
		t.Fatal(err)
	}
	if d := s.Statement.Decision("pool"); d.Level.Leaves() {
		t.Errorf("pool is %+v", d)
	}
	if d := s.Statement.Decision("usage"); d.Level != exchange.Strict || d.From != t0.Add(time.Hour).Unix() {
		t.Errorf("usage is %+v: narrowing keeps its beginning", d)
	}
}
