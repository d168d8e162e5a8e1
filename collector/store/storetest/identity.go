package storetest

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

func tokens(t *testing.T, s Store) {
	ctx := t.Context()
	tok := token("a", "acme", "eu", store.Production, 2)
	ok(t, s.AddToken(ctx, tok))
	got := must[store.Token](t)(s.Token(ctx, tok.ID))
	if got.Account != "acme" || got.Installation != "eu" || got.Environment != store.Production || !got.Live(epoch0) || !bytes.Equal(got.Key, tok.Key) {
		t.Fatalf("token came back as %+v", got)
	}
	if err := s.AddToken(ctx, token("b", "acme", "eu", store.Trial, 1)); !errors.Is(err, store.ErrConflict) {
		t.Fatalf("another environment for the same installation: %v", err)
	}
	if _, err := s.Token(ctx, exchange.ID{9}); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("unknown token: %v", err)
	}
	a := must[store.Agent](t)(s.Join(ctx, tok.ID, pub("one"), epoch0))
	again := must[store.Agent](t)(s.Join(ctx, tok.ID, pub("one"), epoch0))
	if a.ID != again.ID || must[store.Token](t)(s.Token(ctx, tok.ID)).Uses != 1 {
		t.Fatal("a join whose answer was lost used the token twice")
	}
	ok(t, s.RevokeToken(ctx, tok.ID, epoch0))
	if _, err := s.Join(ctx, tok.ID, pub("two"), epoch0); !errors.Is(err, store.ErrSpent) {
		t.Fatalf("TestS04: join with a revoked token: %v", err)
	}
	if g := must[store.Agent](t)(s.Agent(ctx, a.ID)); !g.Revoked.IsZero() || g.Account != "acme" {
		t.Fatalf("TestS04: the revoked token's agent is %+v", g)
	}
	old := token("c", "acme", "eu", store.Production, 1)
	ok(t, s.AddToken(ctx, old))
	if _, err := s.Join(ctx, old.ID, pub("three"), old.Expires); !errors.Is(err, store.ErrSpent) {
		t.Fatalf("TestS01: join with an expired token: %v", err)
	}
	if list := must[[]store.Token](t)(s.Tokens(ctx, 10)); len(list) != 2 {
		t.Fatalf("%d tokens listed", len(list))
	}
	ok(t, s.RevokeAgent(ctx, a.ID, epoch0))
	if g := must[store.Agent](t)(s.Agent(ctx, a.ID)); g.Revoked.IsZero() {
		t.Fatal("the revoked agent is not")
	}
	if err := s.RevokeAgent(ctx, exchange.ID{1}, epoch0); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("revoking an unknown agent: %v", err)
	}
	if l := must[[]store.Agent](t)(s.AgentsOf(ctx, "acme", "eu", 10)); len(l) != 1 {
		t.Fatalf("%d agents listed", len(l))
	}
}

func singleUse(t *testing.T, s Store) { race(t, s, 1, 100) }
func maxUses(t *testing.T, s Store)   { race(t, s, 7, 60) }

func race(t *testing.T, s Store, uses, joins int) {
	tok := token("race", "acme", "eu", store.Production, uses)
	ok(t, s.AddToken(t.Context(), tok))
	var won, spent atomic.Int64
	var wg sync.WaitGroup
	for i := range joins {
		wg.Go(func() {
			_, err := s.Join(t.Context(), tok.ID, pub(fmt.Sprint("racer ", i)), epoch0)
			switch {
			case err == nil:
				won.Add(1)
			case errors.Is(err, store.ErrSpent):
				spent.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != int64(uses) || spent.Load() != int64(joins-uses) {
		t.Fatalf("%d joins with a token of %d uses, %d refused", won.Load(), uses, spent.Load())
	}
}

// noSecret: with everything the store gives back about a token nobody can sign a join.
func noSecret(t *testing.T, s Store) {
	x := exchange.Token{ID: exchange.ID{4}, Secret: bytes.Repeat([]byte{7}, 32)}
	k := must[ed25519.PrivateKey](t)(x.Key())
	tok := token("a", "acme", "eu", store.Production, 1)
	tok.ID, tok.Key = x.ID, k.Public().(ed25519.PublicKey)
	ok(t, s.AddToken(t.Context(), tok))
	got := must[store.Token](t)(s.Token(t.Context(), tok.ID))
	if len(got.Key) != ed25519.PublicKeySize || !bytes.Equal(got.Key, tok.Key) {
		t.Fatalf("the kept half has %d bytes", len(got.Key))
	}
	// The public half as a seed or as a secret is not the key.
	for _, guess := range []ed25519.PrivateKey{
		ed25519.NewKeyFromSeed(got.Key),
		must[ed25519.PrivateKey](t)(exchange.Token{ID: x.ID, Secret: got.Key}.Key()),
	} {
		j := exchange.JoinRequest{Token: x.ID, Account: "acme", Installation: "eu"}
		j.Sign(guess, key("thief"))
		if j.Verify(got.Key) == nil {
			t.Fatal("a join was signed with what the store holds")
		}
	}
}

func checkIns(t *testing.T, s Store) {
	ctx := t.Context()
	a := enrol(t, s, "acme", "eu", store.Production)
	sign := func(n int, level exchange.Level) (exchange.SignedStatement, *exchange.Statement) {
		st := exchange.Statement{Version: exchange.Version, Agent: a.ID, Number: n, CatalogName: "forge", CatalogVersion: n, Decided: epoch0.Unix(),
			Categories: []exchange.Decision{{Category: "usage", Level: level, From: epoch0.Unix()}}}
		return must[exchange.SignedStatement](t)(exchange.SignStatement(st, key("agent acme/eu"))), &st
	}
	first, p1 := sign(1, exchange.Local)
	second, p2 := sign(2, exchange.Totals)
	in := func(st exchange.SignedStatement, p *exchange.Statement, at time.Time) {
		t.Helper()
		ok(t, s.CheckedIn(ctx, store.CheckIn{Agent: a.ID, At: at, Clock: at.Add(3 * time.Second), Version: "1.2.3", Statement: st, Parsed: p}))
	}
	in(first, p1, epoch0)
	in(second, p2, epoch0.Add(time.Hour))
	in(first, p1, epoch0.Add(2*time.Hour)) // a retry that was long under way
	i := must[store.Installation](t)(s.Installation(ctx, "acme", "eu"))
	if i.Consent["usage"] != exchange.Totals || i.CatalogVersion != 2 || i.Statement != second.Hash() || i.Skew != 3*time.Second || i.Version != "1.2.3" {
		t.Fatalf("after check-ins: %+v", i)
	}
	kept := must[store.Statement](t)(s.Statement(ctx, first.Hash()))
	if !bytes.Equal(kept.Signed.Raw, first.Raw) || !bytes.Equal(kept.Signed.Sig, first.Sig) {
		t.Fatal("a statement did not come back byte for byte")
	}
	if h := must[[]store.Statement](t)(s.StatementsOf(ctx, "acme", "eu")); len(h) != 2 || h[0].Hash != second.Hash() {
		t.Fatalf("the history has %d statements", len(h))
	}
	if n := must[store.Statement](t)(s.NewestStatement(ctx, a.ID)); n.Hash != second.Hash() {
		t.Fatal("the newest statement is not the one with the highest number")
	}
	if c := must[time.Time](t)(s.Clock(ctx)); !c.IsZero() {
		t.Fatalf("a real agent moved the virtual clock to %s", c)
	}
	virtual := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	ok(t, s.CheckedIn(ctx, store.CheckIn{Agent: a.ID, At: virtual, Clock: virtual, Simulated: true, Statement: second, Parsed: p2}))
	ok(t, s.CheckedIn(ctx, store.CheckIn{Agent: a.ID, At: epoch0, Clock: epoch0, Simulated: true, Statement: second, Parsed: p2}))
	if c := must[time.Time](t)(s.Clock(ctx)); !c.Equal(virtual) {
		t.Fatalf("the virtual clock stands at %s", c)
	}
}

func catalogs(t *testing.T, s Store) {
	ctx := t.Context()
	add := func(v int, raw string, h byte) error {
		return s.AddCatalog(ctx, store.Catalog{Hash: exchange.Hash{h}, Name: "forge", Version: v, Raw: []byte(raw), Sig: []byte("sig"), Added: epoch0.Add(time.Duration(v) * time.Hour)})
	}
	if _, err := s.NewestCatalog(ctx, ""); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("newest of none: %v", err)
	}
	ok(t, add(2, "two", 2))
	ok(t, add(1, "one", 1))
	ok(t, add(2, "two", 2))
	if err := add(2, "other", 3); !errors.Is(err, store.ErrConflict) {
		t.Fatalf("two catalogs of one version: %v", err)
	}
	if c := must[store.Catalog](t)(s.NewestCatalog(ctx, "")); c.Version != 2 || string(c.Raw) != "two" {
		t.Fatalf("newest is %+v", c)
	}
	if c := must[store.Catalog](t)(s.Catalog(ctx, exchange.Hash{1})); string(c.Raw) != "one" || string(c.Sig) != "sig" {
		t.Fatalf("by hash: %+v", c)
	}
	if l := must[[]store.Catalog](t)(s.CatalogList(ctx)); len(l) != 2 || l[0].Version != 2 {
		t.Fatalf("listed %+v", l)
	}
}

func secrets(t *testing.T, s Store) {
	ctx := t.Context()
	ok(t, s.PutUser(ctx, store.User{Name: "ann", Role: "admin", Created: epoch0}))
	ok(t, s.PutUser(ctx, store.User{Name: "ann", Role: "viewer", Created: epoch0}))
	if u := must[store.User](t)(s.User(ctx, "ann")); u.Role != "viewer" {
		t.Fatalf("user is %+v", u)
	}
	put := func(kind store.SecretKind, h byte, expires time.Time) {
		t.Helper()
		ok(t, s.PutSecret(ctx, store.Secret{Kind: kind, Hash: exchange.Hash{h}, User: "ann", Scopes: []string{"read"}, Created: epoch0, Expires: expires}))
	}
	put(store.LoginLink, 1, epoch0.Add(time.Hour))
	put(store.Session, 2, epoch0.Add(time.Hour))
	put(store.APIToken, 3, time.Time{})
	var won atomic.Int64
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := s.UseSecret(ctx, store.LoginLink, exchange.Hash{1}, epoch0); err == nil {
				won.Add(1)
			} else if !errors.Is(err, store.ErrNotFound) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Fatalf("a one-time link opened %d times", won.Load())
	}
	if x := must[store.Secret](t)(s.UseSecret(ctx, store.Session, exchange.Hash{2}, epoch0)); x.User != "ann" || len(x.Scopes) != 1 {
		t.Fatalf("session is %+v", x)
	}
	if _, err := s.UseSecret(ctx, store.APIToken, exchange.Hash{2}, epoch0); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("a session used as an API token: %v", err)
	}
	if _, err := s.UseSecret(ctx, store.Session, exchange.Hash{2}, epoch0.Add(time.Hour)); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("an expired session: %v", err)
	}
	ok(t, s.ExpireSecrets(ctx, epoch0.Add(2*time.Hour)))
	if l := must[[]store.Secret](t)(s.SecretList(ctx, store.Session, "")); len(l) != 0 {
		t.Fatalf("%d sessions after their end", len(l))
	}
	ok(t, s.DeleteUser(ctx, "ann"))
	if l := must[[]store.Secret](t)(s.SecretList(ctx, store.APIToken, "ann")); len(l) != 0 {
		t.Fatal("an API token outlived its user")
	}
}
