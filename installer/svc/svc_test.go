package svc

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/kardianos/service"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// agentConfig and collectorConfig stand for what the two mains give.
func agentConfig() Config {
	return Config{
		Name: "fieldpost-agent", DisplayName: "Fieldpost agent",
		Description:   "Fieldpost agent: measures at this site, sends what was consented to",
		Documentation: "https://github.com/fieldpost/fieldpost",
		Executable:    "/usr/local/bin/fieldpost-agent",
		Arguments:     []string{"run"}, StateFlag: "--state",
		Credential: "token:fieldpost-agent.token", MemoryMax: "256M", Background: true,
	}
}

func collectorConfig() Config {
	return Config{
		Name: "fieldpost-collector", DisplayName: "Fieldpost collector", Description: "Fieldpost collector",
		Arguments: []string{"serve", "--listen", ":8443"}, StateFlag: "--data",
		StateDir: "/srv/field post/100%", User: "fieldpost",
	}
}

func mustNew(t *testing.T, c Config) *Service {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestGoldenPrint(t *testing.T) {
	collector := collectorConfig()
	collector.Executable = "/opt/Field Post/bin/$collector"
	winCollector := collectorConfig()
	winCollector.Executable, winCollector.StateDir, winCollector.User = `C:\Program Files\O'Brien\c.exe`, `D:\field post\`, `CORP\svc-fp`
	for _, c := range []struct {
		file, kind string
		cfg        Config
	}{
		{"agent.service", "systemd", agentConfig()},
		{"agent.plist", "launchd", agentConfig()},
		{"agent.ps1", "windows", func() Config { c := agentConfig(); c.Executable = ""; return c }()},
		{"collector.service", "systemd", collector},
		{"collector.plist", "launchd", collector},
		{"collector.ps1", "windows", winCollector},
	} {
		t.Run(c.file, func(t *testing.T) {
			got, err := mustNew(t, c.cfg).Print(c.kind)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", c.file)
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s differs; `go tool dev golden` rewrites it after a look:\n%s", file, diff)
			}
		})
	}
}

// systemdAnalyze returns the tool's path; where it is missing, a laptop skips
// and CI fails.
func systemdAnalyze(t *testing.T) string {
	t.Helper()
	tool, err := exec.LookPath("systemd-analyze")
	if err == nil {
		return tool
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("systemd-analyze is needed in CI: install the package systemd")
	}
	t.Skip("systemd-analyze is not installed")
	return ""
}

// writeUnit writes the unit with an executable that exists, as verify wants it.
func writeUnit(t *testing.T, c Config) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c.Executable = self
	text, err := mustNew(t, c).Print("systemd")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), c.Name+".service")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestSystemdVerifies(t *testing.T) {
	tool := systemdAnalyze(t)
	for _, c := range []Config{agentConfig(), collectorConfig()} {
		out, err := exec.Command(tool, "verify", "--man=no", writeUnit(t, c)).CombinedOutput()
		if err != nil || len(strings.TrimSpace(string(out))) > 0 {
			t.Errorf("systemd-analyze verify %s: %v\n%s", c.Name, err, out)
		}
	}
}

// TestSystemdVerifyFindsMistakes shows that the test above can fail.
func TestSystemdVerifyFindsMistakes(t *testing.T) {
	tool := systemdAnalyze(t)
	file := writeUnit(t, agentConfig())
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	bad := strings.Replace(string(text), "ProtectClock=yes", "ProtectClocks=perhaps", 1)
	if err := os.WriteFile(file, []byte(bad), 0o644); err != nil {
		t.Fatal(err)
	}
	out, _ := exec.Command(tool, "verify", "--man=no", file).CombinedOutput()
	if !strings.Contains(string(out), "ProtectClocks") {
		t.Errorf("an unknown key passed unseen: %q", out)
	}
}

var exposure = regexp.MustCompile(`Overall exposure level for [^:]+: ([0-9.]+)`)

func TestS73_ServiceIsConfined(t *testing.T) {
	tool := systemdAnalyze(t)
	for _, c := range []Config{agentConfig(), collectorConfig()} {
		out, err := exec.Command(tool, "security", "--offline=true", "--no-pager", writeUnit(t, c)).CombinedOutput()
		if err != nil {
			t.Fatalf("systemd-analyze security %s: %v\n%s", c.Name, err, out)
		}
		m := exposure.FindSubmatch(out)
		if m == nil {
			t.Fatalf("no exposure level in:\n%s", out)
		}
		level, err := strconv.ParseFloat(string(m[1]), 64)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: exposure %.1f", c.Name, level)
		if level > 2.0 {
			t.Errorf("%s: exposure %.1f, at most 2.0 wanted:\n%s", c.Name, level, out)
		}
	}
}

func codeOf(err error) string {
	var e *Error
	if !errors.As(err, &e) || e.Hint() == "" {
		return ""
	}
	return e.Code()
}

func TestConfigThatBreaksOutIsRefused(t *testing.T) {
	for name, spoil := range map[string]func(*Config){
		"no name":              func(c *Config) { c.Name = "" },
		"name with a path":     func(c *Config) { c.Name = "../evil" },
		"newline in text":      func(c *Config) { c.Description = "x\nExecStartPre=/bin/sh" },
		"newline in argument":  func(c *Config) { c.Arguments = []string{"run\nUser=root"} },
		"template in argument": func(c *Config) { c.Arguments = []string{"{{Path}}"} },
		"relative executable":  func(c *Config) { c.Executable = "bin/agent" },
		"relative state":       func(c *Config) { c.StateDir = "state" },
		"credential by path":   func(c *Config) { c.Credential = "token:/etc/token" },
		"NUL in user":          func(c *Config) { c.User = "a\x00b" },
	} {
		c := agentConfig()
		spoil(&c)
		if _, err := New(c); codeOf(err) != "service_config" {
			t.Errorf("%s: New gave %v", name, err)
		}
	}
}

func TestUnknownKindNamesTheKnownOnes(t *testing.T) {
	_, err := mustNew(t, agentConfig()).Print("upstart")
	if codeOf(err) != "service_kind" {
		t.Errorf("Print(upstart) gave %v", err)
	}
}

func TestHiddenPlacesAreRefusedBeforeInstalling(t *testing.T) {
	for _, c := range []Config{
		func() Config { c := agentConfig(); c.Executable = "/home/ann/fieldpost-agent"; return c }(),
		func() Config { c := agentConfig(); c.StateDir = "/srv/state"; return c }(),
	} {
		p, err := mustNew(t, c).place("systemd")
		if err != nil {
			t.Fatal(err)
		}
		if err := p.installable(c); codeOf(err) != "service_config" {
			t.Errorf("%s, %s: %v", c.Executable, c.StateDir, err)
		}
	}
}

func TestStatusWords(t *testing.T) {
	for _, c := range []struct {
		st   service.Status
		err  error
		want string
	}{
		{service.StatusRunning, nil, Running},
		{service.StatusStopped, nil, Stopped},
		{service.StatusUnknown, service.ErrNotInstalled, NotInstalled},
		{service.StatusUnknown, errors.New("service in failed state"), Failed},
	} {
		if got, err := status(c.st, c.err); got != c.want || err != nil {
			t.Errorf("status(%v, %v) = %q, %v; want %q", c.st, c.err, got, err, c.want)
		}
	}
	if _, err := status(service.StatusUnknown, errors.New("connection to the bus")); codeOf(err) != "service_manager" {
		t.Errorf("an unknown error came back as %v", err)
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	for code, err := range map[string]error{
		"service_permission":  fmt.Errorf("opening unit: %w", os.ErrPermission),
		"service_exists":      errors.New("Init already exists: /etc/systemd/system/x.service"),
		"service_missing":     service.ErrNotInstalled,
		"service_unsupported": service.ErrNoServiceSystemDetected,
		"service_manager":     errors.New("something else"),
	} {
		got := explain("installing service x", err)
		if codeOf(got) != code || !errors.Is(got, err) {
			t.Errorf("explain(%v) = %v with code %q, want %q", err, got, codeOf(got), code)
		}
	}
}

func TestRunEndsWhenTheProgramDoes(t *testing.T) {
	want := errors.New("port in use")
	if got := mustNew(t, agentConfig()).Run(t.Context(), func(context.Context) error { return want }); !errors.Is(got, want) {
		t.Errorf("Run returned %v, want %v", got, want)
	}
}
