// Package harness starts the real programs for the end-to-end tests: it builds them once for a
// test binary, gives each test an agent with a state directory and ports of its own, runs
// commands beside it, and stands in for what surrounds a site (a collector, a network of its
// own, a small disk).
//
// Invariants: every process that was started ends with its test; programs listen on loopback
// only; nothing of the environment that would change a program's mind (FIELDPOST_…,
// DO_NOT_TRACK, proxies) reaches it; tools that a bare laptop lacks make a test skip there and
// fail where CI=true. There is no state on disk outside the tests' own temporary folders.
package harness

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// binaries names the folder with the built programs for the processes of one test run.
const binaries = "FIELDPOST_E2E_BIN"

// Main builds the programs, runs the tests and gives the exit code: os.Exit(harness.Main(m,
// "fieldpost-agent")). A folder that is set already is used as it is.
func Main(m *testing.M, programs ...string) int { return main(m, race, programs) }

// MainPlain is Main for tests that put much through the programs: they are built as they are shipped,
// without the race detector even where the tests have it.
func MainPlain(m *testing.M, programs ...string) int { return main(m, false, programs) }

func main(m *testing.M, race bool, programs []string) int {
	if os.Getenv(binaries) != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "fieldpost-e2e-")
	if err == nil {
		err = os.Chmod(dir, 0o755) // other users run them too
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "making a folder for the programs:", err)
		return 1
	}
	code := 1
	if err := build(dir, race, programs); err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else if err := os.Setenv(binaries, dir); err == nil {
		code = m.Run()
	}
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, "removing the programs:", err)
		return 1
	}
	return code
}

func build(dir string, race bool, programs []string) error {
	args := []string{"build", "-o", dir + string(filepath.Separator)}
	if race {
		args = append(args, "-race")
	} else {
		args = append(args, "-trimpath", "-ldflags", "-s -w")
	}
	for _, p := range programs {
		args = append(args, "github.com/fieldpost/fieldpost/installer/cmd/"+p)
	}
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", strings.Join(programs, ", "), err, out)
	}
	return nil
}

// Binary is the path of a built program.
func Binary(tb testing.TB, program string) string {
	tb.Helper()
	dir := os.Getenv(binaries)
	if dir == "" {
		tb.Fatal("no programs were built: TestMain has to call harness.Main")
	}
	path := filepath.Join(dir, program)
	if _, err := exec.LookPath(path); err != nil {
		tb.Fatal(err)
	}
	return path
}

// Need skips the test where a program is missing; where CI=true it fails.
func Need(tb testing.TB, program, why string) string {
	tb.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		Missing(tb, program+" is not installed: "+why)
	}
	return path
}

// Missing skips the test for want of something; where CI=true it fails.
func Missing(tb testing.TB, what string) {
	tb.Helper()
	if os.Getenv("CI") == "true" {
		tb.Fatal(what)
	}
	tb.Skip(what)
}

// NeedRoot skips the test for other users; where CI=true it fails.
func NeedRoot(tb testing.TB, why string) {
	tb.Helper()
	if os.Geteuid() != 0 {
		Missing(tb, "not root: "+why)
	}
}

// patience is how long a process may take for what it does at once; only a hang takes so long.
const patience = 30 * time.Second

// Eventually asks until it is so, or fails with the last reason why not.
func Eventually(tb testing.TB, ask func() error) {
	tb.Helper()
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = ask(); err == nil {
			return
		}
	}
	tb.Fatalf("still not so after %s: %v", patience, err)
}

// environment is this process' without what would change a program's mind, and with extra.
func environment(home string, extra []string) []string {
	env := []string{"HOME=" + home}
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		switch {
		case strings.HasPrefix(name, "FIELDPOST_"), name == "HOME", name == "DO_NOT_TRACK", name == "CREDENTIALS_DIRECTORY",
			strings.HasSuffix(strings.ToLower(name), "_proxy"):
			continue
		}
		env = append(env, kv)
	}
	return append(env, extra...)
}

// Result is how a command ended.
type Result struct {
	Code           int
	Stdout, Stderr string
}

// ended reads the exit code out of what exec says.
func ended(tb testing.TB, err error) int {
	tb.Helper()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	tb.Fatal(err)
	return -1
}
