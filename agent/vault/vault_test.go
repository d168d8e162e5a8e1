package vault_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/fieldpost/fieldpost/agent/vault"
	"github.com/fieldpost/fieldpost/protocol/durable"
	"github.com/fieldpost/fieldpost/protocol/durable/durabletest"
)

func open(t testing.TB, c vault.Config) *vault.Vault {
	t.Helper()
	v, err := vault.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func fresh(t testing.TB) *vault.Vault {
	t.Helper()
	return open(t, vault.Config{Dir: t.TempDir(), Make: true})
}

// frame is a record with the room to seal it.
func frame(r *vault.Records, content string) []byte {
	before, after := r.Room()
	return append(append(make([]byte, before), content...), make([]byte, after)...)
}

func TestTheKeyIsMadeOnceForItsOwnerOnly(t *testing.T) {
	dir := t.TempDir()
	first := open(t, vault.Config{Dir: dir, Make: true})
	text, err := os.ReadFile(filepath.Join(dir, "site.key"))
	if err != nil {
		t.Fatal(err)
	}
	if key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text))); err != nil || len(key) != vault.KeySize || bytes.Equal(key, make([]byte, len(key))) {
		t.Errorf("the key file does not hold 32 random bytes: %v", err)
	}
	for _, name := range []string{"site.key", "vault.json"} {
		if info, err := os.Lstat(filepath.Join(dir, name)); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, info.Mode(), err)
		}
	}
	r := first.Records("journal")
	b := frame(r, "content")
	r.Seal(7, b)
	again := open(t, vault.Config{Dir: dir}).Records("journal")
	if got, err := again.Open(7, nil, b); err != nil || string(got) != "content" {
		t.Errorf("after reopening: %q %v", got, err)
	}
	other := t.TempDir()
	open(t, vault.Config{Dir: other, Make: true})
	if text2, _ := os.ReadFile(filepath.Join(other, "site.key")); bytes.Equal(text, text2) {
		t.Error("two sites have the same key")
	}
}

func TestS70_AKeyThatOthersCanReadIsRefused(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the folder's access list decides there")
	}
	dir := t.TempDir()
	open(t, vault.Config{Dir: dir, Make: true})
	path, outside := filepath.Join(dir, "site.key"), filepath.Join(t.TempDir(), "credential")
	key, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(outside, key, 0o600); err != nil {
		t.Fatal(err)
	}
	for mode := fs.FileMode(0o400); mode <= 0o777; mode++ {
		if mode&0o400 == 0 {
			continue
		}
		for file, others := range map[string]fs.FileMode{path: 0o077, outside: 0o037} {
			if err := os.Chmod(file, mode); err != nil {
				t.Fatal(err)
			}
			_, err := vault.Open(vault.Config{Dir: dir, KeyFile: file})
			if wide := mode&others != 0; wide != errors.Is(err, vault.ErrOpenToOthers) || !wide && err != nil {
				t.Fatalf("%s with mode %v: %v", file, mode, err)
			}
		}
	}
}

func TestS70_AKeyFileMustBeAPlainFileWithAKey(t *testing.T) {
	for name, plant := range map[string]func(path, key string) error{
		"link":       func(path, key string) error { return os.Symlink(key, path) },
		"folder":     func(path, _ string) error { return os.Mkdir(path, 0o700) },
		"empty":      func(path, _ string) error { return os.WriteFile(path, nil, 0o600) },
		"too short":  func(path, _ string) error { return os.WriteFile(path, []byte("c2hvcnQ="), 0o600) },
		"not base64": func(path, _ string) error { return os.WriteFile(path, []byte(strings.Repeat("?", 44)), 0o600) },
		"huge":       func(path, _ string) error { return os.WriteFile(path, make([]byte, 1<<20), 0o600) },
	} {
		dir := t.TempDir()
		open(t, vault.Config{Dir: dir, Make: true})
		kept := filepath.Join(t.TempDir(), "key")
		path := filepath.Join(dir, "site.key")
		if err := errors.Join(os.Rename(path, kept), plant(path, kept)); err != nil {
			t.Fatal(err)
		}
		if _, err := vault.Open(vault.Config{Dir: dir, Make: true}); !errors.Is(err, vault.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Nothing is ever made anew where something may be sealed: that would be losing it in silence.
func TestALostOrWrongKeyIsSaidAndNothingIsMadeAnew(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(dir string) error
		want  error
	}{
		"no key":       {func(dir string) error { return os.Remove(filepath.Join(dir, "site.key")) }, vault.ErrMissing},
		"no salt":      {func(dir string) error { return os.Remove(filepath.Join(dir, "vault.json")) }, vault.ErrMissing},
		"other key":    {func(dir string) error { return copyFrom(dir, "site.key") }, vault.ErrWrong},
		"other salt":   {func(dir string) error { return copyFrom(dir, "vault.json") }, vault.ErrWrong},
		"salt altered": {func(dir string) error { return change(dir, `"sealed":true`, `"sealed":false`) }, vault.ErrWrong},
		"no json":      {func(dir string) error { return os.WriteFile(filepath.Join(dir, "vault.json"), []byte("{"), 0o600) }, vault.ErrWrong},
		"newer":        {func(dir string) error { return change(dir, `"version":1`, `"version":2`) }, vault.ErrNewer},
	} {
		dir := t.TempDir()
		open(t, vault.Config{Dir: dir, Make: true})
		if err := c.spoil(dir); err != nil {
			t.Fatal(err)
		}
		before := listing(t, dir)
		_, err := vault.Open(vault.Config{Dir: dir})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if after := listing(t, dir); after != before {
			t.Errorf("%s: the folder was\n%s and is\n%s", name, before, after)
		}
	}
}

func copyFrom(dir, name string) error {
	other, err := os.MkdirTemp(dir, "other")
	if err != nil {
		return err
	}
	defer os.RemoveAll(other)
	if _, err := vault.Open(vault.Config{Dir: other, Make: true}); err != nil {
		return err
	}
	return os.Rename(filepath.Join(other, name), filepath.Join(dir, name))
}

func change(dir, from, to string) error {
	path := filepath.Join(dir, "vault.json")
	b, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(b), from) {
		return fmt.Errorf("%s is not in it: %v", from, err)
	}
	return os.WriteFile(path, []byte(strings.Replace(string(b), from, to, 1)), 0o600)
}

func listing(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, e := range entries {
		text, _ := os.ReadFile(filepath.Join(dir, e.Name()))
		fmt.Fprintf(&b, "%s %x\n", e.Name(), text)
	}
	return b.String()
}

// A power failure at any moment of the first start leaves a state that the next start opens, with one key.
func TestAFirstStartThatIsCutOffIsCarriedOn(t *testing.T) {
	fsys := durabletest.New()
	if err := durable.MkdirAll(fsys, "/state", 0o700); err != nil {
		t.Fatal(err)
	}
	fsys = fsys.Clone()
	open(t, vault.Config{Dir: "/state", FS: fsys, Make: true})
	n := 0
	err := fsys.Crashes(durabletest.CrashOptions{}, func(c durabletest.Crash) error {
		n++
		v, err := vault.Open(vault.Config{Dir: "/state", FS: c.FS, Make: true})
		if err != nil {
			return err
		}
		b := v.Files("x").Seal("f", make([]byte, v.Files("x").Head()))
		v, err = vault.Open(vault.Config{Dir: "/state", FS: c.FS})
		if err != nil {
			return err
		}
		_, err = v.Files("x").Open("f", b)
		return err
	})
	if err != nil || n < 20 {
		t.Errorf("after %d states: %v", n, err)
	}
}

// Once Destroy has returned, and at every moment of a Destroy that is repeated after a crash, there is no way
// back; no byte of the key is in any file.
func TestDestroyLeavesNothingAndCanBeRepeated(t *testing.T) {
	for _, where := range []string{"", "/elsewhere/key"} {
		fsys := durabletest.New()
		for _, dir := range []string{"/state", "/elsewhere"} {
			if err := durable.MkdirAll(fsys, dir, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		c := vault.Config{Dir: "/state", KeyFile: where, FS: fsys, Make: true}
		open(t, c)
		fsys = fsys.Clone()
		c.FS = fsys
		if err := vault.Destroy(c); err != nil {
			t.Fatal(err)
		}
		err := fsys.Crashes(durabletest.CrashOptions{}, func(x durabletest.Crash) error {
			c := c
			c.FS = x.FS
			if err := vault.Destroy(c); err != nil {
				return err
			}
			if _, err := x.FS.Lstat("/state/vault.json"); !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("the salt is still there: %w", err)
			}
			c.Make = false
			if _, err := vault.Open(c); !errors.Is(err, vault.ErrMissing) {
				return fmt.Errorf("it opens: %w", err)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		_, err = fsys.Lstat("/elsewhere/key")
		if kept := err == nil; kept != (where != "") {
			t.Errorf("a key at %q is kept: %v", where, kept)
		}
		log := strings.Join(fsys.Log(), "\n")
		if at := strings.Index(log, "write /state/vault.json"); at < 0 || at > strings.Index(log, "remove /state/vault.json") {
			t.Errorf("the salt was not overwritten before it was removed:\n%s", log)
		}
	}
}

func TestNoErrorTellsAKey(t *testing.T) {
	dir := t.TempDir()
	open(t, vault.Config{Dir: dir, Make: true})
	path := filepath.Join(dir, "site.key")
	key, _ := os.ReadFile(path)
	secret := strings.TrimSpace(string(key))
	for _, text := range []string{secret[1:], secret + "x", "?" + secret[1:], secret[:40] + "=a=="} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := vault.Open(vault.Config{Dir: dir})
		if err == nil || strings.Contains(err.Error(), secret[2:10]) {
			t.Errorf("%v", err)
		}
	}
	v := fresh(t)
	if s := fmt.Sprintf("%v", v.Sealed()); s != "true" {
		t.Errorf("a new vault is %s", s)
	}
}
