package collector

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/batch"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// stranger is an agent with a token it has not used yet.
func (h *house) stranger(name string, tok exchange.Token) *agent {
	a := &agent{t: h.t, h: h, key: newKey(h.t, name), pub: tok.Collector, client: client(h.t, tok)}
	a.id = exchange.AgentID(a.key.Public().(ed25519.PublicKey))
	return a
}

func code(t *testing.T, body []byte) string {
	t.Helper()
	var p exchange.Problem
	check(t, json.Unmarshal(body, &p))
	return p.Code
}

func wantCode(t *testing.T, status int, body []byte, wantStatus int, want string) {
	t.Helper()
	if status != wantStatus || code(t, body) != want {
		t.Fatalf("%d %s, want %d %s", status, body, wantStatus, want)
	}
}

func TestS01_S04_S10_tokensAndChallengesEnd(t *testing.T) {
	now := time.Now()
	var mu sync.Mutex
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	turn := func(d time.Duration) { mu.Lock(); defer mu.Unlock(); now = now.Add(d) }
	h := start(t, filepath.Join(t.TempDir(), "data"), func(c *Config) { c.Now = clock })
	old := h.token("acme", "eu", store.Test)
	revoked := h.token("acme", "us", store.Test)
	check(t, h.c.Data().Store.RevokeToken(t.Context(), revoked.ID, now))
	status, body := h.stranger("b", revoked).join(revoked, nil)
	wantCode(t, status, body, http.StatusForbidden, store.CodeTokenRevoked)
	a := h.stranger("a", old)
	stale := a.challenge(old.ID)
	turn(6 * time.Minute)
	status, body = a.join(old, func(j *exchange.JoinRequest) { j.Nonce = stale.Nonce })
	wantCode(t, status, body, http.StatusUnauthorized, store.CodeChallengeUnknown)
	turn(24 * time.Hour)
	status, body = a.join(old, nil)
	wantCode(t, status, body, http.StatusForbidden, store.CodeTokenExpired)
}

func TestS02_singleUseUnder100ConcurrentJoins(t *testing.T) {
	h := start(t, filepath.Join(t.TempDir(), "data"), nil)
	tok := h.token("acme", "eu", store.Production)
	one := client(t, tok)
	var won, spent atomic.Int64
	var wg sync.WaitGroup
	for i := range 100 {
		a := h.stranger("racer "+string(rune('0'+i)), tok)
		a.client = one
		wg.Go(func() {
			switch status, body := a.join(tok, nil); {
			case status == http.StatusOK:
				won.Add(1)
			case status == http.StatusForbidden && code(t, body) == store.CodeTokenUsedUp:
				spent.Add(1)
			default:
				t.Errorf("%d %s", status, body)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 || spent.Load() != 99 {
		t.Fatalf("%d joined, %d refused", won.Load(), spent.Load())
	}
}

func TestS05_fieldsTampered(t *testing.T) {
	h := start(t, filepath.Join(t.TempDir(), "data"), nil)
	tok := h.token("acme", "eu", store.Production)
	other := h.token("bolt", "eu", store.Production)
	for name, change := range map[string]func(*exchange.JoinRequest){
		"another account":      func(j *exchange.JoinRequest) { j.Account = "bolt" },
		"another installation": func(j *exchange.JoinRequest) { j.Installation = "us" },
		"another collector":    func(j *exchange.JoinRequest) { j.Collector = bytes.Repeat([]byte{1}, 32) },
	} {
		status, body := h.stranger(name, tok).join(tok, change)
		if wantCode(t, status, body, http.StatusUnauthorized, store.CodeJoinSignature); t.Failed() {
			t.Fatal(name)
		}
	}
	// Another token's id, and an id nobody has: one and the same refusal (S08).
	for name, id := range map[string]exchange.ID{"real": other.ID, "unknown": {9}} {
		a := h.stranger("x "+name, tok)
		nonce := a.challenge(id).Nonce
		status, body := a.join(tok, func(j *exchange.JoinRequest) { j.Token, j.Nonce = id, nonce })
		wantCode(t, status, body, http.StatusUnauthorized, store.CodeJoinSignature)
	}
	// A used nonce.
	a := h.stranger("again", tok)
	nonce := a.challenge(tok.ID).Nonce
	if status, body := a.join(tok, func(j *exchange.JoinRequest) { j.Nonce = nonce }); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	status, body := a.join(tok, func(j *exchange.JoinRequest) { j.Nonce = nonce })
	wantCode(t, status, body, http.StatusUnauthorized, store.CodeChallengeUnknown)
	// A lost answer: the same key again gets the same agent.
	if status, body := a.join(tok, nil); status != http.StatusOK || !bytes.Contains(body, []byte(a.id.String())) {
		t.Fatalf("%d %s", status, body)
	}
	tokens := must[[]store.Token](t)(h.c.Data().Store.Tokens(t.Context(), 10))
	for _, x := range tokens {
		if x.ID == tok.ID && x.Uses != 1 {
			t.Fatalf("%d uses", x.Uses)
		}
	}
}

func TestS08_rateLimitAndAudit(t *testing.T) {
	h := start(t, filepath.Join(t.TempDir(), "data"), func(c *Config) { c.JoinRate = 0.5 })
	tok := h.token("acme", "eu", store.Production)
	a := h.stranger("a", tok)
	limited := 0
	for range 20 {
		if status, _ := a.do(a.request("GET", exchange.PathChallenge+"?token="+tok.ID.String(), nil)); status == http.StatusTooManyRequests {
			limited++
		}
	}
	if limited < 10 {
		t.Fatalf("%d of 20 tries in a moment were limited", limited)
	}
	h.stop()
	h2 := start(t, h.dir, nil)
	a = h2.stranger("a", tok)
	if status, body := a.join(tok, nil); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	h2.stranger("b", tok).join(tok, nil)
	rows := must[[]store.AuditRow](t)(h2.c.Data().Store.Audit(t.Context(), store.TroubleQuery{Account: "acme"}))
	if len(rows) != 3 || rows[0].Action != "join_refused" || rows[1].Action != "joined" || !strings.Contains(rows[0].Detail, store.CodeTokenUsedUp) {
		t.Fatalf("%+v", rows)
	}
}

// S07, the collector's half: every answer is signed (agent.do checks it), and the key of
// another collector signs nothing here.
func TestS07_anotherCollectorsKeySignsNothing(t *testing.T) {
	h, impostor := start(t, filepath.Join(t.TempDir(), "a"), nil), start(t, filepath.Join(t.TempDir(), "b"), nil)
	tok, theirs := h.token("acme", "eu", store.Test), impostor.token("acme", "eu", store.Test)
	a := impostor.stranger("a", theirs)
	r := a.request("GET", exchange.PathChallenge+"?token="+tok.ID.String(), nil)
	res := must[*http.Response](t)(a.client.Do(r))
	defer res.Body.Close()
	var b bytes.Buffer
	_, err := b.ReadFrom(res.Body)
	check(t, err)
	if exchange.VerifyAnswer(res.StatusCode, r.URL.Path, r.Header.Get(exchange.HeaderNonce), b.Bytes(), res.Header.Get(exchange.HeaderSignature), tok.Collector) == nil {
		t.Fatal("an impostor's answer verifies with the collector's key")
	}
}

// S06, the collector's half, and S14: neither the secret nor the key made of it, in any usual
// notation, is anywhere below the data directory, in the log at its most talkative, in the audit
// log, or in an answer. Looked for while the collector runs and after it stopped.
func TestS06_S14_noTokenSecretIsKept(t *testing.T) {
	var log syncBuffer
	h := start(t, filepath.Join(t.TempDir(), "data"), func(c *Config) {
		c.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	tok, unused := h.token("acme", "eu", store.Production), h.token("acme", "us", store.Production)
	a := h.stranger("a", tok)
	a.epoch = exchange.ID{1}
	if status, body := a.join(tok, nil); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	h.stranger("late", tok).join(tok, nil) // refused: used up
	h.stranger("forger", tok).join(tok, func(j *exchange.JoinRequest) { j.Account = "other" })
	a.consent(exchange.Aggregate, longAgo)
	a.send(a.freeze(cell(people, report.Week, week(0), report.Band, 10, 14)))
	a.stored(1)
	canaries := canariesOf(t, map[string]exchange.Token{"used": tok, "unused": unused})
	look := func(where string, b []byte) {
		t.Helper()
		for name, c := range canaries {
			if bytes.Contains(b, c) {
				t.Errorf("%s holds the %s", where, name)
			}
		}
	}
	files := 0
	walk := func(when string) {
		t.Helper()
		check(t, filepath.WalkDir(h.dir, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := os.ReadFile(path)
			if errors.Is(err, os.ErrNotExist) { // the stream replaces its files while it runs
				return nil
			}
			files++
			look(when+" "+path, b)
			if st, e := d.Info(); e == nil && st.Mode().Perm()&0o077 != 0 && !strings.Contains(path, "stream") { // below a folder of 0700
				t.Errorf("%s has mode %v", path, st.Mode())
			}
			return err
		}))
	}
	walk("while it runs,")
	for _, row := range must[[]store.AuditRow](t)(h.c.Data().Store.Audit(t.Context(), store.TroubleQuery{Limit: 1000})) {
		look("the audit log", fmt.Appendf(nil, "%+v", row))
	}
	look("the list of tokens", fmt.Appendf(nil, "%+v", must[[]store.Token](t)(h.c.Data().Store.Tokens(t.Context(), 10))))
	h.stop()
	walk("after it stopped,")
	look("the log", log.bytes())
	if files < 10 {
		t.Fatalf("only %d files were looked at", files)
	}
	if st := must[os.FileInfo](t)(os.Stat(h.dir)); st.Mode().Perm() != 0o700 {
		t.Errorf("the data directory has mode %v", st.Mode())
	}
	// The net holds: what must be there is found by the same search.
	canaries = map[string][]byte{"token's public half": must[ed25519.PrivateKey](t)(unused.Key()).Public().(ed25519.PublicKey)}
	found := false
	check(t, filepath.WalkDir(h.dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			b, e := os.ReadFile(path)
			found, err = found || bytes.Contains(b, canaries["token's public half"]), e
		}
		return err
	}))
	if !found {
		t.Error("the search does not even find the public half")
	}
}

// canariesOf are the tokens' secrets, and the keys made of them, in every usual notation.
func canariesOf(t *testing.T, tokens map[string]exchange.Token) map[string][]byte {
	t.Helper()
	canaries := map[string][]byte{}
	for name, k := range tokens {
		key := must[ed25519.PrivateKey](t)(k.Key())
		for what, secret := range map[string][]byte{"secret": k.Secret, "key": key.Seed()} {
			id := name + " token's " + what
			canaries[id] = secret
			canaries[id+" in hex"] = []byte(hex.EncodeToString(secret))
			canaries[id+" in HEX"] = []byte(strings.ToUpper(hex.EncodeToString(secret)))
			canaries[id+" in base64"] = []byte(base64.RawStdEncoding.EncodeToString(secret))
			canaries[id+" in base64url"] = []byte(base64.RawURLEncoding.EncodeToString(secret))
		}
		canaries[name+" token"] = []byte(k.String()[:40])
	}
	return canaries
}

// syncBuffer is a log that several goroutines write.
type syncBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) bytes() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Clone(s.b.Bytes())
}

// S13: there is no pending agent. One that has a token and a challenge, but has not joined, is as
// unknown as any stranger: nothing it sends is kept, not even in quarantine.
func TestS13_whoHasNotJoinedStoresNothing(t *testing.T) {
	h := start(t, filepath.Join(t.TempDir(), "data"), nil)
	tok := h.token("acme", "eu", store.Production)
	a := h.stranger("a", tok)
	a.epoch = exchange.ID{1}
	a.challenge(tok.ID)
	st := must[exchange.SignedStatement](t)(exchange.SignStatement(exchange.Statement{Version: exchange.Version, Agent: a.id, Number: 1, Catalog: h.cat.Hash}, a.key))
	status, body := a.checkIn(st, time.Now())
	wantCode(t, status, body, http.StatusUnauthorized, store.CodeAgentUnknown)
	a.statement = st
	if r := a.send(a.freeze(cell(people, report.Week, week(0), report.Exact, 40, 40))); r.Outcome != exchange.NotKnown || r.Queued != 0 {
		t.Fatalf("%+v", r)
	}
	db := h.c.Data().Store
	if _, err := db.Statement(t.Context(), st.Hash()); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the statement: %v", err)
	}
	if q := must[[]store.Quarantined](t)(db.Quarantine(t.Context(), store.TroubleQuery{})); len(q) != 0 {
		t.Errorf("quarantine: %+v", q)
	}
	if n := must[uint64](t)(h.c.Queued(t.Context())); n != 0 || len(a.figures(store.FigureQuery{})) != 0 {
		t.Errorf("%d batches on the stream", n)
	}
	if status, body := a.join(tok, nil); status != http.StatusOK { // the token is still good
		t.Fatalf("%d %s", status, body)
	}
}

func TestS16_reorderedDuplicatedForked(t *testing.T) {
	h := start(t, filepath.Join(t.TempDir(), "data"), nil)
	a := h.enrol("acme", "eu", store.Production)
	a.consent(exchange.Aggregate, longAgo)
	w := func(n int) report.Cell { return cell(people, report.Week, week(n), report.Exact, 40, 40) }
	b1, b2, b3 := a.freeze(w(0)), a.freeze(w(1)), a.freeze(w(2))
	if r := a.send(b3); r.Outcome != exchange.OutOfTurn || r.Expected != 1 || r.Code != store.CodeOutOfSeq {
		t.Fatalf("%+v", r)
	}
	a.send(b1)
	if r := a.send(b3); r.Outcome != exchange.OutOfTurn || r.Expected != 2 {
		t.Fatalf("%+v", r)
	}
	a.send(b2)
	fork := *a
	fork.seq, fork.prev = 1, batch.Hash(b1)
	other := fork.freeze(w(5))
	for range 3 {
		if r := a.send(other); r.Outcome != exchange.OutOfTurn || r.Code != exchange.CodeFork || r.Expected != 3 {
			t.Fatalf("a fork: %+v", r)
		}
	}
	fork.seq, fork.prev = 2, batch.Hash(other)
	if r := a.send(fork.freeze(w(6))); r.Code != exchange.CodeFork || r.Expected != 3 {
		t.Fatalf("a wrong previous hash: %+v", r)
	}
	a.send(b3)
	a.stored(3)
	q := must[[]store.Quarantined](t)(h.c.Data().Store.Quarantine(t.Context(), store.TroubleQuery{Account: "acme"}))
	if len(q) != 2 || q[0].Code != exchange.CodeFork {
		t.Fatalf("forks are not recorded once each: %+v", q)
	}
	// Many at once: each is stored once.
	var all [][]byte
	for n := range 20 {
		all = append(all, a.freeze(w(3+n)))
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for _, wire := range all {
				for a.send(wire).Outcome != exchange.Accepted {
				}
			}
		})
	}
	wg.Wait()
	a.stored(23)
	if got := a.figures(store.FigureQuery{}); len(got) != 23 {
		t.Fatalf("%d figures for 23", len(got))
	}
	if i := must[store.Installation](t)(h.c.Data().Store.Installation(t.Context(), "acme", "eu")); i.Batches != 23 || i.Aside != 0 {
		t.Fatalf("%+v", i)
	}
}

func TestS17_skewedClockIsShownNotPunished(t *testing.T) {
	h := start(t, filepath.Join(t.TempDir(), "data"), nil)
	a := h.enrol("acme", "eu", store.Production)
	a.consent(exchange.Aggregate, longAgo)
	if status, body := a.checkIn(a.statement, time.Now().Add(-40*24*time.Hour)); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	a.created = time.Now().Add(-40 * 24 * time.Hour)
	wire := a.freeze(cell(people, report.Week, week(0), report.Exact, 40, 40))
	r := a.request("POST", exchange.PathBatches, wire)
	exchange.SignRequest(r, wire, a.key, exchange.NewNonce(), a.created)
	if status, body := a.do(r); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	i := must[store.Installation](t)(h.c.Data().Store.Installation(t.Context(), "acme", "eu"))
	if i.Skew > -39*24*time.Hour {
		t.Fatalf("skew is %s", i.Skew)
	}
}

func TestS18_signatureOverAnotherPathAccountBody(t *testing.T) {
	h := start(t, filepath.Join(t.TempDir(), "data"), nil)
	a, b := h.enrol("acme", "eu", store.Production), h.enrol("bolt", "eu", store.Production)
	a.consent(exchange.Aggregate, longAgo)
	b.consent(exchange.Aggregate, longAgo)
	wire := a.freeze(cell(people, report.Week, week(0), report.Exact, 40, 40))
	outcome := func(r *http.Request) exchange.Receipt {
		t.Helper()
		_, body := a.do(r)
		var rec exchange.Receipt
		check(t, json.Unmarshal(body, &rec))
		return rec
	}
	other := a.request("POST", exchange.PathCheckIn, wire)
	exchange.SignRequest(other, wire, a.key, exchange.NewNonce(), time.Now())
	r := a.request("POST", exchange.PathBatches, wire)
	r.Header = other.Header
	if rec := outcome(r); rec.Outcome != exchange.NotKnown || rec.Code != store.CodeSignature {
		t.Fatalf("signed for another path: %+v", rec)
	}
	r = a.request("POST", exchange.PathBatches, append(wire[:len(wire):len(wire)], 0))
	exchange.SignRequest(r, wire, a.key, exchange.NewNonce(), time.Now())
	if status, _ := a.do(r); status != http.StatusBadRequest && status != http.StatusUnauthorized {
		t.Fatalf("signed over another body: %d", status)
	}
	r = a.request("POST", exchange.PathBatches, wire)
	exchange.SignRequest(r, wire, b.key, exchange.NewNonce(), time.Now())
	if rec := outcome(r); rec.Outcome != exchange.Forbidden || rec.Code != store.CodeAgentMismatch {
		t.Fatalf("another account's batch: %+v", rec)
	}
	nobody := h.stranger("nobody", h.token("core", "eu", store.Test))
	r = a.request("POST", exchange.PathBatches, wire)
	exchange.SignRequest(r, wire, nobody.key, exchange.NewNonce(), time.Now())
	if rec := outcome(r); rec.Outcome != exchange.NotKnown {
		t.Fatalf("an agent nobody knows: %+v", rec)
	}
	if n := len(a.figures(store.FigureQuery{})); n != 0 {
		t.Fatalf("%d figures of refused batches", n)
	}
	check(t, h.c.Data().Store.RevokeAgent(t.Context(), a.id, time.Now()))
	if rec := a.send(wire); rec.Outcome != exchange.Forbidden || rec.Code != store.CodeAgentRevoked {
		t.Fatalf("a revoked agent: %+v", rec)
	}
	check(t, h.c.Data().Store.CloseAccount(t.Context(), "bolt", true))
	if rec := b.send(b.freeze()); rec.Outcome != exchange.Forbidden || rec.Code != store.CodeAccountClosed {
		t.Fatalf("a closed account: %+v", rec)
	}
}
