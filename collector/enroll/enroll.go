// Package enroll lets agents in: it makes tokens, answers challenges and joins, and takes
// check-ins with the customer's signed consent. protocol/SPEC.md, sections "Join" and
// "Check-in", is normative.
//
// Invariants:
//
//   - A token's secret is shown once, to its maker, and never stored: the store has the public
//     half of the key derived from it.
//   - A token admits exactly as many agent keys as it says; the store decides that in one
//     transaction.
//   - Whether a token exists cannot be found out by asking: challenges are answered for any
//     id, and every join that is not signed by the right key gets one and the same refusal.
//   - A challenge's nonce is good for one join within five minutes. It carries its own proof
//     (a MAC), so strangers who ask cost no memory; only nonces that were used are remembered.
//   - A statement is kept only after its signature was verified, byte for byte.
//   - An agent has joined or is unknown; there is no pending state in between, so nothing of an
//     agent that waits to be let in can be stored (S13).
//   - Who joined, or tried and held a real token, is in the audit log.
//
// It keeps nothing on disk of its own.
package enroll

import (
	"context"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// Answers writes signed answers.
type Answers interface {
	// Answer signs v's JSON over status, path and the request's nonce and writes it.
	Answer(w http.ResponseWriter, r *http.Request, status int, v any)
}

// Config of enrolment.
type Config struct {
	Key        ed25519.PrivateKey // the collector's application key
	Enrolment  store.Enrolment
	Agents     store.Agents
	Statements store.Statements
	Catalogs   store.Catalogs
	Audit      store.Auditor
	Answers    Answers
	// Through says how far an agent's newest epochs have come.
	Through func(ctx context.Context, agent exchange.ID) ([]exchange.Through, error)
	// Clock is the virtual clock of simulated agents.
	Clock  func(context.Context) (time.Time, error)
	Logger *slog.Logger
	Now    func() time.Time // default time.Now
	// Demo lets every installation be simulated, not only those of environment test.
	Demo bool
	// PerAddress is how many challenges and joins one address may make a second, with a burst
	// of ten times as many. Default 5: an office behind one address enrols fifty machines at
	// once, a stranger guesses nothing. Negative: no limit (load tests).
	PerAddress float64
}

// Service is enrolment's HTTP side and token maker.
type Service struct {
	c   Config
	mac []byte

	mu    sync.Mutex               // guards what follows
	used  map[exchange.ID]int64    // nonces of joins that succeeded, with their expiry
	rates map[string]*rate.Limiter // by address
}

const (
	challengeFor = 5 * time.Minute
	maxBody      = 64 << 10
	// maxUsed nonces are remembered, 40 bytes each. A nonce enters only by a join that was
	// signed with a token, so strangers cannot fill it.
	maxUsed = 100_000
	// maxRates addresses have their own limit, about 200 bytes each; beyond, all begin anew.
	maxRates = 20_000
)

// New makes the service.
func New(c Config) (*Service, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.PerAddress == 0 {
		c.PerAddress = 5
	}
	mac, err := hkdf.Key(sha256.New, c.Key.Seed(), nil, "fieldpost/challenge/v1", 32)
	if err != nil {
		return nil, fmt.Errorf("deriving the challenge key: %w", err)
	}
	return &Service{c: c, mac: mac, used: map[exchange.ID]int64{}, rates: map[string]*rate.Limiter{}}, nil
}

// limited reports whether the caller's address has asked too often.
func (s *Service) limited(r *http.Request) bool {
	if s.c.PerAddress < 0 {
		return false
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.rates[host]
	if l == nil {
		if len(s.rates) >= maxRates {
			clear(s.rates)
		}
		l = rate.NewLimiter(rate.Limit(s.c.PerAddress), int(10*s.c.PerAddress)+1)
		s.rates[host] = l
	}
	return !l.AllowN(s.c.Now(), 1)
}

func (s *Service) problem(w http.ResponseWriter, r *http.Request, err error) {
	p := store.ProblemOf(err)
	if p.Status == http.StatusTooManyRequests || p.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "10")
	}
	if p.Status >= 500 {
		s.c.Logger.Error("answering an agent", "path", r.URL.Path, "error", err)
	}
	s.c.Answers.Answer(w, r, p.Status, p.Wire())
}

var errLimited = &store.Problem{Code: store.CodeLimited, Message: "too many tries from this address", Hint: "again in ten seconds", Status: http.StatusTooManyRequests}

// Challenge answers GET exchange.PathChallenge.
func (s *Service) Challenge(w http.ResponseWriter, r *http.Request) {
	if s.limited(r) {
		s.problem(w, r, errLimited)
		return
	}
	id, err := exchange.ParseID(r.URL.Query().Get("token"))
	if err != nil {
		s.problem(w, r, &store.Problem{Code: store.CodeJoinUnreadable, Message: "token is not an id of 32 hex digits", Status: http.StatusBadRequest})
		return
	}
	expires := s.c.Now().Add(challengeFor).Unix()
	s.c.Answers.Answer(w, r, http.StatusOK, exchange.Challenge{Nonce: s.nonce(id, expires), Expires: expires})
}

// nonce is expiry (4 bytes), chance (4 bytes) and a MAC over both and the token's id (8 bytes).
func (s *Service) nonce(token exchange.ID, expires int64) (n exchange.ID) {
	binary.BigEndian.PutUint32(n[:4], uint32(expires))
	_, _ = rand.Read(n[4:8]) // never fails (crypto/rand)
	copy(n[8:], s.seal(token, n[:8]))
	return n
}

func (s *Service) seal(token exchange.ID, head []byte) []byte {
	m := hmac.New(sha256.New, s.mac)
	m.Write(token[:])
	m.Write(head)
	return m.Sum(nil)[:8]
}

// fresh reports whether the nonce is ours, for this token, in time and not used.
func (s *Service) fresh(token, n exchange.ID) bool {
	expires := int64(binary.BigEndian.Uint32(n[:4]))
	if !hmac.Equal(n[8:], s.seal(token, n[:8])) || s.c.Now().Unix() >= expires {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, was := s.used[n]
	return !was
}

// spend remembers a used nonce; false: another join was faster.
func (s *Service) spend(n exchange.ID) bool {
	now := s.c.Now().Unix()
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, was := s.used[n]; was {
		return false
	}
	if len(s.used) >= maxUsed {
		for k, e := range s.used {
			if e <= now {
				delete(s.used, k)
			}
		}
	}
	s.used[n] = int64(binary.BigEndian.Uint32(n[:4]))
	return true
}

// Join answers POST exchange.PathJoin.
func (s *Service) Join(w http.ResponseWriter, r *http.Request) {
	if s.limited(r) {
		s.problem(w, r, errLimited)
		return
	}
	var j exchange.JoinRequest
	if _, err := readJSON(w, r, &j, store.CodeJoinUnreadable); err != nil {
		s.problem(w, r, err)
		return
	}
	a, err := s.join(r.Context(), &j)
	if err != nil {
		s.problem(w, r, err)
		return
	}
	s.c.Answers.Answer(w, r, http.StatusOK, exchange.JoinAnswer{Agent: a.ID, Account: a.Account, Installation: a.Installation,
		Environment: a.Environment, Time: s.c.Now().Unix()})
}

var errJoinSignature = &store.Problem{Code: store.CodeJoinSignature, Message: "token, signature, account, installation or collector do not fit together",
	Hint: "take the token file as it was made, from this collector", Status: http.StatusUnauthorized}

func (s *Service) join(ctx context.Context, j *exchange.JoinRequest) (store.Agent, error) {
	if !s.fresh(j.Token, j.Nonce) {
		return store.Agent{}, &store.Problem{Code: store.CodeChallengeUnknown, Message: "the challenge is unknown, used or expired", Hint: "ask for a new one", Status: http.StatusUnauthorized}
	}
	t, err := s.c.Enrolment.Token(ctx, j.Token)
	unknown := errors.Is(err, store.ErrNotFound)
	if err != nil && !unknown {
		return store.Agent{}, err
	}
	if unknown { // a key nobody has: the same work is done, and fails
		dead := sha256.Sum256(s.mac)
		t.Key = ed25519.NewKeyFromSeed(dead[:]).Public().(ed25519.PublicKey)
	}
	bad := j.Verify(t.Key) != nil
	bad = subtle.ConstantTimeCompare(j.Collector, s.c.Key.Public().(ed25519.PublicKey)) != 1 || bad
	bad = subtle.ConstantTimeCompare([]byte(j.Account), []byte(t.Account)) != 1 || bad
	bad = subtle.ConstantTimeCompare([]byte(j.Installation), []byte(t.Installation)) != 1 || bad
	if bad || unknown {
		return store.Agent{}, errJoinSignature
	}
	a, err := s.c.Enrolment.Join(ctx, j.Token, j.AgentKey, s.c.Now())
	switch {
	case errors.Is(err, store.ErrSpent):
		err = s.spent(t)
	case errors.Is(err, store.ErrConflict):
		err = errJoinSignature
	case err == nil && !s.spend(j.Nonce):
		err = &store.Problem{Code: store.CodeChallengeUnknown, Message: "the challenge was used", Hint: "ask for a new one", Status: http.StatusUnauthorized}
	}
	s.audit(ctx, t, exchange.AgentID(j.AgentKey), err)
	return a, err
}

func (s *Service) spent(t store.Token) error {
	p := &store.Problem{Code: store.CodeTokenUsedUp, Message: "the token was used as often as it may be", Hint: "ask the vendor for a new token", Status: http.StatusForbidden}
	switch {
	case !t.Revoked.IsZero():
		p.Code, p.Message = store.CodeTokenRevoked, "the vendor revoked this token"
	case !s.c.Now().Before(t.Expires):
		p.Code, p.Message = store.CodeTokenExpired, "the token has expired"
	}
	return p
}

func (s *Service) audit(ctx context.Context, t store.Token, agent exchange.ID, err error) {
	a := store.AuditRow{At: s.c.Now(), Actor: "agent " + agent.String(), Action: "joined", Subject: t.Account + "/" + t.Installation, Detail: "token " + t.ID.String()}
	if err != nil {
		a.Action, a.Detail = "join_refused", a.Detail+": "+store.ProblemOf(err).Code
	}
	if err := s.c.Audit.AddAudit(ctx, a); err != nil {
		s.c.Logger.Error("writing the audit log", "error", err)
	}
}

// readJSON reads a bounded body; unknown keys are ignored (SPEC, "Exchange").
func readJSON(w http.ResponseWriter, r *http.Request, to any, code string) ([]byte, error) {
	if e := r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return nil, &store.Problem{Code: store.CodeEncoding, Message: "the body takes no encoding", Status: http.StatusUnsupportedMediaType}
	}
	body, err := readBody(w, r)
	if limit := (*http.MaxBytesError)(nil); errors.As(err, &limit) {
		return nil, &store.Problem{Code: store.CodeTooLarge, Message: "the body has more than 64 KiB", Status: http.StatusRequestEntityTooLarge}
	}
	if err == nil {
		err = json.Unmarshal(body, to)
	}
	if err != nil {
		return nil, &store.Problem{Code: code, Message: "the body is not the JSON that was expected", Status: http.StatusBadRequest, Err: err}
	}
	return body, nil
}
