package cli

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/fieldpost/fieldpost/collector"
	"github.com/fieldpost/fieldpost/collector/access"
	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

const (
	maxImport  = 64 << 20
	maxColumns = 200
	maxValue   = 4096
)

func (a *app) account() *cobra.Command {
	cmd := &cobra.Command{Use: "account", Short: "Import and list customers, and what you know of them."}
	var clearEmpty bool
	imp := &cobra.Command{
		Use: "import FILE.csv", Short: "Create or update accounts from a CSV file, all rows or none.", Args: cobra.ExactArgs(1),
		Long: "The first line names the columns. key is required and names the account; name is shown; every other column (industry, size, region, plan, seats,\n" +
			"price, renewal date, owner, ...) becomes a trait that lists filter, rank and group by. An empty field leaves what was there; with --clear it takes it away.",
		Example: "  fieldpost-collector account import crm.csv",
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := a.readAll(args[0], maxImport)
			if err != nil {
				return err
			}
			accounts, err := parseAccounts(b, time.Now(), clearEmpty)
			if err != nil {
				return &store.Problem{Code: store.CodeBadInput, Message: err.Error(), Hint: "mend the line and import again; nothing was changed"}
			}
			return a.open(cmd.Context(), true, func(d *collector.Data) error {
				created, updated, err := d.Store.ImportAccounts(cmd.Context(), accounts)
				if err != nil {
					return err
				}
				if err := d.Store.AddAudit(cmd.Context(), store.AuditRow{At: time.Now(), Actor: a.actor(), Action: "accounts_imported", Detail: fmt.Sprintf("%d created, %d updated", created, updated)}); err != nil {
					return err
				}
				_, err = fmt.Fprintf(a.Stdout, "%d accounts created, %d updated\n", created, updated)
				return err
			})
		},
	}
	imp.Flags().BoolVar(&clearEmpty, "clear", false, "an empty field takes the account's trait away")
	cmd.AddCommand(imp, a.accountList(), a.accountShow(), a.accountSet(), a.accountUnset(), a.accountTraits(), a.accountState("close", "Refuse the account's agents; its data stays.", true), a.accountState("open", "Let the account's agents in again.", false))
	return cmd
}

// parseAccounts reads the file strictly; errors name the line. clearEmpty keeps empty fields, which take traits away.
func parseAccounts(b []byte, now time.Time, clearEmpty bool) ([]store.Account, error) {
	b = bytes.TrimPrefix(b, []byte("\uFEFF"))
	if !utf8.Valid(b) {
		return nil, errors.New("the file is not UTF-8 text")
	}
	r := csv.NewReader(bytes.NewReader(b))
	if head, _, _ := bytes.Cut(b, []byte("\n")); bytes.Count(head, []byte(";")) > bytes.Count(head, []byte(",")) {
		r.Comma = ';' // what spreadsheets write where the comma is decimal
	}
	head, err := r.Read()
	if err != nil {
		return nil, errors.New("line 1: there are no column names")
	}
	keyAt, nameAt := -1, -1
	for i, h := range head {
		h = strings.ToLower(strings.TrimSpace(h))
		head[i] = h
		switch {
		case h == "" || len(h) > maxTraitName:
			return nil, fmt.Errorf("line 1: column %d has no name, or one over %d bytes", i+1, maxTraitName)
		case slices.Contains(head[:i], h):
			return nil, fmt.Errorf("line 1: two columns are named %q", h)
		case h == "key":
			keyAt = i
		case h == "name":
			nameAt = i
		}
	}
	if keyAt < 0 || len(head) > maxColumns {
		return nil, fmt.Errorf("line 1: there is no column named key, or there are more than %d", maxColumns)
	}
	var out []store.Account
	lines := map[string]int{}
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if pe := (*csv.ParseError)(nil); errors.As(err, &pe) {
			return nil, fmt.Errorf("line %d: %w", pe.Line, pe.Err)
		} else if err != nil {
			return nil, err
		}
		line, _ := r.FieldPos(0)
		acc := store.Account{Key: strings.TrimSpace(row[keyAt]), Attributes: map[string]string{}, Created: now}
		if !collector.ValidKey(acc.Key) {
			return nil, fmt.Errorf("line %d: the key %q is empty, too long or has characters beyond letters, digits and . _ - @ +", line, acc.Key)
		}
		if before, ok := lines[acc.Key]; ok {
			return nil, fmt.Errorf("line %d: the key %s stands in line %d already", line, acc.Key, before)
		}
		lines[acc.Key] = line
		for i, v := range row {
			v = strings.TrimSpace(v)
			switch {
			case len(v) > maxValue:
				return nil, fmt.Errorf("line %d: %s has more than %d bytes", line, head[i], maxValue)
			case i == nameAt:
				acc.Name = v
			case i != keyAt && (v != "" || clearEmpty):
				acc.Attributes[head[i]] = v
			}
		}
		out = append(out, acc)
	}
}

func (a *app) accountList() *cobra.Command {
	var q store.AccountQuery
	var traits bool
	cmd := &cobra.Command{Use: "list", Short: "List accounts.", Example: "  fieldpost-collector account list --traits --sort attr.seats --desc -o csv", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		if err := between("limit", q.Limit, 1, 1000); err != nil {
			return err
		}
		if !slices.Contains([]string{"name", "key", "installations", "last_report"}, q.Sort) && !strings.HasPrefix(q.Sort, "attr.") {
			return usage{fmt.Errorf("--sort is name, key, installations, last_report or attr.NAME, not %q", q.Sort)}
		}
		return a.open(cmd.Context(), false, func(d *collector.Data) error {
			p, err := d.Store.AccountPage(cmd.Context(), q)
			if err != nil {
				return err
			}
			head := []string{"key", "name", "installations", "reporting", "last report", "closed"}
			fixed := len(head)
			if traits {
				list, err := d.Store.Attributes(cmd.Context())
				if err != nil {
					return err
				}
				for _, t := range list {
					head = append(head, t.Name)
				}
			}
			var rows [][]string
			for _, r := range p.Rows {
				row := []string{r.Key, r.Name, strconv.Itoa(r.Installations), strconv.Itoa(r.Reporting), date(r.LastReport), strconv.FormatBool(r.Closed)}
				for _, name := range head[fixed:] {
					row = append(row, r.Attributes[name])
				}
				rows = append(rows, row)
			}
			return a.table(head, rows)
		})
	}}
	cmd.Flags().StringVar(&q.Search, "search", "", "text in key or name")
	cmd.Flags().BoolVar(&traits, "traits", false, "a column for each trait")
	cmd.Flags().StringVar(&q.Sort, "sort", "name", "name, key, installations, last_report or attr.NAME")
	cmd.Flags().BoolVar(&q.Desc, "desc", false, "largest first")
	cmd.Flags().IntVar(&q.Limit, "limit", 1000, "how many, at most 1,000")
	return cmd
}

func (a *app) accountState(use, short string, closed bool) *cobra.Command {
	cmd := &cobra.Command{Use: use + " KEY", Short: short, Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		return a.open(cmd.Context(), false, func(d *collector.Data) error {
			if _, err := d.Store.Account(cmd.Context(), args[0]); err != nil {
				return missing(err, "account "+args[0], "account list")
			}
			said := "account %s is open: its agents are let in\n"
			if closed {
				said = "account %s is closed: its agents are refused from their next request\n"
				if err := a.confirm(cmd, "close account "+args[0]+", and refuse its agents"); err != nil {
					return err
				}
			}
			if err := d.Store.CloseAccount(cmd.Context(), args[0], closed); err != nil {
				return err
			}
			fmt.Fprintf(a.Stdout, said, clean(args[0]))
			return d.Store.AddAudit(cmd.Context(), store.AuditRow{At: time.Now(), Actor: a.actor(), Action: "account_" + use, Subject: args[0]})
		})
	}}
	if closed {
		return destructive(cmd)
	}
	return cmd
}

func (a *app) user() *cobra.Command {
	cmd := &cobra.Command{Use: "user", Short: "Say who may use the pages and the API."}
	var role string
	var disabled bool
	put := &cobra.Command{Use: "set NAME", Short: "Create a user, or change role and state.", Args: cobra.ExactArgs(1),
		Example: "  fieldpost-collector user set ann@example.com --role viewer",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.open(cmd.Context(), false, func(d *collector.Data) error {
				return d.Access().PutUser(cmd.Context(), a.actor(), args[0], access.Role(role), disabled)
			})
		}}
	put.Flags().StringVar(&role, "role", string(access.Viewer), "viewer, support or admin")
	put.Flags().BoolVar(&disabled, "disabled", false, "keep the user, but let nobody in under the name")
	list := &cobra.Command{Use: "list", Short: "List users.", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return a.open(cmd.Context(), false, func(d *collector.Data) error {
			us, err := d.Access().UserList(cmd.Context())
			if err != nil {
				return err
			}
			var rows [][]string
			for _, u := range us {
				rows = append(rows, []string{u.Name, u.Role, strconv.FormatBool(u.Disabled), date(u.Created)})
			}
			return a.table([]string{"name", "role", "disabled", "created"}, rows)
		})
	}}
	login := &cobra.Command{Use: "login NAME", Short: "Print a login link that works once, for 15 minutes.", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		return a.open(cmd.Context(), false, func(d *collector.Data) error {
			path, err := d.Access().LoginLink(cmd.Context(), a.actor(), args[0])
			if err != nil {
				return missing(err, "user "+args[0], "user list")
			}
			base, err := d.URL()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(a.Stdout, base+path)
			return err
		})
	}}
	cmd.AddCommand(put, list, login)
	return cmd
}

func (a *app) apitoken() *cobra.Command {
	cmd := &cobra.Command{Use: "apitoken", Short: "Let programs read the API."}
	var user, label string
	var days int
	create := &cobra.Command{Use: "create", Short: "Make a token and print it once.", Args: cobra.NoArgs,
		Example: "  fieldpost-collector apitoken create --user ann@example.com --label dashboards --days 90",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.open(cmd.Context(), false, func(d *collector.Data) error {
				t, err := d.Access().NewToken(cmd.Context(), a.actor(), user, label, time.Duration(days)*24*time.Hour)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintln(a.Stdout, t)
				return err
			})
		}}
	create.Flags().StringVar(&user, "user", "admin", "whose rights it has")
	create.Flags().StringVar(&label, "label", "", "where it will be used")
	create.Flags().IntVar(&days, "days", 90, "how long it lives, at most 366")
	list := &cobra.Command{Use: "list", Short: "List tokens; never the secrets.", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return a.open(cmd.Context(), false, func(d *collector.Data) error {
			ts, err := d.Access().Tokens(cmd.Context(), "")
			if err != nil {
				return err
			}
			var rows [][]string
			for _, t := range ts {
				rows = append(rows, []string{t.Hash.String(), t.User, t.Label, date(t.Created), date(t.Expires), date(t.LastUsed)})
			}
			return a.table([]string{"id", "user", "label", "created", "expires", "last used"}, rows)
		})
	}}
	revoke := destructive(&cobra.Command{Use: "revoke ID", Short: "End a token.", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		var h exchange.Hash
		if err := h.UnmarshalText([]byte(args[0])); err != nil {
			return usage{err}
		}
		return a.open(cmd.Context(), false, func(d *collector.Data) error {
			if err := a.confirm(cmd, "end the API token "+h.String()); err != nil {
				return err
			}
			return missing(d.Access().RevokeToken(cmd.Context(), a.actor(), h), "API token "+h.String(), "apitoken list")
		})
	}})
	cmd.AddCommand(create, list, revoke)
	return cmd
}
