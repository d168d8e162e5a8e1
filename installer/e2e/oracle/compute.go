package oracle

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Measure is one definition, in the oracle's own words. Events are ids.
type Measure struct {
	ID, Kind         string
	Events           []string
	Where, WhereUser []Clause
	By               [][]string
	Property         string // distribution

	Steps            []Step // funnel, transitions
	Within           time.Duration
	Each             bool
	Correlate, Split string
	Before           *Step

	Features []Feature // adoption; Eligible is WhereUser
	Uses     int

	Purchased, Assigned string // seats
	Arm, X, Y           string // sufficient
}

// Step is a named selection of events.
type Step struct {
	ID, Event string
	Where     []Clause
}

// Feature is one thing that can be adopted.
type Feature struct {
	ID     string
	Events []string
	Where  []Clause
}

// Grains are the windows a kind has.
func (m *Measure) Grains() []string {
	switch m.Kind {
	case "lifecycle":
		return []string{"week", "month", "4w"}
	case "stickiness", "adoption":
		return []string{"rolling28"}
	case "seats":
		return []string{"day", "rolling28"}
	case "retention":
		return []string{"week", "12w"}
	case "funnel":
		return []string{"week", "4w"}
	case "first_time":
		return []string{"day", "change"}
	}
	return []string{"day", "week", "month", "rolling28", "4w", "12w"}
}

// Breakdowns are what can be asked with --by.
func (m *Measure) Breakdowns() [][]string {
	switch {
	case m.Kind == "funnel" && m.Split != "":
		return [][]string{{m.Split}}
	case m.Kind == "transitions":
		return [][]string{{"from", "to"}}
	case m.Kind == "sufficient":
		return [][]string{{m.Arm}}
	}
	return m.By
}

// events are the ids of all events that a measure looks at.
func (m *Measure) events() []string {
	out := slices.Clone(m.Events)
	for _, s := range m.Steps {
		out = append(out, s.Event)
	}
	for _, f := range m.Features {
		out = append(out, f.Events...)
	}
	if m.Before != nil {
		out = append(out, m.Before.Event)
	}
	return out
}

// takes says whether an event is one the measure counts.
func (m *Measure) takes(e *entry) bool {
	if m.Kind == "transitions" {
		return m.step(e) >= 0
	}
	return slices.Contains(m.Events, e.id) && e.matches(m.Where)
}

// step is the first listed step that an event matches.
func (m *Measure) step(e *entry) int {
	return slices.IndexFunc(m.Steps, func(s Step) bool { return s.takes(e) })
}

func (s *Step) takes(e *entry) bool { return s.Event == e.id && e.matches(s.Where) }

type computation struct {
	site   *Site
	m      Measure
	grain  string
	by     []string // in the order of the names
	grace  time.Duration
	mine   []*entry // what matches, in order of receipt
	days   map[int][]*entry
	firsts [2]map[int]int // by user: day of the first activity, and of the first in mine
	ever   [2]map[int]int // the same by person, as they were joined when everN aliases were known
	everN  int

	paths  []*path
	pathsN int            // how many aliases were known
	pairs  map[*entry]int // transitions: the step before
	pairsN int

	settled map[*entry]int64 // funnel: entries by the moment their block of four weeks closed
	blocks  []block
}

// window is one on its way.
type window struct {
	first, last int
	start       string
	closed      bool
	*view
}

// Lines computes one measure at one grain: each line as the query prints it. by asks for a
// breakdown instead of the totals.
func (s *Site) Lines(m Measure, grain string, by ...string) []string {
	c := &computation{site: s, m: m, grain: grain, by: slices.Sorted(slices.Values(by)), days: map[int][]*entry{}}
	for _, e := range s.all {
		if m.takes(e) {
			c.mine = append(c.mine, e)
			c.days[e.day] = append(c.days[e.day], e)
		}
	}
	for _, id := range m.events() {
		c.grace = max(c.grace, s.grace(id))
	}
	switch m.Kind {
	case "retention":
		return c.retention()
	case "funnel":
		return c.funnel()
	case "first_time":
		return c.firstTime()
	}
	return c.windows()
}

// at looks at a window: as it closed, or as it stands.
func (c *computation) at(first, last int, more time.Duration) *window {
	moment := c.site.midnight(last + 1).Add(more + c.grace)
	w := &window{first: first, last: last, closed: !moment.After(c.site.Until)}
	if !w.closed {
		moment = c.site.Until
	}
	w.view = c.site.know(moment)
	w.start = date(first).Format(time.DateOnly)
	if c.grain == "rolling28" {
		w.start = date(last).Format(time.DateOnly)
	}
	return w
}

// windows goes through all windows from the first to the last that matched.
func (c *computation) windows() []string {
	if len(c.days) == 0 {
		return nil
	}
	var all []slot
	days := slices.Sorted(maps.Keys(c.days))
	end := days[len(days)-1]
	if c.grain == "rolling28" && !c.m.hasZeroes() {
		end = min(end+27, c.site.dayOf(c.site.Until))
	}
	for day := days[0]; day <= end; {
		first, last := span(c.grain, day)
		day = last + 1
		w := c.at(first, last, 0)
		if c.grain == "rolling28" && c.m.hasZeroes() { // the range is that of the days
			first = last
		}
		s := slot{matched: c.matched(w, first, last)}
		if c.m.Kind != "lifecycle" || w.first >= c.site.started+28 {
			s.lines = c.print(w)
		}
		all = append(all, s)
	}
	return between(all)
}

// hasZeroes says whether there are zero lines between the first and the last match: the words promise them
// for the first four, and the next two are rolling like the fourth. Other kinds have a line where there
// is a figure.
func (m *Measure) hasZeroes() bool {
	return slices.Contains([]string{"count", "active_users", "lifecycle", "stickiness", "adoption", "seats"}, m.Kind)
}

// slot is the lines of one window, and whether anything happened in it.
type slot struct {
	matched bool
	lines   []string
}

// between is the lines from the first to the last window in which something happened.
func between(all []slot) (lines []string) {
	held, begun := 0, false
	for _, s := range all {
		begun = begun || s.matched
		if begun {
			lines = append(lines, s.lines...)
		}
		if s.matched {
			held = len(lines)
		}
	}
	return lines[:held]
}

// counts says whether somebody counts in a window.
func (c *computation) counts(w *window, p int) bool {
	return w.isPerson(p) && w.fits(c.m.WhereUser, p)
}

// matched reports whether somebody who counts did something on these days. Who is eligible for a feature
// does not matter to that.
func (c *computation) matched(w *window, first, last int) (yes bool) {
	if c.m.Kind == "adoption" {
		for _, e := range c.site.on(first, last) {
			yes = yes || c.m.takes(e) && e.user != nobody && w.isPerson(w.person[e.user])
		}
		return yes
	}
	c.each(w, first, last, func(*entry, int) { yes = true })
	return yes
}

// each calls fn for every matching event of somebody who counts.
func (c *computation) each(w *window, first, last int, fn func(e *entry, p int)) {
	anonymous := slices.Contains([]string{"count", "distribution", "sufficient"}, c.m.Kind)
	for day := first; day <= last; day++ {
		for _, e := range c.days[day] {
			if p := w.person[e.user]; (p != nobody || anonymous) && c.counts(w, p) {
				fn(e, p)
			}
		}
	}
}

// key is the values of the breakdown, each ended by a zero byte so that keys sort like them.
func (c *computation) key(w *window, e *entry, p int) (key string) {
	for _, name := range c.by {
		value := "(none)"
		if _, isTrait := c.site.voc.Traits[name]; isTrait {
			value = w.word(name, p)
		} else if v, ok := e.words[name]; ok {
			value = v
		}
		key += value + "\x00"
	}
	return key
}

// print writes the lines of one window: its total, or the breakdown where there is something.
func (c *computation) print(w *window) (lines []string) {
	values := c.evaluate(w)
	for _, key := range slices.Sorted(maps.Keys(values)) {
		lines = append(lines, c.line(w, key, values[key]))
	}
	return lines
}

func (c *computation) line(w *window, key, value string) string {
	dims := map[string]string{}
	if len(c.by) > 0 {
		for i, v := range strings.Split(strings.TrimSuffix(key, "\x00"), "\x00") {
			dims[c.by[i]] = v
		}
	}
	d, err := json.Marshal(dims)
	if err != nil {
		panic("oracle: " + err.Error()) // texts only
	}
	return fmt.Sprintf(`{"measure":%q,"grain":%q,"start":%q,"dims":%s,"value":%s,"closed":%t}`, c.m.ID, c.grain, w.start, d, value, w.closed)
}

// evaluate is the figures of a window by value of the breakdown, "" for the total.
func (c *computation) evaluate(w *window) map[string]string {
	switch c.m.Kind {
	case "count":
		n := map[string]int{}
		c.each(w, w.first, w.last, func(e *entry, p int) { n[c.key(w, e, p)]++ })
		return c.numbers(n)
	case "active_users":
		n := map[string]int{}
		for key, people := range c.sets(w, w.first, w.last) {
			n[key] = len(people)
		}
		return c.numbers(n)
	case "lifecycle":
		return c.lifecycle(w)
	case "stickiness":
		return c.stickiness(w)
	case "adoption":
		return c.adoption(w)
	case "seats":
		return c.seats(w)
	case "transitions":
		return c.transitions(w)
	case "distribution":
		return c.distribution(w)
	case "sufficient":
		return c.sufficient(w)
	}
	panic("oracle: no such kind: " + c.m.Kind)
}

func (c *computation) numbers(n map[string]int) map[string]string {
	out := map[string]string{}
	if len(c.by) == 0 && c.m.hasZeroes() {
		out[""] = "0"
	}
	for key, v := range n {
		out[key] = fmt.Sprint(v)
	}
	return out
}

// sets are the people of some days by value of the breakdown.
func (c *computation) sets(w *window, first, last int) map[string]map[int]bool {
	out := map[string]map[int]bool{}
	c.each(w, first, last, func(e *entry, p int) {
		if p == nobody {
			return
		}
		key := c.key(w, e, p)
		if out[key] == nil {
			out[key] = map[int]bool{}
		}
		out[key][p] = true
	})
	return out
}
