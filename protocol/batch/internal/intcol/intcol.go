// Package intcol writes and reads columns of integers and the few scalars between them.
//
// A column is written in the smallest of eight layouts; of equally small ones the first is
// taken, so the same values give the same bytes. How many values a column holds the reader
// knows beforehand, and a column of none takes no bytes. The reader accepts more than the
// writer makes; package batch encodes again and compares.
//
// Invariant: reading allocates nothing that its caller has not bounded by the count it
// asks for. It keeps nothing on disk.
package intcol

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// The layouts; their numbers are wire format.
const (
	layConst      = 0 // value
	layPlain      = 1 // values
	layRuns       = 2 // (value, length−1) …
	layDelta      = 3 // differences, the first from 0
	layDeltaRuns  = 4 // (difference, length−1) …
	layPacked     = 5 // least value, width, value−least in width bits each
	layDeltaPack  = 6 // first value, then the differences as in layPacked
	layDict       = 7 // count, sorted distinct values, indexes in the least width
	maxDict       = 32
	maxPackedBits = 58
)

// Plan is how a column is best written.
type Plan struct {
	Layout byte
	Size   int // of the payload
	// layPacked, layDeltaPack
	least int64
	width int
	// layDict
	dict []int64
}

func zigzag(v int64) uint64   { return uint64(v<<1) ^ uint64(v>>63) }
func unzigzag(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }

func varintSize(u uint64) int { return (bits.Len64(u|1) + 6) / 7 }
func zigzagSize(v int64) int  { return varintSize(zigzag(v)) }

func packedSize(n, width int) int { return (n*width + 7) / 8 }

// Planner is scratch for one plan at a time. The zero value is ready.
type Planner struct{ dict [maxDict]int64 }

// Append writes a column: its layout and the payload.
func (pl *Planner) Append(b []byte, v []int64) []byte {
	if len(v) == 0 {
		return b
	}
	p := pl.Plan(v)
	return p.Append(append(b, p.Layout), v)
}

// Plan measures all layouts for a column of at least one value. Differences of
// neighbours must not overflow. The plan holds until the next one.
func (pl *Planner) Plan(v []int64) Plan {
	var plain, delta, runs, deltaRuns int
	lo, hi := v[0], v[0]
	dlo, dhi := int64(0), int64(0)
	prev, prevD := int64(0), int64(0)
	runAt, dRunAt := 0, 0
	dict := pl.dict[:0]
	useDict := true
	for i, x := range v {
		d := x - prev
		plain += zigzagSize(x)
		delta += zigzagSize(d)
		if i > 0 && x != prev {
			runs += zigzagSize(prev) + varintSize(uint64(i-runAt-1))
			runAt = i
		}
		if i > 0 && d != prevD {
			deltaRuns += zigzagSize(prevD) + varintSize(uint64(i-dRunAt-1))
			dRunAt = i
		}
		if i == 1 {
			dlo, dhi = d, d
		} else if i > 1 {
			dlo, dhi = min(dlo, d), max(dhi, d)
		}
		lo, hi = min(lo, x), max(hi, x)
		if useDict && (i == 0 || x != prev) {
			dict, useDict = insert(dict, x)
		}
		prev, prevD = x, d
	}
	n := len(v)
	if lo == hi {
		return Plan{Layout: layConst, Size: zigzagSize(lo)}
	}
	runs += zigzagSize(prev) + varintSize(uint64(n-runAt-1))
	deltaRuns += zigzagSize(prevD) + varintSize(uint64(n-dRunAt-1))

	p := Plan{Layout: layPlain, Size: plain}
	p.better(layRuns, runs)
	p.better(layDelta, delta)
	p.better(layDeltaRuns, deltaRuns)
	if w := bits.Len64(uint64(hi - lo)); w <= maxPackedBits && p.better(layPacked, zigzagSize(lo)+1+packedSize(n, w)) {
		p.least, p.width = lo, w
	}
	if w := bits.Len64(uint64(dhi - dlo)); w <= maxPackedBits &&
		p.better(layDeltaPack, zigzagSize(v[0])+zigzagSize(dlo)+1+packedSize(n-1, w)) {
		p.least, p.width = dlo, w
	}
	if useDict {
		w := bits.Len64(uint64(len(dict) - 1))
		if p.better(layDict, dictSize(dict)+packedSize(n, w)) {
			p.dict, p.width = dict, w
		}
	}
	return p
}

func (p *Plan) better(layout byte, size int) bool {
	if size >= p.Size {
		return false
	}
	p.Layout, p.Size = layout, size
	return true
}

// insert puts x into the sorted dict; ok is false once it has grown too long.
func insert(dict []int64, x int64) (d []int64, ok bool) {
	at, found := slices.BinarySearch(dict, x)
	if found {
		return dict, true
	}
	if len(dict) == maxDict {
		return dict, false
	}
	return slices.Insert(dict, at, x), true
}

func dictSize(dict []int64) int {
	n := 1 + zigzagSize(dict[0])
	for i := 1; i < len(dict); i++ {
		n += varintSize(uint64(dict[i] - dict[i-1]))
	}
	return n
}

// Append writes v as planned, without the layout itself.
func (p *Plan) Append(b []byte, v []int64) []byte {
	switch p.Layout {
	case layConst:
		return AppendZigzag(b, v[0])
	case layPlain:
		for _, x := range v {
			b = AppendZigzag(b, x)
		}
	case layRuns:
		for i := 0; i < len(v); {
			j := i + 1
			for j < len(v) && v[j] == v[i] {
				j++
			}
			b = binary.AppendUvarint(AppendZigzag(b, v[i]), uint64(j-i-1))
			i = j
		}
	case layDelta:
		prev := int64(0)
		for _, x := range v {
			b = AppendZigzag(b, x-prev)
			prev = x
		}
	case layDeltaRuns:
		prev := int64(0)
		for i := 0; i < len(v); {
			d := v[i] - prev
			j := i + 1
			for j < len(v) && v[j]-v[j-1] == d {
				j++
			}
			b = binary.AppendUvarint(AppendZigzag(b, d), uint64(j-i-1))
			prev = v[j-1]
			i = j
		}
	case layPacked:
		b = append(AppendZigzag(b, p.least), byte(p.width))
		var k packer
		for _, x := range v {
			b = k.put(b, uint64(x-p.least), p.width)
		}
		b = k.flush(b)
	case layDeltaPack:
		b = append(AppendZigzag(AppendZigzag(b, v[0]), p.least), byte(p.width))
		var k packer
		for i := 1; i < len(v); i++ {
			b = k.put(b, uint64(v[i]-v[i-1]-p.least), p.width)
		}
		b = k.flush(b)
	case layDict:
		b = append(b, byte(len(p.dict)))
		b = AppendZigzag(b, p.dict[0])
		for i := 1; i < len(p.dict); i++ {
			b = binary.AppendUvarint(b, uint64(p.dict[i]-p.dict[i-1]))
		}
		var k packer
		for _, x := range v {
			at, _ := slices.BinarySearch(p.dict, x)
			b = k.put(b, uint64(at), p.width)
		}
		b = k.flush(b)
	}
	return b
}

// AppendZigzag writes one signed integer.
func AppendZigzag(b []byte, v int64) []byte { return binary.AppendUvarint(b, zigzag(v)) }

// packer writes values of a few bits each, least significant first; the last byte is
// filled with zeros.
type packer struct {
	acc  uint64
	have int
}

func (k *packer) put(b []byte, v uint64, width int) []byte {
	// have < 8 here and width ≤ 58, so at most 65 bits: the one that may fall off is kept.
	k.acc |= v << k.have
	over := k.have + width - 64
	k.have += width
	for k.have >= 8 {
		b = append(b, byte(k.acc))
		k.acc >>= 8
		if over > 0 {
			k.acc |= v >> (width - over) << 56
			over = 0
		}
		k.have -= 8
	}
	return b
}

func (k *packer) flush(b []byte) []byte {
	if k.have > 0 {
		b = append(b, byte(k.acc))
	}
	return b
}

// Reader takes a section apart. After the first failure Bad is set and only zeros come.
type Reader struct {
	B   []byte // what is left
	Bad bool
}

// Byte reads one byte.
func (r *Reader) Byte() byte {
	if len(r.B) == 0 {
		r.Bad = true
		return 0
	}
	c := r.B[0]
	r.B = r.B[1:]
	return c
}

// Uvarint reads an unsigned integer.
func (r *Reader) Uvarint() uint64 {
	u, n := binary.Uvarint(r.B)
	if n <= 0 {
		r.Bad, r.B = true, nil
		return 0
	}
	r.B = r.B[n:]
	return u
}

// Zigzag reads a signed integer.
func (r *Reader) Zigzag() int64 { return unzigzag(r.Uvarint()) }

// Count reads a length that may not exceed limit.
func (r *Reader) Count(limit int) int {
	u := r.Uvarint()
	if u > uint64(limit) {
		r.Bad, r.B = true, nil
		return 0
	}
	return int(u)
}

// Take cuts n bytes off.
func (r *Reader) Take(n int) []byte {
	if n < 0 || n > len(r.B) {
		r.Bad, r.B = true, nil
		return nil
	}
	b := r.B[:n:n]
	r.B = r.B[n:]
	return b
}

// Ints reads a column of n values into dst, which is grown if need be. The caller has
// bounded n. On failure all values are zero.
func (r *Reader) Ints(dst []int64, n int) []int64 {
	dst = Sized(dst, n)
	if n > 0 {
		r.Payload(dst, r.Byte())
	}
	return dst
}

// Payload reads a column of len(v) ≥ 1 values whose layout is known.
func (r *Reader) Payload(v []int64, layout byte) {
	switch layout {
	case layConst:
		x := r.Zigzag()
		for i := range v {
			v[i] = x
		}
	case layPlain:
		for i := range v {
			v[i] = r.Zigzag()
		}
	case layDelta:
		prev := int64(0)
		for i := range v {
			prev += r.Zigzag()
			v[i] = prev
		}
	case layRuns, layDeltaRuns:
		r.runs(v, layout == layDeltaRuns)
	case layPacked:
		least := r.Zigzag()
		r.unpack(v, int(r.Byte()))
		for i := range v {
			v[i] += least
		}
	case layDeltaPack:
		prev := r.Zigzag()
		least := r.Zigzag()
		v[0] = prev
		r.unpack(v[1:], int(r.Byte()))
		for i := 1; i < len(v); i++ {
			prev += v[i] + least
			v[i] = prev
		}
	case layDict:
		r.dict(v)
	default:
		r.Bad = true
	}
	if r.Bad {
		clear(v)
	}
}

func (r *Reader) runs(v []int64, delta bool) {
	prev := int64(0)
	for i := 0; i < len(v) && !r.Bad; {
		x := r.Zigzag()
		n := r.Count(len(v)-i-1) + 1
		for range n {
			if delta {
				prev += x
			} else {
				prev = x
			}
			v[i] = prev
			i++
		}
	}
}

func (r *Reader) dict(v []int64) {
	n := int(r.Byte())
	if n == 0 || n > maxDict {
		r.Bad = true
		return
	}
	var dict [maxDict]int64
	dict[0] = r.Zigzag()
	for i := 1; i < n; i++ {
		dict[i] = dict[i-1] + int64(r.Uvarint())
	}
	r.unpack(v, bits.Len64(uint64(n-1)))
	for i, at := range v {
		if at >= int64(n) {
			r.Bad = true
			return
		}
		v[i] = dict[at]
	}
}

func (r *Reader) unpack(v []int64, width int) {
	if width > maxPackedBits {
		r.Bad = true
		return
	}
	b := r.Take(packedSize(len(v), width))
	if r.Bad {
		return
	}
	mask := uint64(1)<<width - 1
	for i := range v {
		at := i * width
		u := uint64(0)
		if at/8+8 <= len(b) {
			u = binary.LittleEndian.Uint64(b[at/8:])
		} else {
			for j, c := range b[min(at/8, len(b)):] {
				u |= uint64(c) << (8 * j)
			}
		}
		u >>= at % 8
		if got := 64 - at%8; got < width {
			u |= uint64(b[at/8+8]) << got
		}
		v[i] = int64(u & mask)
	}
}

// Sized is s with length n, made anew if its room is too small; what it holds is not kept.
func Sized[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, n+n/4)
	}
	return s[:n]
}
