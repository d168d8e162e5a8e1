package uplink

import (
	"context"
	"errors"
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

// ErrPaused says that the collector refuses the agent.
var ErrPaused = errors.New("the collector refuses this agent")

// Drain sends all that waits, one after the other, and returns. It does not wait beyond the quick tries: a *Error says why it stopped.
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
