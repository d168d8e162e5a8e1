// Package daily keeps what a measure about people needs of each local day: who did something, as
// bitmaps, and how often, as rows.
//
// A part of a day is a combination of property values, a feature, an hour, as the measure's kind
// has it. Sets and rows name people by the number they had when it happened; who reads them
// resolves aliases (people.Table.Now and Resolve), because only when a window closes it is known
// who is who.
//
// # States
//
// A day is open while events for it may come: maps and bitmaps that grow. Sealed it is bytes, a quarter of the
// memory, which windows read as they lie; on disk these are columns, half the size of that (shrink), written
// once. Adding to a sealed day opens it again. When no window needs the day by itself, it is retired: added to
// what is kept of the long windows (months, blocks) that hold it, and dropped.
//
// Invariants: every figure that was added is in exactly one of the day and, for each long window
// still to close, that window's rest; the same figures give the same bytes, in whatever order they
// came and however often the day was sealed and opened.
package daily

import (
	"maps"
	"math"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/fieldpost/fieldpost/agent/measure/series"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Key names a row.
type Key struct {
	User, Part uint32
	Bin        int32 // distribution: of the value; slo: 1 good, 0 valid
}

// Day is what happened on one day, or what is kept of a long window's retired days.
type Day struct {
	sets    map[uint32]*roaring.Bitmap
	rows    table
	sums    map[Key]series.Fixed
	raw     []byte // sealed: the three above are nil
	version uint64
	read    read

	last uint32          // the part that was added to last
	set  *roaring.Bitmap // and its set
}

// Add notes that somebody did something, and reports whether that was not known.
func (d *Day) Add(part, id uint32) bool {
	if d.set == nil || d.last != part {
		d.open()
		set := d.sets[part]
		if set == nil {
			set = roaring.New()
			if d.sets == nil {
				d.sets = map[uint32]*roaring.Bitmap{}
			}
			d.sets[part] = set
		}
		d.last, d.set = part, set
	}
	if !d.set.CheckedAdd(id) {
		return false
	}
	d.version++
	return true
}

// Has reports whether somebody is in a part of a day that is open.
func (d *Day) Has(part, id uint32) bool {
	d.open()
	set := d.sets[part]
	return set != nil && set.Contains(id)
}

// Count adds n to a row.
func (d *Day) Count(k Key, n uint64) {
	d.open()
	d.rows.add(k, n)
	d.version++
}

// Sum adds to a sum; its Bin is 0.
func (d *Day) Sum(k Key, v series.Fixed) {
	d.open()
	if d.sums == nil {
		d.sums = map[Key]series.Fixed{}
	}
	d.sums[k] = d.sums[k].Add(v)
	d.version++
}

// Each calls fn for every part and its set, which is not to be changed.
func (d *Day) Each(fn func(part uint32, set *roaring.Bitmap)) {
	if d.raw == nil {
		for part, set := range d.sets {
			fn(part, set)
		}
		return
	}
	d.eachSealed(fn)
}

// Set is the people of a part; nil when there are none. Not to be changed.
func (d *Day) Set(part uint32) *roaring.Bitmap {
	if d.raw == nil {
		return d.sets[part]
	}
	return d.sealedSet(part)
}

// Rows calls fn for every row, in no order.
func (d *Day) Rows(fn func(k Key, n uint64)) {
	if d.raw == nil {
		d.rows.each(fn)
		return
	}
	r := reader{d.raw}.rest()
	for c := r.cursor(); c.next(); {
		fn(c.Key, c.n)
	}
}

// Sums calls fn for every sum, in no order.
func (d *Day) Sums(fn func(k Key, v series.Fixed)) {
	if d.raw == nil {
		for k, v := range d.sums {
			fn(k, v)
		}
		return
	}
	r := reader{d.raw}.rest()
	for c := r.cursor(); c.next(); {
	}
	for c := r.sumCursor(); c.next(); {
		fn(c.Key, c.sum)
	}
}

// Window is a long window.
type Window struct {
	Grain report.Grain
	Start int64
}

// Book is the days of one measure.
type Book struct {
	days map[int64]*Day
	rest map[Window]*Day // of long windows: their days that were retired
	no   int64           // the day that was asked for last
	last *Day
	when int64 // days before it are sealed
	made uint64

	oldest int64 // no day is older, as far as is known
}

// NewBook is empty.
func NewBook() *Book {
	return &Book{days: map[int64]*Day{}, rest: map[Window]*Day{}, oldest: math.MinInt64}
}

// At is the day, made if need be.
func (b *Book) At(no int64) *Day {
	if b.last != nil && b.no == no {
		return b.last
	}
	d := b.days[no]
	if d == nil {
		b.made++
		d = &Day{version: b.made << 32} // no two days of one number are taken for the same
		b.days[no] = d
		b.oldest = min(b.oldest, no)
	}
	b.no, b.last = no, d
	return d
}

// Days are the days on which something happened, in order, but for retired ones.
func (b *Book) Days() []int64 { return slices.Sorted(maps.Keys(b.days)) }

// Day is one of Days; nil for others.
func (b *Book) Day(no int64) *Day { return b.days[no] }

// Rests are the long windows of which retired days are kept.
func (b *Book) Rests() []Window {
	return slices.SortedFunc(maps.Keys(b.rest), func(x, y Window) int {
		if x.Grain != y.Grain {
			return int(x.Grain) - int(y.Grain)
		}
		return int(x.Start - y.Start)
	})
}

// In is what happened in a window, in order of days; first the retired ones.
func (b *Book) In(w Window) (days []*Day) {
	first, last := report.CivilDays(w.Grain, w.Start)
	if first == last {
		if d := b.days[first]; d != nil {
			days = []*Day{d}
		}
		return days
	}
	if d := b.rest[w]; d != nil {
		days = append(days, d)
	}
	if int(last-first) > len(b.days) {
		var in []int64
		for no := range b.days {
			if no >= first && no <= last {
				in = append(in, no)
			}
		}
		slices.Sort(in)
		for _, no := range in {
			days = append(days, b.days[no])
		}
		return days
	}
	for no := first; no <= last; no++ {
		if d := b.days[no]; d != nil {
			days = append(days, d)
		}
	}
	return days
}

// Seal turns the days before one into bytes.
func (b *Book) Seal(before int64) {
	if before <= b.when {
		return
	}
	for no, d := range b.days {
		if no < before {
			d.seal()
		}
	}
	b.when, b.last = before, nil
}

// Retire adds the days before one to the long windows that still need them, and drops them and
// the rests of long windows that are over. Given a window, need says so.
func (b *Book) Retire(before int64, long []report.Grain, need func(Window) bool) {
	for w := range b.rest {
		if !need(w) {
			delete(b.rest, w)
		}
	}
	if b.oldest >= before {
		return // as after most windows
	}
	var gone []int64
	b.oldest = math.MaxInt64
	for no := range b.days {
		if no < before {
			gone = append(gone, no)
		} else {
			b.oldest = min(b.oldest, no)
		}
	}
	slices.Sort(gone)
	for _, no := range gone {
		d := b.days[no]
		for _, g := range long {
			if w := (Window{g, report.CivilStart(g, no)}); need(w) {
				b.keep(w, d)
			}
		}
		delete(b.days, no)
		b.last = nil
	}
}

func (b *Book) keep(w Window, d *Day) {
	old := b.rest[w]
	if old == nil {
		b.rest[w] = &Day{raw: d.bytes()}
		return
	}
	old.raw = merge(old.bytes(), d.bytes())
	old.sets, old.rows, old.sums = nil, table{}, nil
	old.version++
}
