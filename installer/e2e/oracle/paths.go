package oracle

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"sort"
	"strings"
	"time"
)

// later: in time, then in the journal.
func (e *entry) compare(o *entry) int {
	return cmp.Or(cmp.Compare(e.at, o.at), cmp.Compare(e.sequence, o.sequence))
}

// path is what one person did, of one object where the funnel follows objects.
type path struct {
	person int
	events []*entry // in order of time
	before []*entry // matches of Before, in order of time
}

// pathsAt are the paths by the people of a moment. What was not received by then is still among them.
func (c *computation) pathsAt(v *view) []*path {
	if c.paths != nil && c.pathsN == v.joined {
		return c.paths
	}
	type object struct {
		person int
		value  string
	}
	found := map[object]*path{}
	befores := map[int][]*entry{}
	var order []object
	for _, e := range c.site.all {
		o := object{person: v.person[e.user]}
		if o.person == nobody {
			continue
		}
		if c.m.Before != nil && c.m.Before.takes(e) {
			befores[o.person] = append(befores[o.person], e)
		}
		if c.m.step(e) < 0 {
			continue
		}
		if c.m.Correlate != "" {
			n, isNumber := e.numbers[c.m.Correlate]
			if o.value = e.words[c.m.Correlate]; isNumber {
				o.value = n.scaled.String()
			}
			if o.value == "" || o.value == "(none)" {
				continue
			}
		}
		if found[o] == nil {
			found[o] = &path{person: o.person}
			order = append(order, o)
		}
		found[o].events = append(found[o].events, e)
	}
	c.paths, c.pathsN = nil, v.joined
	for _, o := range order {
		p := found[o]
		p.before = befores[o.person]
		slices.SortFunc(p.events, (*entry).compare)
		slices.SortFunc(p.before, (*entry).compare)
		c.paths = append(c.paths, p)
	}
	return c.paths
}

var bands = []struct {
	name string
	most time.Duration
}{{"1h", time.Hour}, {"24h", 24 * time.Hour}, {"3d", 72 * time.Hour}, {"7d", 7 * 24 * time.Hour}, {"30d", 30 * 24 * time.Hour}, {"90d", 90 * 24 * time.Hour}}

// outcome is what became of the entries of a window.
type outcome struct {
	steps []int
	bands [6]int
}

func (c *computation) funnel() []string {
	var days []int
	for _, e := range c.site.all {
		if c.m.Steps[0].takes(e) {
			days = append(days, e.day)
		}
	}
	if len(days) == 0 {
		return nil
	}
	var all []slot
	c.settle(slices.Min(days), slices.Max(days))
	for day := slices.Min(days); day <= slices.Max(days); {
		first, last := span(c.grain, day)
		day = last + 1
		w := c.at(first, last, c.m.Within)
		found := c.entries(w)
		s := slot{matched: len(found) > 0}
		if len(c.by) == 0 && !s.matched {
			found[""] = &outcome{steps: make([]int, len(c.m.Steps))}
		}
		for _, key := range slices.Sorted(maps.Keys(found)) {
			o := found[key]
			s.lines = append(s.lines, c.line(w, key, fmt.Sprintf(`{"entered":%d,"steps":%s,"bands":{"1h":%d,"24h":%d,"3d":%d,"7d":%d,"30d":%d,"never":%d}}`,
				o.steps[0], list(o.steps), o.bands[0], o.bands[1], o.bands[2], o.bands[3], o.bands[4], o.bands[5])))
		}
		all = append(all, s)
	}
	return between(all)
}

func list(n []int) string {
	return "[" + strings.Trim(strings.ReplaceAll(fmt.Sprint(n), " ", ","), "[]") + "]"
}

// entries are those of a window whose time has passed, by value of the split.
func (c *computation) entries(w *window) map[string]*outcome {
	found := map[string]*outcome{}
	for _, p := range c.pathsAt(w.view) {
		for _, i := range c.entrances(w, p) {
			e := p.events[i]
			if !c.counts(w, p.person) || e.at+int64(c.m.Within) > w.at {
				continue
			}
			key := c.key(w, e, p.person)
			if found[key] == nil {
				found[key] = &outcome{steps: make([]int, len(c.m.Steps))}
			}
			reached, took := c.walk(w.view, p, i)
			o := found[key]
			for s := range reached {
				o.steps[s]++
			}
			if reached < len(c.m.Steps) {
				o.bands[5]++
				continue
			}
			for b := range 5 {
				if took <= bands[b].most {
					o.bands[b]++
					break
				}
			}
		}
	}
	return found
}

// settle goes through the blocks of four weeks in order. What was an entry when its block closed stays one
// in every grain, also when an alias joins another history to it later.
func (c *computation) settle(begin, end int) {
	c.settled = map[*entry]int64{}
	for day := begin; day <= end; {
		first, last := span("4w", day)
		day = last + 1
		w := c.at(first, last, c.m.Within)
		if !w.closed {
			return
		}
		for _, p := range c.pathsAt(w.view) {
			for _, i := range c.entrances(w, p) {
				c.settled[p.events[i]] = w.at
			}
		}
		c.blocks = append(c.blocks, block{w.at, last})
	}
}

// block is four weeks that have closed.
type block struct {
	closed int64
	last   int // day
}

// entrances are the positions in a path at which its person enters within a window: the first match ever, or
// the first more than Within after the last entry.
func (c *computation) entrances(w *window, p *path) (out []int) {
	i := sort.Search(len(p.events), func(i int) bool { return p.events[i].day >= w.first })
	if i == len(p.events) || p.events[i].day > w.last {
		return nil // nothing of this path lies in the window
	}
	open := never // the first day whose entries can still change
	for i := len(c.blocks) - 1; i >= 0 && open == never; i-- {
		if c.blocks[i].closed < w.at {
			open = c.blocks[i].last + 1
		}
	}
	var last *entry
	for i, e := range p.events {
		if at, ok := c.settled[e]; ok && at < w.at {
			last = e
		}
		if e.day > w.last {
			break
		}
		if e.rec >= w.at || e.day < open || !c.m.Steps[0].takes(e) {
			continue
		}
		if last != nil && (!c.m.Each || e.at-last.at <= int64(c.m.Within)) {
			continue
		}
		last = e
		if e.day >= w.first {
			out = append(out, i)
		}
	}
	return out
}

// walk goes from an entry as far as it leads: how many steps were reached, and how long it took to the last.
func (c *computation) walk(v *view, p *path, from int) (reached int, took time.Duration) {
	begin := p.events[from].at
	reached = 1
	for _, e := range p.events[from+1:] {
		if reached == len(c.m.Steps) || e.at-begin > int64(c.m.Within) {
			break
		}
		if e.rec >= v.at || !c.m.Steps[reached].takes(e) {
			continue
		}
		if reached == len(c.m.Steps)-1 && c.m.Before != nil {
			i := slices.IndexFunc(p.before, func(b *entry) bool { return b.rec < v.at })
			if i < 0 || p.before[i].compare(e) >= 0 {
				break
			}
		}
		reached++
		took = time.Duration(e.at - begin)
	}
	return reached, took
}

// transitions counts the steps that follow one another.
func (c *computation) transitions(w *window) map[string]string {
	if paths := c.pathsAt(w.view); c.pairs == nil || c.pairsN != c.pathsN {
		c.pairs, c.pairsN = map[*entry]int{}, c.pathsN
		for _, p := range paths {
			for i := 1; i < len(p.events); i++ {
				if p.events[i].at-p.events[i-1].at <= int64(30*time.Minute) {
					c.pairs[p.events[i]] = c.m.step(p.events[i-1])
				}
			}
		}
	}
	n := map[string]int{}
	c.each(w, w.first, w.last, func(e *entry, _ int) {
		before, ok := c.pairs[e]
		if !ok {
			return
		}
		key := ""
		if len(c.by) > 0 {
			key = c.m.Steps[before].ID + "\x00" + c.m.Steps[c.m.step(e)].ID + "\x00"
		}
		n[key]++
	})
	return c.numbers(n)
}

// firstTime: the first match by its own time of anybody who counted at any moment since. What is known
// stays known; a match that comes late can only be an earlier one. What arrived in the same moment is one
// request and looked at as a whole.
func (c *computation) firstTime() []string {
	moments := map[int]int64{} // receipt by sequence
	for _, e := range c.mine {
		moments[e.sequence] = e.rec
	}
	for _, ts := range c.site.traits { // a trait can make that somebody counts
		for _, h := range ts {
			for _, t := range h {
				moments[t.sequence] = t.rec
			}
		}
	}
	for _, j := range c.site.joins {
		moments[j.sequence] = j.rec
	}
	type change struct {
		moment int64
		value  string
	}
	var changes []change
	earliest := int64(math.MaxInt64)
	for _, n := range slices.Sorted(maps.Keys(moments)) {
		v := c.site.know(time.Unix(0, moments[n]+1))
		for _, e := range c.mine {
			if e.rec > moments[n] {
				break
			}
			if p := v.person[e.user]; e.at < earliest && p != nobody && v.isPerson(p) && v.fits(c.m.WhereUser, p) {
				earliest = e.at
			}
		}
		if earliest == math.MaxInt64 {
			continue
		}
		if value := c.firstBand(earliest); len(changes) == 0 || changes[len(changes)-1].value != value {
			changes = append(changes, change{moments[n], value})
		}
	}
	var out []string
	if c.grain == "change" {
		for _, x := range changes {
			out = append(out, c.line(&window{start: time.Unix(0, x.moment).UTC().Format(time.RFC3339), closed: true}, "", x.value))
		}
		return out
	}
	for day := c.site.started; day <= c.site.dayOf(c.site.Until); day++ {
		end, value := c.site.midnight(day+1).Add(time.Minute), ""
		for _, x := range changes {
			if x.moment < end.UnixNano() {
				value = x.value
			}
		}
		if value != "" {
			out = append(out, c.line(&window{start: date(day).Format(time.DateOnly), closed: !end.After(c.site.Until)}, "", value))
		}
	}
	return out
}

// firstBand is the band of a time since the first received event.
func (c *computation) firstBand(at int64) string {
	for _, b := range bands {
		if at-c.site.first.UnixNano() <= int64(b.most) {
			return fmt.Sprintf(`{"value":%q}`, b.name)
		}
	}
	return `{"value":"later"}`
}
