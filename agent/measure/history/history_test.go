package history_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/agent/measure"
	"github.com/fieldpost/fieldpost/agent/measure/history"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

const yaml = `
catalog: t
version: 1
vendor: V
events:
  hit: {match: Hit}
measures:
  - {id: hits, kind: count, subject: traffic, events: [hit], category: usage, question: q, purpose: p, owner: o, retention: 30d}
  - {id: users, kind: active_users, events: [hit], category: usage, question: q, purpose: p, owner: o, retention: 30d}
`

func config(t *testing.T) (history.Config, *catalog.Catalog) {
	t.Helper()
	cat, err := catalog.Parse([]byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	return history.Config{Measure: measure.Config{SimpleLocal: true, Catalog: func([8]byte) *catalog.Catalog { return cat }}}, cat
}

func hit(cat *catalog.Catalog, at time.Time, user int) *record.Record {
	return &record.Record{Kind: record.Request, Received: at.UnixNano(), Catalog: [8]byte(cat.Hash[:8]),
		Events: []record.Event{{Type: record.Track, Time: at.UnixNano(), User: fmt.Sprint("u", user)}}}
}

func answers(t *testing.T, f *measure.Fold) (out []string) {
	t.Helper()
	for _, q := range []measure.Query{{Measure: "hits", Grain: report.FiveMinutes}, {Measure: "hits", Grain: report.Hour}, {Measure: "hits", Grain: report.Day},
		{Measure: "users", Grain: report.Day}, {Measure: "users", Grain: report.Week}, {Measure: "users", Grain: report.Rolling28}} {
		ls, err := f.Query(q)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range ls {
			b, _ := json.Marshal(l)
			out = append(out, string(b))
		}
	}
	return out
}

func hits(cat *catalog.Catalog, n int) (out []*record.Record) {
	rng := rand.New(rand.NewPCG(1, 2))
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for range n {
		at = at.Add(time.Duration(rng.IntN(1200)) * time.Second)
		out = append(out, hit(cat, at, rng.IntN(9)))
	}
	return out
}

// At each checkpoint the process may die before or after; what it answers in the end is the same.
func TestRestartsDoNotChangeTheAnswers(t *testing.T) {
	cfg, cat := config(t)
	cfg.Keep5m, cfg.KeepHour = 1<<60, 1<<60
	records := hits(cat, 3000)
	plain := measure.New(cfg.Measure)
	for i, r := range records {
		if err := plain.Apply(uint64(i+1), r); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(3, 4))
	s, err := history.Restore(dir, cfg)
	if err != nil {
		t.Fatal(err)
	}
	for restarts := 0; s.Position() < uint64(len(records)); restarts++ {
		for no := s.Position() + 1; no <= uint64(len(records)); no++ {
			if err := s.Fold().Apply(no, records[no-1]); err != nil {
				t.Fatal(err)
			}
			if rng.IntN(20) == 0 || no == uint64(len(records)) {
				if err := s.Checkpoint(no, []byte(fmt.Sprint("extra ", no))); err != nil {
					t.Fatal(err)
				}
			}
			if rng.IntN(60) == 0 {
				break // dies here
			}
		}
		before := s.Position()
		if s, err = history.Restore(dir, cfg); err != nil {
			t.Fatal(err)
		}
		if s.Position() != before || (before > 0 && string(s.Extra()) != fmt.Sprint("extra ", before)) {
			t.Fatalf("restored position %d with %q, want %d", s.Position(), s.Extra(), before)
		}
		if restarts > 10000 {
			t.Fatal("no end")
		}
	}
	if d := cmp.Diff(answers(t, plain), answers(t, s.Fold())); d != "" {
		t.Errorf("-without restarts +with:\n%s", d)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "closed", "*.win"))
	if len(files) > 32 {
		t.Errorf("%d files lie there: merging does not work", len(files))
	}
}

// A crash between the file of closed windows and the checkpoint leaves a file nobody lists.
func TestACrashBeforeTheCheckpointDoublesNothing(t *testing.T) {
	cfg, cat := config(t)
	records := hits(cat, 600)
	dir := t.TempDir()
	s, err := history.Restore(dir, cfg)
	if err != nil {
		t.Fatal(err)
	}
	apply := func(from, to int) {
		for no := from; no <= to; no++ {
			if err := s.Fold().Apply(uint64(no), records[no-1]); err != nil {
				t.Fatal(err)
			}
		}
	}
	apply(1, 300)
	if err := s.Checkpoint(300, nil); err != nil {
		t.Fatal(err)
	}
	old, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	apply(301, 600)
	want := answers(t, s.Fold())
	if err := s.Checkpoint(600, nil); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "checkpoint"), old, 0o600); err != nil { // as if it had not been replaced
		t.Fatal(err)
	}
	if s, err = history.Restore(dir, cfg); err != nil {
		t.Fatal(err)
	}
	apply(301, 600)
	if d := cmp.Diff(want, answers(t, s.Fold())); d != "" {
		t.Errorf("-first time +second:\n%s", d)
	}
}

func TestDamageCostsOneFileAndIsTold(t *testing.T) {
	cfg, cat := config(t)
	records := hits(cat, 400)
	for _, what := range []string{"closed", "checkpoint"} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			s, err := history.Restore(dir, cfg)
			if err != nil {
				t.Fatal(err)
			}
			for i, r := range records {
				if err := s.Fold().Apply(uint64(i+1), r); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Checkpoint(400, nil); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "checkpoint")
			if what == "closed" {
				files, _ := filepath.Glob(filepath.Join(dir, "closed", "*.win"))
				path = files[0]
			}
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			b[len(b)/2] ^= 1
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			if s, err = history.Restore(dir, cfg); err != nil {
				t.Fatal(err)
			}
			if len(s.Damaged()) == 0 {
				t.Error("nobody is told")
			}
			if (s.Position() == 0) != (what == "checkpoint") {
				t.Errorf("position is %d", s.Position())
			}
			if _, err := os.Stat(path + ".damaged"); err != nil {
				t.Error(err)
			}
			if err := s.Checkpoint(401, nil); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestOldFiveMinutesAreDropped(t *testing.T) {
	cfg, cat := config(t)
	cfg.Keep5m = 24 * time.Hour
	dir := t.TempDir()
	s, err := history.Restore(dir, cfg)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range hits(cat, 2000) {
		if err := s.Fold().Apply(uint64(i+1), r); err != nil {
			t.Fatal(err)
		}
		if i%10 == 0 {
			if err := s.Checkpoint(uint64(i+1), nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	ls, err := s.Fold().Query(measure.Query{Measure: "hits", Grain: report.FiveMinutes})
	if err != nil {
		t.Fatal(err)
	}
	kept := len(ls)
	if kept == 0 || kept > 300 {
		t.Errorf("%d five-minute windows are kept", kept)
	}
}

// Checkpoints of earlier forms are not read, and neither taken for damaged nor touched.
func TestAStateThatIsTooOldIsRefusedAndLeftAsItIs(t *testing.T) {
	cfg, _ := config(t)
	for version := range byte(2) {
		old := append([]byte("fpstate"), version+1)
		old = append(old, " and what earlier versions wrote"...)
		old = binary.LittleEndian.AppendUint32(old, crc32.Checksum(old, crc32.MakeTable(crc32.Castagnoli)))
		dir := t.TempDir()
		path := filepath.Join(dir, "checkpoint")
		if err := os.WriteFile(path, old, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := history.Restore(dir, cfg); !errors.Is(err, history.ErrOlder) {
			t.Errorf("version %d: %v", version+1, err)
		}
		if b, err := os.ReadFile(path); err != nil || !bytes.Equal(b, old) {
			t.Errorf("version %d: %q, %v", version+1, b, err)
		}
	}
}
