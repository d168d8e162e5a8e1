package privacy

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/agent/settings"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/protocoltest"
)

// config is that of a simulated agent.
func config(tb testing.TB, state string) agent.Config {
	tb.Helper()
	s, err := settings.Load(settings.Source{Getenv: func(string) string { return "" },
		Flags: map[string]string{"state": state, "console": "off", "zone": "Europe/Berlin", "proxy": "none"}})
	if err != nil {
		tb.Fatal(err)
	}
	return agent.Config{Settings: s, Version: "0.1.0", Simulated: true}
}

// enrol makes a simulated state that has joined f.
func enrol(tb testing.TB, f *protocoltest.FakeCollector) (state string) {
	tb.Helper()
	state = filepath.Join(tb.TempDir(), "state")
	if _, err := agent.Enroll(tb.Context(), config(tb, state), f.Token(tb, protocoltest.TokenSpec{Account: "acme", Installation: "berlin"})); err != nil {
		tb.Fatal(err)
	}
	return state
}

// left is everything that left a site.
type left struct {
	agent   exchange.ID
	key     ed25519.PublicKey
	batches [][]byte // in the order of the ledger
	figures []string // the batches in words
	preview []string // what would leave next
	history []control.ConsentEntry
	catalog *catalog.Catalog // where the test needs it
}

// replay feeds files to the state and says what has left it by then.
func replay(tb testing.TB, state string, o agent.ReplayOptions, then func(context.Context, *agent.Agent)) left {
	tb.Helper()
	a := openWithNoise(tb, state)
	defer func() {
		if err := a.Close(); err != nil {
			tb.Error(err)
		}
	}()
	ctx := tb.Context()
	if _, err := a.Replay(ctx, o); err != nil {
		tb.Fatal(err)
	}
	if then != nil {
		then(ctx, a)
	}
	return leftOf(tb, a, state)
}

// openWithNoise opens an agent whose noise is the same each time: what keeps a source of random bytes from when it is
// opened keeps this one.
func openWithNoise(tb testing.TB, state string) *agent.Agent {
	tb.Helper()
	chance := rand.Reader
	defer func() { rand.Reader = chance }()
	rand.Reader = &sameBytes{from: mathrand.NewChaCha8([32]byte{7})}
	a, err := agent.Open(config(tb, state))
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

// sameBytes are random bytes that are the same in each run.
type sameBytes struct {
	mu   sync.Mutex
	from *mathrand.ChaCha8
}

func (s *sameBytes) Read(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.from.Read(b)
}

func leftOf(tb testing.TB, a *agent.Agent, state string) (l left) {
	tb.Helper()
	ctx := tb.Context()
	led, err := a.Ledger(ctx, control.LedgerQuery{Kind: "batch", Limit: 1 << 20, Figures: true, Verify: true})
	if err != nil {
		tb.Fatal(err)
	}
	if led.Verified == nil || !*led.Verified {
		tb.Fatalf("the ledger does not verify: %s", led.Problem)
	}
	for _, e := range led.Entries {
		if e.Kind != "batch" {
			tb.Fatalf("a batch was %s: %s", e.Kind, e.Text)
		}
		l.batches = append(l.batches, e.Wire)
		for _, f := range e.Figures {
			l.figures = append(l.figures, text(tb, f))
		}
	}
	p, err := a.Preview(ctx)
	if err != nil {
		tb.Fatal(err)
	}
	for _, x := range p.Leaves {
		l.preview = append(l.preview, text(tb, x))
	}
	st, err := a.Status(ctx)
	if err != nil {
		tb.Fatal(err)
	}
	c, err := a.Consent(ctx)
	if err != nil {
		tb.Fatal(err)
	}
	l.agent, l.history, l.key = st.Agent, c.History, keyOf(tb, state)
	return l
}

// keyOf is the public half of a state's key.
func keyOf(tb testing.TB, state string) ed25519.PublicKey {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join(state, "key.json"))
	if err != nil {
		tb.Fatal(err)
	}
	var k struct{ Seed []byte }
	if err := json.Unmarshal(data, &k); err != nil || len(k.Seed) != ed25519.SeedSize {
		tb.Fatalf("reading the key: %v", err)
	}
	return ed25519.NewKeyFromSeed(k.Seed).Public().(ed25519.PublicKey)
}

func text(tb testing.TB, v interface{ MarshalJSON() ([]byte, error) }) string {
	tb.Helper()
	b, err := v.MarshalJSON()
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

// clone copies a state: the same key, epoch and decisions, salt and all.
func clone(tb testing.TB, state string) string {
	tb.Helper()
	to := filepath.Join(tb.TempDir(), "clone")
	err := os.CopyFS(to, os.DirFS(state))
	if err == nil { // the copy's modes are wider, which the site key's must not be
		err = os.Chmod(filepath.Join(to, "site.key"), 0o600)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return to
}

func decision(s site) *control.Decision {
	d := &control.Decision{
		Levels: map[string]exchange.Level{"usage": exchange.Level(s.usage), "sla": exchange.Level(s.sla), "inventory": exchange.Level(s.inv), "pool": cmp.Or(exchange.Level(s.pool), exchange.Off)},
		Accept: true, By: "j.d.", People: s.people,
	}
	if s.early {
		d.From = new(begin.AddDate(0, 0, -1)) // midnight at the site is before that of UTC
	}
	return d
}

func lines(list []string) string { return strings.Join(list, "\n") }
