package sqlite

import (
	"crypto/sha256"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

const upgradeCatalog = `catalog: t
version: 1
vendor: V
events: {e: {match: E}}
measures:
  - {id: people, kind: active_users, events: [e], pool: true, category: usage, question: q, purpose: p, owner: o, retention: forever}
  - {id: own, kind: active_users, events: [e], category: usage, question: q, purpose: p, owner: o, retention: forever}
  - {id: uses, kind: count, subject: traffic, events: [e], category: usage, question: q, purpose: p, owner: o, retention: forever}
`

// everyPeriod is all that roll-ups say.
func everyPeriod(t *testing.T, s *Store) (out []store.Period) {
	t.Helper()
	for _, g := range []report.Grain{report.Week, report.Month, report.Rolling28, report.Block4w, report.Block12w} {
		for _, fleet := range []bool{false, true} {
			list, err := s.Periods(t.Context(), store.PeriodQuery{Grain: g, Fleet: fleet})
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, list...)
		}
	}
	return out
}

// A store of version 1 whose figures came before the roll-ups of long windows existed, in which
// noise counted as a band and the pool's figures were sums like others, says after its upgrade
// what one of today says of the same batches.
func TestAnUpgradeFillsTheRollUps(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "collector.db")
	s, err := Open(ctx, Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	fillForUpgrade(t, s)
	want := everyPeriod(t, s)
	noised := 0
	for _, p := range want {
		noised += p.Noised
		if p.Measure == "people" && p.Grain == report.Block12w {
			t.Fatalf("what was given to the pool is a sum: %+v", p)
		}
	}
	if len(want) < 100 || noised == 0 {
		t.Fatalf("%d periods with %d noised parts are too few to tell anything", len(want), noised)
	}
	page, err := s.AccountPage(ctx, store.AccountQuery{Sort: "measure", Desc: true, Measure: "own"})
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{
		`DELETE FROM installation_periods WHERE period >= 6`, `DELETE FROM account_periods WHERE period >= 6`, `DELETE FROM fleet_periods WHERE period >= 6`,
		`UPDATE installation_periods SET banded = banded + noised`, `UPDATE account_periods SET banded = banded + noised`, `UPDATE fleet_periods SET banded = banded + noised`,
		`INSERT INTO account_periods (account, line, period, environment, start, lo, hi, exact, banded, suppressed, unknown, windows)
			SELECT 1, id, 8, 'production', 20412, 7, 7, 0, 1, 0, 0, 1 FROM lines WHERE measure = 'people' LIMIT 1`,
		`DELETE FROM account_newest`,
		`ALTER TABLE installation_periods DROP COLUMN noised`, `ALTER TABLE account_periods DROP COLUMN noised`, `ALTER TABLE fleet_periods DROP COLUMN noised`,
		`ALTER TABLE series DROP COLUMN pool`, `PRAGMA user_version = 1`,
	} {
		if _, err := s.conn.ExecContext(ctx, q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(ctx, Config{Path: path}); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if d := cmp.Diff(want, everyPeriod(t, s)); d != "" {
		t.Error(d)
	}
	after, err := s.AccountPage(ctx, store.AccountQuery{Sort: "measure", Desc: true, Measure: "own"})
	if d := cmp.Diff(page, after); d != "" || err != nil {
		t.Errorf("the order of accounts: %v %s", err, d)
	}
	p, err := s.Figures(ctx, store.FigureQuery{Measure: "people", Grain: report.Block12w})
	if err != nil || len(p.Rows) != 0 {
		t.Errorf("what was given to the pool before the upgrade is told: %v %+v", err, p.Rows)
	}
	if sums, err := s.Pooled(ctx, store.PoolQuery{}); err != nil || len(sums) == 0 {
		t.Errorf("the pool lost its figures: %v %v", err, sums)
	}
}

// fillForUpgrade stores figures of every form and grain of six installations of four accounts, in several batches each.
func fillForUpgrade(t *testing.T, s *Store) {
	t.Helper()
	ctx, at := t.Context(), time.Date(2025, 11, 24, 0, 0, 0, 0, time.UTC)
	c, err := catalog.Parse([]byte(upgradeCatalog))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.AddCatalog(ctx, store.Catalog{Hash: sha256.Sum256([]byte(upgradeCatalog)), Name: "t", Version: 1, Raw: []byte(upgradeCatalog), Added: at}); err != nil {
		t.Fatal(err)
	}
	series := func(m int, g report.Grain) *store.Series {
		x := &c.Measures[m]
		return &store.Series{Measure: x.ID, Hash: x.HashString(), Kind: string(x.Kind), Subject: string(x.Subject), Category: x.Category, Field: report.Value, Grain: g, Pool: x.Pool}
	}
	people, own, uses := 0, 1, 2
	hour, day := series(uses, report.Hour), series(uses, report.Day)
	week, month, rolling, block, long, pooled := series(own, report.Week), series(own, report.Month), series(own, report.Rolling28), series(own, report.Block4w), series(own, report.Block12w), series(people, report.Block12w)
	r := rand.New(rand.NewPCG(7, 8))
	cell := func(se *store.Series, start int64) store.Cell {
		switch v := float64(r.IntN(40)); r.IntN(5) {
		case 0:
			return store.Cell{Series: se, Start: start, Form: report.Suppressed}
		case 1:
			return store.Cell{Series: se, Start: start, Form: report.Band, Lo: v, Hi: v + 9}
		case 2:
			return store.Cell{Series: se, Start: start, Form: report.Band, Lo: v, Hi: math.Inf(1)}
		case 3:
			return store.Cell{Series: se, Start: start, Form: report.Noised, Lo: v - 8, Hi: v - 8}
		default:
			return store.Cell{Series: se, Start: start, Form: report.Exact, Lo: v, Hi: v}
		}
	}
	first := report.WindowStart(report.Block12w, at, time.UTC)
	for n := range 6 {
		tok := store.Token{ID: exchange.ID{1, byte(n)}, Key: make([]byte, 32), Account: fmt.Sprint("account", n%4), Installation: fmt.Sprint("i", n), Environment: store.Environments()[n%2], MaxUses: 1, Created: at, Expires: at.Add(time.Hour)}
		tok.Key[0] = byte(n)
		if err := s.AddToken(ctx, tok); err != nil {
			t.Fatal(err)
		}
		a, err := s.Join(ctx, tok.ID, tok.Key, at)
		if err != nil {
			t.Fatal(err)
		}
		for b := range int64(3) {
			from := first + 84*b
			cells := []store.Cell{cell(long, from), {Series: pooled, Start: from, Form: report.Noised, Lo: 7, Hi: 7}, cell(month, report.CivilStart(report.Month, from+31))}
			for w := range int64(12) {
				cells = append(cells, cell(week, from+7*w), store.Cell{Series: hour, Start: (from + 7*w) * 86400, Form: report.Exact, Lo: 3, Hi: 3}, store.Cell{Series: day, Start: from + 7*w + 2, Form: report.Exact, Lo: 5, Hi: 5})
				if w%4 == 0 {
					cells = append(cells, cell(block, from+7*w), cell(rolling, from+7*w+27))
				}
			}
			if _, err := s.Apply(ctx, []store.Batch{{Agent: a.ID, Epoch: exchange.ID{2}, Seq: uint64(b + 1), Zone: "Europe/Berlin", Received: at, Cells: cells}}); err != nil {
				t.Fatal(err)
			}
		}
	}
}
