package agent

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/fieldpost/fieldpost/agent/consent"
	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/agent/identity"
	"github.com/fieldpost/fieldpost/agent/ledger"
	"github.com/fieldpost/fieldpost/agent/outbox"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/agent/uplink"
	"github.com/fieldpost/fieldpost/agent/uplink/refusal"
	"github.com/fieldpost/fieldpost/protocol/batch"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/catalog/signing"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// outage is how long the collector was out of reach when the next delivery opens a new epoch, so that
// fresh batches do not wait behind the backlog.
const outage = time.Hour

// delivery is how sending stands. Guarded by Agent.mu.
type delivery struct {
	consent exchange.Hash // of the statement in force for the fold
	told    int           // number of the newest decision the collector was told of
	checkIn time.Time     // last successful one
	acked   time.Time
	next    time.Time
	failing time.Time // since when; zero: not
	pause   string    // the vendor asks to send nothing
	problem *control.Warning
}

func (a *Agent) openDelivery() (err error) {
	dir := a.cfg.Settings.State
	a.ledger, err = ledger.Open(ledger.Config{Dir: filepath.Join(dir, "ledger"), Agent: a.id.Key.Public().(ed25519.PublicKey),
		FS: a.cfg.FS, MaxBytes: a.cfg.Settings.LedgerMax, Now: a.now, Logger: a.log})
	if err != nil || a.id.Enrolment == nil {
		return err
	}
	a.delivery.checkIn, a.delivery.acked = a.ledger.Last(ledger.CheckIn), a.ledger.Last(ledger.Batch)
	e := a.id.Enrolment
	a.uplink, err = uplink.New(uplink.Config{URL: e.URL, CA: e.CA, Collector: e.Collector, Key: a.id.Key, Proxy: a.cfg.Settings.ProxyFunc(), Logger: a.log})
	return err
}

func (a *Agent) openOutbox(shelf []byte) (err error) {
	a.outbox, err = outbox.Open(outbox.Config{Dir: filepath.Join(a.cfg.Settings.State, "outbox"), Key: a.id.Key, Archive: a.ledger, FS: a.cfg.FS,
		MaxShelf: a.cfg.Settings.OutboxMax, MaxFrozen: a.cfg.Settings.OutboxMax, Define: a.define, Logger: a.log}, shelf)
	return err
}

// define is a measure's definition hash, for the outbox. Called with mu held or before anything runs.
func (a *Agent) define(hash exchange.Hash, i uint16) (exchange.Hash, bool) {
	c := a.catalogs[hash]
	if c == nil || int(i) >= len(c.Measures) {
		return exchange.Hash{}, false
	}
	return exchange.Hash(c.Measures[i].DefHash), true
}

// Enroll joins the collector that the token names. cfg.Settings.State may be new.
func Enroll(ctx context.Context, cfg Config, token exchange.Token) (identity.Enrolment, error) {
	a, err := Open(cfg)
	if err != nil {
		return identity.Enrolment{}, err
	}
	defer a.Close()
	if e := a.id.Enrolment; e != nil {
		return *e, refuse("already_enrolled", fmt.Sprintf("this state is enrolled with %s as %s/%s", e.URL, e.Account, e.Installation), "use another --state", 1)
	}
	if a.cfg.Settings.DoNotTrack {
		return identity.Enrolment{}, refuse("do_not_track", "DO_NOT_TRACK is set: this agent will not connect to anything", "unset DO_NOT_TRACK", 1)
	}
	ans, err := uplink.Join(ctx, uplink.Config{Proxy: a.cfg.Settings.ProxyFunc(), Logger: a.log}, token, a.id.Key)
	if err != nil {
		return identity.Enrolment{}, refusal.Of(err)
	}
	e := identity.Enrolment{URL: token.URL, CA: token.CA, Collector: token.Collector, CatalogKey: token.CatalogKey, Agent: ans.Agent,
		Account: ans.Account, Installation: ans.Installation, Environment: ans.Environment, Joined: time.Now().UTC()}
	if err := a.id.Enrol(e); err != nil {
		return e, err
	}
	if err := a.openDelivery(); err != nil {
		return e, err
	}
	if err := a.record(ctx, ledger.Note, "joined the collector "+e.URL); err != nil {
		return e, err
	}
	if a.cfg.Simulated { // it checks in when its virtual clock starts
		return e, nil
	}
	if err := a.checkIn(ctx); err != nil {
		a.log.Warn("enrolled, but the first check-in failed; it is tried again", "error", err)
	}
	return e, nil
}

// deliver sends what waits every so often, until ctx ends. The first time is right away.
func (a *Agent) deliver(ctx context.Context) error {
	wait, failures := time.Second, 0
	expired := time.Time{}
	for {
		a.mu.Lock()
		a.delivery.next = time.Now().Add(wait)
		a.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		wait = a.cfg.Settings.SendEvery
		if a.uplink == nil || a.cfg.Settings.DoNotTrack {
			continue
		}
		if time.Since(expired) > 24*time.Hour {
			expired = time.Now()
			if err := a.ledger.Expire(ctx); err != nil {
				a.log.Warn("ledger not expired", "error", err)
			}
		}
		switch _, err := a.sendAll(ctx); {
		case err == nil || held(err):
			failures = 0
		case ctx.Err() == nil:
			failures++
			wait = uplink.RetryIn(err, failures, nil)
			a.log.Warn("nothing was sent", "error", err, "next_try", wait)
		}
	}
}

// sendAll checks in, freezes what may leave and sends it. One at a time.
func (a *Agent) sendAll(ctx context.Context) (control.Sent, error) {
	a.send.Lock()
	defer a.send.Unlock()
	sent := control.Sent{At: a.now().UTC()}
	err := a.checkIn(ctx)
	if err == nil {
		err = a.blocked()
	}
	if err == nil {
		err = a.checkpoint() // a batch is frozen only from what is committed
	}
	if err == nil {
		before := a.ledger.Counts()
		if _, err = a.outbox.Freeze(ctx, a.now()); err == nil {
			err = a.tellNews(ctx)
		}
		if err == nil {
			_, err = uplink.Drain(ctx, a.uplink, a.outbox)
		}
		after := a.ledger.Counts()
		sent.Batches, sent.Cells = int(after.Acknowledged-before.Acknowledged), int(after.Cells-before.Cells)
	}
	sent.Left = int(a.outbox.Counts().Waiting)
	a.settle(err, sent.Batches > 0)
	return sent, refusal.Of(err)
}

// tellNews checks in again where a decision was made since the last time: what was frozen may name it.
func (a *Agent) tellNews(ctx context.Context) error {
	if st, ok := a.consent.Current(); ok && st.Statement.Number > a.told() {
		return a.checkIn(ctx)
	}
	return nil
}

// settle remembers how a delivery ended.
func (a *Agent) settle(err error, acked bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	d := &a.delivery
	if acked {
		d.acked = a.now()
	}
	if err == nil || held(err) { // the collector answered
		d.problem = nil
		if !d.failing.IsZero() && time.Since(d.failing) > outage {
			a.outbox.OpenEpoch(batch.ReasonOutage)
		}
		d.failing = time.Time{}
		return
	}
	var road *uplink.Error // anything else is about this machine, not the road to the collector
	if errors.As(err, &road) && d.failing.IsZero() {
		d.failing = time.Now()
	}
	var e *control.Error
	if errors.As(refusal.Of(err), &e) {
		d.problem = &control.Warning{Code: e.Code, Cause: e.Message, Remedy: e.Hint}
	}
}

// blocked is why nothing may be sent now although the collector can be reached.
func (a *Agent) blocked() error {
	st, ok := a.consent.Current()
	a.mu.Lock()
	pause := a.delivery.pause
	a.mu.Unlock()
	switch {
	case !ok || len(st.Statement.Categories) == 0:
		return errNothingDecided
	case st.Statement.Paused:
		return errPaused
	case pause != "":
		return fmt.Errorf("%w: %s", errVendorPause, pause)
	}
	return nil
}

var (
	errNothingDecided = errors.New("nothing was decided yet, so nothing leaves")
	errPaused         = errors.New("sending is paused here")
	errVendorPause    = errors.New("the vendor asked to send nothing for now")
)

// held reports whether err is a decision, here or at the vendor, that nothing leaves now: nothing is
// wrong with the road.
func held(err error) bool {
	return errors.Is(err, errNothingDecided) || errors.Is(err, errPaused) || errors.Is(err, errVendorPause)
}

// checkIn is the only thing enrolment itself allows. It tells every decision the collector has not
// heard of, oldest first: figures that wait were ruled under it, and a batch may name only what was
// told before.
func (a *Agent) checkIn(ctx context.Context) error {
	current, ok := a.consent.Current()
	if !ok {
		var err error
		if current, err = a.consent.Decide(a.now(), consent.Change{Note: "enrolled; nothing is decided"}); err != nil {
			return err
		}
	}
	for _, st := range a.consent.History() {
		if n := st.Statement.Number; n > a.told() && n < current.Statement.Number {
			if err := a.tell(ctx, st); err != nil {
				return err
			}
		}
	}
	return a.tell(ctx, current)
}

// told is the newest decision that the collector was told of.
func (a *Agent) told() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.delivery.told
}

// tell checks in with a decision.
func (a *Agent) tell(ctx context.Context, st consent.State) error {
	a.mu.Lock()
	in := exchange.CheckIn{Version: a.cfg.Version, Protocol: exchange.Version, Statement: st.Signed, Time: a.now().Unix(), Simulated: a.cfg.Simulated}
	if a.current != nil {
		in.CatalogVersion, in.Catalog = a.current.Version, a.current.Hash
	}
	a.mu.Unlock()
	ans, err := a.uplink.CheckIn(ctx, in)
	if err != nil {
		return err
	}
	if err := a.record(ctx, ledger.CheckIn, in); err != nil {
		return err
	}
	a.mu.Lock()
	a.delivery.checkIn, a.delivery.pause = a.now(), ans.Pause
	a.delivery.told = max(a.delivery.told, st.Statement.Number)
	a.mu.Unlock()
	a.outbox.Observe(ans.Through)
	if ans.Catalog != nil {
		return a.adopt(ctx, *ans.Catalog)
	}
	return nil
}

// adopt takes a catalog that the vendor's key has signed into force. What it asks beyond the accepted
// one stays local until it is accepted; an older version is refused.
func (a *Agent) adopt(ctx context.Context, s exchange.SignedCatalog) error {
	c, err := signing.ParseSigned(s.Raw, s.Sig, a.id.Enrolment.CatalogKey)
	if err != nil {
		return refuse("catalog_refused", "the vendor's catalog does not verify: "+err.Error(), "ask the vendor; the last good one stays in force", 1)
	}
	a.mu.Lock()
	old := a.current
	a.mu.Unlock()
	if old != nil && (c.Hash == old.Hash || c.Name == old.Name && c.Version <= old.Version) {
		return nil
	}
	if err := a.id.KeepCatalog(c, s.Sig); err != nil {
		return err
	}
	a.mu.Lock()
	a.catalogs[c.Hash] = c
	a.mu.Unlock()
	if err := a.journalControl(ctx, record.Adopted, c.Hash[:], c); err != nil {
		return err
	}
	a.refreshWords()
	return a.record(ctx, ledger.Note, fmt.Sprintf("catalog %s %d is in force", c.Name, c.Version))
}

// journalControl writes a record that is no request: through the journal, or, simulated, straight
// into the fold.
func (a *Agent) journalControl(ctx context.Context, kind record.Kind, data []byte, c *catalog.Catalog) error {
	r := &record.Record{Kind: kind, Data: data}
	if c != nil {
		r.Catalog = [8]byte(c.Hash[:8])
	}
	if a.journal != nil {
		r.Received, _ = a.clock.Received()
		no, err := a.journal.Append(ctx, r)
		if err != nil || a.running.Load() {
			if err == nil {
				err = a.waitApplied(ctx, no)
			}
			return err
		}
		return a.catchUp(ctx)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	r.Received = a.virtualNS.Load()
	return a.apply(a.applied+1, r)
}

// waitApplied waits until the measuring loop has come to record no.
func (a *Agent) waitApplied(ctx context.Context, no uint64) error {
	stop := context.AfterFunc(ctx, a.moved.Broadcast)
	defer stop()
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.applied < no && ctx.Err() == nil {
		a.moved.Wait()
	}
	return ctx.Err()
}

func (a *Agent) record(ctx context.Context, kind ledger.Kind, detail any) error {
	return a.ledger.Record(ctx, kind, detail)
}
