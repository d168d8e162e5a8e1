package path

import (
	"slices"
)

// Most is how many matches of one user are kept: 16 MB at 16 bytes.
const Most = 1 << 20

// KeepDefault is how many matches of all users are kept before they are thinned: 8 MB for each such
// measure, or 12 with correlate.
const KeepDefault = 1 << 19

// book is the histories of all users.
type book struct {
	Config
	seq   uint32
	users map[uint32]*history
	total int // matches of all users
	limit int // thin at this total

	clock   uint64            // counts changes
	all     uint64            // clock of the last change that may be anywhere
	touched map[int64]*uint64 // clock of the last match added to a day (of UTC)
	recent  *uint64           // of the day that was added to last
	day     int64             // which that is
	had     []int64           // the days that had matches at hadAt; nil: not known
	hadAt   uint64
}

func newBook(c Config) book {
	b := book{Config: c, users: map[uint32]*history{}, touched: map[int64]*uint64{}}
	b.limit = b.next(0)
	return b
}

// next is the total at which to thin when n matches were left.
func (b *book) next(n int) int {
	keep := b.Keep
	if keep == 0 {
		keep = KeepDefault
	}
	return max(keep, 2*n)
}

// add is false when the user has too many.
func (b *book) add(user uint32, x match, key uint64) bool {
	h := b.users[user]
	if h == nil {
		h = &history{}
		b.users[user] = h
	}
	if len(h.m) >= Most {
		return false
	}
	h.insert(x, b.Correlate, key)
	b.total++
	b.clock++
	if no := dayOf(x.time); b.recent == nil || b.day != no {
		if b.touched[no] == nil {
			b.touched[no] = new(uint64)
		}
		b.day, b.recent = no, b.touched[no]
	}
	*b.recent = b.clock
	return true
}

// changed notes that matches of any day may have changed.
func (b *book) changed() {
	b.clock++
	b.all = b.clock
	clear(b.touched)
	b.recent = nil
}

// recount gives up empty histories and counts the others.
func (b *book) recount() {
	b.total = 0
	for user, h := range b.users {
		if b.total += len(h.m); len(h.m) == 0 {
			delete(b.users, user)
		}
	}
}

// thinned sets the total at which to thin again.
func (b *book) thinned() {
	b.recount()
	b.changed()
	b.limit = b.next(b.total)
}

// pruned lets the total at which to thin come down again after a busy time.
func (b *book) pruned() {
	had := b.total
	if b.recount(); b.total != had {
		b.changed()
	}
	b.limit = min(b.limit, b.next(b.total))
}

// join gives the history of loser to winner.
func (b *book) join(loser, winner uint32) {
	h := b.users[loser]
	if h == nil {
		return
	}
	if w := b.users[winner]; w != nil {
		w.merge(h)
	} else {
		b.users[winner] = h
	}
	delete(b.users, loser)
	b.changed()
}

// forget drops the history of a user.
func (b *book) forget(user uint32) {
	if h := b.users[user]; h != nil {
		b.total -= len(h.m)
		delete(b.users, user)
		b.changed()
	}
}

// match is an event that matches steps.
type match struct {
	time  int64  // unix ns
	seq   uint32 // place in the journal, to order equal times; goes round
	steps uint16 // funnel: bit i for step i; transitions: the step
	split uint16 // funnel: value of the split; transitions: counted
}

// precedes reports whether a comes before b. Events of the same time lie within one grace of each
// other in the journal: far fewer than 2^31 matches, so that the difference tells.
func (a *match) precedes(b *match) bool {
	return b.time > a.time || (b.time == a.time && int32(b.seq-a.seq) > 0)
}

// history is the matches of one user in order of time, then journal.
type history struct {
	m    []match
	keys []uint64 // correlate: of each match; nil otherwise
}

// insert adds the newest match of the journal.
func (h *history) insert(x match, keyed bool, key uint64) {
	i := len(h.m)
	if i > 0 && h.m[i-1].time > x.time {
		i, _ = slices.BinarySearchFunc(h.m, x.time, func(m match, t int64) int {
			if m.time <= t {
				return -1
			}
			return 1
		})
	}
	h.m = slices.Insert(room(h.m), i, x)
	if keyed {
		h.keys = slices.Insert(room(h.keys), i, key)
	}
}

// room makes place for one more by an eighth of what is there: most users have few matches.
func room[T any](s []T) []T {
	if len(s) < cap(s) {
		return s
	}
	return append(make([]T, 0, len(s)+2+len(s)/8), s...)
}

// keep drops the matches that f does not want.
func (h *history) keep(f func(i int) bool) {
	n := 0
	for i := range h.m {
		if f(i) {
			h.m[n] = h.m[i]
			if h.keys != nil {
				h.keys[n] = h.keys[i]
			}
			n++
		}
	}
	if n == len(h.m) {
		return
	}
	h.m = fit(h.m[:n])
	if h.keys != nil {
		h.keys = fit(h.keys[:n])
	}
}

// fit gives back what is not needed.
func fit[T any](s []T) []T {
	if cap(s) > 2*len(s)+8 {
		return slices.Clone(s)
	}
	return s
}

// merge is both histories in order.
func (h *history) merge(o *history) {
	m := make([]match, 0, len(h.m)+len(o.m))
	var keys []uint64
	i, j := 0, 0
	for i < len(h.m) || j < len(o.m) {
		from, at := h, &i
		if i == len(h.m) || (j < len(o.m) && o.m[j].precedes(&h.m[i])) {
			from, at = o, &j
		}
		m = append(m, from.m[*at])
		if from.keys != nil {
			keys = append(keys, from.keys[*at])
		}
		*at++
	}
	h.m, h.keys = m, keys
}

// before is how many matches lie before the moment.
func (h *history) before(t int64) int {
	i, _ := slices.BinarySearchFunc(h.m, t, func(m match, t int64) int {
		if m.time < t {
			return -1
		}
		return 1
	})
	return i
}
