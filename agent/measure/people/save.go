package people

import (
	"slices"

	"github.com/fieldpost/fieldpost/agent/measure/wire"
)

// Save writes the table.
func (t *Table) Save(w *wire.Writer) {
	w.Uint(t.order)
	w.Uint(uint64(len(t.slots)))
	for i := range t.slots {
		w.String(t.slots[i].name)
		w.Uint(uint64(len(t.slots[i].values) - 1))
		for _, v := range t.slots[i].values[1:] {
			w.String(v)
		}
	}
	w.Uint(uint64(len(t.people)))
	for i := range t.people {
		p := &t.people[i]
		w.Bool(p.used)
		if !p.used {
			continue
		}
		w.Uint(uint64(len(p.names)))
		for _, n := range p.names {
			w.String(n)
		}
		w.Bool(p.active)
		w.Int(int64(p.first))
		w.Int(p.last)
		w.Int(p.created.value)
		w.Uint(p.created.order)
		w.Uint(uint64(len(p.traits)))
		for _, v := range p.traits {
			w.Int(v.value)
			w.Uint(v.order)
		}
	}
}

// Load reads what Save wrote.
func Load(r *wire.Reader) *Table {
	t := New()
	t.order = r.Uint()
	for n := r.Count(); n > 0 && r.Err() == nil; n-- {
		s := t.Slot(r.String())
		if s != len(t.slots)-1 {
			r.Fail("a trait twice")
		}
		for m := r.Count(); m > 0 && r.Err() == nil; m-- {
			if int(t.Code(s, r.String())) != len(t.slots[s].values)-1 {
				r.Fail("a value twice")
			}
		}
	}
	n := r.Count()
	for id := 0; id < n && r.Err() == nil; id++ {
		t.people = append(t.people, person{})
		if !r.Bool() {
			t.free = append(t.free, uint32(id))
			continue
		}
		t.person(r, uint32(id))
	}
	slices.Sort(t.free) // a sorted slice is a heap
	return t
}

func (t *Table) person(r *wire.Reader, id uint32) {
	p := &t.people[id]
	p.used = true
	for m := r.Count(); m > 0 && r.Err() == nil; m-- {
		name := r.String()
		if _, twice := t.ids[name]; twice {
			r.Fail("a name twice")
			return
		}
		t.ids[name] = id
		p.names = append(p.names, name)
	}
	p.active = r.Bool()
	p.first = int32(r.Int())
	p.last = r.Int()
	p.created.value = r.Int()
	p.created.order = r.Uint()
	m := r.Count()
	if m > len(t.slots) {
		r.Fail("more traits than there are")
		return
	}
	for s := 0; s < m && r.Err() == nil; s++ {
		v := stamped{r.Int(), r.Uint()}
		if v.value < 0 || v.value >= int64(len(t.slots[s].values)) {
			r.Fail("a trait's value")
			return
		}
		p.traits = append(p.traits, v)
	}
	if len(p.names) > 0 {
		t.hold(p, +1)
	}
}
