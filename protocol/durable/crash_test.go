package durable_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/fieldpost/fieldpost/protocol/durable"
	"github.com/fieldpost/fieldpost/protocol/durable/durabletest"
)

func TestWriteFileIsOldOrNewAtEveryCrash(t *testing.T) {
	const path = "/d/e/state"
	fsys := durabletest.New()
	type version struct {
		ops  int
		data string
	}
	versions := []version{{0, ""}}
	if err := durable.MkdirAll(fsys, "/d/e", 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		data := string(payload(i, 300+i*700))
		if err := durable.WriteFile(fsys, path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		versions = append(versions, version{fsys.Ops(), data})
	}
	states := 0
	err := fsys.Crashes(durabletest.CrashOptions{PerPrefix: 48, Seed: 1}, func(c durabletest.Crash) error {
		states++
		oldest := 0 // what was acknowledged before the crash or anything newer
		for i, v := range versions {
			if v.ops <= c.Prefix {
				oldest = i
			}
		}
		got, err := durable.ReadFile(c.FS, path, 1<<20)
		if err != nil && (oldest > 0 || !errors.Is(err, fs.ErrNotExist)) {
			return fmt.Errorf("version %d is gone: %w", oldest, err)
		}
		ok := false
		for _, v := range versions[oldest:] {
			ok = ok || v.data == string(got)
		}
		if !ok {
			return fmt.Errorf("found %d bytes that are no version from %d on", len(got), oldest)
		}
		if oldest == 0 {
			return nil
		}
		if err := durable.CleanTemps(c.FS, "/d/e"); err != nil {
			return err
		}
		if dump := c.FS.Dump(); strings.Contains(dump, "fptmp") {
			return fmt.Errorf("leftovers:\n%s", dump)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d states", states)
}

func TestWriteFileFailingAtEveryOperation(t *testing.T) {
	for n := 1; ; n++ {
		for _, forever := range []bool{false, true} {
			fsys := durabletest.New()
			if err := durable.MkdirAll(fsys, "/d", 0o700); err != nil {
				t.Fatal(err)
			}
			if err := durable.WriteFile(fsys, "/d/f", []byte("old"), 0o600); err != nil {
				t.Fatal(err)
			}
			calls := fsys.Calls()
			fsys.Fail(n, forever, nil)
			err := durable.WriteFile(fsys, "/d/f", []byte("new"), 0o600)
			reached := fsys.Calls()-calls >= n
			fsys.Fail(0, false, nil)
			got, rerr := durable.ReadFile(fsys, "/d/f", 10)
			if rerr != nil {
				t.Fatal(rerr)
			}
			if !reached {
				if err != nil || string(got) != "new" || n < 5 {
					t.Fatalf("without a fault (%d): %q, %v", n, got, err)
				}
				return
			}
			if err == nil || !errors.Is(err, durabletest.ErrInjected) {
				t.Errorf("fault %d: error %v", n, err)
			}
			if s := string(got); s != "old" && s != "new" {
				t.Errorf("fault %d: content %q", n, s)
			}
			if !forever && strings.Contains(fsys.Dump(), "fptmp") {
				t.Errorf("fault %d left:\n%s", n, fsys.Dump())
			}
		}
	}
}

// history is what a workload was told about its appends.
type history struct {
	issued  map[string]int // payload → how often it was handed in
	acked   []ack
	trimmed []ack // first record that had to stay, and when that was asked
}

type ack struct {
	ops  int
	no   uint64
	data string
}

// check asserts on a recovered log: acknowledged ⊆ recovered ⊆ issued, in
// order, each once, under the number that was told.
func (h *history) check(got []record, prefix int) error {
	byNo := map[uint64]string{}
	count := map[string]int{}
	last := uint64(0)
	for _, r := range got {
		if r.no <= last {
			return fmt.Errorf("record %d after %d", r.no, last)
		}
		last = r.no
		byNo[r.no] = r.data
		if count[r.data]++; count[r.data] > h.issued[r.data] {
			return fmt.Errorf("record %d (%.12q) recovered %d times, issued %d", r.no, r.data, count[r.data], h.issued[r.data])
		}
	}
	keepFrom := uint64(0)
	for _, tr := range h.trimmed {
		if tr.ops <= prefix {
			keepFrom = tr.no
		}
	}
	for _, a := range h.acked {
		if a.ops <= prefix && a.no >= keepFrom && byNo[a.no] != a.data {
			return fmt.Errorf("acknowledged record %d is %.12q, want %.12q", a.no, byNo[a.no], a.data)
		}
	}
	return nil
}

// workload appends, rotates, trims and reopens; it goes on after errors, as an agent
// would, and writes down what it was told.
func workload(fsys *durabletest.FS) (h *history, fatal int) {
	h = &history{issued: map[string]int{}}
	ctx := context.Background()
	var l *durable.Log
	defer func() {
		if l != nil {
			l.Close()
		}
	}()
	reopen := func() {
		if l != nil {
			l.Close()
			l = nil
		}
		for range 3 {
			var err error
			if l, err = durable.Open(dir, small(fsys)); err == nil {
				return
			}
			l = nil
		}
	}
	reopen()
	for i := range 18 {
		if l == nil {
			return h, fatal
		}
		var group [][]byte
		for j := range 1 + i%3 {
			p := payload(i*10+j, 40+(i*131+j*57)%420)
			group = append(group, p)
			h.issued[string(p)]++
		}
		no, err := l.Append(ctx, group...)
		switch {
		case err == nil:
			for j, p := range group {
				h.acked = append(h.acked, ack{fsys.Ops(), no + uint64(j), string(p)})
			}
		case errors.Is(err, durable.ErrUnhealthy):
			fatal++
			reopen()
		}
		if i == 11 && l != nil {
			// Asked for before it is done: from here on older ones may be gone.
			h.trimmed = append(h.trimmed, ack{ops: fsys.Ops(), no: l.Next() - 6})
			_ = l.TrimBefore(l.Next() - 6)
		}
		if i%4 == 2 && l != nil {
			_ = l.Rotate(ctx) // costs nothing, whatever becomes of it
		}
		if i == 7 || i == 14 {
			reopen()
		}
	}
	return h, fatal
}

// verify opens a log twice, with an append between, and checks both times.
func (h *history) verify(fsys durable.FS, prefix int) error {
	extra := string(payload(9999, 100))
	for round := range 2 {
		l, err := durable.Open(dir, small(fsys))
		if err != nil {
			return err
		}
		got, err := readAll(l)
		if err == nil {
			err = h.check(got, prefix)
		}
		if err == nil && round == 1 && (len(got) == 0 || got[len(got)-1].data != extra) {
			err = errors.New("the record appended after recovery is gone")
		}
		if err == nil && l.Bytes() > 64<<10 {
			err = fmt.Errorf("%d bytes", l.Bytes())
		}
		for _, w := range l.Health() {
			if w.Code == durable.WarnDamaged {
				err = errors.Join(err, fmt.Errorf("round %d: a crash looks like damage: %s", round, w.Cause))
			}
		}
		if err == nil && round == 0 {
			var no uint64
			no, err = l.Append(context.Background(), []byte(extra))
			h2 := *h
			h2.issued = map[string]int{extra: 1}
			for k, v := range h.issued {
				h2.issued[k] = v
			}
			h2.acked = append(h.acked[:len(h.acked):len(h.acked)], ack{prefix, no, extra})
			h = &h2
		}
		if err := errors.Join(err, l.Close()); err != nil {
			return err
		}
	}
	return nil
}

func TestLogKeepsWhatItAcknowledgedAtEveryCrash(t *testing.T) {
	fsys := durabletest.New()
	h, fatal := workload(fsys)
	if len(h.acked) < 30 || fatal > 0 {
		t.Fatalf("%d acknowledged, %d fatal", len(h.acked), fatal)
	}
	per := 24
	if testing.Short() {
		per = 6
	}
	states := 0
	err := fsys.Crashes(durabletest.CrashOptions{PerPrefix: per, Seed: 7}, func(c durabletest.Crash) error {
		states++
		return h.verify(c.FS, c.Prefix)
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, strings.Join(fsys.Log(), "\n"))
	}
	t.Logf("%d states of %d operations", states, fsys.Ops())
}

// A process that is killed leaves writes, names and folders that the next one
// sees but that are not on disk. What the next one shows to a reader must not
// vanish when the power fails after that.
func TestWhatIsReadAfterAKillSurvivesAPowerFailure(t *testing.T) {
	fsys := durabletest.New()
	h, _ := workload(fsys)
	states := 0
	for prefix := range fsys.Ops() + 1 {
		k := fsys.Killed(prefix)
		l, err := durable.Open(dir, small(k))
		if err != nil {
			t.Fatal(err)
		}
		seen := history{issued: map[string]int{"after the kill": 1}}
		for p, n := range h.issued {
			seen.issued[p] = n
		}
		for _, r := range mustRead(t, l) {
			seen.acked = append(seen.acked, ack{0, r.no, r.data})
		}
		at := k.Ops()
		no := mustAppend(t, l, []byte("after the kill"))
		seen.acked = append(seen.acked, ack{k.Ops(), no, "after the kill"})
		l.Close()
		o := durabletest.CrashOptions{PerPrefix: 5, Seed: 3, From: at}
		err = k.Crashes(o, func(c durabletest.Crash) error { states++; return seen.verify(c.FS, c.Prefix) })
		if err != nil {
			t.Fatalf("killed after %d: %v", prefix, err)
		}
	}
	t.Logf("%d states", states)
}

// The same for the folder alone: made, not synced, found by the next process.
func TestAFolderMadeByAKilledProcessIsSynced(t *testing.T) {
	fsys := durabletest.New()
	if err := durable.MkdirAll(fsys, "/a/b/c", 0o700); err != nil {
		t.Fatal(err)
	}
	for prefix := range fsys.Ops() + 1 {
		k := fsys.Killed(prefix)
		if err := durable.MkdirAll(k, "/a/b/c", 0o700); err != nil {
			t.Fatal(err)
		}
		if err := durable.WriteFile(k, "/a/b/c/f", []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		err := k.Crashes(durabletest.CrashOptions{From: k.Ops()}, func(c durabletest.Crash) error {
			_, err := durable.ReadFile(c.FS, "/a/b/c/f", 10)
			return err
		})
		if err != nil {
			t.Fatalf("killed after %d: %v", prefix, err)
		}
	}
}

func TestACrashDuringRecoveryLosesNothing(t *testing.T) {
	fsys := durabletest.New()
	h, _ := workload(fsys)
	states := 0
	o := durabletest.CrashOptions{PerPrefix: 4, Seed: 11, From: fsys.Ops() / 2}
	err := fsys.Crashes(o, func(c durabletest.Crash) error {
		l, err := durable.Open(dir, small(c.FS))
		if err != nil {
			return err
		}
		if err := l.Close(); err != nil {
			return err
		}
		return c.FS.Crashes(durabletest.CrashOptions{PerPrefix: 4, Seed: 13}, func(c2 durabletest.Crash) error {
			states++
			return h.verify(c2.FS, c.Prefix)
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d states", states)
}

func TestLogKeepsWhatItAcknowledgedWhenAnyOperationFails(t *testing.T) {
	for _, fault := range []struct {
		name string
		err  error
	}{{"EIO", durabletest.ErrInjected}, {"ENOSPC", syscall.ENOSPC}} {
		t.Run(fault.name, func(t *testing.T) { failEverywhere(t, fault.err) })
	}
}

func failEverywhere(t *testing.T, fault error) {
	step := 1
	if testing.Short() {
		step = 5
	}
	calm, _ := workload(durabletest.New())
	for n := 1; ; n += step {
		reached := false
		for _, forever := range []bool{false, true} {
			fsys := durabletest.New()
			fsys.Fail(n, forever, fault)
			h, fatal := workload(fsys)
			reached = fsys.Calls() >= n
			if !forever && fatal > 0 {
				t.Fatalf("operation %d failed once, and the log gave up", n)
			}
			// One append at most, of three records, may be refused for it.
			if !forever && len(h.acked) < len(calm.acked)-3 {
				t.Fatalf("operation %d failed once: only %d of %d acknowledged", n, len(h.acked), len(calm.acked))
			}
			if peak := fsys.Peak(); peak > 64<<10 {
				t.Fatalf("operation %d: %d bytes", n, peak)
			}
			fsys.Fail(0, false, nil)
			// The process ends but the machine goes on; then the power fails.
			if err := h.verify(fsys.Clone(), fsys.Ops()); err != nil {
				t.Fatalf("operation %d (for ever: %v), restart: %v\n%s", n, forever, err, strings.Join(fsys.Log(), "\n"))
			}
			o := durabletest.CrashOptions{PerPrefix: 6, Seed: uint64(n), From: fsys.Ops()}
			err := fsys.Crashes(o, func(c durabletest.Crash) error { return h.verify(c.FS, c.Prefix) })
			if err != nil {
				t.Fatalf("operation %d (for ever: %v): %v\n%s", n, forever, err, strings.Join(fsys.Log(), "\n"))
			}
		}
		if !reached {
			t.Logf("%d operations", n)
			return
		}
	}
}

// A sync that failed must not be repeated on the same file: the second would
// succeed without having written anything.
func TestAFailedSyncIsNotRetried(t *testing.T) {
	fsys := durabletest.New()
	l := mustOpen(t, dir, small(fsys))
	mustAppend(t, l, []byte("one"))
	fsys.Fail(2, false, nil) // the write passes, its sync does not
	if no := mustAppend(t, l, []byte("two")); no != 2 {
		t.Fatalf("number %d", no)
	}
	log := fsys.Log()
	failed := ""
	for _, line := range log {
		if name, ok := strings.CutSuffix(line, " (failed)"); ok {
			failed = name
		} else if failed != "" && line == failed {
			t.Errorf("%s again after it failed", line)
		}
	}
	if failed == "" {
		t.Fatal("no sync failed")
	}
	if _, err := fsys.Lstat(filepath.Join(dir, "00000000000000000002.seg")); err != nil {
		t.Error(err)
	}
	if w := l.Health(); len(w) != 1 || w[0].Code != durable.WarnSuspect {
		t.Errorf("health %+v", w)
	}
	if got := fmt.Sprint(mustRead(t, l)); got != "[{1 one} {2 two}]" {
		t.Error(got)
	}
	fsys.Fail(1, true, nil)
	if _, err := l.Append(context.Background(), []byte("three")); !errors.Is(err, durable.ErrUnhealthy) || !errors.Is(err, durabletest.ErrInjected) {
		t.Errorf("with a dead disk: %v", err)
	}
	fsys.Fail(0, false, nil)
	if _, err := l.Append(context.Background(), []byte("four")); !errors.Is(err, durable.ErrUnhealthy) {
		t.Errorf("unhealthy until reopened: %v", err)
	}
	if w := l.Health(); w[0].Code != durable.WarnUnhealthy {
		t.Errorf("health %+v", w)
	}
	if got := len(mustRead(t, l)); got != 2 {
		t.Errorf("%d records readable", got)
	}
	l.Close()
	l = mustOpen(t, dir, small(fsys))
	mustAppend(t, l, []byte("five"))
}

// What a failed sync left half written in the old segment is not damage.
func TestTheRemainsOfAFailedCommitAreNotDamage(t *testing.T) {
	fsys := durabletest.New()
	l := mustOpen(t, dir, small(fsys))
	mustAppend(t, l, payload(1, 100))
	fsys.Fail(2, false, nil)
	mustAppend(t, l, payload(2, 250), payload(3, 250), payload(4, 250))
	o := durabletest.CrashOptions{PerPrefix: 256, Seed: 5, From: fsys.Ops()}
	err := fsys.Crashes(o, func(c durabletest.Crash) error {
		l, err := durable.Open(dir, small(c.FS))
		if err != nil {
			return err
		}
		defer l.Close()
		got, err := readAll(l)
		if err != nil || len(got) != 4 || len(l.Health()) != 0 {
			return fmt.Errorf("%d records, %v, %+v", len(got), err, l.Health())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAFullDiskPasses(t *testing.T) {
	fsys := durabletest.New()
	l := mustOpen(t, dir, small(fsys))
	mustAppend(t, l, payload(1, 900))
	fsys.Fail(1, true, syscall.ENOSPC)
	_, err := l.Append(context.Background(), payload(2, 900))
	if !errors.Is(err, durable.ErrFull) || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("full disk: %v", err)
	}
	fsys.Fail(0, false, nil)
	if no := mustAppend(t, l, payload(2, 900)); no != 2 {
		t.Errorf("number %d", no)
	}
	if got := mustRead(t, l); len(got) != 2 {
		t.Errorf("%d records", len(got))
	}
}
