package demo

import (
	"context"
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	"github.com/fieldpost/fieldpost/installer/examples"
)

// clock keeps the sites together: a site passes a moment when no other is still before it.
type clock struct {
	pace time.Duration // real time a step takes at least
	tell func(time.Time)

	mu   sync.Mutex // guards at, told
	cond *sync.Cond
	at   []int64 // unix seconds each site has come to
	told int64
}

func newClock(members []*member, pace time.Duration, tell func(time.Time)) *clock {
	c := &clock{pace: pace, tell: tell, at: make([]int64, len(members))}
	c.cond = sync.NewCond(&c.mu)
	for i, m := range members {
		for _, in := range examples.Installations() { // before its first event a site holds nobody up
			if in.Account == m.account && in.Installation == m.installation {
				c.at[i] = day(in.First).Unix()
			}
		}
	}
	return c
}

// step waits until every site has come to t.
func (c *clock) step(ctx context.Context, i int, t time.Time) error {
	if c.pace > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(c.pace):
		}
	}
	stop := context.AfterFunc(ctx, c.cond.Broadcast)
	defer stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at[i] = max(c.at[i], t.Unix())
	c.cond.Broadcast()
	for ctx.Err() == nil && c.earliest() < t.Unix() {
		c.cond.Wait()
	}
	if e := c.earliest(); e > c.told && e < math.MaxInt64 {
		c.told = e
		c.tell(time.Unix(e, 0))
	}
	return ctx.Err()
}

// leave lets the others go on without site i.
func (c *clock) leave(i int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at[i] = math.MaxInt64
	c.cond.Broadcast()
}

func (c *clock) earliest() int64 {
	e := int64(math.MaxInt64)
	for _, t := range c.at {
		e = min(e, t)
	}
	return e
}

// progress is one line that moves, or one line a year where the output is no terminal.
type progress struct {
	mu   sync.Mutex // guards year, open
	year int
	open bool
}

func (p *progress) show(w io.Writer, t, until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if terminal(w) {
		fmt.Fprintf(w, "\r  %s of %s ", t.UTC().Format(time.DateOnly), until.Format(time.DateOnly))
		p.open = true
		return
	}
	if y := t.UTC().Year(); y != p.year {
		p.year = y
		fmt.Fprintf(w, "  %d\n", y)
	}
}

func (p *progress) done(w io.Writer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open {
		fmt.Fprint(w, "\r                              \r")
		p.open = false
	}
}
