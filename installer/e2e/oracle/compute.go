package oracle

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Measure is one definition, in the oracle's own words.
type Measure struct {
	ID     string
	Kind   string   // active_users, count or lifecycle
	Events []string // the client's names
	By     string   // "", role, or a listed property
}

// Lines computes one measure at one grain: each line as the query prints it. by asks
// for the breakdown instead of the totals.
func (s *Site) Lines(m Measure, grain string, by bool) []string {
	c := &computation{site: s, m: m, grain: grain, days: map[int][]entry{}, users: map[string]bool{}, firsts: map[string][]entry{}, ours: map[string][]entry{}}
	for _, e := range s.all {
		if e.user != "" {
			c.users[e.user] = true
			c.firsts[e.user] = append(c.firsts[e.user], e)
		}
		if slices.Contains(m.Events, e.name) {
			c.days[e.day] = append(c.days[e.day], e)
			c.ours[e.user] = append(c.ours[e.user], e)
		}
	}
	for u := range s.roles {
		c.users[u] = true
	}
	for _, j := range s.joins {
		c.users[j.from], c.users[j.to] = true, true
	}
	for _, name := range m.Events {
		g := s.voc.Events[name].Grace
		if g == 0 {
			g = 48 * time.Hour
		}
		c.grace = max(c.grace, g)
	}
	return c.lines(by)
}

type computation struct {
	site   *Site
	m      Measure
	grain  string
	grace  time.Duration
	days   map[int][]entry
	users  map[string]bool
	firsts map[string][]entry // all activity by user
	ours   map[string][]entry // of this measure

	groups   map[string][]string
	groupsAt int
	roles    map[string]string
}

// first and last day of the window that holds a day; rolling28 the one named by it.
func (c *computation) window(day int) (first, last int) {
	d := date(day)
	switch c.grain {
	case "week":
		first = day - (int(d.Weekday())+6)%7
		return first, first + 6
	case "month":
		first = day - d.Day() + 1
		return first, first + d.AddDate(0, 1, 1-d.Day()).Add(-12*time.Hour).Day() - 1
	case "rolling28":
		return day - 27, day
	}
	return day, day
}

func (c *computation) lines(by bool) []string {
	if len(c.days) == 0 {
		return nil
	}
	lo, hi := slices.Min(slices.Collect(maps.Keys(c.days))), slices.Max(slices.Collect(maps.Keys(c.days)))
	type window struct {
		name   int
		exists bool // windows of lifecycle begin 28 days after the start
		closed bool
		values map[string][]int
	}
	var all []window
	from, to := -1, -1
	for day := lo; day <= hi; {
		first, last := c.window(day)
		moment := c.site.midnight(last + 1).Add(c.grace)
		w := window{name: first, exists: true, closed: !moment.After(c.site.Until)}
		if !w.closed {
			moment = c.site.Until
		}
		matched := c.matched(first, last, moment)
		if c.grain == "rolling28" { // named by its last day; the range is that of the days
			w.name = last
			matched = c.matched(last, last, moment)
		}
		if matched && from < 0 {
			from = len(all)
		}
		if matched {
			to = len(all)
		}
		w.exists = c.m.Kind != "lifecycle" || first >= c.site.started+28
		if w.exists {
			w.values = c.evaluate(first, last, moment, by)
		}
		all = append(all, w)
		day = last + 1
	}
	var lines []string
	for i, w := range all {
		if w.exists && from >= 0 && i >= from && i <= to {
			lines = append(lines, c.print(w.name, w.closed, w.values, by)...)
		}
	}
	return lines
}

// know finds out who is who and has which role just before a moment.
func (c *computation) know(moment time.Time) {
	n := 0
	for _, j := range c.site.joins {
		if j.rec.Before(moment) {
			n++
		}
	}
	if c.groups == nil || n != c.groupsAt {
		c.groups, c.groupsAt = c.site.ids(c.users, moment), n
	}
	c.roles = map[string]string{}
}

func (c *computation) role(p string, moment time.Time) string {
	if p == "" {
		return "(none)"
	}
	if r, ok := c.roles[p]; ok {
		return r
	}
	r := "(none)"
	if t, ok := last(c.site.roles, c.groups[p], moment); ok {
		r = t.text
	}
	c.roles[p] = r
	return r
}

// matched reports whether somebody who counts did something on these days.
func (c *computation) matched(first, last int, moment time.Time) bool {
	c.know(moment)
	for day := first; day <= last; day++ {
		for _, e := range c.days[day] {
			if e.user == "" && c.m.Kind != "count" {
				continue
			}
			if p := c.site.person(e.user, moment); !slices.Contains(c.site.voc.NotPeople, c.role(p, moment)) {
				return true
			}
		}
	}
	return false
}

// evaluate is the figures of a window by value of the breakdown, "" for the total.
func (c *computation) evaluate(first, last int, moment time.Time, by bool) map[string][]int {
	c.know(moment)
	switch c.m.Kind {
	case "count":
		out := map[string][]int{}
		c.each(first, last, moment, by, func(key, _ string) {
			if out[key] == nil {
				out[key] = []int{0}
			}
			out[key][0]++
		})
		return out
	case "active_users":
		out := map[string][]int{}
		for key, people := range c.sets(first, last, moment, by) {
			out[key] = []int{len(people)}
		}
		return out
	}
	pf, pl := c.window(first - 1)
	here, before := c.sets(first, last, moment, by), c.sets(pf, pl, moment, by)
	out := map[string][]int{}
	add := func(key string, i int) {
		if out[key] == nil {
			out[key] = make([]int, 4)
		}
		out[key][i]++
	}
	for key, people := range here {
		for p := range people {
			switch {
			case c.isNew(p, first, last, moment):
				add(key, 0)
			case before[key][p]:
				add(key, 1)
			default:
				add(key, 2)
			}
		}
	}
	for key, people := range before {
		for p := range people {
			if !here[key][p] {
				add(key, 3)
			}
		}
	}
	return out
}

// each calls fn for every matching event of somebody who counts.
func (c *computation) each(first, last int, moment time.Time, by bool, fn func(key, person string)) {
	for day := first; day <= last; day++ {
		for _, e := range c.days[day] {
			p := c.site.person(e.user, moment)
			role := c.role(p, moment)
			if slices.Contains(c.site.voc.NotPeople, role) {
				continue
			}
			key := ""
			if by && c.m.By == "role" {
				key = role
			} else if by {
				if key = e.values[c.m.By]; key == "" {
					key = "(none)"
				}
			}
			fn(key, p)
		}
	}
}

func (c *computation) sets(first, last int, moment time.Time, by bool) map[string]map[string]bool {
	out := map[string]map[string]bool{}
	c.each(first, last, moment, by, func(key, p string) {
		if p == "" {
			return
		}
		if out[key] == nil {
			out[key] = map[string]bool{}
		}
		out[key][p] = true
	})
	return out
}

// isNew: the first activity here lies in the window, and the user is not existing.
func (c *computation) isNew(p string, begin, end int, moment time.Time) bool {
	ever, here := 1<<40, 1<<40
	for _, id := range c.groups[p] {
		for _, e := range c.firsts[id] {
			if e.rec.Before(moment) {
				ever = min(ever, e.day)
			}
		}
		for _, e := range c.ours[id] {
			if e.rec.Before(moment) {
				here = min(here, e.day)
			}
		}
	}
	if t, ok := last(c.site.created, c.groups[p], moment); ok && t.at.Before(c.site.midnight(c.site.started)) {
		return false
	}
	return ever >= c.site.started+28 && here >= begin && here <= end
}

// print writes the lines of one window.
func (c *computation) print(name int, closed bool, totals map[string][]int, by bool) []string {
	start := date(name).Format(time.DateOnly)
	if !by && totals[""] == nil {
		totals = map[string][]int{"": make([]int, 4)}
	}
	var out []string
	for _, key := range slices.Sorted(maps.Keys(totals)) {
		dims := "{}"
		if by {
			b, _ := json.Marshal(map[string]string{c.m.By: key})
			dims = string(b)
		}
		value := fmt.Sprint(totals[key][0])
		if c.m.Kind == "lifecycle" {
			v := totals[key]
			value = fmt.Sprintf(`{"new":%d,"retained":%d,"resurrected":%d,"dormant":%d}`, v[0], v[1], v[2], v[3])
		}
		out = append(out, fmt.Sprintf(`{"measure":%q,"grain":%q,"start":%q,"dims":%s,"value":%s,"closed":%t}`, c.m.ID, c.grain, start, strings.TrimSpace(dims), value, closed))
	}
	return out
}
