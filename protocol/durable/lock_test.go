package durable_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/fieldpost/fieldpost/protocol/durable"
	"github.com/fieldpost/fieldpost/protocol/durable/durabletest"
)

func TestOneProcessPerFolder(t *testing.T) {
	if d := os.Getenv("DURABLE_LOCK_DIR"); d != "" {
		// The second process: says what it was told.
		_, err := durable.Lock(d)
		var locked *durable.LockedError
		if errors.As(err, &locked) && errors.Is(err, durable.ErrLocked) {
			t.Logf("held by %d", locked.PID)
			return
		}
		t.Fatalf("lock: %v", err)
	}
	d := t.TempDir()
	lock, err := durable.Lock(d)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestOneProcessPerFolder$", "-test.v")
	cmd.Env = append(os.Environ(), "DURABLE_LOCK_DIR="+d)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "held by "+strconv.Itoa(os.Getpid())) {
		t.Fatalf("second process: %v\n%s", err, out)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := durable.Lock(d)
	if err != nil {
		t.Fatalf("after release: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := durable.Lock(filepath.Join(d, "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing folder: %v", err)
	}
}

func TestWriteFileReplacesALinkInsteadOfFollowingIt(t *testing.T) {
	d := t.TempDir()
	victim, path := filepath.Join(d, "victim"), filepath.Join(d, "f")
	if err := os.WriteFile(victim, []byte("untouched"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, path); err != nil {
		t.Skip("no links here:", err)
	}
	if _, err := durable.ReadFile(durable.OS(), path, 100); err == nil {
		t.Error("ReadFile followed a link")
	}
	if err := durable.WriteFile(durable.OS(), path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(victim); string(b) != "untouched" {
		t.Errorf("victim is %q", b)
	}
	if b, err := durable.ReadFile(durable.OS(), path, 100); err != nil || string(b) != "mine" {
		t.Errorf("content %q, %v", b, err)
	}
	if _, err := durable.ReadFile(durable.OS(), path, 3); !errors.Is(err, durable.ErrTooLarge) {
		t.Errorf("limit: %v", err)
	}
}

func TestCleanTempsTakesOnlyItsOwn(t *testing.T) {
	fsys := durabletest.New()
	if err := durable.MkdirAll(fsys, "/d", 0o700); err != nil {
		t.Fatal(err)
	}
	stay := []string{"/d/f", "/d/f.fptmp", "/d/.fptmp", "/d/f.0123456789abcdeX.fptmp", "/d/f.0123456789abcdef.fptmp.bak"}
	for _, name := range append(stay, "/d/f.0123456789abcdef.fptmp") {
		f, err := fsys.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	if err := durable.CleanTemps(fsys, "/d"); err != nil {
		t.Fatal(err)
	}
	left, err := fsys.ReadDir("/d")
	if err != nil || len(left) != len(stay) {
		t.Errorf("left %v, %v", left, err)
	}
	if err := durable.Rename(fsys, "/d/f", "/d/g"); err != nil {
		t.Fatal(err)
	}
	if err := durable.Remove(fsys, "/d/g"); err != nil {
		t.Fatal(err)
	}
	if err := durable.Remove(fsys, "/d/g"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("removing twice: %v", err)
	}
}
