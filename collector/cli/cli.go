// Package cli is the collector's command line.
//
// serve holds the data directory; the other commands open it beside a running serve (SQLite
// lets both write in turn) or alone. They never write batches. Exit codes: 0 healthy or
// done, 1 degraded or refused, 2 wrong use, 3 unreachable. Errors carry a stable code and a
// hint. Every flag can be given as an environment variable, shown beside it in --help.
//
// It keeps nothing on disk of its own.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/fieldpost/fieldpost/collector"
	"github.com/fieldpost/fieldpost/collector/access"
	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/catalog"
)

// DefaultData is where the collector keeps its state.
const DefaultData = "/var/lib/fieldpost-collector"

// Deps is what the main gives.
type Deps struct {
	Version string
	// Managed runs under the service manager where there is one; nil: directly.
	Managed func(ctx context.Context, run func(context.Context) error) error
	Stdin   io.Reader
	// Terminal reports whether a person can be asked on Stdin. Default: Stdin is a terminal.
	Terminal func() bool
	Stdout   io.Writer
	Stderr   io.Writer
	Getenv   func(string) string // default os.Getenv
}

// Command is the whole command line without running anything, for man pages.
func Command() *cobra.Command {
	return (&app{Deps: Deps{Getenv: func(string) string { return "" }, Stderr: io.Discard}}).root()
}

type app struct {
	Deps
	dir    string
	output string
}

// Run parses args (without the program's name), runs the command and returns the exit code.
func Run(ctx context.Context, args []string, d Deps) int {
	if d.Getenv == nil {
		d.Getenv = os.Getenv
	}
	a := &app{Deps: d}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(d.Stdin)
	root.SetOut(d.Stdout)
	root.SetErr(d.Stderr)
	cmd, err := root.ExecuteContextC(ctx)
	return a.exit(cmd, err)
}

// usage is an error in how a command was called.
type usage struct{ error }

// Both end with their exit code after what is wrong was printed.
var (
	errDegraded    = errors.New("degraded")    // 1
	errUnreachable = errors.New("unreachable") // 3
)

func (a *app) exit(cmd *cobra.Command, err error) int {
	var p *store.Problem
	var wrong usage
	var acc *access.Error
	var cats *catalog.Errors
	var cat catalog.Error
	var file *fs.PathError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errUnreachable):
		return 3
	case errors.Is(err, errDegraded):
		return 1
	case errors.As(err, &wrong):
		fmt.Fprintf(a.Stderr, "error: %s (usage)\nTry: %s --help\n", clean(wrong.Error()), cmd.CommandPath())
		return 2
	case errors.As(err, &p):
		fmt.Fprintf(a.Stderr, "error: %s (%s)\n", clean(p.Message), p.Code)
		if p.Err != nil {
			fmt.Fprintf(a.Stderr, "Cause: %s\n", clean(p.Err.Error()))
		}
		if p.Hint != "" {
			fmt.Fprintf(a.Stderr, "Try: %s\n", clean(p.Hint))
		}
		if p.Code == store.CodeBadInput {
			return 2
		}
		return 1
	case errors.As(err, &acc):
		fmt.Fprintf(a.Stderr, "error: %s (%s)\nTry: %s\n", clean(acc.Message), acc.Code, clean(acc.Hint))
		if acc.Status == http.StatusBadRequest {
			return 2
		}
		return 1
	case errors.As(err, &cats), errors.As(err, &cat) && cat.Line > 0:
		fmt.Fprintf(a.Stderr, "error: the catalog is not accepted\n%s\n", clean(err.Error()))
		return 1
	case errors.As(err, &cat): // a key or a signature
		fmt.Fprintf(a.Stderr, "error: %s (%s)\n", clean(cat.Message), cat.Code)
		if cat.Hint != "" {
			fmt.Fprintf(a.Stderr, "Try: %s\n", clean(cat.Hint))
		}
		return 1
	case errors.Is(err, store.ErrNotFound):
		fmt.Fprintf(a.Stderr, "error: %s (%s)\n", clean(err.Error()), store.CodeNotFound)
		return 1
	}
	if errors.As(err, &file) {
		fmt.Fprintf(a.Stderr, "error: %s: %s (%s)\nTry: check the path and who may use it\n", clean(file.Path), clean(file.Err.Error()), codeFile)
		if errors.Is(err, fs.ErrNotExist) {
			return 2
		}
		return 1
	}
	fmt.Fprintf(a.Stderr, "error: %s (%s)\n", clean(err.Error()), store.CodeInternal)
	return 1
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use: "fieldpost-collector", Short: "Takes what the agents at customers' sites may tell, and answers the vendor's questions.",
		Version: a.Deps.Version, SilenceErrors: true, SilenceUsage: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return a.environment(cmd) },
		Args:              cobra.ArbitraryArgs, // a wrong word is wrong use, below
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage{fmt.Errorf("there is no command %q", args[0])}
			}
			return cmd.Help()
		},
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage{err} })
	root.PersistentFlags().StringVar(&a.dir, "data", DefaultData, "data directory")
	root.PersistentFlags().StringVarP(&a.output, "output", "o", "human", "human, json or csv")
	root.AddCommand(a.serve(), a.token(), a.agent(), a.catalog(), a.account(), a.quarantine(), a.query(), a.pool(), a.export(), a.user(), a.apitoken(),
		a.audit(), a.migrate(), a.doctor(), a.version())
	describe(root)
	return root
}

// describe writes the environment variable beside each flag, and makes wrong arguments wrong use.
func describe(cmd *cobra.Command) {
	add := func(f *pflag.Flag) {
		if f.Name != "help" && !strings.Contains(f.Usage, "[$") {
			f.Usage += " [$" + envName(f.Name) + "]"
		}
	}
	cmd.PersistentFlags().VisitAll(add)
	cmd.Flags().VisitAll(add)
	if check := cmd.Args; check != nil {
		cmd.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return usage{err}
			}
			return nil
		}
	}
	if cmd.HasSubCommands() && cmd.HasParent() {
		cmd.RunE = func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage{fmt.Errorf("unknown command %q for %s", args[0], c.CommandPath())}
			}
			return c.Help()
		}
	}
	for _, sub := range cmd.Commands() {
		describe(sub)
	}
}

func envName(flag string) string {
	return "FIELDPOST_COLLECTOR_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// environment fills flags that were not given.
func (a *app) environment(cmd *cobra.Command) (err error) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		v := a.Getenv(envName(f.Name))
		if f.Changed || v == "" || err != nil {
			return
		}
		if e := cmd.Flags().Set(f.Name, v); e != nil {
			err = usage{fmt.Errorf("reading %s: %w", envName(f.Name), e)}
		}
	})
	if err == nil && a.output != "human" && a.output != "json" && a.output != "csv" {
		err = usage{fmt.Errorf("the output is human, json or csv, not %q", a.output)}
	}
	return err
}

// open opens the data directory beside a running serve. create: make it when it is not there.
func (a *app) open(ctx context.Context, create bool, f func(*collector.Data) error) error {
	d, err := collector.OpenData(ctx, collector.DataConfig{Dir: a.dir, Create: create})
	if err != nil {
		return err
	}
	return errors.Join(f(d), d.Close())
}

// actor is who the audit log names for what is done here.
func (a *app) actor() string {
	if u := a.Getenv("USER"); u != "" {
		return "cli " + u
	}
	return "cli"
}

// table prints rows: aligned for people, JSON lines with the head's names, or CSV.
func (a *app) table(head []string, rows [][]string) error {
	switch a.output {
	case "json":
		enc := json.NewEncoder(a.Stdout)
		for _, r := range rows {
			m := make(map[string]string, len(head))
			for i, h := range head {
				m[strings.ReplaceAll(h, " ", "_")] = r[i]
			}
			if err := enc.Encode(m); err != nil {
				return fmt.Errorf("writing: %w", err)
			}
		}
		return nil
	case "csv":
		return writeCSV(a.Stdout, head, rows)
	}
	w := tabwriter.NewWriter(a.Stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, strings.ToUpper(strings.Join(head, "\t")))
	for _, r := range rows {
		for i, v := range r {
			if i > 0 {
				fmt.Fprint(w, "\t")
			}
			fmt.Fprint(w, clean(v))
		}
		fmt.Fprintln(w)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("writing: %w", err)
	}
	return nil
}

// clean takes out what would steer a terminal: names come from outside.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r < ' ' || r >= 0x7f && r < 0xa0, r >= 0x200b && r <= 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0xfeff:
			return '\uFFFD'
		}
		return r
	}, s)
}

func date(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

func (a *app) version() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Print the version.", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
		_, err := fmt.Fprintln(a.Stdout, a.Deps.Version)
		return err
	}}
}
