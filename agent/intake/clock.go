package intake

import (
	"sync/atomic"
	"time"
)

// Clock says when something was received: the wall clock, but never earlier than the
// highest value it has given. Safe for concurrent use.
type Clock struct {
	now     func() time.Time
	highest atomic.Int64
	back    atomic.Uint64
}

// NewClock starts at floor (unix ns), the Received of the newest journal record; 0 for a new site.
// A nil now is time.Now.
func NewClock(now func() time.Time, floor int64) *Clock {
	if now == nil {
		now = time.Now
	}
	c := &Clock{now: now}
	c.highest.Store(floor)
	return c
}

// Received is the moment to date an arrival with, in unix ns. back says that the wall clock
// stands behind it (clock_back).
func (c *Clock) Received() (ns int64, back bool) {
	wall := c.now().UnixNano()
	for {
		h := c.highest.Load()
		if wall < h {
			// Requests race for the clock by microseconds; only a step counts.
			if back = h-wall > int64(time.Millisecond); back {
				c.back.Add(1)
			}
			return h, back
		}
		if c.highest.CompareAndSwap(h, wall) {
			return wall, false
		}
	}
}

// Back counts how often the wall clock was found behind.
func (c *Clock) Back() uint64 { return c.back.Load() }
