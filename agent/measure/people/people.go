// Package people is the dictionary of users: a small number for each person, so that sets of
// people are bitmaps, with what is known of each: first and last activity and the values of
// their traits.
//
// A person has one or more names (userIds; alias adds some). A person without activity for
// longer than is remembered loses their names and traits' owner: the number lives on as long
// as an open window may hold it (see Sweep) and is then given to somebody new. What a name
// means is decided when something is received; what a number means never changes while a
// window holds it, except that alias joins two numbers into the older one.
//
// Invariants: a name belongs to one person; every count in Holders equals the number of
// named persons with that value; numbers are dense and the lowest free one is given next.
package people

import (
	"container/heap"
	"math"
)

// Nobody is the number of an event without a user.
const Nobody = math.MaxUint32

// NoDay is the first day of a person without activity.
const NoDay = math.MaxInt32

// Table is the dictionary. Use New.
type Table struct {
	ids    map[string]uint32
	people []person
	free   idHeap
	slots  []slot
	slotOf map[string]int
	order  uint64 // counts changes, to tell which of two values was received later
}

type person struct {
	names   []string
	used    bool  // the number is given to somebody
	active  bool  // had activity
	first   int32 // local day of the first activity, by event time
	last    int64 // unix ns: the latest activity, or the first receipt when there was none
	created stamped
	traits  []stamped // by slot
}

// stamped is a value with its place in the order of receipt; 0 in order: never received.
type stamped struct {
	value int64 // code of a trait, unix ns of createdAt
	order uint64
}

// slot is one trait.
type slot struct {
	name    string
	values  []string // by code; code 0 is "never received"
	codeOf  map[string]int32
	holders []int32 // named persons by code
}

// New returns an empty table.
func New() *Table {
	return &Table{ids: map[string]uint32{}, slotOf: map[string]int{}}
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

// Len is one more than the largest number in use.
func (t *Table) Len() int { return len(t.people) }

// Find is the person of that name.
func (t *Table) Find(name string) (uint32, bool) {
	id, ok := t.ids[name]
	return id, ok
}

// Touch is the person of that name, made if need be. at is the event's time for activity, the
// time of receipt otherwise: who was silent for longer than remember before it (negative:
// never) was forgotten and is somebody new. fresh says that the number is new.
func (t *Table) Touch(name string, at, remember int64) (id uint32, fresh bool) {
	if id, ok := t.ids[name]; ok {
		if remember < 0 || at-t.people[id].last <= remember {
			return id, false
		}
		t.unname(id)
	}
	id = t.take()
	p := &t.people[id]
	p.names, p.used, p.first, p.last = append(p.names[:0], name), true, NoDay, at
	t.ids[name] = id
	return id, true
}

func (t *Table) take() uint32 {
	if len(t.free) > 0 {
		id := heap.Pop(&t.free).(uint32)
		t.people[id] = person{traits: t.people[id].traits[:0]}
		return id
	}
	t.people = append(t.people, person{})
	return uint32(len(t.people) - 1)
}

// unname takes a person's names away; windows keep the number and its traits.
func (t *Table) unname(id uint32) {
	p := &t.people[id]
	for _, n := range p.names {
		delete(t.ids, n)
	}
	if len(p.names) > 0 {
		t.hold(p, -1)
	}
	p.names = nil
}

// hold counts a named person's values in or out.
func (t *Table) hold(p *person, by int32) {
	for s := range p.traits {
		if p.traits[s].order != 0 {
			t.slots[s].holders[p.traits[s].value] += by
		}
	}
}

// Forget takes the names of the person called name away; false when there is none.
func (t *Table) Forget(name string) bool {
	id, ok := t.ids[name]
	if ok {
		t.unname(id)
	}
	return ok
}

// Active notes activity of id at time at, on the local day.
func (t *Table) Active(id uint32, at int64, day int32) {
	p := &t.people[id]
	if !p.active || at > p.last {
		p.last = at
	}
	p.active = true
	p.first = min(p.first, day)
}

// SetTrait gives a trait of id a value, received now.
func (t *Table) SetTrait(id uint32, s int, code int32) {
	p := &t.people[id]
	for len(p.traits) <= s {
		p.traits = append(p.traits, stamped{})
	}
	named := len(p.names) > 0
	if named && p.traits[s].order != 0 {
		t.slots[s].holders[p.traits[s].value]--
	}
	t.order++
	p.traits[s] = stamped{int64(code), t.order}
	if named {
		t.slots[s].holders[code]++
	}
}

// SetCreated sets the createdAt of id, received now.
func (t *Table) SetCreated(id uint32, at int64) {
	t.order++
	t.people[id].created = stamped{at, t.order}
}

// Trait is the code of a trait of id; 0 when never received.
func (t *Table) Trait(id uint32, s int) int32 {
	if id == Nobody {
		return 0
	}
	if p := &t.people[id]; s < len(p.traits) && p.traits[s].order != 0 {
		return int32(p.traits[s].value)
	}
	return 0
}

// First is the local day of the first activity of id, NoDay when there was none.
func (t *Table) First(id uint32) int32 { return t.people[id].first }

// Created is the createdAt of id.
func (t *Table) Created(id uint32) (at int64, known bool) {
	c := t.people[id].created
	return c.value, c.order != 0
}

// Joined says what Join did.
type Joined uint8

const (
	// Ignored: the previous id is unknown.
	Ignored Joined = iota
	// Refused: both already are one person.
	Refused
	// Named: the new id was unknown and is now a further name of the person.
	Named
	// Merged: two persons became one.
	Merged
)

// Join makes name a further name of the person called previous. When both were persons, loser
// lost its number to winner; of each trait the value received later stays.
func (t *Table) Join(name, previous string, at, remember int64) (loser, winner uint32, did Joined) {
	winner, ok := t.ids[previous]
	if !ok || (remember >= 0 && at-t.people[winner].last > remember) {
		return 0, 0, Ignored
	}
	loser, ok = t.ids[name]
	switch {
	case ok && loser == winner:
		return 0, 0, Refused
	case ok && (remember < 0 || at-t.people[loser].last <= remember):
		t.merge(loser, winner)
		return loser, winner, Merged
	case ok:
		t.unname(loser)
	}
	t.people[winner].names = append(t.people[winner].names, name)
	t.ids[name] = winner
	return winner, winner, Named
}

func (t *Table) merge(loser, winner uint32) {
	l, w := &t.people[loser], &t.people[winner]
	t.hold(l, -1)
	t.hold(w, -1)
	for _, n := range l.names {
		t.ids[n] = winner
	}
	w.names = append(w.names, l.names...)
	switch {
	case l.active == w.active:
		w.last = max(w.last, l.last)
	case l.active:
		w.last = l.last
	}
	w.active = w.active || l.active
	w.first = min(w.first, l.first)
	if l.created.order > w.created.order {
		w.created = l.created
	}
	for len(w.traits) < len(l.traits) {
		w.traits = append(w.traits, stamped{})
	}
	for s := range l.traits {
		if l.traits[s].order > w.traits[s].order {
			w.traits[s] = l.traits[s]
		}
	}
	t.hold(w, +1)
	t.release(loser)
}

func (t *Table) release(id uint32) {
	t.people[id] = person{traits: t.people[id].traits[:0]}
	heap.Push(&t.free, id)
}

// Sweep gives up the numbers of everybody whose last activity is before both limits: names
// are remembered after the first, windows hold numbers after the second. It returns
// the numbers in rising order.
func (t *Table) Sweep(remembered, held int64) (gone []uint32) {
	limit := min(remembered, held)
	for id := range t.people {
		p := &t.people[id]
		old := p.last < limit || (len(p.names) == 0 && p.last < held)
		if p.used && old {
			t.unname(uint32(id))
			t.release(uint32(id))
			gone = append(gone, uint32(id))
		}
	}
	return gone
}

// Known calls fn for every named person whose last activity is not before since, until it
// returns false.
func (t *Table) Known(since int64, fn func(id uint32)) {
	for id := range t.people {
		if p := &t.people[id]; len(p.names) > 0 && p.last >= since {
			fn(uint32(id))
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
