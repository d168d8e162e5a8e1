package protocoltest

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/protocol/batch"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Site is an agent made of nothing but the protocol, for testing collectors: it can be as
// wrong as a test wants.
type Site struct {
	Key       ed25519.PrivateKey
	Collector ed25519.PublicKey
	Now       func() time.Time // clock of its requests

	http  *http.Client
	url   string
	epoch exchange.ID
	seq   uint64
	prev  exchange.Hash
	stmt  exchange.SignedStatement
	// statements made so far
	number int
	cat    exchange.Hash
}

// NewSite is a site with a fresh key that can reach the collector.
func NewSite(tb testing.TB, base string, ca []byte, collector ed25519.PublicKey) *Site {
	tb.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		tb.Fatal(err)
	}
	roots := x509.NewCertPool()
	cert, err := x509.ParseCertificate(ca)
	if err != nil {
		tb.Fatal(err)
	}
	roots.AddCert(cert)
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	tb.Cleanup(tr.CloseIdleConnections)
	return &Site{
		Key: key, Collector: collector, Now: time.Now, url: base, epoch: exchange.NewNonce(),
		http: &http.Client{Transport: tr, Timeout: 30 * time.Second},
	}
}

// ID is the site's agent id.
func (s *Site) ID() exchange.ID { return exchange.AgentID(s.Key.Public().(ed25519.PublicKey)) }

// Request builds one, unsigned but for its nonce.
func (s *Site) Request(tb testing.TB, method, path string, body []byte) *http.Request {
	tb.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, s.url+path, bytes.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	r.Header.Set(exchange.HeaderNonce, exchange.NewNonce().String())
	return r
}

// Signed builds a signed one.
func (s *Site) Signed(tb testing.TB, path string, body []byte) *http.Request {
	tb.Helper()
	r := s.Request(tb, http.MethodPost, path, body)
	exchange.SignRequest(r, body, s.Key, exchange.NewNonce(), s.Now())
	return r
}

// Do sends a request and gives the answer back, signed or not.
func (s *Site) Do(tb testing.TB, r *http.Request) exchange.Answer {
	tb.Helper()
	resp, err := s.http.Do(r)
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	if err != nil {
		tb.Fatal(err)
	}
	return exchange.Answer{
		Status: resp.StatusCode, Path: r.URL.Path, Nonce: r.Header.Get(exchange.HeaderNonce), Body: body,
		Sig: resp.Header.Get(exchange.HeaderSignature),
	}
}

// must have a signed answer with the status.
func (s *Site) must(tb testing.TB, a exchange.Answer, status int, into any) {
	tb.Helper()
	if a.Status != status {
		tb.Fatalf("%s answered %d, want %d: %s", a.Path, a.Status, status, a.Body)
	}
	if err := a.Verify(s.Collector); err != nil {
		tb.Fatalf("answer %d of %s is not signed by the collector", a.Status, a.Path)
	}
	if into != nil {
		if err := json.Unmarshal(a.Body, into); err != nil {
			tb.Fatalf("reading %s: %v", a.Body, err)
		}
	}
}

func (s *Site) mustCode(tb testing.TB, a exchange.Answer, status int, code string) {
	tb.Helper()
	var p exchange.Problem
	s.must(tb, a, status, &p)
	if p.Code != code {
		tb.Fatalf("%s refused with code %q, want %q", a.Path, p.Code, code)
	}
}

// JoinRequest asks for a challenge and signs the join; change may spoil it before.
func (s *Site) JoinRequest(tb testing.TB, t exchange.Token, change func(*exchange.JoinRequest)) exchange.JoinRequest {
	tb.Helper()
	var c exchange.Challenge
	s.must(tb, s.Do(tb, s.Request(tb, http.MethodGet, exchange.PathChallenge+"?token="+url.QueryEscape(t.ID.String()), nil)), 200, &c)
	key, err := t.Key()
	if err != nil {
		tb.Fatal(err)
	}
	j := exchange.JoinRequest{Token: t.ID, Nonce: c.Nonce, Collector: t.Collector, Account: t.Account, Installation: t.Installation}
	if change != nil {
		change(&j)
	}
	j.Sign(key, s.Key)
	return j
}

// SendJoin sends a join.
func (s *Site) SendJoin(tb testing.TB, j exchange.JoinRequest) exchange.Answer {
	tb.Helper()
	b, err := json.Marshal(j)
	if err != nil {
		tb.Fatal(err)
	}
	return s.Do(tb, s.Request(tb, http.MethodPost, exchange.PathJoin, b))
}

// Join joins.
func (s *Site) Join(tb testing.TB, t exchange.Token) exchange.JoinAnswer {
	tb.Helper()
	var a exchange.JoinAnswer
	s.must(tb, s.SendJoin(tb, s.JoinRequest(tb, t, nil)), 200, &a)
	return a
}

// CheckIn tells a statement that consents to category sla since long ago, and not to any
// other.
func (s *Site) CheckIn(tb testing.TB, cat exchange.Hash) exchange.CheckInAnswer {
	tb.Helper()
	prev := exchange.Hash{}
	if s.number > 0 {
		prev = s.stmt.Hash()
	}
	st, err := exchange.SignStatement(exchange.Statement{
		Version: exchange.Version, Agent: s.ID(), Number: s.number + 1, Prev: prev, CatalogName: "conformance", CatalogVersion: 1, Catalog: cat,
		Decided: s.Now().Unix(), Categories: []exchange.Decision{{Category: "sla", Level: exchange.Aggregate, From: conformDay.Add(-365 * 24 * time.Hour).Unix()}},
	}, s.Key)
	if err != nil {
		tb.Fatal(err)
	}
	s.stmt, s.cat, s.number = st, cat, s.number+1
	var a exchange.CheckInAnswer
	s.must(tb, s.SendCheckIn(tb, st, cat), 200, &a)
	return a
}

// SendCheckIn sends one with a statement.
func (s *Site) SendCheckIn(tb testing.TB, st exchange.SignedStatement, cat exchange.Hash) exchange.Answer {
	tb.Helper()
	b, err := json.Marshal(exchange.CheckIn{Version: "test", Protocol: exchange.Version, CatalogVersion: 1, Catalog: cat, Statement: st, Time: s.Now().Unix()})
	if err != nil {
		tb.Fatal(err)
	}
	return s.Do(tb, s.Signed(tb, exchange.PathCheckIn, b))
}

// Freeze makes the next batch of the site's epoch and counts it as frozen.
func (s *Site) Freeze(tb testing.TB, cells []report.Cell) []byte {
	tb.Helper()
	wire := s.FreezeAt(tb, s.seq+1, s.prev, cells)
	s.seq, s.prev = s.seq+1, batch.Hash(wire)
	return wire
}

// FreezeAt makes a batch with any seq and previous hash.
func (s *Site) FreezeAt(tb testing.TB, seq uint64, prev exchange.Hash, cells []report.Cell) []byte {
	tb.Helper()
	h := batch.Header{
		Agent: s.ID(), Epoch: s.epoch, Seq: seq, Prev: prev, Catalog: s.cat, Consent: s.stmt.Hash(),
		Created: s.Now().Unix(), Zone: "UTC",
	}
	if seq == 1 {
		h.Prev, h.Open = [32]byte{}, &batch.Opening{Reason: batch.ReasonNew}
	}
	wire, err := batch.Freeze(h, cells, s.Key)
	if err != nil {
		tb.Fatal(err)
	}
	return wire
}

// Send sends a batch and checks that the signed answer is a receipt for this very batch with
// the outcome.
func (s *Site) Send(tb testing.TB, wire []byte, want exchange.Outcome) exchange.Receipt {
	tb.Helper()
	return s.receipt(tb, s.Do(tb, s.Signed(tb, exchange.PathBatches, wire)), wire, want)
}

func (s *Site) receipt(tb testing.TB, a exchange.Answer, wire []byte, want exchange.Outcome) exchange.Receipt {
	tb.Helper()
	s.must(tb, a, want.Status(), nil)
	r, err := a.Receipt()
	if err != nil {
		tb.Fatal(err)
	}
	h, err := batch.Peek(wire)
	if err != nil {
		tb.Fatal(err)
	}
	if r.Outcome != want || r.Agent != exchange.ID(h.Agent) || r.Epoch != exchange.ID(h.Epoch) || r.Seq != h.Seq || r.Hash != batch.Hash(wire) {
		tb.Fatalf("receipt %+v does not name batch %d of epoch %x with outcome %s", r, h.Seq, h.Epoch, want)
	}
	return r
}

// conformDay is the day before the windows of the suite: recent, so that no retention or age
// rule of a collector minds.
var conformDay = time.Now().UTC().Truncate(24 * time.Hour).Add(-20 * 24 * time.Hour)

// Windows makes n exact cells of measure 0 for the n hours from hour `from` of the suite.
func Windows(from, n int) []report.Cell {
	cells := make([]report.Cell, n)
	for i := range cells {
		v := float64(100 + from + i)
		cells[i] = report.Cell{
			Series: report.Series{Field: report.Increase, Grain: report.Hour},
			Start:  conformDay.Add(time.Duration(from+i) * time.Hour).Unix(), Form: report.Exact, Lo: v, Hi: v,
		}
	}
	return cells
}
