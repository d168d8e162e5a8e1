package console

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

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
	// patience is how long a page waits for figures; what is not there by then comes with the next
	// load, which the page asks for by itself. It leaves 70 ms of the 200 for the rest.
	patience = 130 * time.Millisecond
	// answersMost bounds memory: 60 measures at four grains.
	answersMost = 256
)

// line is one line of a query's answer.
type line struct {
	Measure string            `json:"measure"`
	Grain   string            `json:"grain"`
	Start   string            `json:"start"`
	Dims    map[string]string `json:"dims"`
	Value   json.RawMessage   `json:"value"`
	Form    string            `json:"form"` // "" when the value is told as it is
	Lo      *float64          `json:"lo"`
	Hi      *float64          `json:"hi"` // absent with lo present: open top
	Why     string            `json:"why"`
	Closed  bool              `json:"closed"`
}

// answer is what a query gave, once done is closed.
type answer struct {
	done  chan struct{}
	at    time.Time
	lines []line
	err   error

	renewing bool // guarded by the asker's mu: a newer one is being asked for
}

func (a *answer) ready() bool {
	select {
	case <-a.done:
		return true
	default:
		return false
	}
}

// asker asks the site for figures, a few at a time, and keeps the answers for a short while. It
// owns the goroutines that ask: close waits for them.
type asker struct {
	site  control.Reader
	slots chan struct{}

	mu      sync.Mutex // guards what follows
	life    context.Context
	answers map[string]*answer
	asking  sync.WaitGroup
}

func newAsker(site control.Reader) *asker {
	return &asker{site: site, slots: make(chan struct{}, askAtOnce), life: context.Background(), answers: map[string]*answer{}}
}

// during binds the asker's work to ctx.
func (a *asker) during(ctx context.Context) {
	a.mu.Lock()
	a.life = ctx
	a.mu.Unlock()
}

// forget drops every answer: a decision changed what may be shown.
func (a *asker) forget() {
	a.mu.Lock()
	a.answers = map[string]*answer{}
	a.mu.Unlock()
}

// ask starts a query, or finds its answer. The answer may be under way.
func (a *asker) ask(q control.Query) *answer {
	q.Exact = false // the console never asks for exact figures
	b, err := json.Marshal(q)
	if err != nil { // strings only: cannot happen
		return failed(err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	old := a.answers[string(b)]
	if old != nil {
		if !old.ready() || old.renewing || time.Since(old.at) < fresh {
			return old
		}
	}
	if a.life.Err() != nil {
		return failed(a.life.Err())
	}
	if len(a.answers) >= answersMost {
		a.answers = map[string]*answer{}
	}
	next := &answer{done: make(chan struct{})}
	life, into := a.life, a.answers
	show := next
	if old != nil && old.err == nil && time.Since(old.at) < stale {
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

func failed(err error) *answer {
	done := make(chan struct{})
	close(done)
	return &answer{done: done, at: time.Now(), err: err}
}

func (a *asker) run(ctx context.Context, q control.Query, to *answer) {
	defer close(to.done)
	ctx, cancel := context.WithTimeout(ctx, askLong)
	defer cancel()
	select {
	case a.slots <- struct{}{}:
		defer func() { <-a.slots }()
	case <-ctx.Done():
		to.at, to.err = time.Now(), ctx.Err()
		return
	}
	raw, err := a.site.Query(ctx, q)
	to.at, to.err = time.Now(), err
	if err != nil {
		return
	}
	lines := make([]line, len(raw))
	for i, b := range raw {
		if err := json.Unmarshal(b, &lines[i]); err != nil {
			to.err = fmt.Errorf("reading figures of %s: %w", q.Measure, err)
			return
		}
	}
	to.lines = lines
}

// await waits until all answers are there or the deadline has passed.
func await(ctx context.Context, deadline time.Time, all ...*answer) {
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

// close waits for what is being asked; the life given to during has ended.
func (a *asker) close() {
	a.mu.Lock() // whoever holds it may still start a query
	a.mu.Unlock()
	a.asking.Wait()
}
