package protocoltest

import (
	"bytes"
	"crypto/ed25519"
	"testing"

	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// Agent is an agent under test. Its site consents to category sla of ConformCatalog.
type Agent struct {
	ID   func() exchange.ID
	Join func(tb testing.TB, t exchange.Token) error
	// Produce closes one more window of measure 0 and tries once, without long waits, to
	// send all that waits. An error means that something still waits.
	Produce func(tb testing.TB) error
	// Restart ends the agent as if it was killed and starts it on the same state.
	Restart func(tb testing.TB)
}

// ConformAgent checks that an agent keeps SPEC's promises on a road that lies. newAgent gives
// a fresh one that was not enrolled.
func ConformAgent(t *testing.T, newAgent func(t *testing.T) Agent) {
	join := func(t *testing.T) (Agent, *FakeCollector) {
		f, a := NewFakeCollector(t, FakeConfig{}), newAgent(t)
		if err := a.Join(t, f.Token(t, TokenSpec{Account: "acme", Installation: "main"})); err != nil {
			t.Fatal(err)
		}
		return a, f
	}
	t.Run("S06_secret_stays", func(t *testing.T) {
		f, a := NewFakeCollector(t, FakeConfig{}), newAgent(t)
		tok := f.Token(t, TokenSpec{Account: "acme", Installation: "main"})
		if err := a.Join(t, tok); err != nil {
			t.Fatal(err)
		}
		if err := a.Produce(t); err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(f.Received(), tok.Secret) || bytes.Contains(f.Received(), []byte(tok.String()[:40])) {
			t.Fatal("the token went over the wire")
		}
	})
	t.Run("S07_impostor", func(t *testing.T) {
		f, impostor, a := NewFakeCollector(t, FakeConfig{}), NewFakeCollector(t, FakeConfig{}), newAgent(t)
		tok := f.Token(t, TokenSpec{Account: "acme", Installation: "main"})
		tok.URL, tok.CA = impostor.URL, impostor.CA
		if err := a.Join(t, tok); err == nil {
			t.Fatal("joined an impostor")
		}
	})
	t.Run("in_order", func(t *testing.T) {
		a, f := join(t)
		produce(t, a, 5, true)
		arrived(t, a, f, 5)
	})
	_, wrong, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, do := range map[string]Behave{
		"captive_portal": HTML(200), "html_403": HTML(403), "busy": Busy(503, "1"), "limited": Busy(429, "1"), "lost_answer": LoseAnswer(),
		"cut_answer": CutAnswer(20), "dropped": Drop(), "wrong_key": SignedBy(wrong), "redirect": Redirect("https://127.0.0.1:1/"), "endless": Huge(8 << 20),
	} {
		t.Run(name, func(t *testing.T) {
			a, f := join(t)
			produce(t, a, 2, true)
			f.Inject(Fault{Path: exchange.PathBatches, Do: do})
			produce(t, a, 3, false)
			a.Restart(t)
			f.Heal()
			produce(t, a, 1, true)
			arrived(t, a, f, 6)
		})
	}
	t.Run("refused_seq_is_consumed", func(t *testing.T) {
		a, f := join(t)
		produce(t, a, 1, true)
		f.Inject(Fault{Path: exchange.PathBatches, Times: 1, Do: f.Refuse(exchange.Refused, "batch_cell")})
		produce(t, a, 3, true)
		arrived(t, a, f, 3)
		if k, _ := f.Agent(a.ID()); k.Refused != 1 || len(k.Epochs) != 1 {
			t.Fatalf("%d refused, %d epochs", k.Refused, len(k.Epochs))
		}
	})
	t.Run("forbidden_pauses", func(t *testing.T) {
		a, f := join(t)
		produce(t, a, 1, true)
		f.Inject(Fault{Path: exchange.PathBatches, Times: 1, Do: f.Refuse(exchange.Forbidden, "agent_revoked")})
		produce(t, a, 1, false)
		produce(t, a, 1, true) // a check-in that succeeds ends the pause
		arrived(t, a, f, 3)
	})
	t.Run("collector_lost_its_newest", func(t *testing.T) {
		a, f := join(t)
		produce(t, a, 5, true)
		f.Forget(a.ID(), 3)
		a.Restart(t)
		produce(t, a, 1, true)
		arrived(t, a, f, 6)
	})
}

func produce(t *testing.T, a Agent, n int, arrives bool) {
	t.Helper()
	for range n {
		if err := a.Produce(t); (err == nil) != arrives {
			t.Fatalf("sending: %v, want success: %v", err, arrives)
		}
	}
}

// arrived checks that exactly n windows are counted, each once.
func arrived(t *testing.T, a Agent, f *FakeCollector, n int) {
	t.Helper()
	k, ok := f.Agent(a.ID())
	if !ok {
		t.Fatal("the agent is not known")
	}
	if len(k.Cells) != n || k.Doubled != 0 {
		t.Fatalf("%d windows are counted and %d came twice, want %d", len(k.Cells), k.Doubled, n)
	}
}
