package path

import (
	"cmp"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
)

// StepsMost is how many steps a funnel has at most.
const StepsMost = 10

// stood marks the entry (in steps) that somebody was left with when its window had closed: what alias
// joins later does not undo it.
const stood = 1 << 15

// Match is an event that matches something of a funnel.
type Match struct {
	User   uint32
	Time   int64  // unix ns
	Steps  uint16 // bit i: step i
	Before bool   // it is the match that must come before the last step
	Key    uint64 // correlate: hash of the value; its steps are 0 where it has none
	Split  uint16 // value of the split, of an event property
}

// Entry is one way into a funnel.
type Entry struct {
	User    uint32
	Time    int64
	Reached int // how many steps, the first included
	Took    int64
	Split   uint16
}

// Funnel is the matches of a funnel.
type Funnel struct {
	book
	first   map[uint32]match    // first match of before, while it may come after a last step
	had     *roaring.Bitmap     // users whose first match of before lies behind all open windows
	entered *roaring.Bitmap     // entry first: users whose entry does
	done    map[uint32][]uint64 // the same with correlate: keys, in order of entry
	behind  uint64              // counts changes of the three above

	order, ends, of []int32 // scratch of ways
	group           map[uint64]int32
	list            []match
}

// keysMost is how many followed objects of a user are remembered after their windows have
// closed; the newest 16,384 are 128 KB.
const keysMost = 1 << 14

func newFunnel(c Config) *Funnel {
	return &Funnel{book: newBook(c), first: map[uint32]match{}, had: roaring.New(), entered: roaring.New(), done: map[uint32][]uint64{}, group: map[uint64]int32{}}
}

// Add adds a match that was received now, after all others. It is false when the user has too many.
func (f *Funnel) Add(x Match, now int64) bool {
	f.seq++
	if f.plainFirst() && f.entered.Contains(x.User) {
		return true // whoever has entered never enters again
	}
	m := match{time: x.Time, seq: f.seq, steps: x.Steps, split: x.Split}
	if x.Before && !f.had.Contains(x.User) {
		if old, ok := f.first[x.User]; !ok || m.time < old.time {
			f.first[x.User] = m
		}
	}
	if x.Steps == 0 {
		return true
	}
	if !f.add(x.User, m, x.Key) {
		return false
	}
	if f.total >= f.limit {
		for user, h := range f.users {
			f.thin(user, h, now-f.Grace)
		}
		f.thinned()
	}
	return true
}

// plainFirst: a user enters once, whatever the events are about.
func (f *Funnel) plainFirst() bool { return !f.Each && !f.Correlate }

// way is an entry and the matches its steps take.
type way struct {
	n  int // steps taken
	at [StepsMost]int32
}

// ways calls fn for every way of a user, the entries of one key in order. at are positions in h.m.
func (f *Funnel) ways(user uint32, h *history, fn func(w *way)) {
	if !f.Correlate {
		if f.Each || !f.entered.Contains(user) {
			f.follow(h.m, fn)
		}
		return
	}
	f.byKey(h)
	done := slices.Sorted(slices.Values(f.done[user]))
	for from := 0; from < len(f.order); {
		key, to := h.keys[f.order[from]], from
		f.list = f.list[:0]
		for ; to < len(f.order) && h.keys[f.order[to]] == key; to++ {
			f.list = append(f.list, h.m[f.order[to]])
		}
		at := f.order[from:to]
		from = to
		if _, entered := slices.BinarySearch(done, key); entered && !f.Each {
			continue
		}
		f.follow(f.list, func(w *way) {
			for i := range w.at[:w.n] {
				w.at[i] = at[w.at[i]]
			}
			fn(w)
		})
	}
}

// byKey puts the positions of matches of one key beside each other in order, in the order in which the
// keys come first.
func (f *Funnel) byKey(h *history) {
	clear(f.group)
	f.ends, f.of = f.ends[:0], f.of[:0]
	for _, k := range h.keys {
		g, ok := f.group[k]
		if !ok {
			g = int32(len(f.ends))
			f.group[k] = g
			f.ends = append(f.ends, 0)
		}
		f.of = append(f.of, g)
		f.ends[g]++
	}
	at := int32(0)
	for g, n := range f.ends {
		f.ends[g], at = at, at+n
	}
	f.order = slices.Grow(f.order[:0], len(h.keys))[:len(h.keys)]
	for i, g := range f.of {
		f.order[f.ends[g]] = int32(i)
		f.ends[g]++
	}
}

// follow finds the ways in the matches of one user and key. Two entries are further apart than a way
// is long, so each match is looked at twice at most.
func (f *Funnel) follow(ms []match, fn func(w *way)) {
	i := 0
	for i+1 < len(ms) && ms[i+1].steps&stood != 0 {
		i++ // these come before all others; the last of them counts
	}
	for ; i < len(ms); i++ {
		if ms[i].steps&1 == 0 {
			continue
		}
		end := ms[i].time + f.Window
		w := way{n: 1}
		w.at[0] = int32(i)
		j := i + 1
		for ; j < len(ms) && ms[j].time <= end; j++ {
			if w.n < f.Steps && ms[j].steps>>w.n&1 != 0 {
				w.at[w.n] = int32(j)
				w.n++
			}
		}
		fn(&w)
		if !f.Each {
			return
		}
		i = j - 1 // the next entry is later than end
	}
}

// Entries calls fn for every entry in [begin, end) whose time to the last step has passed now.
func (f *Funnel) Entries(begin, end, now int64, fn func(Entry)) {
	end = min(end, now-f.Window+1)
	for user, h := range f.users {
		if len(h.m) == 0 || h.m[0].time >= end || h.m[len(h.m)-1].time < begin {
			continue
		}
		f.ways(user, h, func(w *way) {
			first, last := &h.m[w.at[0]], &h.m[w.at[w.n-1]]
			if first.time < begin || first.time >= end {
				return
			}
			e := Entry{User: user, Time: first.time, Reached: w.n, Took: last.time - first.time, Split: first.split}
			if f.Before && w.n == f.Steps && !f.preceded(user, last) {
				e.Reached--
			}
			fn(e)
		})
	}
}

// preceded reports whether the user's first match of before comes before m.
func (f *Funnel) preceded(user uint32, m *match) bool {
	if f.had.Contains(user) {
		return true
	}
	b, ok := f.first[user]
	return ok && b.precedes(m)
}

// thin drops settled matches that no way uses. What no event can be inserted before stays as it is:
// each step takes the earliest match, and taking others away does not make a later one the earliest.
func (f *Funnel) thin(user uint32, h *history, settled int64) {
	used := make([]bool, h.before(settled))
	f.ways(user, h, func(w *way) {
		for _, i := range w.at[:w.n] {
			if int(i) < len(used) {
				used[i] = true
			}
		}
	})
	h.keep(func(i int) bool { return i >= len(used) || used[i] })
}

// Prune drops what windows that begin at open or later do not need; nothing comes any more
// before settled.
func (f *Funnel) prune(open, settled int64) {
	open = min(open, settled)
	for user, b := range f.first {
		if b.time < open {
			f.behind++
			f.had.Add(user)
			delete(f.first, user)
		}
	}
	moved := false
	for user, h := range f.users {
		behind := h.before(open)
		if behind == 0 {
			continue
		}
		f.leave(user, h, behind, open)
		moved = true
	}
	if f.pruned(); moved {
		f.changed()
	}
}

// leave drops the first matches of a user but for those that still decide what is an entry.
func (f *Funnel) leave(user uint32, h *history, behind int, open int64) {
	last := map[uint64]int32{} // the entry a key was left with
	var keys []uint64
	f.ways(user, h, func(w *way) {
		if i := w.at[0]; int(i) < behind {
			var key uint64
			if f.Correlate {
				key = h.keys[i]
			}
			last[key] = i
			keys = append(keys, key)
		}
	})
	switch {
	case f.Each:
		h.keep(func(i int) bool {
			if i >= behind {
				return true
			}
			var key uint64
			if f.Correlate {
				key = h.keys[i]
			}
			e, ok := last[key]
			if !ok || int(e) != i || h.m[i].time+f.Window < open {
				return false
			}
			h.m[i].steps |= stood
			return true
		})
	case !f.Correlate:
		if len(keys) > 0 {
			f.enter(user)
			h.m = nil
			return
		}
		h.keep(func(i int) bool { return i >= behind })
	default:
		slices.SortFunc(keys, func(a, b uint64) int { return cmp.Compare(last[a], last[b]) })
		f.remember(user, keys)
		done := map[uint64]bool{}
		for _, k := range f.done[user] {
			done[k] = true
		}
		h.keep(func(i int) bool { return i >= behind && !done[h.keys[i]] })
	}
}

func (f *Funnel) enter(user uint32) {
	f.behind++
	f.entered.Add(user)
	f.had.Remove(user)
	delete(f.first, user)
}

// remember notes that keys of a user have entered.
func (f *Funnel) remember(user uint32, keys []uint64) {
	if len(keys) == 0 {
		return
	}
	f.behind++
	all := append(f.done[user], keys...)
	if over := len(all) - keysMost; over > 0 {
		all = slices.Clone(all[over:])
	}
	f.done[user] = all
}

func (f *Funnel) merge(loser, winner uint32) {
	if f.entered.Contains(loser) || f.entered.Contains(winner) {
		f.drop(loser)
		f.drop(winner)
		f.enter(winner)
		return
	}
	if b, ok := f.first[loser]; ok {
		if w, both := f.first[winner]; !both || b.precedes(&w) {
			f.first[winner] = b
		}
	}
	if f.had.Contains(loser) || f.had.Contains(winner) {
		f.behind++
		f.had.Add(winner)
		delete(f.first, winner)
	}
	if keys := f.done[loser]; len(keys) > 0 {
		have := f.done[winner]
		f.remember(winner, slices.DeleteFunc(slices.Clone(keys), func(k uint64) bool { return slices.Contains(have, k) }))
	}
	f.join(loser, winner)
	f.drop(loser)
	if h := f.users[winner]; h != nil && len(f.done[winner]) > 0 {
		done := map[uint64]bool{}
		for _, k := range f.done[winner] {
			done[k] = true
		}
		f.changed()
		f.total -= len(h.m)
		h.keep(func(i int) bool { return !done[h.keys[i]] })
		if f.total += len(h.m); len(h.m) == 0 {
			delete(f.users, winner)
		}
	}
}

// drop forgets a number.
func (f *Funnel) drop(user uint32) {
	f.forget(user)
	delete(f.first, user)
	if len(f.done[user]) > 0 || f.had.Contains(user) || f.entered.Contains(user) {
		f.behind++
		delete(f.done, user)
		f.had.Remove(user)
		f.entered.Remove(user)
	}
}
