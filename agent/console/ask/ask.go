// Package ask asks the site for figures, a few queries at a time, and keeps the answers for a short
// while, so that a page need not wait for all of them.
//
// Invariants: it never asks for exact figures; an answer outlives a minute only while its successor
// is on its way; after Forget nothing older is shown; Close waits for every goroutine.
//
// The package keeps no state on disk.
package ask

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/fieldpost/fieldpost/agent/console/picture"
	"github.com/fieldpost/fieldpost/agent/control"
)

const (
	// askAtOnce bounds queries in flight: the site answers them one after the other anyway, and
	// must stay free to measure.
	askAtOnce = 4
	// fresh: an answer younger than this is shown as it is; an older one is shown and asked for
	// again; one older than stale is waited for. Windows close hourly at most, so this hides nothing.
	fresh, stale = 10 * time.Second, time.Minute
	// askLong ends a query that hangs.
	askLong = 15 * time.Second
	// answersMost bounds memory: 60 measures at four grains.
	answersMost = 256
)

// answer is what a query gave, once done is closed.
type Answer struct {
	done  chan struct{}
	at    time.Time
	Lines []picture.Line
	Err   error

	renewing bool // guarded by the Asker's mu: a newer one is being asked for
}

func (a *Answer) Ready() bool {
	select {
	case <-a.done:
		return true
	default:
		return false
	}
}

// Asker asks the site for figures, a few at a time, and keeps the answers for a short while. It
// owns the goroutines that ask: close waits for them.
type Asker struct {
	site  control.Reader
	slots chan struct{}

	mu      sync.Mutex // guards what follows
	life    context.Context
	answers map[string]*Answer
	asking  sync.WaitGroup
}

// New asks the site.
func New(site control.Reader) *Asker {
	return &Asker{site: site, slots: make(chan struct{}, askAtOnce), life: context.Background(), answers: map[string]*Answer{}}
}

// During binds the Asker's work to ctx.
func (a *Asker) During(ctx context.Context) {
	a.mu.Lock()
	a.life = ctx
	a.mu.Unlock()
}

// Forget drops every answer: a decision changed what may be shown.
func (a *Asker) Forget() {
	a.mu.Lock()
	a.answers = map[string]*Answer{}
	a.mu.Unlock()
}

// Ask starts a query, or finds its answer. The answer may be under way.
func (a *Asker) Ask(q control.Query) *Answer {
	q.Exact = false // the console never asks for exact figures
	b, err := json.Marshal(q)
	if err != nil { // strings only: cannot happen
		return failed(err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	old := a.answers[string(b)]
	if old != nil {
		if !old.Ready() || old.renewing || time.Since(old.at) < fresh {
			return old
		}
	}
	if a.life.Err() != nil {
		return failed(a.life.Err())
	}
	if len(a.answers) >= answersMost {
		a.answers = map[string]*Answer{}
	}
	next := &Answer{done: make(chan struct{})}
	life, into := a.life, a.answers
	show := next
	if old != nil && old.Err == nil && time.Since(old.at) < stale {
		show, old.renewing = old, true
	} else {
		into[string(b)] = next
	}
	a.asking.Go(func() {
		a.run(life, q, next)
		a.mu.Lock()
		into[string(b)] = next // of the answers it was asked for; forget has put them away
		a.mu.Unlock()
	})
	return show
}

func failed(err error) *Answer {
	done := make(chan struct{})
	close(done)
	return &Answer{done: done, at: time.Now(), Err: err}
}

func (a *Asker) run(ctx context.Context, q control.Query, to *Answer) {
	defer close(to.done)
	ctx, cancel := context.WithTimeout(ctx, askLong)
	defer cancel()
	select {
	case a.slots <- struct{}{}:
		defer func() { <-a.slots }()
	case <-ctx.Done():
		to.at, to.Err = time.Now(), ctx.Err()
		return
	}
	raw, err := a.site.Query(ctx, q)
	to.at, to.Err = time.Now(), err
	if err != nil {
		return
	}
	lines := make([]picture.Line, len(raw))
	for i, b := range raw {
		if err := json.Unmarshal(b, &lines[i]); err != nil {
			to.Err = fmt.Errorf("reading figures of %s: %w", q.Measure, err)
			return
		}
	}
	to.Lines = lines
}

// Await waits until all answers are there or the deadline has passed.
func Await(ctx context.Context, deadline time.Time, all ...*Answer) {
	t := time.NewTimer(time.Until(deadline))
	defer t.Stop()
	for _, a := range all {
		select {
		case <-a.done:
		case <-t.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// Close waits for what is being asked; the life given to during has ended.
func (a *Asker) Close() {
	a.mu.Lock() // whoever holds it may still start a query
	a.mu.Unlock()
	a.asking.Wait()
}
