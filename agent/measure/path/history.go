package path

import (
	"slices"
)

// Most is how many matches of one user are kept: 16 MB at 16 bytes.
const Most = 1 << 20

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
	m     []match
	keys  []uint64 // correlate: of each match; nil otherwise
	limit int      // thin at this length
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
	h.m, h.keys, h.limit = m, keys, max(h.limit, o.limit)
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
