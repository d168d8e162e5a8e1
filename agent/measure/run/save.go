package run

import (
	"cmp"
	"maps"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/fieldpost/fieldpost/agent/measure/people"
	"github.com/fieldpost/fieldpost/agent/measure/series"
	"github.com/fieldpost/fieldpost/agent/measure/wire"
	"github.com/fieldpost/fieldpost/protocol/catalog"
)

// Save writes the run.
func (r *Run) Save(w *wire.Writer) {
	w.Uint(uint64(r.ID))
	p := [8]byte(r.Cat.Hash[:8])
	w.Raw(p[:])
	w.String(r.M.ID)
	w.Int(r.Created)
	SaveSpans(w, &r.Spans)
	w.Uint(uint64(len(r.combos)))
	for _, c := range r.combos {
		w.Uint(uint64(len(c)))
		for _, v := range c {
			w.Uint(uint64(v))
		}
	}
	switch {
	case r.People != nil:
		r.People.Save(w)
		if r.Path != nil {
			r.Path.Save(w)
		}
	case r.Fact != nil:
		w.Bool(r.Fact.Known)
		w.String(r.Fact.Value)
		w.Int(r.Fact.Since)
		w.Int(r.Fact.Changed)
	default:
		r.Traffic.Save(w)
	}
}

// Load reads what Save wrote; find gives the catalog whose hash begins so.
func Load(f *World, in *wire.Reader, find func([8]byte) *catalog.Catalog) *Run {
	id := uint32(in.Uint())
	var prefix [8]byte
	in.Raw(prefix[:])
	name := in.String()
	created := in.Int()
	cat := find(prefix)
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
	r := New(f.People, id, cat, mi, created)
	r.Spans = LoadSpans(in)
	for n := in.Count(); n > 0 && in.Err() == nil; n-- {
		var values []uint16
		for m := in.Count(); m > 0 && in.Err() == nil; m-- {
			values = append(values, uint16(in.Below(1<<16)))
		}
		if len(values) != len(r.Props) {
			in.Fail("a combination of values")
			return nil
		}
		r.combo(values)
	}
	switch {
	case r.People != nil:
		r.People.load(in, f.People.Len(), len(r.combos))
		if r.Path != nil {
			r.Path.Load(in, f.People.Len(), len(r.combos))
		}
	case r.Fact != nil:
		r.Fact.Known = in.Bool()
		r.Fact.Value = in.String()
		r.Fact.Since = in.Int()
		r.Fact.Changed = in.Int()
	default:
		r.Traffic.load(in, len(r.combos))
	}
	return r
}

func compareKeys(a, b tallyKey) int {
	return cmp.Or(cmp.Compare(a.user, b.user), cmp.Compare(a.combo, b.combo), cmp.Compare(a.bin, b.bin))
}

func (k tallyKey) Save(w *wire.Writer) {
	w.Uint(uint64(k.user) + 1&0xffffffff)
	w.Uint(uint64(k.combo))
	w.Int(int64(k.bin))
}

func (s *Person) Save(w *wire.Writer) {
	w.Uint(uint64(len(s.Days)))
	for _, n := range slices.Sorted(maps.Keys(s.Days)) {
		d := s.Days[n]
		w.Int(n)
		w.Uint(uint64(len(d.sets)))
		for _, combo := range slices.Sorted(maps.Keys(d.sets)) {
			w.Uint(uint64(combo))
			saveSet(w, d.sets[combo])
		}
		w.Uint(uint64(len(d.tally)))
		for _, k := range slices.SortedFunc(maps.Keys(d.tally), compareKeys) {
			k.Save(w)
			w.Uint(d.tally[k])
		}
		w.Uint(uint64(len(d.sums)))
		for _, k := range slices.SortedFunc(maps.Keys(d.sums), compareKeys) {
			k.Save(w)
			d.sums[k].Save(w)
		}
	}
	n := len(s.First)
	for n > 0 && s.First[n-1] == people.NoDay {
		n-- // how far the slice has grown is no part of the state
	}
	w.Uint(uint64(n))
	for _, d := range s.First[:n] {
		w.Int(int64(d))
	}
}

func (s *Person) load(r *wire.Reader, persons, combos int) {
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
		s.First = append(s.First, int32(r.Int()))
	}
}

func (s *Traffic) Save(w *wire.Writer) {
	for g := range s.Open {
		if s.Open[g] == nil {
			continue
		}
		w.Uint(uint64(len(s.Open[g])))
		for _, start := range slices.Sorted(maps.Keys(s.Open[g])) {
			b := s.Open[g][start]
			w.Int(start)
			w.Uint(uint64(len(b.groups)))
			for _, k := range slices.SortedFunc(maps.Keys(b.groups), compareGroups) {
				w.Uint(uint64(k.B))
				w.Uint(uint64(k.V1))
				w.Uint(uint64(k.V2))
				saveTally(w, b.groups[k])
			}
		}
	}
	if s.Gauge != nil {
		s.Gauge.Save(w)
	}
	if s.Avail != nil {
		s.Avail.Save(w)
	}
	w.Uint(uint64(len(s.Burn)))
	for _, start := range slices.Sorted(maps.Keys(s.Burn)) {
		w.Int(start)
		w.Uint(s.Burn[start][0])
		w.Uint(s.Burn[start][1])
	}
}

func compareGroups(a, b Group) int {
	return cmp.Or(cmp.Compare(a.B, b.B), cmp.Compare(a.V1, b.V1), cmp.Compare(a.V2, b.V2))
}

func (s *Traffic) load(r *wire.Reader, combos int) {
	for g := range s.Open {
		if s.Open[g] == nil {
			continue
		}
		for n := r.Count(); n > 0 && r.Err() == nil; n-- {
			b := &Bucket{}
			s.Open[g][r.Int()] = b
			for m := r.Count(); m > 0 && r.Err() == nil; m-- {
				k := Group{uint8(r.Below(1 << 8)), uint16(r.Below(1 << 16)), uint16(r.Below(1 << 16))}
				t := loadTally(r)
				if b.groups == nil {
					b.groups = map[Group]*Tally{}
				}
				b.groups[k] = t
			}
		}
	}
	if s.Gauge != nil {
		s.Gauge = series.LoadGauge(r, combos)
	}
	if s.Avail != nil {
		s.Avail = series.LoadAvailability(r)
	}
	for n := r.Count(); n > 0 && r.Err() == nil; n-- {
		start := r.Int()
		s.Burn[start] = [2]uint64{r.Uint(), r.Uint()}
	}
}
