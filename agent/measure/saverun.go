package measure

import (
	"cmp"
	"maps"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/fieldpost/fieldpost/agent/measure/people"
	"github.com/fieldpost/fieldpost/agent/measure/series"
	"github.com/fieldpost/fieldpost/agent/measure/wire"
)

func (r *run) save(w *wire.Writer) {
	w.Uint(uint64(r.id))
	p := prefixOf(r.cat)
	w.Raw(p[:])
	w.String(r.m.ID)
	w.Int(r.created)
	saveSpans(w, &r.spans)
	w.Uint(uint64(len(r.combos)))
	for _, c := range r.combos {
		w.Uint(uint64(len(c)))
		for _, v := range c {
			w.Uint(uint64(v))
		}
	}
	switch {
	case r.people != nil:
		r.people.save(w)
	case r.fact != nil:
		w.Bool(r.fact.known)
		w.String(r.fact.value)
		w.Int(r.fact.since)
		w.Int(r.fact.changed)
	default:
		r.traffic.save(w)
	}
}

func (f *Fold) loadRun(in *wire.Reader) *run {
	id := uint32(in.Uint())
	var prefix [8]byte
	in.Raw(prefix[:])
	name := in.String()
	created := in.Int()
	cat := f.catalog(prefix)
	if in.Err() != nil {
		return nil
	}
	if cat == nil {
		in.Fail("the catalog of measure " + name + " is not there")
		return nil
	}
	_, mi := cat.Measure(name)
	if mi < 0 {
		in.Fail("measure " + name + " is not in its catalog")
		return nil
	}
	r := newRun(f.people, id, cat, mi, created)
	r.spans = loadSpans(in)
	for n := in.Count(); n > 0 && in.Err() == nil; n-- {
		var values []uint16
		for m := in.Count(); m > 0 && in.Err() == nil; m-- {
			values = append(values, uint16(in.Below(1<<16)))
		}
		if len(values) != len(r.props) {
			in.Fail("a combination of values")
			return nil
		}
		r.combo(values)
	}
	switch {
	case r.people != nil:
		r.people.load(in, f.people.Len(), len(r.combos))
	case r.fact != nil:
		r.fact.known = in.Bool()
		r.fact.value = in.String()
		r.fact.since = in.Int()
		r.fact.changed = in.Int()
	default:
		r.traffic.load(in, len(r.combos))
	}
	return r
}

func compareKeys(a, b tallyKey) int {
	return cmp.Or(cmp.Compare(a.user, b.user), cmp.Compare(a.combo, b.combo), cmp.Compare(a.bin, b.bin))
}

func (k tallyKey) save(w *wire.Writer) {
	w.Uint(uint64(k.user) + 1&0xffffffff)
	w.Uint(uint64(k.combo))
	w.Int(int64(k.bin))
}

func (s *personState) save(w *wire.Writer) {
	w.Uint(uint64(len(s.days)))
	for _, n := range slices.Sorted(maps.Keys(s.days)) {
		d := s.days[n]
		w.Int(n)
		w.Uint(uint64(len(d.sets)))
		for _, combo := range slices.Sorted(maps.Keys(d.sets)) {
			w.Uint(uint64(combo))
			saveSet(w, d.sets[combo])
		}
		w.Uint(uint64(len(d.tally)))
		for _, k := range slices.SortedFunc(maps.Keys(d.tally), compareKeys) {
			k.save(w)
			w.Uint(d.tally[k])
		}
		w.Uint(uint64(len(d.sums)))
		for _, k := range slices.SortedFunc(maps.Keys(d.sums), compareKeys) {
			k.save(w)
			d.sums[k].Save(w)
		}
	}
	n := len(s.first)
	for n > 0 && s.first[n-1] == people.NoDay {
		n-- // how far the slice has grown is no part of the state
	}
	w.Uint(uint64(n))
	for _, d := range s.first[:n] {
		w.Int(int64(d))
	}
}

func (s *personState) load(r *wire.Reader, persons, combos int) {
	key := func() tallyKey {
		user := uint32(r.Uint()) - 1
		if user != people.Nobody && int(user) >= persons {
			r.Fail("a person who is not there")
		}
		return tallyKey{user, uint32(r.Below(combos)), int32(r.Int())}
	}
	for n := r.Count(); n > 0 && r.Err() == nil; n-- {
		d := s.at(r.Int())
		for m := r.Count(); m > 0 && r.Err() == nil; m-- {
			if d.sets == nil {
				d.sets = map[uint32]*roaring.Bitmap{}
			}
			combo := uint32(r.Below(combos))
			d.sets[combo] = loadSet(r, persons)
		}
		for m := r.Count(); m > 0 && r.Err() == nil; m-- {
			if d.tally == nil {
				d.tally = map[tallyKey]uint64{}
			}
			k := key()
			d.tally[k] = r.Uint()
		}
		for m := r.Count(); m > 0 && r.Err() == nil; m-- {
			if d.sums == nil {
				d.sums = map[tallyKey]series.Fixed{}
			}
			k := key()
			d.sums[k] = series.LoadFixed(r)
		}
	}
	for n := r.Count(); n > 0 && r.Err() == nil; n-- {
		s.first = append(s.first, int32(r.Int()))
	}
}

func (s *trafficState) save(w *wire.Writer) {
	for g := range s.open {
		if s.open[g] == nil {
			continue
		}
		w.Uint(uint64(len(s.open[g])))
		for _, start := range slices.Sorted(maps.Keys(s.open[g])) {
			b := s.open[g][start]
			w.Int(start)
			w.Uint(uint64(len(b.groups)))
			for _, k := range slices.SortedFunc(maps.Keys(b.groups), compareGroups) {
				w.Uint(uint64(k.b))
				w.Uint(uint64(k.v1))
				w.Uint(uint64(k.v2))
				saveTally(w, b.groups[k])
			}
		}
	}
	if s.gauge != nil {
		s.gauge.Save(w)
	}
	if s.avail != nil {
		s.avail.Save(w)
	}
	w.Uint(uint64(len(s.burn)))
	for _, start := range slices.Sorted(maps.Keys(s.burn)) {
		w.Int(start)
		w.Uint(s.burn[start][0])
		w.Uint(s.burn[start][1])
	}
}

func compareGroups(a, b group) int {
	return cmp.Or(cmp.Compare(a.b, b.b), cmp.Compare(a.v1, b.v1), cmp.Compare(a.v2, b.v2))
}

func (s *trafficState) load(r *wire.Reader, combos int) {
	for g := range s.open {
		if s.open[g] == nil {
			continue
		}
		for n := r.Count(); n > 0 && r.Err() == nil; n-- {
			b := &bucket{}
			s.open[g][r.Int()] = b
			for m := r.Count(); m > 0 && r.Err() == nil; m-- {
				k := group{uint8(r.Below(1 << 8)), uint16(r.Below(1 << 16)), uint16(r.Below(1 << 16))}
				t := loadTally(r)
				if b.groups == nil {
					b.groups = map[group]*tally{}
				}
				b.groups[k] = t
			}
		}
	}
	if s.gauge != nil {
		s.gauge = series.LoadGauge(r, combos)
	}
	if s.avail != nil {
		s.avail = series.LoadAvailability(r)
	}
	for n := r.Count(); n > 0 && r.Err() == nil; n-- {
		start := r.Int()
		s.burn[start] = [2]uint64{r.Uint(), r.Uint()}
	}
}
