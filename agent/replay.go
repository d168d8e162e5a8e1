package agent

import (
	"context"
	"errors"
	"io"
	"iter"
	"os"
	"path/filepath"
	"time"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/agent/intake/segment"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/agent/replay"
	"github.com/fieldpost/fieldpost/agent/uplink/refusal"
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

// replayed is the state as a replay feeds it.
type replayed struct {
	*Agent
	o    ReplayOptions
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
	r := &replayed{Agent: a, o: o}
	c := replay.Config{Site: r, Marks: marks{a}, Sources: o.sources(), Also: o.Also, Every: o.Every, Zone: a.zone, Step: o.Step, Progress: o.Progress,
		Read:  func(in io.Reader) (replay.Reader, error) { return segment.NewReplay(in, a.words.Load, 0) },
		Stamp: func(rec *record.Record) { rec.Catalog = a.words.Load().Hash() }}
	if !o.Until.IsZero() {
		y, m, d := o.Until.Date()
		c.End = report.Midnight(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix()/86400, a.zone).UnixNano()
	}
	if a.virtualNS.Load() != 0 { // it goes on
		if err := a.rezone(ctx); err != nil {
			return ReplayResult{}, err
		}
	}
	if err := replay.Run(ctx, c); err != nil {
		return r.result(), err
	}
	a.outbox.Replayed()
	err := r.Deliver(ctx)
	return r.result(), errors.Join(err, a.checkpoint())
}

func (o ReplayOptions) sources() []replay.Source {
	var out []replay.Source
	for _, f := range o.Files {
		out = append(out, replay.Source{Name: filepath.Base(f), Open: func() (io.ReadCloser, error) { return os.Open(f) }})
	}
	if o.Open != nil {
		out = append(out, replay.Source{Name: "stream", Open: func() (io.ReadCloser, error) { _, rc, err := o.Open(); return rc, err }})
	}
	return out
}

// Now is the virtual clock.
func (r *replayed) Now() int64 { return r.virtualNS.Load() }

// Begin starts the virtual clock at the first event: the agent checks in, takes the catalog, and decides.
func (r *replayed) Begin(ctx context.Context, ns int64) error {
	r.virtualNS.Store(ns)
	if r.uplink != nil && (r.o.Offline == nil || !r.o.Offline(r.virtual())) {
		if err := r.checkIn(ctx); err != nil {
			return refusal.Of(err)
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
	_, err := r.Decide(ctx, d)
	return err
}

// Feed folds a record in.
func (r *replayed) Feed(rec *record.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.apply(r.applied+1, rec)
}

// Tick lets time pass in the fold.
func (r *replayed) Tick(t int64) error {
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

// Deliver sends what waits by now, unless the site is offline.
func (r *replayed) Deliver(ctx context.Context) error {
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

func (r *replayed) result() ReplayResult {
	st := r.accounting()
	return ReplayResult{Now: r.virtual().UTC(), Events: st.events, Samples: st.samples, Sent: r.sent}
}

// marks is how far recorded files were read; the next checkpoint holds it.
type marks struct{ a *Agent }

func (m marks) Line(file string) int { return m.a.progress[file] }

func (m marks) SetLine(file string, line int) {
	m.a.mu.Lock()
	defer m.a.mu.Unlock()
	m.a.progress[file] = line
}

func (m marks) Also() int64 { return m.a.alsoNS }

func (m marks) SetAlso(ns int64) {
	m.a.mu.Lock()
	defer m.a.mu.Unlock()
	m.a.alsoNS = ns
}
