package durable_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/protocol/durable"
	"github.com/fieldpost/fieldpost/protocol/durable/durabletest"
)

// canary is a payload that must be gone from the disk in the end.
const canary = "user-canary-4711"

// holds names the files of dir that contain the canary.
func holds(fsys durable.FS) (names []string, err error) {
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		b, err := durable.ReadFile(fsys, filepath.Join(dir, e.Name()), 1<<20)
		if err != nil {
			return nil, err
		}
		if bytes.Contains(b, []byte(canary)) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

func mustRotate(t testing.TB, l *durable.Log) {
	t.Helper()
	if err := l.Rotate(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func TestRotateMakesTheNewestRecordsTrimmable(t *testing.T) {
	fsys := durabletest.New()
	l := mustOpen(t, dir, small(fsys))
	mustRotate(t, l) // nothing there
	if s := l.Stats(); s.Segments != 0 {
		t.Fatalf("a rotation of nothing made %d segments", s.Segments)
	}
	mustAppend(t, l, []byte(canary))
	mustRotate(t, l)
	ops := fsys.Ops()
	for range 3 {
		mustRotate(t, l)
	}
	if s := l.Stats(); s.Segments != 2 || fsys.Ops() != ops || s.Bytes >= 2*2048 {
		t.Fatalf("%d segments, %d operations for nothing, %d bytes: the old one is not cut", s.Segments, fsys.Ops()-ops, s.Bytes)
	}
	if no := mustAppend(t, l, []byte("tick")); no != 2 {
		t.Fatalf("number %d", no)
	}
	if err := l.TrimBefore(2); err != nil {
		t.Fatal(err)
	}
	if names, err := holds(fsys); err != nil || len(names) > 0 {
		t.Fatalf("%v, %v\n%s", names, err, fsys.Dump())
	}
	if got := fmt.Sprint(mustRead(t, l)); got != "[{2 tick}]" {
		t.Error(got)
	}
}

func TestRotateKeepsThePositionOfAnEmptyLog(t *testing.T) {
	fsys := durabletest.New()
	l := mustOpen(t, dir, small(fsys))
	mustAppend(t, l, []byte("one"), []byte("two"))
	mustRotate(t, l)
	if err := l.TrimBefore(3); err != nil { // the newest is empty: something must hold the position
		t.Fatal(err)
	}
	from := fsys.Ops()
	fsys.Fail(1, false, nil) // the empty segment turns out to be bad, and is replaced
	mustAppend(t, l, []byte("three"))
	l.Close()
	err := fsys.Crashes(durabletest.CrashOptions{From: from, PerPrefix: 64, Seed: 3}, func(c durabletest.Crash) error {
		l, err := durable.Open(dir, small(c.FS))
		if err != nil {
			return err
		}
		defer l.Close()
		if n := l.Next(); n < 3 {
			return fmt.Errorf("goes on with %d", n)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// rotated is the life of one canary: written, followed, rotated away, trimmed.
func rotated(fsys *durabletest.FS) (gone bool, err error) {
	ctx := context.Background()
	l, err := durable.Open(dir, small(fsys))
	if err != nil {
		return false, err
	}
	defer l.Close()
	for _, p := range []string{canary, "tick 2"} {
		if _, err := l.Append(ctx, []byte(p)); err != nil {
			return false, err
		}
	}
	if err := l.Rotate(ctx); err != nil {
		return false, err
	}
	if _, err := l.Append(ctx, []byte("tick 3")); err != nil {
		return false, err
	}
	return true, l.TrimBefore(3)
}

func TestARotationIsWholeOrNotAtEveryCrash(t *testing.T) {
	fsys := durabletest.New()
	if gone, err := rotated(fsys); !gone || err != nil {
		t.Fatal(gone, err)
	}
	states := 0
	err := fsys.Crashes(durabletest.CrashOptions{PerPrefix: 64, Seed: 21}, func(c durabletest.Crash) error {
		states++
		l, err := durable.Open(dir, small(c.FS))
		if err != nil {
			return err
		}
		defer l.Close()
		if len(l.Health()) > 0 && l.Stats().TornBytes == 0 {
			return fmt.Errorf("health %+v", l.Health())
		}
		got, err := readAll(l)
		if err != nil {
			return err
		}
		for i, r := range got { // a run of 1, 2, 3 without a hole
			want := []string{canary, "tick 2", "tick 3"}[r.no-1]
			if r.data != want || r.no != got[0].no+uint64(i) {
				return fmt.Errorf("found %v", got)
			}
		}
		names, err := holds(c.FS)
		if err == nil && c.Prefix == fsys.Ops() && (len(names) > 0 || len(got) != 1) {
			err = fmt.Errorf("after the trim was done %v holds it, and %v is there", names, got)
		}
		return err
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, strings.Join(fsys.Log(), "\n"))
	}
	t.Logf("%d states of %d operations", states, fsys.Ops())
}

func TestARotationThatFailsCostsNothingAndCanBeRepeated(t *testing.T) {
	for _, fault := range []error{durabletest.ErrInjected, syscall.ENOSPC} {
		for n := 1; ; n++ {
			reached := false
			for _, forever := range []bool{false, true} {
				fsys := durabletest.New()
				l := mustOpen(t, dir, small(fsys))
				mustAppend(t, l, []byte(canary), []byte("tick 2"))
				calls := fsys.Calls()
				fsys.Fail(n, forever, fault)
				err := l.Rotate(context.Background())
				reached = fsys.Calls()-calls >= n
				fsys.Fail(0, false, nil)
				if err != nil && (!errors.Is(err, fault) || !forever && fault == durabletest.ErrInjected) {
					t.Fatalf("operation %d (for ever: %v): %v", n, forever, err)
				}
				if errors.Is(err, syscall.ENOSPC) != errors.Is(err, durable.ErrFull) {
					t.Fatalf("operation %d: %v", n, err)
				}
				mustRotate(t, l) // the disk is well again
				if no := mustAppend(t, l, []byte("tick 3")); no != 3 {
					t.Fatalf("number %d", no)
				}
				if got := len(mustRead(t, l)); got != 3 {
					t.Fatalf("operation %d: %d records", n, got)
				}
				if err := l.TrimBefore(3); err != nil {
					t.Fatal(err)
				}
				if names, err := holds(fsys); err != nil || len(names) > 0 {
					t.Fatalf("operation %d: %v, %v", n, names, err)
				}
				l.Close()
				l = mustOpen(t, dir, small(fsys.Clone()))
				if got := fmt.Sprint(mustRead(t, l)); got != "[{3 tick 3}]" || len(l.Health()) > 0 {
					t.Fatalf("operation %d: %s, %+v", n, got, l.Health())
				}
				l.Close()
			}
			if !reached {
				if n < 5 {
					t.Fatalf("only %d operations", n)
				}
				break
			}
		}
	}
}

func TestARotationStaysWithinTheCap(t *testing.T) {
	fsys := durabletest.New()
	l := mustOpen(t, dir, durable.Options{FS: fsys, SegmentBytes: 2048, MaxBytes: 8192})
	i := 0
	for ; ; i++ {
		if _, err := l.Append(context.Background(), payload(i, 700)); errors.Is(err, durable.ErrFull) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	var full *durable.FullError
	err := l.Rotate(context.Background())
	if err != nil && !errors.As(err, &full) {
		t.Fatal(err)
	}
	if fsys.Peak() > 8192 {
		t.Errorf("%d bytes", fsys.Peak())
	}
	if got := len(mustRead(t, l)); got != i {
		t.Errorf("%d of %d records", got, i)
	}
	if err := l.TrimBefore(uint64(i)); err != nil {
		t.Fatal(err)
	}
	mustRotate(t, l)
	mustAppend(t, l, payload(i, 700))
	if fsys.Peak() > 8192 || l.Bytes() > 8192 {
		t.Errorf("%d bytes, at most %d", l.Bytes(), fsys.Peak())
	}
}

// What a failed rotation could neither make nor remove is removed by a later one: a disk that fails
// now and then must not fill the log.
func TestFailedRotationsDoNotAddUp(t *testing.T) {
	fsys := durabletest.New()
	l := mustOpen(t, dir, small(fsys))
	for i := range 100 {
		mustAppend(t, l, payload(i, 60))
		fsys.Fail(3+i%9, true, nil)
		err := l.Rotate(context.Background())
		fsys.Fail(0, false, nil)
		if err != nil && !errors.Is(err, durabletest.ErrInjected) {
			t.Fatalf("rotation %d: %v", i, err)
		}
		if err := l.TrimBefore(uint64(i)); err != nil {
			t.Fatal(err)
		}
	}
	for i := 100; i < 103; i++ { // without faults
		mustRotate(t, l)
		mustAppend(t, l, payload(i, 60))
	}
	if err := l.TrimBefore(l.Next()); err != nil {
		t.Fatal(err)
	}
	if n := l.Bytes(); n > 4<<10 || fsys.Peak() > 64<<10 {
		t.Errorf("%d bytes, at most %d\n%s", n, fsys.Peak(), fsys.Dump())
	}
	var there int64
	for line := range strings.Lines(fsys.Dump()) {
		var mode, name string
		var size int64
		if _, err := fmt.Sscan(line, &mode, &size, &name); err != nil {
			t.Fatal(err)
		}
		there += size
	}
	if there != l.Bytes() {
		t.Errorf("%d bytes are there, %d counted\n%s", there, l.Bytes(), fsys.Dump())
	}
}

func TestRotationsAmongAppendsTrimsAndReaders(t *testing.T) {
	d := t.TempDir()
	l := mustOpen(t, d, durable.Options{SegmentBytes: 64 << 10, MaxBytes: 4 << 20})
	const writers, each = 4, 60
	var wg, rot sync.WaitGroup
	stop := make(chan struct{})
	rot.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if err := l.Rotate(context.Background()); err != nil {
				t.Error(err)
				return
			}
			if err := l.Read(0, func(uint64, []byte) error { return nil }); err != nil {
				t.Error(err)
			}
		}
	})
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				if _, err := l.Append(context.Background(), payload(w*1000+i, 50)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	close(stop)
	rot.Wait()
	got := mustRead(t, l)
	for i, r := range got {
		if r.no != uint64(i+1) {
			t.Fatalf("record %d at place %d", r.no, i)
		}
	}
	if s := l.Stats(); len(got) != writers*each || s.Segments < 3 || s.SkippedRecords > 0 {
		t.Fatalf("%d records, %+v", len(got), s)
	}
	l.Close()
	l = mustOpen(t, d, durable.Options{SegmentBytes: 64 << 10, MaxBytes: 4 << 20})
	if got := mustRead(t, l); len(got) != writers*each {
		t.Errorf("%d after reopening", len(got))
	}
}

func TestRotateOfALogThatCannot(t *testing.T) {
	fsys := durabletest.New()
	l := mustOpen(t, dir, small(fsys))
	mustAppend(t, l, []byte("one"))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := l.Rotate(ctx); !errors.Is(err, context.Canceled) || l.Stats().Segments != 1 {
		t.Errorf("without time: %v", err)
	}
	fsys.Fail(1, true, nil)
	if _, err := l.Append(context.Background(), []byte("two")); !errors.Is(err, durable.ErrUnhealthy) {
		t.Fatal(err)
	}
	fsys.Fail(0, false, nil)
	if err := l.Rotate(context.Background()); !errors.Is(err, durable.ErrUnhealthy) {
		t.Errorf("on a dead disk: %v", err)
	}
	l.Close()
	if err := l.Rotate(context.Background()); !errors.Is(err, durable.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

func TestRotateWhereTheEndWasLost(t *testing.T) {
	fsys := durabletest.New()
	l := mustOpen(t, dir, small(fsys))
	mustAppend(t, l, []byte(canary))
	l.Close()
	o := small(fsys)
	o.MinNext = 50
	l = mustOpen(t, dir, o)
	mustRotate(t, l)
	if no := mustAppend(t, l, []byte("tick")); no != 50 {
		t.Fatalf("number %d", no)
	}
	if err := l.TrimBefore(50); err != nil {
		t.Fatal(err)
	}
	if names, err := holds(fsys); err != nil || len(names) > 0 {
		t.Errorf("%v, %v", names, err)
	}
}

func TestKeptDamageIsDroppedByAge(t *testing.T) {
	d := t.TempDir()
	o := durable.Options{SegmentBytes: 64 << 10, MaxBytes: 1 << 20}
	l := mustOpen(t, d, o)
	mustAppend(t, l, []byte(canary))
	mustAppend(t, l, []byte("two"))
	l.Close()
	segs, err := filepath.Glob(filepath.Join(d, "*.seg"))
	if err != nil || len(segs) != 1 {
		t.Fatal(segs, err)
	}
	b, err := os.ReadFile(segs[0])
	if err != nil {
		t.Fatal(err)
	}
	b[bytes.Index(b, []byte(canary))-3] ^= 1 // in the header before it
	if err := os.WriteFile(segs[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	l = mustOpen(t, d, o)
	mustRead(t, l)
	before := l.Bytes()
	bad, err := filepath.Glob(filepath.Join(d, "*.bad"))
	if err != nil || len(bad) != 1 || l.Stats().Quarantined != 1 {
		t.Fatal(bad, err, l.Stats())
	}
	week := func(written time.Time) bool { return time.Since(written) > 7*24*time.Hour }
	if err := l.DropKept(week); err != nil || l.Stats().Quarantined != 1 {
		t.Fatalf("dropped the day it was kept: %v", err)
	}
	old := time.Now().Add(-8 * 24 * time.Hour)
	if err := os.Chtimes(bad[0], old, old); err != nil {
		t.Fatal(err)
	}
	if err := l.DropKept(week); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(bad[0]); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
	s := l.Stats()
	if s.Quarantined != 0 || s.QuarantinedBytes != 0 || s.Dropped != 1 || l.Bytes() >= before {
		t.Errorf("%+v, %d bytes before", s, before)
	}
}

func TestDroppingKeptDamageCanBeRepeated(t *testing.T) {
	all := func(time.Time) bool { return true }
	for n := 1; ; n++ {
		fsys, _, _ := damageLog(t)
		err := fsys.Change(filepath.Join(dir, "00000000000000000001.seg"), func(b []byte) []byte { b[1100] ^= 0xff; return b })
		if err != nil {
			t.Fatal(err)
		}
		l := mustOpen(t, dir, small(fsys))
		mustRead(t, l)
		if l.Stats().Quarantined == 0 {
			t.Fatal("nothing is kept")
		}
		calls := fsys.Calls()
		fsys.Fail(n, false, nil)
		err = l.DropKept(all)
		reached := fsys.Calls()-calls >= n
		fsys.Fail(0, false, nil)
		if reached != (err != nil) {
			t.Fatalf("operation %d: %v", n, err)
		}
		if err := l.DropKept(all); err != nil {
			t.Fatalf("operation %d, again: %v", n, err)
		}
		if s := l.Stats(); s.Quarantined != 0 || s.Dropped == 0 || strings.Contains(fsys.Dump(), ".bad") {
			t.Fatalf("operation %d: %+v\n%s", n, s, fsys.Dump())
		}
		l.Close()
		if err := l.DropKept(all); !errors.Is(err, durable.ErrClosed) {
			t.Errorf("closed: %v", err)
		}
		if !reached {
			return
		}
	}
}
