package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/durable"
)

// destructive gives a command --yes; confirm reads it.
func destructive(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().Bool("yes", false, "do not ask; for scripts")
	return cmd
}

// confirm asks before what cannot be taken back. Where nobody can be asked, --yes must be said.
func (a *app) confirm(cmd *cobra.Command, what string) error {
	if yes, err := cmd.Flags().GetBool("yes"); err != nil || yes {
		return err
	}
	if !a.terminal() {
		return usage{fmt.Errorf("nobody can be asked here: say --yes to %s", what)}
	}
	fmt.Fprintf(a.Stderr, "%s? [y/N] ", clean(strings.ToUpper(what[:1])+what[1:]))
	answer, err := bufio.NewReader(a.Stdin).ReadString('\n')
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return &store.Problem{Code: codeCancelled, Message: "nothing was changed", Hint: "answer y, or say --yes", Err: unlessEOF(err)}
}

func unlessEOF(err error) error {
	if err == nil || err.Error() == "EOF" {
		return nil
	}
	return err
}

func (a *app) terminal() bool {
	if a.Terminal != nil {
		return a.Terminal()
	}
	f, ok := a.Stdin.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Codes of the command line's own errors.
const (
	codeCancelled = "cancelled"
	codeFile      = "file_unreadable"
	codeOutput    = "file_not_writable"
)

// missing says in words that something named in a command does not exist.
func missing(err error, what, try string) error {
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return &store.Problem{Code: store.CodeNotFound, Message: "there is no " + what, Hint: "fieldpost-collector " + try}
}

// newFile checks, before anything else is done, that a file can be made and is not there yet.
func newFile(name, hint string) error {
	fsys := durable.OS()
	if st, err := fsys.Lstat(filepath.Dir(name)); err != nil || !st.IsDir() {
		if err == nil {
			err = fmt.Errorf("%s is not a folder", filepath.Dir(name))
		}
		return &store.Problem{Code: codeOutput, Message: name + " cannot be written", Hint: "name a file in a folder that exists", Err: err}
	}
	if _, err := fsys.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
		return &store.Problem{Code: store.CodeConflict, Message: name + " exists", Hint: hint, Err: err}
	}
	return nil
}

// between checks a limit given on the command line.
func between(flag string, n, lo, hi int) error {
	if n < lo || n > hi {
		return usage{fmt.Errorf("--%s is %d to %d, not %d", flag, lo, hi, n)}
	}
	return nil
}
