//go:build unix

package cli

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestWhatRootMadeInAServiceStateIsGivenBack(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("CI has to run as root, which alone can leave files that another user cannot open")
		}
		t.Skip("only root can leave files that another user cannot open")
	}
	state, outside := filepath.Join(t.TempDir(), "state"), filepath.Join(t.TempDir(), "outside")
	for _, err := range []error{os.Mkdir(state, 0o700), os.Chown(state, 65534, 65534), os.Mkdir(filepath.Join(state, "consent"), 0o700),
		os.WriteFile(filepath.Join(state, "consent", "000001.json"), nil, 0o600), os.WriteFile(outside, nil, 0o600),
		os.Link(outside, filepath.Join(state, "hard")), os.Symlink(outside, filepath.Join(state, "soft"))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := giveBack(state); err != nil {
		t.Fatal(err)
	}
	uid := func(path string) uint32 {
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Sys().(*syscall.Stat_t).Uid
	}
	for path, want := range map[string]uint32{filepath.Join(state, "consent"): 65534, filepath.Join(state, "consent", "000001.json"): 65534, outside: 0} {
		if got := uid(path); got != want {
			t.Errorf("%s belongs to %d, want %d", path, got, want)
		}
	}
}
