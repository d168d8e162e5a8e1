// Package agent puts the site's rooms together: it opens a state directory, wires the stages
// through their small interfaces, and runs them.
//
//	product ──HTTP──▶ intake ─▶ journal ─▶ site{ measure ─▶ egress ─▶ shelf } ─▶ outbox ─▶ uplink ══▶ collector
//	         ──UDP───▶ statsd ───┤
//	targets ◀─probe, scrape─────┘              │      ▲                             │          │
//	                   vault ─seals─▶ journal, checkpoint   consent ◀── control ◀── cli   └─▶ ledger ◀┘
//	                                           └────▶ console
//
// Invariants: the journal is the site's truth. The fold, the gate's group sizes and the shelf
// of judged figures are a function of it and are committed together, in one checkpoint; what
// came after the checkpoint is read again. Time closes windows only through the journal
// (Tick records), so that a replay after a crash sees what was seen before it. A batch is
// frozen only after a checkpoint that holds its figures. The site key is opened before anything that is
// sealed with it, and no room but those two gets a key.
package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
	_ "time/tzdata" // a site without zone files must still know where its day begins

	"github.com/fieldpost/fieldpost/agent/consent"
	"github.com/fieldpost/fieldpost/agent/console"
	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/agent/egress"
	"github.com/fieldpost/fieldpost/agent/egress/shown"
	"github.com/fieldpost/fieldpost/agent/footprint"
	"github.com/fieldpost/fieldpost/agent/identity"
	"github.com/fieldpost/fieldpost/agent/intake"
	"github.com/fieldpost/fieldpost/agent/intake/entrance"
	"github.com/fieldpost/fieldpost/agent/journal"
	"github.com/fieldpost/fieldpost/agent/ledger"
	"github.com/fieldpost/fieldpost/agent/measure/history"
	"github.com/fieldpost/fieldpost/agent/outbox"
	"github.com/fieldpost/fieldpost/agent/probe"
	"github.com/fieldpost/fieldpost/agent/settings"
	"github.com/fieldpost/fieldpost/agent/signals/statements"
	"github.com/fieldpost/fieldpost/agent/uplink"
	"github.com/fieldpost/fieldpost/agent/vault"
	"github.com/fieldpost/fieldpost/agent/wipe"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/durable"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// Config of an agent. Settings comes from package settings.
type Config struct {
	Settings    settings.Config
	Version     string
	Simulated   bool                                // a new state is fed by replays; an existing state keeps its kind
	Judge       bool                                // let the gate judge also in a recording that is not enrolled, from which nothing can leave
	Watch       func(figures []Watched, leave bool) // told of every figure as the gate ruled it, and whether its window leaves; in turn
	CatalogFile []byte                              // a catalog for a state that is not enrolled: everything is measured locally
	FS          durable.FS                          // default durable.OS()
	Logger      *slog.Logger                        // default: silent
}

// Watched is a figure as the gate ruled it, beside what it is. It is for recordings that are tried out: nothing in
// a site's own state is watched.
type Watched = shown.Watched

// Agent is one open state directory. Its methods are safe for concurrent use.
type Agent struct {
	cfg  Config
	log  *slog.Logger
	zone *time.Location
	lock io.Closer

	vault     *vault.Vault
	id        *identity.Identity
	consent   *consent.Consent
	ledger    *ledger.Ledger
	outbox    *outbox.Outbox
	journal   *journal.Journal // nil in a simulated state: the recorded file is the journal
	uplink    *uplink.Client   // nil when not enrolled
	probes    *probe.Runner
	samples   *entrance.Samples // nil in a simulated state
	clock     *intake.Clock
	words     atomic.Pointer[intake.Vocabulary]
	running   atomic.Bool
	wiping    atomic.Bool  // the state is being deleted
	virtualNS atomic.Int64 // simulated: the virtual clock, unix ns; 0 before the first event

	mu       sync.Mutex // guards everything below
	moved    *sync.Cond // applied has risen
	store    *history.Store
	gate     *egress.Gate
	policy   egress.Policy           // as the fold has seen it: by the records applied so far
	applied  uint64                  // the newest record applied
	saved    time.Time               // of the last checkpoint, real time
	unsaved  error                   // why the last checkpoint failed; nil: it did not
	unsealed error                   // why files of before there was a site key are still here; nil: they are not
	halt     context.CancelCauseFunc // stops Run; nil: it does not run
	catalogs map[exchange.Hash]*catalog.Catalog
	current  *catalog.Catalog   // in force; nil: none
	kept     shown.Kept         // what the gate ruled, for the preview
	changes  *statements.Memory // what was told, for signals of change
	progress map[string]int     // simulated: lines read of each recorded file
	alsoNS   int64              // simulated: Received of the newest further record that was fed
	delivery delivery
	extra    extra // what a build with a tag of its own keeps beside these

	purgeTo uint64 // number of the newest Forget record applied: the journal up to it has to go
	forgot  uint64 // how many Forget records met somebody known, since Open

	send    sync.Mutex // one delivery at a time
	keeping sync.Mutex // one Forget at a time
}

// Exists reports whether a state stands in dir, be it one that cannot be read: opening that says why.
func Exists(dir string) bool {
	_, err := identity.Peek(durable.OS(), dir)
	return !errors.Is(err, fs.ErrNotExist)
}

// Open opens the state directory of cfg, or makes it, and brings the fold up to the journal's
// end. The caller closes the agent.
func Open(cfg Config) (*Agent, error) {
	a := newAgent(cfg)
	cfg = a.cfg
	zone, err := time.LoadLocation(cfg.Settings.Zone)
	if err != nil {
		return nil, refuse("zone_unknown", "the time zone "+cfg.Settings.Zone+" is not known", "zone: Europe/Berlin", 2)
	}
	dir := cfg.Settings.State
	if err := durable.MkdirAll(cfg.FS, dir, 0o700); err != nil {
		return nil, stateError(dir, err)
	}
	if a.lock, err = durable.Lock(dir); err != nil {
		return nil, stateError(dir, err)
	}
	a.zone = zone
	if err := a.open(); err != nil {
		return nil, errors.Join(stateError(dir, err), a.Close())
	}
	return a, nil
}

// newAgent is an agent with nothing open yet.
func newAgent(cfg Config) *Agent {
	if cfg.FS == nil {
		cfg.FS = durable.OS()
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	a := &Agent{cfg: cfg, log: cfg.Logger, catalogs: map[exchange.Hash]*catalog.Catalog{}, progress: map[string]int{}, changes: statements.New(), kept: shown.Kept{Watch: cfg.Watch}}
	a.moved = sync.NewCond(&a.mu)
	return a
}

func (a *Agent) open() (err error) {
	dir, fsys := a.cfg.Settings.State, a.cfg.FS
	if err := wipe.Finish(context.Background(), a.wipe()); err != nil {
		return err
	}
	if err := a.openVault(); err != nil {
		return err
	}
	if s, err := identity.Peek(fsys, dir); err == nil {
		a.cfg.Simulated = s.Simulated
	}
	if a.id, err = identity.Open(fsys, dir, a.cfg.Simulated, time.Now()); err != nil {
		return err
	}
	if err := a.id.Raise(); err != nil {
		return err
	}
	if err := a.openCatalogs(); err != nil {
		return err
	}
	a.consent, err = consent.Open(consent.Config{Dir: filepath.Join(dir, "consent"), FS: fsys, Key: a.id.Key,
		Simulated: a.cfg.Simulated, Lock: a.cfg.Settings.ConsentLock, DoNot: a.cfg.Settings.DoNotTrack})
	if err != nil {
		return err
	}
	if err := a.openDelivery(); err != nil {
		return err
	}
	if err := a.openSite(); err != nil {
		return err
	}
	if a.cfg.Simulated {
		a.clock = intake.NewClock(a.virtual, 0)
		a.refreshWords()
		return a.sealAll()
	}
	if err := a.openJournal(); err != nil {
		return err
	}
	a.refreshWords()
	a.openProbes()
	a.samples = entrance.Open(a.cfg.Settings, a.words.Load, a.journal, a.clock, a.log)
	if err := a.finishForget(context.Background()); err != nil {
		a.log.Warn("what was forgotten is still in old files", "error", err)
	}
	return a.sealAll()
}

func (a *Agent) openJournal() (err error) {
	dir, fsys := a.cfg.Settings.State, a.cfg.FS
	a.journal, err = journal.Open(filepath.Join(dir, "journal"), journal.Config{FS: fsys, MaxBytes: a.cfg.Settings.JournalMax,
		MinNext: a.applied + 1, Seal: a.vault.Records(useJournal), Open: !a.vault.Sealed(), Logger: a.log})
	if err != nil {
		return err
	}
	a.clock = intake.NewClock(time.Now, a.journal.LastReceived())
	if err := a.catchUp(context.Background()); err != nil {
		return err
	}
	a.outbox.Replayed()
	return a.reconcile()
}

// reconcile carries on a decision that is on disk and that the journal does not hold, or whose withdrawal
// was not finished: the agent died in between.
func (a *Agent) reconcile() error {
	st, ok := a.consent.Current()
	switch {
	case !ok:
		return nil
	case st.Signed.Hash() != a.delivery.consent:
		return a.decided(context.Background(), st)
	}
	return a.withdraw(context.Background(), st.Statement)
}

func (a *Agent) openCatalogs() error {
	kept, bad, err := a.id.Catalogs()
	if err != nil {
		return err
	}
	for _, name := range bad {
		a.log.Warn("catalog does not verify and is left out", "file", name)
	}
	a.catalogs = kept
	if a.cfg.CatalogFile == nil {
		return nil
	}
	if a.id.Enrolment != nil {
		return refuse("catalog_not_yours", "an enrolled agent takes its catalog from the vendor, signed", "leave --catalog out", 2)
	}
	c, err := catalog.Parse(a.cfg.CatalogFile)
	if err != nil {
		return refuse("catalog_invalid", err.Error(), "fieldpost-collector catalog check FILE", 2)
	}
	if err := a.id.KeepCatalog(c, nil); err != nil {
		return err
	}
	a.catalogs[c.Hash], a.current = c, c
	return nil
}

func (a *Agent) openProbes() {
	checks := make([]probe.Check, 0, len(a.cfg.Settings.Probes))
	for _, p := range a.cfg.Settings.Probes {
		checks = append(checks, probe.Check{ID: p.ID, HTTP: p.HTTP, TCP: p.TCP, Interval: p.Interval, Timeout: p.Timeout, Status: p.Status, Contains: p.Contains})
	}
	opened := time.Now() // work announced before the agent read of it is maintenance, later work is not
	a.probes = probe.New(probe.Config{Checks: checks, Sink: sink{a}, Logger: a.log, Maintenance: a.cfg.Settings.Announced(opened)})
}

// Run serves the product, the console and the command line, and sends what may leave, until ctx
// ends. It returns the first failure that stopped it.
func (a *Agent) Run(ctx context.Context) error {
	if a.cfg.Simulated {
		return refuse("state_simulated", "this state is fed by replays on a virtual clock", "use another --state for a real agent", 2)
	}
	if err := a.rezone(ctx); err != nil {
		return err
	}
	listeners, err := a.listen()
	if err != nil {
		return err
	}
	a.running.Store(true)
	defer a.running.Store(false)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	a.mu.Lock()
	a.halt = cancel
	a.mu.Unlock()
	var wg sync.WaitGroup
	run := func(name string, fn func(context.Context) error) {
		wg.Go(func() {
			if err := fn(ctx); err != nil && ctx.Err() == nil {
				cancel(fmt.Errorf("running %s: %w", name, err))
			}
		})
	}
	in := intake.New(intake.Config{Vocabulary: a.words.Load, Journal: a.journal, Clock: a.clock, Logger: a.log,
		Doors: entrance.Doors(a.cfg.Settings.WriteKeys)})
	run("intake", func(ctx context.Context) error { return in.Serve(ctx, listeners.intake) })
	if listeners.console != nil {
		run("console", func(ctx context.Context) error { return a.ServeConsole(ctx, listeners.console) })
	}
	run("control", func(ctx context.Context) error { return control.Serve(ctx, listeners.control, control.Handler(a)) })
	run("measuring", a.tail)
	run("clock", a.tick)
	run("probes", a.probes.Run)
	run("scrape", a.samples.Scrape)
	if listeners.statsd != nil {
		run("statsd", func(ctx context.Context) error { return a.samples.Serve(ctx, listeners.statsd) })
	}
	run("delivery", a.deliver)
	run("extra", func(ctx context.Context) error { return a.extra.serve(ctx, a) })
	run("footprint", func(ctx context.Context) error { return footprint.TrimLater(ctx, a.log) })
	a.log.Info("agent is running", "listen", listeners.intake.Addr().String(), "console", a.cfg.Settings.Console)
	<-ctx.Done()
	wg.Wait()
	switch err := context.Cause(ctx); {
	case errors.Is(err, errWiped):
		a.log.Info("agent stops: its state is being deleted")
		return nil
	case err != nil && !errors.Is(err, context.Canceled):
		return err
	}
	return nil
}

type listeners struct {
	intake, console, control net.Listener
	statsd                   *net.UDPConn
}

func (a *Agent) listen() (l listeners, err error) {
	open := func(what, addr string) net.Listener {
		if err != nil {
			return nil
		}
		var n net.Listener
		if n, err = net.Listen("tcp", addr); err != nil {
			err = refuse("port_in_use", fmt.Sprintf("the %s cannot listen on %s: %v", what, addr, err), "stop what listens there, or set another address", 1)
		}
		return n
	}
	l.intake = open("intake", a.cfg.Settings.Listen)
	if a.cfg.Settings.Console != "off" {
		l.console = open("console", a.cfg.Settings.Console)
	}
	if err == nil {
		l.statsd, err = a.samples.Listen()
	}
	if err == nil {
		l.control, err = control.Listen(a.cfg.Settings.State)
	}
	if err != nil {
		for _, n := range []net.Listener{l.intake, l.console} {
			if n != nil {
				n.Close()
			}
		}
		if l.statsd != nil {
			l.statsd.Close()
		}
	}
	return l, err
}

// ServeConsole serves the site's own pages on l until ctx ends, of a simulated state too.
func (a *Agent) ServeConsole(ctx context.Context, l net.Listener) error {
	return console.New(console.Config{Site: a, Dir: a.cfg.Settings.State, Address: l.Addr().String(), Logger: a.log}).Serve(ctx, l)
}

// LoginLink makes a one-time link to the console of the agent that holds the state.
func LoginLink(state string) (string, error) { return console.LoginLink(state) }

// Close writes a last checkpoint and closes everything. Closing twice is harmless.
func (a *Agent) Close() error {
	var errs []error
	if a.store != nil {
		errs = append(errs, a.checkpoint())
		a.store = nil
	}
	if a.uplink != nil {
		a.uplink.Close()
	}
	if a.journal != nil {
		errs = append(errs, a.journal.Close())
		a.journal = nil
	}
	if a.ledger != nil {
		errs = append(errs, a.ledger.Close())
		a.ledger = nil
	}
	if a.lock != nil {
		if a.wiping.Swap(false) {
			errs = append(errs, wipe.Finish(context.Background(), a.wipe()))
		}
		errs = append(errs, a.lock.Close())
		a.lock = nil
	}
	return errors.Join(errs...)
}

// Now is the site's clock: the wall's, or the virtual one of a simulated state.
func (a *Agent) now() time.Time {
	if a.cfg.Simulated {
		return a.virtual()
	}
	return time.Now()
}
