package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"time"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/agent/intake/segment"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// ReplayOptions of a replay. The zero value feeds everything and sends every four weeks.
type ReplayOptions struct {
	Files    []string                                         // recorded events, fed one after the other; or
	Open     func() (name string, r io.ReadCloser, err error) // one recorded stream
	Also     iter.Seq[*record.Record]                         // further records in order of Received, merged in: probe results
	Until    time.Time                                        // its date: move the clock to local midnight at its beginning
	Consent  *control.Decision                                // decided at the first event, if nothing was decided before
	Every    time.Duration                                    // virtual time between deliveries, default 28 days
	Offline  func(t time.Time) bool                           // the collector cannot be reached then
	Progress func(text string)                                // told now and then
	Step     func(ctx context.Context, t time.Time) error     // called before the first event and every delivery, e.g. to keep several sites on one clock
}

// ReplayResult says what a replay did.
type ReplayResult struct {
	Now     time.Time      `json:"now"` // the virtual clock
	Events  control.Counts `json:"events"`
	Samples control.Counts `json:"samples"`
	Sent    control.Sent   `json:"sent"`
}

// virtual is the virtual clock. It needs mu only when a replay runs beside it.
func (a *Agent) virtual() time.Time { return time.Unix(0, a.virtualNS.Load()) }

// replay is one replay on its way.
type replay struct {
	*Agent
	o    ReplayOptions
	end  int64 // unix ns of local midnight at the beginning of Until; 0: none
	next int64 // unix ns of the next delivery
	sent control.Sent
}

// Replay feeds recorded events on a virtual clock taken from their receivedAt. The recorded file is the
// journal: each checkpoint remembers how far it was read, and a replay that was cut off goes on
// there when it is called again with the same files.
func (a *Agent) Replay(ctx context.Context, o ReplayOptions) (ReplayResult, error) {
	if !a.cfg.Simulated {
		return ReplayResult{}, refuse("state_real", "this state belongs to a real agent; recorded events would mix with its own", "use a --state of its own", 2)
	}
	if o.Every <= 0 {
		o.Every = 28 * 24 * time.Hour
	}
	r := &replay{Agent: a, o: o}
	if !o.Until.IsZero() {
		y, m, d := o.Until.Date()
		r.end = report.Midnight(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix()/86400, a.zone).UnixNano()
	}
	for _, src := range r.sources() {
		if err := r.feed(ctx, src); err != nil {
			return r.result(), err
		}
	}
	if r.end != 0 {
		if err := r.advance(ctx, r.end); err != nil {
			return r.result(), err
		}
	}
	a.outbox.Replayed()
	err := r.deliver(ctx)
	return r.result(), errors.Join(err, a.checkpoint())
}

type source struct {
	name string
	open func() (io.ReadCloser, error)
}

func (r *replay) sources() []source {
	var out []source
	for _, f := range r.o.Files {
		out = append(out, source{filepath.Base(f), func() (io.ReadCloser, error) { return os.Open(f) }})
	}
	if r.o.Open != nil {
		out = append(out, source{"stream", func() (io.ReadCloser, error) { _, rc, err := r.o.Open(); return rc, err }})
	}
	return out
}

// feed feeds one file from where the last checkpoint left it.
func (r *replay) feed(ctx context.Context, src source) error {
	rc, err := src.open()
	if err != nil {
		return refuse("events_unreadable", err.Error(), "check the path", 2)
	}
	defer rc.Close()
	if err := r.begin(ctx, src); err != nil {
		return err
	}
	in, err := segment.NewReplay(rc, r.words.Load, 0)
	if err != nil {
		return refuse("events_unreadable", fmt.Sprintf("%s: %v", src.name, err), "it must be JSON lines, plain or gzip", 2)
	}
	skip := r.progress[src.name]
	also, stop := r.also()
	defer stop()
	for ctx.Err() == nil {
		rec, err := in.Next()
		if errors.Is(err, io.EOF) {
			return r.feedAlso(ctx, also, int64(1)<<62)
		}
		if err != nil {
			return refuse("events_unreadable", fmt.Sprintf("%s, line %d: %v", src.name, in.Lines(), err), "it must be JSON lines, plain or gzip", 2)
		}
		if in.Lines() <= skip {
			continue
		}
		if r.pastEnd(rec.Received) {
			return r.feedAlso(ctx, also, rec.Received)
		}
		if err := r.feedAlso(ctx, also, rec.Received); err != nil {
			return err
		}
		if err := r.one(ctx, rec); err != nil {
			return err
		}
		r.mu.Lock()
		r.progress[src.name] = in.Lines()
		r.mu.Unlock()
	}
	return ctx.Err()
}

// also pulls the further records that come after the virtual clock.
func (r *replay) also() (func() (*record.Record, bool), func()) {
	if r.o.Also == nil {
		return func() (*record.Record, bool) { return nil, false }, func() {}
	}
	next, stop := iter.Pull(r.o.Also)
	var held *record.Record
	peek := func() (*record.Record, bool) {
		for held == nil || held.Received <= r.virtualNS.Load() && held.Received <= r.alsoNS {
			rec, ok := next()
			if !ok {
				return nil, false
			}
			held = rec
		}
		return held, true
	}
	return peek, stop
}

// feedAlso feeds the further records received before until.
func (r *replay) feedAlso(ctx context.Context, peek func() (*record.Record, bool), until int64) error {
	for ctx.Err() == nil {
		rec, ok := peek()
		if !ok || rec.Received >= until || r.pastEnd(rec.Received) {
			return nil
		}
		rec.Catalog = r.words.Load().Hash()
		if err := r.one(ctx, rec); err != nil {
			return err
		}
		r.mu.Lock()
		r.alsoNS = rec.Received
		r.mu.Unlock()
	}
	return ctx.Err()
}

func (r *replay) pastEnd(ns int64) bool {
	return r.end != 0 && ns >= r.end
}

// one feeds one record, after the deliveries that are due before it.
func (r *replay) one(ctx context.Context, rec *record.Record) error {
	if err := r.advance(ctx, rec.Received); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.apply(r.applied+1, rec)
}

// begin starts the virtual clock at the first event: the agent checks in, takes the catalog, and decides.
func (r *replay) begin(ctx context.Context, src source) error {
	if r.virtualNS.Load() != 0 {
		return nil
	}
	rc, err := src.open()
	if err != nil {
		return refuse("events_unreadable", err.Error(), "check the path", 2)
	}
	defer rc.Close()
	in, err := segment.NewReplay(rc, r.words.Load, 0)
	var first *record.Record
	if err == nil {
		first, err = in.Next()
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return refuse("events_unreadable", fmt.Sprintf("%s: %v", src.name, err), "it must be JSON lines, plain or gzip", 2)
	}
	if r.o.Step != nil { // on a shared clock: not before the others have come this far
		if err := r.o.Step(ctx, time.Unix(0, first.Received)); err != nil {
			return err
		}
	}
	r.virtualNS.Store(first.Received)
	if r.uplink != nil && (r.o.Offline == nil || !r.o.Offline(r.virtual())) {
		if err := r.checkIn(ctx); err != nil {
			return uplinkError(err)
		}
	}
	st, ok := r.consent.Current()
	if ok && len(st.Statement.Categories) > 0 { // decided before a crash
		return r.decided(ctx, st)
	}
	if r.o.Consent == nil {
		return nil
	}
	d := *r.o.Consent
	d.Accept = true
	_, err = r.Decide(ctx, d)
	return err
}

// boundary is the first delivery after t: at the end of a whole number of Every since the first Monday,
// six hours late, so that windows that close at a grace's end are in.
func (r *replay) boundary(t int64) int64 {
	every := int64(r.o.Every)
	first := report.Midnight(4, r.zone).Add(6 * time.Hour).UnixNano()
	return first + ((t-first)/every+1)*every
}

// advance moves the virtual clock to t, delivering on the way.
func (r *replay) advance(ctx context.Context, t int64) error {
	if now := r.virtualNS.Load(); r.next == 0 && now != 0 {
		r.next = r.boundary(now)
	}
	for r.next != 0 && r.next <= t {
		if err := r.clockTo(r.next); err != nil {
			return err
		}
		if r.o.Step != nil {
			if err := r.o.Step(ctx, r.virtual()); err != nil {
				return err
			}
		}
		if err := r.deliver(ctx); err != nil {
			return err
		}
		if r.o.Progress != nil {
			r.o.Progress(r.virtual().UTC().Format(time.DateOnly))
		}
		r.next += int64(r.o.Every)
	}
	return r.clockTo(t)
}

// clockTo lets time pass in the fold.
func (r *replay) clockTo(t int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t <= r.virtualNS.Load() {
		return nil
	}
	r.virtualNS.Store(t)
	if r.current == nil {
		return nil
	}
	return r.apply(r.applied+1, &record.Record{Kind: record.Tick, Received: t, Catalog: [8]byte(r.current.Hash[:8])})
}

// deliver sends what waits by now, unless the site is offline.
func (r *replay) deliver(ctx context.Context) error {
	if r.uplink == nil || r.virtualNS.Load() == 0 {
		return nil
	}
	if r.o.Offline != nil && r.o.Offline(r.virtual()) {
		return r.checkpoint()
	}
	s, err := r.sendAll(ctx)
	r.sent.Batches += s.Batches
	r.sent.Cells += s.Cells
	r.sent.Left, r.sent.At = s.Left, s.At
	if held(err) {
		return r.checkpoint()
	}
	return err
}

func (r *replay) result() ReplayResult {
	st := r.accounting()
	return ReplayResult{Now: r.virtual().UTC(), Events: st.events, Samples: st.samples, Sent: r.sent}
}
