package protocoltest

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/protocol/batch"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// FakeConfig of a FakeCollector; the zero value is a collector of today.
type FakeConfig struct {
	Catalog    []byte             // handed out at check-ins; nil: ConformCatalog
	CatalogKey ed25519.PrivateKey // signs it; nil: a new one
	MaxTLS     uint16             // newest TLS version spoken; 0: the newest there is
	Now        func() time.Time   // default time.Now
}

// FakeCollector is a collector in memory: the four paths over TLS on loopback with real
// signatures, SPEC's rules about seq and windows, exactly once, and programmable faults. The
// conformance suite that the real collector passes runs on it too.
type FakeCollector struct {
	URL string
	CA  []byte // DER

	cfg    FakeConfig
	key    ed25519.PrivateKey
	server *httptest.Server

	mu     sync.Mutex // guards all below
	tokens map[exchange.ID]*fakeToken
	nonces map[exchange.ID]time.Time // open challenges, until when
	agents map[exchange.ID]*fakeAgent
	faults []Fault
	calls  map[string]int // by path
	seen   []byte         // everything that came in, for searching
}

type fakeToken struct {
	exchange.Token
	pub     ed25519.PublicKey
	revoked bool
	joined  map[exchange.ID]exchange.JoinAnswer
}

type fakeAgent struct {
	key           ed25519.PublicKey
	account, inst string
	revoked       bool
	statements    map[exchange.Hash]*exchange.Statement
	checkIns      []exchange.CheckIn
	epochs        map[exchange.ID]*fakeEpoch
	order         []exchange.ID
	windows       map[string]report.Cell // by series and start: counted
	doubled       int                    // windows that came a second time and were set aside
}

type fakeEpoch struct {
	batches  []fakeBatch // seq 1 first
	reported int         // of them, how many the store has
}

type fakeBatch struct {
	wire    []byte
	hash    exchange.Hash
	outcome exchange.Outcome
	code    string
}

// NewFakeCollector starts one; it stops with the test.
func NewFakeCollector(tb testing.TB, cfg FakeConfig) *FakeCollector {
	tb.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		tb.Fatal(err)
	}
	if cfg.Catalog == nil {
		cfg.Catalog = []byte(ConformCatalog)
	}
	if cfg.CatalogKey == nil {
		if _, cfg.CatalogKey, err = ed25519.GenerateKey(nil); err != nil {
			tb.Fatal(err)
		}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	f := &FakeCollector{
		cfg: cfg, key: key, tokens: map[exchange.ID]*fakeToken{}, nonces: map[exchange.ID]time.Time{},
		agents: map[exchange.ID]*fakeAgent{}, calls: map[string]int{},
	}
	ca, cert := certificates(tb)
	f.CA = ca
	f.server = httptest.NewUnstartedServer(http.HandlerFunc(f.serve))
	f.server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS10, MaxVersion: cfg.MaxTLS}
	f.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	f.server.StartTLS()
	f.URL = f.server.URL
	tb.Cleanup(f.server.Close)
	return f
}

// certificates makes a CA and a certificate of it for loopback.
func certificates(tb testing.TB) (ca []byte, leaf tls.Certificate) {
	tb.Helper()
	must := func(err error) {
		if err != nil {
			tb.Fatal(err)
		}
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "fake collector CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	ca, err = x509.CreateCertificate(rand.Reader, tmpl, tmpl, caKey.Public(), caKey)
	must(err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "fake collector"}, NotBefore: tmpl.NotBefore, NotAfter: tmpl.NotAfter,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, DNSNames: []string{"localhost"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, tmpl, key.Public(), caKey)
	must(err)
	return ca, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// Key is the application key's public half.
func (f *FakeCollector) Key() ed25519.PublicKey { return f.key.Public().(ed25519.PublicKey) }

// TokenSpec says what a token allows. The zero value: one use, 24 hours.
type TokenSpec struct {
	Account, Installation string
	Environment           string        // default test
	MaxUses               int           // default 1
	Expires               time.Duration // from now; default 24 h; negative: expired already
}

// Token makes a token.
func (f *FakeCollector) Token(tb testing.TB, s TokenSpec) exchange.Token {
	tb.Helper()
	if s.Environment == "" {
		s.Environment = "test"
	}
	if s.MaxUses == 0 {
		s.MaxUses = 1
	}
	if s.Expires == 0 {
		s.Expires = 24 * time.Hour
	}
	t := exchange.Token{
		ID: exchange.NewNonce(), URL: f.URL, CA: f.CA, Collector: f.Key(), CatalogKey: f.cfg.CatalogKey.Public().(ed25519.PublicKey),
		Account: s.Account, Installation: s.Installation, Environment: s.Environment, Secret: make([]byte, 32),
		Expires: f.cfg.Now().Add(s.Expires).Unix(), MaxUses: s.MaxUses,
	}
	if _, err := rand.Read(t.Secret); err != nil {
		tb.Fatal(err)
	}
	key, err := t.Key()
	if err != nil {
		tb.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	kept := t
	kept.Secret = nil // only the public half is stored
	f.tokens[t.ID] = &fakeToken{Token: kept, pub: key.Public().(ed25519.PublicKey), joined: map[exchange.ID]exchange.JoinAnswer{}}
	return t
}

// RevokeToken ends a token; agents that joined with it stay.
func (f *FakeCollector) RevokeToken(id exchange.ID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tokens[id].revoked = true
}

// RevokeAgent ends an agent.
func (f *FakeCollector) RevokeAgent(id exchange.ID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.agents[id].revoked = true
}

// Forget drops the newest n judged batches of every epoch of an agent, as a collector that was
// restored from a backup.
func (f *FakeCollector) Forget(agent exchange.ID, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := f.agents[agent]
	a.windows = map[string]report.Cell{}
	a.doubled = 0
	for _, id := range a.order {
		e := a.epochs[id]
		e.batches = e.batches[:max(0, len(e.batches)-n)]
		for _, b := range e.batches {
			if b.outcome == exchange.Accepted {
				a.count(b.wire)
			}
		}
	}
}

// Known is what the collector knows of an agent.
type Known struct {
	Account, Installation string
	CheckIns              []exchange.CheckIn
	Accepted              [][]byte // batches, in the order they were judged within each epoch
	Refused               int
	Epochs                []exchange.ID
	Cells                 map[string]report.Cell // counted, by series and start
	Doubled               int                    // windows that came again and were set aside
}

// Agent is what is known of an agent; ok is false for an unknown one.
func (f *FakeCollector) Agent(id exchange.ID) (k Known, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a, ok := f.agents[id]
	if !ok {
		return k, false
	}
	k = Known{Account: a.account, Installation: a.inst, CheckIns: a.checkIns, Epochs: a.order, Cells: map[string]report.Cell{}, Doubled: a.doubled}
	for key, c := range a.windows {
		k.Cells[key] = c
	}
	for _, e := range a.order {
		for _, b := range a.epochs[e].batches {
			if b.outcome == exchange.Accepted {
				k.Accepted = append(k.Accepted, b.wire)
			} else {
				k.Refused++
			}
		}
	}
	return k, true
}

// Joined is how many agents have joined.
func (f *FakeCollector) Joined() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.agents)
}

// Calls is how often a path was asked, faults included.
func (f *FakeCollector) Calls(path string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[path]
}

// Received is everything that came in: request lines, headers and bodies.
func (f *FakeCollector) Received() []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]byte(nil), f.seen...)
}

// count books the cells of a batch; f.mu is held.
func (a *fakeAgent) count(wire []byte) {
	b, err := batch.Open(wire, a.key)
	if err != nil {
		return
	}
	for _, c := range b.Cells {
		key := CellKey(c)
		if _, twice := a.windows[key]; twice {
			a.doubled++
			continue
		}
		a.windows[key] = c
	}
}

// CellKey names the window of the series a cell belongs to.
func CellKey(c report.Cell) string {
	k, _ := json.Marshal([]int64{int64(c.Measure), int64(c.Field), int64(c.Grain), int64(c.Breakdown), int64(c.V1), int64(c.V2), c.Start})
	return string(k)
}

func (f *FakeCollector) catalogHash() exchange.Hash {
	c, err := catalog.Parse(f.cfg.Catalog)
	if err != nil {
		return exchange.Hash{}
	}
	return c.Hash
}
