// Package svc makes an OS service out of a Run(ctx) function: it installs,
// removes, starts and stops it, says how it is, and shows the exact unit text
// before anything is written (systemd, launchd, Windows).
//
// The unit text is ours, not the library's: the agent runs on machines its
// vendor never sees, so the service is confined as far as each system allows.
//
// Invariants: nothing is written to the system except by Install and
// Uninstall; Print and Install use the same text; no value of Config can break
// out of its place in a text (newlines and control characters are refused,
// everything else is quoted as each system wants it).
//
// On disk: systemd keeps /etc/systemd/system/NAME.service, launchd
// /Library/LaunchDaemons/NAME.plist, Windows an entry of the service control
// manager. The state directory is made by the service manager (systemd) or by
// Install (launchd, Windows, systemd with a fixed user); Uninstall never
// touches it.
package svc

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"

	"github.com/kardianos/service"
)

// Config describes one service. Only Name is required.
type Config struct {
	// Name is the service's name for the OS: letters, digits, '-', '_' and '.'.
	Name string
	// DisplayName is shown in lists of services. Default: Name.
	DisplayName string
	// Description is one line. Default: DisplayName.
	Description string
	// Documentation is a URL shown by systemctl status. Default: none.
	Documentation string

	// Executable is the absolute path of the program. Default: the running
	// program for this OS, the customary place for another.
	Executable string
	// Arguments follow the executable, e.g. "run".
	Arguments []string
	// StateFlag, if set, is added after Arguments together with the state
	// directory, e.g. "--state".
	StateFlag string
	// StateDir is the one directory the service may write. Default:
	// /var/lib/NAME (systemd), /Library/Application Support/NAME (launchd),
	// C:\ProgramData\NAME (Windows).
	StateDir string

	// User runs the service. Default: a user made by systemd for the service's
	// lifetime (DynamicUser), daemon (launchd), the service's own virtual
	// account NT SERVICE\NAME (Windows).
	User string
	// Credential is a secret handed over by systemd as ID:NAME; the file is
	// looked up in /etc/credstore and appears as $CREDENTIALS_DIRECTORY/ID. A
	// missing file is no error, so a used-up token may be deleted. Default: none.
	Credential string
	// MemoryMax is the hard memory limit under systemd, e.g. "256M". Default: none.
	MemoryMax string
	// Background asks the OS to prefer every other process, on CPU and disk.
	Background bool
}

// States that Status returns.
const (
	Running      = "running"
	Stopped      = "stopped"
	Failed       = "failed"
	NotInstalled = "not installed"
)

// Service is one OS service. Its methods are safe for concurrent use; the OS
// decides what two concurrent installs do.
type Service struct {
	cfg Config
	// options are added to the library's own; tests use them to install into a
	// user's home instead of the system.
	options service.KeyValue
}

// New checks cfg and returns the service. It touches nothing on the system.
func New(cfg Config) (*Service, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.DisplayName == "" {
		cfg.DisplayName = cfg.Name
	}
	if cfg.Description == "" {
		cfg.Description = cfg.DisplayName
	}
	return &Service{cfg: cfg}, nil
}

// Print returns the unit text for systemd, launchd or windows, whatever the OS
// it runs on.
func (s *Service) Print(kind string) (string, error) {
	p, err := s.place(kind)
	if err != nil {
		return "", err
	}
	return p.text(s.cfg), nil
}

// Install writes the unit text and has the service start with the machine. It
// does not start it now.
func (s *Service) Install() error {
	p, err := s.place(nativeKind())
	if err != nil {
		return err
	}
	if err := p.installable(s.cfg); err != nil {
		return err
	}
	lib, err := s.library(p)
	if err != nil {
		return err
	}
	if err := lib.Install(); err != nil {
		return explain("installing service "+s.cfg.Name, err)
	}
	if p.managerMakesState() {
		return nil
	}
	if err := prepareState(p.state, p.user, s.cfg.Name); err != nil {
		return explain("preparing state directory "+p.state, err)
	}
	return nil
}

// Uninstall stops the service and removes it from the OS. State and
// configuration stay.
func (s *Service) Uninstall() error {
	return s.ask("uninstalling", func(lib service.Service) error {
		// A unit that is removed while it runs would go on running, unseen.
		if st, err := lib.Status(); err == nil && st == service.StatusRunning {
			if err := lib.Stop(); err != nil {
				return fmt.Errorf("stopping it first: %w", err)
			}
		}
		return lib.Uninstall()
	})
}

// Start starts the installed service.
func (s *Service) Start() error { return s.ask("starting", service.Service.Start) }

// Stop stops the service and waits for its end.
func (s *Service) Stop() error { return s.ask("stopping", service.Service.Stop) }

func (s *Service) ask(doing string, do func(service.Service) error) error {
	p, err := s.place(nativeKind())
	if err != nil {
		return err
	}
	lib, err := s.library(p)
	if err != nil {
		return err
	}
	if err := do(lib); err != nil {
		return explain(doing+" service "+s.cfg.Name, err)
	}
	return nil
}

// Status returns Running, Stopped, Failed or NotInstalled.
func (s *Service) Status() (string, error) {
	p, err := s.place(nativeKind())
	if err != nil {
		return "", err
	}
	lib, err := s.library(p)
	if err != nil {
		return "", err
	}
	st, err := lib.Status()
	return status(st, err)
}

// status maps the library's answer. Its systemd backend reports a failed unit
// as an error without a type, known by its words only.
func status(st service.Status, err error) (string, error) {
	switch {
	case errors.Is(err, service.ErrNotInstalled):
		return NotInstalled, nil
	case err != nil && strings.Contains(err.Error(), "failed state"):
		return Failed, nil
	case err != nil:
		return "", explain("asking for the state of the service", err)
	case st == service.StatusRunning:
		return Running, nil
	case st == service.StatusStopped:
		return Stopped, nil
	default:
		return NotInstalled, nil
	}
}

// Run calls fn and returns its error. fn's context ends when the service
// manager or the terminal asks for the end; a second signal kills the process.
// It works the same from a terminal, under a service manager and in a container.
func (s *Service) Run(ctx context.Context, fn func(context.Context) error) error {
	return runManaged(ctx, s.cfg.Name, fn)
}

// library builds the library's service with our own unit text. A text that
// holds the library's template marks would be expanded; check refuses them.
func (s *Service) library(p place) (service.Service, error) {
	if runtime.GOOS == "linux" && service.Platform() != "linux-systemd" {
		return nil, &Error{
			code: "service_unsupported", doing: "looking for systemd",
			err:  errors.New("this machine is not run by systemd"),
			hint: fmt.Sprintf("Try: let your own supervisor run `%s`, or see `--print systemd` for the text.", p.commandLine()),
		}
	}
	opt := service.KeyValue{
		"SystemdScript": s.textFor("systemd"), "LaunchdConfig": s.textFor("launchd"),
		"OnFailure": "restart", "OnFailureDelayDuration": "10s", "OnFailureResetPeriod": 86400,
		"DelayedAutoStart": true,
	}
	for k, v := range s.options {
		opt[k] = v
	}
	lib, err := service.New(idle{}, &service.Config{
		Name: s.cfg.Name, DisplayName: s.cfg.DisplayName, Description: s.cfg.Description,
		UserName: p.user, Executable: p.executable, Arguments: p.arguments, Option: opt,
	})
	if err != nil {
		return nil, explain("asking the service manager", err)
	}
	return lib, nil
}

func (s *Service) textFor(kind string) string {
	text, err := s.Print(kind)
	if err != nil {
		return "" // the kinds are ours; the other systems' text is never used here
	}
	return text
}

// idle satisfies the library, which wants a program even to install one. Run
// does not go through it: on Windows its loop cannot end by itself, so a
// program that failed would look alive.
type idle struct{}

func (idle) Start(service.Service) error { return nil }
func (idle) Stop(service.Service) error  { return nil }

func nativeKind() string {
	switch runtime.GOOS {
	case "windows":
		return "windows"
	case "darwin":
		return "launchd"
	default:
		return "systemd"
	}
}

// Error is what a user sees: what was being done, why it did not work, a code
// that never changes and what to try.
type Error struct {
	code, doing, hint string
	err               error
}

func (e *Error) Error() string { return e.doing + ": " + e.err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.err }

// Code is stable: service_config, service_kind, service_exists, service_missing,
// service_permission, service_unsupported or service_manager.
func (e *Error) Code() string { return e.code }

// Hint says what to try.
func (e *Error) Hint() string { return e.hint }

// explain gives the library's untyped errors a code and a way out.
func explain(doing string, err error) error {
	text := err.Error()
	e := &Error{code: "service_manager", doing: doing, err: err, hint: "Try: `service status`, and the system's own log of the service."}
	switch {
	case errors.Is(err, fs.ErrPermission) || os.IsPermission(err) || strings.Contains(strings.ToLower(text), "access is denied") ||
		strings.Contains(text, "nteractive authentication required"):
		e.code, e.hint = "service_permission", "Try: the same command as administrator (sudo)."
	case strings.Contains(text, "already exists"):
		e.code, e.hint = "service_exists", "Try: `service uninstall` first; state and consent are kept."
	case errors.Is(err, service.ErrNotInstalled) || strings.Contains(text, "not installed") ||
		strings.Contains(text, "does not exist") || strings.Contains(text, "not loaded") || errors.Is(err, fs.ErrNotExist):
		e.code, e.hint = "service_missing", "Try: `service install` first."
	case errors.Is(err, service.ErrNoServiceSystemDetected):
		e.code, e.hint = "service_unsupported", "Try: let your own supervisor run the program."
	}
	return e
}
