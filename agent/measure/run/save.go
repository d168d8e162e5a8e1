package run

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/fieldpost/fieldpost/agent/measure/daily"
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
		r.People.save(w)
		if r.Path != nil {
			r.Path.Save(w)
		}
	case r.Fact != nil:
		w.Bool(r.Fact.Known)
		w.String(r.Fact.Value)
		w.Int(r.Fact.Since)
		w.Int(r.Fact.Changed)
		if s := r.Fact.First; s != nil {
			w.Int(s.At)
			w.Uint(uint64(len(s.Waiting)))
			for _, id := range slices.Sorted(maps.Keys(s.Waiting)) {
				w.Uint(uint64(id))
				w.Int(s.Waiting[id])
			}
		}
	default:
		r.Traffic.Save(w)
	}
}

// Load reads which run Save wrote; find gives the catalog whose hash begins so. LoadState reads the rest.
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
	return New(f.People, id, cat, mi, created)
}

// LoadState reads what Save wrote after that, and the sections; get gives one by its key. Users are below
// persons. Several runs may read at once.
func (r *Run) LoadState(in *wire.Reader, persons int, get func(key string) *wire.Reader) {
	r.Spans = LoadSpans(in)
	for n := in.Count(); n > 0 && in.Err() == nil; n-- {
		var values []uint16
		for m := in.Count(); m > 0 && in.Err() == nil; m-- {
			values = append(values, uint16(in.Below(1<<16)))
		}
		if len(values) != len(r.Props) {
			in.Fail("a combination of values")
			return
		}
		r.combo(values)
	}
	switch {
	case r.People != nil:
		r.loadPerson(in, persons, get)
		if r.Path != nil {
			r.Path.Load(in, fmt.Sprintf("run/%d/", r.ID), persons, len(r.combos), get)
		}
	case r.Fact != nil:
		r.Fact.Known = in.Bool()
		r.Fact.Value = in.String()
		r.Fact.Since = in.Int()
		r.Fact.Changed = in.Int()
		if s := r.Fact.First; s != nil {
			s.At = in.Int()
			for n := in.Count(); n > 0 && in.Err() == nil; n-- {
				id := uint32(in.Below(persons))
				s.Waiting[id] = in.Int()
			}
		}
	default:
		r.Traffic.load(in, len(r.combos))
	}
}

// Sections are the parts of the run that are saved by themselves.
func (r *Run) Sections() (out []wire.Section) {
	out = append(out, wire.Section{Key: fmt.Sprintf("run/%d", r.ID), Write: r.Save})
	if s := r.People; s != nil {
		prefix := fmt.Sprintf("run/%d/", r.ID)
		out = append(out, wire.Section{Key: prefix + "first", Versioned: true, Version: s.firsts, Write: s.saveFirst})
		out = append(out, s.Book.Sections(prefix)...)
		if r.Path != nil {
			out = append(out, r.Path.Sections(prefix)...)
		}
	}
	return out
}

func (s *Person) save(w *wire.Writer) {
	s.Book.Save(w)
	if s.Seats != nil {
		for _, of := range [][]Bought{s.Seats.Purchased, s.Seats.Assigned} {
			w.Uint(uint64(len(of)))
			for _, b := range of {
				w.Int(b.Day)
				w.Float(b.Value)
			}
		}
	}
	w.Uint(uint64(len(s.Cohorts)))
	for _, c := range slices.SortedFunc(maps.Keys(s.Cohorts), func(a, b Cohort) int { return cmp.Or(cmp.Compare(a.Start, b.Start), a.Offset-b.Offset) }) {
		w.Int(c.Start)
		w.Uint(uint64(c.Offset))
		w.Uint(s.Cohorts[c])
	}
}

func (s *Person) saveFirst(w *wire.Writer) {
	n := len(s.First)
	for n > 0 && s.First[n-1] == people.NoDay {
		n-- // how far the slice has grown is no part of the state
	}
	w.Uint(uint64(n))
	for _, d := range s.First[:n] {
		w.Int(int64(d))
	}
}

func (r *Run) loadPerson(in *wire.Reader, persons int, get func(string) *wire.Reader) {
	s := r.People
	prefix := fmt.Sprintf("run/%d/", r.ID)
	s.Book = daily.Load(in, prefix, persons, r.parts(), get)
	if s.Seats != nil {
		for _, of := range []*[]Bought{&s.Seats.Purchased, &s.Seats.Assigned} {
			for n := in.Count(); n > 0 && in.Err() == nil; n-- {
				*of = append(*of, Bought{in.Int(), in.Float()})
			}
		}
	}
	for n := in.Count(); n > 0 && in.Err() == nil; n-- {
		c := Cohort{in.Int(), in.Below(catalog.LastOffset + 1)}
		n := in.Uint()
		if s.Cohorts == nil {
			in.Fail("cohorts of a measure that has none")
			return
		}
		s.Cohorts[c] = n
	}
	first := get(prefix + "first")
	s.First = make([]int32, 0, first.Left())
	for n := first.Count(); n > 0 && first.Err() == nil; n-- {
		s.First = append(s.First, int32(first.Int()))
	}
	if first.End() != nil {
		in.Fail("when somebody was first seen")
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
