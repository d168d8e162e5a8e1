// Package web is the vendor's view: pages rendered on the server that tell what the fleet's
// figures say and what they do not.
//
// Invariants:
//
//   - Every figure is an interval with its form: exact, band, withheld and unknown are told
//     apart in every table, chart and sum, and each figure links to its definition.
//   - Every page works without script, is served only to a known user with the needed role,
//     and loads nothing from another host: a strict content security policy without inline
//     style or script stands on every answer.
//   - Every change is a POST with a CSRF token; every page state is in its URL.
//   - No page scans raw figures of many installations: lists come from roll-ups, and what
//     is summed over all accounts is remembered for some seconds (board).
//
// It keeps nothing on disk.
package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/fieldpost/fieldpost/collector/access"
	"github.com/fieldpost/fieldpost/collector/insight"
	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/collector/web/board"
	"github.com/fieldpost/fieldpost/collector/web/words"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed static
var staticFiles embed.FS

// TokenRequest asks for an enrolment token.
type TokenRequest struct {
	Account, Installation, Environment string
	By                                 string // the user
	Life                               time.Duration
}

// TokenStore reads enrolment tokens.
type TokenStore interface {
	Token(ctx context.Context, id exchange.ID) (store.Token, error)
	Tokens(ctx context.Context, limit int) ([]store.Token, error)
}

// AgentStore reads agents.
type AgentStore interface {
	AgentsOf(ctx context.Context, account, installation string, limit int) ([]store.Agent, error)
}

// StatementStore reads the history of consent.
type StatementStore interface {
	StatementsOf(ctx context.Context, account, installation string) ([]store.Statement, error)
}

// Config of the pages. All stores, Access and MakeToken are required.
type Config struct {
	Access       *access.Access
	Accounts     store.Accounts
	Fleet        store.Fleet
	Measurements store.Measurements
	Troubles     store.Troubles
	Catalogs     store.Catalogs
	Pool         store.Pool
	Statements   StatementStore
	Tokens       TokenStore
	Agents       AgentStore
	// MakeToken makes an enrolment token, keeps its public half and audits it. The text is
	// shown once.
	MakeToken func(ctx context.Context, r TokenRequest) (text string, id exchange.ID, err error)

	// Fresh is how long what was summed over all accounts is shown before it is summed again,
	// behind the reader's back. Default 15 s: 1,000 accounts take about a second, and the
	// page says when it was.
	Fresh time.Duration
	Log   *slog.Logger     // default: none
	Now   func() time.Time // default time.Now
}

// Handler serves the pages.
type Handler struct {
	c     Config
	mux   *http.ServeMux
	pages map[string]*template.Template
	asset map[string]asset
	board *board.Board
	pool  *insight.Pool
}

type asset struct {
	body []byte
	kind string
}

// New builds the pages.
func New(c Config) (*Handler, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Fresh == 0 {
		c.Fresh = 15 * time.Second
	}
	h := &Handler{c: c, mux: http.NewServeMux(), pages: map[string]*template.Template{}, asset: map[string]asset{}}
	h.pool = insight.New(c.Pool, c.Catalogs)
	h.board = board.New(board.Config{Accounts: c.Accounts, Fleet: c.Fleet, Measurements: c.Measurements, Catalogs: c.Catalogs, Fresh: c.Fresh, Now: c.Now})
	if err := h.load(); err != nil {
		return nil, err
	}
	for _, r := range h.routes() {
		h.mux.HandleFunc(r.Method+" "+r.Pattern, h.serve(r))
	}
	h.mux.HandleFunc("GET /static/{name}", h.static)
	return h, nil
}

// Close ends what is being summed behind the pages. Call it before the store is closed.
func (h *Handler) Close() error {
	h.board.Close()
	return nil
}

// Route is a page, with the least role that may see it.
type Route struct {
	Method, Pattern string
	Need            access.Role
	page            func(*request) error
	open            bool // reached without signing in
}

func (h *Handler) routes() []Route {
	return []Route{
		{Method: "GET", Pattern: "/{$}", Need: access.Viewer, page: h.overview},
		{Method: "GET", Pattern: "/accounts", Need: access.Viewer, page: h.accounts},
		{Method: "GET", Pattern: "/accounts/{key}", Need: access.Viewer, page: h.account},
		{Method: "GET", Pattern: "/fleet", Need: access.Viewer, page: h.fleet},
		{Method: "GET", Pattern: "/fleet/{account}/{installation}", Need: access.Viewer, page: h.installation},
		{Method: "GET", Pattern: "/measures", Need: access.Viewer, page: h.measures},
		{Method: "GET", Pattern: "/measures/{id}", Need: access.Viewer, page: h.measure},
		{Method: "GET", Pattern: "/answers", Need: access.Viewer, page: h.answers},
		{Method: "GET", Pattern: "/pool", Need: access.Viewer, page: h.pooled},
		{Method: "GET", Pattern: "/quarantine", Need: access.Viewer, page: h.troubles},
		{Method: "GET", Pattern: "/settings", Need: access.Viewer, page: h.settings},
		{Method: "POST", Pattern: "/settings/tokens", Need: access.Viewer, page: h.makeAPIToken},
		{Method: "POST", Pattern: "/settings/tokens/revoke", Need: access.Viewer, page: h.revokeAPIToken},
		{Method: "POST", Pattern: "/settings/users", Need: access.Admin, page: h.putUser},
		{Method: "POST", Pattern: "/settings/links", Need: access.Admin, page: h.makeLink},
		{Method: "GET", Pattern: "/start", Need: access.Admin, page: h.start},
		{Method: "POST", Pattern: "/start", Need: access.Admin, page: h.makeToken},
		{Method: "GET", Pattern: "/start/{token}", Need: access.Admin, page: h.wait},
		{Method: "POST", Pattern: "/logout", Need: access.Viewer, page: h.logout},
		{Method: "GET", Pattern: "/login", page: h.loginNeeded, open: true},
		{Method: "GET", Pattern: "/login/{secret}", page: h.loginPage, open: true},
		{Method: "POST", Pattern: "/login/{secret}", page: h.login, open: true},
	}
}

// Routes lists the pages, for tests that walk them.
func (h *Handler) Routes() []Route { return h.routes() }

func (h *Handler) load() error {
	base, err := template.New("layout.html").Funcs(words.Funcs()).Funcs(template.FuncMap{"asset": h.assetURL}).ParseFS(templateFiles, "templates/layout.html", "templates/parts.html")
	if err != nil {
		return fmt.Errorf("reading the templates: %w", err)
	}
	names, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		return fmt.Errorf("listing the templates: %w", err)
	}
	for _, n := range names {
		name := strings.TrimSuffix(strings.TrimPrefix(n, "templates/"), ".html")
		if name == "layout" || name == "parts" {
			continue
		}
		t, err := template.Must(base.Clone()).ParseFS(templateFiles, n)
		if err != nil {
			return fmt.Errorf("reading template %s: %w", name, err)
		}
		h.pages[name] = t
	}
	kinds := map[string]string{"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
	return fs.WalkDir(staticFiles, "static", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := staticFiles.ReadFile(path)
		h.asset[d.Name()] = asset{b, kinds[path[strings.LastIndexByte(path, '.')+1:]]}
		return err
	})
}

// assetURL names a static file with its content's hash, so that it may be kept for ever.
func (h *Handler) assetURL(name string) string {
	sum := sha256.Sum256(h.asset[name].body)
	return "/static/" + name + "?v=" + hex.EncodeToString(sum[:6])
}

func (h *Handler) static(w http.ResponseWriter, r *http.Request) {
	guard(w)
	a, ok := h.asset[r.PathValue("name")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", a.kind)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.body))
}

// Policy is the content security policy of every page.
const Policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

func guard(w http.ResponseWriter) {
	for k, v := range map[string]string{
		"Content-Security-Policy":      Policy,
		"X-Content-Type-Options":       "nosniff",
		"X-Frame-Options":              "DENY",
		"Referrer-Policy":              "no-referrer", // addresses hold account keys and login secrets
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin",
		"Permissions-Policy":           "camera=(), geolocation=(), microphone=()",
		"Cache-Control":                "no-store",
	} {
		w.Header().Set(k, v)
	}
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, pattern := h.mux.Handler(r); pattern == "" {
		guard(w)
		q := &request{h: h, w: w, r: r, ctx: r.Context()}
		q.id, _ = h.c.Access.Identify(r)
		err := &access.Error{Status: http.StatusNotFound, Code: "page_not_found", Message: "There is no page at this address.", Hint: "Start at the overview."}
		if !otherMethod(h.mux, r) {
			q.fail(err)
			return
		}
		q.fail(&access.Error{Status: http.StatusMethodNotAllowed, Code: store.CodeMethod, Message: "This address does not take " + r.Method + ".", Hint: "Go back and reload the page."})
		return
	}
	h.mux.ServeHTTP(w, r)
}

// otherMethod reports whether another method would have found a page.
func otherMethod(mux *http.ServeMux, r *http.Request) bool {
	other := r.Clone(r.Context())
	for _, m := range []string{http.MethodGet, http.MethodPost} {
		other.Method = m
		if _, p := mux.Handler(other); p != "" {
			return true
		}
	}
	return false
}

// request is one request of a page.
type request struct {
	h   *Handler
	w   http.ResponseWriter
	r   *http.Request
	ctx context.Context
	id  access.Identity
}

func (q *request) get(name string) string { return q.r.URL.Query().Get(name) }

func (h *Handler) serve(rt Route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		guard(w)
		r.Body = http.MaxBytesReader(w, r.Body, 64<<10) // forms are a few hundred bytes
		q := &request{h: h, w: w, r: r, ctx: r.Context()}
		if !rt.open {
			id, err := h.c.Access.Allow(r, rt.Need)
			if err != nil {
				q.refuse(id, err)
				return
			}
			q.id = id
		}
		if err := rt.page(q); err != nil {
			q.fail(err)
		}
	}
}

// refuse shows why, or where to sign in. Somebody who follows a link from a mail or a chat
// has a session that SameSite=Strict hides: one step on our own page brings it out.
func (q *request) refuse(id access.Identity, err error) {
	q.id = id
	if errors.Is(err, access.ErrLogin) && q.r.Method == http.MethodGet {
		if q.r.Header.Get("Sec-Fetch-Site") == "cross-site" && q.r.Header.Get("Sec-Fetch-Mode") == "navigate" {
			q.render(http.StatusOK, "bounce", page{Title: "One moment"}, q.r.URL.RequestURI())
			return
		}
		http.Redirect(q.w, q.r, "/login", http.StatusSeeOther)
		return
	}
	q.fail(err)
}

// page is what the layout needs.
type page struct {
	Title   string
	Section string // of the menu
	Refresh int    // seconds, without script
	User    access.Identity
	CSRF    string
	Admin   bool
	Menu    []menuItem
	Now     time.Time
	Data    any
}

type menuItem struct {
	Href, Name, Key string
	Count           string
}

func (q *request) menu() []menuItem {
	m := []menuItem{{"/", "Overview", "overview", ""}, {"/accounts", "Accounts", "accounts", ""}, {"/fleet", "Fleet", "fleet", ""},
		{"/answers", "Answers", "answers", ""}, {"/measures", "Measures", "measures", ""}, {"/pool", "Pool", "pool", ""}, {"/quarantine", "Quarantine", "quarantine", ""}, {"/settings", "Settings", "settings", ""}}
	if o, err := q.h.board.Overview(q.ctx); err == nil {
		m[1].Count, m[2].Count, m[4].Count, m[6].Count = words.Num(o.Accounts), words.Num(o.Installations), words.Num(o.Measures), words.Num(o.Quarantined+o.Losses)
	}
	return m
}

func (q *request) render(status int, name string, p page, data any) {
	p.User, p.CSRF, p.Data, p.Admin, p.Now = q.id, q.id.CSRF(), data, q.id.Role.Includes(access.Admin), q.h.c.Now()
	if q.id.User != "" {
		p.Menu = q.menu()
	}
	var b bytes.Buffer
	if err := q.h.pages[name].ExecuteTemplate(&b, "layout.html", p); err != nil {
		q.h.c.Log.ErrorContext(q.ctx, "page not rendered", "page", name, "error", err)
		http.Error(q.w, "internal: the page could not be rendered. Try: reload it.", http.StatusInternalServerError)
		return
	}
	q.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	q.w.WriteHeader(status)
	_, _ = q.w.Write(b.Bytes()) // the reader went away: nothing to tell it
}

// told is an error that people may see; nil for one that only the log may.
func told(err error) *access.Error {
	var e *access.Error
	var p *store.Problem
	switch {
	case errors.As(err, &e):
		return e
	case errors.As(err, &p):
		e = &access.Error{Status: p.Status, Code: p.Code, Message: p.Message, Hint: p.Hint}
		if e.Status < 400 {
			e.Status = http.StatusConflict
		}
		return e
	}
	return nil
}

// fail shows an error with its code. What went wrong inside is logged, not shown.
func (q *request) fail(err error) {
	e := told(err)
	var tooLarge *http.MaxBytesError
	switch {
	case e != nil:
	case errors.As(err, &tooLarge):
		e = &access.Error{Status: http.StatusRequestEntityTooLarge, Code: store.CodeTooLarge, Message: "The form is too large.", Hint: "Shorten the fields."}
	case errors.Is(err, store.ErrNotFound):
		e = &access.Error{Status: http.StatusNotFound, Code: "not_found", Message: "This does not exist, or not any more.", Hint: "Look for it in the lists."}
	case errors.Is(err, context.Canceled):
		return
	default:
		q.h.c.Log.ErrorContext(q.ctx, "page failed", "path", q.r.URL.Path, "error", err)
		e = &access.Error{Status: http.StatusInternalServerError, Code: store.CodeInternal, Message: "The page could not be made; nothing was changed.", Hint: "Try again; the collector's log says more."}
	}
	q.render(e.Status, "error", page{Title: e.Message}, e)
}

// with is the page's address with some parameters changed; "" removes one.
func (q *request) with(pairs ...string) string {
	v := q.r.URL.Query()
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			v.Del(pairs[i])
		} else {
			v.Set(pairs[i], pairs[i+1])
		}
	}
	u := url.URL{Path: q.r.URL.Path, RawQuery: v.Encode()}
	return u.String()
}
