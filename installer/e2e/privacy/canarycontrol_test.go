package privacy

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/vault"
	"github.com/fieldpost/fieldpost/protocol/batch"
	"github.com/fieldpost/fieldpost/protocol/durable"
	"github.com/fieldpost/fieldpost/protocol/protocoltest"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// witness stands in for a test and keeps what it is told.
type witness struct {
	testing.TB
	said []string
}

func (w *witness) Helper() {}

func (w *witness) Errorf(format string, args ...any) {
	w.said = append(w.said, fmt.Sprintf(format, args...))
}

// Each place that the canary tests look through is one where they would see a canary: it is put there, open or sealed, and
// has to be named. (That the doors' canaries are on the way to these places at all, the tests show by the canaries that the
// catalog declares.)
func TestCanary_EachPlaceIsSeen(t *testing.T) {
	t.Parallel()
	s := site{seed: 12, users: 5, weeks: 2, activity: 0.5, usage: "totals", sla: "aggregate", inv: "aggregate"}
	f := protocoltest.NewFakeCollector(t, protocoltest.FakeConfig{Catalog: s.catalog()})
	state := enrol(t, f)
	l := replayDeciding(t, state, agent.ReplayOptions{Files: []string{peopleOf(12).write(t, "events.jsonl", s.happenings())}, Consent: decision(s), Until: s.until()},
		func(context.Context, *agent.Agent) error { return nil })
	key, err := vault.Open(vault.Config{Dir: state})
	if err != nil {
		t.Fatal(err)
	}
	clean := &witness{TB: t}
	if newCanaries().state(clean, state); len(clean.said) > 0 {
		t.Fatalf("before anything was put there: %v", clean.said)
	}
	c := newCanaries()
	leak := []byte("text around " + c.in("leak") + " and after")
	open := func(path string) func(*witness) {
		return func(w *witness) {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(state, path)), 0o700); err != nil {
				t.Fatal(err)
			}
			appended(t, filepath.Join(state, path), leak)
			c.state(w, state)
			if err := os.Remove(filepath.Join(state, path)); err != nil { // the next place begins clean
				t.Fatal(err)
			}
		}
	}
	places := map[string]func(*witness){
		"the outbox": open("outbox/left-over"), "the ledger": open("ledger/note"), "the catalogs": open("catalogs/note"), "the decisions": open("consent/note"),
		"the state's own file": open("state.json.old"), "a room nobody knows": open("new/file"),
		"the name of a file": open("outbox/" + c.in("leak")),
		"the dictionary and what is measured": func(w *witness) {
			path, files := filepath.Join(state, "measure", "state", "note.seg"), key.Files("measure")
			if err := os.WriteFile(path, files.Seal("state/note.seg", append(make([]byte, files.Head()), leak...)), 0o600); err != nil {
				t.Fatal(err)
			}
			c.state(w, state)
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		},
		"the journal": func(w *witness) {
			dir, records := filepath.Join(t.TempDir(), "journal"), key.Records("journal")
			journaled(t, dir, records, leak)
			c.journal(w, dir, records)
		},
		"a batch": func(w *witness) {
			pub, wire := batchWith(t, l.agent, c.in("leak"))
			c.batches(w, [][]byte{wire}, left{key: pub})
		},
		"a folder of the collector's": func(w *witness) {
			dir := t.TempDir()
			appended(t, filepath.Join(dir, "store.db"), append(make([]byte, 20_000), leak...))
			c.files(w, dir)
		},
		"a log, an answer or a page": func(w *witness) { c.hunt(w, "the log", leak, "user:", "config:", "decision:", "declared:") },
	}
	for name, look := range places {
		w := &witness{TB: t}
		look(w)
		if !strings.Contains(strings.Join(w.said, "\n"), "the canary of leak is in ") {
			t.Errorf("a canary in %s was not seen: %v", name, w.said)
		}
	}
}

// batchWith is a batch that names a zone, and the key it is signed with.
func batchWith(t *testing.T, agent [16]byte, zone string) (ed25519.PublicKey, []byte) {
	t.Helper()
	pub, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	h := batch.Header{Agent: agent, Epoch: [16]byte{1}, Seq: 1, Catalog: [32]byte{2}, Consent: [32]byte{3}, Created: time.Now().Unix(), Zone: zone, Open: &batch.Opening{Reason: batch.ReasonNew}}
	wire, err := batch.Freeze(h, []report.Cell{{Series: report.Series{Field: report.Value, Grain: report.Day}, Start: 20000, Form: report.Exact}}, private)
	if err != nil {
		t.Fatal(err)
	}
	return pub, wire
}

func appended(t *testing.T, path string, b []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.Write(b)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// journaled seals b as a record of a new journal.
func journaled(t *testing.T, dir string, records *vault.Records, b []byte) {
	t.Helper()
	log, err := durable.Open(dir, durable.Options{})
	if err != nil {
		t.Fatal(err)
	}
	before, after := records.Room()
	frame := append(append(make([]byte, before), b...), make([]byte, after)...)
	records.Seal(log.Next(), frame)
	if _, err := log.Append(t.Context(), frame); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
}
