package collector

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/batch"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// try sends a batch once. wait is what the collector asks for before the next try; 0: receipt
// is its answer.
func (a *agent) try(path string, body []byte) (receipt exchange.Receipt, wait time.Duration, err error) {
	r, err := http.NewRequestWithContext(a.t.Context(), http.MethodPost, a.h.c.URL()+path, bytes.NewReader(body))
	if err != nil {
		return receipt, 0, err
	}
	exchange.SignRequest(r, body, a.key, exchange.NewNonce(), time.Now())
	status, answer, retry, err := a.ask(r)
	switch {
	case err != nil:
		return receipt, 0, err
	case status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable:
		seconds, err := strconv.Atoi(retry)
		if err != nil || seconds < 1 {
			return receipt, 0, fmt.Errorf("status %d with Retry-After %q", status, retry)
		}
		return receipt, time.Duration(seconds) * time.Second, nil
	case path != exchange.PathBatches && status == http.StatusOK:
		return receipt, 0, nil
	}
	return receipt, 0, json.Unmarshal(answer, &receipt)
}

// S28: values that nobody listed end in quarantine; they make no series.
func TestS28_manyLabelValues(t *testing.T) {
	h := start(t, filepath.Join(t.TempDir(), "data"), nil)
	a, b := h.enrol("acme", "eu", store.Production), h.enrol("bolt", "eu", store.Production)
	a.consent(exchange.Totals, longAgo)
	b.consent(exchange.Totals, longAgo)
	var cells []report.Cell
	for v := range 60_000 {
		c := cell(people, report.Week, week(0), report.Suppressed, 0, 0)
		c.Breakdown, c.V1 = 1, uint16(v+1)
		cells = append(cells, c)
	}
	if got := a.refusedFor(cells...); got != store.CodeUnknownCell {
		t.Fatalf("60,000 values of an area: %q", got)
	}
	if got := b.refusedFor(cell(people, report.Week, week(0), report.Exact, 40, 40)); got != "" {
		t.Fatalf("another agent's: %q", got)
	}
	a.stored(1)
	b.stored(1)
	if n := len(a.figures(store.FigureQuery{Limit: 10})); n != 1 {
		t.Fatalf("%d figures, one was reported", n)
	}
	q := must[[]store.Quarantined](t)(h.c.Data().Store.Quarantine(t.Context(), store.TroubleQuery{Account: "acme"}))
	if len(q) != 1 || q[0].Code != store.CodeUnknownCell {
		t.Fatalf("%+v", q)
	}
}

// One agent sends the dearest batches there are, as fast as it can and many at once. It is held
// to its share; the others do not notice, and what it was refused for now may come later.
func TestS28_oneAgentCannotStarveOthers(t *testing.T) {
	var ahead atomic.Int64
	h := start(t, filepath.Join(t.TempDir(), "data"), func(c *Config) {
		c.AgentRate = 20_000
		c.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	})
	bad, good := h.enrol("acme", "eu", store.Production), h.enrol("bolt", "eu", store.Production)
	bad.consent(exchange.Totals, longAgo)
	good.consent(exchange.Totals, longAgo)
	from := time.Now().Add(-batch.MaxCells * 5 * time.Minute).Truncate(time.Hour)
	dear := func() []byte { // a hundred thousand windows that the consent does not cover
		cells := make([]report.Cell, 0, batch.MaxCells)
		for i := range batch.MaxCells - 20 {
			cells = append(cells, cell(requests, report.FiveMinutes, from.Unix()+int64(300*i), report.Exact, 1, 1))
		}
		return bad.freeze(cells...)
	}
	first, second := dear(), dear()
	if r := bad.send(first); r.Outcome != exchange.Refused {
		t.Fatalf("%+v", r)
	}
	var limited atomic.Int64
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			switch _, wait, err := bad.try(exchange.PathBatches, second); {
			case err != nil:
				t.Error(err)
			case wait > 0:
				limited.Add(1)
			}
		})
	}
	for n := range 10 {
		if r := good.send(good.freeze(cell(requests, report.Hour, hour(n), report.Exact, 1, 1))); r.Outcome != exchange.Accepted {
			t.Errorf("another agent: %+v", r)
		}
	}
	wg.Wait()
	if limited.Load() != 20 {
		t.Fatalf("%d of 20 were held back", limited.Load())
	}
	_, wait, err := bad.try(exchange.PathBatches, second)
	if err != nil || wait < 2*time.Second || wait > 6*time.Second {
		t.Fatalf("told to wait %s: %v", wait, err)
	}
	ahead.Add(int64(wait))
	if r := bad.send(second); r.Outcome != exchange.Refused || r.Queued != 2 {
		t.Fatalf("the same bytes after the wait: %+v", r)
	}
}

// fleet enrols sites, each with batches frozen and a client of its own.
func fleet(t *testing.T, h *house, sites, each int) (agents []*agent, wires [][][]byte) {
	t.Helper()
	agents, wires = make([]*agent, sites), make([][][]byte, sites)
	one := h.enrol("warm", "up", store.Production).client
	var wg sync.WaitGroup
	for w := range 8 { // joining is not what is tested: through one client
		wg.Go(func() {
			for i := w; i < sites; i += 8 {
				tok := h.token(fmt.Sprintf("account%d", i), "main", store.Production)
				a := h.stranger(fmt.Sprintf("agent %d", i), tok)
				a.epoch, a.client = exchange.ID{1, byte(i), byte(i >> 8)}, one
				if status, body := a.join(tok, nil); status != http.StatusOK {
					t.Errorf("joining: %d %s", status, body)
					return
				}
				a.consent(exchange.Aggregate, longAgo)
				for n := range each {
					wires[i] = append(wires[i], a.freeze(cell(requests, report.Hour, hour(n), report.Exact, 1, 1)))
				}
				a.client = client(t, tok)
				agents[i] = a
			}
		})
	}
	if wg.Wait(); t.Failed() {
		t.FailNow()
	}
	return agents, wires
}

// comeBack does as an agent does: check in, then one batch after the other, waiting when told to.
func (a *agent) comeBack(wires [][]byte, held, lost *atomic.Int64) error {
	defer a.client.CloseIdleConnections()
	in, err := json.Marshal(exchange.CheckIn{Version: "1.0", Protocol: exchange.Version, Statement: a.statement, Time: time.Now().Unix()})
	if err != nil {
		return err
	}
	todo := append([][]byte{in}, wires...)
	for n, tries := 0, 0; n < len(todo); tries++ {
		path := exchange.PathBatches
		if n == 0 {
			path = exchange.PathCheckIn
		}
		r, wait, err := a.try(path, todo[n])
		switch {
		case tries > 100:
			return fmt.Errorf("no end of tries: %+v, wait %s, %w", r, wait, err)
		case err != nil:
			lost.Add(1)
			time.Sleep(100 * time.Millisecond)
		case wait > 0:
			held.Add(1)
			time.Sleep(wait / 10)
		case n > 0 && r.Outcome != exchange.Accepted:
			return fmt.Errorf("batch %d: %+v", n, r)
		default:
			n++
		}
	}
	return nil
}

// heap notes how much memory is in use at the most until stop is called.
func heap() (stop func() uint64) {
	end, most := make(chan struct{}), make(chan uint64)
	go func() {
		top := uint64(0)
		for m := (runtime.MemStats{}); ; {
			runtime.ReadMemStats(&m)
			top = max(top, m.HeapInuse)
			select {
			case <-end:
				most <- top
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	return func() uint64 { close(end); return <-most }
}

// S33: a fleet that lost its collector comes back at once, each agent on a connection of its
// own, far more of them than may be connected. All is delivered in the end, each batch once.
func TestS33_manyAgentsReconnectAtOnce(t *testing.T) {
	sites, each := 500, 3
	if testing.Short() {
		sites = 100
	}
	h := start(t, filepath.Join(t.TempDir(), "data"), func(c *Config) { c.MaxConnections = 100 })
	agents, wires := fleet(t, h, sites, each)
	stop, began := heap(), time.Now()
	var held, lost atomic.Int64
	var wg sync.WaitGroup
	for i, a := range agents {
		wg.Go(func() {
			if err := a.comeBack(wires[i], &held, &lost); err != nil {
				t.Errorf("agent %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	took, most := time.Since(began), stop()
	if t.Failed() {
		return
	}
	for i, a := range agents {
		a.stored(uint64(len(wires[i])))
		in := must[store.Installation](t)(h.c.Data().Store.Installation(t.Context(), fmt.Sprintf("account%d", i), "main"))
		if in.Batches != int64(each) || in.Cells != int64(each) || in.Aside != 0 {
			t.Fatalf("%+v", in)
		}
	}
	t.Logf("%d agents, %d check-ins and batches in %s over 100 connections at most; %d times told to wait, %d connections lost; at most %d MB in use, clients included",
		sites, sites*(each+1), took.Round(time.Millisecond), held.Load(), lost.Load(), most>>20)
	if most > 512<<20 {
		t.Errorf("%d MB in use", most>>20)
	}
}
