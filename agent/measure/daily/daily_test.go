package daily

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/fieldpost/fieldpost/agent/measure/series"
	"github.com/fieldpost/fieldpost/agent/measure/wire"
	"github.com/fieldpost/fieldpost/agent/record"
)

const (
	persons = 9000
	parts   = 7
)

// busy is a day on which up to n things happened.
func busy(r *rand.Rand, n int) *Day {
	d := &Day{}
	of, values := 1+r.IntN(persons), 1+r.IntN(parts)
	kind := r.IntN(16)
	for range r.IntN(n + 1) {
		k := Key{User: uint32(r.IntN(of)), Part: uint32(r.IntN(values))}
		if r.IntN(20) == 0 && kind&8 != 0 {
			k.User = math.MaxUint32 // nobody
		}
		if kind&1 != 0 && k.User != math.MaxUint32 {
			d.Add(k.Part, k.User)
		}
		if kind&2 != 0 {
			d.Count(Key{k.User, k.Part, int32(r.IntN(60) - 30)}, 1+r.Uint64N(3))
		}
		if kind&4 != 0 {
			d.Sum(k, series.FromDecimal(record.Decimal{Mantissa: r.Int64() >> r.IntN(64), Exponent: uint8(r.IntN(3))}))
		}
	}
	return d
}

type content struct {
	sets map[uint32][]uint32
	rows map[Key]uint64
	sums map[Key]series.Fixed
}

func (d *Day) content() content {
	c := content{map[uint32][]uint32{}, map[Key]uint64{}, map[Key]series.Fixed{}}
	d.Each(func(part uint32, set *roaring.Bitmap) { c.sets[part] = set.ToArray() })
	d.Rows(func(k Key, n uint64) { c.rows[k] += n })
	d.Sums(func(k Key, v series.Fixed) { c.sums[k] = c.sums[k].Add(v) })
	return c
}

func (c content) equal(o content) bool {
	return maps.EqualFunc(c.sets, o.sets, slices.Equal) && maps.Equal(c.rows, o.rows) && maps.Equal(c.sums, o.sums)
}

// saved is the day as its section is written.
func saved(d *Day) []byte {
	w := &wire.Writer{}
	shrink(w, d.bytes())
	return w.B
}

func TestExactDaysComeBackFromDiskAndFromSealing(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	most := 0
	for i := range 300 {
		n := 50
		if i%50 == 0 {
			n = 60_000 // several columns
		}
		d := busy(r, n)
		want, section := d.content(), saved(d)
		most = max(most, len(want.rows))
		d.seal()
		in := wire.NewReader(section)
		read := &Day{raw: stretch(in, persons, parts)}
		if in.Err() != nil || !slices.Equal(read.raw, d.raw) || !read.content().equal(want) || !slices.Equal(saved(read), section) {
			t.Fatalf("day %d: %v", i, in.Err())
		}
		if d.open(); !d.content().equal(want) || !slices.Equal(saved(d), section) {
			t.Fatalf("day %d changes when it is opened again", i)
		}
	}
	if most < 3*4096 {
		t.Errorf("%d rows at most: columns were never cut", most)
	}
}

func TestExactMergedDaysAreTheSumOfBoth(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	for i := range 200 {
		a, b := busy(r, 400), busy(r, 400)
		ca, cb := a.content(), b.content()
		for part, ids := range cb.sets {
			set := roaring.BitmapOf(ca.sets[part]...)
			set.AddMany(ids)
			ca.sets[part] = set.ToArray()
		}
		for k, n := range cb.rows {
			ca.rows[k] += n
		}
		for k, v := range cb.sums {
			ca.sums[k] = ca.sums[k].Add(v)
		}
		d := &Day{raw: merge(a.bytes(), b.bytes())}
		in := wire.NewReader(saved(d))
		read := &Day{raw: stretch(in, persons, parts)}
		if !d.content().equal(ca) || in.Err() != nil || !read.content().equal(ca) {
			t.Fatalf("days %d: %v", i, in.Err())
		}
	}
}

// FuzzStretch: what cannot be read is an error, and what can is sealed bytes that can be walked through.
func FuzzStretch(f *testing.F) {
	r := rand.New(rand.NewPCG(7, 7))
	for range 12 {
		f.Add(saved(busy(r, 30)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		in := wire.NewReader(b)
		raw := stretch(in, persons, parts)
		if in.Err() != nil {
			return
		}
		d := &Day{raw: raw}
		want := d.content()
		again := wire.NewReader(saved(d))
		read := &Day{raw: stretch(again, persons, parts)}
		if again.Err() != nil || !read.content().equal(want) {
			t.Fatalf("%x: %v", b, again.Err())
		}
		for _, ids := range want.sets {
			if len(ids) == 0 || ids[len(ids)-1] >= persons {
				t.Fatalf("%x: %v", b, ids)
			}
		}
	})
}
