package access

import (
	"cmp"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

const cookieName = "__Host-fieldpost"

// CSRFField is the name of the form field that carries Identity.CSRF.
const CSRFField = "csrf"

// Login spends a login link and starts a session. The request must be a POST of our own page.
func (a *Access) Login(w http.ResponseWriter, r *http.Request, secret string) error {
	ctx, now := r.Context(), a.c.Now()
	if err := a.origin.Check(r); err != nil || r.Method != http.MethodPost {
		return ErrForged
	}
	link, err := a.c.Secrets.UseSecret(ctx, store.LoginLink, hashOf(secret), now)
	if errors.Is(err, store.ErrNotFound) {
		// Not audited: a stranger could fill the disk with rows.
		a.c.Log.InfoContext(ctx, "login refused", "from", r.RemoteAddr)
		return ErrLink
	} else if err != nil {
		return fmt.Errorf("spending a login link: %w", err)
	}
	u, err := a.c.Users.User(ctx, link.User)
	if errors.Is(err, store.ErrNotFound) || u.Disabled {
		return ErrLink
	} else if err != nil {
		return fmt.Errorf("reading user %s: %w", link.User, err)
	}
	// A session that was there before ends: its id is never carried over a login.
	if c, err := r.Cookie(cookieName); err == nil {
		if err := a.drop(ctx, hashOf(c.Value)); err != nil {
			return err
		}
	}
	id := newSecret()
	if err := a.c.Secrets.PutSecret(ctx, store.Secret{Kind: store.Session, Hash: hashOf(id), User: u.Name, Label: agentLabel(r), Created: now, Expires: now.Add(sessionLife), LastUsed: now}); err != nil {
		return fmt.Errorf("starting a session: %w", err)
	}
	setCookie(w, id, int(sessionLife/time.Second))
	return a.audit(ctx, u.Name, "login", u.Name, "")
}

// Logout ends the session of the identity.
func (a *Access) Logout(w http.ResponseWriter, r *http.Request, id Identity) error {
	setCookie(w, "", -1)
	if err := a.drop(r.Context(), id.session); err != nil {
		return err
	}
	return a.audit(r.Context(), id.User, "logout", id.User, "")
}

func setCookie(w http.ResponseWriter, value string, age int) {
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: value, Path: "/", MaxAge: age, Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode})
}

func (a *Access) drop(ctx context.Context, h exchange.Hash) error {
	if err := a.c.Secrets.DeleteSecret(ctx, store.Session, h); err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("ending a session: %w", err)
	}
	return nil
}

// Identify says who asks: by API token when there is an Authorization header, else by the
// session's cookie. ErrLogin when there is neither, ErrToken for a bad token.
func (a *Access) Identify(r *http.Request) (Identity, error) {
	if h := r.Header.Get("Authorization"); h != "" {
		return a.byToken(r.Context(), h)
	}
	c, err := r.Cookie(cookieName)
	if err != nil || len(c.Value) != 43 {
		return Identity{}, ErrLogin
	}
	ctx, now, h := r.Context(), a.c.Now(), hashOf(c.Value)
	if idle, err := a.idle(ctx, h, now); err != nil || idle {
		return Identity{}, cmp.Or(err, error(ErrLogin))
	}
	s, err := a.c.Secrets.UseSecret(ctx, store.Session, h, now)
	if errors.Is(err, store.ErrNotFound) {
		return Identity{}, ErrLogin
	} else if err != nil {
		return Identity{}, fmt.Errorf("reading a session: %w", err)
	}
	id, err := a.known(ctx, s.User)
	if err != nil {
		return Identity{}, err
	}
	id.session, id.secret = h, c.Value
	return id, nil
}

// idle reports whether a session was left unused for too long, and ends it then. UseSecret
// notes the use before it answers, so the last one is read beforehand; there are as many
// sessions as people at their desks.
func (a *Access) idle(ctx context.Context, h exchange.Hash, now time.Time) (bool, error) {
	list, err := a.c.Secrets.SecretList(ctx, store.Session, "")
	if err != nil {
		return false, fmt.Errorf("reading sessions: %w", err)
	}
	for _, s := range list {
		if s.Hash == h && now.Sub(s.LastUsed) > idleTimeout {
			return true, a.drop(ctx, h)
		}
	}
	return false, nil
}

func (a *Access) known(ctx context.Context, name string) (Identity, error) {
	u, err := a.c.Users.User(ctx, name)
	if errors.Is(err, store.ErrNotFound) || (err == nil && u.Disabled) {
		return Identity{}, ErrLogin
	} else if err != nil {
		return Identity{}, fmt.Errorf("reading user %s: %w", name, err)
	}
	return Identity{User: u.Name, Role: Role(u.Role)}, nil
}

// Allow identifies who asks and refuses who may not: a role below need, a change by API
// token, a forged change. Every handler goes through it.
func (a *Access) Allow(r *http.Request, need Role) (Identity, error) {
	id, err := a.Identify(r)
	if err != nil {
		return id, err
	}
	if !id.Role.Includes(need) {
		return id, ErrRole
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return id, nil
	}
	if id.Token {
		return id, ErrReads
	}
	if err := a.origin.Check(r); err != nil {
		return id, ErrForged
	}
	given := r.PostFormValue(CSRFField)
	if subtle.ConstantTimeCompare([]byte(given), []byte(id.CSRF())) != 1 {
		return id, ErrForged
	}
	return id, nil
}

// agentLabel is what the list of sessions shows: enough to tell a phone from a desk.
func agentLabel(r *http.Request) string {
	s := strings.Map(func(c rune) rune {
		if c < 32 || c > 126 {
			return -1
		}
		return c
	}, r.UserAgent())
	return s[:min(len(s), 120)]
}
