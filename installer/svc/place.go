package svc

import (
	"errors"
	"fmt"
	"os"
	"path"
	"regexp"
	"strings"
	"unicode"
)

var (
	nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	// A path after the colon would make a missing file fatal to systemd.
	credentialForm = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}:[A-Za-z0-9._-]{1,64}$`)
)

// place is where a service stands on one kind of system.
type place struct {
	kind       string
	executable string
	arguments  []string
	state      string
	user       string
}

func (s *Service) place(kind string) (place, error) {
	c := s.cfg
	p := place{kind: kind, executable: c.Executable, state: c.StateDir, user: c.User}
	switch kind {
	case "systemd":
		p.fill("/usr/local/bin/"+c.Name, "/var/lib/"+c.Name, "")
	case "launchd":
		p.fill("/usr/local/bin/"+c.Name, "/Library/Application Support/"+c.Name, "daemon")
	case "windows":
		p.fill(`C:\Program Files\`+c.Name+`\`+c.Name+`.exe`, `C:\ProgramData\`+c.Name, `NT SERVICE\`+c.Name)
	default:
		return place{}, &Error{
			code: "service_kind", doing: "choosing the unit text", err: fmt.Errorf("unknown kind %q", kind),
			hint: "Try: systemd, launchd or windows.",
		}
	}
	p.arguments = append([]string(nil), c.Arguments...)
	if c.StateFlag != "" {
		p.arguments = append(p.arguments, c.StateFlag, p.state)
	}
	return p, nil
}

// fill puts the customary values where nothing was given. The running program
// stands for the executable only on its own kind of system.
func (p *place) fill(executable, state, user string) {
	if p.executable == "" && p.kind == nativeKind() {
		if self, err := os.Executable(); err == nil && !strings.ContainsFunc(self, unicode.IsControl) && !strings.Contains(self, "{{") {
			p.executable = self
		}
	}
	if p.executable == "" {
		p.executable = executable
	}
	if p.state == "" {
		p.state = state
	}
	if p.user == "" {
		p.user = user
	}
}

func (p place) text(c Config) string {
	switch p.kind {
	case "launchd":
		return launchd(c, p)
	case "windows":
		return windows(c, p)
	default:
		return systemd(c, p)
	}
}

// commandLine is the command as a person would type it.
func (p place) commandLine() string {
	words := []string{systemdWord(p.executable)}
	for _, a := range p.arguments {
		words = append(words, systemdWord(a))
	}
	return strings.Join(words, " ")
}

// managerMakesState reports whether the service manager itself makes the state
// directory and gives it to the service's user.
func (p place) managerMakesState() bool {
	return p.kind == "systemd" && strings.HasPrefix(path.Clean(p.state), "/var/lib/")
}

// installable refuses what would install and then never start.
func (p place) installable(c Config) error {
	if p.kind != "systemd" {
		return nil
	}
	for _, hidden := range []string{"/home/", "/root/", "/run/user/", "/tmp/", "/var/tmp/"} {
		if strings.HasPrefix(p.executable, hidden) {
			return &Error{
				code: "service_config", doing: "checking the executable",
				err:  fmt.Errorf("%s lies under %s, which the confined service cannot see", p.executable, hidden),
				hint: "Try: copy the program to /usr/local/bin and run `service install` from there.",
			}
		}
	}
	if !p.managerMakesState() && p.user == "" {
		return &Error{
			code: "service_config", doing: "checking the state directory",
			err:  fmt.Errorf("%s is outside /var/lib, where only a fixed user can own it", p.state),
			hint: "Try: a state directory under /var/lib, or name the user that owns this one.",
		}
	}
	return nil
}

func (c Config) check() error {
	bad := func(field string, why error) error {
		return &Error{
			code: "service_config", doing: "checking the service's " + field, err: why,
			hint: "Try: plain text on one line.",
		}
	}
	if !nameForm.MatchString(c.Name) {
		return bad("name", fmt.Errorf("%q is not of letters, digits, '-', '_' and '.' (at most 64)", c.Name))
	}
	if c.Credential != "" && !credentialForm.MatchString(c.Credential) {
		return bad("credential", fmt.Errorf("%q is not ID:NAME with NAME a file in /etc/credstore", c.Credential))
	}
	fields := map[string]string{
		"display name": c.DisplayName, "description": c.Description, "documentation": c.Documentation,
		"executable": c.Executable, "state flag": c.StateFlag, "state directory": c.StateDir,
		"user": c.User, "memory limit": c.MemoryMax,
	}
	for _, a := range c.Arguments {
		fields[fmt.Sprintf("argument %q", a)] = a
	}
	for field, v := range fields {
		if strings.ContainsFunc(v, unicode.IsControl) {
			return bad(field, errors.New("it holds a control character"))
		}
		if strings.Contains(v, "{{") {
			return bad(field, errors.New("it holds {{"))
		}
	}
	for field, v := range map[string]string{"executable": c.Executable, "state directory": c.StateDir} {
		if v != "" && !strings.HasPrefix(v, "/") && !windowsAbsolute(v) {
			return bad(field, fmt.Errorf("%q is not an absolute path", v))
		}
	}
	return nil
}

func windowsAbsolute(p string) bool {
	return len(p) > 2 && p[1] == ':' && (p[2] == '\\' || p[2] == '/')
}
