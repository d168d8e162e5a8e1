package journal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent/journal"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/durable"
	"github.com/fieldpost/fieldpost/protocol/durable/durabletest"
)

const canary = "canary-user-8e1f"

// life is a site on a clock of its own: a record a minute, a checkpoint every second one.
type life struct {
	t    *testing.T
	fsys *durabletest.FS
	j    *journal.Journal
	wall time.Time
	at   time.Time // the real time, also where the wall's is wrong
}

const where = "/state/journal"

func (l *life) open() {
	l.t.Helper()
	var err error
	l.j, err = journal.Open(where, journal.Config{FS: l.fsys, MaxBytes: 4 << 20, SegmentBytes: 1 << 20, Now: func() time.Time { return l.wall }})
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = l.j.Close() })
}

// minute passes, with a record of the clock at its end.
func (l *life) minute(i int) {
	l.t.Helper()
	l.wall, l.at = l.wall.Add(time.Minute), l.at.Add(time.Minute)
	no, err := l.j.Append(context.Background(), &record.Record{Kind: record.Tick, Received: l.wall.UnixNano()})
	if err != nil {
		l.t.Fatal(err)
	}
	if i%2 == 1 {
		if err := l.j.Trim(no + 1); err != nil {
			l.t.Fatal(err)
		}
	}
}

// holding names the files under dir with the canary in them.
func holding(t *testing.T, fsys durable.FS, dir string) (names []string) {
	t.Helper()
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := durable.ReadFile(fsys, filepath.Join(dir, e.Name()), 64<<20)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte(canary)) {
			names = append(names, e.Name())
		}
	}
	return names
}

func TestOneEventAtAQuietSiteIsGoneWithinTwoDays(t *testing.T) {
	for name, happens := range map[string]func(l *life, minute int){
		"nothing else": func(*life, int) {},
		"a restart every 25 minutes": func(l *life, minute int) {
			if minute%25 == 24 {
				if err := l.j.Close(); err != nil {
					l.t.Fatal(err)
				}
				l.open()
			}
		},
		"a clock that is set back by a year": func(l *life, minute int) {
			if minute == 10 {
				l.wall = l.wall.AddDate(-1, 0, 0)
			}
		},
		"a disk that fails at the first hours": func(l *life, minute int) {
			if minute < 120 && minute%2 == 1 {
				l.fsys.Fail(3, true, nil) // behind the append: what a checkpoint asks for
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)
			l := &life{t: t, fsys: durabletest.New(), wall: start, at: start}
			l.open()
			for i := range 10 {
				l.minute(i)
			}
			start = l.at
			if _, err := l.j.Append(context.Background(), one(l.wall.UnixNano(), canary)); err != nil {
				t.Fatal(err)
			}
			if len(holding(t, l.fsys, where)) != 1 {
				t.Fatal("the event cannot be found even on the day it came")
			}
			var gone time.Time
			for i := range 2 * 24 * 60 {
				happens(l, i)
				l.minute(i)
				l.fsys.Fail(0, false, nil)
				if len(holding(t, l.fsys, where)) == 0 {
					gone = l.at
					break
				}
			}
			if gone.IsZero() {
				t.Fatalf("still in %v after two days\n%s", holding(t, l.fsys, where), l.fsys.Dump())
			}
			t.Logf("gone after %s", gone.Sub(start))
		})
	}
}

func TestEightQuietDaysCostLittle(t *testing.T) {
	start := time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)
	l := &life{t: t, fsys: durabletest.New(), wall: start, at: start}
	l.open()
	if _, err := l.j.Append(context.Background(), one(start.UnixNano(), canary)); err != nil {
		t.Fatal(err)
	}
	// The file system is taken over as it is once a day: what it recorded grows with every operation.
	syncs := 0
	for day := range 8 {
		for i := range 24 * 60 {
			l.minute(i)
			if i%30 == 29 && l.at.Sub(start) >= 2*time.Hour {
				if names := holding(t, l.fsys, where); len(names) > 0 {
					t.Fatalf("day %d: still in %v", day, names)
				}
			}
		}
		for _, op := range l.fsys.Log() {
			if strings.HasPrefix(op, "sync") {
				syncs++
			}
		}
		if err := l.j.Close(); err != nil {
			t.Fatal(err)
		}
		l.fsys = l.fsys.Clone()
		l.open()
	}
	got, next := 0, uint64(0)
	if _, err := l.j.Read(context.Background(), 0, func(no uint64, _ *record.Record) error { got++; next = no + 1; return nil }); err != nil {
		t.Fatal(err)
	}
	if got < 1 || got > 70 || next != 2+8*24*60 {
		t.Errorf("%d records are kept, the next is %d", got, next)
	}
	if ticks := 8 * 24 * 60; syncs > ticks*115/100 {
		t.Errorf("%d syncs for %d records", syncs, ticks)
	}
	if n := l.j.Stats().Log.Bytes; n > 2<<20 {
		t.Errorf("%d bytes", n)
	}
}

func TestTrimLeavesWhatIsNotMeasured(t *testing.T) {
	start := time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)
	l := &life{t: t, fsys: durabletest.New(), wall: start}
	l.open()
	for i := range 10 {
		if _, err := l.j.Append(context.Background(), one(start.UnixNano(), fmt.Sprint("u", i))); err != nil {
			t.Fatal(err)
		}
	}
	for range 20 { // the measuring stands still for a month
		l.wall = l.wall.Add(36 * time.Hour)
		if err := l.j.Trim(4); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.j.Append(context.Background(), one(l.wall.UnixNano(), "new")); err != nil {
		t.Fatal(err)
	}
	if err := l.j.Trim(4); err != nil {
		t.Fatal(err)
	}
	got, _ := all(t, l.j, 4)
	if len(got) != 8 || got[0].user != "u3" || got[7].user != "new" {
		t.Errorf("left: %v", got)
	}
	if s := l.j.Stats().Log; s.Segments > 2 {
		t.Errorf("%d segments", s.Segments)
	}
}

func TestARotationThatFailsIsAWarningAndRepeated(t *testing.T) {
	start := time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)
	l := &life{t: t, fsys: durabletest.New(), wall: start}
	l.open()
	l.minute(0)
	l.fsys.Fail(1, true, nil)
	if err := l.j.Trim(2); err != nil {
		t.Errorf("what is only too old stops the agent: %v", err)
	}
	if w := l.j.Health(); len(w) != 1 || w[0].Code != journal.WarnAge || !strings.Contains(w[0].Cause, durabletest.ErrInjected.Error()) {
		t.Errorf("health %+v", w)
	}
	l.fsys.Fail(0, false, nil)
	if err := l.j.Trim(2); err != nil {
		t.Fatal(err)
	}
	if w := l.j.Health(); len(w) != 0 || l.j.Stats().Log.Segments != 2 {
		t.Errorf("health %+v, %d segments", w, l.j.Stats().Log.Segments)
	}
}

func TestDamagedBytesGoWithTheirTime(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, journal.Config{})
	for _, user := range []string{canary, "other"} {
		if _, err := j.Append(context.Background(), one(1, user)); err != nil {
			t.Fatal(err)
		}
	}
	_ = j.Close()
	segs, err := filepath.Glob(filepath.Join(dir, "*.seg"))
	if err != nil || len(segs) != 1 {
		t.Fatal(segs, err)
	}
	b, err := os.ReadFile(segs[0])
	if err != nil {
		t.Fatal(err)
	}
	b[bytes.Index(b, []byte(canary))+2] ^= 0x20 // its first letters stay readable
	if err := os.WriteFile(segs[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	kept := func() int {
		t.Helper()
		names, err := filepath.Glob(filepath.Join(dir, "*.bad"))
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	found := time.Now()
	now := found
	j = open(t, dir, journal.Config{Now: func() time.Time { return now }})
	_, _ = all(t, j, 0)
	if kept() != 1 || j.Stats().Log.Quarantined != 1 {
		t.Fatalf("%d files of damage", kept())
	}
	for _, step := range []struct {
		after time.Duration
		want  int
	}{{time.Minute, 1}, {5 * 24 * time.Hour, 1}, {journal.MaxAge - time.Hour, 0}} {
		now = found.Add(step.after)
		if err := j.Trim(3); err != nil {
			t.Fatal(err)
		}
		if kept() != step.want {
			t.Errorf("after %s: %d files of damage", step.after, kept())
		}
	}
	if s := j.Stats().Log; s.Dropped != 1 || s.QuarantinedBytes != 0 {
		t.Errorf("%+v", s)
	}
	_ = j.Close()
	if err := j.Trim(3); !errors.Is(err, durable.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}
