// Command man writes the manual pages of both programs, generated from their command lines, into a folder:
//
//	go run ./installer/man DIR
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	agent "github.com/fieldpost/fieldpost/agent/cli"
	collector "github.com/fieldpost/fieldpost/collector/cli"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go run ./installer/man DIR")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "man:", err)
		os.Exit(1)
	}
}

// write puts one page a command into dir. The same source gives the same bytes.
func write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("making %s: %w", dir, err)
	}
	date := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC) // of the command lines' last change
	for _, root := range []*cobra.Command{agent.Command(), collector.Command()} {
		root.DisableAutoGenTag = true
		if err := doc.GenManTree(root, &doc.GenManHeader{Section: "1", Source: "Fieldpost", Manual: "Fieldpost", Date: &date}, dir); err != nil {
			return fmt.Errorf("writing the pages of %s: %w", root.Name(), err)
		}
	}
	return nil
}
