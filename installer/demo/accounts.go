package demo

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/csv"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"

	"github.com/fieldpost/fieldpost/collector/store"
)

// accountsCSV is what a vendor would import from its CRM; every figure in it is made up.
//
//go:embed accounts.csv
var accountsCSV []byte

// accounts imports the demo's customers, each column but key and name as an attribute.
func (d *demo) accounts(ctx context.Context) error {
	lines, err := csv.NewReader(bytes.NewReader(accountsCSV)).ReadAll()
	if err != nil {
		return fmt.Errorf("reading the demo's accounts: %w", err)
	}
	var rows []store.Account
	for _, l := range lines[1:] {
		a := store.Account{Key: l[0], Name: l[1], Attributes: map[string]string{}}
		for i := 2; i < len(l); i++ {
			a.Attributes[lines[0][i]] = l[i]
		}
		rows = append(rows, a)
	}
	if _, _, err := d.collector.Data().Store.ImportAccounts(ctx, rows); err != nil {
		return fmt.Errorf("importing the demo's accounts: %w", err)
	}
	return nil
}

func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
