// Package demo is the main job in one process: a collector, and sixteen real installations that
// replay years of their history into it, each with its own consent, on one virtual clock.
//
// Invariants: everything between the recorded events and the collector's answers is the real
// thing (enrolment with tokens, TLS, signed batches, JetStream with sync on, SQLite); what is
// made up, the service level of the last weeks, says simulated. Check compares every site's
// ledger with what the collector's API returns, cell by cell.
//
// States on disk: DIR/collector is the collector's data directory, DIR/sites/ACCOUNT--INSTALLATION
// each agent's state. Started again with the same DIR the demo goes on where it stopped.
package demo

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/agent/settings"
	"github.com/fieldpost/fieldpost/collector"
	"github.com/fieldpost/fieldpost/installer/examples"
	"github.com/fieldpost/fieldpost/protocol/catalog/signing"
)

// end is where the recorded history ends; the last weeks of it are replayed slowly while the pages are up.
func end() time.Time { return day("2026-08-27") }

const (
	liveWeeks = 8               // replayed at a day a beat once the rest is in
	beat      = 2 * time.Second // a virtual day of the live part
)

// Config of the demo.
type Config struct {
	Dir    string // keeps the state; "": a temporary folder, removed at the end
	Listen string // default 127.0.0.1:8443
	Check  bool   // run to the end, compare, do not stay up
	Out    io.Writer
	Logger *slog.Logger // default: silent
}

// Run runs the demo until ctx ends (or, with Check, to its end). The summary is nil without Check.
func Run(ctx context.Context, c Config) (*Summary, error) {
	if c.Listen == "" {
		c.Listen = "127.0.0.1:8443"
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Dir == "" {
		dir, err := os.MkdirTemp("", "fieldpost-demo-")
		if err != nil {
			return nil, fmt.Errorf("making a folder for the demo: %w", err)
		}
		defer os.RemoveAll(dir)
		c.Dir = dir
	}
	d := &demo{Config: c, began: time.Now()}
	if err := d.start(ctx); err != nil {
		return nil, errors.Join(err, d.stop())
	}
	sum, err := d.run(ctx)
	if err = errors.Join(err, d.stop()); errors.Is(err, context.Canceled) && !c.Check {
		err = nil
	}
	return sum, err
}

type demo struct {
	Config
	began     time.Time
	collector *collector.Collector
	cancel    context.CancelFunc
	done      chan error
	agents    []*member
	serving   sync.WaitGroup // consoles
	progress  progress
}

// member is a site with its agent.
type member struct {
	site
	agent *agent.Agent
}

// start brings the collector up and enrols the sites.
func (d *demo) start(ctx context.Context) (err error) {
	d.collector, err = collector.New(ctx, collector.Config{Data: filepath.Join(d.Dir, "collector"), Listen: d.Listen, Demo: true,
		JoinRate: 1000, Logger: d.Logger, Routes: collector.Pages})
	if err != nil {
		return err
	}
	serving, cancel := context.WithCancel(context.WithoutCancel(ctx))
	d.cancel, d.done = cancel, make(chan error, 1)
	go func() { d.done <- d.collector.Run(serving) }()
	if err := d.catalog(ctx); err != nil {
		return err
	}
	if err := d.accounts(ctx); err != nil {
		return err
	}
	link, err := d.collector.LoginLink(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(d.Out, "Fieldpost demo: a collector and %d real installations, years of history.\n\n  %s\n\n", len(sites()), link)
	fmt.Fprintf(d.Out, "One-time login link, valid for 15 minutes. The certificate is the demo's own: the browser will ask.\n")
	for _, s := range sites() {
		m, err := d.enrol(ctx, s)
		if err != nil {
			return fmt.Errorf("enrolling %s/%s: %w", s.account, s.installation, err)
		}
		d.agents = append(d.agents, m)
	}
	return d.console(serving)
}

// shown is the site whose own console the demo serves, to see the customer's side.
const shown = "VictoriaMetrics"

// console serves the customer's side of one site and prints its link.
func (d *demo) console(ctx context.Context) error {
	for _, m := range d.agents {
		if m.installation != shown {
			continue
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return fmt.Errorf("listening for a site's console: %w", err)
		}
		d.serving.Go(func() {
			if err := m.agent.ServeConsole(ctx, l); err != nil {
				d.Logger.Warn("console stopped", "error", err)
			}
		})
		dir := filepath.Join(d.Dir, "sites", m.account+"--"+m.installation)
		for range 100 { // the console says where it is once it listens
			if link, err := agent.LoginLink(dir); err == nil {
				fmt.Fprintf(d.Out, "\nThe customer's side, the console of %s at its own site:\n\n  %s\n\n", m.account, link)
				return nil
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	return nil
}

// catalog signs the bundled catalog with a key made for the demo and adds it, once.
func (d *demo) catalog(ctx context.Context) error {
	data := d.collector.Data()
	if pub, err := data.CatalogKey(); err != nil || pub != nil {
		return err // it was added when the demo was first started here
	}
	pub, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return fmt.Errorf("making a catalog key: %w", err)
	}
	if err := data.TrustCatalogKey(ctx, pub, "demo"); err != nil {
		return err
	}
	raw := examples.ForgeCatalog()
	_, err = data.AddCatalog(ctx, raw, signing.Sign(raw, key), "demo")
	return err
}

// enrol opens the site's state, joining the collector first if it is new.
func (d *demo) enrol(ctx context.Context, s site) (*member, error) {
	cfg, err := d.config(s)
	if err != nil {
		return nil, err
	}
	if !agent.Exists(cfg.Settings.State) {
		token, err := d.collector.Data().NewToken(ctx, collector.TokenRequest{Account: s.account, Installation: s.installation,
			Environment: s.environment, By: "demo"}, d.collector.URL())
		if err != nil {
			return nil, err
		}
		if _, err := agent.Enroll(ctx, cfg, token); err != nil {
			return nil, err
		}
	}
	a, err := agent.Open(cfg)
	if err != nil {
		return nil, err
	}
	return &member{site: s, agent: a}, nil
}

func (d *demo) config(s site) (agent.Config, error) {
	set, err := settings.Load(settings.Source{Getenv: func(string) string { return "" }, Flags: map[string]string{
		"state": filepath.Join(d.Dir, "sites", s.account+"--"+s.installation), "console": "off", "proxy": "none"}})
	return agent.Config{Settings: set, Version: "0.1.0", Simulated: true, Logger: d.Logger}, err
}

// run replays the history; with Check it then compares, otherwise it goes on live and stays up.
func (d *demo) run(ctx context.Context) (*Summary, error) {
	live := end().AddDate(0, 0, -7*liveWeeks)
	if d.Check {
		live = end()
	}
	if err := d.replay(ctx, live, 4*7*24*time.Hour, 0); err != nil {
		return nil, err
	}
	d.progress.done(d.Out)
	if d.Check {
		return d.check(ctx)
	}
	fmt.Fprintf(d.Out, "History is in after %s. Now live: a day every %s, until %s. Ctrl-C ends it.\n", time.Since(d.began).Round(time.Second), beat, end().Format(time.DateOnly))
	if err := d.replay(ctx, end(), 24*time.Hour, beat); err != nil {
		return nil, err
	}
	d.progress.done(d.Out)
	fmt.Fprintln(d.Out, "The recorded history has ended; the pages stay up. Ctrl-C ends it.")
	<-ctx.Done()
	return nil, nil
}

// replay brings every site's clock to until, side by side, delivering every so often.
func (d *demo) replay(ctx context.Context, until time.Time, every, pace time.Duration) error {
	c := newClock(d.agents, pace, func(t time.Time) { d.progress.show(d.Out, t, until) })
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for i, m := range d.agents {
		wg.Go(func() {
			defer c.leave(i)
			o := agent.ReplayOptions{Open: func() (string, io.ReadCloser, error) {
				r, err := examples.Open(m.account, m.installation)
				return m.installation, r, err
			}, Until: until, Every: every, Step: func(ctx context.Context, t time.Time) error { return c.step(ctx, i, t) }}
			if m.levels != nil {
				o.Consent = &control.Decision{Levels: m.levels, People: m.people, By: "demo"}
			}
			if !m.offline[0].IsZero() {
				o.Offline = func(t time.Time) bool { return t.After(m.offline[0]) && t.Before(m.offline[1]) }
			}
			if m.checked {
				o.Also = probed(m.site, 0, end())
			}
			if _, err := m.agent.Replay(ctx, o); err != nil {
				cancel(fmt.Errorf("replaying %s/%s: %w", m.account, m.installation, err))
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// stop closes the agents, then the collector.
func (d *demo) stop() error {
	var errs []error
	if d.cancel != nil {
		d.cancel()
		errs = append(errs, <-d.done)
	}
	d.serving.Wait()
	for _, m := range d.agents {
		errs = append(errs, m.agent.Close())
	}
	return errors.Join(errs...)
}
