package daily

import (
	"math"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/fieldpost/fieldpost/agent/measure/dense"
	"github.com/fieldpost/fieldpost/agent/measure/series"
	"github.com/fieldpost/fieldpost/agent/measure/wire"
)

// On disk a sealed day is written in columns (package dense), half the size of what memory holds, which a window that
// closes can read as it lies: of each set its part, its size and the gaps between its people; of the rows
// the gaps between users, the parts, the bins and the numbers; of the sums their keys likewise, unless they are
// those of the rows, as they are for a distribution, and the amounts.

// keysOfRows follows the number of sums when their keys are those of the rows.
const keysOfRows = 4

// shrink writes sealed bytes in the form they have on disk.
func shrink(w *wire.Writer, raw []byte) {
	r := reader{raw}
	w.Uint((&reader{raw}).uint())
	var c columns
	r.sets(func(part uint32, set *roaring.Bitmap) {
		w.Uint(uint64(part))
		w.Uint(set.GetCardinality())
		c.room(set.GetCardinality())
		next := uint32(0)
		set.Iterate(func(id uint32) bool {
			c.add(w, uint64(id-next))
			next = id + 1
			return true
		})
		c.flush(w)
	})
	in := r.rest()
	rows := *in // to be read once more, beside the sums
	c.rows(w, in.cursor(), 0)
	sums := *in
	if sameKeys(rows.cursor(), sums.sumCursor()) {
		c.rows(w, in.sumCursor(), keysOfRows)
	} else {
		c.rows(w, in.sumCursor(), 0)
	}
}

// sameKeys reports whether the sums are of the users and parts of the rows.
func sameKeys(rows, sums *cursor) bool {
	last, any := Key{}, false
	for rows.next() {
		if any && rows.User == last.User && rows.Part == last.Part {
			continue
		}
		last, any = rows.Key, true
		if !sums.next() || sums.User != last.User || sums.Part != last.Part || sums.Bin != 0 {
			return false
		}
	}
	return any && !sums.next()
}

// columns collects the numbers of up to dense.Most rows.
type columns struct {
	n    int
	of   [4][]uint64 // users as gaps, parts, bins, counts; of a set only the first
	sums []series.Fixed
}

// room makes the columns long enough for so many rows, or for as many as are written at once.
func (c *columns) room(rows uint64) {
	if n := int(min(rows, dense.Most)); n > len(c.of[0]) {
		for i := range c.of {
			c.of[i] = make([]uint64, n)
		}
	}
}

func (c *columns) add(w *wire.Writer, gap uint64) {
	c.of[0][c.n] = gap
	if c.n++; c.n == dense.Most {
		c.flush(w)
	}
}

// flush writes the first column, if anything waits.
func (c *columns) flush(w *wire.Writer) {
	if c.n > 0 {
		dense.Append(w, c.of[0][:c.n])
	}
	c.n = 0
}

func (c *columns) rows(w *wire.Writer, in *cursor, mark byte) {
	w.Uint(in.left)
	w.Raw([]byte{in.flags | mark})
	c.room(in.left)
	last := uint32(0)
	write := func() {
		if c.n == 0 {
			return
		}
		if mark == 0 {
			dense.Append(w, c.of[0][:c.n])
			if in.flags&hasPart != 0 {
				dense.Append(w, c.of[1][:c.n])
			}
			if in.flags&hasBin != 0 {
				dense.Append(w, c.of[2][:c.n])
			}
		}
		if in.sums {
			series.AppendColumn(w, c.sums)
		} else {
			dense.Append(w, c.of[3][:c.n])
		}
		c.n, c.sums = 0, c.sums[:0]
	}
	for in.next() {
		c.of[0][c.n], c.of[1][c.n], c.of[2][c.n], c.of[3][c.n] = uint64(in.User-last), uint64(in.Part), ordered(in.Bin), in.n
		if last = in.User; in.sums {
			c.sums = append(c.sums, in.sum)
		}
		if c.n++; c.n == dense.Most {
			write()
		}
	}
	write()
}

// ordered is a bin as a number in the same order.
func ordered(bin int32) uint64     { return uint64(uint32(bin) ^ 1<<31) }
func unordered(v uint64) int32     { return int32(uint32(v) ^ 1<<31) }
func fits(v uint64, most int) bool { return v < uint64(most) }

// stretch reads what shrink wrote and is the sealed bytes. Everything is checked: afterwards they are read without.
func stretch(r *wire.Reader, persons, parts int) []byte {
	s := stretcher{r: r, persons: persons, parts: parts}
	n := r.Count()
	s.w.Uint(uint64(n))
	for ; n > 0 && r.Err() == nil; n-- {
		s.set()
	}
	at := len(s.w.B)
	s.rows(false, nil)
	if r.Err() == nil {
		rows := reader{s.w.B[at:len(s.w.B):len(s.w.B)]}
		s.rows(true, rows.cursor())
	}
	if r.End() != nil {
		return nil
	}
	return append(make([]byte, 0, len(s.w.B)), s.w.B...)
}

type stretcher struct {
	columns
	r              *wire.Reader
	w              wire.Writer
	persons, parts int
	ids            []uint32
}

func (s *stretcher) set() {
	part := s.r.Below(s.parts)
	n := s.r.Below(s.persons + 1)
	if n == 0 {
		s.r.Fail("an empty set")
		return
	}
	s.room(uint64(n))
	s.ids = s.ids[:0]
	for next := uint64(0); n > 0 && s.r.Err() == nil; {
		gaps := s.of[0][:min(n, dense.Most)]
		dense.Read(s.r, gaps)
		for _, gap := range gaps {
			id := next + gap
			if id < next || !fits(id, s.persons) {
				s.r.Fail("a person who is not there")
				return
			}
			s.ids = append(s.ids, uint32(id))
			next = id + 1
		}
		n -= len(gaps)
	}
	s.w.Uint(uint64(part))
	saveSet(&s.w, s.ids)
}

// rows reads rows, or sums, which may have the keys of rows.
func (s *stretcher) rows(sums bool, of *cursor) {
	left := s.r.Uint()
	var flags [1]byte
	s.r.Raw(flags[:])
	borrowed := flags[0]&keysOfRows != 0
	if flags[0] &^= keysOfRows; flags[0] > hasPart|hasBin || (borrowed && !sums) {
		s.r.Fail("rows")
		return
	}
	s.room(left)
	s.w.Uint(left)
	s.w.Raw(flags[:])
	out := rows{w: &s.w, flags: flags[0]}
	var last Key
	for first := true; left > 0 && s.r.Err() == nil; {
		n := int(min(left, dense.Most))
		s.read(n, flags[0], sums, borrowed)
		for i := 0; i < n && s.r.Err() == nil; i++ {
			k, ok := s.key(i, last)
			if borrowed {
				k, ok = following(of, last, first)
			}
			if !ok || (!fits(uint64(k.User), s.persons) && k.User != math.MaxUint32) || !fits(uint64(k.Part), s.parts) || (!first && compare(last, k) >= 0) {
				s.r.Fail("a person who is not there")
				return
			}
			if last, first = k, false; sums {
				out.add(k)
				s.sums[i].Save(&s.w)
			} else {
				out.add(k)
				s.w.Uint(s.of[3][i])
			}
		}
		left -= uint64(n)
	}
}

// key is that of a row; last is the one before.
func (s *stretcher) key(i int, last Key) (Key, bool) {
	gap, part, bin := s.of[0][i], s.of[1][i], s.of[2][i]
	user := uint64(last.User) + gap
	return Key{uint32(user), uint32(part), unordered(bin)}, max(gap, user, part, bin) <= math.MaxUint32
}

// following is the next user and part of the rows.
func following(rows *cursor, last Key, first bool) (Key, bool) {
	for rows.next() {
		if first || rows.User != last.User || rows.Part != last.Part {
			return Key{User: rows.User, Part: rows.Part}, true
		}
	}
	return Key{}, false
}

// read fills the columns.
func (s *stretcher) read(n int, flags byte, sums, borrowed bool) {
	for i := range 3 {
		here := !borrowed && (i == 0 || flags&[]byte{0, hasPart, hasBin}[i] != 0)
		for j := range s.of[i][:n] {
			s.of[i][j] = 0
			if i == 2 {
				s.of[i][j] = ordered(0)
			}
		}
		if here {
			dense.Read(s.r, s.of[i][:n])
		}
	}
	if sums {
		s.sums = series.ReadColumn(s.r, s.sums[:0], n)
	} else {
		dense.Read(s.r, s.of[3][:n])
	}
}
