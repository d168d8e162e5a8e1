// Command dev is what those who work on this house run: `go tool dev lint`
// (formatting, vet, the house's rules, words that may not be committed),
// `go tool dev golden` (rewrites golden files, to be looked at in the diff) and
// `go tool dev bench` (the figures of the README, with the machine they are from).
//
// It reads and runs; only golden writes into the tree, and bench into the
// folder it is given.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
)

const usage = `usage: go tool dev COMMAND [FLAGS]

  lint     gofmt, go vet, the rules of installer/archtest, words
  golden   rewrite the golden files of all packages that have some
  bench    measure and print the table; -h shows its flags
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run returns the exit code: 0 done, 1 something was found or failed, 2 wrong use.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return 2
	}
	if slices.Contains([]string{"help", "-h", "--help"}, args[0]) {
		fmt.Fprint(stdout, usage)
		return 0
	}
	root, err := moduleRoot(ctx)
	if err != nil {
		fmt.Fprintln(stderr, "dev:", err)
		return 1
	}
	switch args[0] {
	case "lint":
		return lint(ctx, root, stdout, stderr)
	case "golden":
		return golden(ctx, root, args[1:], stdout, stderr)
	case "bench":
		return bench(ctx, root, args[1:], stdout, stderr)
	default:
		fmt.Fprintf(stderr, "dev: unknown command %q\n%s", args[0], usage)
		return 2
	}
}
