package history_test

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/agent/measure/history"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/durable"
	"github.com/fieldpost/fieldpost/protocol/durable/durabletest"
)

// mask stands for the vault's cipher (stages do not import each other, tests included).
type mask struct{}

const maskMagic = "MASKED!!"

func (mask) Head() int            { return len(maskMagic) + 4 }
func (mask) Sealed(b []byte) bool { return bytes.HasPrefix(b, []byte(maskMagic)) }
func sum(name string, b []byte) []byte {
	return fmt.Appendf(nil, "%08x", crc32.ChecksumIEEE(append([]byte(name), b...)))
}

func (m mask) Seal(name string, b []byte) []byte {
	copy(b, maskMagic)
	for i := m.Head(); i < len(b); i++ {
		b[i] ^= 0x5a
	}
	return append(b, sum(name, b[m.Head():])...)
}

func (m mask) Open(name string, b []byte) ([]byte, error) {
	if !m.Sealed(b) || len(b) < m.Head()+8 || !bytes.Equal(sum(name, b[m.Head():len(b)-8]), b[len(b)-8:]) {
		return nil, errors.New("does not open")
	}
	b = b[m.Head() : len(b)-8]
	for i := range b {
		b[i] ^= 0x5a
	}
	return b, nil
}

// everything is the content of all files below dir.
func everything(t *testing.T, fsys durable.FS, dir string) (files map[string]string) {
	t.Helper()
	files = map[string]string{}
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if e.IsDir() {
			for name, b := range everything(t, fsys, path) {
				files[name] = b
			}
			continue
		}
		b, err := durable.ReadFile(fsys, path, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		files[path] = string(b)
	}
	return files
}

// filled is a store with so many checkpoints, and a damaged file set aside.
func filled(t *testing.T, cfg history.Config, checkpoints int) *durabletest.FS {
	t.Helper()
	fsys := durabletest.New()
	cfg.FS = fsys
	_, cat := config(t)
	s, err := history.Restore("/m", cfg)
	if err != nil {
		t.Fatal(err)
	}
	records := hits(cat, 40*checkpoints)
	for i, r := range records {
		r.Events[0].User = "canary-" + r.Events[0].User
		if err := s.Fold().Apply(uint64(i+1), r); err != nil {
			t.Fatal(err)
		}
		if (i+1)%40 == 0 {
			if err := s.Checkpoint(uint64(i+1), []byte("extra")); err != nil {
				t.Fatal(err)
			}
		}
	}
	return fsys.Clone()
}

// shows reports whether a canary stands in a file.
func shows(file string) bool { return strings.Contains(string(history.Spread([]byte(file))), "canary") }

func TestCanarySealedFilesHideNamesAndGiveTheSameAnswers(t *testing.T) {
	cfg, _ := config(t)
	plain := filled(t, cfg, 11)
	cfg.Seal = mask{}
	sealed := filled(t, cfg, 11)
	if !slices.ContainsFunc(slices.Collect(maps.Values(everything(t, plain, "/m"))), shows) {
		t.Fatal("the canary does not show where nothing is sealed: the test proves nothing")
	}
	for name, b := range everything(t, sealed, "/m") {
		if shows(b) || strings.Contains(b, "extra") || !strings.HasPrefix(b, maskMagic) {
			t.Errorf("%s lies open", name)
		}
	}
	cfg.FS = sealed
	with, err := history.Restore("/m", cfg)
	if err != nil {
		t.Fatal(err)
	}
	cfg.FS, cfg.Seal = plain, nil
	without, err := history.Restore("/m", cfg)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(answers(t, without.Fold()), answers(t, with.Fold())); d != "" || with.Position() != 440 {
		t.Errorf("-open +sealed:\n%s", d)
	}
}

// A store of before is read as it is and sealed by the next checkpoint; after a power failure at any moment of that it
// gives the same answers, and once the checkpoint is done nothing lies open.
func TestAStoreOfBeforeIsSealedWhateverHappens(t *testing.T) {
	cfg, _ := config(t)
	fsys := filled(t, cfg, 11)
	for _, name := range []string{"/m/checkpoint.damaged", "/m/closed/0000000000000099.win.damaged"} {
		if err := durable.WriteFile(fsys, name, []byte("canary of a damaged file"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	fsys = fsys.Clone()
	cfg.FS = fsys.Clone()
	s, err := history.Restore("/m", cfg)
	if err != nil {
		t.Fatal(err)
	}
	want := answers(t, s.Fold())

	cfg.Seal, cfg.Open = mask{}, true
	seal := func(fsys durable.FS) (*history.Store, error) {
		cfg := cfg
		cfg.FS = fsys
		s, err := history.Restore("/m", cfg)
		if err != nil {
			return nil, err
		}
		return s, s.Checkpoint(s.Position(), s.Extra())
	}
	if _, err := seal(fsys); err != nil {
		t.Fatal(err)
	}
	states := 0
	err = fsys.Crashes(durabletest.CrashOptions{PerPrefix: 4}, func(c durabletest.Crash) error {
		states++
		s, err := seal(c.FS)
		if err != nil {
			return err
		}
		if len(s.Damaged()) > 0 {
			return fmt.Errorf("damaged: %v", s.Damaged())
		}
		for name, b := range everything(t, c.FS, "/m") {
			if strings.Contains(b, "canary") || !strings.HasPrefix(b, maskMagic) {
				return fmt.Errorf("%s lies open", name)
			}
		}
		again := cfg
		again.FS, again.Open = c.FS, false
		if s, err = history.Restore("/m", again); err != nil {
			return err
		}
		if d := cmp.Diff(want, answers(t, s.Fold())); d != "" {
			return fmt.Errorf("-before +after:\n%s", d)
		}
		return nil
	})
	if err != nil || states < 50 {
		t.Errorf("after %d states: %v", states, err)
	}
}

// attack changes what lies on disk; closed are the names of the files of closed windows.
type attack func(files map[string]string, closed []string, fsys durable.FS) error

func attacks(t *testing.T, cfg history.Config, cat *catalog.Catalog) map[string]attack {
	return map[string]attack{
		"two exchanged": func(files map[string]string, closed []string, fsys durable.FS) error {
			return errors.Join(durable.WriteFile(fsys, closed[0], []byte(files[closed[1]]), 0o600), durable.WriteFile(fsys, closed[1], []byte(files[closed[0]]), 0o600))
		},
		"checkpoint as windows": func(files map[string]string, closed []string, fsys durable.FS) error {
			return durable.WriteFile(fsys, closed[0], []byte(files["/m/checkpoint"]), 0o600)
		},
		"cut": func(files map[string]string, closed []string, fsys durable.FS) error {
			return durable.WriteFile(fsys, closed[0], []byte(files[closed[0]][:len(files[closed[0]])-1]), 0o600)
		},
		"removed": func(_ map[string]string, closed []string, fsys durable.FS) error {
			return durable.Remove(fsys, closed[0])
		},
		"never sealed": func(_ map[string]string, closed []string, fsys durable.FS) error {
			open, _ := config(t)
			b, ok := everything(t, filled(t, open, 3), "/m")[closed[0]]
			if !ok {
				return fmt.Errorf("no file %s there", closed[0])
			}
			return durable.WriteFile(fsys, closed[0], []byte(b), 0o600)
		},
		"older, of the same name": func(_ map[string]string, closed []string, fsys durable.FS) error {
			return older(t, cfg, cat, closed[0], fsys)
		},
	}
}

// older puts a file in place of the one of that name that the same site once had under it.
func older(t *testing.T, cfg history.Config, cat *catalog.Catalog, name string, fsys durable.FS) error {
	// The same store a checkpoint earlier, then gone another way: its file has the same number.
	other := durabletest.New()
	c := cfg
	c.FS = other
	s, err := history.Restore("/m", c)
	if err != nil {
		return err
	}
	no := uint64(0)
	for range 3 {
		for range 60 {
			no++
			if err := s.Fold().Apply(no, hit(cat, time.Date(2026, 1, 1, int(no), 0, 0, 0, time.UTC), 1)); err != nil {
				return err
			}
		}
		if err := s.Checkpoint(no, nil); err != nil {
			return err
		}
	}
	old, ok := everything(t, other, "/m")[name]
	if !ok {
		return fmt.Errorf("no file %s there", name)
	}
	return durable.WriteFile(fsys, name, []byte(old), 0o600)
}

// Files that were exchanged, put back from an earlier time, cut or altered cost themselves and are told.
func TestAttackExchangedAndOlderFilesAreNoticed(t *testing.T) {
	cfg, cat := config(t)
	cfg.Seal = mask{}
	for name, attack := range attacks(t, cfg, cat) {
		fsys := filled(t, cfg, 3)
		files := everything(t, fsys, "/m")
		var closed []string
		for name := range files {
			if strings.HasSuffix(name, ".win") {
				closed = append(closed, name)
			}
		}
		slices.Sort(closed)
		if len(closed) < 2 {
			t.Fatalf("only %d files", len(closed))
		}
		if err := attack(files, closed, fsys); err != nil {
			t.Fatal(name, err)
		}
		cfg := cfg
		cfg.FS = fsys
		s, err := history.Restore("/m", cfg)
		want := 1
		if name == "two exchanged" {
			want = 2
		}
		if err != nil || len(s.Damaged()) != want {
			t.Errorf("%s: %v, damaged %v", name, err, s.Damaged())
			continue
		}
		if len(answers(t, s.Fold())) == 0 {
			t.Errorf("%s: the rest is gone too", name)
		}
		for name, b := range everything(t, fsys, "/m") {
			if !strings.HasPrefix(b, maskMagic) {
				t.Errorf("%s was set aside open", name)
			}
		}
		if err := s.DropDamaged(); err != nil {
			t.Error(err)
		}
		for file := range everything(t, fsys, "/m") {
			if strings.HasSuffix(file, ".damaged") {
				t.Errorf("%s: %s was not dropped", name, file)
			}
		}
	}
}
