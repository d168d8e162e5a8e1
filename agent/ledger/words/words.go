// Package words says what stands in a ledger entry, for the command line, the console and scripts. It keeps no state.
package words

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/agent/ledger"
)

// Forgotten is the detail of an entry of that kind.
type Forgotten struct {
	Asked int `json:"asked"`
}

// Entry is a ledger entry in plain words, without the figures of a batch.
func Entry(e ledger.Entry) control.LedgerEntry {
	out := control.LedgerEntry{No: e.No, At: time.Unix(e.Time, 0).UTC(), Kind: string(e.Kind), Bytes: e.Bytes, Cells: e.Cells}
	switch e.Kind {
	case ledger.Batch:
		epoch, hash := e.Epoch, e.Batch
		out.Epoch, out.Seq, out.Hash = &epoch, e.Seq, &hash
		out.Text = fmt.Sprintf("%d figures, acknowledged", e.Cells)
		if !e.Acknowledged() {
			out.Kind, out.Text = "quarantined", "refused: "+e.Reason
		}
		if e.Receipt != nil {
			out.Receipt, _ = json.Marshal(e.Receipt)
		}
	case ledger.CheckIn:
		out.Text = "checked in: agent id, version, catalog version, consent statement"
	case ledger.Consent:
		out.Text = "a decision about consent"
	case ledger.Query:
		out.Kind, out.Text = "exact", "exact figures were shown here: "+string(e.Detail)
	case ledger.Forgotten:
		var d Forgotten
		_ = json.Unmarshal(e.Detail, &d) // a count that cannot be read is none
		out.Text = fmt.Sprintf("%d names were given to be forgotten", d.Asked)
	case ledger.Wiped:
		out.Text = "what was measured here was deleted, and the site key destroyed"
	default:
		out.Text = string(e.Detail)
	}
	return out
}
