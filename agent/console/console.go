// Package console is the site's own web page: what the product does here, what would leave, what
// left, and the customer's decision about it.
//
// Invariants: no page without a login; no request to anywhere but itself; no view of one
// person, and no exact figure: it shows what control.Site gives without asking for those; every
// change is a POST that carries the token of its session; HTML is made by package markup alone.
// A page waits a bounded time for figures and shows the rest with its next load.
//
// State on disk, in the folder console of the state directory, beside that of package door:
//
//	rejected.json  the catalog the customer said no to; lost, the request shows as waiting again
package console

import (
	"context"
	"crypto/sha256"
	_ "embed" // the style sheet, the script and the icon
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/fieldpost/fieldpost/agent/console/ask"
	"github.com/fieldpost/fieldpost/agent/console/door"
	m "github.com/fieldpost/fieldpost/agent/console/markup"
	"github.com/fieldpost/fieldpost/agent/control"
)

//go:embed assets/style.css
var styleSheet string

//go:embed assets/console.js
var script string

//go:embed assets/icon.svg
var icon string

// Config is what the console needs.
type Config struct {
	Site    control.Site
	Dir     string       // the state directory
	Address string       // host:port it listens on; the name in login links and in the Host check
	Logger  *slog.Logger // default: none
}

// LoginLink makes a one-time login link for the console that runs on the state directory dir: valid
// for 15 minutes and one login. Only who may write into the state can make one.
func LoginLink(dir string) (string, error) { return door.Link(dir) }

// Console serves the site's pages.
type Console struct {
	cfg     Config
	log     *slog.Logger
	address string // as a browser on this machine reaches it
	door    *door.Door
	desk    desk
	asker   *ask.Asker
	books   catalogs
	handler http.Handler
}

// New is a console; nothing is on disk and nobody listens until Serve.
func New(cfg Config) *Console {
	c := &Console{cfg: cfg, log: cfg.Logger}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	address, cookie := reach(cfg.Address)
	c.address = address
	c.door = door.New(cfg.Dir, cookie, nil)
	c.asker = ask.New(cfg.Site)
	c.handler = c.guard(c.mux())
	return c
}

// reach is the address a browser on this machine uses, and the name of the cookie: cookies do
// not know ports, and two agents on a machine must not log each other out.
func reach(address string) (string, string) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address, "fieldpost"
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), "fieldpost-" + port
}

// Serve answers on l until ctx ends, and waits for what it began.
func (c *Console) Serve(ctx context.Context, l net.Listener) error {
	if err := c.door.Publish(c.address); err != nil {
		l.Close()
		return err
	}
	defer c.door.Withdraw()
	life, end := context.WithCancel(ctx)
	c.asker.During(life)
	defer c.asker.Close()
	defer end()
	s := &http.Server{
		Handler:           c.handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      time.Minute, // a ledger's raw bytes to a slow disk
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(c.log.Handler(), slog.LevelWarn),
	}
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(closed)
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
		defer cancel()
		if s.Shutdown(late) != nil {
			s.Close() // cuts whoever did not finish
		}
	})
	err := s.Serve(l)
	if !stop() {
		<-closed
	}
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving the console: %w", err)
	}
	return nil
}

// route is one address.
type route struct {
	pattern string
	open    bool // needs no login: it tells nothing
	handler http.HandlerFunc
}

// routes are all there are.
func (c *Console) routes() []route {
	return []route{
		{"GET /style.css", true, asset("text/css; charset=utf-8", styleSheet)},
		{"GET /console.js", true, asset("text/javascript; charset=utf-8", script)},
		{"GET /icon.svg", true, asset("image/svg+xml", icon)},
		{"GET /login", true, c.loginPage},
		{"POST /login", true, c.login},

		{"GET /{$}", false, c.page(c.health)},
		{"GET /use", false, c.page(c.use)},
		{"GET /use/{measure}", false, c.page(c.useOne)},
		{"GET /leaves", false, c.page(c.leaves)},
		{"GET /left", false, c.page(c.left)},
		{"GET /left/{no}", false, c.page(c.leftOne)},
		{"GET /left/{no}/raw", false, c.in(c.raw)},
		{"GET /consent", false, c.page(c.consent)},

		{"POST /consent/review", false, c.act(c.review)},
		{"POST /consent/decide", false, c.act(c.decide)},
		{"POST /consent/accept", false, c.act(c.accept)},
		{"POST /consent/reject", false, c.act(c.reject)},
		{"POST /pause", false, c.act(c.pause)},
		{"POST /send", false, c.act(c.send)},
		{"POST /left/verify", false, c.act(c.verify)},
		{"POST /logout", false, c.act(c.logout)},
		{"/", false, c.in(func(w http.ResponseWriter, r *http.Request, _ *session) {
			refuse(w, http.StatusNotFound, "no_such_page", "There is no such page.", "Go back to the console's first page.")
		})},
	}
}

func (c *Console) mux() http.Handler {
	mux := http.NewServeMux()
	for _, r := range c.routes() {
		mux.HandleFunc(r.pattern, r.handler)
	}
	return mux
}

// asset serves one embedded file. Its address carries its hash, so it may be kept.
func asset(kind, content string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		w.Write([]byte(content)) // the browser sees a cut answer
	}
}

// version of an embedded file in its address.
func version(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:4])
}

// in lets a request pass that has a session.
func (c *Console) in(next func(http.ResponseWriter, *http.Request, *session)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		d := c.door.Of(r)
		if d == nil {
			c.refuseLogin(w, http.StatusUnauthorized, "")
			return
		}
		next(w, r, &session{d, &c.desk})
	}
}

// act is a change: a POST with a session and its token.
func (c *Console) act(next func(*request) (*view, error)) http.HandlerFunc {
	return c.in(func(w http.ResponseWriter, r *http.Request, s *session) {
		if !tokenOf(w, r, s.Session) {
			refuse(w, http.StatusForbidden, "form_expired", "The form is too old or too large.", "Load the page again and send the form once more.")
			return
		}
		c.answer(w, r, s, next)
	})
}

// page is a page to look at.
func (c *Console) page(next func(*request) (*view, error)) http.HandlerFunc {
	return c.in(func(w http.ResponseWriter, r *http.Request, s *session) { c.answer(w, r, s, next) })
}

// loginPage asks before it uses a link up: a mail scanner or a browser that loads ahead must not.
func (c *Console) loginPage(w http.ResponseWriter, r *http.Request) {
	if c.door.Of(r) != nil {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	link := r.URL.Query().Get("link")
	if link == "" {
		c.refuseLogin(w, http.StatusUnauthorized, "")
		return
	}
	plain(w, http.StatusOK, "Log in",
		m.El("p", m.Text("This link opens the console of the Fieldpost agent on this machine. It works once.")),
		m.El("form", m.Attr("method", "post"), m.Action(m.At("/login")),
			m.El("input", m.Attr("type", "hidden"), m.Attr("name", "link"), m.Attr("value", link)),
			m.El("button", m.Class("main"), m.Attr("type", "submit"), m.Text("Open the console"))))
}

func (c *Console) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := c.door.Redeem(r.PostFormValue("link")); err != nil {
		if err != door.ErrLink { // the bare one is an ordinary wrong link
			c.log.Warn("login refused", "error", err)
		}
		c.refuseLogin(w, http.StatusForbidden, "This link was used, is older than 15 minutes, or was never made here.")
		return
	}
	c.log.Info("console opened", "from", r.RemoteAddr)
	http.SetCookie(w, &http.Cookie{Name: c.door.Cookie, Value: c.door.Enter(), Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (c *Console) logout(q *request) (*view, error) {
	c.door.Leave(q.Request)
	http.SetCookie(q.w, &http.Cookie{Name: c.door.Cookie, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	return &view{to: m.At("/login")}, nil
}
