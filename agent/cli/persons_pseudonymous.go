//go:build pseudonymous

package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/protocol/catalog/signing"
	"github.com/fieldpost/fieldpost/protocol/durable"
)

// moreCmds are the commands about single people.
func (a *app) moreCmds() []*cobra.Command { return []*cobra.Command{a.rowsCmd(), a.triggersCmd()} }

// persons carries out an order and prints how things stand.
func (a *app) persons(c *cobra.Command, o control.PersonsOrder, show func(control.PersonsAnswer) view) error {
	out, err := a.order(c, o)
	if err != nil {
		return err
	}
	return a.print(show(out))
}

func (a *app) order(c *cobra.Command, o control.PersonsOrder) (out control.PersonsAnswer, err error) {
	site, done, err := a.open(c)
	if err != nil {
		return out, err
	}
	defer done()
	p, ok := site.(control.Persons)
	if !ok {
		return out, errors.New("asking about single people: the site cannot") // both kinds of site can
	}
	return p.Persons(c.Context(), o)
}

func signedBy(c *cobra.Command, o *control.PersonsOrder) {
	f := c.Flags()
	f.StringVar(&o.By, "by", "", "who decides (stays here)")
	f.StringVar(&o.Ticket, "ticket", "", "the change it was decided in (stays here)")
	f.StringVar(&o.Counter, "countersigned-by", "", "second signature, such as the works council's (stays here)")
}

func (a *app) rowsCmd() *cobra.Command {
	root := &cobra.Command{Use: "rows", Short: "Pseudonymous figures of single people, for a file you hand over yourself", Args: args(cobra.NoArgs),
		Long: `Pseudonymous figures of single people: for each closed block of four weeks one row a person, with active days and events
of the measures you choose. They stay here until you write them to a file, read it, and hand it over; no network is
involved. Only this build of the program can do it, only after a decision of its own, and only while consent
to the measures' category is at least aggregate. A pseudonym is not anonymity: who knows the people can often
tell whose row it is.`,
		Example: "  fieldpost-agent rows\n  fieldpost-agent rows allow --measures people,changes --by j.d. --countersigned-by wc\n  fieldpost-agent rows export --to block.jsonl",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.persons(c, control.PersonsOrder{Do: control.ShowPersons}, rowsView)
		}}
	root.AddCommand(a.rowsAllow(), a.denyCmd("rows", control.DenyRows, "Withdraw the decision and delete every row that is kept", rowsView), a.rowsExport())
	return root
}

func (a *app) rowsAllow() *cobra.Command {
	o := control.PersonsOrder{Do: control.AllowRows}
	var from string
	c := &cobra.Command{Use: "allow", Short: "Decide that rows of these measures are kept", Args: args(cobra.NoArgs),
		Long: `Decide that rows of these measures are kept, for every block of four weeks that begins from now on. Measures are of the kinds
active_users (active days), count and distribution (events and active days). With --trait each row says one trait, values of
fewer than 12 people merged. --rotate says how long somebody keeps a pseudonym. The decision is dated and on the ledger.`,
		Example: "  fieldpost-agent rows allow --measures people,changes --trait role --rotate 12w --by j.d. --ticket CHG-2291",
		RunE: func(c *cobra.Command, _ []string) error {
			if from != "" {
				t, err := parseTime(from)
				if err != nil {
					return err
				}
				o.From = &t
			}
			return a.persons(c, o, rowsView)
		}}
	signedBy(c, &o)
	f := c.Flags()
	f.StringSliceVar(&o.Measures, "measures", nil, "ids of measures")
	f.StringVar(&o.Trait, "trait", "", "one trait with a list of values, such as role")
	f.StringVar(&o.Rotate, "rotate", "never", "how long a pseudonym lasts: never ends, 4w, 12w or 52w")
	f.StringVar(&from, "from", "", "blocks that begin from this date on too (default: from now)")
	return c
}

func (a *app) denyCmd(what, do, short string, show func(control.PersonsAnswer) view) *cobra.Command {
	o := control.PersonsOrder{Do: do}
	c := &cobra.Command{Use: "deny", Short: short, Example: "  fieldpost-agent " + what + " deny --by j.d.", Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error { return a.persons(c, o, show) }}
	signedBy(c, &o)
	return c
}

func (a *app) rowsExport() *cobra.Command {
	o := control.PersonsOrder{Do: control.ExportRows}
	var to string
	c := &cobra.Command{Use: "export --to FILE", Short: "Write the rows of a block to a file that only you can read", Args: args(cobra.NoArgs),
		Long: `Write the rows of a block to a file that only you can read: JSON lines, the first says what the others mean. Read it before you
hand it over. The ledger keeps the block, how many rows, and the file's SHA-256.`,
		Example: "  fieldpost-agent rows export --to block.jsonl\n  fieldpost-agent rows export --block 2026-10-19 --to block.jsonl",
		RunE: func(c *cobra.Command, _ []string) error {
			if to == "" {
				return &control.Error{Code: "usage", Message: "no file is named", Hint: "--to FILE", Exit: 2}
			}
			if _, err := os.Lstat(to); err == nil {
				return &control.Error{Code: "file_exists", Message: to + " is there already", Hint: "another name", Exit: 2}
			}
			// Whether the file can be written is known before the ledger says that it was.
			if err := writable(to); err != nil {
				return err
			}
			out, err := a.order(c, o)
			if err != nil {
				return err
			}
			if err := durable.WriteFile(durable.OS(), to, out.File, 0o600); err != nil {
				return notWritten(err)
			}
			n := strings.Count(string(out.File), "\n") - 1
			return a.print(view{data: map[string]any{"file": to, "rows": n}, header: []string{"file", "rows"}, rows: [][]string{{to, fmt.Sprint(n)}},
				human: func(w io.Writer) {
					fmt.Fprintf(w, "%d rows in %s. Read it before you hand it over; nothing has left.\n", n, clean(to))
				}})
		}}
	f := c.Flags()
	f.StringVar(&to, "to", "", "the file to write")
	f.StringVar(&o.Block, "block", "", "first day of the block (default: the newest that is whole)")
	f.StringVar(&o.By, "by", "", "who exports (stays here)")
	return c
}

func writable(path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".fieldpost-*")
	if err != nil {
		return notWritten(err)
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

func notWritten(err error) error {
	return &control.Error{Code: "file_not_written", Message: "the file cannot be written: " + err.Error(), Hint: "another folder", Exit: 1}
}

func rowsView(x control.PersonsAnswer) view {
	v := view{data: x.Rows, header: []string{"block", "measures", "people", "whole"}}
	for _, b := range x.Rows.Blocks {
		v.rows = append(v.rows, []string{b.Block, strings.Join(b.Measures, " "), fmt.Sprint(b.People), fmt.Sprint(b.Whole)})
	}
	v.human = func(w io.Writer) {
		r := x.Rows
		if !r.Allowed {
			fmt.Fprintln(w, "Rows about single people are not allowed here, and none are kept.\nTry: fieldpost-agent rows allow --help")
			return
		}
		fmt.Fprintf(w, "Allowed on %s by %s, blocks from %s: %s\n", when(r.At), clean(r.By), when(r.From), clean(strings.Join(r.Measures, ", ")))
		if r.Trait != "" {
			fmt.Fprintf(w, "  trait %s\n", clean(r.Trait))
		}
		fmt.Fprintf(w, "  pseudonyms change: %s\n", r.Rotate)
		for _, b := range r.Blocks {
			state := "whole"
			if !b.Whole {
				state = "not whole yet"
			}
			fmt.Fprintf(w, "  block %s  %s people  %s\n", b.Block, thousands(uint64(b.People)), state)
		}
		if len(r.Blocks) == 0 {
			fmt.Fprintln(w, "  no block has closed yet")
		}
		if r.Dropped > 0 {
			fmt.Fprintf(w, "  %d blocks went for want of room\n", r.Dropped)
		}
	}
	return v
}

func (a *app) triggersCmd() *cobra.Command {
	root := &cobra.Command{Use: "triggers", Short: "The vendor's rules that call a program on this machine for a user", Args: args(cobra.NoArgs),
		Long: `The vendor's rules that call a program on this machine for a user, such as one that shows a guide. The rule comes to you as a
signed file; whom it meets stays here: the call goes to 127.0.0.1 or ::1 and nowhere else, and the vendor is told nothing.`,
		Example: "  fieldpost-agent triggers\n  fieldpost-agent triggers allow --rules rules.json --webhook http://127.0.0.1:9000/guide --by j.d.",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.persons(c, control.PersonsOrder{Do: control.ShowPersons}, triggersView)
		}}
	root.AddCommand(a.triggersAllow(), a.denyCmd("triggers", control.DenyTriggers, "Withdraw the decision; no further call is made", triggersView), a.triggersSign())
	return root
}

func (a *app) triggersAllow() *cobra.Command {
	o := control.PersonsOrder{Do: control.AllowTriggers}
	var rules, sig string
	c := &cobra.Command{Use: "allow", Short: "Decide that these rules call this address", Args: args(cobra.NoArgs),
		Example: "  fieldpost-agent triggers allow --rules rules.json --webhook http://127.0.0.1:9000/guide --by j.d. --countersigned-by wc",
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if o.Rules, err = readSmall(rules); err != nil {
				return err
			}
			if sig == "" {
				sig = rules + ".sig"
			}
			text, err := readSmall(sig)
			if err != nil {
				return err
			}
			if o.Signature, err = signing.DecodeSignature(text); err != nil {
				return &control.Error{Code: "rules_signature", Message: "the signature file is not a signature", Hint: "the vendor's FILE.sig", Exit: 1}
			}
			return a.persons(c, o, triggersView)
		}}
	signedBy(c, &o)
	f := c.Flags()
	f.StringVar(&rules, "rules", "", "the vendor's file of rules")
	f.StringVar(&sig, "sig", "", "its signature (default FILE.sig)")
	f.StringVar(&o.Webhook, "webhook", "", "http or https address on 127.0.0.1 or [::1] that is called")
	return c
}

func (a *app) triggersSign() *cobra.Command {
	var keyFile string
	c := &cobra.Command{Use: "sign FILE", Short: "For the vendor: check rules and sign them with the catalog's key; writes FILE.sig", Args: args(cobra.ExactArgs(1)),
		Example: "  fieldpost-agent triggers sign rules.json --key vendor.key",
		RunE: func(c *cobra.Command, given []string) error {
			raw, err := readSmall(given[0])
			if err != nil {
				return err
			}
			text, err := readSmall(keyFile)
			if err != nil {
				return err
			}
			key, err := signing.DecodePrivateKey(text)
			if err != nil {
				return &control.Error{Code: "key_invalid", Message: err.Error(), Hint: "the key that signs catalogs", Exit: 2}
			}
			sig, err := agent.SignRules(raw, key)
			if err != nil {
				return err
			}
			to := given[0] + ".sig"
			if err := durable.WriteFile(durable.OS(), to, signing.EncodeSignature(sig), 0o644); err != nil {
				return notWritten(err)
			}
			return a.print(view{data: map[string]string{"signature": to}, header: []string{"signature"}, rows: [][]string{{to}}})
		}}
	c.Flags().StringVar(&keyFile, "key", "", "the vendor's signing key, PEM")
	return c
}

// smallMost bounds a file of rules, a signature and a key.
const smallMost = 64 << 10

func readSmall(path string) ([]byte, error) {
	b, err := durable.ReadFile(durable.OS(), path, smallMost)
	if err != nil {
		return nil, &control.Error{Code: "file_unreadable", Message: "the file cannot be read: " + err.Error(), Hint: "check the path", Exit: 2}
	}
	return b, nil
}

func triggersView(x control.PersonsAnswer) view {
	t := x.Triggers
	v := view{data: t, header: []string{"rule", "text"}}
	for _, r := range t.Rules {
		v.rows = append(v.rows, []string{r.ID, r.Text})
	}
	v.human = func(w io.Writer) {
		if !t.Allowed {
			fmt.Fprintln(w, "No rules are allowed here, and nobody is called for.\nTry: fieldpost-agent triggers allow --help")
			return
		}
		fmt.Fprintf(w, "Allowed on %s by %s, calling %s\n", when(t.At), clean(t.By), clean(t.Webhook))
		for _, r := range t.Rules {
			fmt.Fprintf(w, "  %s: %s\n", clean(r.ID), clean(r.Text))
		}
		fmt.Fprintf(w, "  fired %d = called %d + failed %d + waiting %d\n", t.Fired, t.Called, t.Failed, t.Waiting)
	}
	return v
}
