package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/fieldpost/fieldpost/agent/consent"
	"github.com/fieldpost/fieldpost/agent/consent/words"
	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/agent/egress/shown"
	"github.com/fieldpost/fieldpost/agent/ledger"
	"github.com/fieldpost/fieldpost/agent/measure"
	"github.com/fieldpost/fieldpost/agent/outbox"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

var (
	_ control.Site   = (*Agent)(nil)
	_ control.Keeper = (*Agent)(nil)
)

// Query is the site's own figures, in the forms the gate lets the site's own screens show.
func (a *Agent) Query(ctx context.Context, q control.Query) ([]json.RawMessage, error) {
	a.mu.Lock()
	c := a.current
	a.mu.Unlock()
	m, i, g, err := shown.Find(c, q)
	if err != nil {
		return nil, err
	}
	if q.Exact {
		if err := a.allowExact(ctx, q); err != nil {
			return nil, err
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if m.Of != "" {
		return a.changesAsked(c, i, g, q)
	}
	lines, err := a.store.Fold().Query(measure.Query{Measure: q.Measure, Grain: g, By: q.By, From: q.From, To: q.To})
	if err != nil {
		return nil, refuse("query_refused", err.Error(), "fieldpost-agent catalog", 2)
	}
	asked := shown.Asked{Gate: a.gate, Policy: a.policy, Judges: a.judges(), Catalog: c, Measure: i, Grain: g}
	out := make([]json.RawMessage, 0, len(lines))
	for _, l := range lines {
		var b []byte
		if q.Exact {
			b, err = json.Marshal(l)
		} else {
			b, err = asked.Line(lineOf(l))
		}
		if err != nil {
			return nil, fmt.Errorf("writing a line: %w", err)
		}
		out = append(out, b)
	}
	return out, nil
}

// lineOf is a line as the forms for the site's own screens see it.
func lineOf(l measure.Line) shown.Line {
	out := shown.Line{Measure: l.Measure, Grain: l.Grain, Start: l.Start, Dims: l.Dims, Closed: l.Closed, Whole: l}
	switch v := l.Value.(type) {
	case int64:
		out.Count = &v
	case measure.RetentionValue:
		out.Weeks = len(v.Active)
	case measure.SeatsValue:
		out.Purchased, out.Assigned = v.Purchased, v.Assigned
	}
	return out
}

// allowExact lets the owner of the state see exact figures where the site allows it, and records each
// use. A state that is not enrolled has nobody to be protected from: it holds recorded events.
func (a *Agent) allowExact(ctx context.Context, q control.Query) error {
	if a.id.Enrolment == nil && a.cfg.Simulated {
		return nil
	}
	if !a.cfg.Settings.LocalExact {
		return refuse("exact_not_allowed", "exact figures are not shown at this site", "set local_exact: true, after talking to those it concerns", 1)
	}
	return a.record(ctx, ledger.Query, q)
}

// Preview is exactly what would leave now.
func (a *Agent) Preview(ctx context.Context) (control.Preview, error) {
	p := control.Preview{}
	if e := a.id.Enrolment; e != nil {
		p.To = e.URL
	}
	switch err := a.blocked(); {
	case a.uplink == nil:
		p.Blocked = "this agent is not enrolled with any vendor"
	case a.cfg.Settings.DoNotTrack:
		p.Blocked = "DO_NOT_TRACK is set"
	case err != nil:
		p.Blocked = err.Error()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	p.Next = a.delivery.next.UTC()
	a.outbox.Shelved(func(o outbox.Origin, cell report.Cell) bool {
		if c := a.catalogs[o.Catalog]; c != nil {
			if l, ok := a.kept.Line(c, cell); ok {
				p.Leaves = append(p.Leaves, l)
			}
		}
		return ctx.Err() == nil
	})
	p.Bytes = a.outbox.Size(a.now())
	p.Stays = a.kept.Stays()
	return p, ctx.Err()
}

// Ledger is what left, newest first.
func (a *Agent) Ledger(ctx context.Context, q control.LedgerQuery) (control.Ledger, error) {
	var out control.Ledger
	if q.Verify {
		err := a.ledger.Verify()
		ok := err == nil
		if out.Verified = &ok; !ok {
			out.Problem = err.Error()
		}
	}
	limit := q.Limit
	if limit <= 0 {
		limit = 50
	}
	f := ledger.Filter{Newest: limit, WithBatch: q.Figures}
	if q.Epoch != nil {
		f.Epoch = *q.Epoch
	}
	switch q.Kind {
	case "":
	case "quarantined":
		f.Kind, f.Newest = ledger.Batch, 0
	case "exact":
		f.Kind = ledger.Query
	default:
		f.Kind = ledger.Kind(q.Kind)
	}
	for e, err := range a.ledger.Entries(f) {
		if err != nil {
			return out, fmt.Errorf("reading the ledger: %w", err)
		}
		if q.Kind == "quarantined" && e.Acknowledged() {
			continue
		}
		out.Entries = append(out.Entries, a.entry(e, q.Figures))
	}
	slices.Reverse(out.Entries)
	if len(out.Entries) > limit {
		out.Entries = out.Entries[:limit]
	}
	return out, ctx.Err()
}

// Catalog is what the vendor asks for, in plain words.
func (a *Agent) Catalog(context.Context) (control.Catalog, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.current
	if c == nil {
		return control.Catalog{}, refuse("catalog_missing", "there is no catalog yet", "fieldpost-agent status", 1)
	}
	st, decided := a.consent.Current()
	return words.Catalog(c, st.Statement, decided, a.catalogs[st.Statement.Catalog]), nil
}

// Consent is the decision in force and all before it.
func (a *Agent) Consent(context.Context) (control.Consent, error) {
	out := words.Consent(a.consent)
	out.Locked, out.DoNotTrack = a.cfg.Settings.ConsentLock, a.cfg.Settings.DoNotTrack
	return out, nil
}

// Decide makes a decision: on disk, in the journal, on the ledger, and in what is collected from now on.
func (a *Agent) Decide(ctx context.Context, d control.Decision) (control.Consent, error) {
	a.mu.Lock()
	c := a.current
	a.mu.Unlock()
	if a.cfg.Simulated && a.now().Unix() <= 0 {
		return control.Consent{}, refuse("clock_not_started", "the virtual clock has not started", "fieldpost-agent replay --consent usage=aggregate FILE", 2)
	}
	ch := consent.Change{Levels: d.Levels, Pause: d.Pause, By: d.By, Ticket: d.Ticket, Counter: d.Counter, People: d.People}
	if d.From != nil {
		ch.From = *d.From
	}
	if d.Accept {
		ch.Accept = c
		if st, ok := a.consent.Current(); ok {
			a.mu.Lock()
			ch.Before = a.catalogs[st.Statement.Catalog]
			a.mu.Unlock()
		}
	}
	s, err := a.consent.Decide(a.now(), ch)
	if err != nil {
		code, hint := "consent_refused", "fieldpost-agent consent set --help"
		if errors.Is(err, consent.ErrLocked) {
			code, hint = "consent_locked", "ask whoever owns the configuration: consent_lock"
		}
		if errors.Is(err, consent.ErrNoAccept) {
			hint = "enrol and check in first, so that there is a catalog to read: fieldpost-agent enroll"
		}
		return control.Consent{}, refuse(code, err.Error(), hint, 1)
	}
	a.refreshWords() // off stops here, before anything else
	if err := a.decided(ctx, s); err != nil {
		return control.Consent{}, err
	}
	return a.Consent(ctx)
}

// decided carries a decision to everything that acts on it.
func (a *Agent) decided(ctx context.Context, s consent.State) error {
	data, err := json.Marshal(s.Signed)
	if err != nil {
		return fmt.Errorf("writing a decision: %w", err)
	}
	a.mu.Lock()
	c := a.current
	a.mu.Unlock()
	if err := a.journalControl(ctx, record.Consent, data, c); err != nil {
		return err
	}
	if err := a.record(ctx, ledger.Consent, struct {
		Statement exchange.SignedStatement `json:"statement"`
		Record    consent.Record           `json:"record"`
	}{s.Signed, s.Record}); err != nil {
		return err
	}
	if err := a.withdraw(ctx, s.Statement); err != nil {
		return err
	}
	return a.checkpoint()
}

// withdraw deletes what waits and was judged under a decision that let more leave than now does.
func (a *Agent) withdraw(ctx context.Context, now exchange.Statement) error {
	levels := map[exchange.Hash]exchange.Statement{}
	for _, s := range a.consent.History() {
		levels[s.Signed.Hash()] = s.Statement
	}
	_, err := a.outbox.Withdraw(ctx, func(o outbox.Origin, cell report.Cell) bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		c := a.catalogs[o.Catalog]
		then, ok := levels[o.Consent]
		if c == nil || !ok || int(cell.Measure) >= len(c.Measures) {
			return false
		}
		category := c.Measures[cell.Measure].Category
		return now.Decision(category).Level.AtLeast(then.Decision(category).Level)
	})
	return err
}

// Send checks in and sends what waits now.
func (a *Agent) Send(ctx context.Context) (control.Sent, error) {
	if a.uplink == nil {
		return control.Sent{}, refuse("not_enrolled", "this agent is not enrolled with any vendor", "fieldpost-agent enroll --token-file FILE", 1)
	}
	return a.sendAll(ctx)
}
