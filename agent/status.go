package agent

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"time"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/agent/identity"
	"github.com/fieldpost/fieldpost/agent/intake/entrance"
	"github.com/fieldpost/fieldpost/agent/ledger"
	entries "github.com/fieldpost/fieldpost/agent/ledger/words"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/batch"
	"github.com/fieldpost/fieldpost/protocol/durable"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// silentAfter is how long without a check-in is worth a warning: a day, or three beats.
const silentAfter = 24 * time.Hour

// Status is health in one look.
func (a *Agent) Status(context.Context) (control.Status, error) {
	s := control.Status{Version: a.cfg.Version, Running: a.running.Load(), Simulated: a.cfg.Simulated, Now: a.now().UTC(), Zone: a.zone.String(), Sealed: a.vault.Sealed(),
		Warnings: []control.Warning{}, Checks: []control.Check{}, Levels: []exchange.Decision{}}
	if e := a.id.Enrolment; e != nil {
		s.Agent, s.Account, s.Installation, s.Environment, s.Collector = e.Agent, e.Account, e.Installation, e.Environment, e.URL
	}
	st, decided := a.consent.Current()
	if decided {
		s.Levels, s.Paused = append(s.Levels, st.Statement.Categories...), st.Statement.Paused
	}
	acc := a.accounting()
	s.Events, s.Samples, s.Late, s.Skewed, s.Back, s.Since = acc.events, acc.samples, acc.late, acc.skewed, acc.back, acc.since
	a.mu.Lock()
	if c := a.current; c != nil {
		s.Catalog = fmt.Sprintf("%s %d", c.Name, c.Version)
		s.Request = decided && st.Statement.CatalogVersion > 0 && st.Statement.Catalog != exchange.Hash(c.Hash)
	}
	d := a.delivery
	a.mu.Unlock()
	s.Delivery = a.deliveryCounts(d)
	if a.journal != nil {
		js := a.journal.Stats()
		s.Journal = control.Journal{Records: js.Log.Records, Bytes: js.Log.Bytes, Limit: a.cfg.Settings.JournalMax}
	}
	if a.probes != nil {
		for _, p := range a.probes.States() {
			s.Checks = append(s.Checks, control.Check{ID: p.ID, Target: p.Target, At: p.At.UTC(), Up: p.Up, Detail: p.Detail, TookMS: float64(p.Took.Microseconds()) / 1000})
		}
	}
	a.samples.Tell(&s)
	s.Warnings = append(s.Warnings, a.warnings(s, d)...)
	return s, nil
}

func (a *Agent) deliveryCounts(d delivery) control.Delivery {
	o, l := a.outbox.Counts(), a.ledger.Counts()
	out := control.Delivery{Waiting: o.Shelf, Frozen: o.Frozen, Acknowledged: l.Acknowledged, Outbox: o.Waiting, Withdrawn: o.Withdrawn,
		CheckIn: d.checkIn.UTC(), Acked: d.acked.UTC(), Next: d.next.UTC()}
	for _, n := range l.Quarantined {
		out.Quarantined += n
	}
	if d.problem != nil {
		out.Problem = d.problem.Cause
	}
	return out
}

// warnings are named conditions, each with its remedy.
func (a *Agent) warnings(s control.Status, d delivery) (out []control.Warning) {
	add := func(code, cause, remedy string) {
		out = append(out, control.Warning{Code: code, Cause: cause, Remedy: remedy})
	}
	if d.problem != nil {
		out = append(out, *d.problem)
	}
	if a.journal != nil {
		for _, w := range a.journal.Health() {
			add(w.Code, w.Cause, w.Remedy)
		}
		if s.Journal.Bytes > s.Journal.Limit*9/10 {
			add("journal_nearly_full", "the journal has reached nine tenths of its limit", "journal_max: a larger size, or look why measuring is behind")
		}
	}
	if bad := a.consent.Damaged(); len(bad) > 0 {
		add("consent_damaged", fmt.Sprintf("%d decisions could not be read and were set aside; sending is paused", len(bad)), "decide again: fieldpost-agent consent set")
	}
	if err := a.ledger.Damage(); err != nil {
		add("ledger_damaged", err.Error(), "fieldpost-agent ledger --verify")
	}
	out = append(out, entrance.Warnings(s)...)
	o := a.outbox.Counts()
	if o.OverLimit > 0 {
		add("outbox_full", fmt.Sprintf("%d figures found no room to wait in", o.OverLimit), "outbox_max: a larger size, or restore the connection")
	}
	if n := s.Delivery.Quarantined; n > 0 {
		add("batches_refused", fmt.Sprintf("%d batches were refused by the collector", n), "fieldpost-agent ledger --kind quarantined")
	}
	if s.Collector != "" && !a.cfg.Simulated && s.Running && !d.failing.IsZero() && time.Since(d.failing) > silentAfter {
		add("collector_silent", "the collector has not answered for more than a day", "fieldpost-agent status -o json, delivery.problem")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.unsaved != nil {
		add("state_not_saved", "the state could not be saved: "+a.unsaved.Error(), "make room on the disk, and look at the rights on the state directory; nothing that was accepted is lost")
	}
	if a.unsealed != nil {
		add("state_not_sealed", "what an older version wrote lies here unsealed still: "+a.unsealed.Error(), "make room on the disk and start the agent again")
	}
	if n := len(a.store.Damaged()); n > 0 {
		add("measures_damaged", fmt.Sprintf("%d files of what was measured were damaged, altered or missing, and set aside", n), "check the disk and who can write to the state directory; the rest is intact")
	}
	for _, p := range a.cfg.Settings.Probes {
		if a.current != nil && a.current.Probe(p.ID) < 0 {
			add("probe_unknown", fmt.Sprintf("the catalog names no check %q, so it does not run", p.ID), "rename it in probes")
		}
	}
	return out
}

type accounts struct {
	events, samples control.Counts
	late            map[string]uint64
	skewed, back    uint64
	since           time.Time
}

func (a *Agent) accounting() accounts {
	a.mu.Lock()
	defer a.mu.Unlock()
	acc := a.store.Fold().Accounting()
	out := accounts{events: counts(acc.Events), samples: counts(acc.Samples), late: acc.LateFor, skewed: acc.Skewed, back: acc.ClockBack}
	if acc.Since != 0 {
		out.since = time.Unix(0, acc.Since).UTC()
	}
	return out
}

func counts(c record.Counts) control.Counts {
	out := control.Counts{Received: c.Total(), Reasons: map[string]uint64{}}
	for i, n := range c {
		out.Reasons[record.Reason(i).String()] = n
	}
	return out
}

// entry is a ledger entry in plain words.
func (a *Agent) entry(e ledger.Entry, figures bool) control.LedgerEntry {
	out := entries.Entry(e)
	if figures && e.Kind == ledger.Batch {
		out.Wire, out.Figures = e.Wire, a.figures(e.Wire)
	}
	return out
}

// figures are those of a batch, by name.
func (a *Agent) figures(wire []byte) (out []report.Figure) {
	b, err := batch.Open(wire, a.id.Key.Public().(ed25519.PublicKey))
	if err != nil {
		return nil
	}
	a.mu.Lock()
	c := a.catalogs[b.Header.Catalog]
	a.mu.Unlock()
	if c == nil {
		return nil
	}
	out, _ = c.ResolveAll(b.Cells)
	return out
}

func refuse(code, message, hint string, exit int) error {
	return &control.Error{Code: code, Message: message, Hint: hint, Exit: exit}
}

// stateError gives what can be wrong with a state directory a code and a remedy.
func stateError(dir string, err error) error {
	var coded *control.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &coded):
		return err
	case errors.Is(err, durable.ErrLocked):
		return refuse("state_locked", "another agent holds the state "+dir, "stop it, or give this one a --state of its own", 1)
	case errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS):
		return refuse("state_permission", "the state "+dir+" cannot be written: "+err.Error(), "run as the user who owns it, or --state another directory", 1)
	case errors.Is(err, identity.ErrNewer):
		return refuse("state_newer", err.Error(), "install the version that wrote it, or a newer one", 1)
	case errors.Is(err, syscall.ENOSPC):
		return refuse("disk_full", "the disk of "+dir+" is full", "free some space; nothing that was accepted is lost", 1)
	}
	return err
}
