// Package entrance opens the doors a site's settings ask for: the protocols the product may speak over HTTP, the
// StatsD socket and the pages that are read. It says in status how each of them does.
//
// Invariants: a door that is off is not opened; nothing is on disk.
package entrance

import (
	"context"
	"fmt"
	"log/slog"
	"net"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/agent/intake"
	"github.com/fieldpost/fieldpost/agent/intake/cloudevents"
	"github.com/fieldpost/fieldpost/agent/intake/otlp"
	"github.com/fieldpost/fieldpost/agent/intake/posthog"
	"github.com/fieldpost/fieldpost/agent/intake/scrape"
	"github.com/fieldpost/fieldpost/agent/intake/segment"
	"github.com/fieldpost/fieldpost/agent/intake/statsd"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/agent/settings"
)

// Doors are the protocols the product may speak over HTTP.
func Doors(writeKeys []string) []intake.Door {
	return []intake.Door{
		segment.New(segment.Config{WriteKeys: writeKeys}),
		posthog.New(posthog.Config{WriteKeys: writeKeys}),
		cloudevents.New(),
		otlp.Door{},
		otlp.NewLogs(),
	}
}

// Samples are the doors for samples that are no HTTP doors. A nil *Samples is one with all of them shut.
type Samples struct {
	listen  string // of StatsD; "": off
	statsd  *statsd.Server
	scrapes *scrape.Runner
}

// Open prepares the doors for samples; those of Run are served then.
func Open(s settings.Config, words func() *intake.Vocabulary, journal intake.Appender, clock *intake.Clock, log *slog.Logger) *Samples {
	out := &Samples{listen: s.StatsD}
	if s.StatsD != "" {
		out.statsd = statsd.New(statsd.Config{Vocabulary: words, Journal: journal, Clock: clock, Logger: log})
	}
	targets := make([]scrape.Target, len(s.Scrape))
	for i, t := range s.Scrape {
		targets[i] = scrape.Target(t)
	}
	out.scrapes = scrape.New(scrape.Config{Targets: targets, Vocabulary: words, Journal: journal, Clock: clock, Logger: log})
	return out
}

// Listen opens the StatsD socket; nil where the setting is off.
func (s *Samples) Listen() (*net.UDPConn, error) {
	if s.statsd == nil {
		return nil, nil
	}
	c, err := net.ListenPacket("udp", s.listen)
	if err != nil {
		return nil, &control.Error{Code: "port_in_use", Message: fmt.Sprintf("StatsD cannot listen on %s: %v", s.listen, err), Hint: "stop what listens there, or set another address", Exit: 1}
	}
	return c.(*net.UDPConn), nil
}

// Scrape reads the pages until ctx ends.
func (s *Samples) Scrape(ctx context.Context) error { return s.scrapes.Run(ctx) }

// Serve reads from the StatsD socket until ctx ends.
func (s *Samples) Serve(ctx context.Context, c *net.UDPConn) error { return s.statsd.Serve(ctx, c) }

// Tell adds to a status how these doors do.
func (s *Samples) Tell(out *control.Status) {
	if s == nil {
		return
	}
	if s.statsd != nil && out.Running {
		n := s.statsd.Stats()
		out.StatsD = &control.StatsD{Listen: s.listen, Datagrams: n.Datagrams, Values: n.Values, Journaled: n.Journaled, Pending: n.Pending,
			Lost: n.Lost, Refused: reasons(n.Refused), Sets: n.Sets, Events: n.Events, Checks: n.Checks, Dropped: n.Dropped}
	}
	for _, t := range s.scrapes.States() {
		if t.At.IsZero() {
			continue
		}
		out.Scrapes = append(out.Scrapes, control.Scrape{Name: t.Name, Target: t.Target, At: t.At.UTC(), OK: t.OK, Idle: t.Idle, Detail: t.Detail,
			TookMS: float64(t.Took.Microseconds()) / 1000, Bytes: t.Bytes, Samples: t.Samples, Refused: reasons(t.Refused), Scrapes: t.Scrapes, Failed: t.Failed})
	}
}

// Warnings are the conditions of these doors in a status.
func Warnings(s control.Status) (out []control.Warning) {
	if d := s.StatsD; d != nil && d.Lost+d.Dropped > 0 {
		out = append(out, control.Warning{Code: "statsd_lost",
			Cause:  fmt.Sprintf("%d StatsD values found no room and %d datagrams were dropped by the system since the start", d.Lost, d.Dropped),
			Remedy: "fewer different tags and gauges, a rate such as @0.1 in the client, or a larger net.core.rmem_max"})
	}
	for _, t := range s.Scrapes {
		if !t.OK {
			out = append(out, control.Warning{Code: "scrape_failing", Cause: fmt.Sprintf("the page of %q cannot be read: %s", t.Name, t.Detail),
				Remedy: "look at the target, and at scrape in the configuration"})
		}
	}
	return out
}

func reasons(c record.Counts) map[string]uint64 {
	out := map[string]uint64{}
	for i, n := range c {
		out[record.Reason(i).String()] = n
	}
	return out
}
