package uplink

import (
	"bytes"
	"crypto/ed25519"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/protocol/batch"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/protocoltest"
)

// site is an enrolled agent's client and what it needs to freeze batches.
type site struct {
	*Client
	fake  *protocoltest.FakeCollector
	key   ed25519.PrivateKey
	epoch exchange.ID
	stmt  exchange.SignedStatement
	cat   exchange.Hash
	seq   uint64
	prev  exchange.Hash
}

func quick(c Config) Config {
	c.Proxy, c.QuickWait, c.Rand = noProxy, time.Millisecond, func() float64 { return 0.5 }
	return c
}

func enrolled(t *testing.T, f *protocoltest.FakeCollector) *site {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	tok := f.Token(t, protocoltest.TokenSpec{Account: "acme", Installation: "main"})
	a, err := Join(t.Context(), quick(Config{}), tok, key)
	if err != nil {
		t.Fatal(err)
	}
	if a.Agent != exchange.AgentID(key.Public().(ed25519.PublicKey)) || a.Account != "acme" || a.Environment != "test" {
		t.Fatalf("joined as %+v", a)
	}
	c, err := New(quick(Config{URL: tok.URL, CA: tok.CA, Collector: tok.Collector, Key: key}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	guard(t, c)
	parsed, err := catalog.Parse([]byte(protocoltest.ConformCatalog))
	if err != nil {
		t.Fatal(err)
	}
	s := &site{Client: c, fake: f, key: key, epoch: exchange.NewNonce(), cat: parsed.Hash}
	s.stmt, err = exchange.SignStatement(exchange.Statement{
		Version: exchange.Version, Agent: c.Agent(), Number: 1, CatalogName: "conformance", CatalogVersion: 1, Catalog: s.cat,
		Categories: []exchange.Decision{{Category: "sla", Level: exchange.Aggregate}},
	}, key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.CheckIn(t.Context(), s.checkIn()); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) checkIn() exchange.CheckIn {
	return exchange.CheckIn{Version: "1", Protocol: exchange.Version, CatalogVersion: 1, Catalog: s.cat, Statement: s.stmt}
}

func (s *site) freeze(t *testing.T) []byte {
	t.Helper()
	h := batch.Header{Agent: s.Agent(), Epoch: s.epoch, Seq: s.seq + 1, Prev: s.prev, Catalog: s.cat, Consent: s.stmt.Hash(), Created: time.Now().Unix(), Zone: "UTC"}
	if h.Seq == 1 {
		h.Open = &batch.Opening{Reason: batch.ReasonNew}
	}
	wire, err := batch.Freeze(h, protocoltest.Windows(int(s.seq), 1), s.key)
	if err != nil {
		t.Fatal(err)
	}
	s.seq, s.prev = h.Seq, batch.Hash(wire)
	return wire
}

func (s *site) send(t *testing.T, wire []byte, want Action, code string) Verdict {
	t.Helper()
	v, err := s.Send(t.Context(), wire)
	if err != nil {
		t.Fatal(err)
	}
	if v.Action != want || code != "" && v.Code != code {
		t.Fatalf("%s (%s: %s), want %s (%s)", v.Action, v.Code, v.Cause, want, code)
	}
	return v
}

func TestJoinCheckInSend(t *testing.T) {
	f := protocoltest.NewFakeCollector(t, protocoltest.FakeConfig{})
	s := enrolled(t, f)
	other := s.checkIn()
	other.Catalog = exchange.Hash{1}
	a, err := s.CheckIn(t.Context(), other)
	if err != nil || a.Catalog == nil || string(a.Catalog.Raw) != protocoltest.ConformCatalog {
		t.Fatalf("check-in with an old catalog: %+v, %v", a, err)
	}
	wire := s.freeze(t)
	v := s.send(t, wire, Acknowledge, "")
	if v.Receipt.Queued != 1 || v.Answer.Verify(f.Key()) != nil {
		t.Fatalf("receipt %+v", v.Receipt)
	}
	// What the ledger will keep proves it later, offline.
	if r, err := v.Answer.Receipt(); err != nil || r.Hash != batch.Hash(wire) {
		t.Fatalf("the kept answer: %+v, %v", r, err)
	}
	s.send(t, wire, Acknowledge, "")
	if k, _ := f.Agent(s.Agent()); len(k.Accepted) != 1 || !bytes.Equal(k.Accepted[0], wire) {
		t.Fatalf("the collector holds %d batches", len(k.Accepted))
	}
}

func TestNothingIsDialledBeforeACall(t *testing.T) {
	f := protocoltest.NewFakeCollector(t, protocoltest.FakeConfig{})
	s := enrolled(t, f)
	c, err := New(quick(s.cfg))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	dials := guard(t, c)
	if n, err := Drain(t.Context(), c, &fakeQueue{}); n != 0 || err != nil {
		t.Fatalf("nothing waits: sent %d, %v", n, err)
	}
	if *dials != 0 {
		t.Fatalf("%d connections before anything was called", *dials)
	}
	if _, err := c.CheckIn(t.Context(), s.checkIn()); err != nil || *dials != 1 {
		t.Fatalf("after a check-in: %d connections, %v", *dials, err)
	}
}

func TestS01_ExpiredToken(t *testing.T) {
	f := protocoltest.NewFakeCollector(t, protocoltest.FakeConfig{})
	_, key, _ := ed25519.GenerateKey(nil)
	tok := f.Token(t, protocoltest.TokenSpec{Account: "acme", Installation: "main", Expires: -time.Minute})
	if _, err := Join(t.Context(), quick(Config{}), tok, key); !errors.Is(err, ErrExpired) {
		t.Fatalf("joined with an expired token: %v", err)
	}
	tok.Expires += 3600 // somebody edits the token
	var e *Error
	if _, err := Join(t.Context(), quick(Config{}), tok, key); !errors.As(err, &e) || e.Verdict.Code != "token_expired" {
		t.Fatalf("joined with a token whose expiry was edited: %v", err)
	}
	if f.Joined() != 0 {
		t.Fatal("an agent exists")
	}
}

func TestS02_JoinAgainAfterALostAnswer(t *testing.T) {
	f := protocoltest.NewFakeCollector(t, protocoltest.FakeConfig{})
	_, key, _ := ed25519.GenerateKey(nil)
	tok := f.Token(t, protocoltest.TokenSpec{Account: "acme", Installation: "main"})
	f.Inject(protocoltest.Fault{Path: exchange.PathJoin, Times: 1, Do: protocoltest.LoseAnswer()})
	if _, err := Join(t.Context(), quick(Config{}), tok, key); err != nil {
		t.Fatalf("one lost answer was enough to fail: %v", err)
	}
	_, key, _ = ed25519.GenerateKey(nil)
	tok = f.Token(t, protocoltest.TokenSpec{Account: "acme", Installation: "main"})
	f.Inject(protocoltest.Fault{Path: exchange.PathJoin, Times: 9, Do: protocoltest.LoseAnswer()})
	if _, err := Join(t.Context(), quick(Config{}), tok, key); err == nil {
		t.Fatal("joined although every answer was lost")
	}
	f.Heal()
	if _, err := Join(t.Context(), quick(Config{}), tok, key); err != nil {
		t.Fatalf("the single use was lost with the answer: %v", err)
	}
}

func TestS06_SecretNeverOnTheWire(t *testing.T) {
	f := protocoltest.NewFakeCollector(t, protocoltest.FakeConfig{})
	_, key, _ := ed25519.GenerateKey(nil)
	tok := f.Token(t, protocoltest.TokenSpec{Account: "acme", Installation: "main"})
	if _, err := Join(t.Context(), quick(Config{}), tok, key); err != nil {
		t.Fatal(err)
	}
	noSecret(t, f.Received(), tok, key)
}

// noSecret looks for the token's secret, its key and the agent's key in every common form.
func noSecret(t *testing.T, seen []byte, tok exchange.Token, agent ed25519.PrivateKey) {
	t.Helper()
	if len(seen) == 0 {
		t.Fatal("nothing was seen at all")
	}
	tk, err := tok.Key()
	if err != nil {
		t.Fatal(err)
	}
	for name, secret := range map[string][]byte{"token secret": tok.Secret, "token key": tk.Seed(), "agent key": agent.Seed()} {
		for form, s := range map[string]string{
			"raw": string(secret), "hex": hex.EncodeToString(secret), "HEX": strings.ToUpper(hex.EncodeToString(secret)),
			"base64": base64.RawStdEncoding.EncodeToString(secret), "base64url": base64.RawURLEncoding.EncodeToString(secret),
		} {
			if bytes.Contains(seen, []byte(s)) {
				t.Errorf("the %s went over the wire in %s", name, form)
			}
		}
	}
	if bytes.Contains(seen, []byte("fp1.")) {
		t.Error("the token went over the wire")
	}
}

// An impostor holds the name and a valid TLS certificate but not the application key: it is
// not believed, and what it captured holds no secret.
func TestS07_ImpostorCollector(t *testing.T) {
	real := protocoltest.NewFakeCollector(t, protocoltest.FakeConfig{})
	impostor := protocoltest.NewFakeCollector(t, protocoltest.FakeConfig{})
	_, key, _ := ed25519.GenerateKey(nil)
	tok := real.Token(t, protocoltest.TokenSpec{Account: "acme", Installation: "main"})
	tok.URL, tok.CA = impostor.URL, impostor.CA // DNS and TLS are the impostor's
	var e *Error
	if _, err := Join(t.Context(), quick(Config{}), tok, key); !errors.As(err, &e) || e.Verdict.Code != "unsigned_answer" {
		t.Fatalf("joined an impostor: %v", err)
	}
	noSecret(t, impostor.Received(), tok, key)
	if n := impostor.Calls(exchange.PathJoin); n != 0 {
		t.Errorf("the join was sent %d times after a challenge nobody vouched for", n)
	}

	s := enrolled(t, real)
	_, wrong, _ := ed25519.GenerateKey(nil)
	real.Inject(protocoltest.Fault{Do: protocoltest.SignedBy(wrong), Times: 2})
	s.send(t, s.freeze(t), Unreachable, "unsigned_answer")
	if _, err := s.CheckIn(t.Context(), s.checkIn()); err == nil {
		t.Fatal("a check-in answered under another key was believed")
	}
}

func TestS19_PlainHTTPAndOldTLS(t *testing.T) {
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	pub, key, _ := ed25519.GenerateKey(nil)
	if _, err := New(Config{URL: plain.URL, Collector: pub, Key: key}); err == nil {
		t.Fatal("plain HTTP was accepted")
	}
	f := protocoltest.NewFakeCollector(t, protocoltest.FakeConfig{MaxTLS: tls.VersionTLS11})
	tok := f.Token(t, protocoltest.TokenSpec{Account: "acme", Installation: "main"})
	var e *Error
	if _, err := Join(t.Context(), quick(Config{}), tok, key); !errors.As(err, &e) || e.Verdict.Code != "tls_failed" {
		t.Fatalf("TLS 1.1: %v", err)
	}
	if f.Joined() != 0 || len(f.Received()) != 0 {
		t.Fatal("something was sent over TLS 1.1")
	}
	// A certificate of another authority.
	other := protocoltest.NewFakeCollector(t, protocoltest.FakeConfig{})
	tok.URL = other.URL
	if _, err := Join(t.Context(), quick(Config{}), tok, key); !errors.As(err, &e) || e.Verdict.Code != "tls_not_trusted" || e.Hint() == "" {
		t.Fatalf("another authority's certificate: %v", err)
	}
	if len(other.Received()) != 0 {
		t.Fatal("something was sent to a server that is not trusted")
	}
}

func TestRoadThatLies(t *testing.T) {
	f := protocoltest.NewFakeCollector(t, protocoltest.FakeConfig{})
	s := enrolled(t, f)
	var elsewhere int
	trap := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere++ }))
	defer trap.Close()
	for _, c := range []struct {
		name  string
		do    protocoltest.Behave
		want  Action
		code  string
		tries int // requests the collector saw
	}{
		{"200 with HTML", protocoltest.HTML(200), Unreachable, "unsigned_answer", 1},
		{"403 with HTML", protocoltest.HTML(403), Unreachable, "unsigned_answer", 1},
		{"redirect", protocoltest.Redirect(trap.URL), Unreachable, "unsigned_answer", 1},
		{"503", protocoltest.Busy(503, ""), Wait, "collector_busy", 3},
		{"503 with Retry-After", protocoltest.Busy(503, "7"), Wait, "collector_busy", 1},
		{"500", protocoltest.Busy(500, ""), Wait, "collector_busy", 1},
		{"429", protocoltest.Busy(429, "7"), Wait, "collector_busy", 1},
		{"endless answer", protocoltest.Huge(50 << 20), Unreachable, "unsigned_answer", 1},
		{"dropped", protocoltest.Drop(), Unreachable, "unreachable", 3},
		{"cut in the middle", protocoltest.CutAnswer(30), Unreachable, "unreachable", 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			f.Inject(protocoltest.Fault{Path: exchange.PathBatches, Do: c.do})
			defer f.Heal()
			before := f.Calls(exchange.PathBatches)
			wire := s.freeze(t)
			s.send(t, wire, c.want, c.code)
			if n := f.Calls(exchange.PathBatches) - before; n != c.tries {
				t.Errorf("tried %d times, want %d", n, c.tries)
			}
			f.Heal()
			s.send(t, wire, Acknowledge, "")
		})
	}
	if elsewhere != 0 {
		t.Errorf("a redirect was followed %d times", elsewhere)
	}
	if k, _ := f.Agent(s.Agent()); k.Doubled != 0 || len(k.Cells) != 10 {
		t.Errorf("%d windows counted, %d doubled", len(k.Cells), k.Doubled)
	}
}

// A hiccup is over before anybody notices, and what was done twice counts once.
func TestQuickTriesCureAHiccup(t *testing.T) {
	f := protocoltest.NewFakeCollector(t, protocoltest.FakeConfig{})
	s := enrolled(t, f)
	for _, do := range []protocoltest.Behave{protocoltest.Drop(), protocoltest.LoseAnswer(), protocoltest.CutAnswer(50), protocoltest.Busy(502, "")} {
		f.Inject(protocoltest.Fault{Path: exchange.PathBatches, Times: 2, Do: do})
		s.send(t, s.freeze(t), Acknowledge, "")
	}
	if k, _ := f.Agent(s.Agent()); len(k.Accepted) != 4 || k.Doubled != 0 {
		t.Fatalf("%d batches, %d windows doubled", len(k.Accepted), k.Doubled)
	}
}

func TestSlowCollectorTimesOut(t *testing.T) {
	f := protocoltest.NewFakeCollector(t, protocoltest.FakeConfig{})
	s := enrolled(t, f)
	cfg := s.cfg
	cfg.Timeout = 50 * time.Millisecond
	c, err := New(quick(cfg))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	release := make(chan struct{})
	defer close(release)
	f.Inject(protocoltest.Fault{Path: exchange.PathBatches, Do: protocoltest.Hold(release)})
	v, err := c.Send(t.Context(), s.freeze(t))
	if err != nil || v.Action != Unreachable || v.Code != "timeout" {
		t.Fatalf("%s (%s), %v", v.Action, v.Code, err)
	}
}

func TestRefusals(t *testing.T) {
	f := protocoltest.NewFakeCollector(t, protocoltest.FakeConfig{})
	s := enrolled(t, f)
	for _, c := range []struct {
		o    exchange.Outcome
		want Action
	}{{exchange.TooLarge, Quarantine}, {exchange.Refused, Quarantine}, {exchange.Forbidden, Pause}, {exchange.NotKnown, Pause}} {
		f.Inject(protocoltest.Fault{Path: exchange.PathBatches, Times: 1, Do: f.Refuse(c.o, "some_code")})
		v := s.send(t, s.freeze(t), c.want, "some_code")
		if v.Cause == "" || (&Error{Verdict: v}).Hint() == "" {
			t.Errorf("%s: cause %q", c.o, v.Cause)
		}
		if c.want == Pause {
			s.seq, s.prev = s.seq-1, exchange.Hash{} // nothing was consumed
			break
		}
	}
}

func TestProxyIsUsedForTheCollectorAlone(t *testing.T) {
	var connects []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		connects = append(connects, r.Method+" "+r.Host)
		w.WriteHeader(http.StatusForbidden)
	}))
	defer proxy.Close()
	f := protocoltest.NewFakeCollector(t, protocoltest.FakeConfig{})
	s := enrolled(t, f)
	cfg := quick(s.cfg)
	u := mustURL(t, proxy.URL)
	cfg.Proxy = http.ProxyURL(u)
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	v, err := c.Send(t.Context(), s.freeze(t))
	if err != nil || v.Action != Unreachable {
		t.Fatalf("%s, %v", v.Action, err)
	}
	host := mustURL(t, f.URL).Host
	for _, got := range connects {
		if got != "CONNECT "+host {
			t.Errorf("the proxy was asked for %q", got)
		}
	}
	if len(connects) == 0 {
		t.Error("the proxy was not asked")
	}
}
