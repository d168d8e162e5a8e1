package intake

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/fieldpost/fieldpost/agent/record"
)

// Stats counts since New. Events and samples are those of requests that were journaled: by
// reason where refused, the rest under Passed (the fold decides about duplicates and lateness).
type Stats struct {
	Requests       uint64
	Refused        map[string]uint64 // whole requests, by code
	InFlight       int64             // bytes
	PassedEvents   uint64
	PassedSamples  uint64
	RefusedEvents  record.Counts
	RefusedSamples record.Counts
	Skewed         uint64
	ClockBack      uint64
}

type counters struct {
	requests atomic.Uint64
	mu       sync.Mutex // guards what follows
	refused  map[string]uint64
	total    Stats
}

func (c *counters) refuse(code string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused[code]++
}

func (c *counters) taken(r *record.Record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total.PassedEvents += uint64(len(r.Events))
	c.total.PassedSamples += uint64(len(r.Samples))
	for i := range r.RefusedEvents {
		c.total.RefusedEvents[i] += r.RefusedEvents[i]
		c.total.RefusedSamples[i] += r.RefusedSamples[i]
	}
	c.total.Skewed += r.Skewed
}

// Stats are the counters now.
func (s *Server) Stats() Stats {
	s.stats.mu.Lock()
	defer s.stats.mu.Unlock()
	t := s.stats.total
	t.Requests, t.InFlight, t.ClockBack = s.stats.requests.Load(), s.inFlight.Load(), s.c.Clock.Back()
	t.Refused = maps.Clone(s.stats.refused)
	return t
}
