// Command fieldpost-agent measures usage and service levels at the customer's site and sends
// only what the customer agreed to.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/fieldpost/fieldpost/agent/cli"
	"github.com/fieldpost/fieldpost/installer/svc"
)

// version is set by the release build: -ldflags "-X main.version=1.2.3".
var version = "0.1.0"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Run(ctx, os.Args[1:], cli.Deps{
		Version: version,
		Service: func(args []string) (cli.Service, error) { return service(args) },
		Print: func(kind string, args []string) (string, error) {
			s, err := service(args)
			if err != nil {
				return "", err
			}
			return s.Print(kind)
		},
		Managed: func(ctx context.Context, run func(context.Context) error) error {
			s, err := service([]string{"run"})
			if err != nil {
				return err
			}
			return s.Run(ctx, run)
		},
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
	})
	stop()
	os.Exit(code)
}

func service(args []string) (*svc.Service, error) {
	return svc.New(svc.Config{
		Name: "fieldpost-agent", DisplayName: "Fieldpost agent",
		Description: "Measures usage and service levels here and sends only what was agreed to",
		Arguments:   args, StateFlag: "--state", StateDir: "/var/lib/fieldpost-agent",
		Credential: "token:fieldpost-agent.token", MemoryMax: "256M", Background: true,
	})
}
