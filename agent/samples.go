package agent

import (
	"fmt"
	"net"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/agent/intake/scrape"
	"github.com/fieldpost/fieldpost/agent/intake/statsd"
)

// openSamples prepares the doors for samples that are no HTTP doors.
func (a *Agent) openSamples() {
	if a.cfg.Settings.StatsD != "" {
		a.statsd = statsd.New(statsd.Config{Vocabulary: a.words.Load, Journal: a.journal, Clock: a.clock, Logger: a.log})
	}
	targets := make([]scrape.Target, len(a.cfg.Settings.Scrape))
	for i, t := range a.cfg.Settings.Scrape {
		targets[i] = scrape.Target(t)
	}
	a.scrapes = scrape.New(scrape.Config{Targets: targets, Vocabulary: a.words.Load, Journal: a.journal, Clock: a.clock, Logger: a.log})
}

// listenStatsD opens the socket; nil where the setting is off.
func (a *Agent) listenStatsD() (*net.UDPConn, error) {
	addr := a.cfg.Settings.StatsD
	if a.statsd == nil {
		return nil, nil
	}
	c, err := net.ListenPacket("udp", addr)
	if err != nil {
		return nil, refuse("port_in_use", fmt.Sprintf("StatsD cannot listen on %s: %v", addr, err), "stop what listens there, or set another address", 1)
	}
	return c.(*net.UDPConn), nil
}

// sampled is what status says of these doors.
func (a *Agent) sampled(s *control.Status) {
	if a.statsd != nil && s.Running {
		n := a.statsd.Stats()
		s.StatsD = &control.StatsD{Listen: a.cfg.Settings.StatsD, Datagrams: n.Datagrams, Values: n.Values, Journaled: n.Journaled, Pending: n.Pending,
			Lost: n.Lost, Refused: counts(n.Refused).Reasons, Sets: n.Sets, Events: n.Events, Checks: n.Checks, Dropped: n.Dropped}
	}
	if a.scrapes == nil {
		return
	}
	for _, t := range a.scrapes.States() {
		if t.At.IsZero() {
			continue
		}
		s.Scrapes = append(s.Scrapes, control.Scrape{Name: t.Name, Target: t.Target, At: t.At.UTC(), OK: t.OK, Idle: t.Idle, Detail: t.Detail,
			TookMS: float64(t.Took.Microseconds()) / 1000, Bytes: t.Bytes, Samples: t.Samples, Refused: counts(t.Refused).Reasons, Scrapes: t.Scrapes, Failed: t.Failed})
	}
}

// sampleWarnings are the conditions of these doors.
func sampleWarnings(s control.Status, add func(code, cause, remedy string)) {
	if d := s.StatsD; d != nil && d.Lost+d.Dropped > 0 {
		add("statsd_lost", fmt.Sprintf("%d StatsD values found no room and %d datagrams were dropped by the system since the start", d.Lost, d.Dropped),
			"fewer different tags and gauges, a rate such as @0.1 in the client, or a larger net.core.rmem_max")
	}
	for _, t := range s.Scrapes {
		if !t.OK {
			add("scrape_failing", fmt.Sprintf("the page of %q cannot be read: %s", t.Name, t.Detail), "look at the target, and at scrape in the configuration")
		}
	}
}
