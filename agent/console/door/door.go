// Package door lets those in who hold a one-time login link, and remembers them in memory.
//
// Invariants: a link is made through a file that only the state's owner can write, works once,
// and for 15 minutes; a session ends after 12 hours, after 2 without use, and with the program;
// neither a link's token nor a session's secret is kept in the clear.
//
// State on disk, in the folder console of the state directory (0700):
//
//	address                where the console listens; there while it runs, or after a crash
//	login-UNIXTIME-SHA256  a login link that was not used: when it ends, the hash of its token
//
// Crash points: a link is used up by removing its file, and a crash before the session exists costs
// the link, never gives two logins. A stale address is harmless: Link looks whether somebody listens.
package door

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/protocol/durable"
)

// RefreshHeader marks requests that a page makes by itself: they keep no session alive.
const RefreshHeader = "Fieldpost-Refresh"

const (
	linkValid   = 15 * time.Minute
	sessionLong = 12 * time.Hour
	sessionIdle = 2 * time.Hour
	// sessionsMost: an administrator has a handful of browsers; the oldest session gives way.
	sessionsMost = 32
)

// Room is the console's folder in the state directory.
func Room(state string) string { return filepath.Join(state, "console") }

const addressFile = "address"

// Link makes a one-time login link for the console that runs on the state directory. The
// link is handed over through a file that only the state's owner can make; it is valid for 15
// minutes and for one login.
func Link(dir string) (string, error) {
	room := Room(dir)
	address, err := durable.ReadFile(durable.OS(), filepath.Join(room, addressFile), 256)
	if errors.Is(err, fs.ErrPermission) {
		return "", &control.Error{Code: "state_permission", Message: "the state " + dir + " belongs to another user", Hint: "run this as the user of the agent, or as root", Exit: 1}
	}
	if err != nil {
		return "", notRunning()
	}
	base := "http://" + strings.TrimSpace(string(address))
	conn, err := net.DialTimeout("tcp", strings.TrimSpace(string(address)), time.Second)
	if err != nil { // the agent died without taking its address away
		return "", notRunning()
	}
	conn.Close()
	secret := make([]byte, 32)
	rand.Read(secret) // never fails (crypto/rand)
	token := base64.RawURLEncoding.EncodeToString(secret)
	path := filepath.Join(room, linkName(token, time.Now().Add(linkValid)))
	if err := durable.WriteFile(durable.OS(), path, nil, 0o600); err != nil {
		return "", fmt.Errorf("making a login link: %w", err)
	}
	return base + "/login?link=" + token, nil
}

func notRunning() error {
	return &control.Error{Code: "console_not_running", Message: "no console answers for this state", Hint: "fieldpost-agent run, and look that console is not off", Exit: 3}
}

// linkName is the name of a link's file: when it ends and the hash of its token. So nothing has
// to be read, and a file that root made serves an agent that may not read it.
func linkName(token string, ends time.Time) string {
	sum := sha256.Sum256([]byte(token))
	return "login-" + strconv.FormatInt(ends.Unix(), 10) + "-" + hex.EncodeToString(sum[:])
}

// Door lets in who holds a link, and remembers who is in.
type Door struct {
	Cookie string // its name

	room string // the console's folder
	now  func() time.Time

	mu   sync.Mutex // guards open and each session's seen
	open map[[sha256.Size]byte]*Session
}

// Session is one browser that is logged in.
type Session struct {
	Token string // each form carries it
	made  time.Time
	seen  time.Time // guarded by the door's mu
}

// New is the door of the console over a state directory. now is the clock; default time.Now.
func New(state, cookie string, now func() time.Time) *Door {
	if now == nil {
		now = time.Now
	}
	return &Door{Cookie: cookie, room: Room(state), now: now, open: map[[sha256.Size]byte]*Session{}}
}

// Publish makes the folder and tells LoginLink where the console listens.
func (d *Door) Publish(address string) error {
	if err := durable.MkdirAll(durable.OS(), d.room, 0o700); err != nil {
		return fmt.Errorf("making the console's folder: %w", err)
	}
	if err := durable.CleanTemps(durable.OS(), d.room); err != nil {
		return fmt.Errorf("cleaning the console's folder: %w", err)
	}
	d.sweep()
	if err := durable.WriteFile(durable.OS(), filepath.Join(d.room, addressFile), []byte(address+"\n"), 0o600); err != nil {
		return fmt.Errorf("writing the console's address: %w", err)
	}
	return nil
}

// Withdraw takes the address away.
func (d *Door) Withdraw() {
	_ = os.Remove(filepath.Join(d.room, addressFile)) // what stays is harmless, see the package comment
}

// sweep removes links whose time has passed.
func (d *Door) sweep() {
	names, err := filepath.Glob(filepath.Join(d.room, "login-*"))
	if err != nil {
		return
	}
	for _, n := range names {
		if ends, _, ok := splitLink(filepath.Base(n)); !ok || !d.now().Before(ends) {
			_ = os.Remove(n) // the next sweep tries again
		}
	}
}

func splitLink(name string) (ends time.Time, sum string, ok bool) {
	rest, ok := strings.CutPrefix(name, "login-")
	if !ok {
		return time.Time{}, "", false
	}
	unix, sum, ok := strings.Cut(rest, "-")
	n, err := strconv.ParseInt(unix, 10, 64)
	return time.Unix(n, 0), sum, ok && err == nil && len(sum) == 2*sha256.Size
}

// ErrLink: the link was used, is too old, or was never made.
var ErrLink = errors.New("link is not valid")

// Redeem uses a link up. Of many who try at the same time one succeeds: removing the file is
// what counts.
func (d *Door) Redeem(token string) error {
	info, err := os.Lstat(d.room)
	if err != nil {
		return ErrLink
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%w: others may write to %s", ErrLink, d.room)
	}
	defer d.sweep()
	entries, err := os.ReadDir(d.room)
	if err != nil {
		return fmt.Errorf("reading the console's folder: %w", err)
	}
	sum := sha256.Sum256([]byte(token))
	want := hex.EncodeToString(sum[:])
	for _, e := range entries {
		ends, got, ok := splitLink(e.Name())
		if !ok || subtle.ConstantTimeCompare([]byte(got), []byte(want)) != 1 {
			continue
		}
		if !e.Type().IsRegular() || !d.now().Before(ends) || ends.After(d.now().Add(linkValid+time.Minute)) {
			return ErrLink
		}
		if os.Remove(filepath.Join(d.room, e.Name())) != nil {
			return ErrLink
		}
		return nil
	}
	return ErrLink
}

// Enter opens a session and gives its secret.
func (d *Door) Enter() string {
	secret := rand.Text() + rand.Text()
	now := d.now()
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.open) >= sessionsMost {
		var oldest [sha256.Size]byte
		var at time.Time
		for k, s := range d.open {
			if at.IsZero() || s.seen.Before(at) {
				oldest, at = k, s.seen
			}
		}
		delete(d.open, oldest)
	}
	d.open[sha256.Sum256([]byte(secret))] = &Session{Token: rand.Text() + rand.Text(), made: now, seen: now}
	return secret
}

// Of is the session of a request, or nil. A page that refreshes itself does not keep one alive.
func (d *Door) Of(r *http.Request) *Session {
	c, err := r.Cookie(d.Cookie)
	if err != nil || c.Value == "" {
		return nil
	}
	k, now := sha256.Sum256([]byte(c.Value)), d.now()
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.open[k]
	if s == nil {
		return nil
	}
	if now.Sub(s.made) > sessionLong || now.Sub(s.seen) > sessionIdle {
		delete(d.open, k)
		return nil
	}
	if r.Header.Get(RefreshHeader) == "" {
		s.seen = now
	}
	return s
}

// Leave ends a session.
func (d *Door) Leave(r *http.Request) {
	if c, err := r.Cookie(d.Cookie); err == nil {
		d.mu.Lock()
		delete(d.open, sha256.Sum256([]byte(c.Value)))
		d.mu.Unlock()
	}
}
