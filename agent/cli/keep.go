package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/control"
)

// maxNames bounds the file of names: 50,000 of 256 bytes.
const maxNames = 16 << 20

func (a *app) forgetCmd() *cobra.Command {
	var file string
	c := &cobra.Command{Use: "forget [USER…]", Short: "Take people out of everything the agent keeps",
		Long: `Take people out of everything the agent keeps here: their names, traits and memberships. No byte of a name stays on
disk, also not in what was accepted and not yet measured. USER is the userId your product sends, or any other name
it has given the same person (alias): forgetting one name forgets the person.

Figures of the past stay: they are counts. Nothing that leaves ever named a person, so there is nothing to ask the
vendor for. Somebody who is active again afterwards is somebody new: stop the product from sending them first.

The answer is in numbers only, and the exit code is 0 whether somebody was known or not: this is no way to look
people up. The ledger keeps the date and how many names were given. With --file the names stand neither in the
shell's history nor in the list of processes; - reads standard input, one name a line.`,
		Example: "  fieldpost-agent forget --file leavers.txt\n  fieldpost-agent forget --file - < leavers.txt\n  fieldpost-agent forget u-1042",
		Args:    args(cobra.ArbitraryArgs),
		RunE: func(c *cobra.Command, users []string) error {
			if file != "" {
				more, err := a.readNames(file)
				if err != nil {
					return err
				}
				users = append(users, more...)
			}
			if len(users) == 0 {
				return &control.Error{Code: "usage", Message: "nobody is named", Hint: "fieldpost-agent forget --file FILE", Exit: 2}
			}
			site, done, err := a.open(c)
			if err != nil {
				return err
			}
			defer done()
			f, err := site.Forget(c.Context(), control.ForgetOrder{Users: users})
			if err != nil {
				return err
			}
			return a.print(view{data: f, header: []string{"asked", "known"}, rows: [][]string{{fmt.Sprint(f.Asked), fmt.Sprint(f.Known)}},
				human: func(w io.Writer) {
					fmt.Fprintf(w, "%d of %d names were known; nothing of them is left here. Figures of the past stay.\n", f.Known, f.Asked)
				}})
		}}
	c.Flags().StringVar(&file, "file", "", "file with one name a line; - is standard input")
	return c
}

// readNames reads one name a line; empty lines are passed over.
func (a *app) readNames(file string) (names []string, err error) {
	unreadable := func(what string) error {
		return &control.Error{Code: "names_unreadable", Message: "the names cannot be read: " + what, Hint: "a text file with one name a line", Exit: 2}
	}
	b, err := a.readFile(file, maxNames)
	if err != nil {
		return nil, unreadable(err.Error())
	}
	s := bufio.NewScanner(bytes.NewReader(b))
	for s.Scan() {
		if name := strings.TrimSuffix(s.Text(), "\r"); name != "" {
			names = append(names, name)
		}
	}
	if s.Err() != nil {
		return nil, unreadable("a line is too long")
	}
	return names, nil
}

func (a *app) wipeCmd() *cobra.Command {
	var o control.WipeOrder
	var yes bool
	c := &cobra.Command{Use: "wipe", Short: "Delete what was measured here and destroy the site key", Args: args(cobra.NoArgs),
		Long: `Delete everything that was measured here. First the site key is destroyed, which makes all that was sealed with it
unreadable, copies of the state without the key included; then the journal, the measures with the dictionary of
users, and what waits to be sent are deleted. Without --keep-enrolment the agent's identity, its enrolment, the
catalogs and your decisions go too, and you may enrol again.

The ledger stays, as the record of what left, with an entry about this; --all deletes it too (figures in it cannot
be shown by name once the identity is gone, but the chain can be checked). A key file that site_key_file names is
yours and stays. What the vendor has is not touched: consent set usage=off asks it to stop, and erasing is asked
for there. A running agent stops; when it is interrupted, the next start finishes it.`,
		Example: "  fieldpost-agent wipe --keep-enrolment --yes\n  fieldpost-agent wipe --all --yes",
		RunE: func(c *cobra.Command, _ []string) error {
			if !yes {
				what := "what was measured here, the identity, the enrolment and the decisions"
				if o.KeepEnrolment {
					what = "what was measured here"
				}
				return &control.Error{Code: "wipe_unconfirmed", Message: "this deletes " + what + " for good",
					Hint: "the same with --yes, once you mean it", Exit: 2}
			}
			w, err := a.wipe(c, o)
			if err != nil {
				return err
			}
			return a.print(view{data: w, header: []string{"gone", "kept"}, rows: [][]string{{strings.Join(w.Gone, " "), strings.Join(w.Kept, " ")}},
				human: func(out io.Writer) {
					fmt.Fprintf(out, "Gone: %s\n", clean(strings.Join(w.Gone, ", ")))
					if len(w.Kept) > 0 {
						fmt.Fprintf(out, "Kept: %s\n", clean(strings.Join(w.Kept, ", ")))
					}
					if w.Pending {
						fmt.Fprintln(out, "The running agent has not stopped yet; what is left to delete goes when it does, or at its next start.")
					}
				}})
		}}
	f := c.Flags()
	f.BoolVar(&o.KeepEnrolment, "keep-enrolment", false, "keep identity, enrolment, catalogs and decisions")
	f.BoolVar(&o.Ledger, "all", false, "delete the ledger too")
	f.BoolVar(&yes, "yes", false, "confirm")
	return c
}

// patience is how long the command waits for a running agent to stop and delete.
const patience = 30 * time.Second

func (a *app) wipe(c *cobra.Command, o control.WipeOrder) (control.Wiped, error) {
	cfg, err := a.settings(c)
	if err != nil {
		return control.Wiped{}, err
	}
	cl, err := control.Dial(cfg.State)
	if err != nil {
		if err := exists(cfg.State); err != nil && !agent.Wiping(cfg.State) {
			return control.Wiped{}, err
		}
		w, err := agent.Wipe(c.Context(), a.config(cfg), o)
		return w, errors.Join(err, giveBack(cfg.State))
	}
	w, err := cl.Wipe(c.Context(), o)
	if err != nil {
		return w, err
	}
	ctx, cancel := context.WithTimeout(c.Context(), patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for w.Pending {
		select {
		case <-tick.C:
			w.Pending = agent.Wiping(cfg.State)
		case <-ctx.Done():
			return w, nil
		}
	}
	return w, nil
}
