package wipe_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fieldpost/fieldpost/agent/wipe"
	"github.com/fieldpost/fieldpost/protocol/durable"
	"github.com/fieldpost/fieldpost/protocol/durable/durabletest"
)

// site is a state with a file of everything, and what its owner does for a wipe.
func site(t *testing.T, fsys durable.FS, dir string, did *[]string) wipe.Config {
	t.Helper()
	for _, name := range []string{"journal/1.seg", "measure/checkpoint", "measure/closed/1.win", "outbox/head", "ledger/entries/1.seg", "consent/1.json",
		"catalogs/x.json", "enrolment.json", "key.json", "state.json", "lock", "photo.jpg", "my files/letter"} {
		path := filepath.Join(dir, name)
		if err := errors.Join(durable.MkdirAll(fsys, filepath.Dir(path), 0o700), durable.WriteFile(fsys, path, []byte(name), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	do := func(what string) error { *did = append(*did, what); return nil }
	return wipe.Config{Dir: dir, FS: fsys, Destroy: func() error { return do("destroy") }, Renew: func() error { return do("renew") },
		Note: func(_ context.Context, o wipe.Order) error { return do("note") }}
}

func names(t *testing.T, fsys durable.FS, dir string) (out []string) {
	t.Helper()
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestAWipeDeletesWhatItSaysAndNothingElse(t *testing.T) {
	for want, o := range map[string]wipe.Order{
		"ledger lock my files photo.jpg destroy destroy note":                                                           {},
		"catalogs consent enrolment.json key.json ledger lock my files photo.jpg state.json destroy destroy note renew": {KeepEnrolment: true},
		"lock my files photo.jpg destroy destroy":                                                                       {Ledger: true},
	} {
		var did []string
		dir := t.TempDir()
		c := site(t, durable.OS(), dir, &did)
		if wipe.Pending(c.FS, dir) {
			t.Error("a wipe waits before it was begun")
		}
		if _, err := wipe.Begin(c, o.KeepEnrolment, o.Ledger); err != nil || !wipe.Pending(c.FS, dir) || !slices.Equal(did, []string{"destroy"}) {
			t.Fatal(err, did)
		}
		if err := wipe.Finish(t.Context(), c); err != nil || wipe.Pending(c.FS, dir) {
			t.Fatal(err)
		}
		if got := strings.Join(append(names(t, c.FS, dir), did...), " "); got != want {
			t.Errorf("%+v leaves %s\nwant %s", o, got, want)
		}
		if err := wipe.Finish(t.Context(), c); err != nil || len(did) != len(strings.Fields(want[strings.Index(want, "destroy"):])) {
			t.Errorf("without a wipe there is something to finish: %v %v", err, did)
		}
	}
}

// After a power failure at any moment the next Finish ends as the first would have; before Begin has returned it may
// also not have begun.
func TestAWipeThatWasCutOffIsFinished(t *testing.T) {
	fsys := durabletest.New()
	var did []string
	site(t, fsys, "/s", &did)
	fsys = fsys.Clone()
	c := wipe.Config{Dir: "/s", FS: fsys, Destroy: func() error { return nil }, Renew: func() error { return nil }, Note: func(context.Context, wipe.Order) error { return nil }}
	if _, err := wipe.Begin(c, false, false); err != nil {
		t.Fatal(err)
	}
	begun := fsys.Ops()
	if err := wipe.Finish(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	err := fsys.Crashes(durabletest.CrashOptions{PerPrefix: 8}, func(x durabletest.Crash) error {
		c := c
		c.FS = x.FS
		pending := wipe.Pending(c.FS, "/s")
		if err := wipe.Finish(t.Context(), c); err != nil {
			return err
		}
		left := strings.Join(names(t, x.FS, "/s"), " ")
		left = strings.TrimSpace(strings.ReplaceAll(left, "wiping.json", ""))
		if done := left == "ledger lock my files photo.jpg"; !done && (pending || x.Prefix >= begun) {
			return fmt.Errorf("left: %s", left)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// What was asked for cannot be read any more: what was measured goes, the rest stays.
func TestADamagedOrderKeepsWhatItNeedNotDelete(t *testing.T) {
	var did []string
	dir := t.TempDir()
	c := site(t, durable.OS(), dir, &did)
	if err := os.WriteFile(filepath.Join(dir, "wiping.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := wipe.Finish(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(names(t, c.FS, dir), " "); got != "catalogs consent enrolment.json key.json ledger lock my files photo.jpg state.json" {
		t.Errorf("left: %s", got)
	}
}

// The journal may lie on another disk, by a link: it is emptied, and what the links inside it lead to stays.
func TestS70_LinksAreNotFollowedOutOfTheState(t *testing.T) {
	var did []string
	dir, disk, outside := t.TempDir(), t.TempDir(), t.TempDir()
	c := site(t, durable.OS(), dir, &did)
	for _, err := range []error{os.RemoveAll(filepath.Join(dir, "journal")), os.Symlink(disk, filepath.Join(dir, "journal")),
		os.WriteFile(filepath.Join(disk, "1.seg"), nil, 0o600), os.WriteFile(filepath.Join(outside, "mine"), nil, 0o600),
		os.Symlink(outside, filepath.Join(disk, "trap")), os.Symlink(outside, filepath.Join(dir, "measure", "trap"))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := wipe.Begin(c, true, false); err != nil {
		t.Fatal(err)
	}
	if err := wipe.Finish(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if got := names(t, c.FS, disk); len(got) != 0 {
		t.Errorf("on the other disk: %v", got)
	}
	if got := names(t, c.FS, outside); len(got) != 1 {
		t.Error("a link was followed out of the state")
	}
	if got := names(t, c.FS, dir); !slices.Contains(got, "journal") || slices.Contains(got, "measure") {
		t.Errorf("left: %v", got)
	}
}
