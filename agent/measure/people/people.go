// Package people is the dictionary of users: a small number for each person, so that sets of
// people are bitmaps, with what is known of each: first and last activity and the values of
// their traits.
//
// A person has one or more names (userIds; alias adds some). A person without activity for
// longer than is remembered loses their names: the number lives on as long as an open window may
// hold it (see Sweep) and is then given to somebody new. What a name means is decided when
// something is received; what a number means never changes while a window holds it, except that
// alias joins two numbers: sets and rows keep the one that was given up, and Now and Resolve say
// whom it stands for. An alias therefore costs the same however much is held.
//
// Invariants: a name belongs to one person; every count in Holders equals the number of
// named persons with that value; numbers are dense and the lowest free one is given next; a number
// that was joined to another is free only when no window holds it; there are at most Limit names
// and Limit numbers, 100 to 200 MB: who comes after that is nobody, and counted.
package people

import (
	"container/heap"
	"math"

	"github.com/RoaringBitmap/roaring/v2"
)

// Nobody is the number of an event without a user.
const Nobody = math.MaxUint32

// NoDay is the first day of a person without activity.
const NoDay = math.MaxInt32

// Limit bounds names and numbers.
const Limit = 1 << 20

// Table is the dictionary. Use New. What is known of a person stands in columns, so that a window
// of a hundred thousand people is counted without following pointers.
type Table struct {
	ids    map[string]uint32
	name   []string            // the first name of each number; "": none
	more   map[uint32][]string // further names, in the order they were given
	flags  []uint8
	first  []int32 // local day of the first activity, by event time
	last   []int64 // unix ns: the latest activity, or the first receipt when there was none
	create []stamped
	free   idHeap
	slots  []slot
	slotOf map[string]int
	order  uint64 // counts changes, to tell which of two values was received later

	joined map[uint32]uint32 // numbers given up by alias, and who they are now
	lost   *roaring.Bitmap   // the keys of joined

	knows, sees []uint64 // how often each block of the table was changed: names and traits, activity
	limit       int
}

const (
	used   = 1 // the number is given to somebody
	active = 2 // had activity
	named  = 4
)

// stamped is a value with its place in the order of receipt; 0 in order: never received.
type stamped struct {
	value int64
	order uint64
}

// slot is one trait.
type slot struct {
	name    string
	values  []string // by code; code 0 is "never received"
	codeOf  map[string]int32
	holders []int32  // named persons by code
	code    []int32  // by number
	order   []uint64 // by number: the place of the value in the order of receipt
}

// New returns an empty table.
func New() *Table {
	return &Table{ids: map[string]uint32{}, more: map[uint32][]string{}, slotOf: map[string]int{}, joined: map[uint32]uint32{}, lost: roaring.New(), limit: Limit}
}

// Slot is the number of the trait with that name.
func (t *Table) Slot(name string) int {
	if s, ok := t.slotOf[name]; ok {
		return s
	}
	t.slots = append(t.slots, slot{name: name, values: []string{""}, codeOf: map[string]int32{}, holders: []int32{0}})
	t.slotOf[name] = len(t.slots) - 1
	return len(t.slots) - 1
}

// Code is the number of a trait's value.
func (t *Table) Code(s int, value string) int32 {
	sl := &t.slots[s]
	if c, ok := sl.codeOf[value]; ok {
		return c
	}
	c := int32(len(sl.values))
	sl.values = append(sl.values, value)
	sl.holders = append(sl.holders, 0)
	sl.codeOf[value] = c
	return c
}

// Values of a slot by code; code 0 is never received. Not to be changed.
func (t *Table) Values(s int) []string { return t.slots[s].values }

// Holders is how many named persons have each code of a slot. Not to be changed.
func (t *Table) Holders(s int) []int32 { return t.slots[s].holders }

// Codes is the code of a slot by number; who stands beyond its end never had a value. Not to be
// changed.
func (t *Table) Codes(s int) []int32 { return t.slots[s].code }

// Len is one more than the largest number in use.
func (t *Table) Len() int { return len(t.name) }

// Find is the person of that name.
func (t *Table) Find(name string) (uint32, bool) {
	id, ok := t.ids[name]
	return id, ok
}

// Now is who a number stands for.
func (t *Table) Now(id uint32) uint32 {
	if len(t.joined) == 0 {
		return id
	}
	to, moved := t.joined[id]
	if !moved {
		return id
	}
	last := t.Now(to)
	if last != to {
		t.joined[id] = last
	}
	return last
}

// Resolve is a set with everybody under the number they have now. It is the same set when nobody
// in it was joined to another.
func (t *Table) Resolve(set *roaring.Bitmap) *roaring.Bitmap {
	if len(t.joined) == 0 || !set.Intersects(t.lost) {
		return set
	}
	moved := roaring.And(set, t.lost)
	out := roaring.AndNot(set, t.lost)
	for it := moved.Iterator(); it.HasNext(); {
		out.Add(t.Now(it.Next()))
	}
	return out
}

// Touch is the person of that name, made if need be. at is the event's time for activity, the
// time of receipt otherwise: who was silent for longer than remember before it (negative:
// never) was forgotten and is somebody new. fresh says that the number is new. Nobody when the
// table is full.
func (t *Table) Touch(name string, at, remember int64) (id uint32, fresh bool) {
	if id, ok := t.ids[name]; ok {
		if remember < 0 || at-t.last[id] <= remember {
			return id, false
		}
		t.unname(id)
	}
	if len(t.ids) >= t.limit || (len(t.free) == 0 && len(t.name) >= t.limit) {
		return Nobody, false
	}
	id = t.take()
	t.name[id], t.flags[id], t.first[id], t.last[id] = name, used|named, NoDay, at
	t.ids[name] = id
	t.knew(id)
	t.saw(id)
	return id, true
}

func (t *Table) take() uint32 {
	if len(t.free) > 0 {
		return heap.Pop(&t.free).(uint32)
	}
	t.name = append(t.name, "")
	t.flags = append(t.flags, 0)
	t.first = append(t.first, NoDay)
	t.last = append(t.last, 0)
	t.create = append(t.create, stamped{})
	return uint32(len(t.name) - 1)
}

// unname takes a person's names away; windows keep the number and its traits.
func (t *Table) unname(id uint32) {
	if t.flags[id]&named == 0 {
		return
	}
	t.hold(id, -1)
	delete(t.ids, t.name[id])
	for _, n := range t.more[id] {
		delete(t.ids, n)
	}
	delete(t.more, id)
	t.name[id] = ""
	t.flags[id] &^= named
	t.knew(id)
}

// hold counts a named person's values in or out.
func (t *Table) hold(id uint32, by int32) {
	for s := range t.slots {
		if c := t.Trait(id, s); c != 0 {
			t.slots[s].holders[c] += by
		}
	}
}

// Forget takes the names of the person called name away; false when there is none. The number is
// given to nobody before the last window that holds it has closed.
func (t *Table) Forget(name string) bool {
	id, ok := t.ids[name]
	if ok {
		t.unname(id)
	}
	return ok
}

// Active notes activity of id at time at, on the local day.
func (t *Table) Active(id uint32, at int64, day int32) {
	if t.flags[id]&active == 0 || at > t.last[id] {
		t.last[id] = at
	}
	t.flags[id] |= active
	t.first[id] = min(t.first[id], day)
	t.saw(id)
}

// SetTrait gives a trait of id a value, received now.
func (t *Table) SetTrait(id uint32, s int, code int32) {
	sl := &t.slots[s]
	for int(id) >= len(sl.code) {
		sl.code, sl.order = append(sl.code, 0), append(sl.order, 0)
	}
	if t.flags[id]&named != 0 {
		if old := sl.code[id]; old != 0 {
			sl.holders[old]--
		}
		sl.holders[code]++
	}
	t.order++
	sl.code[id], sl.order[id] = code, t.order
	t.knew(id)
}

// SetCreated sets the createdAt of id, received now.
func (t *Table) SetCreated(id uint32, at int64) {
	t.order++
	t.create[id] = stamped{at, t.order}
	t.knew(id)
}

// Trait is the code of a trait of id; 0 when never received.
func (t *Table) Trait(id uint32, s int) int32 {
	if c := t.slots[s].code; int(id) < len(c) {
		return c[id]
	}
	return 0
}

// First is the local day of the first activity of id, NoDay when there was none.
func (t *Table) First(id uint32) int32 { return t.first[id] }

// Created is the createdAt of id.
func (t *Table) Created(id uint32) (at int64, known bool) {
	c := t.create[id]
	return c.value, c.order != 0
}

// Sweep gives up the numbers of everybody whose last activity is before both limits: names
// are remembered after the first, windows hold numbers after the second. It returns
// the numbers in rising order.
func (t *Table) Sweep(remembered, held int64) (gone []uint32) {
	limit := min(remembered, held)
	for i, last := range t.last {
		id := uint32(i)
		if t.flags[id]&used == 0 || last >= held {
			continue
		}
		if last < limit || t.flags[id]&named == 0 {
			t.unname(id)
			t.release(id)
			gone = append(gone, id)
		}
	}
	return gone
}

func (t *Table) release(id uint32) {
	t.flags[id], t.first[id], t.last[id], t.create[id] = 0, NoDay, 0, stamped{}
	for s := range t.slots {
		if sl := &t.slots[s]; int(id) < len(sl.code) {
			sl.code[id], sl.order[id] = 0, 0
		}
	}
	if _, ok := t.joined[id]; ok {
		delete(t.joined, id)
		t.lost.Remove(id)
	}
	heap.Push(&t.free, id)
	t.knew(id)
	t.saw(id)
}

// Known calls fn for every named person whose last activity is not before since.
func (t *Table) Known(since int64, fn func(id uint32)) {
	for i, last := range t.last {
		if last >= since && t.flags[i]&named != 0 {
			fn(uint32(i))
		}
	}
}

// idHeap is a heap of free numbers, the lowest first.
type idHeap []uint32

func (h idHeap) Len() int           { return len(h) }
func (h idHeap) Less(i, j int) bool { return h[i] < h[j] }
func (h idHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *idHeap) Push(x any)        { *h = append(*h, x.(uint32)) }
func (h *idHeap) Pop() any {
	x := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return x
}
