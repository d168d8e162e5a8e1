package sqlite

import (
	"context"
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// BenchmarkReads measures what pages ask, over 1,000 installations and a year: weekly people
// and events, daily traffic, availability; about 600,000 cells.
func BenchmarkReads(b *testing.B) {
	ctx := b.Context()
	s, err := Open(ctx, Config{Path: filepath.Join(b.TempDir(), "db")})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	began := time.Now()
	cells := fill(b, s, 1000)
	b.Logf("filled with %d cells at %.0f cells/s", cells, float64(cells)/time.Since(began).Seconds())
	for _, c := range []struct {
		name string
		f    func() error
	}{
		{"account list ranked by a measure", func() error {
			p, err := s.AccountPage(ctx, store.AccountQuery{Measure: "people", Sort: "measure", Desc: true, Recent: 26})
			if err == nil && len(p.Rows) != 50 {
				err = fmt.Errorf("%d rows", len(p.Rows))
			}
			return err
		}},
		{"account list filtered by an attribute", func() error {
			_, err := s.AccountPage(ctx, store.AccountQuery{Filters: []store.Filter{{Attribute: "industry", Op: store.Equal, Value: "steel"}}, Sort: "attr.seats", Measure: "people", Recent: 12})
			return err
		}},
		{"account page", func() error {
			if _, err := s.Account(ctx, "account500"); err != nil {
				return err
			}
			if _, err := s.Periods(ctx, store.PeriodQuery{Account: "account500"}); err != nil {
				return err
			}
			if _, err := s.Periods(ctx, store.PeriodQuery{Account: "account500", Grain: store.Monthly}); err != nil {
				return err
			}
			_, err := s.Latest(ctx, "account500", "")
			return err
		}},
		{"fleet page", func() error { _, err := s.InstallationPage(ctx, store.FleetQuery{Sort: "last_report"}); return err }},
		{"fleet's year", func() error { _, err := s.Periods(ctx, store.PeriodQuery{Fleet: true, Measure: "people"}); return err }},
		{"coverage", func() error { _, err := s.Coverage(ctx); return err }},
		{"overview", func() error { _, err := s.Overview(ctx); return err }},
		{"measurements of one account", func() error {
			_, err := s.Figures(ctx, store.FigureQuery{Measure: "people", Account: "account500"})
			return err
		}},
		{"measurements of all, first page", func() error { _, err := s.Figures(ctx, store.FigureQuery{Measure: "people"}); return err }},
	} {
		b.Run(c.name, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				t := time.Now()
				if err := c.f(); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(t))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*95/100].Microseconds())/1000, "p95-ms")
		})
	}
}

func fill(b *testing.B, s *Store, n int) (total int) {
	ctx := context.Background()
	start := time.Date(2025, 1, 6, 0, 0, 0, 0, time.UTC)
	line := func(id, kind, subject string, f report.Field, g report.Grain) *store.Series {
		return &store.Series{Measure: id, Hash: "00000000000000aa", Kind: kind, Subject: subject, Category: "usage", Field: f, Grain: g}
	}
	weekly := []*store.Series{line("people", "active_users", "person", report.Value, report.Week), line("uses", "count", "person", report.Value, report.Week)}
	daily := []*store.Series{line("requests", "count", "traffic", report.Value, report.Day)}
	var accounts []store.Account
	for i := range n {
		accounts = append(accounts, store.Account{Key: fmt.Sprintf("account%d", i), Name: fmt.Sprintf("Account %d", i), Created: start,
			Attributes: map[string]string{"industry": []string{"steel", "health", "retail"}[i%3], "seats": fmt.Sprint(i * 7 % 900)}})
	}
	if _, _, err := s.ImportAccounts(ctx, accounts); err != nil {
		b.Fatal(err)
	}
	var batches []store.Batch
	for i := range n {
		id := sha256.Sum256(fmt.Appendf(nil, "agent %d", i))
		tok := store.Token{ID: exchange.ID(id[:16]), Key: id[:], Account: fmt.Sprintf("account%d", i), Installation: "main", Environment: store.Production, MaxUses: 1, Created: start, Expires: start.AddDate(1, 0, 0)}
		if err := s.AddToken(ctx, tok); err != nil {
			b.Fatal(err)
		}
		a, err := s.Join(ctx, tok.ID, id[:], start)
		if err != nil {
			b.Fatal(err)
		}
		bt := store.Batch{Agent: a.ID, Epoch: exchange.ID{1}, Seq: 1, Zone: "UTC", Received: start.AddDate(1, 0, 0)}
		for d := range int64(364) {
			day := report.CivilDay(start, time.UTC) + d
			for _, l := range daily {
				bt.Cells = append(bt.Cells, store.Cell{Series: l, Start: day, Form: report.Exact, Lo: float64(i), Hi: float64(i)})
			}
			if d%7 == 0 {
				for _, l := range weekly {
					bt.Cells = append(bt.Cells, store.Cell{Series: l, Start: day, Form: report.Band, Lo: float64(i), Hi: float64(i + 4)})
				}
			}
		}
		total += len(bt.Cells)
		if batches = append(batches, bt); len(batches) == 50 || i == n-1 {
			if _, err := s.Apply(ctx, batches); err != nil {
				b.Fatal(err)
			}
			batches = nil
		}
	}
	return total
}
