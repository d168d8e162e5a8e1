package cli

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/collector"
	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

const pooledFile = `catalog: t
version: 1
vendor: V
events: {e: {match: E}}
traits: {role: {values: [admin, user]}}
measures:
  - {id: people, kind: active_users, events: [e], by: [role], pool: true, category: usage, question: q, purpose: p, owner: o, retention: forever}
`

func TestThePoolSpeaksFromAHundredAccountsOn(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	key, cat := filepath.Join(t.TempDir(), "vendor.key"), file(t, "catalog.yaml", pooledFile)
	call(t, 0, "catalog", "keygen", "--key", key)
	call(t, 0, "catalog", "sign", "--key", key, cat)
	call(t, 0, "catalog", "add", "--data", dir, "--pub", key+".pub", cat)
	c, err := catalog.Parse([]byte(pooledFile))
	if err != nil {
		t.Fatal(err)
	}
	d, err := collector.OpenData(t.Context(), collector.DataConfig{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	at := time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)
	block := report.WindowStart(report.Block12w, at, time.UTC)
	total := &store.Series{Measure: "people", Hash: c.Measures[0].HashString(), Kind: "active_users", Subject: "person", Category: "usage", Field: report.Value, Grain: report.Block12w, Pool: true}
	admin := *total
	admin.Dims = map[string]string{"role": "admin"}
	var batches []store.Batch
	for n := range 100 {
		id := exchange.ID{1, byte(n)}
		key := make([]byte, 32)
		key[0] = byte(n)
		tok := store.Token{ID: id, Key: key, Account: fmt.Sprintf("a%d", n), Installation: "main", Environment: store.Production, MaxUses: 1, Created: at, Expires: at.Add(time.Hour)}
		if err := d.Store.AddToken(t.Context(), tok); err != nil {
			t.Fatal(err)
		}
		a, err := d.Store.Join(t.Context(), id, key, at)
		if err != nil {
			t.Fatal(err)
		}
		noised := func(s *store.Series, start int64, v float64) store.Cell {
			return store.Cell{Series: s, Start: start, Form: report.Noised, Lo: v, Hi: v}
		}
		cells := []store.Cell{noised(total, block, 7), noised(&admin, block, float64(n%2))}
		if n < 99 { // the next block is one account short
			cells = append(cells, noised(total, block+84, 7))
		}
		batches = append(batches, store.Batch{Agent: a.ID, Epoch: exchange.ID{2}, Seq: 1, Zone: "UTC", Received: at, Cells: cells})
	}
	if _, err := d.Store.Apply(t.Context(), batches); err != nil {
		t.Fatal(err)
	}
	out, _ := call(t, 0, "pool", "--data", dir, "--measure", "people", "-o", "csv")
	first, second := report.StartString(report.Block12w, block), report.StartString(report.Block12w, block+84)
	want := "measure,field,block,dims,accounts,sites,sum,margin,error,reason\n" +
		"people,value," + first + ",,100,100,700,8,1.1%,\n" + // four cells at ε 4, 100 sites: 1.96 · √(400 · 0.0380) = 7.6
		"people,value," + first + ",role=admin,100,100,50,4,8.0%,\n" +
		"people,value," + second + ",,99,99,,,,fewer than 100 accounts\n"
	if out != want {
		t.Errorf("%s\nwant\n%s", out, want)
	}
	if out, _ = call(t, 0, "pool", "--data", dir, "--from", second); strings.Contains(out, first) || !strings.Contains(out, second) {
		t.Error(out)
	}
	if out, _ = call(t, 0, "pool", "--data", dir, "--environment", "test"); strings.Contains(out, "people") {
		t.Error(out)
	}
	// A single site's figures, 7 each, are told by no other command.
	for _, args := range [][]string{{"query", "--measure", "people"}, {"query", "--account", "a7", "--installation", "main"}, {"query", "--grain", "12w", "-o", "json"}, {"export", "csv", "figures"}} {
		out, _ := call(t, 0, append(args, "--data", dir)...)
		if strings.Contains(out, "7") && (strings.Contains(out, "noised") || strings.Contains(out, "people")) {
			t.Errorf("%s: %.300s", args, out)
		}
	}
	call(t, 2, "pool", "--data", dir, "--environment", "prod")
	call(t, 2, "pool", "--data", dir, "--measure", "peple")
}
