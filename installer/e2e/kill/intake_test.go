package kill

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/installer/e2e/harness"
	"github.com/fieldpost/fieldpost/installer/examples"
	"github.com/fieldpost/fieldpost/protocol/protocoltest"
)

// TestIntake kills a real agent under load from a product. What was answered with 200 before is in the
// accounting after; what was not answered the product sends again, and it counts once.
func TestIntake(t *testing.T) {
	const kills, clients = 10, 4
	rng := random(t)
	f := protocoltest.NewFakeCollector(t, protocoltest.FakeConfig{Catalog: examples.ForgeCatalog()})
	a := harness.NewAgent(t, harness.Options{Config: "local_exact: true\nzone: UTC"})
	a.Enrol(f)
	a.Must("consent", "set", "usage=local", "--by", "the test")
	products := make([]*product, clients)
	for i := range products {
		products[i] = &product{client: i, url: "http://" + a.Listen + "/v1/batch", rng: rand.New(rand.NewPCG(rng.Uint64(), 2)),
			http: &http.Client{Timeout: patience, Transport: &http.Transport{}}}
		t.Cleanup(products[i].http.CloseIdleConnections)
	}
	accepted := func() (n uint64) {
		for _, p := range products {
			n += p.accepted
		}
		return n
	}
	for round := range kills {
		a.Start()
		if e := a.Status().Events; e.Received < accepted() {
			t.Fatalf("after kill %d: %d received, %d accepted before", round, e.Received, accepted())
		}
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for _, p := range products {
			wg.Go(func() { p.send(ctx) })
		}
		time.Sleep(moment(rng))
		a.Kill()
		stop()
		wg.Wait()
		for _, p := range products {
			if p.err != nil {
				t.Fatalf("client %d: %v", p.client, p.err)
			}
		}
	}
	a.Start()
	for _, p := range products { // what was left without an answer
		if p.pending != nil {
			p.once(t.Context())
		}
		if p.err != nil || p.pending != nil {
			t.Fatalf("client %d: the agent runs and does not answer: %v\n%s", p.client, p.err, a.Log)
		}
	}
	sent, again := accepted(), uint64(0)
	for _, p := range products {
		again += p.again
	}
	if sent == 0 {
		t.Fatal("nothing was sent")
	}
	var measured uint64
	harness.Eventually(t, func() error {
		e := a.Status().Events
		measured = e.Reasons["measured"]
		if sum := measured + e.Reasons["duplicate"]; sum != e.Received || measured < sent {
			return fmt.Errorf("%d of %d events are measured: %+v", measured, sent, e)
		}
		if e.Reasons["duplicate"] > again {
			return fmt.Errorf("%d duplicates, at most %d were sent twice", e.Reasons["duplicate"], again)
		}
		return nil
	})
	counted := 0
	for _, l := range a.Exact("changes", "month") {
		n := 0
		if _, err := fmt.Sscan(string(l.Value), &n); err != nil {
			t.Fatal(err)
		}
		counted += n
	}
	t.Logf("%d kills: %d events accepted, %d of them sent twice; %d measured, %d counted", kills, sent, again, measured, counted)
	if measured != sent || uint64(counted) != sent {
		t.Errorf("%d events were accepted, %d are measured and %d counted", sent, measured, counted)
	}
}

// product is one sender: it keeps a batch until it was answered with 200.
type product struct {
	client   int
	url      string
	rng      *rand.Rand
	http     *http.Client
	n        int    // of the next event
	pending  []byte // sent and not answered
	size     uint64 // its events
	accepted uint64 // events answered with 200
	again    uint64 // events in batches that were sent again
	err      error
}

// send sends one batch after the other until nobody answers any more.
func (p *product) send(ctx context.Context) {
	for ctx.Err() == nil && p.err == nil {
		if p.once(ctx); p.pending != nil {
			return
		}
	}
}

// once sends the pending batch, or a new one.
func (p *product) once(ctx context.Context) {
	if p.pending == nil {
		p.fill()
	} else {
		p.again += p.size
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(p.pending))
	if err != nil {
		p.err = err
		return
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := p.http.Do(r)
	if err != nil {
		return // killed; it is sent again
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil && resp.StatusCode != http.StatusOK {
		return
	}
	if resp.StatusCode != http.StatusOK {
		p.err = fmt.Errorf("answered %s", resp.Status)
		return
	}
	p.accepted += p.size
	p.pending = nil
}

func (p *product) fill() {
	p.size = uint64(1 + p.rng.IntN(50))
	events := make([]string, p.size)
	for i := range events {
		p.n++
		events[i] = fmt.Sprintf(`{"type":"track","messageId":"client %d event %d","userId":"user %d","event":"Change Authored","properties":{"area":"code"}}`, p.client, p.n, p.rng.IntN(500))
	}
	p.pending = []byte(`{"batch":[` + strings.Join(events, ",") + `]}`)
}
