package oracle_test

import (
	"bytes"
	"encoding/json"
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/agent/measure"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/installer/e2e/oracle"
	"github.com/fieldpost/fieldpost/installer/examples"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

func forge(t testing.TB) *catalog.Catalog {
	t.Helper()
	cat, err := catalog.Parse(examples.ForgeCatalog())
	if err != nil {
		t.Fatal(err)
	}
	return cat
}

func newFold(cat *catalog.Catalog, zone *time.Location) *measure.Fold {
	return measure.New(measure.Config{
		Zone: zone, Remember: -1, SimpleLocal: true,
		Catalog: func(p [8]byte) *catalog.Catalog {
			if p == [8]byte(cat.Hash[:8]) {
				return cat
			}
			return nil
		},
	})
}

// lines are the answers to a query as they are printed.
func lines(t testing.TB, f *measure.Fold, id string, g report.Grain, by ...string) (out []string) {
	t.Helper()
	ls, err := f.Query(measure.Query{Measure: id, Grain: g, By: by})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range ls {
		b, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(b))
	}
	return out
}

// compare holds the fold's answers against the oracle's, line by line, and returns how many.
func compare(t *testing.T, f *measure.Fold, site *oracle.Site) (n int) {
	t.Helper()
	for _, q := range oracle.ForgeMeasures() {
		gs := []report.Grain{report.Day, report.Week, report.Month, report.Rolling28}
		if q.Kind == "lifecycle" {
			gs = []report.Grain{report.Week, report.Month}
		}
		for _, g := range gs {
			want := site.Lines(q, g.String(), false)
			n += len(want)
			if d := cmp.Diff(want, lines(t, f, q.ID, g)); d != "" {
				t.Errorf("%s by %s (-oracle +fold):\n%s", q.ID, g, head(d))
			}
			if q.By == "" {
				continue
			}
			want = site.Lines(q, g.String(), true)
			n += len(want)
			if d := cmp.Diff(want, lines(t, f, q.ID, g, q.By)); d != "" {
				t.Errorf("%s by %s and %s (-oracle +fold):\n%s", q.ID, g, q.By, head(d))
			}
		}
	}
	acc := f.Accounting()
	got := map[string]int{}
	for r := record.Malformed; r <= record.Measured; r++ {
		if acc.Events[r] > 0 {
			got[r.String()] = int(acc.Events[r])
		}
	}
	if d := cmp.Diff(site.Reasons, got); d != "" {
		t.Errorf("accounting (-oracle +fold):\n%s", d)
	}
	if acc.Events.Total() != uint64(site.Received) || acc.Skewed != uint64(site.Skewed) || acc.ClockBack != uint64(site.Back) {
		t.Errorf("received %d, skewed %d, clock_back %d; the oracle has %d, %d, %d", acc.Events.Total(), acc.Skewed, acc.ClockBack, site.Received, site.Skewed, site.Back)
	}
	return n
}

func head(s string) string {
	if len(s) > 3000 {
		return s[:3000] + "…"
	}
	return s
}

func TestEveryInstallationAgrees(t *testing.T) {
	cat := forge(t)
	until := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	for _, in := range examples.Installations() {
		t.Run(in.Account+"/"+in.Installation, func(t *testing.T) {
			t.Parallel()
			rc, err := examples.Open(in.Account, in.Installation)
			if err != nil {
				t.Fatal(err)
			}
			raw, err := io.ReadAll(rc)
			if err != nil {
				t.Fatal(err)
			}
			site, err := oracle.Read(bytes.NewReader(raw), oracle.Forge(), time.UTC, until)
			if err != nil {
				t.Fatal(err)
			}
			f := newFold(cat, time.UTC)
			for i, r := range records(t, bytes.NewReader(raw), cat, until) {
				if err := f.Apply(uint64(i+1), r); err != nil {
					t.Fatal(err)
				}
			}
			f.Advance(until.UnixNano())
			if n := compare(t, f, site); n < 100 {
				t.Errorf("only %d lines were compared", n)
			}
		})
	}
}
