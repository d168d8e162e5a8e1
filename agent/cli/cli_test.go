package cli_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/fieldpost/fieldpost/agent/cli"
)

// noService stands for an operating system without a service manager.
type noService struct{}

var errNone = errors.New("there is no service manager here")

func (noService) Install() error          { return errNone }
func (noService) Uninstall() error        { return errNone }
func (noService) Start() error            { return errNone }
func (noService) Stop() error             { return errNone }
func (noService) Status() (string, error) { return "", errNone }

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"fieldpost-agent": func() {
		os.Exit(cli.Run(context.Background(), os.Args[1:], cli.Deps{Version: "0.1.0", Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
			Service: func([]string) (cli.Service, error) { return noService{}, nil },
			Print:   func(kind string, _ []string) (string, error) { return "unit for " + kind + "\n", nil }}))
	}})
}

// Every script under testdata/script is what a user types and sees.
func TestScripts(t *testing.T) {
	forge, err := filepath.Abs("../../installer/examples/forge")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{Dir: "testdata/script", UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(e *testscript.Env) error {
			e.Setenv("FORGE", forge)
			e.Setenv("FIELDPOST_CONFIG", filepath.Join(e.WorkDir, "agent.yaml"))
			return os.WriteFile(filepath.Join(e.WorkDir, "agent.yaml"), []byte("state: state\n"), 0o600)
		}})
}
