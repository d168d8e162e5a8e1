// Command fieldpost-collector receives what customers agreed to send, exactly once, and turns it into answers per
// account.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/fieldpost/fieldpost/collector/cli"
	"github.com/fieldpost/fieldpost/installer/svc"
)

// version is set by the release build: -ldflags "-X main.version=1.2.3".
var version = "0.1.0"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Run(ctx, os.Args[1:], cli.Deps{
		Version: version,
		Managed: func(ctx context.Context, run func(context.Context) error) error {
			s, err := svc.New(svc.Config{Name: "fieldpost-collector", DisplayName: "Fieldpost collector", Arguments: []string{"serve"}, StateFlag: "--data"})
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
