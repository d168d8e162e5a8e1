package daily

import "slices"

// table is the rows of an open day: open addressing with linear probing, because a row is looked for with
// every event of a dozen measures, and a map would meet memory twice where this meets it once. The zero value is
// empty.
type table struct {
	slots []slot // a power of two; n is 0 where nothing stands
	len   int
	shift uint8 // 64 less the bits of a position
}

type slot struct {
	Key
	n uint64
}

func (t *table) add(k Key, n uint64) {
	if n == 0 {
		return
	}
	if t.len*4 >= len(t.slots)*3 {
		t.grow()
	}
	s := t.find(k)
	if s.n == 0 {
		s.Key = k
		t.len++
	}
	s.n += n
}

// find is where k stands or would.
func (t *table) find(k Key) *slot {
	// Multiplicative hashing (Knuth, TAOCP 6.4): the upper bits are the mixed ones.
	h := (uint64(k.User)<<32 ^ uint64(k.Part)<<16 ^ uint64(uint32(k.Bin))) * 0x9e3779b97f4a7c15
	for i := h >> t.shift; ; i++ {
		s := &t.slots[i&uint64(len(t.slots)-1)]
		if s.n == 0 || s.Key == k {
			return s
		}
	}
}

func (t *table) grow() {
	old := t.slots
	if len(old) == 0 {
		t.slots, t.shift = make([]slot, 16), 60
		return
	}
	t.slots, t.shift = make([]slot, 2*len(old)), t.shift-1
	for i := range old {
		if old[i].n > 0 {
			*t.find(old[i].Key) = old[i]
		}
	}
}

func (t *table) each(fn func(k Key, n uint64)) {
	for i := range t.slots {
		if s := &t.slots[i]; s.n > 0 {
			fn(s.Key, s.n)
		}
	}
}

// sorted is all rows in order of their keys.
func (t *table) sorted() []slot {
	out := make([]slot, 0, t.len)
	for i := range t.slots {
		if t.slots[i].n > 0 {
			out = append(out, t.slots[i])
		}
	}
	slices.SortFunc(out, func(a, b slot) int { return compare(a.Key, b.Key) })
	return out
}
