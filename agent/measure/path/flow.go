package path

import (
	"github.com/fieldpost/fieldpost/agent/measure/calendar"
)

// Flow is the matches of transitions.
type Flow struct {
	book
	// Transitions of histories that were thinned, by day of their end. Whoever reads them asks who
	// their user is now.
	days  map[int64]map[pairKey]uint32
	tally uint64 // counts changes of days
}

type pairKey struct {
	user uint32
	from uint8
	to   uint8
}

// counted marks a match (in its split) whose transition from the one before stands in days.
const counted = 1

func newFlow(c Config) *Flow {
	return &Flow{book: newBook(c), days: map[int64]map[pairKey]uint32{}}
}

// Add adds a match of a step that was received now, after all others. It is false when the user
// has too many.
func (f *Flow) Add(cal *calendar.Calendar, user uint32, time int64, step int, now int64) bool {
	f.seq++
	if !f.add(user, match{time: time, seq: f.seq, steps: uint16(step)}, 0) {
		return false
	}
	if f.total >= f.limit {
		for u, h := range f.users {
			f.settle(cal, u, h, now-f.Grace)
		}
		f.thinned()
	}
	return true
}

// settle counts the transitions that nothing can come between any more, and drops their matches but
// for the last, which may begin another.
func (f *Flow) settle(cal *calendar.Calendar, user uint32, h *history, settled int64) {
	n := h.before(settled)
	for i := 1; i < n; i++ {
		if !h.follows(i) {
			continue
		}
		day := cal.Day(h.m[i].time)
		if f.days[day] == nil {
			f.days[day] = map[pairKey]uint32{}
		}
		f.tally++
		f.days[day][pairKey{user, uint8(h.m[i-1].steps), uint8(h.m[i].steps)}]++
	}
	if n > 0 {
		h.m[n-1].split = counted
		h.keep(func(i int) bool { return i >= n-1 })
	}
}

// follows reports whether match i ends a transition that is not counted yet.
func (h *history) follows(i int) bool {
	return i > 0 && h.m[i].split != counted && h.m[i].time-h.m[i-1].time <= Gap
}

// Between calls fn for all transitions that ended on the days first to last, which are [begin, end);
// for the same people and steps perhaps more than once.
func (f *Flow) Between(first, last, begin, end int64, fn func(user uint32, from, to int, n uint64)) {
	for user, h := range f.users {
		for i := h.before(begin); i < len(h.m) && h.m[i].time < end; i++ {
			if h.follows(i) {
				fn(user, int(h.m[i-1].steps), int(h.m[i].steps), 1)
			}
		}
	}
	for day, pairs := range f.days {
		if day >= first && day <= last {
			for k, n := range pairs {
				fn(k.user, int(k.from), int(k.to), uint64(n))
			}
		}
	}
}

// prune drops what windows from day on, which begins at open, do not need.
func (f *Flow) prune(day, open, settled int64) {
	open = min(open, settled)
	for _, h := range f.users {
		n := h.before(open) - 1
		if n > 0 || (n == 0 && h.m[0].time+Gap < open) {
			h.keep(func(i int) bool { return i > n || (i == n && h.m[i].time+Gap >= open) })
		}
	}
	f.pruned()
	for d := range f.days {
		if d < day {
			f.tally++
			delete(f.days, d)
		}
	}
}
