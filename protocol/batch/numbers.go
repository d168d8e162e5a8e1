package batch

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"

	"github.com/fieldpost/fieldpost/protocol/batch/internal/intcol"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// A number is an integer over a divisor: with the first divisor of the list that gives the
// float64 back. Powers of ten are for decimals, the seconds of an hour (which 5 minutes
// divide) and of a day for means weighted by time. A column has one head byte,
// divisor<<4 | refer<<3 | layout, and then the integers over the column's divisor; with
// refer they are differences to the field refersTo names. headMixed stands for a column
// without a common divisor, see appendMixed.
const (
	maxInt    = 1 << 53 // integers beyond it are not exact in a float64
	asFloat   = 15      // stands for the divisor of a number that has none
	headMixed = asFloat << 4
	headRefer = 1 << 3
	longRun   = 16 // a series with that many numbers has a column of its own
)

// divisors; their indexes are wire format.
var divisors = [asFloat]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 3600, 86400}

// over is v as an integer over a divisor; ok is false where that is not v exactly.
func over(v float64, divisor int) (m int64, ok bool) {
	x := math.RoundToEven(v * divisors[divisor])
	if !(math.Abs(x) < maxInt) || x/divisors[divisor] != v { // the first also for NaN
		return 0, false
	}
	return int64(x), true
}

// fraction finds the first divisor that fits; asFloat when none does.
func fraction(v float64) (m int64, divisor int) {
	for d := range divisors {
		if m, ok := over(v, d); ok {
			return m, d
		}
	}
	return 0, asFloat
}

// guess is what an integer is referred to: the reference over the same divisor.
func guess(ref float64, divisor int) int64 {
	x := math.RoundToEven(ref * divisors[divisor])
	if !(math.Abs(x) < maxInt) {
		return 0
	}
	return int64(x)
}

// unsigned makes the one nought of two: the sign of nought does not travel.
func unsigned(v float64) float64 {
	if v == 0 {
		return 0
	}
	return v
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

// appendFloats writes a column of numbers. refs is nil or as long as v, 0 for none.
func (c *columns) appendFloats(b []byte, v, refs []float64) []byte {
	if len(v) == 0 {
		return b
	}
	vals, kinds := c.vals[:0], c.kinds[:0]
	most := 0
	for _, x := range v {
		m, d := fraction(x)
		vals, kinds = append(vals, m), append(kinds, int64(d))
		most = max(most, d)
	}
	c.vals, c.kinds = vals, kinds
	if most == asFloat || !c.common(v, most) {
		return c.appendMixed(b, v, refs)
	}
	p := c.plan1.Plan(vals)
	head := byte(most << 4)
	if refs != nil {
		diffs := intcol.Sized(c.diffs, len(vals))
		c.diffs = diffs
		for i := range vals {
			diffs[i] = vals[i] - guess(refs[i], most)
		}
		if q := c.plan2.Plan(diffs); q.Size < p.Size {
			p, vals, head = q, diffs, head|headRefer
		}
	}
	return p.Append(append(b, head|p.Layout), vals)
}

// common brings c.vals over one divisor; where that is not possible they stay as they are.
func (c *columns) common(v []float64, divisor int) bool {
	all := intcol.Sized(c.diffs, len(v))
	c.diffs = all
	for i, x := range v {
		if c.kinds[i] == int64(divisor) {
			all[i] = c.vals[i]
			continue
		}
		m, ok := over(x, divisor)
		if !ok {
			return false
		}
		all[i] = m
	}
	copy(c.vals, all)
	return true
}

// What the low bits of a mixed column's head say.
const (
	mixedIntsRefer    = 1 << 0 // integers are differences to the reference over their divisor
	mixedBits         = 1 << 1 // float64s as a column of their bits, not as eight planes of bytes
	mixedBitsRefer    = 1 << 2 // with mixedBits: less the reference's bits
	mixedDivisorRefer = 1 << 3 // divisors are differences to the reference's divisor
)

// appendMixed writes numbers each over its own divisor, from c.vals and c.kinds: a column
// of divisors, a column of the integers, then the float64s that have no divisor.
func (c *columns) appendMixed(b []byte, v, refs []float64) []byte {
	head := len(b)
	b = append(b, headMixed)
	ints, bits := c.ints[0][:0], c.ints[1][:0]
	kindsTo, intsTo, bitsTo := c.ints[2][:0], c.ints[3][:0], c.ints[4][:0]
	for i, k := range c.kinds {
		ref := 0.0
		if refs != nil {
			ref = refs[i]
		}
		_, refKind := fraction(ref)
		kindsTo = append(kindsTo, k-int64(refKind))
		if k == asFloat {
			u := math.Float64bits(v[i])
			bits, bitsTo = append(bits, int64(u)), append(bitsTo, int64(u-math.Float64bits(ref)))
		} else {
			ints, intsTo = append(ints, c.vals[i]), append(intsTo, c.vals[i]-guess(ref, int(k)))
		}
	}
	c.ints[0], c.ints[1], c.ints[2], c.ints[3], c.ints[4] = ints, bits, kindsTo, intsTo, bitsTo

	b = c.appendBetter(b, head, mixedDivisorRefer, c.kinds, kindsTo)
	b = c.appendBetter(b, head, mixedIntsRefer, ints, intsTo)
	if len(bits) == 0 {
		return b
	}
	p, q := c.plan1.Plan(bits), c.plan2.Plan(bitsTo)
	switch planes := 8 * len(bits); {
	case 1+q.Size < planes && q.Size < p.Size:
		b[head] |= mixedBits | mixedBitsRefer
		b = q.Append(append(b, q.Layout), bitsTo)
	case 1+p.Size < planes:
		b[head] |= mixedBits
		b = p.Append(append(b, p.Layout), bits)
	default:
		// Most significant bytes first: signs and exponents of one column are alike.
		for plane := range 8 {
			for _, u := range bits {
				b = append(b, byte(u>>(56-8*plane)))
			}
		}
	}
	return b
}

// appendBetter writes the smaller of two columns, v if they are equal, and notes in the head.
func (c *columns) appendBetter(b []byte, head int, flag byte, v, to []int64) []byte {
	if len(v) == 0 {
		return b
	}
	p, q := c.plan1.Plan(v), c.plan2.Plan(to)
	if q.Size < p.Size {
		b[head] |= flag
		return q.Append(append(b, q.Layout), to)
	}
	return p.Append(append(b, p.Layout), v)
}

// readFloats reads a column of n numbers written by appendFloats. The result is scratch.
func (c *columns) readFloats(r *intcol.Reader, n int, refs []float64) []float64 {
	v := intcol.Sized(c.floats, n)
	c.floats = v
	clear(v)
	if n == 0 {
		return v
	}
	head := r.Byte()
	divisor := int(head >> 4)
	if divisor == asFloat {
		c.readMixed(r, head, v, refs)
		return v
	}
	if head&headRefer != 0 && refs == nil {
		r.Bad = true
		return v
	}
	c.vals = intcol.Sized(c.vals, n)
	r.Payload(c.vals, head&7)
	for i, m := range c.vals {
		if head&headRefer != 0 {
			m += guess(refs[i], divisor)
		}
		v[i] = float64(m) / divisors[divisor]
	}
	return v
}

func (c *columns) readMixed(r *intcol.Reader, head byte, v, refs []float64) {
	ref := func(i int) float64 {
		if refs == nil {
			return 0
		}
		return refs[i]
	}
	kinds := r.Ints(c.kinds, len(v))
	c.kinds = kinds
	n := 0
	for i := range kinds {
		if head&mixedDivisorRefer != 0 {
			_, refKind := fraction(ref(i))
			kinds[i] += int64(refKind)
		}
		if kinds[i] < 0 || kinds[i] > asFloat {
			r.Bad = true
			return
		}
		if kinds[i] == asFloat {
			n++
		}
	}
	ints := r.Ints(c.ints[0], len(v)-n)
	bits := c.readBits(r, head, n)
	for i, k := range kinds {
		switch {
		case k != asFloat:
			m := ints[0]
			ints = ints[1:]
			if head&mixedIntsRefer != 0 {
				m += guess(ref(i), int(k))
			}
			v[i] = float64(m) / divisors[k]
		default:
			u := uint64(bits[0])
			bits = bits[1:]
			if head&mixedBitsRefer != 0 {
				u += math.Float64bits(ref(i))
			}
			v[i] = math.Float64frombits(u)
		}
	}
}

func (c *columns) readBits(r *intcol.Reader, head byte, n int) []int64 {
	if head&mixedBits != 0 {
		c.ints[1] = r.Ints(c.ints[1], n)
		return c.ints[1]
	}
	bits := intcol.Sized(c.ints[1], n)
	c.ints[1] = bits
	clear(bits)
	if planes := r.Take(8 * n); planes != nil {
		for i, x := range planes {
			bits[i%n] = bits[i%n]<<8 | int64(x)
		}
	}
	return bits
}

// columnsOf cuts the exact numbers of all cells into columns: by grain and field, and
// within those a series of longRun or more numbers by itself, the others together. It
// needs series, lists and forms only, so both sides cut alike.
func (c *columns) columnsOf(cells []report.Cell, yield func(idx, ref []int32)) {
	var head, tail [numGrains * numFields]int32
	c.next = intcol.Sized(c.next, len(c.series))
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
	refs := intcol.Sized(c.refs, len(ref))
	c.refs = refs
	any := false
	for i, j := range ref {
		refs[i] = 0
		if j >= 0 {
			refs[i], any = unsigned(cells[j].Lo), true
		}
	}
	if !any {
		return nil
	}
	return refs
}

func (c *columns) appendNumbers(b []byte, cells []report.Cell) []byte {
	c.columnsOf(cells, func(idx, ref []int32) {
		v := intcol.Sized(c.floats, len(idx))
		c.floats = v
		for k, i := range idx {
			v[k] = cells[i].Lo
		}
		b = c.appendFloats(b, v, c.refValues(cells, ref))
	})
	return b
}

func (c *columns) readNumbers(r *intcol.Reader, cells []report.Cell) {
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
		in := report.Interval{Lo: unsigned(cells[i].Lo), Hi: unsigned(cells[i].Hi)}
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
	open, los, his, refs := c.use[:0], []float64(nil), []float64(nil), []float64(nil)
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
	c.use = use
	return c.appendInts(b, use)
}

func (c *columns) readBands(r *intcol.Reader, cells []report.Cell) {
	n := 0
	for i := range cells {
		if hasBand(&cells[i]) {
			n++
		}
	}
	if n == 0 {
		return
	}
	bands := make([]report.Interval, r.Count(n))
	c.use = r.Ints(c.use, len(bands))
	for i, lo := range c.readFloats(r, len(bands), nil) {
		bands[i] = report.Interval{Lo: lo, Hi: math.Inf(1)}
	}
	var closed []int
	var refs []float64
	for i, open := range c.use {
		if open == 0 {
			closed, refs = append(closed, i), append(refs, bands[i].Lo)
		}
	}
	for k, hi := range c.readFloats(r, len(closed), refs) {
		bands[closed[k]].Hi = hi
	}
	c.use = r.Ints(c.use, n)
	use := c.use
	for i := range cells {
		if !hasBand(&cells[i]) {
			continue
		}
		if use[0] < 0 || use[0] >= int64(len(bands)) {
			r.Bad = true
			return
		}
		cells[i].Lo, cells[i].Hi = bands[use[0]].Lo, bands[use[0]].Hi
		use = use[1:]
	}
}
