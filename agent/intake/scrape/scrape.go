package scrape

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fieldpost/fieldpost/agent/intake"
	"github.com/fieldpost/fieldpost/agent/record"
)

// Target is one page of metrics.
type Target struct {
	Name      string        // unique; part of the identity of every series read there
	URL       string        // http or https, without a password
	Interval  time.Duration // default 60s
	Timeout   time.Duration // default 10s
	TokenFile string        // a bearer token, read again for every scrape; "": none
}

// Config of a Runner. Vocabulary and Journal must be given; the zero value of each other field means
// its default.
type Config struct {
	Targets []Target
	// Vocabulary is asked once per scrape.
	Vocabulary func() *intake.Vocabulary
	Journal    intake.Appender
	Clock      *intake.Clock // default: a new one from zero
	Logger     *slog.Logger  // default: silent
}

const (
	maxPage  = 16 << 20 // after inflating: 200,000 lines
	maxPages = 32 << 20 // of all targets at a time
	maxToken = 8 << 10
)

// Reasons why a scrape failed. Append-only.
const (
	Unreachable = "unreachable"       // no connection, or it broke
	Forbidden   = "address_forbidden" // the name leads to neither a loopback nor a private address
	Slow        = "timeout"           // the answer was not there in time
	Redirected  = "redirect"          // not followed
	BadStatus   = "status"            // anything but 200
	BadType     = "content_type"      // HTML, or nothing that is read here
	TooLarge    = "too_large"         // over 16 MiB after inflating
	TooMany     = "too_many_series"   // over 10,000 series that are kept
	Unreadable  = "unreadable"        // not the format it says
	Busy        = "busy"              // other targets' pages took the room
	BadToken    = "token"             // the token file cannot be used
	Unkept      = "journal"           // the journal did not take it
)

// failure is a scrape that failed.
type failure struct {
	reason string
	err    error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

func fail(reason, format string, args ...any) error {
	return &failure{reason, fmt.Errorf(format, args...)}
}

// State is what is known of a target, for status and console.
type State struct {
	Name    string
	Target  string // the URL without its query, which may hold a secret
	At      time.Time
	OK      bool
	Idle    bool   // nothing that is on reads a metric, so it is not asked
	Detail  string // why the newest scrape failed
	Took    time.Duration
	Bytes   int               // of the newest page
	Samples int               // of the newest page, kept
	Refused record.Counts     // of the newest page
	Scrapes uint64            // all
	Failed  map[string]uint64 // of them, by reason
}

// Runner reads the targets.
type Runner struct {
	c     Config
	get   *getter
	inUse atomic.Int64 // bytes of pages

	mu     sync.Mutex // guards states
	states map[string]*State
}

// New is a runner that does nothing until Run.
func New(c Config) *Runner {
	if c.Clock == nil {
		c.Clock = intake.NewClock(nil, 0)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Runner{c: c, get: newGetter(), states: map[string]*State{}}
	for _, t := range c.Targets {
		r.states[t.Name] = &State{Name: t.Name, Target: shown(t.URL), Failed: map[string]uint64{}}
	}
	return r
}

// shown is a URL without what may be secret.
func shown(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// Run scrapes until ctx ends. It returns once every scrape has stopped.
func (r *Runner) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, t := range r.c.Targets {
		wg.Go(func() { r.beat(ctx, t) })
	}
	wg.Wait()
	return nil
}

func (r *Runner) beat(ctx context.Context, t Target) {
	if t.Interval <= 0 {
		t.Interval = time.Minute
	}
	if t.Timeout <= 0 {
		t.Timeout = 10 * time.Second
	}
	tick := time.NewTicker(t.Interval)
	defer tick.Stop()
	for {
		r.once(ctx, t)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// once scrapes and notes what came of it.
func (r *Runner) once(ctx context.Context, t Target) {
	v := r.c.Vocabulary()
	began := time.Now()
	now := State{At: began, Idle: !v.MetricsOn()}
	var err error
	if !now.Idle {
		err = r.Scrape(ctx, t, v, &now)
	}
	if ctx.Err() != nil {
		return // we stopped; this says nothing about the target
	}
	now.OK, now.Took = err == nil, time.Since(began)
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.states[t.Name]
	now.Name, now.Target, now.Scrapes, now.Failed = old.Name, old.Target, old.Scrapes, old.Failed
	if !now.Idle {
		now.Scrapes++
	}
	if err != nil {
		reason := Unreachable
		var f *failure
		if errors.As(err, &f) {
			reason = f.reason
		}
		now.Failed[reason]++
		now.Detail = reason + ": " + err.Error()
		if old.OK || old.At.IsZero() {
			r.c.Logger.Warn("scrape failed", "target", t.Name, "reason", reason, "error", err)
		}
	}
	*old = now
}

// Scrape reads a target once and journals what is on its page. What it learns goes into s.
func (r *Runner) Scrape(ctx context.Context, t Target, v *intake.Vocabulary, s *State) error {
	token, err := readToken(t.TokenFile)
	if err != nil {
		return err
	}
	inner, cancel := context.WithTimeout(ctx, t.Timeout)
	defer cancel()
	buf := &buffer{room: &r.inUse}
	defer buf.free()
	form, err := r.get.page(inner, t, token, buf)
	if err != nil {
		return err
	}
	s.Bytes = len(buf.b)
	received, back := r.c.Clock.Received()
	rec := record.Record{Kind: record.Request, Received: received, Catalog: v.Hash()}
	if back {
		rec.ClockBack = 1
	}
	if err := read(form, buf.b, v, t.Name, &rec); err != nil {
		return err
	}
	s.Samples, s.Refused = len(rec.Samples), rec.RefusedSamples
	if len(rec.Samples) == 0 && rec.RefusedSamples == (record.Counts{}) {
		return nil
	}
	if _, err := r.c.Journal.Append(context.WithoutCancel(ctx), &rec); err != nil {
		return &failure{Unkept, fmt.Errorf("journaling the page: %w", err)}
	}
	return nil
}

// read turns a page into the samples of rec.
func read(f form, b []byte, v *intake.Vocabulary, target string, rec *record.Record) error {
	p := newPage(v, target)
	var err error
	if f == protobuf {
		err = (&families{p: p}).read(b)
	} else {
		err = (&text{p: p, open: f == openMetrics}).read(b)
	}
	switch {
	case errors.Is(err, errSeries), errors.Is(err, errFigures):
		return &failure{TooMany, err}
	case err != nil:
		return &failure{Unreadable, err}
	}
	p.record(rec)
	return nil
}

// readToken is what stands in the file. It is never shown.
func readToken(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	f, err := os.Open(path)
	if err != nil {
		return "", &failure{BadToken, fmt.Errorf("opening the token file: %w", err)}
	}
	defer f.Close()
	b := make([]byte, maxToken+1)
	n := 0
	for n < len(b) {
		k, err := f.Read(b[n:])
		if n += k; err != nil {
			break
		}
	}
	token := bytes.TrimSpace(b[:n])
	bad := len(token) == 0 || n > maxToken
	for _, c := range token {
		bad = bad || c <= ' ' || c > '~'
	}
	if bad {
		return "", fail(BadToken, "the token file holds no token")
	}
	return string(token), nil
}

// States is what is known of each target, in the order of the configuration.
func (r *Runner) States() []State {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]State, 0, len(r.c.Targets))
	for _, t := range r.c.Targets {
		s := *r.states[t.Name]
		s.Failed = maps.Clone(s.Failed)
		out = append(out, s)
	}
	return out
}
