package batch

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"

	"github.com/fieldpost/fieldpost/protocol/report"
)

// Numbers are decimals: value = integer ÷ 10^scale, with the least scale that gives the
// float64 back. Column of numbers: one head byte, scale<<4 | refer<<3 | layout, then the
// integers at a scale common to all. headMixed stands for a column in which some have no
// such decimal: a column of scales, the integers, then the bytes of the remaining float64s.
const (
	maxScale  = 14
	headMixed = 0xf0
	asFloat   = maxScale + 1 // scale of a number that stays a float64
	longRun   = 16           // a series with that many numbers has a column of its own
)

var pow10 = [maxScale + 1]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14}

// decimal finds the least scale; asFloat when there is none.
func decimal(v float64) (m int64, scale int) {
	for k := range pow10 {
		x := v * pow10[k]
		if !(math.Abs(x) < maxInt) {
			break
		}
		if x = math.RoundToEven(x); x/pow10[k] == v {
			return int64(x), k
		}
	}
	return 0, asFloat
}

// guess is the integer a number is referred to: the reference at the same scale.
func guess(ref float64, scale int) int64 {
	x := math.RoundToEven(ref * pow10[scale])
	if !(math.Abs(x) < maxInt) { // also not a number: no reference
		return 0
	}
	return int64(x)
}

// refersTo is the field of the same window a field is usually close to; 0 for none.
func refersTo(f report.Field) report.Field {
	switch f {
	case report.Min, report.Max, report.Mean:
		return report.Last
	case report.Valid:
		return report.Good
	}
	return 0
}

// appendFloats writes a column of numbers. refs is nil or as long as v.
func (c *columns) appendFloats(b []byte, v, refs []float64) []byte {
	if len(v) == 0 {
		return b
	}
	vals, scales := c.scaled[:0], c.scales[:0]
	most := 0
	for _, x := range v {
		m, k := decimal(x)
		vals, scales = append(vals, m), append(scales, int64(k))
		most = max(most, k)
	}
	c.scaled, c.scales = vals, scales
	if most == asFloat || !rescale(vals, scales, most) {
		return c.appendMixed(b, v)
	}
	p := planInts(vals, sized(c.dict1, maxDict))
	head := byte(most << 4)
	if refs != nil {
		diffs := sized(c.diffs, len(vals))
		c.diffs = diffs
		for i := range vals {
			diffs[i] = vals[i] - guess(refs[i], most)
		}
		if q := planInts(diffs, sized(c.dict2, maxDict)); q.size < p.size {
			p, vals, head = q, diffs, head|1<<3
		}
	}
	return p.appendPayload(append(b, head|p.layout), vals)
}

// rescale brings all integers to one scale; false if one grows too large, and then v is as before.
func rescale(v, scales []int64, to int) bool {
	for i, m := range v {
		if math.Abs(float64(m))*pow10[int64(to)-scales[i]] >= maxInt {
			return false
		}
	}
	for i := range v {
		for range int64(to) - scales[i] {
			v[i] *= 10
		}
	}
	return true
}

// appendMixed writes numbers each at its own scale; c.scaled and c.scales hold their decimals.
func (c *columns) appendMixed(b []byte, v []float64) []byte {
	b = c.appendInts(append(b, headMixed), c.scales)
	ints, n := c.diffs[:0], 0
	for i, k := range c.scales {
		if k != asFloat {
			ints = append(ints, c.scaled[i])
		} else {
			n++
		}
	}
	c.diffs = ints
	b = c.appendInts(b, ints)
	// Byte planes, most significant first: signs and exponents of one column are alike.
	at := len(b)
	b = append(b, make([]byte, 8*n)...)
	j := 0
	for i, k := range c.scales {
		if k == asFloat {
			u := math.Float64bits(v[i])
			for plane := range 8 {
				b[at+plane*n+j] = byte(u >> (56 - 8*plane))
			}
			j++
		}
	}
	return b
}

// floats reads a column of n numbers written by appendFloats.
func (c *columns) readFloats(r *reader, n int, refs []float64) []float64 {
	v := sized(c.floats, n)
	c.floats = v
	clear(v)
	if n == 0 {
		return v
	}
	head := r.byte()
	if head == headMixed {
		c.readMixed(r, v)
		return v
	}
	scale := int(head >> 4)
	if scale > maxScale || head&8 != 0 && refs == nil {
		r.bad = true
		return v
	}
	c.scaled = sized(c.scaled, n)
	r.payload(c.scaled, head&7)
	for i, m := range c.scaled {
		if head&8 != 0 {
			m += guess(refs[i], scale)
		}
		if m <= -maxInt || m >= maxInt {
			r.bad = true
			return v
		}
		v[i] = float64(m) / pow10[scale]
	}
	return v
}

func (c *columns) readMixed(r *reader, v []float64) {
	c.scales = r.ints(c.scales, len(v))
	n := 0
	for _, k := range c.scales {
		if k < 0 || k > asFloat {
			r.bad = true
			return
		}
		if k == asFloat {
			n++
		}
	}
	c.scaled = r.ints(c.scaled, len(v)-n)
	planes := r.take(8 * n)
	if r.bad {
		return
	}
	i, j := 0, 0
	for at, k := range c.scales {
		if k != asFloat {
			m := c.scaled[i]
			if m <= -maxInt || m >= maxInt {
				r.bad = true
				return
			}
			v[at] = float64(m) / pow10[k]
			i++
			continue
		}
		u := uint64(0)
		for plane := range 8 {
			u = u<<8 | uint64(planes[plane*n+j])
		}
		v[at] = math.Float64frombits(u)
		j++
	}
}

// columnsOf cuts the exact numbers of all cells into columns: by grain and field, and
// within those a series of longRun or more numbers by itself, the others together. It
// needs series, lists and forms only, so both sides cut alike.
func (c *columns) columnsOf(cells []report.Cell, yield func(idx, ref []int32)) {
	var head, tail [numGrains * numFields]int32
	c.next = sized(c.next, len(c.series))
	for i, s := range c.series {
		k := int(s.Grain)*numFields + int(s.Field)
		if head[k] == 0 {
			head[k] = int32(i) + 1
		} else {
			c.next[tail[k]-1] = int32(i) + 1
		}
		tail[k] = int32(i) + 1
		c.next[i] = 0
	}
	for k := range head {
		short, refs := c.idx[:0], c.ref[:0]
		for s := head[k]; s != 0; s = c.next[s-1] {
			from := len(short)
			sibling := c.sibling(int(s - 1))
			for i := c.first[s-1]; i < c.first[s]; i++ {
				if !hasValue(&cells[i]) {
					continue
				}
				ref := int32(-1)
				if sibling >= 0 {
					if j := c.first[sibling] + i - c.first[s-1]; hasValue(&cells[j]) {
						ref = j
					}
				}
				short, refs = append(short, i), append(refs, ref)
			}
			if len(short)-from >= longRun {
				yield(short[from:], refs[from:])
				short, refs = short[:from], refs[:from]
			}
		}
		if len(short) > 0 {
			yield(short, refs)
		}
		c.idx, c.ref = short, refs
	}
}

// sibling is the series of the same row and windows that series s refers to, or -1.
func (c *columns) sibling(s int) int {
	want := refersTo(c.series[s].Field)
	if want == 0 {
		return -1
	}
	me := c.series[s]
	me.Field = want
	for j := s - 1; j >= 0 && s-j < numFields && c.series[j].Field >= want; j-- {
		if c.series[j] == me {
			if c.list[j] == c.list[s] {
				return j
			}
			return -1
		}
	}
	return -1
}

func (c *columns) refValues(cells []report.Cell, ref []int32) []float64 {
	refs := sized(c.refs, len(ref))
	c.refs = refs
	any := false
	for i, j := range ref {
		refs[i] = 0
		if j >= 0 {
			refs[i], any = cells[j].Lo, true
		}
	}
	if !any {
		return nil
	}
	return refs
}

func (c *columns) appendNumbers(b []byte, cells []report.Cell) []byte {
	c.columnsOf(cells, func(idx, ref []int32) {
		v := sized(c.floats, len(idx))
		c.floats = v
		for k, i := range idx {
			v[k] = cells[i].Lo
		}
		b = c.appendFloats(b, v, c.refValues(cells, ref))
	})
	return b
}

func (c *columns) readNumbers(r *reader, cells []report.Cell) {
	c.columnsOf(cells, func(idx, ref []int32) {
		v := c.readFloats(r, len(idx), c.refValues(cells, ref))
		for k, i := range idx {
			cells[i].Lo, cells[i].Hi = v[k], v[k]
		}
	})
}

// bandBook is the code book of a batch: the distinct intervals, sorted.
type bandBook struct {
	bands []report.Interval
	at    map[report.Interval]int64
}

func (c *columns) appendBands(b []byte, cells []report.Cell) []byte {
	book := &c.bands
	if book.at == nil {
		book.at = map[report.Interval]int64{}
	}
	clear(book.at)
	book.bands = book.bands[:0]
	for i := range cells {
		if !hasBand(&cells[i]) {
			continue
		}
		in := report.Interval{Lo: cells[i].Lo, Hi: cells[i].Hi}
		if _, ok := book.at[in]; !ok {
			book.at[in] = 0
			book.bands = append(book.bands, in)
		}
	}
	if len(book.bands) == 0 {
		return b
	}
	slices.SortFunc(book.bands, func(x, y report.Interval) int {
		return cmp.Or(cmp.Compare(x.Lo, y.Lo), cmp.Compare(x.Hi, y.Hi))
	})
	open, los, his, refs := c.vals[:0], []float64(nil), []float64(nil), []float64(nil)
	for i, in := range book.bands {
		book.at[in] = int64(i)
		los = append(los, in.Lo)
		if math.IsInf(in.Hi, 1) {
			open = append(open, 1)
		} else {
			open = append(open, 0)
			his, refs = append(his, in.Hi), append(refs, in.Lo)
		}
	}
	b = binary.AppendUvarint(b, uint64(len(open)))
	b = c.appendInts(b, open)
	b = c.appendFloats(b, los, nil)
	b = c.appendFloats(b, his, refs)
	use := open[:0]
	for i := range cells {
		if hasBand(&cells[i]) {
			use = append(use, book.at[report.Interval{Lo: cells[i].Lo, Hi: cells[i].Hi}])
		}
	}
	c.vals = use
	return c.appendInts(b, use)
}

func (c *columns) readBands(r *reader, cells []report.Cell) {
	n := 0
	for i := range cells {
		if hasBand(&cells[i]) {
			n++
		}
	}
	if n == 0 {
		return
	}
	bands := make([]report.Interval, r.count(n))
	c.vals = r.ints(c.vals, len(bands))
	for i, lo := range c.readFloats(r, len(bands), nil) {
		bands[i] = report.Interval{Lo: lo, Hi: math.Inf(1)}
	}
	var closed []int
	var refs []float64
	for i, open := range c.vals {
		if open == 0 {
			closed, refs = append(closed, i), append(refs, bands[i].Lo)
		}
	}
	for k, hi := range c.readFloats(r, len(closed), refs) {
		bands[closed[k]].Hi = hi
	}
	c.vals = r.ints(c.vals, n)
	use := c.vals
	for i := range cells {
		if !hasBand(&cells[i]) {
			continue
		}
		if use[0] < 0 || use[0] >= int64(len(bands)) {
			r.bad = true
			return
		}
		cells[i].Lo, cells[i].Hi = bands[use[0]].Lo, bands[use[0]].Hi
		use = use[1:]
	}
}
