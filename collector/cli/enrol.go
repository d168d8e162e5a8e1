package cli

import (
	"fmt"
	"io"
	"strconv"
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
			q.By = a.actor()
			return a.open(cmd.Context(), true, func(d *collector.Data) error {
				t, err := d.NewToken(cmd.Context(), q, url)
				if err != nil {
					return err
				}
				if out == "-" {
					_, err = fmt.Fprintln(a.Stdout, t.String())
					return err
				}
				if err := durable.WriteFile(durable.OS(), out, []byte(t.String()+"\n"), 0o600); err != nil {
					return err
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
	return &cobra.Command{Use: "revoke ID", Short: "Stop further joins with a token; agents that joined stay.", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		id, err := exchange.ParseID(args[0])
		if err != nil {
			return usage{err}
		}
		return a.open(cmd.Context(), false, func(d *collector.Data) error {
			if err := d.Store.RevokeToken(cmd.Context(), id, time.Now()); err != nil {
				return err
			}
			return d.Store.AddAudit(cmd.Context(), store.AuditRow{At: time.Now(), Actor: a.actor(), Action: "token_revoked", Subject: id.String()})
		})
	}}
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
	revoke := &cobra.Command{Use: "revoke ID", Short: "Refuse an agent from now on; its data stays.", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		id, err := exchange.ParseID(args[0])
		if err != nil {
			return usage{err}
		}
		return a.open(cmd.Context(), false, func(d *collector.Data) error {
			if err := d.Store.RevokeAgent(cmd.Context(), id, time.Now()); err != nil {
				return err
			}
			return d.Store.AddAudit(cmd.Context(), store.AuditRow{At: time.Now(), Actor: a.actor(), Action: "agent_revoked", Subject: id.String()})
		})
	}}
	cmd.AddCommand(list, revoke)
	return cmd
}

func (a *app) quarantine() *cobra.Command {
	cmd := &cobra.Command{Use: "quarantine", Short: "See batches that were refused, and why."}
	var q store.TroubleQuery
	list := &cobra.Command{Use: "list", Short: "List them, newest first.", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return a.open(cmd.Context(), false, func(d *collector.Data) error {
			all, err := d.Store.Quarantine(cmd.Context(), q)
			if err != nil {
				return err
			}
			var rows [][]string
			for _, x := range all {
				rows = append(rows, []string{strconv.FormatInt(x.ID, 10), date(x.At), x.Account, x.Installation, strconv.FormatUint(x.Seq, 10), x.Code, x.Message, strconv.Itoa(x.Bytes)})
			}
			return a.table([]string{"id", "at", "account", "installation", "seq", "code", "reason", "bytes"}, rows)
		})
	}}
	list.Flags().StringVar(&q.Account, "account", "", "only of this account")
	list.Flags().IntVar(&q.Limit, "limit", 100, "how many, at most 1,000")
	export := &cobra.Command{Use: "export ID FILE", Short: "Write the bytes of one to a file.", Args: cobra.ExactArgs(2), RunE: func(cmd *cobra.Command, args []string) error {
		id, err := strconv.ParseInt(args[0], 10, 64)
		if err != nil {
			return usage{fmt.Errorf("%q is not the number of a quarantined batch", args[0])}
		}
		return a.open(cmd.Context(), false, func(d *collector.Data) error {
			b, err := d.Store.QuarantineBytes(cmd.Context(), id)
			if err != nil {
				return err
			}
			return durable.WriteFile(durable.OS(), args[1], b, 0o600)
		})
	}}
	cmd.AddCommand(list, export)
	return cmd
}

func (a *app) audit() *cobra.Command {
	var q store.TroubleQuery
	cmd := &cobra.Command{Use: "audit", Short: "List what was done by whom, newest first.", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
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
