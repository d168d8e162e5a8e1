package cli

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/collector"
	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// told puts one site with a week in every form, and a refused batch, into a data directory.
func told(t *testing.T) (dir string) {
	t.Helper()
	dir = ready(t)
	d, err := collector.OpenData(t.Context(), collector.DataConfig{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	at := time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)
	key := make([]byte, 32)
	tok := store.Token{ID: exchange.ID{1}, Key: key, Account: "acme", Installation: "eu", Environment: store.Production, MaxUses: 1, Created: at, Expires: at.Add(time.Hour)}
	if err := d.Store.AddToken(t.Context(), tok); err != nil {
		t.Fatal(err)
	}
	a, err := d.Store.Join(t.Context(), tok.ID, key, at)
	if err != nil {
		t.Fatal(err)
	}
	s := &store.Series{Measure: "people", Hash: "00000000000000aa", Kind: "active_users", Subject: "person", Category: "usage", Field: report.Value, Grain: report.Week}
	by := *s
	by.Dims = map[string]string{"role": "admin"}
	week := func(n int) int64 { return report.WindowStart(report.Week, at, time.UTC) + int64(7*n) }
	b := store.Batch{Agent: a.ID, Epoch: exchange.ID{2}, Seq: 1, Zone: "UTC", Received: at, Cells: []store.Cell{
		{Series: s, Start: week(0), Form: report.Exact, Lo: 12, Hi: 12}, {Series: s, Start: week(1), Form: report.Band, Lo: 10, Hi: 14},
		{Series: s, Start: week(2), Form: report.Band, Lo: 50, Hi: math.Inf(1)}, {Series: s, Start: week(3), Form: report.Suppressed}, {Series: &by, Start: week(0), Form: report.Suppressed}}}
	refused := store.Batch{Agent: a.ID, Epoch: exchange.ID{2}, Seq: 2, Received: at, Refused: store.CodeNotCovered, Message: "usage is at level local", Raw: []byte("its bytes")}
	if _, err := d.Store.Apply(t.Context(), []store.Batch{b, refused}); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestQueryKeepsEveryForm(t *testing.T) {
	dir := told(t)
	out, _ := call(t, 0, "query", "--data", dir, "--measure", "people", "--totals")
	for _, want := range []string{"  12\n", "  10–14\n", "  ≥ 50\n", "  suppressed\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	out, _ = call(t, 0, "query", "--data", dir, "--account", "acme", "--installation", "eu", "--from", "2026-01-12", "--to", "2026-01-19", "-o", "json")
	var lines []map[string]any
	for l := range strings.Lines(out) {
		var m map[string]any
		if err := json.Unmarshal([]byte(l), &m); err != nil {
			t.Fatalf("%s: %v", l, err)
		}
		lines = append(lines, m)
	}
	if len(lines) != 2 || lines[0]["account"] != "acme" || lines[0]["form"] != "band" || lines[0]["hi"] != 14.0 || lines[1]["lo"] != 50.0 || lines[1]["hi"] != nil {
		t.Fatalf("%v", lines)
	}
	if out, _ = call(t, 0, "query", "--data", dir, "--dim", "role=admin", "-o", "csv"); strings.Count(out, "\n") != 2 || !strings.Contains(out, "role=admin,suppressed,,,") {
		t.Fatal(out)
	}
	call(t, 2, "query", "--data", dir, "--installation", "eu")
	call(t, 2, "query", "--data", dir, "--from", "yesterday")
	if _, stderr := call(t, 2, "query", "--data", dir, "--measure", "peple"); !strings.Contains(stderr, "Try: --measure people") {
		t.Error(stderr)
	}
}

func TestExportAndQuarantine(t *testing.T) {
	dir := told(t)
	out, _ := call(t, 0, "export", "csv", "figures", "--data", dir, "--totals")
	want := "account,installation,environment,measure,hash,field,grain,start,dims,form,lo,hi,text\n" +
		"acme,eu,production,people,00000000000000aa,value,week,2026-01-05,,exact,12,12,\n" +
		"acme,eu,production,people,00000000000000aa,value,week,2026-01-12,,band,10,14,\n" +
		"acme,eu,production,people,00000000000000aa,value,week,2026-01-19,,band,50,,\n" +
		"acme,eu,production,people,00000000000000aa,value,week,2026-01-26,,suppressed,,,\n"
	if out != want {
		t.Fatalf("%s", out)
	}
	if out, _ = call(t, 0, "export", "csv", "installations", "--data", dir); !strings.Contains(out, "acme,eu,production,") || strings.Count(out, "\n") != 2 {
		t.Fatal(out)
	}
	call(t, 2, "export", "csv", "everything", "--data", dir)
	out, _ = call(t, 0, "quarantine", "list", "--data", dir, "-o", "json")
	var q map[string]string
	if err := json.Unmarshal([]byte(out), &q); err != nil || q["code"] != store.CodeNotCovered || q["account"] != "acme" {
		t.Fatalf("%s: %v", out, err)
	}
	to := filepath.Join(t.TempDir(), "batch")
	call(t, 0, "quarantine", "export", "--data", dir, q["id"], to)
	if b, err := os.ReadFile(to); err != nil || string(b) != "its bytes" {
		t.Fatalf("%q: %v", b, err)
	}
	call(t, 1, "quarantine", "export", "--data", dir, "999", to)
	if out, _ = call(t, 3, "doctor", "--data", dir); !strings.Contains(out, "quarantine list") {
		t.Fatal(out)
	}
}

func TestUsersAndTokensForPrograms(t *testing.T) {
	dir := ready(t)
	call(t, 0, "user", "set", "--data", dir, "ann@example.com", "--role", "admin")
	if out, _ := call(t, 0, "user", "login", "--data", dir, "ann@example.com"); !strings.Contains(out, "https://") || !strings.Contains(out, "/login/") {
		t.Fatal(out)
	}
	secret, _ := call(t, 0, "apitoken", "create", "--data", dir, "--user", "ann@example.com", "--label", "boards")
	list, _ := call(t, 0, "apitoken", "list", "--data", dir, "-o", "json")
	if strings.Contains(list, strings.TrimSpace(secret)) || !strings.Contains(list, `"label":"boards"`) {
		t.Fatal(list)
	}
	var row map[string]string
	if err := json.Unmarshal([]byte(list), &row); err != nil {
		t.Fatal(err)
	}
	call(t, 0, "apitoken", "revoke", "--yes", "--data", dir, row["id"])
	if list, _ = call(t, 0, "apitoken", "list", "--data", dir, "-o", "json"); list != "" {
		t.Fatal(list)
	}
	call(t, 2, "user", "set", "--data", dir, "bob", "--role", "owner")
}
