// Package cli is the agent's command line.
//
// Commands ask the agent that holds the state through its control socket, or open the
// state themselves when none runs; the answers are the same. Exit codes: 0 healthy or done, 1
// degraded or refused, 2 wrong use, 3 unreachable. Errors carry a stable code and a
// remedy. Every setting is a flag, an environment variable and a key of the
// configuration file.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/agent/settings"
)

// DefaultConfig is where the configuration file is looked for.
const DefaultConfig = "/etc/fieldpost/agent.yaml"

// Service is the operating system's service, given by the main.
type Service interface {
	Install() error
	Uninstall() error
	Start() error
	Stop() error
	Status() (string, error)
}

// Deps is what the main gives.
type Deps struct {
	Version string
	Service func(args []string) (Service, error)                             // the service that runs this agent with args
	Print   func(kind string, args []string) (string, error)                 // the unit text: systemd, launchd or windows
	Managed func(ctx context.Context, run func(context.Context) error) error // runs under the service manager where there is one
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer
	Getenv  func(string) string // default os.Getenv
}

// Command is the whole command line without running anything, for man pages.
func Command() *cobra.Command {
	root := (&app{Deps: Deps{Getenv: func(string) string { return "" }, Stderr: io.Discard}}).root()
	showAll(root)
	return root
}

// showAll shows every setting's flag: where they all matter, help lists them.
func showAll(c *cobra.Command) {
	c.Root().PersistentFlags().VisitAll(func(f *pflag.Flag) { f.Hidden = false })
}

type app struct {
	Deps
	configFile string
	output     string
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
	err := root.ExecuteContext(ctx)
	return a.exit(err)
}

// exit prints err, if it says something, and maps it to the exit code.
func (a *app) exit(err error) int {
	var e *control.Error
	var q quiet
	var s *settings.Error
	switch {
	case err == nil:
		return 0
	case errors.As(err, &q):
		return int(q)
	case errors.As(err, &e):
		fmt.Fprintf(a.Stderr, "error: %s (%s)\n", clean(e.Message), e.Code)
		if e.Hint != "" {
			fmt.Fprintf(a.Stderr, "Try: %s\n", clean(e.Hint))
		}
		return max(e.Exit, 1)
	case errors.As(err, &s):
		fmt.Fprintf(a.Stderr, "error: %s\n", clean(err.Error()))
		return 2
	}
	coded := codeOf(err)
	fmt.Fprintf(a.Stderr, "error: %s (%s)\n", clean(coded.Message), coded.Code)
	if coded.Hint != "" {
		fmt.Fprintf(a.Stderr, "Try: %s\n", clean(coded.Hint))
	}
	return coded.Exit
}

// quiet is an exit code whose reason was already printed.
type quiet int

func (q quiet) Error() string { return fmt.Sprintf("exit %d", int(q)) }

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "fieldpost-agent",
		Short: "Measures usage and service levels at your site and sends only what you agreed to",
		Long: `Measures usage and service levels at your site and sends only what you agreed to.

Nothing is collected and nothing is sent until you decide so:
  fieldpost-agent enroll --token-file TOKEN     who the vendor is; allows a check-in, no data
  fieldpost-agent catalog                       what the vendor asks for, in plain words
  fieldpost-agent consent set usage=aggregate   your decision, dated and recorded
  fieldpost-agent preview                       exactly what would leave now
  fieldpost-agent ledger                        everything that ever left`,
		SilenceErrors: true, SilenceUsage: true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: false, HiddenDefaultCmd: false},
	}
	f := root.PersistentFlags()
	f.StringVar(&a.configFile, "config", "", "configuration file (default "+DefaultConfig+") [$FIELDPOST_CONFIG]")
	f.StringVarP(&a.output, "output", "o", "human", "how to print: human, json, yaml, table or csv")
	for _, s := range settings.All() {
		def := s.Default
		if def != "" {
			def = " (default " + def + ")"
		}
		f.String(s.Flag(), "", s.Help+def+" [$"+s.Env()+"]")
		if s.Key != "state" && s.Key != "log_level" {
			f.Lookup(s.Flag()).Hidden = true // shown by `config --help`; they belong to run
		}
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return &control.Error{Code: "usage", Message: err.Error(), Hint: c.CommandPath() + " --help", Exit: 2}
	})
	run, config := a.runCmd(), a.configCmd()
	for _, c := range []*cobra.Command{run, config} {
		c.SetHelpFunc(func(c *cobra.Command, given []string) { showAll(c); root.HelpFunc()(c, given) })
	}
	root.AddCommand(run, a.enrollCmd(), a.statusCmd(), a.consentCmd(), config, a.catalogCmd(),
		a.previewCmd(), a.queryCmd(), a.ledgerCmd(), a.auditCmd(), a.forgetCmd(), a.wipeCmd(), a.replayCmd(), a.consoleCmd(), a.serviceCmd(), a.versionCmd())
	root.AddCommand(a.moreCmds()...)
	return root
}

// args wraps a cobra argument check so that its error is coded.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, given []string) error {
		for _, g := range given {
			if strings.HasPrefix(g, "fp1.") { // and not a word of it on the terminal or in a log
				return &control.Error{Code: "usage", Message: "a token is not taken from the command line, where every user of this machine can read it",
					Hint: "ask for a new token and use enroll --token-file FILE", Exit: 2}
			}
		}
		if err := check(c, given); err != nil {
			message := err.Error() // of a group of commands it names the one that is unknown
			if _, takes, _ := strings.Cut(c.Use, " "); takes != "" {
				message = c.CommandPath() + " takes " + takes
			} else if !c.HasSubCommands() {
				message = fmt.Sprintf("%s takes nothing like %q", c.CommandPath(), given[0])
			}
			return &control.Error{Code: "usage", Message: message, Hint: c.CommandPath() + " --help", Exit: 2}
		}
		return nil
	}
}

// settings puts file, environment and flags together.
func (a *app) settings(c *cobra.Command) (settings.Config, error) {
	src := settings.Source{File: a.configFile, Must: a.configFile != "", Getenv: a.Getenv, Flags: map[string]string{}}
	if src.File == "" {
		src.File, src.Must = a.Getenv("FIELDPOST_CONFIG"), a.Getenv("FIELDPOST_CONFIG") != ""
	}
	if src.File == "" {
		src.File = DefaultConfig
	}
	for _, s := range settings.All() {
		if f := c.Flags().Lookup(s.Flag()); f != nil && f.Changed {
			src.Flags[s.Flag()] = f.Value.String()
		}
	}
	return settings.Load(src)
}

func (a *app) versionCmd() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Print the version", Example: "  fieldpost-agent version -o json", Args: args(cobra.NoArgs), RunE: func(c *cobra.Command, _ []string) error {
		return a.print(view{data: map[string]string{"version": a.Version}, header: []string{"version"}, rows: [][]string{{a.Version}},
			human: func(w io.Writer) { fmt.Fprintln(w, "fieldpost-agent", a.Version) }})
	}}
}

// clean keeps terminal escapes and other control characters of foreign text off the terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		if r < 0x20 || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '\uFFFD'
		}
		return r
	}, s)
}
