package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fieldpost/fieldpost/collector"
	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/durable"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

func (a *app) token() *cobra.Command {
	cmd := &cobra.Command{Use: "token", Short: "Let agents in."}
	cmd.AddCommand(a.tokenCreate(), a.tokenList(), a.tokenRevoke())
	return cmd
}

func (a *app) tokenCreate() *cobra.Command {
	var q collector.TokenRequest
	var out, url string
	cmd := &cobra.Command{
		Use: "create", Short: "Make an enrolment token for one installation.", Args: cobra.NoArgs,
		Long:    "Account and installation are created when they are unknown. The token is a secret: whoever has it can join. It goes to a file that only you can read, or with --out - to standard output.",
		Example: "  fieldpost-collector token create --account acme --installation berlin --environment production --out acme-berlin.token",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if out == "" {
				return usage{fmt.Errorf("say with --out FILE where the token goes (- is standard output)")}
			}
			if err := between("uses", q.Uses, 1, 100_000); err != nil {
				return err
			}
			if q.For <= 0 {
				return usage{fmt.Errorf("--for is how long it may be used, as in 72h")}
			}
			if out != "-" { // before the token is made: a token nobody has is no use
				if err := newFile(out, "name another file, or remove this one if its token is not needed"); err != nil {
					return err
				}
			}
			q.By = a.actor()
			return a.open(cmd.Context(), true, func(d *collector.Data) error {
				t, err := d.NewToken(cmd.Context(), q, url)
				if err != nil {
					return err
				}
				if _, err := d.Store.NewestCatalog(cmd.Context(), ""); errors.Is(err, store.ErrNotFound) {
					fmt.Fprintln(a.Stderr, "note: there is no catalog yet, so agents that join measure nothing.\nTry: fieldpost-collector catalog sign --key vendor.key catalog.yaml, then catalog add catalog.yaml")
				}
				if out == "-" {
					_, err = fmt.Fprintln(a.Stdout, t.String())
					return err
				}
				if err := durable.WriteFile(durable.OS(), out, []byte(t.String()+"\n"), 0o600); err != nil {
					// Its secret is nowhere now.
					p := &store.Problem{Code: codeOutput, Message: out + " cannot be written; the token was revoked", Hint: "name a file that you may write", Err: err}
					return errors.Join(p, d.Store.RevokeToken(cmd.Context(), t.ID, time.Now()))
				}
				_, err = fmt.Fprintf(a.Stdout, "token %s for %s/%s (%s), %d use(s) until %s: %s\non the machine: fieldpost-agent enroll --token-file %s\n",
					t.ID, t.Account, t.Installation, t.Environment, t.MaxUses, date(time.Unix(t.Expires, 0)), out, out)
				return err
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&q.Account, "account", "", "key of the account")
	f.StringVar(&q.Installation, "installation", "", "name of the installation within the account")
	f.StringVar(&q.Environment, "environment", "", "trial, pilot, production or test")
	f.StringVar(&out, "out", "", "file for the token, or - for standard output")
	f.StringVar(&url, "url", "", "how this agent reaches the collector, if not as serve said")
	f.IntVar(&q.Uses, "uses", 1, "how many agents may join with it")
	f.DurationVar(&q.For, "for", 24*time.Hour, "how long it may be used")
	return cmd
}

func (a *app) tokenList() *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List tokens, newest first.", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return a.open(cmd.Context(), false, func(d *collector.Data) error {
			list, err := d.Store.Tokens(cmd.Context(), 1000)
			if err != nil {
				return err
			}
			var rows [][]string
			for _, t := range list {
				state := "live"
				switch now := time.Now(); {
				case !t.Revoked.IsZero():
					state = "revoked"
				case t.Uses >= t.MaxUses:
					state = "used up"
				case !t.Live(now):
					state = "expired"
				}
				rows = append(rows, []string{t.ID.String(), t.Account, t.Installation, t.Environment, state, fmt.Sprintf("%d/%d", t.Uses, t.MaxUses), date(t.Expires), t.By})
			}
			return a.table([]string{"id", "account", "installation", "environment", "state", "uses", "expires", "by"}, rows)
		})
	}}
}

func (a *app) tokenRevoke() *cobra.Command {
	return destructive(&cobra.Command{Use: "revoke ID", Short: "Stop further joins with a token; agents that joined stay.", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		id, err := exchange.ParseID(args[0])
		if err != nil {
			return usage{err}
		}
		return a.open(cmd.Context(), false, func(d *collector.Data) error {
			if _, err := d.Store.Token(cmd.Context(), id); err != nil {
				return missing(err, "token "+id.String(), "token list")
			}
			if err := a.confirm(cmd, "revoke token "+id.String()); err != nil {
				return err
			}
			if err := d.Store.RevokeToken(cmd.Context(), id, time.Now()); err != nil {
				return err
			}
			fmt.Fprintf(a.Stdout, "token %s is revoked; agents that joined with it stay\n", id)
			return d.Store.AddAudit(cmd.Context(), store.AuditRow{At: time.Now(), Actor: a.actor(), Action: "token_revoked", Subject: id.String()})
		})
	}})
}

func (a *app) agent() *cobra.Command {
	cmd := &cobra.Command{Use: "agent", Short: "List and revoke agents."}
	list := &cobra.Command{Use: "list [ACCOUNT [INSTALLATION]]", Short: "List agents, newest first.", Args: cobra.MaximumNArgs(2), RunE: func(cmd *cobra.Command, args []string) error {
		args = append(args, "", "")
		return a.open(cmd.Context(), false, func(d *collector.Data) error {
			agents, err := d.Store.AgentsOf(cmd.Context(), args[0], args[1], 10_000)
			if err != nil {
				return err
			}
			var rows [][]string
			for _, g := range agents {
				state := "active"
				if !g.Revoked.IsZero() {
					state = "revoked"
				} else if g.Closed {
					state = "account closed"
				}
				rows = append(rows, []string{g.ID.String(), g.Account, g.Installation, g.Environment, state, g.Version, date(g.LastCheckIn), g.Skew.String()})
			}
			return a.table([]string{"id", "account", "installation", "environment", "state", "version", "last check-in", "skew"}, rows)
		})
	}}
	revoke := destructive(&cobra.Command{Use: "revoke ID", Short: "Refuse an agent from now on, for good; its data stays.", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		id, err := exchange.ParseID(args[0])
		if err != nil {
			return usage{err}
		}
		return a.open(cmd.Context(), false, func(d *collector.Data) error {
			g, err := d.Store.Agent(cmd.Context(), id)
			if err != nil {
				return missing(err, "agent "+id.String(), "agent list")
			}
			if err := a.confirm(cmd, "refuse the agent of "+g.Account+"/"+g.Installation+" for good"); err != nil {
				return err
			}
			if err := d.Store.RevokeAgent(cmd.Context(), id, time.Now()); err != nil {
				return err
			}
			fmt.Fprintf(a.Stdout, "the agent of %s/%s is refused from its next request; to come back it joins anew\n", clean(g.Account), clean(g.Installation))
			return d.Store.AddAudit(cmd.Context(), store.AuditRow{At: time.Now(), Actor: a.actor(), Action: "agent_revoked", Subject: id.String()})
		})
	}})
	cmd.AddCommand(list, revoke)
	return cmd
}

func (a *app) audit() *cobra.Command {
	var q store.TroubleQuery
	cmd := &cobra.Command{Use: "audit", Short: "List what was done by whom, newest first.", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		if err := between("limit", q.Limit, 1, 1000); err != nil {
			return err
		}
		return a.open(cmd.Context(), false, func(d *collector.Data) error {
			all, err := d.Store.Audit(cmd.Context(), q)
			if err != nil {
				return err
			}
			var rows [][]string
			for _, x := range all {
				rows = append(rows, []string{date(x.At), x.Actor, x.Action, x.Subject, strings.TrimSpace(x.Detail)})
			}
			return a.table([]string{"at", "actor", "action", "subject", "detail"}, rows)
		})
	}}
	cmd.Flags().StringVar(&q.Account, "account", "", "only of this account")
	cmd.Flags().IntVar(&q.Limit, "limit", 100, "how many, at most 1,000")
	return cmd
}

// readAll reads a bounded file, or standard input for "-".
func (a *app) readAll(name string, most int64) ([]byte, error) {
	if name != "-" {
		return durable.ReadFile(durable.OS(), name, most)
	}
	b, err := io.ReadAll(io.LimitReader(a.Stdin, most+1))
	if err == nil && int64(len(b)) > most {
		err = durable.ErrTooLarge
	}
	return b, err
}
