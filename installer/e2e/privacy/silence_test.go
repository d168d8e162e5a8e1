package privacy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/installer/e2e/harness"
	"github.com/fieldpost/fieldpost/installer/examples"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/protocoltest"
)

// beats is how long an agent that would send every second is watched.
const beats = 4 * time.Second

const oneEvent = `{"batch":[{"type":"track","userId":"ann","event":"Workflow Created","properties":{"template":"blank"}}]}`

// A fresh agent that was asked nothing and told nothing answers the product and says nothing to
// anybody: no connection, no DNS query, no datagram.
func TestSilence_FreshAgent(t *testing.T) {
	t.Parallel()
	n := harness.NewNetwork(t)
	a := harness.NewAgent(t, harness.Options{Net: n, Config: "send_every: 1s"})
	c := n.Capture(t)
	a.Start()
	sent := product(t, a)
	a.Received(sent, 0)
	if code := a.Stop(); code != 0 {
		t.Errorf("exit %d", code)
	}
	onlyWith(t, c.Packets(), a.Listen)
}

// Before enrolment there is no packet; enrolled with nothing decided there are only check-ins, which
// carry nothing but who the agent is and that nothing was decided; and not even that with
// DO_NOT_TRACK.
func TestSilence_EnrolledNothingDecided(t *testing.T) {
	t.Parallel()
	n := harness.NewNetwork(t)
	var f *protocoltest.FakeCollector
	if err := n.Inside(func() {
		f = protocoltest.NewFakeCollector(t, protocoltest.FakeConfig{Catalog: examples.ProductCatalog()})
	}); err != nil {
		t.Fatal(err)
	}
	a := harness.NewAgent(t, harness.Options{Net: n, Config: "send_every: 1s"})

	c := n.Capture(t)
	a.Must("version")
	a.Must("config")
	a.Do("status")
	onlyWith(t, c.Packets())

	a.Enrol(f)
	c = n.Capture(t)
	before := f.Calls(exchange.PathCheckIn)
	a.Start()
	sent := product(t, a)
	events, _ := a.Received(sent, 0)
	if events.Reasons["off"] != sent {
		t.Errorf("nothing is decided, and of %d events this was made: %v", sent, events.Reasons)
	}
	harness.Eventually(t, func() error {
		if n := f.Calls(exchange.PathCheckIn) - before; n < 2 {
			return fmt.Errorf("%d check-ins", n)
		}
		return nil
	})
	waitingForADecisionIsNoOutage(t, a)
	a.Stop()
	onlyWith(t, c.Packets(), a.Listen, host(t, f.URL))
	checkIns(t, f, a.Status().Agent)

	t.Run("DO_NOT_TRACK", func(t *testing.T) {
		b := harness.NewAgent(t, harness.Options{Net: n, Config: "send_every: 1s", State: a.State, Env: []string{"DO_NOT_TRACK=1"}})
		c := n.Capture(t)
		b.Start()
		product(t, b)
		b.Stop()
		onlyWith(t, c.Packets(), b.Listen)
	})
}

// The agent once took "nothing was decided yet" for a collector that does not answer: it warned, fell
// back to a beat a minute, and would have opened a new epoch.
func waitingForADecisionIsNoOutage(t *testing.T, a *harness.Agent) {
	t.Helper()
	if st := a.Status(); st.Delivery.Problem != "" || len(st.Warnings) != 0 {
		t.Errorf("an agent that waits for a decision is not ill: %q %v", st.Delivery.Problem, st.Warnings)
	}
	if strings.Contains(a.Log.String(), "WARN") {
		t.Errorf("an agent that waits for a decision warns: %s", a.Log)
	}
}

// product sends events to the agent for some beats and gives how many.
func product(t *testing.T, a *harness.Agent) (sent uint64) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(beats); time.Now().Before(end); sent++ {
		<-tick.C
		if code, body, _ := a.Post("/v1/batch", oneEvent); code != 200 {
			t.Fatalf("the intake answered %d %s", code, body)
		}
	}
	return sent
}

// onlyWith demands that every packet has one of the addresses as an end and stays on loopback.
func onlyWith(t *testing.T, packets []harness.Packet, addrs ...string) {
	t.Helper()
	known := map[string]int{}
	for _, a := range addrs {
		known[strings.Replace(a, ":", ".", 1)] = 0 // as tcpdump writes it
	}
	for _, p := range packets {
		end := p.From
		if _, ok := known[end]; !ok {
			end = p.To
		}
		if _, ok := known[end]; !ok || !strings.HasPrefix(p.From, "127.") || !strings.HasPrefix(p.To, "127.") {
			t.Errorf("a packet that nobody agreed to: %s", p.Text)
			continue
		}
		known[end]++
	}
	for a, n := range known {
		if n == 0 {
			t.Errorf("the capture saw nothing of %s: it proves nothing", a)
		}
	}
}

func host(t *testing.T, u string) string {
	t.Helper()
	p, err := url.Parse(u)
	if err != nil {
		t.Fatal(err)
	}
	return p.Host
}

// checkIns demands that nothing but joining and checking in took place, and that the check-ins say
// no more than they may.
func checkIns(t *testing.T, f *protocoltest.FakeCollector, agent exchange.ID) {
	t.Helper()
	k, ok := f.Agent(agent)
	if !ok || len(k.Accepted)+k.Refused+f.Calls(exchange.PathBatches) != 0 {
		t.Errorf("known %v, %d batches accepted, %d refused, %d tried", ok, len(k.Accepted), k.Refused, f.Calls(exchange.PathBatches))
	}
	for _, in := range k.CheckIns {
		var st exchange.Statement
		d := json.NewDecoder(bytes.NewReader(in.Statement.Raw))
		d.DisallowUnknownFields()
		if err := d.Decode(&st); err != nil {
			t.Fatalf("a statement that says more than it may: %v: %s", err, in.Statement.Raw)
		}
		if len(st.Categories) != 0 || st.CatalogVersion != 0 {
			t.Errorf("the agent decided by itself: %s", in.Statement.Raw)
		}
	}
}
