package daily

import (
	"cmp"
	"encoding/binary"
	"maps"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/fieldpost/fieldpost/agent/measure/series"
	"github.com/fieldpost/fieldpost/agent/measure/wire"
)

// A sealed day, as memory holds it (shrink.go has its form on disk): the number of sets, and for each its part and a Roaring bitmap in the portable
// format with its length; the number of rows, which of part and bin they have, and the rows sorted
// by key, users as distances; then the sums likewise. Sets are written from their members in
// order, so that their containers do not tell how the set came about.

const (
	hasPart = 1
	hasBin  = 2
)

func compare(a, b Key) int {
	return cmp.Or(cmp.Compare(a.User, b.User), cmp.Compare(a.Part, b.Part), cmp.Compare(a.Bin, b.Bin))
}

// bytes are the day's, sealed.
func (d *Day) bytes() []byte {
	if d.raw != nil {
		return d.raw
	}
	w := &wire.Writer{}
	saveSets(w, d.sets)
	all := d.rows.sorted()
	keys := make([]Key, len(all))
	for i := range all {
		keys[i] = all[i].Key
	}
	rows := newRows(w, len(keys), keys)
	for i := range all {
		rows.add(all[i].Key)
		w.Uint(all[i].n)
	}
	keys = slices.SortedFunc(maps.Keys(d.sums), compare)
	rows = newRows(w, len(keys), keys)
	for _, k := range keys {
		rows.add(k)
		d.sums[k].Save(w)
	}
	return w.B
}

func (d *Day) seal() {
	if d.raw == nil {
		d.raw = slices.Clip(slices.Clone(d.bytes()))
		d.sets, d.rows, d.sums, d.set = nil, table{}, nil, nil
	}
}

func (d *Day) open() {
	if d.raw == nil {
		return
	}
	r := reader{d.raw}
	d.sets, d.rows, d.sums, d.set = map[uint32]*roaring.Bitmap{}, table{}, map[Key]series.Fixed{}, nil
	r.sets(func(part uint32, set *roaring.Bitmap) {
		own := roaring.New()
		own.Or(set)
		d.sets[part] = own
	})
	in := r.rest()
	for c := in.cursor(); c.next(); {
		d.rows.add(c.Key, c.n)
	}
	for c := in.sumCursor(); c.next(); {
		d.sums[c.Key] = c.sum
	}
	d.raw = nil
}

func saveSets(w *wire.Writer, sets map[uint32]*roaring.Bitmap) {
	w.Uint(uint64(len(sets)))
	for _, part := range slices.Sorted(maps.Keys(sets)) {
		w.Uint(uint64(part))
		saveSet(w, sets[part].ToArray())
	}
}

// saveSet writes a set of these, which are in order.
func saveSet(w *wire.Writer, ids []uint32) {
	plain := roaring.New()
	plain.AddMany(ids)
	b, err := plain.ToBytes()
	if err != nil {
		panic(err) // a buffer in memory takes all
	}
	w.Bytes(b)
}

// rows writes keys.
type rows struct {
	w     *wire.Writer
	flags byte
	last  uint32
}

func newRows(w *wire.Writer, n int, keys []Key) *rows {
	r := &rows{w: w}
	for _, k := range keys {
		if k.Part != 0 {
			r.flags |= hasPart
		}
		if k.Bin != 0 {
			r.flags |= hasBin
		}
	}
	w.Uint(uint64(n))
	w.Raw([]byte{r.flags})
	return r
}

func (r *rows) add(k Key) {
	r.w.Uint(uint64(k.User - r.last))
	r.last = k.User
	if r.flags&hasPart != 0 {
		r.w.Uint(uint64(k.Part))
	}
	if r.flags&hasBin != 0 {
		r.w.Int(int64(k.Bin))
	}
}

// reader reads sealed bytes that were checked or written by this process.
type reader struct{ b []byte }

func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	r.b = r.b[max(n, 0):]
	return v
}

func (r *reader) int() int64 {
	v, n := binary.Varint(r.b)
	r.b = r.b[max(n, 0):]
	return v
}

func (r reader) sets(fn func(part uint32, set *roaring.Bitmap)) {
	for n := r.uint(); n > 0; n-- {
		part := uint32(r.uint())
		size := r.uint()
		set := roaring.New()
		if _, err := set.FromBuffer(r.b[:size]); err == nil {
			fn(part, set)
		}
		r.b = r.b[size:]
	}
}

// rest is what follows the sets.
func (r reader) rest() *reader {
	for n := r.uint(); n > 0; n-- {
		r.uint()
		size := r.uint()
		r.b = r.b[size:]
	}
	return &r
}

// cursor goes through rows.
type cursor struct {
	Key
	n     uint64
	sum   series.Fixed
	r     *reader
	left  uint64
	flags byte
	sums  bool
}

func (r *reader) cursor() *cursor {
	c := &cursor{r: r, left: r.uint()}
	c.flags, r.b = r.b[0], r.b[1:]
	return c
}

// sumCursor goes through the sums, after the rows.
func (r *reader) sumCursor() *cursor {
	c := r.cursor()
	c.sums = true
	return c
}

func (c *cursor) next() bool {
	if c.left == 0 {
		return false
	}
	c.left--
	c.User += uint32(c.r.uint())
	c.Part, c.Bin = 0, 0
	if c.flags&hasPart != 0 {
		c.Part = uint32(c.r.uint())
	}
	if c.flags&hasBin != 0 {
		c.Bin = int32(c.r.int())
	}
	if !c.sums {
		c.n = c.r.uint()
		return true
	}
	in := wire.NewReader(c.r.b)
	c.sum = series.LoadFixed(in)
	c.r.b = c.r.b[len(c.r.b)-in.Left():]
	return true
}

// merge is the figures of two sealed days together.
func merge(a, b []byte) []byte {
	sets := map[uint32]*roaring.Bitmap{}
	for _, x := range [][]byte{a, b} {
		reader{x}.sets(func(part uint32, set *roaring.Bitmap) {
			if sets[part] == nil {
				sets[part] = roaring.New()
			}
			sets[part].Or(set)
		})
	}
	w := &wire.Writer{B: make([]byte, 0, len(a)+len(b)/2)}
	saveSets(w, sets)
	ra, rb := reader{a}.rest(), reader{b}.rest()
	mergeRows(w, ra.cursor(), rb.cursor())
	mergeRows(w, ra.sumCursor(), rb.sumCursor())
	return slices.Clip(slices.Clone(w.B))
}

func mergeRows(w *wire.Writer, a, b *cursor) {
	body := &wire.Writer{B: make([]byte, 0, len(a.r.b)+len(b.r.b))}
	out := &rows{w: body, flags: a.flags | b.flags}
	n := 0
	put := func(c *cursor, sum series.Fixed, count uint64) {
		n++
		out.add(c.Key)
		if c.sums {
			sum.Save(body)
		} else {
			body.Uint(count)
		}
	}
	x, y := a.next(), b.next()
	for x || y {
		switch d := order(a, b, x, y); {
		case d == 0:
			put(a, a.sum.Add(b.sum), a.n+b.n)
			x, y = a.next(), b.next()
		case d < 0:
			put(a, a.sum, a.n)
			x = a.next()
		default:
			put(b, b.sum, b.n)
			y = b.next()
		}
	}
	w.Uint(uint64(n))
	w.Raw([]byte{out.flags})
	w.Raw(body.B)
}

func order(a, b *cursor, x, y bool) int {
	switch {
	case !y:
		return -1
	case !x:
		return 1
	}
	return compare(a.Key, b.Key)
}
