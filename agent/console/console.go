// Package console is the site's own web page: what the product does here, what leaves, what
// left, and the customer's decision about it.
//
// Invariants: no page without a login; no request to anywhere but itself; no view of one
// person; every change is a POST with a token of its session; what the pages show is what
// the control interface gives without exact figures.
//
// State on disk, in the state directory: console-login.json (0600), the one-time login
// links that were made and not yet used. Sessions live in memory only.
package console

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/fieldpost/fieldpost/agent/control"
)

// Config is what the console needs.
type Config struct {
	Site    control.Site
	Dir     string // the state directory
	Address string // host:port it listens on, for the links and the Host check
	Logger  *slog.Logger
}

// Console serves the site's pages.
type Console struct{ cfg Config }

// New is a console; it listens when Serve is called.
func New(cfg Config) *Console {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Console{cfg: cfg}
}

// Serve answers on l until ctx ends.
func (c *Console) Serve(ctx context.Context, l net.Listener) error {
	s := &http.Server{
		Handler:           http.NotFoundHandler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	done := context.AfterFunc(ctx, func() { s.Close() })
	defer done()
	if err := s.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving the console: %w", err)
	}
	return nil
}

// LoginLink makes a one-time login link through the state directory, so only the state's
// owner can make one. It is valid for 15 minutes and for one use.
func LoginLink(dir string) (string, error) {
	return "", errors.New("making a login link: the console is not built in")
}
