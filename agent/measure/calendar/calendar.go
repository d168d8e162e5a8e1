// Package calendar is the local days of an installation and the windows made of them.
//
// Invariants: a moment belongs to one day and a day to one span of time; days never go back,
// whatever zones do; the same changes of zone give the same days. It keeps nothing on disk but
// what Save writes.
package calendar

import (
	"math"
	"time"

	"github.com/fieldpost/fieldpost/agent/measure/wire"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Calendar is the local days of the installation. A zone is in force from the first of a
// month: from the moment at which that month begins in the zone before. Days never go
// back: what the new zone would still call the last day of the old month belongs to the first
// of the new one.
type Calendar struct {
	periods []period
	days    [64]daySpan
	begins  [256]dayBegin
}

type period struct {
	from int64 // unix ns
	day  int64 // first civil day
	zone *time.Location
}

type daySpan struct{ begin, end, day int64 }
type dayBegin struct {
	day, begin int64
	set        bool
}

// New counts days in zone.
func New(zone *time.Location) *Calendar {
	return &Calendar{periods: []period{{math.MinInt64, math.MinInt64, zone}}}
}

// Change puts zone in force with the month after the one that holds now.
func (c *Calendar) Change(zone *time.Location, now int64) {
	_, last := report.CivilDays(report.Month, report.CivilStart(report.Month, c.Day(now)))
	first := last + 1
	from := c.Begin(first)
	if p := &c.periods[len(c.periods)-1]; p.day == first {
		p.zone = zone // a second change before the first took effect
	} else {
		c.periods = append(c.periods, period{from, first, zone})
	}
	c.days, c.begins = [64]daySpan{}, [256]dayBegin{}
}

// Zone is the zone in which days are counted at a moment.
func (c *Calendar) Zone(ns int64) *time.Location {
	zone := c.periods[0].zone
	for _, p := range c.periods[1:] {
		if ns >= p.from {
			zone = p.zone
		}
	}
	return zone
}

// Newest is the zone of the last Change; it may not be in force yet.
func (c *Calendar) Newest() *time.Location { return c.periods[len(c.periods)-1].zone }

// Day is the civil day of a moment.
func (c *Calendar) Day(ns int64) int64 {
	s := &c.days[uint64(FloorDiv(ns, int64(24*time.Hour)))%64]
	if ns >= s.begin && ns < s.end {
		return s.day
	}
	p := c.periods[0]
	for _, q := range c.periods[1:] {
		if ns >= q.from {
			p = q
		}
	}
	d := max(report.CivilDay(time.Unix(0, ns), p.zone), p.day)
	// Days are spans: a clock put back over midnight does not make one begin twice.
	if ns < c.Begin(d) {
		d--
	} else if ns >= c.Begin(d+1) {
		d++
	}
	*s = daySpan{c.Begin(d), c.Begin(d + 1), d}
	return d
}

// Begin is the first moment of a civil day, in unix ns.
func (c *Calendar) Begin(day int64) int64 {
	b := &c.begins[uint64(day)%256]
	if b.set && b.day == day {
		return b.begin
	}
	p := c.periods[0]
	for _, q := range c.periods[1:] {
		if day >= q.day {
			p = q
		}
	}
	at := max(midnight(day, p.zone).UnixNano(), p.from)
	if day == p.day {
		at = p.from
	}
	*b = dayBegin{day, at, true}
	return at
}

// midnight is report.Midnight, and the next day's where a zone left out the whole day
// (Samoa, 2011-12-30).
func midnight(day int64, zone *time.Location) time.Time {
	t := report.Midnight(day, zone)
	if report.CivilDay(t, zone) == day {
		return t
	}
	lo, hi := time.Unix(day*86400, 0).Add(-16*time.Hour), time.Unix(day*86400, 0).Add(36*time.Hour)
	for hi.Sub(lo) > time.Second {
		mid := lo.Add(hi.Sub(lo) / 2).Truncate(time.Second)
		if report.CivilDay(mid, zone) >= day {
			hi = mid
		} else {
			lo = mid
		}
	}
	return hi
}

// Span is the real time of a window, [begin, end) in unix ns.
func (c *Calendar) Span(g report.Grain, start int64) (begin, end int64) {
	switch g {
	case report.FiveMinutes:
		return start * 1e9, (start + 300) * 1e9
	case report.Hour:
		return start * 1e9, (start + 3600) * 1e9
	}
	first, last := report.CivilDays(g, start)
	return c.Begin(first), c.Begin(last + 1)
}

// Start is the window of a grain that holds a moment; the earliest of those for Rolling28.
func (c *Calendar) Start(g report.Grain, ns int64) int64 {
	switch g {
	case report.FiveMinutes:
		return FloorDiv(ns, 300e9) * 300
	case report.Hour:
		return FloorDiv(ns, 3600e9) * 3600
	}
	return report.CivilStart(g, c.Day(ns))
}

// Next is the start of the window after start.
func Next(g report.Grain, start int64) int64 {
	switch g {
	case report.FiveMinutes:
		return start + 300
	case report.Hour:
		return start + 3600
	case report.Rolling28:
		return start + 1
	}
	_, last := report.CivilDays(g, start)
	return last + 1
}

// FirstOf is where a window begins, in the unit of its start: rolling28 is named by its last day.
func FirstOf(g report.Grain, start int64) int64 {
	if g == report.Rolling28 {
		return start - 27
	}
	return start
}

// FloorDiv is a ÷ b, rounded down.
func FloorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// Save writes the zones and since when.
func (c *Calendar) Save(w *wire.Writer) {
	w.Uint(uint64(len(c.periods)))
	for _, p := range c.periods {
		w.Int(p.from)
		w.Int(p.day)
		w.String(p.zone.String())
	}
}

// Load reads what Save wrote.
func Load(r *wire.Reader) *Calendar {
	c := &Calendar{}
	for n := r.Count(); n > 0 && r.Err() == nil; n-- {
		p := period{from: r.Int(), day: r.Int()}
		zone, err := time.LoadLocation(r.String())
		if err != nil {
			r.Fail("a time zone")
			return c
		}
		p.zone = zone
		c.periods = append(c.periods, p)
	}
	if len(c.periods) == 0 {
		r.Fail("no time zone")
	}
	return c
}

// Floor is the start of the window that holds v, both in the unit of the grain's starts.
func Floor(g report.Grain, v int64) int64 {
	switch g {
	case report.FiveMinutes:
		return FloorDiv(v, 300) * 300
	case report.Hour:
		return FloorDiv(v, 3600) * 3600
	}
	return report.CivilStart(g, v)
}
