package uplink

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// Queue is what waits to be sent. It owns the bytes it hands out; they are the same until
// the batch is settled. It is called by one goroutine at a time, and every method returns
// when what it did is on disk, so that a crash repeats a step and never skips one.
type Queue interface {
	// Next is the frozen batch whose turn it is; ok is false when none waits. It does not
	// block and does not remove anything.
	Next(ctx context.Context) (wire []byte, ok bool, err error)
	// Acknowledge settles the batch as received. Idempotent.
	Acknowledge(ctx context.Context, wire []byte, s Signed) error
	// Quarantine settles the batch as refused for good. Idempotent.
	Quarantine(ctx context.Context, wire []byte, s Signed) error
	// Rewind goes on with the seq the receipt expects; what cannot be sent in this epoch
	// any more is moved to a new one.
	Rewind(ctx context.Context, wire []byte, s Signed) error
}

// Signed is a receipt and the signed answer it was read from.
type Signed = exchange.SignedReceipt

// Sender sends one batch. *Client is one.
type Sender interface {
	Send(ctx context.Context, wire []byte) (Verdict, error)
}

var _ Sender = (*Client)(nil)

const (
	// firstWait and lastWait bound the waits between rounds: 5 s, 10 s, 20 s … 15 min.
	firstWait = 5 * time.Second
	lastWait  = 15 * time.Minute
	// maxRewinds in a row without an acknowledgement are a quarrel, not progress.
	maxRewinds = 4
)

// LoopConfig of a Loop; Sender and Queue are required.
type LoopConfig struct {
	Sender Sender
	Queue  Queue
	Now    func() time.Time // default time.Now; real time also in a replay
	Rand   func() float64   // [0,1); default math/rand/v2
	// Recovered is called when a batch was acknowledged after an outage, before the next
	// one is sent: the outbox may open a new epoch so that fresh data flows beside the
	// backlog. Optional.
	Recovered func(ctx context.Context, outage time.Duration) error
}

// Loop drains a Queue for as long as it runs.
type Loop struct {
	cfg  LoopConfig
	wake chan struct{}

	mu     sync.Mutex // guards st and paused
	st     Status
	paused *Verdict
	resume chan struct{} // closed and replaced by Resume
}

// Status is how the uplink is doing, in numbers.
type Status struct {
	Sent        uint64 // batches acknowledged since start
	Quarantined uint64
	Rewinds     uint64
	Failures    int       // in a row
	Since       time.Time // of the first failure in a row; zero when all is well
	LastSuccess time.Time // of the last signed answer that moved a batch
	NextTry     time.Time // zero when not waiting
	Last        Verdict   // of the last try that did not move a batch
	Paused      bool
	QueueErr    string // the outbox's own error, if the last step failed there
}

// Warning is a condition somebody should know of.
type Warning struct {
	Code   string // stable
	Cause  string
	Remedy string
}

// NewLoop builds a loop. It does nothing until Run.
func NewLoop(cfg LoopConfig) *Loop {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Rand == nil {
		cfg.Rand = defaultRand
	}
	return &Loop{cfg: cfg, wake: make(chan struct{}, 1), resume: make(chan struct{})}
}

// Wake tells the loop that a batch was frozen or the network changed. It never blocks. It
// does not cut a wait short that the collector asked for or that follows failures.
func (l *Loop) Wake() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Resume ends a pause, for example after a check-in succeeded.
func (l *Loop) Resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.paused, l.st.Paused = nil, false
	close(l.resume)
	l.resume = make(chan struct{})
}

// Run drains the queue until ctx ends. It returns nil then; it returns early with no other
// error than one of Recovered.
func (l *Loop) Run(ctx context.Context) error {
	for {
		wait, err := l.round(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		l.mu.Lock()
		paused, resume := l.st.Paused, l.resume
		if wait > 0 {
			l.st.NextTry = l.cfg.Now().Add(wait)
		} else {
			l.st.NextTry = time.Time{}
		}
		l.mu.Unlock()
		switch {
		case paused:
			select {
			case <-ctx.Done():
			case <-resume:
			}
		case wait > 0:
			t := time.NewTimer(wait)
			select {
			case <-ctx.Done():
			case <-t.C:
			case <-resume:
			}
			t.Stop()
		default:
			select {
			case <-ctx.Done():
			case <-l.wake:
			case <-resume:
			}
		}
	}
}

// round sends until nothing waits, and says how long to rest; 0: until woken.
func (l *Loop) round(ctx context.Context) (time.Duration, error) {
	rewinds := 0
	for ctx.Err() == nil {
		wire, ok, err := l.cfg.Queue.Next(ctx)
		if err != nil {
			return l.queueFailed(err), nil
		}
		if !ok {
			return 0, nil
		}
		v, err := l.cfg.Sender.Send(ctx, wire)
		if ctx.Err() != nil {
			return 0, nil
		}
		if err != nil {
			return l.queueFailed(err), nil
		}
		if v.Action == Resync {
			if rewinds++; rewinds > maxRewinds {
				v.Action = Unreachable
			}
		} else {
			rewinds = 0
		}
		if err := settle(ctx, l.cfg.Queue, wire, v); err != nil {
			return l.queueFailed(err), nil
		}
		wait, outage := l.note(v)
		if outage > 0 && l.cfg.Recovered != nil {
			if err := l.cfg.Recovered(ctx, outage); err != nil {
				return 0, fmt.Errorf("going on after an outage: %w", err)
			}
		}
		if wait > 0 || v.Action == Pause {
			return wait, nil
		}
	}
	return 0, nil
}

// settle carries a verdict out.
func settle(ctx context.Context, q Queue, wire []byte, v Verdict) error {
	s := Signed{Receipt: v.Receipt, Answer: v.Answer}
	switch v.Action {
	case Acknowledge:
		return q.Acknowledge(ctx, wire, s)
	case Quarantine:
		return q.Quarantine(ctx, wire, s)
	case Resync:
		return q.Rewind(ctx, wire, s)
	}
	return nil
}

// note books a verdict. wait is how long to rest before the next try; outage is how long
// there was no success when this was the first one after failures.
func (l *Loop) note(v Verdict) (wait, outage time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.cfg.Now()
	l.st.QueueErr = ""
	switch v.Action {
	case Acknowledge, Quarantine, Resync:
		if !l.st.Since.IsZero() && v.Action == Acknowledge {
			outage = now.Sub(l.st.Since)
		}
		switch v.Action {
		case Acknowledge:
			l.st.Sent++
		case Quarantine:
			l.st.Quarantined++
		default:
			l.st.Rewinds++
		}
		if v.Action != Resync {
			l.st.Failures, l.st.Since = 0, time.Time{}
		}
		l.st.LastSuccess = now
		return 0, outage
	case Pause:
		p := v
		l.paused, l.st.Paused, l.st.Last = &p, true, v
		return 0, 0
	}
	l.st.Last = v
	l.st.Failures++
	if l.st.Since.IsZero() {
		l.st.Since = now
	}
	return retryIn(v, l.st.Failures, l.cfg.Rand), 0
}

// RetryIn is how long to wait after n failures in a row, of which err was the last: what the
// collector asked for, if it did, else doubling from 5 s to 15 min. rnd, in [0,1), is the
// jitter; nil: math/rand/v2.
func RetryIn(err error, n int, rnd func() float64) time.Duration {
	if rnd == nil {
		rnd = defaultRand
	}
	v := Verdict{}
	if e := (*Error)(nil); errors.As(err, &e) {
		v = e.Verdict
	}
	return retryIn(v, max(n, 1), rnd)
}

func retryIn(v Verdict, n int, rnd func() float64) time.Duration {
	if v.After > 0 {
		// Not all agents at once: up to a tenth later than asked, at least a second.
		return v.After + time.Duration(rnd()*float64(max(v.After/10, time.Second)))
	}
	return backoff(n, rnd)
}

// backoff is the wait after n failures in a row: doubled each time up to lastWait, of which
// half is jitter, so that a fleet that lost its collector does not come back at once.
func backoff(n int, rnd func() float64) time.Duration {
	d := lastWait
	if n < 10 {
		d = min(firstWait<<(n-1), lastWait)
	}
	return d/2 + time.Duration(rnd()*float64(d/2))
}

func (l *Loop) queueFailed(err error) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.st.QueueErr = err.Error()
	l.st.Failures++
	return backoff(l.st.Failures, l.cfg.Rand)
}

// Status is a snapshot.
func (l *Loop) Status() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.st
}

// Warnings are what the status shows to people; empty when all is well.
func (l *Loop) Warnings() []Warning {
	l.mu.Lock()
	defer l.mu.Unlock()
	var w []Warning
	if l.paused != nil {
		w = append(w, Warning{Code: "uplink_paused", Remedy: remedy(*l.paused),
			Cause: fmt.Sprintf("The collector refuses this agent (%s): %s. Nothing is sent; everything is kept.", l.paused.Code, l.paused.Cause)})
	}
	// Three rounds take about half a minute: shorter hiccups are nobody's concern.
	if l.st.Failures >= 3 && !l.st.Since.IsZero() {
		w = append(w, Warning{Code: "uplink_" + l.st.Last.Code, Remedy: remedy(l.st.Last),
			Cause: fmt.Sprintf("The collector was not reached since %s: %s.", l.st.Since.UTC().Format(time.RFC3339), l.st.Last.Cause)})
	}
	if l.st.QueueErr != "" {
		w = append(w, Warning{Code: "uplink_queue", Cause: "Waiting batches cannot be read or settled: " + l.st.QueueErr,
			Remedy: "Try: check the free space and the health of the disk that holds the agent's state."})
	}
	return w
}

// ErrPaused says that the collector refuses the agent.
var ErrPaused = errors.New("the collector refuses this agent")

// Drain sends all that waits, one after the other, and returns; for replays and for the
// command line. It does not wait beyond the quick tries: a *Error says why it stopped.
func Drain(ctx context.Context, s Sender, q Queue) (sent int, err error) {
	rewinds := 0
	for {
		wire, ok, err := q.Next(ctx)
		if err != nil || !ok {
			return sent, err
		}
		v, err := s.Send(ctx, wire)
		if err != nil {
			return sent, err
		}
		switch v.Action {
		case Acknowledge, Quarantine:
			rewinds = 0
		case Resync:
			if rewinds++; rewinds > maxRewinds {
				return sent, &Error{Verdict: v}
			}
		case Pause:
			return sent, &Error{Verdict: v, Err: ErrPaused}
		default:
			return sent, &Error{Verdict: v}
		}
		if err := settle(ctx, q, wire, v); err != nil {
			return sent, err
		}
		if v.Action == Acknowledge {
			sent++
		}
	}
}
