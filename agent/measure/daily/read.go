package daily

import "github.com/RoaringBitmap/roaring/v2"

// smallest is the size of the sealed days whose sets are kept as they were read: at about 200 bytes a set, 40 days
// of 60 measures with 8 sets each take 4 MB. A day is looked at some 30 times until no window needs it; of a larger
// one, reading costs little beside what is done with what was read.
const smallest = 512

// read is the sets of a small sealed day, once somebody asked for one.
type read struct {
	sets    []part
	is      bool
	version uint64 // of the day, then
}

type part struct {
	no  uint32
	set *roaring.Bitmap
}

// small reports whether a sealed day is small; then its sets are read.
func (d *Day) small() bool {
	if len(d.raw) > smallest {
		return false
	}
	if !d.read.is || d.read.version != d.version {
		d.read = read{is: true, version: d.version}
		reader{d.raw}.sets(func(no uint32, set *roaring.Bitmap) { d.read.sets = append(d.read.sets, part{no, set}) })
	}
	return true
}

func (d *Day) eachSealed(fn func(part uint32, set *roaring.Bitmap)) {
	if !d.small() {
		reader{d.raw}.sets(fn)
		return
	}
	for _, p := range d.read.sets {
		fn(p.no, p.set)
	}
}

func (d *Day) sealedSet(no uint32) *roaring.Bitmap {
	if !d.small() {
		return reader{d.raw}.set(no)
	}
	for _, p := range d.read.sets {
		if p.no == no {
			return p.set
		}
	}
	return nil
}

// set is the one of a part, nil where there is none. The others are passed over.
func (r reader) set(part uint32) *roaring.Bitmap {
	for n := r.uint(); n > 0; n-- {
		found := uint32(r.uint()) == part
		size := r.uint()
		if found {
			set := roaring.New()
			if _, err := set.FromBuffer(r.b[:size]); err == nil {
				return set
			}
			return nil
		}
		r.b = r.b[size:]
	}
	return nil
}

// Weeks is who was in a part in four weeks.
type Weeks struct {
	All   *roaring.Bitmap
	Days  []uint8 // by person: on how many days
	Weeks []uint8 // by person: bit w: in week w of the four
}

// Weeks looks at the 28 days from first on. Given a set, now is the same under the numbers, below persons, that
// people have now.
func (b *Book) Weeks(first int64, part uint32, persons int, now func(*roaring.Bitmap) *roaring.Bitmap) Weeks {
	both := make([]uint8, 2*persons)
	w := Weeks{All: roaring.New(), Days: both[:persons:persons], Weeks: both[persons:]}
	for i := range int64(28) {
		d := b.days[first+i]
		if d == nil {
			continue
		}
		set := d.Set(part)
		if set == nil {
			continue
		}
		now(set).Iterate(func(id uint32) bool {
			w.Days[id]++
			w.Weeks[id] |= 1 << (i / 7)
			return true
		})
	}
	var all []uint32
	for id, n := range w.Days {
		if n > 0 {
			all = append(all, uint32(id))
		}
	}
	w.All.AddMany(all)
	return w
}
