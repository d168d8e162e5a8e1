// Package collector puts the vendor's side together: one process, one HTTPS listener, one
// data directory. It only wires its rooms; what each promises stands in its own package.
//
// States on disk, all below Config.Data, files 0600 and folders 0700:
//
//	lock                  held by the one process that serves
//	settings.json         the base URL agents reach it at, for tokens made on the command line
//	app.key               Ed25519, signs every answer that makes an agent act
//	catalog.pub           the public key catalogs are verified with; the private half is the
//	                      operator's, offline
//	tls/ca.pem ca.key     its own CA, unless a certificate is given
//	tls/server.pem …key   issued by it, renewed 30 days before its end
//	collector.db…         the store (package sqlite)
//	stream/               the queue (package stream)
//
// Everything is made on first use under the lock. Each file is replaced as one step
// (package durable): after a crash at any point the next start finds the old or the new one
// and makes what is missing.
package collector

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/net/netutil"
	"golang.org/x/sync/errgroup"

	"github.com/fieldpost/fieldpost/collector/enroll"
	"github.com/fieldpost/fieldpost/collector/ingest"
	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/collector/stream"
	"github.com/fieldpost/fieldpost/collector/writer"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// Config of a collector. Only Data is required.
type Config struct {
	// Data is the data directory.
	Data string
	// Listen is the address of the one listener. Default ":8443".
	Listen string
	// URL is how agents and people reach it, https. Default: https://localhost and the port.
	URL string
	// Names are further host names and addresses for the certificate it issues itself;
	// localhost, 127.0.0.1, ::1 and URL's host are always in it.
	Names []string
	// CertFile and KeyFile are a PEM certificate and key to use instead of its own CA's.
	CertFile, KeyFile string
	// Demo lets every installation be simulated, not only those of environment test.
	Demo bool
	// Logger gets warnings and errors. Default: none.
	Logger *slog.Logger
	// Now is the real clock. Default time.Now.
	Now func() time.Time
	// MaxConnections at once. Default 10,000: about 300 MB of TLS and buffers, and 64 MB of
	// bodies (package ingest).
	MaxConnections int
	// HeaderTimeout is how long a request's header may take from the connection's being ready,
	// default 10 s; RequestTimeout the whole request, default one minute: 256 KiB at 64 kbit/s
	// take 33 s.
	HeaderTimeout, RequestTimeout time.Duration
	// JoinRate is enroll.Config.PerAddress.
	JoinRate float64
	// AgentRate is ingest.Config.CellsPerSecond.
	AgentRate int
	// Routes adds handlers to the listener: the API and the pages. Agents' paths are taken.
	Routes func(*Collector) ([]Route, error)
}

// Route is a pattern of http.ServeMux and what serves it.
type Route struct {
	Pattern string
	Handler http.Handler
}

func (c *Config) defaults() {
	if c.Listen == "" {
		c.Listen = ":8443"
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.MaxConnections <= 0 {
		c.MaxConnections = 10_000
	}
	if c.HeaderTimeout <= 0 {
		c.HeaderTimeout = 10 * time.Second
	}
	if c.RequestTimeout <= 0 {
		c.RequestTimeout = time.Minute
	}
}

// Collector is a collector that listens, and serves once Run is called.
type Collector struct {
	c      Config
	data   *Data
	stream *stream.Stream
	writer *writer.Writer
	ln     net.Listener
	srv    *http.Server
	pages  []io.Closer // handlers that go on behind their answers
}

// New opens the data directory, takes its lock and the port, and wires the rooms. The caller
// calls Run, or Close if it does not.
//
//	agents ══HTTPS══▶ enroll ─────────────────────────────────────────▶ store ◀── api, web (Config.Routes)
//	       ══HTTPS══▶ ingest ──▶ stream (synced, then the receipt) ──▶ writer ──▶ store
//	                    ▲                                                           │
//	                    └───────────── marks, statements, catalogs ─────────────────┘
func New(ctx context.Context, c Config) (_ *Collector, err error) {
	c.defaults()
	col := &Collector{c: c}
	defer func() {
		if err != nil {
			err = errors.Join(err, col.Close())
		}
	}()
	if col.data, err = OpenData(ctx, DataConfig{Dir: c.Data, Create: true, Serve: true, Now: c.Now}); err != nil {
		return nil, err
	}
	if col.ln, err = listen(c.Listen); err != nil {
		return nil, err
	}
	if col.c.URL == "" {
		col.c.URL = "https://localhost:" + fmt.Sprint(col.ln.Addr().(*net.TCPAddr).Port)
	}
	tlsConfig, err := col.data.serverTLS(col.c)
	if err != nil {
		return nil, err
	}
	if err := col.data.saveSettings(settings{URL: col.c.URL, OwnCA: c.CertFile == ""}); err != nil {
		return nil, err
	}
	if col.stream, err = stream.Open(ctx, stream.Config{Dir: filepath.Join(c.Data, "stream"), Logger: c.Logger}); err != nil {
		return nil, err
	}
	handler, err := col.wire()
	if err != nil {
		return nil, err
	}
	col.srv = &http.Server{
		Handler: handler, TLSConfig: tlsConfig,
		ReadHeaderTimeout: c.HeaderTimeout, ReadTimeout: c.RequestTimeout, WriteTimeout: 2 * time.Minute,
		// An agent sends what it has and is silent for long: 300 a second hold 4,500 connections.
		IdleTimeout:    15 * time.Second,
		MaxHeaderBytes: 16 << 10,
		// A page asks for a dozen things at once; a stranger must not multiply connections by streams.
		HTTP2:    &http.HTTP2Config{MaxConcurrentStreams: 50},
		ErrorLog: slog.NewLogLogger(c.Logger.Handler(), slog.LevelDebug), // strangers' handshakes
	}
	return col, nil
}

func listen(addr string) (net.Listener, error) {
	ln, err := net.Listen("tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, &store.Problem{Code: store.CodePort, Message: "another program listens on " + addr, Hint: "stop it, or give another address with --listen", Err: err}
	case err != nil:
		return nil, &store.Problem{Code: store.CodePort, Message: "cannot listen on " + addr, Hint: "give an address of this machine, as in --listen 127.0.0.1:8443", Err: err}
	}
	return ln, nil
}

// wire connects the rooms through the interfaces they declare.
func (c *Collector) wire() (http.Handler, error) {
	db, log, ans := c.data.Store, c.c.Logger, answers{c.data.Key}
	en, err := enroll.New(enroll.Config{Key: c.data.Key, Enrolment: db, Agents: db, Statements: db, Catalogs: db, Audit: db, Answers: ans,
		Through: c.through, Clock: db.Clock, Logger: log, Now: c.c.Now, Demo: c.c.Demo, PerAddress: c.c.JoinRate})
	if err != nil {
		return nil, err
	}
	in := ingest.New(ingest.Config{Stream: toStream{c.stream}, Answers: ans, Agents: db, Statements: db, Catalogs: db, Marks: db, Arrivals: db,
		Logger: log, Now: c.c.Now, Clock: db.Clock, Demo: c.c.Demo, CellsPerSecond: c.c.AgentRate})
	c.writer = writer.New(writer.Config{Source: fromStream{c.stream}, Store: db, Agents: db, Catalogs: db, Logger: log})
	mux := http.NewServeMux()
	agents := agentRoutes(ans, map[string]agentRoute{
		exchange.PathChallenge: {http.MethodGet, http.HandlerFunc(en.Challenge)},
		exchange.PathJoin:      {http.MethodPost, http.HandlerFunc(en.Join)},
		exchange.PathCheckIn:   {http.MethodPost, http.HandlerFunc(en.CheckIn)},
		exchange.PathBatches:   {http.MethodPost, in},
	}, mux)
	if c.c.Routes == nil {
		return agents, nil
	}
	routes, err := c.c.Routes(c)
	if err != nil {
		return nil, err
	}
	for _, r := range routes {
		if strings.Contains(r.Pattern, "/agent/") {
			return nil, fmt.Errorf("wiring %s: the path belongs to agents", r.Pattern)
		}
		mux.Handle(r.Pattern, r.Handler)
		if p, ok := r.Handler.(io.Closer); ok {
			c.pages = append(c.pages, p)
		}
	}
	return agents, nil
}

// through answers with what is stored; what is only queued is known to ingest per batch.
func (c *Collector) through(ctx context.Context, agent exchange.ID) ([]exchange.Through, error) {
	return c.data.Store.Through(ctx, agent, 8)
}

// LoginLink is a one-time link for the first administrator, made anew with each call.
func (c *Collector) LoginLink(ctx context.Context) (string, error) {
	path, err := c.data.Access().Bootstrap(ctx)
	if err != nil {
		return "", err
	}
	return c.c.URL + path, nil
}

// Data is the opened data directory.
func (c *Collector) Data() *Data { return c.data }

// URL is how agents and people reach it.
func (c *Collector) URL() string { return c.c.URL }

// Addr is where it listens.
func (c *Collector) Addr() string { return c.ln.Addr().String() }

// Queued is how many batches wait between ingest and store.
func (c *Collector) Queued(ctx context.Context) (uint64, error) { return c.stream.Depth(ctx) }

// Run serves until ctx ends, then stops taking requests, waits for those that run, lets the
// writer finish its transaction and closes everything.
func (c *Collector) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return c.writer.Run(ctx) })
	g.Go(func() error {
		err := c.srv.ServeTLS(netutil.LimitListener(c.ln, c.c.MaxConnections), "", "")
		if errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return fmt.Errorf("serving: %w", err)
	})
	g.Go(func() error {
		<-ctx.Done()
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if err := c.srv.Shutdown(stop); err != nil {
			return errors.Join(fmt.Errorf("shutting down: %w", err), c.srv.Close())
		}
		return nil
	})
	return errors.Join(g.Wait(), c.Close())
}

// Close gives everything back. It is called by Run.
func (c *Collector) Close() (err error) {
	if c.ln != nil {
		if e := c.ln.Close(); !errors.Is(e, net.ErrClosed) {
			err = errors.Join(err, e)
		}
		c.ln = closed{c.ln}
	}
	for _, p := range c.pages { // what they still compute reads the store
		err = errors.Join(err, p.Close())
	}
	c.pages = nil
	if c.stream != nil {
		err = errors.Join(err, c.stream.Close())
		c.stream = nil
	}
	if c.data != nil {
		err = errors.Join(err, c.data.Close())
		c.data = nil
	}
	return err
}

// closed keeps Addr working.
type closed struct{ net.Listener }

func (closed) Close() error { return net.ErrClosed }
