package people

import (
	"fmt"
	"maps"
	"slices"

	"github.com/fieldpost/fieldpost/agent/measure/wire"
)

// block is how many persons are saved together: about 250 KB of names and traits.
const block = 4096

// knew notes that names or traits of a person changed, saw that the activity did.
func (t *Table) knew(id uint32) { t.knows = bump(t.knows, id) }
func (t *Table) saw(id uint32)  { t.sees = bump(t.sees, id) }

func bump(versions []uint64, id uint32) []uint64 {
	for int(id/block) >= len(versions) {
		versions = append(versions, 0)
	}
	versions[id/block]++
	return versions
}

func version(versions []uint64, b int) uint64 {
	if b < len(versions) {
		return versions[b]
	}
	return 0
}

// Sections are the parts of the table that are saved, each by itself.
func (t *Table) Sections() (out []wire.Section) {
	out = append(out, wire.Section{Key: "people", Write: t.saveHead})
	for b := 0; b*block < len(t.name); b++ {
		out = append(out,
			wire.Section{Key: fmt.Sprintf("people/names/%d", b), Versioned: true, Version: version(t.knows, b), Write: func(w *wire.Writer) { t.saveNames(w, b) }},
			wire.Section{Key: fmt.Sprintf("people/seen/%d", b), Versioned: true, Version: version(t.sees, b), Write: func(w *wire.Writer) { t.saveSeen(w, b) }})
	}
	return out
}

func (t *Table) saveHead(w *wire.Writer) {
	w.Uint(t.order)
	w.Uint(uint64(len(t.slots)))
	for i := range t.slots {
		w.String(t.slots[i].name)
		w.Uint(uint64(len(t.slots[i].values) - 1))
		for _, v := range t.slots[i].values[1:] {
			w.String(v)
		}
	}
	w.Uint(uint64(len(t.name)))
	w.Uint(uint64(len(t.joined)))
	for _, id := range slices.Sorted(maps.Keys(t.joined)) {
		w.Uint(uint64(id))
		w.Uint(uint64(t.Now(id)))
	}
}

func (t *Table) saveNames(w *wire.Writer, b int) {
	for id := b * block; id < min((b+1)*block, len(t.name)); id++ {
		f := t.flags[id] &^ active // that is in the other section
		w.Raw([]byte{f})
		if f&used == 0 {
			continue
		}
		if f&named != 0 {
			w.String(t.name[id])
			w.Uint(uint64(len(t.more[uint32(id)])))
			for _, n := range t.more[uint32(id)] {
				w.String(n)
			}
		}
		w.Uint(t.create[id].order)
		if t.create[id].order != 0 {
			w.Int(t.create[id].value)
		}
		for s := range t.slots {
			c := t.Trait(uint32(id), s)
			if c != 0 {
				w.Uint(uint64(s) + 1)
				w.Uint(uint64(c))
				w.Uint(t.slots[s].order[id])
			}
		}
		w.Uint(0)
	}
}

func (t *Table) saveSeen(w *wire.Writer, b int) {
	for id := b * block; id < min((b+1)*block, len(t.name)); id++ {
		w.Raw([]byte{t.flags[id] &^ named})
		if t.flags[id]&used != 0 {
			w.Int(int64(t.first[id]))
			w.Int(t.last[id])
		}
	}
}

// Load reads what the sections wrote; get gives one by its key.
func Load(get func(key string) *wire.Reader) (*Table, error) {
	t := New()
	r := get("people")
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
	n := r.Below(Limit + 1)
	for m := r.Count(); m > 0 && r.Err() == nil; m-- {
		id, to := uint32(r.Below(n)), uint32(r.Below(n))
		t.joined[id] = to
		t.lost.Add(id)
	}
	for _, to := range t.joined {
		if t.lost.Contains(to) {
			r.Fail("somebody who is nobody")
		}
	}
	if err := r.End(); err != nil {
		return nil, err
	}
	t.ids = make(map[string]uint32, n)
	t.name, t.flags, t.first = make([]string, n), make([]uint8, n), make([]int32, n)
	t.last, t.create = make([]int64, n), make([]stamped, n)
	for b := 0; b*block < n; b++ {
		r = get(fmt.Sprintf("people/names/%d", b))
		t.loadNames(r, b)
		if err := r.End(); err != nil {
			return nil, err
		}
		r = get(fmt.Sprintf("people/seen/%d", b))
		t.loadSeen(r, b)
		if err := r.End(); err != nil {
			return nil, err
		}
	}
	return t, nil // free is sorted, and a sorted slice is a heap
}

func (t *Table) loadNames(r *wire.Reader, b int) {
	for id := b * block; id < min((b+1)*block, len(t.name)) && r.Err() == nil; id++ {
		var f [1]byte
		r.Raw(f[:])
		t.flags[id] = f[0]
		t.first[id] = NoDay
		if f[0]&used == 0 {
			t.free = append(t.free, uint32(id))
			continue
		}
		if f[0]&named != 0 {
			t.name[id] = t.loadName(r, uint32(id))
			for m := r.Count(); m > 0 && r.Err() == nil; m-- {
				t.more[uint32(id)] = append(t.more[uint32(id)], t.loadName(r, uint32(id)))
			}
		}
		if t.create[id].order = r.Uint(); t.create[id].order != 0 {
			t.create[id].value = r.Int()
		}
		for {
			s := r.Below(len(t.slots) + 1)
			if s == 0 {
				break
			}
			sl := &t.slots[s-1]
			if sl.code == nil {
				sl.code, sl.order = make([]int32, 0, len(t.name)), make([]uint64, 0, len(t.name))
			}
			for id >= len(sl.code) {
				sl.code, sl.order = append(sl.code, 0), append(sl.order, 0)
			}
			c := r.Below(len(sl.values))
			sl.code[id], sl.order[id] = int32(c), r.Uint()
			if f[0]&named != 0 {
				sl.holders[c]++
			}
		}
	}
}

func (t *Table) loadName(r *wire.Reader, id uint32) string {
	name := r.String()
	if _, twice := t.ids[name]; twice {
		r.Fail("a name twice")
	}
	t.ids[name] = id
	return name
}

func (t *Table) loadSeen(r *wire.Reader, b int) {
	for id := b * block; id < min((b+1)*block, len(t.name)) && r.Err() == nil; id++ {
		var f [1]byte
		r.Raw(f[:])
		if (f[0]^t.flags[id])&used != 0 {
			r.Fail("somebody who is not there")
		}
		t.flags[id] |= f[0]
		if f[0]&used != 0 {
			t.first[id] = int32(r.Int())
			t.last[id] = r.Int()
		}
	}
}
