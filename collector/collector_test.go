package collector

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/batch"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/catalog/signing"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

const testCatalog = `
catalog: shop
version: 1
vendor: Shop Ltd
events:
  used: {match: "Used", properties: {area: {values: [sales, stock]}}}
  asked: {match: "Asked"}
measures:
  - {id: people, kind: active_users, events: [used], by: [area], category: usage, question: "Who?", purpose: "p", owner: o, retention: 730d}
  - {id: uses, kind: count, events: [used], category: usage, question: "How much?", purpose: "p", owner: o, retention: 730d}
  - {id: requests, kind: count, subject: traffic, events: [asked], category: sla, question: "Load?", purpose: "p", owner: o, retention: 730d}
  - {id: version, kind: fact, subject: machine, from: agent.version, values: ["1.0", "1.1"], category: inventory, question: "Version?", purpose: "p", owner: o, retention: 730d}
`

// Places of the catalog's measures.
const (
	people = iota
	uses
	requests
	version
)

// house is a running collector for tests.
type house struct {
	t    testing.TB
	dir  string
	c    *Collector
	cat  *catalog.Catalog
	stop func()
	now  func() time.Time
}

func newKey(t testing.TB, name string) ed25519.PrivateKey {
	t.Helper()
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func start(t testing.TB, dir string, with func(*Config)) *house {
	t.Helper()
	h := &house{t: t, dir: dir}
	c := Config{Data: dir, Listen: "127.0.0.1:0", JoinRate: -1}
	if with != nil {
		with(&c)
	}
	h.c = must[*Collector](t)(New(context.Background(), c))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.c.Run(ctx) }()
	stopped := false
	h.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(h.stop)
	key := newKey(t, "catalog")
	check(t, h.c.Data().TrustCatalogKey(ctx, key.Public().(ed25519.PublicKey), "test"))
	h.cat = must[*catalog.Catalog](t)(h.c.Data().AddCatalog(ctx, []byte(testCatalog), signing.Sign([]byte(testCatalog), key), "test"))
	return h
}

// agent speaks SPEC as an agent does.
type agent struct {
	t         testing.TB
	h         *house
	key       ed25519.PrivateKey
	id        exchange.ID
	pub       ed25519.PublicKey // the collector's
	client    *http.Client
	epoch     exchange.ID
	seq       uint64
	prev      [32]byte
	statement exchange.SignedStatement
	number    int
	simulated bool
	created   time.Time
}

func (h *house) token(account, installation, env string) exchange.Token {
	h.t.Helper()
	return must[exchange.Token](h.t)(h.c.Data().NewToken(h.t.Context(), TokenRequest{Account: account, Installation: installation, Environment: env, By: "test"}, ""))
}

func client(t testing.TB, tok exchange.Token) *http.Client {
	pool := x509.NewCertPool()
	pool.AddCert(must[*x509.Certificate](t)(x509.ParseCertificate(tok.CA)))
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, MaxIdleConnsPerHost: 64}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func (h *house) enrol(account, installation, env string) *agent {
	h.t.Helper()
	tok := h.token(account, installation, env)
	name := account + "/" + installation
	epoch := sha256.Sum256([]byte("epoch " + name))
	a := &agent{t: h.t, h: h, key: newKey(h.t, "agent "+name), pub: tok.Collector, client: client(h.t, tok), epoch: exchange.ID(epoch[:16])}
	a.id = exchange.AgentID(a.key.Public().(ed25519.PublicKey))
	status, body := a.join(tok, nil)
	if status != http.StatusOK {
		h.t.Fatalf("joining: %d %s", status, body)
	}
	return a
}

// do sends a request and checks that the answer is signed, and that SPEC lists its code.
func (a *agent) do(r *http.Request) (int, []byte) {
	a.t.Helper()
	status, body, _, err := a.ask(r)
	check(a.t, err)
	return status, body
}

// ask is do for other goroutines than the test's.
func (a *agent) ask(r *http.Request) (status int, body []byte, retryAfter string, err error) {
	res, err := a.client.Do(r)
	if err != nil {
		return 0, nil, "", err
	}
	defer res.Body.Close()
	if body, err = io.ReadAll(res.Body); err != nil {
		return 0, nil, "", err
	}
	if err := exchange.VerifyAnswer(res.StatusCode, r.URL.Path, r.Header.Get(exchange.HeaderNonce), body, res.Header.Get(exchange.HeaderSignature), a.pub); err != nil {
		return 0, nil, "", fmt.Errorf("%s %s: status %d: %w", r.Method, r.URL.Path, res.StatusCode, err)
	}
	if wrong := listed(res.StatusCode, body); wrong != "" {
		return 0, nil, "", fmt.Errorf("%s %s: %s", r.Method, r.URL.Path, wrong)
	}
	return res.StatusCode, body, res.Header.Get("Retry-After"), nil
}

func (a *agent) request(method, path string, body []byte) *http.Request {
	a.t.Helper()
	r := must[*http.Request](a.t)(http.NewRequestWithContext(a.t.Context(), method, a.h.c.URL()+path, bytes.NewReader(body)))
	r.Header.Set(exchange.HeaderNonce, exchange.NewNonce().String())
	return r
}

func (a *agent) challenge(token exchange.ID) exchange.Challenge {
	a.t.Helper()
	status, body := a.do(a.request("GET", exchange.PathChallenge+"?token="+token.String(), nil))
	var c exchange.Challenge
	if err := json.Unmarshal(body, &c); err != nil || status != http.StatusOK {
		a.t.Fatalf("challenge: %d %s", status, body)
	}
	return c
}

// join joins; change may alter the request after it was filled in and before it is signed.
func (a *agent) join(tok exchange.Token, change func(*exchange.JoinRequest)) (int, []byte) {
	a.t.Helper()
	j := exchange.JoinRequest{Token: tok.ID, Nonce: a.challenge(tok.ID).Nonce, Collector: tok.Collector, Account: tok.Account, Installation: tok.Installation}
	if change != nil {
		change(&j)
	}
	j.Sign(must[ed25519.PrivateKey](a.t)(tok.Key()), a.key)
	return a.do(a.request("POST", exchange.PathJoin, must[[]byte](a.t)(json.Marshal(j))))
}

func (a *agent) signed(path string, body []byte) (int, []byte) {
	a.t.Helper()
	r := a.request("POST", path, body)
	exchange.SignRequest(r, body, a.key, exchange.NewNonce(), time.Now())
	return a.do(r)
}

// consent makes a statement over every category and checks in with it.
func (a *agent) consent(level exchange.Level, from time.Time) exchange.CheckInAnswer {
	a.t.Helper()
	a.number++
	st := exchange.Statement{Version: exchange.Version, Agent: a.id, Number: a.number, CatalogName: a.h.cat.Name, CatalogVersion: a.h.cat.Version,
		Catalog: a.h.cat.Hash, Decided: from.Unix(), Simulated: a.simulated}
	for _, c := range []string{"inventory", "sla", "usage"} {
		st.Categories = append(st.Categories, exchange.Decision{Category: c, Level: level, From: from.Unix()})
	}
	a.statement = must[exchange.SignedStatement](a.t)(exchange.SignStatement(st, a.key))
	status, body := a.checkIn(a.statement, time.Now())
	var out exchange.CheckInAnswer
	if err := json.Unmarshal(body, &out); err != nil || status != http.StatusOK {
		a.t.Fatalf("check-in: %d %s", status, body)
	}
	return out
}

func (a *agent) checkIn(st exchange.SignedStatement, clock time.Time) (int, []byte) {
	a.t.Helper()
	return a.signed(exchange.PathCheckIn, must[[]byte](a.t)(json.Marshal(exchange.CheckIn{Version: "1.0", Protocol: exchange.Version, Statement: st, Time: clock.Unix(), Simulated: a.simulated})))
}

// freeze makes the next batch; the epoch moves on.
func (a *agent) freeze(cells ...report.Cell) []byte {
	a.t.Helper()
	a.seq++
	if a.created.IsZero() {
		a.created = time.Now()
	}
	h := batch.Header{Agent: a.id, Epoch: a.epoch, Seq: a.seq, Prev: a.prev, Catalog: a.h.cat.Hash, Consent: a.statement.Hash(), Created: a.created.Unix(), Zone: "UTC", Simulated: a.simulated}
	if a.seq == 1 {
		h.Open = &batch.Opening{Reason: batch.ReasonNew}
	}
	wire := must[[]byte](a.t)(batch.Freeze(h, cells, a.key))
	a.prev = batch.Hash(wire)
	return wire
}

func (a *agent) send(wire []byte) exchange.Receipt {
	a.t.Helper()
	status, body := a.signed(exchange.PathBatches, wire)
	var r exchange.Receipt
	if err := json.Unmarshal(body, &r); err != nil || r.Outcome.Status() != status || r.Hash != batch.Hash(wire) && r.Outcome != "" {
		a.t.Fatalf("sending: %d %s", status, body)
	}
	return r
}

// stored waits until the store has the epoch through seq.
func (a *agent) stored(seq uint64) {
	a.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; {
		got, _, err := a.h.c.Data().Store.Mark(a.t.Context(), a.id, a.epoch)
		check(a.t, err)
		if got >= seq {
			return
		}
		if time.Now().After(deadline) {
			a.t.Fatalf("the store has the epoch through %d, not %d", got, seq)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (a *agent) figures(q store.FigureQuery) []store.FigureRow {
	a.t.Helper()
	return must[store.FigurePage](a.t)(a.h.c.Data().Store.Figures(a.t.Context(), q)).Rows
}

var longAgo = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC) // a Monday

func week(n int) int64 { return report.WindowStart(report.Week, longAgo, time.UTC) + int64(7*n) }

func hour(n int) int64 { return longAgo.Unix() + int64(n)*3600 }

func cell(measure int, g report.Grain, start int64, form report.Form, lo, hi float64) report.Cell {
	return report.Cell{Series: report.Series{Measure: uint16(measure), Field: report.Value, Grain: g}, Start: start, Form: form, Lo: lo, Hi: hi}
}

func TestWayOfTheData(t *testing.T) {
	h := start(t, filepath.Join(t.TempDir(), "data"), nil)
	a := h.enrol("acme", "eu", store.Production)
	if ans := a.consent(exchange.Aggregate, longAgo); ans.Catalog == nil || !bytes.Equal(ans.Catalog.Raw, h.cat.Raw) {
		t.Fatal("the check-in brought no catalog")
	}
	first := a.freeze(cell(people, report.Week, week(0), report.Band, 10, 14), cell(uses, report.Week, week(0), report.Suppressed, 0, 0),
		cell(requests, report.Hour, hour(1), report.Exact, 120, 120), cell(version, report.Day, week(0), report.Exact, 1, 1))
	if r := a.send(first); r.Outcome != exchange.Accepted || r.Queued != 1 || r.Seq != 1 {
		t.Fatalf("%+v", r)
	}
	second := a.freeze(cell(people, report.Week, week(1), report.Exact, 40, 40))
	if r := a.send(second); r.Outcome != exchange.Accepted {
		t.Fatalf("%+v", r)
	}
	a.stored(2)
	if r := a.send(second); r.Outcome != exchange.Accepted || r.Queued != 2 || r.Stored != 2 { // S15
		t.Fatalf("a replay: %+v", r)
	}
	if got := a.figures(store.FigureQuery{Account: "acme"}); len(got) != 5 {
		t.Fatalf("%d figures", len(got))
	}
	if got := a.figures(store.FigureQuery{Measure: "version"}); got[0].Figure.Text != "1.1" {
		t.Fatalf("%+v", got[0])
	}
	// A restart finds the epoch where it stood, and nothing is doubled.
	h.stop()
	h2 := start(t, h.dir, func(c *Config) { c.Listen = h.c.Addr() })
	a.h = h2
	if r := a.send(first); r.Outcome != exchange.Accepted || r.Stored != 2 {
		t.Fatalf("after a restart: %+v", r)
	}
	if r := a.send(a.freeze(cell(people, report.Week, week(2), report.Band, 10, 14))); r.Outcome != exchange.Accepted || r.Queued != 3 {
		t.Fatalf("after a restart: %+v", r)
	}
	a.stored(3)
	if n := len(a.figures(store.FigureQuery{})); n != 6 {
		t.Fatalf("%d figures for 6", n)
	}
}
