// Package pages proves the collector's pages and API against a real store and in a real
// browser: every page renders for who may see it, keeps its content security policy, asks no
// other host, has no violation that axe finds and no horizontal scroll at 360 px.
//
// It has tests only. Chromium and node_modules (installer/e2e/node) are needed for the browser
// ones: they are skipped where those are missing, except in CI.
package pages

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/collector/access"
	"github.com/fieldpost/fieldpost/collector/api"
	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/collector/store/sqlite"
	"github.com/fieldpost/fieldpost/collector/web"
	"github.com/fieldpost/fieldpost/installer/e2e/seed"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// now is when everything here happens.
func now() time.Time { return time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC) }

// site is a collector's face without its back: store, access, API and pages.
type site struct {
	*httptest.Server
	store  *sqlite.Store
	access *access.Access
	web    *web.Handler
	api    *api.Handler
	tokens []string // enrolment tokens that were made, as text
	clock  func() time.Time
}

func catalogFile(t testing.TB) []byte {
	t.Helper()
	raw, err := os.ReadFile("../../examples/forge/catalog.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// newSite serves a fleet over TLS on loopback; nil fills nothing.
func newSite(t testing.TB, fleet *seed.Config) *site {
	t.Helper()
	if fleet == nil {
		return serve(t, open(t, "", nil))
	}
	fleet.Catalog, fleet.Now = catalogFile(t), now()
	if plain(*fleet) {
		return serve(t, open(t, copied(t, shared().fleet), nil))
	}
	return serve(t, open(t, "", func(st *sqlite.Store) error { return seed.Fill(context.Background(), st, *fleet) }))
}

// newKinds serves a fleet that tells every kind of measure about people, in every form.
func newKinds(t testing.TB, fleet seed.Config) *site {
	t.Helper()
	if plain(fleet) {
		return serve(t, open(t, copied(t, shared().kinds), nil))
	}
	var err error
	if fleet.Catalog, err = os.ReadFile("../../../protocol/catalog/testdata/every-kind.yaml"); err != nil {
		t.Fatal(err)
	}
	fleet.Now = now()
	return serve(t, open(t, "", func(st *sqlite.Store) error { return seed.FillKinds(context.Background(), st, fleet) }))
}

// plain is a fleet as it comes, without a wish.
func plain(c seed.Config) bool {
	return c.Accounts == 0 && c.Weeks == 0 && c.Names == nil && c.Attributes == nil && !c.Hours
}

// copied is a copy of a filled database for one test.
func copied(t testing.TB, filled func() (string, error)) string {
	t.Helper()
	from, err := filled()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "collector.db")
	if err := os.WriteFile(to, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return to
}

// open is a store for one test; path "" is a new one.
func open(t testing.TB, path string, fill func(*sqlite.Store) error) *sqlite.Store {
	t.Helper()
	if path == "" {
		path = filepath.Join(t.TempDir(), "collector.db")
	}
	st, err := sqlite.Open(context.Background(), sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	if fill != nil {
		if err := fill(st); err != nil {
			t.Fatal(err)
		}
	}
	return st
}

func serve(t testing.TB, st *sqlite.Store) *site {
	t.Helper()
	s := &site{store: st, clock: now}
	log := slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
	clock := func() time.Time { return s.clock() }
	s.access = access.New(access.Config{Users: st, Secrets: st, Auditor: st, Log: log, Now: clock})
	var err error
	s.api, err = api.New(api.Config{Access: s.access, Accounts: st, Fleet: st, Measurements: st, Pool: st, Troubles: st, Catalogs: st, Log: log, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	s.web, err = web.New(web.Config{Access: s.access, Accounts: st, Fleet: st, Measurements: st, Troubles: st, Catalogs: st, Pool: st, Statements: st, Tokens: st, Agents: st,
		MakeToken: s.makeToken, Log: log, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.web.Close() }) //nolint:errcheck // it has none
	mux := http.NewServeMux()
	mux.Handle("/api/", s.api)
	mux.Handle("/", s.web)
	s.Server = httptest.NewTLSServer(mux)
	t.Cleanup(s.Close)
	return s
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

// makeToken does what the enrolment room does, without a network.
func (s *site) makeToken(ctx context.Context, r web.TokenRequest) (string, exchange.ID, error) {
	t := exchange.Token{ID: exchange.NewNonce(), URL: s.URL, Account: r.Account, Installation: r.Installation, Environment: r.Environment, Secret: make([]byte, 32),
		Collector: make([]byte, 32), CatalogKey: make([]byte, 32), Expires: s.clock().Add(r.Life).Unix(), MaxUses: 1}
	if _, err := rand.Read(t.Secret); err != nil {
		return "", t.ID, err
	}
	key, err := t.Key()
	if err != nil {
		return "", t.ID, err
	}
	s.tokens = append(s.tokens, t.String())
	return t.String(), t.ID, s.store.AddToken(ctx, store.Token{ID: t.ID, Key: key.Public().(ed25519.PublicKey), Account: r.Account, Installation: r.Installation,
		Environment: r.Environment, MaxUses: 1, Created: s.clock(), Expires: s.clock().Add(r.Life), By: r.By})
}

// user makes a user and returns a client that is signed in as it.
func (s *site) user(t testing.TB, name string, role access.Role) *http.Client {
	t.Helper()
	if err := s.access.PutUser(context.Background(), "test", name, role, false); err != nil {
		t.Fatal(err)
	}
	path, err := s.access.LoginLink(context.Background(), "test", name)
	if err != nil {
		t.Fatal(err)
	}
	c := s.anonymous(t)
	res, err := c.Post(s.URL+path, "application/x-www-form-urlencoded", nil)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusSeeOther {
		t.Fatalf("signing in: %s", res.Status)
	}
	return c
}

// anonymous is a client with cookies of its own that follows no redirects.
func (s *site) anonymous(t testing.TB) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, //nolint:gosec // the test server's own certificate
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func get(t testing.TB, c *http.Client, url string) (int, string, http.Header) {
	t.Helper()
	res, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b), res.Header
}

func copyTo(w io.Writer, res *http.Response) (int64, error) { return io.Copy(w, res.Body) }
