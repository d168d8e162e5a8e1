package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// socketName is the socket's name in the state directory.
const socketName = "control.sock"

// maxBody bounds requests and answers: a preview of 100,000 cells takes 30 MB.
const maxBody = 64 << 20

// Handler offers a site over HTTP with JSON bodies: POST /<method>.
func Handler(s interface {
	Site
	Keeper
}) http.Handler {
	mux := http.NewServeMux()
	handle(mux, "status", func(ctx context.Context, _ struct{}) (Status, error) { return s.Status(ctx) })
	handle(mux, "query", s.Query)
	handle(mux, "preview", func(ctx context.Context, _ struct{}) (Preview, error) { return s.Preview(ctx) })
	handle(mux, "ledger", s.Ledger)
	handle(mux, "catalog", func(ctx context.Context, _ struct{}) (Catalog, error) { return s.Catalog(ctx) })
	handle(mux, "consent", func(ctx context.Context, _ struct{}) (Consent, error) { return s.Consent(ctx) })
	handle(mux, "decide", s.Decide)
	handle(mux, "send", func(ctx context.Context, _ struct{}) (Sent, error) { return s.Send(ctx) })
	handle(mux, "forget", s.Forget)
	handle(mux, "wipe", s.Wipe)
	handle(mux, "audit", s.Audit)
	more(mux, s)
	return mux
}

func handle[Q, A any](mux *http.ServeMux, name string, fn func(context.Context, Q) (A, error)) {
	mux.HandleFunc("POST /"+name, func(w http.ResponseWriter, r *http.Request) {
		var q Q
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&q); err != nil && !errors.Is(err, io.EOF) {
			writeError(w, &Error{Code: "control_malformed", Message: "the request is not readable", Exit: 2})
			return
		}
		a, err := fn(r.Context(), q)
		if err != nil {
			writeError(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(a) // the client sees a cut answer as unreadable
	})
}

func writeError(w http.ResponseWriter, err error) {
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{Code: "internal", Message: err.Error(), Exit: 1}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	json.NewEncoder(w).Encode(e)
}

// Listen makes the socket in the state directory, for its owner only. A socket that an agent
// left behind when it died is replaced: the caller holds the state's lock.
func Listen(state string) (net.Listener, error) {
	path := filepath.Join(state, socketName)
	if info, err := os.Lstat(path); err == nil {
		if info.Mode()&os.ModeSocket == 0 {
			return nil, fmt.Errorf("making the control socket %s: something else stands there", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("making the control socket: %w", err)
		}
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("making the control socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, fmt.Errorf("making the control socket: %w", err)
	}
	return l, nil
}

// Serve answers on l, from Listen, until ctx ends.
func Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	stop := context.AfterFunc(ctx, func() {
		done, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = srv.Shutdown(done) // what does not end in time is cut by the process's end
	})
	defer stop()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Client asks the agent that holds a state directory.
type Client struct{ http *http.Client }

var (
	_ Site   = (*Client)(nil)
	_ Keeper = (*Client)(nil)
)

// Dial is a client for the agent that holds the state; an error when none answers.
func Dial(state string) (*Client, error) {
	path := filepath.Join(state, socketName)
	conn, err := net.DialTimeout("unix", path, 2*time.Second)
	if err != nil {
		return nil, fmt.Errorf("asking the running agent: %w", err)
	}
	conn.Close()
	return &Client{&http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		},
	}}}, nil
}

func call[A any](ctx context.Context, c *Client, name string, q any) (a A, err error) {
	body, err := json.Marshal(q)
	if err != nil {
		return a, fmt.Errorf("asking the running agent: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://agent/"+name, bytes.NewReader(body))
	if err != nil {
		return a, fmt.Errorf("asking the running agent: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return a, &Error{Code: "agent_unreachable", Message: "the running agent does not answer", Hint: "fieldpost-agent service status", Exit: 3}
	}
	defer resp.Body.Close()
	dec := json.NewDecoder(io.LimitReader(resp.Body, maxBody))
	if resp.StatusCode != http.StatusOK {
		e := &Error{Code: "internal", Exit: 1}
		if dec.Decode(e) != nil {
			e.Message = "the running agent answered with status " + resp.Status
		}
		return a, e
	}
	if err := dec.Decode(&a); err != nil {
		return a, fmt.Errorf("reading the running agent's answer: %w", err)
	}
	return a, nil
}

func (c *Client) Status(ctx context.Context) (Status, error) {
	return call[Status](ctx, c, "status", nil)
}
func (c *Client) Query(ctx context.Context, q Query) ([]json.RawMessage, error) {
	return call[[]json.RawMessage](ctx, c, "query", q)
}
func (c *Client) Preview(ctx context.Context) (Preview, error) {
	return call[Preview](ctx, c, "preview", nil)
}
func (c *Client) Ledger(ctx context.Context, q LedgerQuery) (Ledger, error) {
	return call[Ledger](ctx, c, "ledger", q)
}
func (c *Client) Catalog(ctx context.Context) (Catalog, error) {
	return call[Catalog](ctx, c, "catalog", nil)
}
func (c *Client) Consent(ctx context.Context) (Consent, error) {
	return call[Consent](ctx, c, "consent", nil)
}
func (c *Client) Decide(ctx context.Context, d Decision) (Consent, error) {
	return call[Consent](ctx, c, "decide", d)
}
func (c *Client) Send(ctx context.Context) (Sent, error) { return call[Sent](ctx, c, "send", nil) }
func (c *Client) Forget(ctx context.Context, o ForgetOrder) (Forgotten, error) {
	return call[Forgotten](ctx, c, "forget", o)
}
func (c *Client) Audit(ctx context.Context, o AuditOrder) (Audit, error) {
	return call[Audit](ctx, c, "audit", o)
}
func (c *Client) Wipe(ctx context.Context, o WipeOrder) (Wiped, error) {
	return call[Wiped](ctx, c, "wipe", o)
}
