package path

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/fieldpost/fieldpost/agent/measure/wire"
)

// Save writes what Sections does not.
func (s *State) Save(w *wire.Writer) {
	w.Uint(s.Refused)
	switch {
	case s.Funnel != nil:
		s.Funnel.save(w)
		saveFirsts(w, s.Funnel.first)
	case s.Flow != nil:
		s.Flow.save(w)
	case s.Sums != nil:
		saveDays(w, slices.Sorted(maps.Keys(s.Sums.days)))
	}
}

// Sections are the parts that are saved by themselves, under keys that begin with prefix: what happened,
// by day, because old days hardly ever change; what lies behind all windows; what is counted.
func (s *State) Sections(prefix string) (out []wire.Section) {
	add := func(key string, version uint64, dense bool, write func(*wire.Writer)) {
		out = append(out, wire.Section{Key: prefix + key, Versioned: true, Version: version, Dense: dense, Write: write})
	}
	switch {
	case s.Funnel != nil:
		s.Funnel.sections(add)
		add("behind", s.Funnel.behind, false, s.Funnel.saveBehind)
	case s.Flow != nil:
		s.Flow.sections(add)
		add("tally", s.Flow.tally, false, s.Flow.saveTally)
	case s.Sums != nil:
		for _, no := range slices.Sorted(maps.Keys(s.Sums.days)) {
			d := s.Sums.days[no]
			add(dayKey(no), d.version, true, func(w *wire.Writer) { w.Raw(d.bytes()) })
		}
	}
	return out
}

// Load fills an empty state with what Save and Sections wrote; get gives a section by its key. Users
// are below persons, combinations of values below combos.
func (s *State) Load(r *wire.Reader, prefix string, persons, combos int, get func(key string) *wire.Reader) {
	s.Refused = r.Uint()
	part := func(key string) *wire.Reader { return get(prefix + key) }
	switch {
	case s.Funnel != nil:
		f := s.Funnel
		f.load(r, persons, 1<<f.Steps, part)
		for n := r.Count(); n > 0 && r.Err() == nil; n-- {
			user := uint32(r.Below(persons))
			f.first[user] = match{time: r.Int(), seq: uint32(r.Below(1 << 32))}
		}
		f.loadBehind(r, part("behind"), persons)
	case s.Flow != nil:
		s.Flow.load(r, persons, s.Flow.Steps, part)
		s.Flow.loadTally(r, part("tally"), persons)
	case s.Sums != nil:
		for _, no := range loadDays(r) {
			s.Sums.days[no] = loadSums(r, part(dayKey(no)), persons, combos)
		}
	}
}

func dayKey(no int64) string { return fmt.Sprintf("path/%d", no) }

func saveDays(w *wire.Writer, days []int64) {
	w.Uint(uint64(len(days)))
	for _, no := range days {
		w.Int(no)
	}
}

func loadDays(r *wire.Reader) (days []int64) {
	for n := r.Count(); n > 0 && r.Err() == nil; n-- {
		if days = append(days, r.Int()); len(days) > 1 && days[len(days)-2] >= days[len(days)-1] {
			r.Fail("the order of days")
		}
	}
	return days
}

const utcDay = int64(86400e9)

// dayOf is the day of UTC that a match is saved with. It has nothing to do with windows.
func dayOf(ns int64) int64 {
	d := ns / utcDay
	if ns%utcDay < 0 {
		d--
	}
	return d
}

// days are those that have matches, in order. Since the last change that may be anywhere only those
// that were added to can be new.
func (b *book) days() []int64 {
	if b.had == nil || b.hadAt != b.all {
		b.had, b.hadAt = b.findDays(), b.all
	}
	out := slices.Clone(b.had)
	for no := range b.touched {
		if i, found := slices.BinarySearch(out, no); !found {
			out = slices.Insert(out, i, no)
		}
	}
	return out
}

func (b *book) findDays() []int64 {
	have := map[int64]bool{}
	for _, h := range b.users {
		begin, end := int64(1), int64(0) // of the day of the match before
		for i := range h.m {
			if t := h.m[i].time; t < begin || t >= end {
				no := dayOf(t)
				have[no], begin, end = true, no*utcDay, (no+1)*utcDay
			}
		}
	}
	days := slices.AppendSeq([]int64{}, maps.Keys(have))
	slices.Sort(days)
	return days
}

func (b *book) save(w *wire.Writer) {
	w.Uint(uint64(b.seq))
	w.Uint(uint64(b.limit))
	saveDays(w, b.days())
}

func (b *book) sections(add func(key string, version uint64, dense bool, write func(*wire.Writer))) {
	marks := sync.OnceValue(b.marks)
	for _, no := range b.days() {
		version := b.all
		if at := b.touched[no]; at != nil {
			version = max(version, *at)
		}
		add(dayKey(no), version, true, func(w *wire.Writer) { saveDay(w, no, marks()) })
	}
}

// mark is how far a user's history was written: days are mostly written in order, and
// a search for each day of each user would cost more than all the rest.
type mark struct {
	user uint32
	at   int32
	h    *history
}

func (b *book) marks() []mark {
	out := make([]mark, 0, len(b.users))
	for user, h := range b.users {
		out = append(out, mark{user, 0, h})
	}
	slices.SortFunc(out, func(a, b mark) int { return cmp.Compare(a.user, b.user) })
	return out
}

func (b *book) load(r *wire.Reader, persons, steps int, part func(string) *wire.Reader) {
	b.seq = uint32(r.Below(1 << 32))
	b.limit = r.Below(1 << 48)
	b.had = append([]int64{}, loadDays(r)...)
	var all loaded
	for _, no := range b.had {
		in := part(dayKey(no))
		if in.Left() == 0 {
			r.Fail("a day without matches")
		}
		if all.day(in, no, persons, steps, b.Correlate); in.End() != nil {
			r.Fail("the matches of a day")
		}
	}
	b.deal(r, &all, persons)
}

// deal gives each user their matches, which are counted first: histories that grow by the day would be
// copied for every day.
func (b *book) deal(r *wire.Reader, l *loaded, persons int) {
	if r.Err() != nil {
		return
	}
	counts := make([]uint32, persons)
	for _, user := range l.users {
		counts[user]++
	}
	of := make([]*history, persons)
	for i, user := range l.users {
		h := of[user]
		if h == nil {
			h = &history{m: make([]match, 0, counts[user])}
			if b.Correlate {
				h.keys = make([]uint64, 0, counts[user])
			}
			of[user], b.users[user] = h, h
		}
		h.m = append(h.m, l.m[i])
		if b.Correlate {
			h.keys = append(h.keys, l.keys[i])
		}
		if k := len(h.m); k > 1 && !h.m[k-2].precedes(&h.m[k-1]) {
			r.Fail("the order of matches")
		}
	}
	b.total = len(l.m)
}

func saveFirsts(w *wire.Writer, first map[uint32]match) {
	w.Uint(uint64(len(first)))
	for _, user := range slices.Sorted(maps.Keys(first)) {
		w.Uint(uint64(user))
		w.Int(first[user].time)
		w.Uint(uint64(first[user].seq))
	}
}

func (f *Funnel) saveBehind(w *wire.Writer) {
	for _, set := range []*roaring.Bitmap{f.had, f.entered} {
		w.Uint(set.GetCardinality())
		last := uint32(0)
		for it := set.Iterator(); it.HasNext(); {
			id := it.Next()
			w.Uint(uint64(id - last))
			last = id
		}
	}
	w.Uint(uint64(len(f.done)))
	for _, user := range slices.Sorted(maps.Keys(f.done)) {
		w.Uint(uint64(user))
		w.Uint(uint64(len(f.done[user])))
		for _, k := range f.done[user] {
			w.Uint(k)
		}
	}
}

func (f *Funnel) loadBehind(to, r *wire.Reader, persons int) {
	for _, set := range []*roaring.Bitmap{f.had, f.entered} {
		id := uint64(0)
		for n := r.Count(); n > 0 && r.Err() == nil; n-- {
			if id += r.Uint(); id >= uint64(persons) {
				r.Fail("a person who is not there")
				break
			}
			set.Add(uint32(id))
		}
	}
	for n := r.Count(); n > 0 && r.Err() == nil; n-- {
		user := uint32(r.Below(persons))
		for m := r.Count(); m > 0 && r.Err() == nil; m-- {
			f.done[user] = append(f.done[user], r.Uint())
		}
	}
	if r.End() != nil {
		to.Fail("who has entered")
	}
}

func (f *Flow) saveTally(w *wire.Writer) {
	w.Uint(uint64(len(f.days)))
	for _, day := range slices.Sorted(maps.Keys(f.days)) {
		w.Int(day)
		w.Uint(uint64(len(f.days[day])))
		for _, k := range slices.SortedFunc(maps.Keys(f.days[day]), func(a, b pairKey) int {
			return cmp.Or(cmp.Compare(a.user, b.user), cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to))
		}) {
			w.Uint(uint64(k.user))
			w.Uint(uint64(k.from))
			w.Uint(uint64(k.to))
			w.Uint(uint64(f.days[day][k]))
		}
	}
}

func (f *Flow) loadTally(to, r *wire.Reader, persons int) {
	for n := r.Count(); n > 0 && r.Err() == nil; n-- {
		pairs := map[pairKey]uint32{}
		f.days[r.Int()] = pairs
		for m := r.Count(); m > 0 && r.Err() == nil; m-- {
			k := pairKey{uint32(r.Below(persons)), uint8(r.Below(f.Steps)), uint8(r.Below(f.Steps))}
			pairs[k] = uint32(r.Below(1 << 32))
		}
	}
	if r.End() != nil {
		to.Fail("transitions by day")
	}
}

// loadSums keeps a day sealed, after a look at it.
func loadSums(to, r *wire.Reader, persons, combos int) *sumDay {
	d := &sumDay{raw: r.Rest()}
	in := wire.NewReader(d.raw)
	readSums(in, func(user, combo uint32, _ *Sums) {
		if (user != ^uint32(0) && int64(user) >= int64(persons)) || int64(combo) >= int64(combos) {
			in.Fail("a person or a combination that is not there")
		}
	})
	if in.End() != nil {
		to.Fail("the sums of a day")
	}
	return d
}
