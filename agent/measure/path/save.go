package path

import (
	"cmp"
	"maps"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/fieldpost/fieldpost/agent/measure/series"
	"github.com/fieldpost/fieldpost/agent/measure/wire"
)

// Save writes the state.
func (s *State) Save(w *wire.Writer) {
	w.Uint(s.Refused)
	switch {
	case s.Funnel != nil:
		s.Funnel.save(w)
	case s.Flow != nil:
		s.Flow.save(w)
	case s.Sums != nil:
		s.Sums.save(w)
	}
}

// Load fills an empty state with what Save wrote. Users are below persons, combinations of values
// below combos.
func (s *State) Load(r *wire.Reader, persons, combos int) {
	s.Refused = r.Uint()
	switch {
	case s.Funnel != nil:
		s.Funnel.load(r, persons)
	case s.Flow != nil:
		s.Flow.load(r, persons)
	case s.Sums != nil:
		s.Sums.load(r, persons, combos)
	}
}

func (f *Funnel) save(w *wire.Writer) {
	f.book.save(w)
	w.Uint(uint64(len(f.first)))
	for _, user := range slices.Sorted(maps.Keys(f.first)) {
		w.Uint(uint64(user))
		w.Int(f.first[user].time)
		w.Uint(uint64(f.first[user].seq))
	}
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

func (f *Funnel) load(r *wire.Reader, persons int) {
	f.book.load(r, persons, 1<<f.Steps)
	for n := r.Count(); n > 0 && r.Err() == nil; n-- {
		user := uint32(r.Below(persons))
		f.first[user] = match{time: r.Int(), seq: uint32(r.Below(1 << 32))}
	}
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
}

func (b *book) save(w *wire.Writer) {
	w.Uint(uint64(b.seq))
	w.Uint(uint64(b.limit))
	w.Uint(uint64(len(b.users)))
	for _, user := range slices.Sorted(maps.Keys(b.users)) {
		h := b.users[user]
		w.Uint(uint64(user))
		w.Uint(uint64(len(h.m)))
		last := int64(0)
		for i := range h.m {
			w.Int(h.m[i].time - last)
			last = h.m[i].time
			w.Uint(uint64(h.m[i].seq))
			w.Uint(uint64(h.m[i].steps))
			w.Uint(uint64(h.m[i].split))
			if h.keys != nil {
				w.Uint(h.keys[i])
			}
		}
	}
}

func (b *book) load(r *wire.Reader, persons, steps int) {
	b.seq = uint32(r.Below(1 << 32))
	b.limit = r.Below(1 << 48)
	for n := r.Count(); n > 0 && r.Err() == nil; n-- {
		user := uint32(r.Below(persons))
		h := &history{}
		last := int64(0)
		for m := r.Count(); m > 0 && r.Err() == nil; m-- {
			last += r.Int()
			x := match{last, uint32(r.Below(1 << 32)), uint16(r.Below(1 << 16)), uint16(r.Below(1 << 16))}
			if int(x.steps&^stood) >= steps {
				r.Fail("a step")
			}
			h.m = append(room(h.m), x)
			if b.Correlate {
				h.keys = append(room(h.keys), r.Uint())
			}
			if k := len(h.m); k > 1 && !h.m[k-2].precedes(&h.m[k-1]) {
				r.Fail("the order of matches")
			}
		}
		b.users[user] = h
	}
	b.recount()
}

func (f *Flow) save(w *wire.Writer) {
	f.book.save(w)
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

func (f *Flow) load(r *wire.Reader, persons int) {
	f.book.load(r, persons, f.Steps)
	for n := r.Count(); n > 0 && r.Err() == nil; n-- {
		pairs := map[pairKey]uint32{}
		f.days[r.Int()] = pairs
		for m := r.Count(); m > 0 && r.Err() == nil; m-- {
			k := pairKey{uint32(r.Below(persons)), uint8(r.Below(f.Steps)), uint8(r.Below(f.Steps))}
			pairs[k] = uint32(r.Below(1 << 32))
		}
	}
}

func (m *Moments) save(w *wire.Writer) {
	w.Uint(uint64(len(m.days)))
	for _, day := range slices.Sorted(maps.Keys(m.days)) {
		w.Int(day)
		w.Uint(uint64(len(m.days[day])))
		for _, k := range slices.SortedFunc(maps.Keys(m.days[day]), func(a, b sumKey) int {
			return cmp.Or(cmp.Compare(a.user, b.user), cmp.Compare(a.combo, b.combo))
		}) {
			s := m.days[day][k]
			w.Uint((uint64(k.user) + 1) & 0xffffffff) // 0: nobody
			w.Uint(uint64(k.combo))
			w.Uint(s.N)
			s.X.Save(w)
			s.Y.Save(w)
			s.XX.save(w)
			s.YY.save(w)
			s.XY.save(w)
		}
	}
}

func (m *Moments) load(r *wire.Reader, persons, combos int) {
	for n := r.Count(); n > 0 && r.Err() == nil; n-- {
		sums := map[sumKey]*Sums{}
		m.days[r.Int()] = sums
		for k := r.Count(); k > 0 && r.Err() == nil; k-- {
			user := uint32(r.Below(persons+1)) - 1
			key := sumKey{user, uint32(r.Below(combos))}
			sums[key] = &Sums{r.Uint(), series.LoadFixed(r), series.LoadFixed(r), loadWide(r), loadWide(r), loadWide(r)}
		}
	}
}
