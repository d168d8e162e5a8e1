// Package dense writes columns of numbers in few bits, for what a checkpoint holds by the million: who did
// something on a day, how often, when.
//
// A column is at most Most numbers, written as distances from the smallest or the largest of them in Rice codes
// (Rice and Plaunt, Adaptive Variable-Length Coding, 1971): the low k bits as they are, the rest in unary,
// which is within a few percent of the best there is for gaps between those picked at random. k is the one that takes
// least room for the column. A number far from all others costs its length and 26 bits, not more.
//
// Invariants: the same numbers give the same bytes; what Append wrote Read gives back; Read takes exactly
// the column's bytes, and gives Most numbers at most whatever stands there. There are no states on disk.
package dense

import (
	"encoding/binary"
	"math/bits"

	"github.com/fieldpost/fieldpost/agent/measure/wire"
)

// Most is how many numbers a column holds at most: enough that what stands before them does not count, and few
// enough that damaged bytes cannot ask for much memory.
const Most = 4096

const (
	equal  = 0x80 // in the first byte: all numbers are the base
	down   = 0x40 // they are the base less what is written
	far    = 20   // so many ones: a length and a whole number follow
	length = 6    // bits of that length, less one
)

// Append writes a column of at most Most numbers.
func Append(w *wire.Writer, vs []uint64) {
	if len(vs) > Most {
		panic("dense: a column is too long")
	}
	lo, hi := ^uint64(0), uint64(0)
	for _, v := range vs {
		lo, hi = min(lo, v), max(hi, v)
	}
	if lo >= hi { // also when there is none
		w.Raw([]byte{equal})
		w.Uint(hi)
		return
	}
	var above, below [65]int // how many have distances of so many bits
	for _, v := range vs {
		above[bits.Len64(v-lo)]++
		below[bits.Len64(hi-v)]++
	}
	k, cost := best(&above)
	mode, base := byte(k), lo
	if kd, c := best(&below); c < cost {
		mode, base, k = byte(kd)|down, hi, kd
	}
	w.Raw([]byte{mode})
	w.Uint(base)
	out := packer{b: w.B}
	for _, v := range vs {
		d := v - base
		if mode&down != 0 {
			d = base - v
		}
		out.rice(d, k)
	}
	w.B = out.done()
}

// best is the k that takes least room, and that room in bits, taking each distance for the middle of those as
// long.
func best(of *[65]int) (k int, cost uint64) {
	cost = ^uint64(0)
	for try := range 58 {
		c := uint64(0)
		for l, n := range of {
			if n == 0 {
				continue
			}
			middle := uint64(0)
			if l > 0 {
				middle = 1<<(l-1) + 1<<(l-1)/2
			}
			each := uint64(far + length + l)
			if q := middle >> try; q < far {
				each = q + 1 + uint64(try)
			}
			c += uint64(n) * each
		}
		if c < cost {
			k, cost = try, c
		}
	}
	return k, cost
}

// packer collects bits, the lowest first.
type packer struct {
	b   []byte
	acc uint64
	n   int // bits in acc, below 8 between two calls
}

// put appends the n low bits of v, which has no others; n is at most 56.
func (p *packer) put(v uint64, n int) {
	p.acc |= v << p.n
	for p.n += n; p.n >= 8; p.n -= 8 {
		p.b = append(p.b, byte(p.acc))
		p.acc >>= 8
	}
}

func (p *packer) rice(d uint64, k int) {
	q := d >> k
	if q < far {
		p.put(1<<q-1, int(q)+1)
		d &= 1<<k - 1
	} else {
		k = max(bits.Len64(d), 1)
		p.put(1<<far-1, far)
		p.put(uint64(k-1), length)
	}
	if k > 32 {
		p.put(d&(1<<32-1), 32)
		d, k = d>>32, k-32
	}
	p.put(d, k)
}

func (p *packer) done() []byte {
	if p.n > 0 {
		p.b = append(p.b, byte(p.acc))
	}
	return p.b
}

// Read fills dst, of at most Most numbers, with a column of as many. After an error of r it is zeros.
func Read(r *wire.Reader, dst []uint64) {
	var mode [1]byte
	r.Raw(mode[:])
	base := r.Uint()
	k := int(mode[0] &^ (equal | down))
	switch {
	case len(dst) > Most:
		r.Fail("a column that is too long")
	case mode[0]&equal != 0 && mode[0] != equal, k >= 58:
		r.Fail("a column")
	}
	if r.Err() != nil {
		clear(dst)
		return
	}
	if mode[0] == equal {
		for i := range dst {
			dst[i] = base
		}
		return
	}
	in := unpacker{b: r.Peek()}
	for i := range dst {
		dst[i] = in.rice(k)
	}
	used := in.used()
	if used > len(in.b) {
		r.Fail("a column")
		clear(dst)
		return
	}
	r.Take(used)
	if mode[0]&down != 0 {
		for i, d := range dst {
			dst[i] = base - d
		}
		return
	}
	for i := range dst {
		dst[i] += base
	}
}

// unpacker reads bits; behind the end it reads zeros.
type unpacker struct {
	b   []byte
	at  int // of the next byte for acc, perhaps behind the end
	acc uint64
	n   int // bits in acc
}

// fill makes n at least 56.
func (u *unpacker) fill() {
	if u.at+8 <= len(u.b) {
		u.acc |= binary.LittleEndian.Uint64(u.b[u.at:]) << u.n
		u.at += (63 - u.n) >> 3
		u.n |= 56
		return
	}
	for ; u.n < 56; u.n += 8 {
		if u.at < len(u.b) {
			u.acc |= uint64(u.b[u.at]) << u.n
		}
		u.at++
	}
}

// take is the next n bits, at most 32.
func (u *unpacker) take(n int) uint64 {
	if u.n < n {
		u.fill()
	}
	v := u.acc & (1<<n - 1)
	u.acc >>= n
	u.n -= n
	return v
}

func (u *unpacker) rice(k int) uint64 {
	if u.n < 32 {
		u.fill()
	}
	q := bits.TrailingZeros64(^u.acc)
	high := uint64(q)
	if q < far {
		u.acc >>= q + 1
		u.n -= q + 1
	} else {
		u.acc >>= far
		u.n -= far
		k, high = int(u.take(length))+1, 0
	}
	if k > 32 {
		low := u.take(32)
		return high<<k | u.take(k-32)<<32 | low
	}
	return high<<k | u.take(k)
}

// used is how many bytes were begun.
func (u *unpacker) used() int { return u.at - u.n/8 }
