package collector

import (
	"context"
	"crypto/ed25519"
	"path/filepath"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/catalog/signing"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/protocoltest"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// TestConformance runs SPEC's suite, the one the fake collector passes, on the real one.
func TestConformance(t *testing.T) {
	h := start(t, filepath.Join(t.TempDir(), "data"), nil)
	db, d := h.c.Data().Store, h.c.Data()
	must[*catalog.Catalog](t)(d.AddCatalog(t.Context(), []byte(protocoltest.ConformCatalog), signing.Sign([]byte(protocoltest.ConformCatalog), newKey(t, "catalog")), "test"))
	cat := must[*catalog.Catalog](t)(catalog.Parse([]byte(protocoltest.ConformCatalog)))
	c := protocoltest.Collector{
		URL: h.c.URL(), CA: must[[]byte](t)(d.caDER()), Key: d.Key.Public().(ed25519.PublicKey),
		Token: func(tb testing.TB, s protocoltest.TokenSpec) exchange.Token {
			tb.Helper()
			return conformToken(tb, d, s)
		},
		RevokeToken: func(tb testing.TB, id exchange.ID) { check(tb, db.RevokeToken(context.Background(), id, time.Now())) },
		RevokeAgent: func(tb testing.TB, id exchange.ID) { check(tb, db.RevokeAgent(context.Background(), id, time.Now())) },
		Counted: func(tb testing.TB, id exchange.ID) map[string]report.Cell {
			tb.Helper()
			drained(tb, h.c)
			a := must[store.Agent](tb)(db.Agent(context.Background(), id))
			out := map[string]report.Cell{}
			for _, r := range must[store.FigurePage](tb)(db.Figures(context.Background(), store.FigureQuery{Account: a.Account, Installation: a.Installation, Limit: 10_000})).Rows {
				cell := must[report.Cell](tb)(cat.Cell(r.Figure))
				out[protocoltest.CellKey(cell)] = cell
			}
			return out
		},
	}
	protocoltest.ConformCollector(t, func(*testing.T) protocoltest.Collector { return c })
}

// drained waits until the stream is empty: a batch leaves it after its commit.
func drained(tb testing.TB, c *Collector) {
	tb.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		n := must[uint64](tb)(c.Queued(context.Background()))
		if n == 0 {
			return
		}
		if time.Now().After(deadline) {
			tb.Fatalf("%d batches still wait", n)
		}
	}
}

func conformToken(tb testing.TB, d *Data, s protocoltest.TokenSpec) exchange.Token {
	tb.Helper()
	then := *d
	q := TokenRequest{Account: s.Account, Installation: s.Installation, Environment: s.Environment, Uses: s.MaxUses, For: s.Expires, By: "test"}
	if q.Environment == "" {
		q.Environment = store.Test
	}
	if s.Expires < 0 { // made a day and more ago
		then.now = func() time.Time { return time.Now().Add(s.Expires - 24*time.Hour) }
		q.For = 0
	}
	return must[exchange.Token](tb)(then.NewToken(context.Background(), q, ""))
}
