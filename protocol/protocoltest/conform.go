package protocoltest

import (
	"crypto/ed25519"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/protocol/batch"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Collector is a collector under test. It serves ConformCatalog, signed, from the start.
type Collector struct {
	URL string
	CA  []byte // DER of the CA its certificate chains to
	Key ed25519.PublicKey

	Token       func(tb testing.TB, s TokenSpec) exchange.Token
	RevokeToken func(tb testing.TB, id exchange.ID)
	RevokeAgent func(tb testing.TB, id exchange.ID)

	// Counted gives the cells the store counts for an agent, by CellKey, once everything
	// acknowledged so far has arrived there.
	Counted func(tb testing.TB, agent exchange.ID) map[string]report.Cell
}

// Collector is the fake as the suite wants it.
func (f *FakeCollector) Collector() Collector {
	return Collector{
		URL: f.URL, CA: f.CA, Key: f.Key(), Token: f.Token,
		RevokeToken: func(_ testing.TB, id exchange.ID) { f.RevokeToken(id) },
		RevokeAgent: func(_ testing.TB, id exchange.ID) { f.RevokeAgent(id) },
		Counted: func(tb testing.TB, id exchange.ID) map[string]report.Cell {
			k, ok := f.Agent(id)
			if !ok {
				tb.Fatal("unknown agent")
			}
			return k.Cells
		},
	}
}

// ConformCollector checks that a collector keeps SPEC's promises. newCollector gives a fresh
// one; it may give the same to all subtests, which use accounts of their own.
func ConformCollector(t *testing.T, newCollector func(t *testing.T) Collector) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, Collector)
	}{
		{"join", conformJoin},
		{"join_again", conformJoinAgain},
		{"challenge_for_unknown_token", conformUnknownToken},
		{"unknown_keys", conformUnknownKeys},
		{"S01_expired_token", conformExpired},
		{"S02_single_use_under_race", func(t *testing.T, c Collector) { conformRace(t, c, 1, 100) }},
		{"S03_max_uses_under_race", func(t *testing.T, c Collector) { conformRace(t, c, 7, 50) }},
		{"S04_revoked_token", conformRevokedToken},
		{"S05_tampered_join", conformTampered},
		{"S10_stale_challenge", conformStale},
		{"checkin", conformCheckIn},
		{"checkin_statement", conformStatement},
		{"encoding", conformEncoding},
		{"S17_skewed_clock", conformSkew},
		{"S18_signature_elsewhere", conformElsewhere},
		{"in_order", conformInOrder},
		{"S15_replay", conformReplay},
		{"S16_gap", conformGap},
		{"S16_forked_seq", conformFork},
		{"S16_wrong_previous", conformWrongPrevious},
		{"S16_reordered_and_concurrent", conformConcurrent},
		{"window_once", conformWindowOnce},
		{"refused_seq_is_consumed", conformRefused},
		{"unknown_agent", conformUnknownAgent},
		{"revoked_agent", conformRevokedAgent},
		{"batch_of_another", conformAnother},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, newCollector(t)) })
	}
}

func conformHash(tb testing.TB) exchange.Hash {
	tb.Helper()
	c, err := catalog.Parse([]byte(ConformCatalog))
	if err != nil {
		tb.Fatal(err)
	}
	return c.Hash
}

// spec is a token for an account of the test's own.
func spec(t *testing.T) TokenSpec {
	return TokenSpec{Account: "a" + exchange.NewNonce().String()[:12], Installation: "main"}
}

func (c Collector) site(t *testing.T) *Site { return NewSite(t, c.URL, c.CA, c.Key) }

// ready is a site that joined and checked in.
func (c Collector) ready(t *testing.T) *Site {
	t.Helper()
	s := c.site(t)
	s.Join(t, c.Token(t, spec(t)))
	s.CheckIn(t, conformHash(t))
	return s
}

func (c Collector) counts(t *testing.T, s *Site, want ...report.Cell) {
	t.Helper()
	got := c.Counted(t, s.ID())
	if len(got) != len(want) {
		t.Fatalf("%d windows are counted, want %d", len(got), len(want))
	}
	for _, w := range want {
		if g, ok := got[CellKey(w)]; !ok || g.Lo != w.Lo || g.Hi != w.Hi {
			t.Fatalf("window %s is counted as %v, want %v", CellKey(w), g.Lo, w.Lo)
		}
	}
}

func conformJoin(t *testing.T, c Collector) {
	s, sp := c.site(t), spec(t)
	a := s.Join(t, c.Token(t, sp))
	if a.Agent != s.ID() || a.Account != sp.Account || a.Installation != sp.Installation || a.Environment != "test" {
		t.Fatalf("the answer names %+v", a)
	}
}

func conformJoinAgain(t *testing.T, c Collector) {
	s, tok := c.site(t), c.Token(t, spec(t))
	if a, b := s.Join(t, tok), s.Join(t, tok); a.Agent != b.Agent || a.Account != b.Account || a.Installation != b.Installation {
		t.Fatalf("the second answer %+v differs from the first %+v", b, a)
	}
	s.mustCode(t, c.site(t).joinAnswer(t, tok), 403, "token_used_up")
}

func (s *Site) joinAnswer(t *testing.T, tok exchange.Token) exchange.Answer {
	t.Helper()
	return s.SendJoin(t, s.JoinRequest(t, tok, nil))
}

func conformUnknownToken(t *testing.T, c Collector) {
	s, tok := c.site(t), c.Token(t, spec(t))
	tok.ID = exchange.NewNonce()
	s.mustCode(t, s.joinAnswer(t, tok), 401, "join_signature")
}

func conformUnknownKeys(t *testing.T, c Collector) {
	s := c.ready(t)
	st := s.stmt
	b := mustJSON(t, map[string]any{"version": "test", "protocol": 1, "catalog_version": 1, "catalog": s.cat, "statement": st, "time": s.Now().Unix(), "later": map[string]int{"key": 1}})
	s.must(t, s.Do(t, s.Signed(t, exchange.PathCheckIn, b)), 200, nil)
}

func conformExpired(t *testing.T, c Collector) {
	s, sp := c.site(t), spec(t)
	sp.Expires = -time.Minute
	s.mustCode(t, s.joinAnswer(t, c.Token(t, sp)), 403, "token_expired")
}

func conformRace(t *testing.T, c Collector, uses, agents int) {
	sp := spec(t)
	sp.MaxUses = uses
	tok := c.Token(t, sp)
	var joins []exchange.JoinRequest
	var sites []*Site
	for range agents {
		s := c.site(t)
		sites = append(sites, s)
		joins = append(joins, s.JoinRequest(t, tok, nil))
	}
	answers := make([]exchange.Answer, agents)
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range agents {
		wg.Go(func() {
			<-start
			answers[i] = sites[i].SendJoin(t, joins[i])
		})
	}
	close(start)
	wg.Wait()
	joined := 0
	for i, a := range answers {
		if a.Status == http.StatusOK {
			joined++
			continue
		}
		sites[i].mustCode(t, a, 403, "token_used_up")
	}
	if joined != uses {
		t.Fatalf("%d of %d agents joined at once with a token for %d", joined, agents, uses)
	}
}

func conformRevokedToken(t *testing.T, c Collector) {
	sp := spec(t)
	sp.MaxUses = 2
	tok := c.Token(t, sp)
	s := c.site(t)
	s.Join(t, tok)
	c.RevokeToken(t, tok.ID)
	s.mustCode(t, c.site(t).joinAnswer(t, tok), 403, "token_revoked")
	s.CheckIn(t, conformHash(t)) // its agents are unaffected
}

func conformTampered(t *testing.T, c Collector) {
	other := spec(t)
	c.site(t).Join(t, c.Token(t, other))
	for name, change := range map[string]func(*exchange.JoinRequest){
		"other account":      func(j *exchange.JoinRequest) { j.Account = other.Account },
		"other installation": func(j *exchange.JoinRequest) { j.Installation = "elsewhere" },
		"other collector":    func(j *exchange.JoinRequest) { j.Collector = make([]byte, ed25519.PublicKeySize) },
	} {
		s, tok := c.site(t), c.Token(t, spec(t))
		a := s.SendJoin(t, s.JoinRequest(t, tok, change))
		if a.Status != 401 {
			t.Errorf("%s: answered %d", name, a.Status)
		}
		s.mustCode(t, a, 401, "join_signature")
		s.Join(t, tok) // the attempt used nothing up
	}
	for name, spoil := range map[string]func(*exchange.JoinRequest){
		"token signature": func(j *exchange.JoinRequest) { j.TokenSig[3] ^= 1 },
		"agent signature": func(j *exchange.JoinRequest) { j.AgentSig[3] ^= 1 },
		"another key":     func(j *exchange.JoinRequest) { j.AgentKey = c.site(t).Key.Public().(ed25519.PublicKey) },
		"short key":       func(j *exchange.JoinRequest) { j.AgentKey = j.AgentKey[:5] },
		"no signatures":   func(j *exchange.JoinRequest) { j.TokenSig, j.AgentSig = nil, nil },
	} {
		s, tok := c.site(t), c.Token(t, spec(t))
		j := s.JoinRequest(t, tok, nil)
		spoil(&j)
		a := s.SendJoin(t, j)
		if a.Status != 401 {
			t.Errorf("%s: answered %d", name, a.Status)
		}
		s.mustCode(t, a, 401, "join_signature")
	}
}

func conformStale(t *testing.T, c Collector) {
	sp := spec(t)
	sp.MaxUses = 2
	tok := c.Token(t, sp)
	s := c.site(t)
	j := s.JoinRequest(t, tok, nil)
	s.must(t, s.SendJoin(t, j), 200, nil)
	s.mustCode(t, s.SendJoin(t, j), 401, "challenge_unknown") // the nonce served
	late := c.site(t)
	j = late.JoinRequest(t, tok, func(j *exchange.JoinRequest) { j.Nonce = exchange.NewNonce() })
	late.mustCode(t, late.SendJoin(t, j), 401, "challenge_unknown")
}

func conformCheckIn(t *testing.T, c Collector) {
	s := c.site(t)
	s.Join(t, c.Token(t, spec(t)))
	a := s.CheckIn(t, exchange.Hash{1}) // another catalog: ours is handed out
	if a.Catalog == nil || string(a.Catalog.Raw) != ConformCatalog {
		t.Fatalf("the collector's catalog was not handed out: %+v", a)
	}
	if d := time.Since(time.Unix(a.Time, 0)).Abs(); d > time.Minute {
		t.Errorf("the collector's clock differs by %s", d)
	}
	if a = s.CheckIn(t, conformHash(t)); a.Catalog != nil {
		t.Error("the catalog was handed out again")
	}
	s.Send(t, s.Freeze(t, Windows(0, 3)), exchange.Accepted)
	for range 500 { // a collector may say so only once it is in the store
		for _, th := range s.CheckIn(t, conformHash(t)).Through {
			if th.Epoch == s.epoch && th.Queued == 1 {
				return
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("the check-in does not say what has arrived")
}

func conformStatement(t *testing.T, c Collector) {
	s := c.ready(t)
	bad := exchange.SignedStatement{Raw: s.stmt.Raw, Sig: append([]byte(nil), s.stmt.Sig...)}
	bad.Sig[0] ^= 1
	s.mustCode(t, s.SendCheckIn(t, bad, s.cat), 422, "statement_invalid")
	other := c.site(t)
	st, err := exchange.SignStatement(exchange.Statement{Version: exchange.Version, Agent: other.ID(), Number: 1}, s.Key)
	if err != nil {
		t.Fatal(err)
	}
	s.mustCode(t, s.SendCheckIn(t, st, s.cat), 422, "statement_invalid")
}

func conformEncoding(t *testing.T, c Collector) {
	s := c.ready(t)
	r := s.Signed(t, exchange.PathBatches, s.FreezeAt(t, 1, exchange.Hash{}, Windows(0, 1)))
	r.Header.Set("Content-Encoding", "gzip")
	if a := s.Do(t, r); a.Status != http.StatusUnsupportedMediaType {
		t.Fatalf("answered %d", a.Status)
	}
	r = s.Signed(t, exchange.PathBatches, make([]byte, batch.MaxWire+1))
	if a := s.Do(t, r); a.Status != http.StatusRequestEntityTooLarge {
		t.Fatalf("a body of %d bytes was answered with %d", batch.MaxWire+1, a.Status)
	}
	c.counts(t, s)
}

func conformUnknownAgent(t *testing.T, c Collector) {
	s := c.site(t)
	s.cat = conformHash(t)
	s.stmt, _ = exchange.SignStatement(exchange.Statement{Version: exchange.Version, Agent: s.ID(), Number: 1}, s.Key)
	s.mustCode(t, s.SendCheckIn(t, s.stmt, s.cat), 401, "agent_unknown")
	s.Send(t, s.Freeze(t, Windows(0, 1)), exchange.NotKnown)
}

func conformRevokedAgent(t *testing.T, c Collector) {
	s := c.ready(t)
	s.Send(t, s.Freeze(t, Windows(0, 1)), exchange.Accepted)
	c.RevokeAgent(t, s.ID())
	s.mustCode(t, s.SendCheckIn(t, s.stmt, s.cat), 403, "agent_revoked")
	s.Send(t, s.Freeze(t, Windows(1, 1)), exchange.Forbidden)
	c.counts(t, s, Windows(0, 1)...)
}
