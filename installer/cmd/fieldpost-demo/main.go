// Command fieldpost-demo shows the main job in one command: a collector, and sixteen real installations that report
// to it.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/fieldpost/fieldpost/installer/demo"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	f := flag.NewFlagSet("fieldpost-demo", flag.ContinueOnError)
	f.SetOutput(stderr)
	c := demo.Config{Out: stdout, Logger: slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))}
	f.StringVar(&c.Dir, "data", "", "keep the state here (default: a temporary folder, removed at the end)")
	f.StringVar(&c.Listen, "listen", "127.0.0.1:8443", "where the collector listens")
	f.BoolVar(&c.Check, "check", false, "run to the end, compare every site's ledger with the API, and exit")
	if err := f.Parse(args); err != nil {
		return 2
	}
	sum, err := demo.Run(ctx, c)
	if err != nil {
		fmt.Fprintln(stderr, "error:", err)
		return 1
	}
	if sum == nil {
		return 0
	}
	sum.Print(stdout)
	if !sum.OK() {
		return 1
	}
	return 0
}
