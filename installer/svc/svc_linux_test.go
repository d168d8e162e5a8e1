package svc

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/kardianos/service"
)

func TestRunEndsOnSignalAndReturnsTheError(t *testing.T) {
	s := mustNew(t, agentConfig())
	want := errors.New("ended")
	got := s.Run(t.Context(), func(ctx context.Context) error {
		if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
			return err
		}
		<-ctx.Done()
		return want
	})
	if !errors.Is(got, want) {
		t.Errorf("Run returned %v, want %v", got, want)
	}
}

// TestInstallThroughTheLibrary runs install, start, status, stop and uninstall
// in a process of its own that believes systemd is there: a recording
// systemctl stands in PATH and the unit goes into a user's home. What the
// library writes must be our text, byte for byte.
func TestInstallThroughTheLibrary(t *testing.T) {
	if home := os.Getenv("SVC_TEST_CHILD"); home != "" {
		installChild(t, home)
		return
	}
	dir := t.TempDir()
	script := "#!/bin/sh\necho \"$@\" >> " + dir + "/calls\n[ \"$1\" = is-active ] && echo active\nexit 0\n"
	// The library takes a machine with rpm-ostree for one with systemd.
	for _, name := range []string{"systemctl", "rpm-ostree"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestInstallThroughTheLibrary$", "-test.v")
	cmd.Env = append(os.Environ(), "SVC_TEST_CHILD="+dir, "HOME="+dir, "PATH="+dir+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	calls, err := os.ReadFile(filepath.Join(dir, "calls"))
	if err != nil {
		t.Fatal(err)
	}
	var done []string
	for _, l := range strings.Split(strings.TrimSpace(string(calls)), "\n") {
		verb, _, _ := strings.Cut(l, " ")
		done = append(done, verb)
	}
	want := []string{"enable", "daemon-reload", "start", "is-active", "stop", "is-active", "stop", "disable", "daemon-reload"}
	if diff := cmp.Diff(want, done); diff != "" {
		t.Errorf("what systemctl was asked:\n%s", diff)
	}
}

func installChild(t *testing.T, home string) {
	s := mustNew(t, agentConfig())
	s.options = service.KeyValue{"UserService": true}
	if err := s.Install(); err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(home, ".config/systemd/user/fieldpost-agent.service")
	got, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	want, err := s.Print("systemd")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("the installed unit is not the printed one:\n%s", diff)
	}
	if err := s.Install(); codeOf(err) != "service_exists" {
		t.Errorf("a second install gave %v", err)
	}
	if err := s.Start(); err != nil {
		t.Error(err)
	}
	if st, err := s.Status(); st != Running || err != nil {
		t.Errorf("status %q, %v", st, err)
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	if err := s.Uninstall(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(unit); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the unit is still there: %v", err)
	}
}

func TestWithoutSystemdNothingIsWritten(t *testing.T) {
	if service.Platform() == "linux-systemd" {
		t.Skip("this machine is run by systemd")
	}
	if err := mustNew(t, agentConfig()).Install(); codeOf(err) != "service_unsupported" {
		t.Errorf("Install without systemd gave %v", err)
	}
}
