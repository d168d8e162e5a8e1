package cli

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/fieldpost/fieldpost/collector"
	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/catalog"
)

const maxTraitName = 64

// traitName is a trait's name as it is kept: columns and --set agree on it.
func traitName(s string) (string, error) {
	s = strings.ToLower(strings.TrimSpace(s))
	switch {
	case s == "" || len(s) > maxTraitName || !utf8.ValidString(s):
		return "", fmt.Errorf("a trait's name has 1 to %d bytes, not %q", maxTraitName, s)
	case s == "key":
		return "", errors.New("the key names the account and never changes")
	case s == "environment":
		return "", errors.New("environment belongs to installations; filters know it already")
	case strings.ContainsAny(s, "=!<>~") || strings.ContainsFunc(s, unicode.IsControl):
		return "", fmt.Errorf("the trait's name %q has one of = ! < > ~, which filters compare with", s)
	}
	return s, nil
}

// traits reads NAME=VALUE arguments.
func traits(args []string) (map[string]string, error) {
	out := map[string]string{}
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok {
			return nil, fmt.Errorf("%q is not NAME=VALUE", arg)
		}
		name, err := traitName(name)
		value = strings.TrimSpace(value)
		switch _, twice := out[name]; {
		case err != nil:
			return nil, err
		case twice:
			return nil, fmt.Errorf("%s is given twice", name)
		case value == "":
			return nil, fmt.Errorf("%s has no value; account unset takes a trait away", name)
		case len(value) > maxValue || !utf8.ValidString(value):
			return nil, fmt.Errorf("the value of %s is not text, or has more than %d bytes", name, maxValue)
		}
		out[name] = value
	}
	return out, nil
}

func (a *app) accountSet() *cobra.Command {
	var create bool
	cmd := &cobra.Command{
		Use: "set KEY NAME=VALUE...", Short: "Set traits of one account; name is the shown one.", Args: cobra.MinimumNArgs(2),
		Long: "Traits are what you know of a customer: plan, seats, price, region, renewal, owner. Lists filter and rank by them, and /measures/ID?by=NAME groups accounts by one.\n" +
			"Names are in lower case. An import sets the same traits; the last one wins.",
		Example: "  fieldpost-collector account set acme plan=Enterprise seats=300\n  fieldpost-collector account set --create bolt name=\"Bolt Ltd\" plan=Trial",
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := traits(args[1:])
			if err != nil {
				return &store.Problem{Code: store.CodeBadInput, Message: err.Error(), Hint: "fieldpost-collector account set acme plan=Team; nothing was changed"}
			}
			if !collector.ValidKey(args[0]) {
				return &store.Problem{Code: store.CodeBadInput, Message: "the key is empty, too long or has characters beyond letters, digits and . _ - @ +", Hint: "fieldpost-collector account list"}
			}
			return a.open(cmd.Context(), create, func(d *collector.Data) error {
				if _, err := d.Store.Account(cmd.Context(), args[0]); err != nil && !(create && errors.Is(err, store.ErrNotFound)) {
					return missing(err, "account "+args[0], "account list, or account set --create")
				}
				return a.putTraits(cmd, d, args[0], set, "account_set")
			})
		},
	}
	cmd.Flags().BoolVar(&create, "create", false, "make the account when there is none of the key")
	return cmd
}

func (a *app) accountUnset() *cobra.Command {
	return &cobra.Command{
		Use: "unset KEY NAME...", Short: "Take traits of one account away.", Args: cobra.MinimumNArgs(2),
		Example: "  fieldpost-collector account unset acme renewal",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.open(cmd.Context(), false, func(d *collector.Data) error {
				row, err := d.Store.Account(cmd.Context(), args[0])
				if err != nil {
					return missing(err, "account "+args[0], "account list")
				}
				gone := map[string]string{}
				for _, arg := range args[1:] {
					name, err := traitName(arg)
					if err == nil && name == "name" {
						err = errors.New("an account always has a name; account set KEY name=... changes it")
					}
					if err != nil {
						return &store.Problem{Code: store.CodeBadInput, Message: err.Error(), Hint: "fieldpost-collector account show " + args[0]}
					}
					if _, ok := row.Attributes[name]; !ok {
						hint := "fieldpost-collector account show " + args[0]
						if near := catalog.Nearest(name, slices.Sorted(maps.Keys(row.Attributes))); near != "" {
							hint = "fieldpost-collector account unset " + args[0] + " " + near
						}
						return &store.Problem{Code: store.CodeNotFound, Message: "account " + args[0] + " has no trait " + name + "; nothing was changed", Hint: hint}
					}
					gone[name] = ""
				}
				return a.putTraits(cmd, d, args[0], gone, "account_unset")
			})
		},
	}
}

// putTraits changes an account's traits, "" taking one away, notes it and prints what stands.
func (a *app) putTraits(cmd *cobra.Command, d *collector.Data, key string, change map[string]string, action string) error {
	acc := store.Account{Key: key, Name: change["name"], Attributes: maps.Clone(change), Created: time.Now()}
	delete(acc.Attributes, "name")
	if _, _, err := d.Store.ImportAccounts(cmd.Context(), []store.Account{acc}); err != nil {
		return err
	}
	var said []string
	for _, name := range slices.Sorted(maps.Keys(change)) {
		said = append(said, strings.TrimSuffix(name+"="+change[name], "="))
	}
	if err := d.Store.AddAudit(cmd.Context(), store.AuditRow{At: time.Now(), Actor: a.actor(), Action: action, Subject: key, Detail: strings.Join(said, ", ")}); err != nil {
		return err
	}
	return a.printTraits(cmd, d, key)
}

func (a *app) accountShow() *cobra.Command {
	return &cobra.Command{Use: "show KEY", Short: "Print the traits of one account.", Args: cobra.ExactArgs(1),
		Example: "  fieldpost-collector account show acme -o csv",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.open(cmd.Context(), false, func(d *collector.Data) error { return a.printTraits(cmd, d, args[0]) })
		}}
}

func (a *app) printTraits(cmd *cobra.Command, d *collector.Data, key string) error {
	row, err := d.Store.Account(cmd.Context(), key)
	if err != nil {
		return missing(err, "account "+key, "account list")
	}
	rows := [][]string{{"name", row.Name}}
	for _, name := range slices.Sorted(maps.Keys(row.Attributes)) {
		rows = append(rows, []string{name, row.Attributes[name]})
	}
	return a.table([]string{"trait", "value"}, rows)
}

func (a *app) accountTraits() *cobra.Command {
	return &cobra.Command{Use: "traits", Short: "List the traits any account has.", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return a.open(cmd.Context(), false, func(d *collector.Data) error {
			list, err := d.Store.Attributes(cmd.Context())
			if err != nil {
				return err
			}
			var rows [][]string
			for _, t := range list {
				rows = append(rows, []string{t.Name, strconv.Itoa(t.Accounts), strconv.FormatBool(t.Numeric)})
			}
			return a.table([]string{"trait", "accounts", "numeric"}, rows)
		})
	}}
}
