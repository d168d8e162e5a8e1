// Package api is the collector's read API, /api/v1, and its description in OpenAPI 3.1.
//
// Invariants: one table of routes serves requests and makes the description, so that the two
// cannot differ; every route names the least role that may use it; every list is paged by a
// cursor, bounded, and is there as JSON and as CSV; figures keep their form and interval in
// both; an error is {"code","message","hint"}. Cells of CSV never begin a formula. Nothing
// here changes anything.
//
// It keeps nothing on disk.
package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/fieldpost/fieldpost/collector/access"
	"github.com/fieldpost/fieldpost/collector/insight"
	"github.com/fieldpost/fieldpost/collector/store"
)

// Config of the API. All but Log and Now are required.
type Config struct {
	Access       *access.Access
	Accounts     store.Accounts
	Fleet        store.Fleet
	Measurements store.Measurements
	Pool         store.Pool
	Troubles     store.Troubles
	Catalogs     store.Catalogs
	Log          *slog.Logger     // default: none
	Now          func() time.Time // default time.Now
}

// Handler serves the API.
type Handler struct {
	c       Config
	insight *insight.Pool
	mux     *http.ServeMux
	doc     []byte
}

// New builds the API.
func New(c Config) (*Handler, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	h := &Handler{c: c, insight: insight.New(c.Pool, c.Catalogs), mux: http.NewServeMux()}
	var err error
	if h.doc, err = describe(h.routes()); err != nil {
		return nil, fmt.Errorf("describing the API: %w", err)
	}
	for _, r := range h.routes() {
		h.mux.HandleFunc("GET "+r.Path, h.serve(r, false))
		if r.list {
			h.mux.HandleFunc("GET "+r.Path+".csv", h.serve(r, true))
		}
	}
	h.mux.HandleFunc("GET /api/openapi.json", h.openapi)
	return h, nil
}

// call is one request of a route, its parameters checked against the table.
type call struct {
	ctx context.Context
	r   *http.Request
	id  access.Identity
}

func (c *call) get(name string) string { return c.r.URL.Query().Get(name) }

// page is what a list route answers.
type page struct {
	rows  any // a slice of a row type
	next  string
	total int // -1: not counted
}

// raw is what a download answers.
type raw struct {
	name string
	body []byte
}

func guard(w http.ResponseWriter) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, pattern := h.mux.Handler(r); pattern != "" {
		h.mux.ServeHTTP(w, r)
		return
	}
	guard(w)
	e := &access.Error{Status: http.StatusNotFound, Code: "route_unknown", Message: "The API has nothing at this path.", Hint: "GET /api/openapi.json lists what it has."}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		e = &access.Error{Status: http.StatusMethodNotAllowed, Code: store.CodeMethod, Message: "The API only reads.", Hint: "Use GET."}
		w.Header().Set("Allow", "GET, HEAD")
	}
	h.fail(w, r, e)
}

func (h *Handler) openapi(w http.ResponseWriter, _ *http.Request) {
	guard(w)
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(h.doc) // the reader went away: nothing to tell it
}

func (h *Handler) serve(rt Route, asCSV bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		guard(w)
		id, err := h.c.Access.Allow(r, rt.Need)
		if err == nil {
			err = check(rt, r)
		}
		if err != nil {
			h.fail(w, r, err)
			return
		}
		c := &call{ctx: r.Context(), r: r, id: id}
		if asCSV {
			h.csv(w, rt, c)
			return
		}
		out, err := rt.do(c)
		if err != nil {
			h.fail(w, r, err)
			return
		}
		switch v := out.(type) {
		case raw:
			w.Header().Set("Content-Type", "application/octet-stream")
			w.Header().Set("Content-Disposition", `attachment; filename="`+v.name+`"`)
			_, _ = w.Write(v.body) // the reader went away
		case page:
			body := map[string]any{"rows": v.rows}
			if reflect.ValueOf(v.rows).Len() == 0 {
				body["rows"] = []any{}
			}
			if v.next != "" {
				body["next"] = v.next
			}
			if v.total >= 0 {
				body["total"] = v.total
			}
			h.json(w, r, http.StatusOK, body)
		default:
			h.json(w, r, http.StatusOK, out)
		}
	}
}

func (h *Handler) json(w http.ResponseWriter, r *http.Request, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		h.c.Log.ErrorContext(r.Context(), "answer not written", "path", r.URL.Path, "error", err)
		status, b = http.StatusInternalServerError, []byte(`{"code":"internal","message":"The answer could not be written.","hint":"Try again; the collector's log says more."}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // the reader went away
}

type problem struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint"`
}

func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	var e *access.Error
	switch {
	case errors.As(err, &e):
	case errors.Is(err, store.ErrNotFound):
		e = &access.Error{Status: http.StatusNotFound, Code: "not_found", Message: "There is no such row.", Hint: "Look for it in the list."}
	case errors.Is(err, context.Canceled):
		return
	default:
		h.c.Log.ErrorContext(r.Context(), "request failed", "path", r.URL.Path, "error", err)
		e = &access.Error{Status: http.StatusInternalServerError, Code: store.CodeInternal, Message: "The answer could not be made.", Hint: "Try again; the collector's log says more."}
	}
	if e.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="fieldpost"`)
	}
	h.json(w, r, e.Status, problem{e.Code, e.Message, e.Hint})
}

// check holds a request against the table: an unknown parameter is an error, as is a value
// that does not fit.
func check(rt Route, r *http.Request) error {
	bad := func(name, why, hint string) error {
		return &access.Error{Status: http.StatusBadRequest, Code: "parameter_invalid", Message: "The parameter " + strconv.Quote(name) + " " + why + ".", Hint: hint}
	}
	for name, values := range r.URL.Query() {
		p, ok := rt.param(name)
		if !ok {
			return bad(clip(name), "is unknown here", "This route takes "+rt.names()+".")
		}
		if len(values) > 1 && !p.Many {
			return bad(name, "is there twice", "Give it once.")
		}
		for _, v := range values {
			if why := p.fits(v); why != "" {
				return bad(name, why, p.Text)
			}
		}
	}
	return nil
}

func clip(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}

// limit is the limit parameter within its bounds; check has read it already.
func (c *call) limit(def, most int) int {
	n, err := strconv.Atoi(c.get("limit"))
	if err != nil || n <= 0 {
		return def
	}
	return min(n, most)
}

// offset is the cursor of lists that count.
func (c *call) offset() int {
	n, err := strconv.Atoi(c.get("after"))
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// nextOffset is the cursor after this page; "" at the end.
func nextOffset(offset, got, limit int) string {
	if got < limit {
		return ""
	}
	return strconv.Itoa(offset + got)
}

func (c *call) date(name string) (time.Time, error) {
	v := c.get(name)
	if v == "" {
		return time.Time{}, nil
	}
	return parseDate(v)
}

func parseDate(v string) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, v); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("reading the date %s", strconv.Quote(clip(v)))
}

func joinWords(list []string) string { return strings.Join(list, ", ") }
