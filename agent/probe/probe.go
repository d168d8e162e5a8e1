// Package probe checks whether what the customer runs is up: HTTP and TCP checks against targets
// on the site's own list.
//
// The catalog only names checks; where they point is decided at the site, and a target
// outside the local allow-list does not start. Redirects are not followed and proxies are not
// used, so a check reaches its target and nothing else. Each check runs on its own beat, one
// run at a time; a result speaks for the time until the next one, and what no result speaks
// for is unknown, never up.
//
// Invariants: a target that hangs costs its timeout and nothing more; at most 64 KiB of an
// answer are read; a result that could not be kept is dropped and counted (the time it
// would have spoken for is then unknown).
package probe

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fieldpost/fieldpost/agent/record"
)

// maxBody is what is read of an answer: enough for a health page.
const maxBody = 64 << 10

// Check is one check of this site.
type Check struct {
	ID       string        // as in the catalog
	HTTP     string        // URL, or
	TCP      string        // host:port
	Interval time.Duration // default 30s
	Timeout  time.Duration // default 5s
	Status   []int         // statuses that count as up; default 200–399
	Contains string        // text the answer must hold; default any
}

// Sink keeps results. It may be called from several goroutines. The result's Probe is the sink's to set:
// which position the id has depends on the catalog in force.
type Sink interface {
	Probed(ctx context.Context, id string, r record.Result) error
}

// Config of the room.
type Config struct {
	Checks      []Check
	Sink        Sink
	Maintenance func(id string, t time.Time) bool // was maintenance announced for t; nil: never
	Now         func() time.Time                  // default time.Now
	Logger      *slog.Logger
}

// State is a check's newest result, for status and console.
type State struct {
	ID     string        `json:"id"`
	Target string        `json:"target"`
	At     time.Time     `json:"at"`
	Up     bool          `json:"up"`
	Detail string        `json:"detail"` // why it is down; "" when up
	Took   time.Duration `json:"took"`
}

// Runner runs the checks.
type Runner struct {
	cfg     Config
	client  *http.Client
	dropped atomic.Uint64

	mu     sync.Mutex // guards states
	states map[string]State
}

// New is a runner that does nothing until Run.
func New(cfg Config) *Runner {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Runner{cfg: cfg, states: map[string]State{}, client: &http.Client{
		Transport: &http.Transport{
			Proxy:                  nil, // a check that went through a proxy would measure the proxy
			DisableKeepAlives:      true,
			MaxResponseHeaderBytes: 64 << 10,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Run checks until ctx ends. It returns once every check has stopped.
func (r *Runner) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, c := range r.cfg.Checks {
		wg.Go(func() { r.beat(ctx, c) })
	}
	wg.Wait()
	return nil
}

func (r *Runner) beat(ctx context.Context, c Check) {
	if c.Interval <= 0 {
		c.Interval = 30 * time.Second
	}
	if c.Timeout <= 0 {
		c.Timeout = 5 * time.Second
	}
	tick := time.NewTicker(c.Interval)
	defer tick.Stop()
	for {
		r.once(ctx, c)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (r *Runner) once(ctx context.Context, c Check) {
	at := r.cfg.Now()
	began := time.Now() // for the duration: real time, whatever Now is
	err := r.Try(ctx, c)
	if ctx.Err() != nil {
		return // we stopped; this says nothing about the target
	}
	took := time.Since(began)
	st := State{ID: c.ID, Target: c.HTTP + c.TCP, At: at, Up: err == nil, Took: took}
	if err != nil {
		st.Detail = err.Error()
	}
	r.mu.Lock()
	r.states[c.ID] = st
	r.mu.Unlock()
	res := record.Result{Time: at.UnixNano(), Interval: int64(c.Interval + c.Timeout), Up: st.Up, Duration: int64(took)}
	if r.cfg.Maintenance != nil {
		res.Maintenance = r.cfg.Maintenance(c.ID, at)
	}
	if err := r.cfg.Sink.Probed(ctx, c.ID, res); err != nil {
		r.dropped.Add(1)
		r.cfg.Logger.Warn("probe result dropped", "probe", c.ID, "error", err)
	}
}

// Try runs a check once; nil says that the target is up.
func (r *Runner) Try(ctx context.Context, c Check) error {
	timeout := c.Timeout
	if timeout <= 0 {
		timeout = 5 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if c.TCP != "" {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", c.TCP)
		if err != nil {
			return plain(err)
		}
		return conn.Close()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.HTTP, nil)
	if err != nil {
		return fmt.Errorf("asking %s: %w", c.ID, err)
	}
	req.Header.Set("User-Agent", "fieldpost-agent-probe")
	resp, err := r.client.Do(req)
	if err != nil {
		return plain(err)
	}
	defer resp.Body.Close()
	if len(c.Status) > 0 && !slices.Contains(c.Status, resp.StatusCode) || len(c.Status) == 0 && (resp.StatusCode < 200 || resp.StatusCode > 399) {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return plain(err)
	}
	if c.Contains != "" && !bytes.Contains(body, []byte(c.Contains)) {
		return errors.New("the answer does not hold the expected text")
	}
	return nil
}

// plain drops addresses and URLs from network errors: the state shows the target beside it.
func plain(err error) error {
	var op *net.OpError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return errors.New("no answer in time")
	case errors.As(err, &op) && op.Err != nil:
		return op.Err
	}
	return err
}

// States is the newest result of each check that ran, by id.
func (r *Runner) States() []State {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]State, 0, len(r.states))
	for _, c := range r.cfg.Checks {
		if s, ok := r.states[c.ID]; ok {
			out = append(out, s)
		}
	}
	return out
}

// Dropped is the number of results that could not be kept.
func (r *Runner) Dropped() uint64 { return r.dropped.Load() }
