package path

import (
	"cmp"
	"slices"

	"github.com/fieldpost/fieldpost/agent/measure/dense"
	"github.com/fieldpost/fieldpost/agent/measure/wire"
)

// The matches of a day are written in order of time, then journal, in columns (package dense): how many there
// are, and for each dense.Most of them the times as distances in the largest unit that fits, the users, the places
// in the journal as distances, which are small in this order, the steps, the splits and, with correlate,
// which keys there are and which of them each has.

// dayMatch is a match and whose it is.
type dayMatch struct {
	match
	user uint32
	key  uint64
}

// saveDay writes the matches of a day.
func saveDay(w *wire.Writer, no int64, marks []mark) {
	all, keyed := dayMatches(no, marks)
	w.Uint(uint64(len(all)))
	var columns [5][]uint64
	before := match{time: no * utcDay}
	for some := range slices.Chunk(all, dense.Most) {
		unit := int64(1e9)
		last := before.time
		for i := range some {
			for ; (some[i].time-last)%unit != 0; unit /= 1000 {
			}
			last = some[i].time
		}
		for i := range columns {
			columns[i] = columns[i][:0]
		}
		for i := range some {
			x := &some[i]
			for j, v := range [...]uint64{uint64((x.time - before.time) / unit), uint64(x.user), zigzag(int32(x.seq - before.seq)), uint64(x.steps), uint64(x.split)} {
				columns[j] = append(columns[j], v)
			}
			before = x.match
		}
		w.Uint(uint64(unit))
		for i := range columns {
			dense.Append(w, columns[i])
		}
		if keyed {
			saveKeys(w, some)
		}
	}
}

// dayMatches are those of a day, and whether they have keys.
func dayMatches(no int64, marks []mark) (all []dayMatch, keyed bool) {
	begin, end := no*utcDay, (no+1)*utcDay
	for i := range marks {
		k := &marks[i]
		m := k.h.m
		from := int(k.at)
		if (from > 0 && m[from-1].time >= begin) || (from < len(m) && m[from].time < begin) {
			from = k.h.before(begin)
		}
		for k.at = int32(from); int(k.at) < len(m) && m[k.at].time < end; k.at++ {
			x := dayMatch{match: m[k.at], user: k.user}
			if k.h.keys != nil {
				keyed, x.key = true, k.h.keys[k.at]
			}
			all = append(all, x)
		}
	}
	slices.SortFunc(all, func(a, b dayMatch) int {
		return cmp.Or(cmp.Compare(a.time, b.time), int(int32(a.seq-b.seq)), cmp.Compare(a.user, b.user))
	})
	return all, keyed
}

// saveKeys writes each key once.
func saveKeys(w *wire.Writer, of []dayMatch) {
	have := map[uint64]uint64{}
	which := make([]uint64, len(of))
	var keys []uint64
	for i := range of {
		n, ok := have[of[i].key]
		if !ok {
			n = uint64(len(keys))
			have[of[i].key] = n
			keys = append(keys, of[i].key)
		}
		which[i] = n
	}
	w.Uint(uint64(len(keys)))
	for _, k := range keys {
		w.Uint(k)
	}
	dense.Append(w, which)
}

func loadKeys(r *wire.Reader, of []uint64) {
	keys := make([]uint64, 0, min(len(of), r.Left()))
	for n := r.Count(); n > 0 && r.Err() == nil; n-- {
		keys = append(keys, r.Uint())
	}
	dense.Read(r, of)
	for i, n := range of {
		if n >= uint64(len(keys)) {
			r.Fail("a key")
			return
		}
		of[i] = keys[n]
	}
}

func zigzag(v int32) uint64   { return uint64(uint32(v<<1) ^ uint32(v>>31)) }
func unzigzag(v uint64) int32 { return int32(uint32(v)>>1) ^ -int32(v&1) }

// loaded is matches as they lie in the sections.
type loaded struct {
	users []uint32 // of each match
	m     []match
	keys  []uint64 // correlate
	of    [6][]uint64
}

// day reads the matches of a day.
func (l *loaded) day(r *wire.Reader, no int64, persons, steps int, keyed bool) {
	before := match{time: no * utcDay}
	for left := r.Uint(); left > 0 && r.Err() == nil; {
		n := int(min(left, dense.Most))
		left -= uint64(n)
		unit := r.Below(1e9 + 1)
		for i := range l.of {
			if l.of[i] = slices.Grow(l.of[i][:0], n)[:n]; i < 5 {
				dense.Read(r, l.of[i])
			}
		}
		if keyed {
			loadKeys(r, l.of[5])
		}
		for i := 0; i < n && r.Err() == nil; i++ {
			x := match{before.time + int64(l.of[0][i])*int64(unit), before.seq + uint32(unzigzag(l.of[2][i])), uint16(l.of[3][i]), uint16(l.of[4][i])}
			switch user := l.of[1][i]; {
			case l.of[0][i] > uint64(utcDay) || x.time < before.time || dayOf(x.time) != no:
				r.Fail("another day")
			case user >= uint64(persons):
				r.Fail("a person who is not there")
			case max(l.of[3][i], l.of[4][i]) >= 1<<16 || l.of[2][i] >= 1<<32 || int(x.steps&^stood) >= steps:
				r.Fail("a step")
			default:
				l.users, l.m = append(l.users, uint32(user)), append(l.m, x)
				if keyed {
					l.keys = append(l.keys, l.of[5][i])
				}
			}
			before = x
		}
	}
}
