package trial

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"time"

	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/catalog/declare"
)

// begin is a Monday on which a block of 12 weeks begins, so that whole blocks are seen.
func begin() time.Time {
	const block = 84 * 24 * time.Hour
	monday := time.Date(1970, 1, 5, 0, 0, 0, 0, time.UTC)
	return monday.Add(232 * block)
}

// made are the events of a made-up site: people who come on working days, each with habits of their own, and do what
// the catalog names. The same seed makes the same events.
type made struct {
	c      *catalog.Catalog
	rng    *rand.Rand
	users  int
	days   int
	day    int
	buf    bytes.Buffer
	n      int
	habits []habit
}

type habit struct {
	active float64        // share of working days
	likes  []float64      // by event: how often on an active day
	traits map[string]any //
}

// newMade makes users who are active on that share of working days on average.
func newMade(c *catalog.Catalog, users, days int, active float64) *made {
	m := &made{c: c, rng: rand.New(rand.NewPCG(20, uint64(users))), users: users, days: days}
	for range users {
		h := habit{active: math.Min(1, math.Max(0.02, active+m.rng.NormFloat64()*0.25)), traits: map[string]any{}}
		for _, t := range c.Traits {
			h.traits[t.Match] = m.skewed(&t)
		}
		for range c.Events {
			like := m.rng.Float64() * 1.5
			if m.rng.Float64() < 0.25 {
				like = 0 // not what this one does
			}
			h.likes = append(h.likes, like)
		}
		m.habits = append(m.habits, h)
	}
	return m
}

// skewed is a value for a person: the first of a list is the most frequent one.
func (m *made) skewed(p *declare.Property) any {
	if p.IsNumber {
		return m.number(p)
	}
	i := 0
	for i < len(p.Values)-1 && m.rng.Float64() < 0.45 {
		i++
	}
	return p.Values[i]
}

func (m *made) value(p *declare.Property) any {
	if p.IsNumber {
		return m.number(p)
	}
	return p.Values[m.rng.IntN(len(p.Values))]
}

// number is one within the bounds, mostly small.
func (m *made) number(p *declare.Property) float64 {
	return math.Floor(p.Min + math.Min(p.Max-p.Min, m.rng.ExpFloat64()*5))
}

// Read gives the events as recorded ones, a day at a time.
func (m *made) Read(b []byte) (int, error) {
	for m.buf.Len() == 0 {
		if m.day >= m.days {
			return 0, io.EOF
		}
		if err := m.write(); err != nil {
			return 0, err
		}
		m.day++
	}
	return m.buf.Read(b)
}

// Close ends reading.
func (m *made) Close() error { return nil }

// write makes the events of a day, in the order of time.
func (m *made) write() error {
	day := begin().AddDate(0, 0, m.day)
	if m.day == 0 {
		if err := m.group(day); err != nil {
			return err
		}
	}
	weekend := day.Weekday() == time.Saturday || day.Weekday() == time.Sunday
	t := day.Add(8 * time.Hour)
	for u := range m.users {
		h := &m.habits[u]
		if m.day == u%7 && len(h.traits) > 0 {
			if err := m.line(t, u, map[string]any{"type": "identify", "traits": h.traits}); err != nil {
				return err
			}
		}
		if chance := h.active; m.rng.Float64() > chance || weekend && m.rng.Float64() > 0.1 {
			continue
		}
		for i := range m.c.Events {
			e := &m.c.Events[i]
			for n := h.likes[i]; n > 0 && m.rng.Float64() < n; n-- {
				props := map[string]any{}
				for j := range e.Properties {
					props[e.Properties[j].Match] = m.value(&e.Properties[j])
				}
				t = t.Add(time.Millisecond)
				if err := m.line(t, u, event(e, props)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func event(e *declare.Event, props map[string]any) map[string]any {
	if e.Type == "track" {
		return map[string]any{"type": "track", "event": e.Match, "properties": props}
	}
	return map[string]any{"type": e.Type, "name": e.Match, "properties": props}
}

// group says what the organisation has bought: a tenth more seats than there are people.
func (m *made) group(t time.Time) error {
	if len(m.c.GroupTraits) == 0 {
		return nil
	}
	traits := map[string]any{}
	for _, g := range m.c.GroupTraits {
		if traits[g.Match] = m.skewed(&g); g.IsNumber {
			traits[g.Match] = math.Min(g.Max, math.Max(g.Min, float64(m.users+m.users/10+1)))
		}
	}
	return m.line(t, 0, map[string]any{"type": "group", "groupId": "made-up", "traits": traits})
}

func (m *made) line(t time.Time, user int, what map[string]any) error {
	m.n++
	what["userId"] = fmt.Sprint("u", user)
	what["messageId"] = fmt.Sprint("m", m.n)
	what["timestamp"], what["receivedAt"] = t, t
	b, err := json.Marshal(what)
	if err != nil {
		return fmt.Errorf("making an event: %w", err)
	}
	m.buf.Write(b)
	m.buf.WriteByte('\n')
	return nil
}
