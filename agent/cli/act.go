package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/agent/settings"
	"github.com/fieldpost/fieldpost/protocol/durable"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// site is what the commands ask and tell.
type site interface {
	control.Site
	control.Keeper
}

// open is the site: the running agent's, or the state opened here. done closes what was opened.
func (a *app) open(c *cobra.Command) (site, func(), error) {
	cfg, err := a.settings(c)
	if err != nil {
		return nil, nil, err
	}
	if cl, err := control.Dial(cfg.State); err == nil {
		return cl, func() {}, nil
	}
	if err := exists(cfg.State); err != nil {
		return nil, nil, err
	}
	ag, err := agent.Open(a.config(cfg))
	if err != nil {
		return nil, nil, err
	}
	return ag, func() {
		if err := errors.Join(ag.Close(), giveBack(cfg.State)); err != nil {
			fmt.Fprintf(a.Stderr, "warning: closing the state: %s\n", clean(err.Error()))
		}
	}, nil
}

func exists(state string) error {
	if agent.Exists(state) {
		return nil
	}
	return &control.Error{Code: "state_missing", Message: "there is no agent's state in " + state,
		Hint: "fieldpost-agent enroll --token-file FILE, or --state DIR", Exit: 1}
}

func (a *app) config(cfg settings.Config) agent.Config {
	level := slog.LevelInfo
	_ = level.UnmarshalText([]byte(cfg.LogLevel)) // settings has checked it
	return agent.Config{Settings: cfg, Version: a.Version,
		Logger: slog.New(slog.NewTextHandler(a.Stderr, &slog.HandlerOptions{Level: level}))}
}

func (a *app) runCmd() *cobra.Command {
	return &cobra.Command{Use: "run", Short: "Run the agent (what the service does)", Example: "  fieldpost-agent run --zone Europe/Berlin --log-level debug", Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := a.settings(c)
			if err != nil {
				return err
			}
			run := func(ctx context.Context) error {
				ag, err := agent.Open(a.config(cfg))
				if err != nil {
					return err
				}
				err = ag.Run(ctx)
				return errors.Join(err, ag.Close())
			}
			if a.Managed != nil {
				return a.Managed(c.Context(), run)
			}
			return run(c.Context())
		}}
}

func (a *app) enrollCmd() *cobra.Command {
	var file string
	var simulated bool
	c := &cobra.Command{Use: "enroll", Short: "Join the vendor's collector; allows a check-in and nothing else", Args: args(cobra.NoArgs),
		Long: `Join the vendor's collector with the token it gave you. Enrolling is consent to one thing, a check-in:
agent id, version, catalog version and your signed consent statement. Before it no packet leaves.
The token is read from a file or from standard input, never from the command line.`,
		Example: "  fieldpost-agent enroll --token-file /root/token\n  fieldpost-agent enroll < token",
		RunE: func(c *cobra.Command, given []string) error {
			cfg, err := a.settings(c)
			if err != nil {
				return err
			}
			text, err := a.readToken(file)
			if err != nil {
				return err
			}
			token, err := exchange.ParseToken(string(text))
			if err != nil {
				return &control.Error{Code: "token_invalid", Message: err.Error(), Hint: "copy the token again, whole, into a file and use --token-file", Exit: 2}
			}
			ac := a.config(cfg)
			ac.Simulated = simulated
			e, err := agent.Enroll(c.Context(), ac, token)
			err = errors.Join(err, giveBack(cfg.State))
			if err != nil {
				return err
			}
			return a.print(view{data: e, header: []string{"account", "installation", "environment", "collector", "agent"},
				rows: [][]string{{e.Account, e.Installation, e.Environment, e.URL, e.Agent.String()}},
				human: func(w io.Writer) {
					fmt.Fprintf(w, "Enrolled as %s / %s (%s) with %s.\nNothing is collected until you decide:\n  fieldpost-agent catalog\n  fieldpost-agent consent set usage=aggregate --by YOU\n",
						clean(e.Account), clean(e.Installation), e.Environment, clean(e.URL))
				}})
		}}
	c.Flags().StringVar(&file, "token-file", "", "file with the token (default: standard input, or the service's credential)")
	c.Flags().BoolVar(&simulated, "simulated", false, "this state is fed by replays only; the collector takes it for installations of environment test")
	return c
}

// maxToken bounds what is read as a token; one with a certificate takes 2 KB.
const maxToken = 64 << 10

func (a *app) readToken(file string) ([]byte, error) {
	in := a.Stdin
	if file == "" {
		if dir := a.Getenv("CREDENTIALS_DIRECTORY"); dir != "" { // systemd's LoadCredential
			file = dir + "/token"
		}
	}
	if file != "" {
		f, err := os.Open(file)
		if err != nil {
			return nil, &control.Error{Code: "token_unreadable", Message: "the token file cannot be read: " + errors.Unwrap(err).Error(), Hint: "check the path and its permissions", Exit: 2}
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxToken))
	if err == nil && len(bytes.TrimSpace(b)) == 0 {
		err = errors.New("it is empty")
	}
	if err != nil {
		return nil, &control.Error{Code: "token_unreadable", Message: "the token cannot be read: " + err.Error(), Hint: "fieldpost-agent enroll --token-file FILE", Exit: 2}
	}
	return b, nil
}

func (a *app) consentCmd() *cobra.Command {
	show := func(c *cobra.Command, do func(context.Context, control.Site) (control.Consent, error)) error {
		site, done, err := a.open(c)
		if err != nil {
			return err
		}
		defer done()
		x, err := do(c.Context(), site)
		if err != nil {
			return err
		}
		v := view{data: x, header: []string{"category", "level", "from"}}
		for _, d := range x.Levels {
			v.rows = append(v.rows, []string{d.Category, string(d.Level), when(time.Unix(d.From, 0))})
		}
		v.human = func(w io.Writer) { humanConsent(w, x) }
		return a.print(v)
	}
	c := &cobra.Command{Use: "consent", Short: "Your decisions: what is collected, what may leave", Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			return show(c, func(ctx context.Context, s control.Site) (control.Consent, error) { return s.Consent(ctx) })
		}}
	c.AddCommand(a.consentSet(show), a.consentPause(show, true), a.consentPause(show, false))
	return c
}

type showConsent func(*cobra.Command, func(context.Context, control.Site) (control.Consent, error)) error

func (a *app) consentSet(show showConsent) *cobra.Command {
	var d control.Decision
	var from string
	c := &cobra.Command{Use: "set CATEGORY=LEVEL …", Short: "Decide; levels are off, local, strict, aggregate, totals; of the pool off, strict",
		Long: `Decide what is collected and what may leave, per category (inventory, sla, usage, pool).

  off        not collected (the default)
  local      measured and shown here, never sent
  strict     about people only counts with noise, from 50 people on; machines exactly
  aggregate  about people only statements that hide every single one; machines exactly
  totals     as aggregate, and the site's totals of active people and events leave exactly;
             at a small site this can tell whether a particular person worked

The pool is a line of its own, pool=strict or pool=off: every 12 weeks noised counts that the vendor may only
show added up over at least 100 customers.

A decision is about the catalog as it stands now; more in a later catalog stays local until you accept it.`,
		Example: "  fieldpost-agent consent set sla=aggregate usage=totals --by j.d. --ticket CHG-2291 --people 38\n  fieldpost-agent consent set usage=off",
		Args:    args(cobra.ArbitraryArgs),
		RunE: func(c *cobra.Command, given []string) error {
			var err error
			if d.Levels, err = parseLevels(given); err != nil {
				return err
			}
			if from != "" {
				t, err := parseTime(from)
				if err != nil {
					return err
				}
				d.From = &t
			}
			d.Accept = true
			return show(c, func(ctx context.Context, s control.Site) (control.Consent, error) { return s.Decide(ctx, d) })
		}}
	f := c.Flags()
	f.StringVar(&d.By, "by", "", "who decides (stays here)")
	f.StringVar(&d.Ticket, "ticket", "", "the change it was decided in (stays here)")
	f.StringVar(&d.Counter, "countersigned-by", "", "second signature (stays here)")
	f.IntVar(&d.People, "people", 0, "how many people work here; makes the answers about them finer (stays here)")
	f.StringVar(&from, "from", "", "send windows from this date on too (default: from now)")
	return c
}

func parseLevels(given []string) (map[string]exchange.Level, error) {
	levels := map[string]exchange.Level{}
	for _, g := range given {
		k, v, ok := strings.Cut(g, "=")
		if !ok {
			return nil, &control.Error{Code: "usage", Message: fmt.Sprintf("%q is not CATEGORY=LEVEL", g), Hint: "usage=aggregate", Exit: 2}
		}
		levels[k] = exchange.Level(v)
	}
	return levels, nil
}

func (a *app) consentPause(show showConsent, on bool) *cobra.Command {
	use, short := "pause", "Send nothing but check-ins until resumed; works offline"
	if !on {
		use, short = "resume", "End the pause"
	}
	return &cobra.Command{Use: use, Short: short, Args: args(cobra.NoArgs), RunE: func(c *cobra.Command, _ []string) error {
		return show(c, func(ctx context.Context, s control.Site) (control.Consent, error) {
			return s.Decide(ctx, control.Decision{Pause: &on})
		})
	}}
}

func humanConsent(w io.Writer, x control.Consent) {
	if !x.Decided {
		fmt.Fprintln(w, "Nothing decided: everything is off, nothing is collected.\nTry: fieldpost-agent catalog, then fieldpost-agent consent set usage=aggregate --by YOU")
		return
	}
	fmt.Fprintf(w, "Decision %d of %s about catalog %s\n", x.Number, when(x.At), clean(orNone(x.Catalog)))
	for _, d := range x.Levels {
		fmt.Fprintf(w, "  %-12s %-10s windows from %s\n", d.Category, d.Level, when(time.Unix(d.From, 0)))
	}
	for _, p := range [][2]string{{"by", x.By}, {"ticket", x.Ticket}, {"countersigned by", x.Counter}} {
		if p[1] != "" {
			fmt.Fprintf(w, "  %s %s\n", p[0], clean(p[1]))
		}
	}
	if x.Paused {
		fmt.Fprintln(w, "  PAUSED: nothing but check-ins is sent")
	}
	if x.DoNotTrack {
		fmt.Fprintln(w, "  DO_NOT_TRACK is set: everything counts as off")
	}
	if x.Locked {
		fmt.Fprintln(w, "  locked by the configuration: it can only be narrowed here")
	}
}

func parseTime(s string) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, &control.Error{Code: "usage", Message: fmt.Sprintf("%q is not a date", s), Hint: "2026-01-31 or 2026-01-31T12:00:00Z", Exit: 2}
}

func (a *app) configCmd() *cobra.Command {
	return &cobra.Command{Use: "config", Short: "Where each setting can be set, and its default; mistakes are named", Example: "  fieldpost-agent config -o table", Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if _, err := a.settings(c); err != nil {
				return err
			}
			v := view{header: []string{"key", "environment", "flag", "default", "what"}}
			data := []map[string]string{}
			for _, s := range settings.All() {
				v.rows = append(v.rows, []string{s.Key, s.Env(), "--" + s.Flag(), s.Default, s.Help})
				data = append(data, map[string]string{"key": s.Key, "environment": s.Env(), "flag": "--" + s.Flag(), "default": s.Default, "help": s.Help})
			}
			v.data = data
			return a.print(v)
		}}
}

// replayHeadroom makes the collector wait for as much garbage again. A replay keeps some 4 MB and throws away a hundred
// times that in a second, so that collecting was a fifth of its time; a larger one gains little. It is never
// written to: it takes addresses and no memory.
const replayHeadroom = 64 << 20

func (a *app) replayCmd() *cobra.Command {
	var o agent.ReplayOptions
	var until, catalogFile, rememberUsers string
	var decide []string
	c := &cobra.Command{Use: "replay FILE…", Short: "Feed recorded events on a virtual clock", Args: args(cobra.MinimumNArgs(1)),
		Long: `Feed recorded events (Segment form, one a line with receivedAt, gzip or plain) on a virtual clock taken
from their receivedAt. The clock also dates consent, batches and check-ins. With --catalog the state is
not enrolled and everything is measured locally; after enroll --simulated, --consent is the decision of the
first event and what may leave is sent. An interrupted replay goes on where it stopped.`,
		Example: "  fieldpost-agent replay --state ./demo --catalog catalog.yaml --until 2026-11-01 --remember forever events.jsonl.gz\n" +
			"  fieldpost-agent replay --state ./joined --consent usage=totals --consent sla=aggregate events.jsonl.gz",
		RunE: func(c *cobra.Command, files []string) error {
			if rememberUsers != "" {
				if err := c.Flags().Set("remember-users", rememberUsers); err != nil {
					return err
				}
			}
			cfg, err := a.settings(c)
			if err != nil {
				return err
			}
			ac := a.config(cfg)
			ac.Simulated = true
			if catalogFile != "" {
				if ac.CatalogFile, err = os.ReadFile(catalogFile); err != nil {
					return &control.Error{Code: "catalog_unreadable", Message: err.Error(), Hint: "check the path", Exit: 2}
				}
			}
			if until != "" {
				if o.Until, err = parseTime(until); err != nil {
					return err
				}
			}
			if len(decide) > 0 && catalogFile != "" {
				return &control.Error{Code: "usage", Message: "a state that is not enrolled sends nothing, so --catalog and --consent do not go together", Hint: "leave one of them out", Exit: 2}
			}
			if len(decide) > 0 {
				levels, err := parseLevels(decide)
				if err != nil {
					return err
				}
				o.Consent = &control.Decision{Levels: levels}
			}
			o.Files = files
			if a.output == "human" {
				o.Progress = func(text string) { fmt.Fprintln(a.Stderr, text) }
			}
			ag, err := agent.Open(ac)
			if err != nil {
				return err
			}
			headroom := make([]byte, replayHeadroom)
			res, err := ag.Replay(c.Context(), o)
			runtime.KeepAlive(headroom)
			if err = errors.Join(err, ag.Close(), giveBack(cfg.State)); err != nil {
				return err
			}
			return a.print(view{data: res, header: []string{"received", "measured", "until", "batches", "cells"},
				rows: [][]string{{fmt.Sprint(res.Events.Received), fmt.Sprint(res.Events.Reasons["measured"]), when(res.Now), fmt.Sprint(res.Sent.Batches), fmt.Sprint(res.Sent.Cells)}}})
		}}
	f := c.Flags()
	f.StringVar(&until, "until", "", "move the clock to local midnight at the beginning of this date")
	f.StringVar(&rememberUsers, "remember", "", "as remember_users: a duration, or forever")
	f.StringVar(&catalogFile, "catalog", "", "catalog file for a state that is not enrolled")
	f.StringArrayVar(&decide, "consent", nil, "CATEGORY=LEVEL, decided at the first event unless something was decided before; may be repeated")
	return c
}

func (a *app) serviceCmd() *cobra.Command {
	c := &cobra.Command{Use: "service", Short: "Install, start, stop and look at the system service",
		Example: "  fieldpost-agent service install --print systemd\n  sudo fieldpost-agent service install && sudo fieldpost-agent service start"}
	var print string
	do := func(name, short string, act func(Service) (string, error)) *cobra.Command {
		return &cobra.Command{Use: name, Short: short, Args: args(cobra.NoArgs), RunE: func(cmd *cobra.Command, _ []string) error {
			if name == "install" && print != "" {
				text, err := a.Print(print, a.serviceArgs(cmd))
				if err != nil {
					return &control.Error{Code: "usage", Message: err.Error(), Hint: "--print systemd, launchd or windows", Exit: 2}
				}
				_, err = io.WriteString(a.Stdout, text)
				return err
			}
			s, err := a.Service(a.serviceArgs(cmd))
			if err == nil {
				var text string
				if text, err = act(s); err == nil {
					fmt.Fprintln(a.Stdout, text)
					return nil
				}
			}
			return &control.Error{Code: "service_" + name, Message: err.Error(), Hint: "run it as root or administrator", Exit: 1}
		}}
	}
	install := do("install", "Install the service", func(s Service) (string, error) { return "installed", s.Install() })
	install.Flags().StringVar(&print, "print", "", "print the unit text for systemd, launchd or windows, and install nothing")
	c.AddCommand(install,
		do("uninstall", "Remove the service; the state stays", func(s Service) (string, error) {
			return "removed; the state directory was left as it is", s.Uninstall()
		}),
		do("start", "Start the service", func(s Service) (string, error) { return "started", s.Start() }),
		do("stop", "Stop the service", func(s Service) (string, error) { return "stopped", s.Stop() }),
		do("status", "What the service manager says", Service.Status))
	return c
}

func (a *app) consoleCmd() *cobra.Command {
	return &cobra.Command{Use: "console", Short: "Print a one-time link to this site's own pages", Example: "  fieldpost-agent console", Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := a.settings(c)
			if err != nil {
				return err
			}
			if _, err := control.Dial(cfg.State); err != nil {
				return &control.Error{Code: "agent_unreachable", Message: "no running agent holds " + cfg.State, Hint: "fieldpost-agent service start", Exit: 3}
			}
			link, err := agent.LoginLink(cfg.State)
			if err != nil {
				return err
			}
			return a.print(view{data: map[string]string{"link": link}, header: []string{"link"}, rows: [][]string{{link}},
				human: func(w io.Writer) { fmt.Fprintln(w, link) }})
		}}
}

// serviceArgs are the arguments the service runs the agent with.
func (a *app) serviceArgs(c *cobra.Command) []string {
	out := []string{"run"}
	if a.configFile != "" {
		out = append(out, "--config", a.configFile)
	}
	if f := c.Flags().Lookup("state"); f != nil && f.Changed {
		out = append(out, "--state", f.Value.String())
	}
	return out
}

// codeOf gives every error that reaches the user a stable code and a remedy.
func codeOf(err error) *control.Error {
	e := &control.Error{Code: "internal", Message: err.Error(), Exit: 1}
	switch {
	case errors.Is(err, durable.ErrLocked):
		e.Code, e.Hint = "state_locked", "stop the other agent, or give this one a --state of its own"
	case errors.Is(err, fs.ErrPermission):
		e.Code, e.Hint = "state_permission", "run it as the user who owns the state directory"
	case errors.Is(err, context.Canceled):
		e.Code, e.Message = "interrupted", "interrupted"
	default:
		if text := err.Error(); strings.HasPrefix(text, "unknown command") || strings.HasPrefix(text, "unknown shorthand") {
			e.Code, e.Hint, e.Exit = "usage", "fieldpost-agent --help", 2
		}
	}
	return e
}
