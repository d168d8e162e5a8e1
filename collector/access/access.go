// Package access knows who may see the collector's pages and API: users with a role,
// one-time login links, sessions and API tokens.
//
// Invariants:
//
//   - A secret is 256 random bits, shown once; the store keeps its SHA-256 only, so a stolen
//     database opens nothing.
//   - A login link works once, within 15 minutes, and only by POST: whoever merely looks at
//     the address (a chat's previewer, a scanner) does not spend it.
//   - A session ends after 12 hours without use, after 7 days in any case, at logout, and
//     when its user is disabled or deleted. Its cookie is __Host-, Secure, HttpOnly, SameSite=Strict.
//   - A change asked for with a cookie needs the session's CSRF token and must come from the
//     same origin. API tokens read only and carry no cookie, so they need neither.
//   - Logins, made and revoked tokens and changed users stand in the audit log. No secret does.
//
// States on disk: rows of users, secrets and audit in the store.
package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// Role of a user; each includes the ones before it.
type Role string

const (
	Anonymous Role = ""
	Viewer    Role = "viewer"  // reads figures
	Support   Role = "support" // also quarantine and losses with their raw bytes
	Admin     Role = "admin"   // also tokens, users, audit
)

// Roles in rising order.
func Roles() []Role { return []Role{Viewer, Support, Admin} }

// Includes reports whether r may do what need may do.
func (r Role) Includes(need Role) bool {
	return need == Anonymous || slices.Index(Roles(), r) >= slices.Index(Roles(), need) && slices.Contains(Roles(), r)
}

// ScopeRead lets an API token read what its user may read. It is the only scope there is.
const ScopeRead = "read"

const (
	linkLife     = 15 * time.Minute
	idleTimeout  = 12 * time.Hour
	sessionLife  = 7 * 24 * time.Hour
	maxTokenLife = 366 * 24 * time.Hour
	maxName      = 128
)

// Users is what access needs of the store about users.
type Users interface {
	PutUser(ctx context.Context, u store.User) error
	User(ctx context.Context, name string) (store.User, error)
	UserList(ctx context.Context) ([]store.User, error)
	DeleteUser(ctx context.Context, name string) error
}

// Auditor takes what was done.
type Auditor interface {
	AddAudit(ctx context.Context, a store.AuditRow) error
}

// Config of the access room. Users, Secrets and Auditor are required.
type Config struct {
	Users   Users
	Secrets store.Secrets
	Auditor Auditor
	Log     *slog.Logger     // default: none
	Now     func() time.Time // default time.Now; real time, also for simulated sites
}

// Access decides who may come in.
type Access struct {
	c      Config
	origin *http.CrossOriginProtection
}

// New builds it.
func New(c Config) *Access {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Access{c: c, origin: http.NewCrossOriginProtection()}
}

// Error is refused access, as people and programs are told. Codes are append-only.
type Error struct {
	Status              int
	Code, Message, Hint string
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Errors that callers compare with errors.Is.
var (
	ErrLogin  = &Error{http.StatusUnauthorized, "login_required", "You are not signed in.", "Ask for a login link: fieldpost-collector user login NAME"}
	ErrLink   = &Error{http.StatusGone, "link_spent", "This login link was used, is older than 15 minutes, or never existed.", "Ask for a new one: fieldpost-collector user login NAME"}
	ErrRole   = &Error{http.StatusForbidden, "role_missing", "Your role does not allow this.", "Ask an administrator of this collector."}
	ErrToken  = &Error{http.StatusUnauthorized, "token_invalid", "The API token is unknown, expired or revoked.", "Make a new one under Settings and send it as Authorization: Bearer TOKEN."}
	ErrForged = &Error{http.StatusForbidden, "request_forged", "The request did not come from one of this collector's own pages.", "Reload the page and try again."}
	ErrReads  = &Error{http.StatusForbidden, "token_reads_only", "API tokens can only read.", "Use the pages or the command line for changes."}
)

// Identity is who asks.
type Identity struct {
	User  string
	Role  Role
	Token bool // came with an API token, not with a session

	session exchange.Hash
	secret  string
}

// CSRF is the token that forms of this session carry. It follows from the session's secret,
// which the browser's scripts cannot read, and is worth nothing for any other session.
func (i Identity) CSRF() string {
	if i.secret == "" {
		return ""
	}
	h := sha256.Sum256([]byte("fieldpost/csrf/v1\x00" + i.secret))
	return base64.RawURLEncoding.EncodeToString(h[:])
}

func newSecret() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func hashOf(secret string) exchange.Hash { return sha256.Sum256([]byte(secret)) }

func (a *Access) audit(ctx context.Context, actor, action, subject, detail string) error {
	return a.c.Auditor.AddAudit(ctx, store.AuditRow{At: a.c.Now(), Actor: actor, Action: action, Subject: subject, Detail: detail})
}

// Bootstrap makes the user "admin" if nobody exists and returns the path of a login link for
// it, for the first line that serve prints.
func (a *Access) Bootstrap(ctx context.Context) (path string, err error) {
	const name = "admin"
	if _, err := a.c.Users.User(ctx, name); errors.Is(err, store.ErrNotFound) {
		if err := a.PutUser(ctx, "serve", name, Admin, false); err != nil {
			return "", err
		}
	} else if err != nil {
		return "", fmt.Errorf("reading the first user: %w", err)
	}
	return a.LoginLink(ctx, "serve", name)
}

// LoginLink makes a one-time login link for a user and returns its path, "/login/SECRET".
func (a *Access) LoginLink(ctx context.Context, by, user string) (path string, err error) {
	u, err := a.c.Users.User(ctx, user)
	if err != nil {
		return "", fmt.Errorf("making a login link: %w", err)
	}
	if u.Disabled {
		return "", &Error{http.StatusConflict, "user_disabled", "The user " + user + " is disabled.", "Enable the user first."}
	}
	now, secret := a.c.Now(), newSecret()
	if err := a.c.Secrets.ExpireSecrets(ctx, now); err != nil {
		return "", fmt.Errorf("making a login link: %w", err)
	}
	if err := a.c.Secrets.PutSecret(ctx, store.Secret{Kind: store.LoginLink, Hash: hashOf(secret), User: user, Created: now, Expires: now.Add(linkLife)}); err != nil {
		return "", fmt.Errorf("making a login link: %w", err)
	}
	return "/login/" + secret, a.audit(ctx, by, "login_link_created", user, "")
}

// PutUser creates a user or changes role and state.
func (a *Access) PutUser(ctx context.Context, by, name string, role Role, disabled bool) error {
	if err := checkName(name); err != nil {
		return err
	}
	if !slices.Contains(Roles(), role) {
		return &Error{http.StatusBadRequest, "role_unknown", "There is no role " + quoted(string(role)) + ".", "Use viewer, support or admin."}
	}
	u, err := a.c.Users.User(ctx, name)
	action := "user_changed"
	if errors.Is(err, store.ErrNotFound) {
		u, action = store.User{Name: name, Created: a.c.Now()}, "user_created"
	} else if err != nil {
		return fmt.Errorf("changing user %s: %w", name, err)
	}
	losesAdmin := u.Role == string(Admin) && !u.Disabled && (disabled || role != Admin)
	if losesAdmin {
		if err := a.keepOneAdmin(ctx, name); err != nil {
			return err
		}
	}
	u.Role, u.Disabled = string(role), disabled
	if err := a.c.Users.PutUser(ctx, u); err != nil {
		return fmt.Errorf("changing user %s: %w", name, err)
	}
	detail := "role " + string(role)
	if disabled {
		detail += ", disabled"
	}
	return a.audit(ctx, by, action, name, detail)
}

func (a *Access) keepOneAdmin(ctx context.Context, but string) error {
	list, err := a.c.Users.UserList(ctx)
	if err != nil {
		return fmt.Errorf("listing users: %w", err)
	}
	for _, u := range list {
		if u.Name != but && u.Role == string(Admin) && !u.Disabled {
			return nil
		}
	}
	return &Error{http.StatusConflict, "last_admin", "There would be no administrator left.", "Make another user an administrator first."}
}

// UserList by name.
func (a *Access) UserList(ctx context.Context) ([]store.User, error) { return a.c.Users.UserList(ctx) }

// checkName keeps names printable in a terminal, a log and a page.
func checkName(name string) error {
	bad := name == "" || len(name) > maxName || !utf8.ValidString(name) || strings.TrimSpace(name) != name
	for _, r := range name {
		bad = bad || !unicode.IsPrint(r)
	}
	if bad {
		return &Error{http.StatusBadRequest, "name_invalid", "A name has 1 to 128 bytes of printable text.", "Use a login or an e-mail address."}
	}
	return nil
}

func quoted(s string) string { return fmt.Sprintf("%.40q", s) }
