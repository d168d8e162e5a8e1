package access

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// memory is the store in short: users, secrets and audit rows in maps.
type memory struct {
	users   map[string]store.User
	secrets map[exchange.Hash]store.Secret
	audit   []store.AuditRow
}

func (m *memory) PutUser(_ context.Context, u store.User) error { m.users[u.Name] = u; return nil }
func (m *memory) User(_ context.Context, name string) (store.User, error) {
	u, ok := m.users[name]
	if !ok {
		return u, store.ErrNotFound
	}
	return u, nil
}
func (m *memory) UserList(context.Context) (out []store.User, _ error) {
	for _, u := range m.users {
		out = append(out, u)
	}
	return out, nil
}
func (m *memory) DeleteUser(_ context.Context, name string) error { delete(m.users, name); return nil }
func (m *memory) PutSecret(_ context.Context, s store.Secret) error {
	m.secrets[s.Hash] = s
	return nil
}
func (m *memory) UseSecret(_ context.Context, k store.SecretKind, h exchange.Hash, now time.Time) (store.Secret, error) {
	s, ok := m.secrets[h]
	if !ok || s.Kind != k || (!s.Expires.IsZero() && !now.Before(s.Expires)) {
		return s, store.ErrNotFound
	}
	if k == store.LoginLink {
		delete(m.secrets, h)
	}
	s.LastUsed = now
	if k != store.LoginLink {
		m.secrets[h] = s
	}
	return s, nil
}
func (m *memory) SecretList(_ context.Context, k store.SecretKind, user string) (out []store.Secret, _ error) {
	for _, s := range m.secrets {
		if s.Kind == k && (user == "" || s.User == user) {
			out = append(out, s)
		}
	}
	return out, nil
}
func (m *memory) DeleteSecret(_ context.Context, _ store.SecretKind, h exchange.Hash) error {
	if _, ok := m.secrets[h]; !ok {
		return store.ErrNotFound
	}
	delete(m.secrets, h)
	return nil
}
func (m *memory) ExpireSecrets(context.Context, time.Time) error { return nil }
func (m *memory) AddAudit(_ context.Context, a store.AuditRow) error {
	m.audit = append(m.audit, a)
	return nil
}

func newAccess(now *time.Time) (*Access, *memory) {
	m := &memory{users: map[string]store.User{}, secrets: map[exchange.Hash]store.Secret{}}
	return New(Config{Users: m, Secrets: m, Auditor: m, Now: func() time.Time { return *now }}), m
}

func TestRolesIncludeTheOnesBelow(t *testing.T) {
	for _, c := range []struct {
		has, need Role
		want      bool
	}{{Viewer, Viewer, true}, {Viewer, Support, false}, {Support, Viewer, true}, {Support, Admin, false}, {Admin, Support, true}, {Anonymous, Viewer, false}, {"root", Viewer, false}, {"", "", true}} {
		if got := c.has.Includes(c.need); got != c.want {
			t.Errorf("%q may %q: %v", c.has, c.need, got)
		}
	}
}

func TestThereIsAlwaysAnAdministrator(t *testing.T) {
	now := time.Now()
	a, _ := newAccess(&now)
	if _, err := a.Bootstrap(t.Context()); err != nil {
		t.Fatal(err)
	}
	var e *Error
	for name, err := range map[string]error{"demoted": a.PutUser(t.Context(), "x", "admin", Viewer, false), "disabled": a.PutUser(t.Context(), "x", "admin", Admin, true)} {
		if !errors.As(err, &e) || e.Code != "last_admin" {
			t.Errorf("the only administrator was %s: %v", name, err)
		}
	}
	if err := errors.Join(a.PutUser(t.Context(), "x", "eve", Admin, false), a.PutUser(t.Context(), "x", "admin", Viewer, false)); err != nil {
		t.Error(err)
	}
	if err := a.PutUser(t.Context(), "x", "eve", Admin, true); !errors.As(err, &e) || e.Code != "last_admin" {
		t.Errorf("the other one was disabled: %v", err)
	}
}

func TestNamesArePrintable(t *testing.T) {
	now := time.Now()
	a, _ := newAccess(&now)
	for _, bad := range []string{"", " x", "a\nb", "a\x1b[31m", "\u202eevil", strings.Repeat("x", 129), "\xff"} {
		var e *Error
		if err := a.PutUser(t.Context(), "x", bad, Viewer, false); !errors.As(err, &e) || e.Code != "name_invalid" {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestS65_ALoginEndsTheSessionBeforeIt(t *testing.T) {
	now := time.Now()
	a, m := newAccess(&now)
	login := func(with *http.Cookie) *http.Cookie {
		t.Helper()
		path, err := a.Bootstrap(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("POST", "https://collector.example"+path, nil)
		if with != nil {
			r.AddCookie(with)
		}
		w := httptest.NewRecorder()
		if err := a.Login(w, r, strings.TrimPrefix(path, "/login/")); err != nil {
			t.Fatal(err)
		}
		return w.Result().Cookies()[0]
	}
	planted := login(nil)
	if again := login(planted); again.Value == planted.Value {
		t.Error("a session's id was carried over a login")
	}
	r := httptest.NewRequest("GET", "https://collector.example/", nil)
	r.AddCookie(planted)
	if _, err := a.Identify(r); !errors.Is(err, ErrLogin) {
		t.Errorf("the session from before: %v", err)
	}
	for _, s := range m.secrets {
		if strings.Contains(planted.Value, s.Hash.String()) || s.User == "" {
			t.Errorf("kept %+v", s)
		}
	}
}
