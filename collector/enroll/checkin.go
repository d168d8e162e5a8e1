package enroll

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	return io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
}

// CheckIn answers POST exchange.PathCheckIn.
func (s *Service) CheckIn(w http.ResponseWriter, r *http.Request) {
	a, err := s.checkIn(w, r)
	if err != nil {
		s.problem(w, r, err)
		return
	}
	s.c.Answers.Answer(w, r, http.StatusOK, a)
}

func (s *Service) checkIn(w http.ResponseWriter, r *http.Request) (*exchange.CheckInAnswer, error) {
	var c exchange.CheckIn
	body, err := readJSON(w, r, &c, store.CodeCheckIn)
	if err != nil {
		return nil, err
	}
	ctx := r.Context()
	agent, err := s.authenticate(ctx, r, body)
	if err != nil {
		return nil, err
	}
	if len(c.Version) > 64 || !utf8.ValidString(c.Version) {
		return nil, &store.Problem{Code: store.CodeCheckIn, Message: "the version is too long or not text", Status: http.StatusBadRequest}
	}
	st, err := c.Statement.Verify(agent.Key)
	if err != nil {
		return nil, &store.Problem{Code: store.CodeStatement, Message: "the consent statement is not valid or not this agent's", Status: http.StatusUnprocessableEntity, Err: err}
	}
	if (c.Simulated || st.Simulated) && !s.c.Demo && agent.Environment != store.Test {
		return nil, &store.Problem{Code: store.CodeSimulated, Message: "a " + agent.Environment + " installation cannot be simulated",
			Hint: "make a token with --environment test for replays", Status: http.StatusUnprocessableEntity}
	}
	now, clock := s.c.Now(), time.Unix(c.Time, 0).UTC()
	if c.Simulated {
		// One clock for all simulated sites: the latest any of them has shown.
		if now, err = s.c.Clock(ctx); err != nil {
			return nil, err
		}
		if clock.After(now) {
			now = clock
		}
	}
	in := store.CheckIn{Agent: agent.ID, At: now, Clock: clock, Version: c.Version, Simulated: c.Simulated, Statement: c.Statement, Parsed: st}
	if err := s.c.Agents.CheckedIn(ctx, in); err != nil {
		return nil, err
	}
	out := &exchange.CheckInAnswer{Time: s.c.Now().Unix()}
	if out.Through, err = s.c.Through(ctx, agent.ID); err != nil {
		return nil, err
	}
	newest, err := s.c.Catalogs.NewestCatalog(ctx, st.CatalogName)
	if errors.Is(err, store.ErrNotFound) && st.CatalogName != "" {
		newest, err = s.c.Catalogs.NewestCatalog(ctx, "")
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
	case err != nil:
		return nil, err
	case newest.Hash != c.Catalog && newest.Version >= c.CatalogVersion:
		out.Catalog = &exchange.SignedCatalog{Raw: newest.Raw, Sig: newest.Sig}
	}
	return out, nil
}

// authenticate finds the agent a signed request is from.
func (s *Service) authenticate(ctx context.Context, r *http.Request, body []byte) (store.Agent, error) {
	unknown := &store.Problem{Code: store.CodeAgentUnknown, Message: "no agent of that id and key joined here", Hint: "enrol again with a new token", Status: http.StatusUnauthorized}
	id, err := exchange.ParseID(r.Header.Get(exchange.HeaderAgent))
	if err != nil {
		return store.Agent{}, unknown
	}
	a, err := s.c.Agents.Agent(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return a, unknown
	} else if err != nil {
		return a, err
	}
	if exchange.VerifyRequest(r, body, a.Key) != nil {
		return a, unknown
	}
	switch {
	case !a.Revoked.IsZero():
		return a, &store.Problem{Code: store.CodeAgentRevoked, Message: "the vendor revoked this agent", Status: http.StatusForbidden}
	case a.Closed:
		return a, &store.Problem{Code: store.CodeAccountClosed, Message: "the vendor closed this account", Status: http.StatusForbidden}
	}
	return a, nil
}

// TokenRequest is what a token's maker decides.
type TokenRequest struct {
	Account, Installation, Environment string
	Uses                               int           // default 1
	For                                time.Duration // default 24 h
	By                                 string        // who makes it
}

// TokenIssuer is what every token of a collector has in common.
type TokenIssuer struct {
	URL        string            // https://HOST:PORT as agents reach it
	CA         []byte            // DER; nil when TLS chains to the system's roots
	Collector  ed25519.PublicKey // application key
	CatalogKey ed25519.PublicKey
}

const maxTokenFor = 366 * 24 * time.Hour

// NewToken makes a token and keeps its public half. The secret is only in what is returned.
func NewToken(ctx context.Context, st store.Enrolment, audit store.Auditor, issuer TokenIssuer, q TokenRequest, now time.Time) (exchange.Token, error) {
	if q.Uses == 0 {
		q.Uses = 1
	}
	if q.For == 0 {
		q.For = 24 * time.Hour
	}
	if err := q.check(); err != nil {
		return exchange.Token{}, err
	}
	if len(issuer.CatalogKey) == 0 {
		return exchange.Token{}, &store.Problem{Code: store.CodeNoCatalogKey, Message: "the collector does not know the key that signs catalogs; a token carries it",
			Hint: "fieldpost-collector catalog keygen --key vendor.key; then catalog trust vendor.key.pub, catalog sign --key vendor.key catalog.yaml and catalog add catalog.yaml", Status: http.StatusConflict}
	}
	t := exchange.Token{ID: exchange.NewNonce(), URL: issuer.URL, CA: issuer.CA, Collector: issuer.Collector, CatalogKey: issuer.CatalogKey,
		Account: q.Account, Installation: q.Installation, Environment: q.Environment, Secret: make([]byte, 32), Expires: now.Add(q.For).Unix(), MaxUses: q.Uses}
	_, _ = rand.Read(t.Secret) // never fails (crypto/rand)
	key, err := t.Key()
	if err != nil {
		return t, err
	}
	row := store.Token{ID: t.ID, Key: key.Public().(ed25519.PublicKey), Account: q.Account, Installation: q.Installation, Environment: q.Environment,
		MaxUses: q.Uses, Created: now, Expires: now.Add(q.For), By: q.By}
	if err := st.AddToken(ctx, row); errors.Is(err, store.ErrConflict) {
		return exchange.Token{}, &store.Problem{Code: store.CodeConflict, Message: fmt.Sprintf("%s/%s exists with another environment", q.Account, q.Installation),
			Hint: "name another installation, or its own environment", Status: http.StatusConflict, Err: err}
	} else if err != nil {
		return exchange.Token{}, err
	}
	return t, audit.AddAudit(ctx, store.AuditRow{At: now, Actor: q.By, Action: "token_created", Subject: q.Account + "/" + q.Installation,
		Detail: fmt.Sprintf("token %s, %s, %d uses, until %s", t.ID, q.Environment, q.Uses, row.Expires.UTC().Format(time.RFC3339))})
}

func (q TokenRequest) check() error {
	bad := func(format string, args ...any) error {
		return &store.Problem{Code: store.CodeBadInput, Message: fmt.Sprintf(format, args...), Status: http.StatusBadRequest}
	}
	switch {
	case !ValidKey(q.Account):
		return bad("the account key %q is empty, too long or has characters beyond letters, digits and . _ - @ +", q.Account)
	case !ValidKey(q.Installation):
		return bad("the installation %q is empty, too long or has characters beyond letters, digits and . _ - @ +", q.Installation)
	case !slices.Contains(store.Environments(), q.Environment):
		return bad("the environment is one of trial, pilot, production and test, not %q", q.Environment)
	case q.Uses < 1 || q.Uses > 100_000:
		return bad("a token can be used 1 to 100,000 times, not %d", q.Uses)
	case q.For < time.Minute || q.For > maxTokenFor:
		return bad("a token lives a minute to 366 days, not %s", q.For)
	}
	return nil
}

// ValidKey reports whether s can name an account or an installation: 1 to 128 bytes that are safe
// in URLs, file names and logs.
func ValidKey(s string) bool {
	if len(s) == 0 || len(s) > 128 || s == "." || s == ".." {
		return false
	}
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '_', r == '-', r == '@', r == '+':
		default:
			return false
		}
	}
	return true
}
