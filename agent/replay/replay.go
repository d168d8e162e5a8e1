// Package replay feeds recorded events to a site on a virtual clock taken from the time they were received.
//
// It keeps the order of things: deliveries fall due at whole numbers of Every since the first Monday, each before
// the first record that was received after it; further records (probe results) are merged in by the time they
// were received. Nothing is on disk: how far each file was read is kept by the site, in its checkpoint, and
// a replay that was cut off goes on there when it is called again with the same files.
package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Site is what is fed.
type Site interface {
	Now() int64                                // the virtual clock, unix ns; 0 before the first event
	Begin(ctx context.Context, ns int64) error // starts the clock at the first event
	Feed(r *record.Record) error
	Tick(ns int64) error // lets time pass up to ns
	Deliver(ctx context.Context) error
}

// Marks is how far each source was read.
type Marks interface {
	Line(file string) int
	SetLine(file string, line int)
	Also() int64 // when the newest further record that was fed was received, unix ns
	SetAlso(ns int64)
}

// Reader reads records, io.EOF at the end. Lines is the number of the line it came to.
type Reader interface {
	Next() (*record.Record, error)
	Lines() int
}

// Source is one recorded stream. Open is called twice where the clock has not begun.
type Source struct {
	Name string
	Open func() (io.ReadCloser, error)
}

// Config of a replay. All but Also, Step, Progress and End are required.
type Config struct {
	Site     Site
	Marks    Marks
	Sources  []Source
	Read     func(io.Reader) (Reader, error)
	Also     iter.Seq[*record.Record] // in order of Received
	Stamp    func(*record.Record)     // names the catalog in force on one of Also
	End      int64                    // unix ns; 0: where the sources end
	Every    time.Duration            // between deliveries
	Zone     *time.Location
	Step     func(ctx context.Context, t time.Time) error // before the first event and every delivery
	Progress func(text string)
}

type run struct {
	Config
	next int64 // unix ns of the next delivery
}

// Run feeds everything and lets time pass up to the end, delivering on the way.
func Run(ctx context.Context, c Config) error {
	r := &run{Config: c}
	for _, src := range r.Sources {
		if err := r.feed(ctx, src); err != nil {
			return err
		}
	}
	if r.End != 0 {
		return r.advance(ctx, r.End)
	}
	return nil
}

// feed feeds one source from where the last checkpoint left it.
func (r *run) feed(ctx context.Context, src Source) error {
	rc, err := src.Open()
	if err != nil {
		return unreadable(err.Error(), "check the path")
	}
	defer rc.Close()
	if err := r.begin(ctx, src); err != nil {
		return err
	}
	in, err := r.Read(rc)
	if err != nil {
		return noLines(fmt.Sprintf("%s: %v", src.Name, err))
	}
	skip := r.Marks.Line(src.Name)
	also, stop := r.also()
	defer stop()
	for ctx.Err() == nil {
		rec, err := in.Next()
		if errors.Is(err, io.EOF) {
			return r.feedAlso(ctx, also, int64(1)<<62)
		}
		if err != nil {
			return noLines(fmt.Sprintf("%s, line %d: %v", src.Name, in.Lines(), err))
		}
		if in.Lines() <= skip {
			continue
		}
		if err := r.feedAlso(ctx, also, rec.Received); err != nil || r.pastEnd(rec.Received) {
			return err
		}
		if err := r.one(ctx, rec); err != nil {
			return err
		}
		r.Marks.SetLine(src.Name, in.Lines())
	}
	return ctx.Err()
}

// also pulls the further records that come after the virtual clock.
func (r *run) also() (func() (*record.Record, bool), func()) {
	if r.Also == nil {
		return func() (*record.Record, bool) { return nil, false }, func() {}
	}
	next, stop := iter.Pull(r.Also)
	var held *record.Record
	peek := func() (*record.Record, bool) {
		for held == nil || held.Received <= r.Site.Now() && held.Received <= r.Marks.Also() {
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
func (r *run) feedAlso(ctx context.Context, peek func() (*record.Record, bool), until int64) error {
	for ctx.Err() == nil {
		rec, ok := peek()
		if !ok || rec.Received >= until || r.pastEnd(rec.Received) {
			return nil
		}
		r.Stamp(rec)
		if err := r.one(ctx, rec); err != nil {
			return err
		}
		r.Marks.SetAlso(rec.Received)
	}
	return ctx.Err()
}

func (r *run) pastEnd(ns int64) bool { return r.End != 0 && ns >= r.End }

// one feeds one record, after the deliveries that are due before it.
func (r *run) one(ctx context.Context, rec *record.Record) error {
	if err := r.advance(ctx, rec.Received); err != nil {
		return err
	}
	return r.Site.Feed(rec)
}

// begin starts the virtual clock at the first event.
func (r *run) begin(ctx context.Context, src Source) error {
	if r.Site.Now() != 0 {
		return nil
	}
	rc, err := src.Open()
	if err != nil {
		return unreadable(err.Error(), "check the path")
	}
	defer rc.Close()
	in, err := r.Read(rc)
	var first *record.Record
	if err == nil {
		first, err = in.Next()
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return noLines(fmt.Sprintf("%s: %v", src.Name, err))
	}
	if r.Step != nil { // on a shared clock: not before the others have come this far
		if err := r.Step(ctx, time.Unix(0, first.Received)); err != nil {
			return err
		}
	}
	return r.Site.Begin(ctx, first.Received)
}

// boundary is the first delivery after t: at the end of a whole number of Every since the first Monday,
// six hours late, so that windows that close at a grace's end are in.
func (r *run) boundary(t int64) int64 {
	every := int64(r.Every)
	first := report.Midnight(4, r.Zone).Add(6 * time.Hour).UnixNano()
	return first + ((t-first)/every+1)*every
}

// advance moves the virtual clock to t, delivering on the way.
func (r *run) advance(ctx context.Context, t int64) error {
	if now := r.Site.Now(); r.next == 0 && now != 0 {
		r.next = r.boundary(now)
	}
	for r.next != 0 && r.next <= t {
		if err := r.Site.Tick(r.next); err != nil {
			return err
		}
		now := time.Unix(0, r.Site.Now())
		if r.Step != nil {
			if err := r.Step(ctx, now); err != nil {
				return err
			}
		}
		if err := r.Site.Deliver(ctx); err != nil {
			return err
		}
		if r.Progress != nil {
			r.Progress(now.UTC().Format(time.DateOnly))
		}
		r.next += int64(r.Every)
	}
	return r.Site.Tick(t)
}

func unreadable(message, hint string) error {
	return &control.Error{Code: "events_unreadable", Message: message, Hint: hint, Exit: 2}
}

func noLines(message string) error {
	return unreadable(message, "it must be JSON lines, plain or gzip")
}
