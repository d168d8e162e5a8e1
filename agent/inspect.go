package agent

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/agent/egress"
	"github.com/fieldpost/fieldpost/agent/egress/shown"
	"github.com/fieldpost/fieldpost/agent/ledger"
	"github.com/fieldpost/fieldpost/protocol/batch"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// Audit bounds every count of people from everything on the ledger that left.
func (a *Agent) Audit(ctx context.Context, o control.AuditOrder) (control.Audit, error) {
	var out control.Audit
	batches := 0
	var sent []egress.Sent
	totals := false
	decided := map[exchange.Hash]*exchange.Statement{}
	for _, s := range a.consent.History() {
		decided[s.Signed.Hash()] = &s.Statement
	}
	pub := a.id.Key.Public().(ed25519.PublicKey)
	for e, err := range a.ledger.Entries(ledger.Filter{Kind: ledger.Batch, WithBatch: true}) {
		if err != nil {
			return out, fmt.Errorf("reading the ledger: %w", err)
		}
		if ctx.Err() != nil {
			return out, ctx.Err()
		}
		b, err := batch.Open(e.Wire, pub)
		if err == nil && decided[b.Header.Consent] == nil {
			err = errors.New("its decision is not here")
		}
		if err != nil {
			return out, refuse("ledger_damaged", fmt.Sprintf("entry %d of the ledger cannot be read", e.No), "fieldpost-agent ledger --verify", 1)
		}
		a.mu.Lock()
		c := a.catalogs[b.Header.Catalog]
		a.mu.Unlock()
		if c == nil {
			return out, refuse("catalog_missing", fmt.Sprintf("the catalog of entry %d is not here any more", e.No), "restore the state directory", 1)
		}
		batches++
		st := decided[b.Header.Consent]
		for _, cell := range b.Cells {
			x := egress.Sent{Catalog: c, Cell: cell}
			if int(cell.Measure) < len(c.Measures) {
				x.Totals = st.Decision(c.Measures[cell.Measure].Category).Level.AtLeast(exchange.Totals)
			}
			totals = totals || x.Totals
			sent = append(sent, x)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	out = shown.Audit(a.gate.Inspect(sent), a.gate.Spent(), cmp.Or(o.Most, 20))
	out.Batches, out.Totals = batches, totals
	return out, nil
}
