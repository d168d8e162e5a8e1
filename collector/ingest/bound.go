package ingest

import (
	"context"
	"net/http"
	"runtime"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/batch"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

const (
	// free is how much of a body is read before it counts against the room: nearly every batch
	// fits, and ten thousand connections that send no more take 40 MB.
	free = 4 << 10
	// maxRoom bounds the larger bodies that are in memory at once.
	maxRoom = 64 << 20
	// perBatch is what a batch costs beside its cells: the signatures, the sync, the receipt.
	perBatch = 100
	// burstFor seconds' worth an agent may send at once after a silence, but always the largest batch.
	burstFor = 5
	// atOnce bounds what one agent has in hand; a right one sends one batch after the other.
	atOnce = 8
	// maxSenders bounds the agents that are remembered, about 250 bytes each. One that is
	// forgotten begins with a full burst.
	maxSenders = 50_000
)

// bounds keep one agent, or very many at once, from taking the collector for themselves.
type bounds struct {
	perSecond rate.Limit
	burst     int
	opening   chan struct{} // a place for each batch that is being opened

	mu      sync.Mutex // guards what follows
	room    int
	senders map[exchange.ID]*sender
}

// sender is what one agent has in hand and may still send.
type sender struct {
	cells *rate.Limiter
	now   int
}

func newBounds(cellsPerSecond int) *bounds {
	b := &bounds{perSecond: rate.Limit(cellsPerSecond), burst: max(burstFor*cellsPerSecond, batch.MaxCells+perBatch), opening: make(chan struct{}, runtime.GOMAXPROCS(0)), room: maxRoom, senders: map[exchange.ID]*sender{}}
	if cellsPerSecond < 0 {
		b.perSecond = rate.Inf
	}
	return b
}

// grow takes n bytes of the room; false: there are none.
func (b *bounds) grow(n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n > b.room {
		return false
	}
	b.room -= n
	return true
}

func (b *bounds) shrink(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.room += n
}

// enter lets an agent's batch of that many cells in. Only an authentic request may be given:
// else a stranger could use up what is an agent's. leave is nil when the answer is a problem.
func (b *bounds) enter(agent exchange.ID, cells int, now time.Time) (leave func(), wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.senders[agent]
	if s == nil {
		if len(b.senders) >= maxSenders {
			b.forget(now)
		}
		s = &sender{cells: rate.NewLimiter(b.perSecond, b.burst)}
		b.senders[agent] = s
	}
	if s.now >= atOnce {
		return nil, time.Second
	}
	r := s.cells.ReserveN(now, cells+perBatch)
	if d := r.DelayFrom(now); d > 0 {
		r.CancelAt(now)
		return nil, d
	}
	s.now++
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		s.now--
	}, 0
}

// forget makes room: first those whose silence has filled their burst again, which changes
// nothing for them, else all that have nothing in hand.
func (b *bounds) forget(now time.Time) {
	for _, full := range []bool{true, false} {
		for id, s := range b.senders {
			if s.now == 0 && (!full || s.cells.TokensAt(now) >= float64(b.burst)) {
				delete(b.senders, id)
			}
		}
		if len(b.senders) < maxSenders/2 {
			return
		}
	}
}

// open waits for a place to open a batch in.
func (b *bounds) open(ctx context.Context) (done func(), err error) {
	select {
	case b.opening <- struct{}{}:
		return func() { <-b.opening }, nil
	case <-ctx.Done():
		return nil, &store.Problem{Code: store.CodeBusy, Message: "the collector opens other batches", Status: http.StatusServiceUnavailable, Err: ctx.Err()}
	}
}

// tooMany is the answer to an agent beyond its bounds.
func tooMany(wait time.Duration) *limited {
	return &limited{wait: wait, Problem: store.Problem{Code: store.CodeLimited, Message: "this agent sends more than the collector takes from one",
		Hint: "nothing is lost; the agent goes on by itself", Status: http.StatusTooManyRequests}}
}

// limited is a problem that says when to come again.
type limited struct {
	store.Problem
	wait time.Duration
}

func (l *limited) Unwrap() error { return &l.Problem }
