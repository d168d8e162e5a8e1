// Package wire writes and reads the bytes of a checkpoint: varints, strings and floats, one
// after the other, without names.
//
// Invariants: the same calls give the same bytes; a Reader never allocates more than the
// bytes it was given allow, and after the first error it gives zero values only.
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

// ErrMalformed is wrapped by every error of a Reader.
var ErrMalformed = errors.New("checkpoint is malformed")

// Writer appends to B.
type Writer struct{ B []byte }

// Uint appends v.
func (w *Writer) Uint(v uint64) { w.B = binary.AppendUvarint(w.B, v) }

// Int appends v.
func (w *Writer) Int(v int64) { w.B = binary.AppendVarint(w.B, v) }

// Float appends v.
func (w *Writer) Float(v float64) { w.B = binary.LittleEndian.AppendUint64(w.B, math.Float64bits(v)) }

// String appends v with its length.
func (w *Writer) String(v string) { w.Uint(uint64(len(v))); w.B = append(w.B, v...) }

// Bytes appends v with its length.
func (w *Writer) Bytes(v []byte) { w.Uint(uint64(len(v))); w.B = append(w.B, v...) }

// Raw appends v without its length.
func (w *Writer) Raw(v []byte) { w.B = append(w.B, v...) }

// Bool appends v.
func (w *Writer) Bool(v bool) {
	if v {
		w.B = append(w.B, 1)
	} else {
		w.B = append(w.B, 0)
	}
}

// Section is a part of a state that is saved by itself, under a key of its own.
type Section struct {
	Key string
	// Version changes whenever what Write writes does, as long as the state lives; a loaded state
	// begins anew. Without Versioned nobody counts, and only the bytes tell.
	Versioned bool
	Version   uint64
	Dense     bool // nothing is gained by compressing what Write writes
	Write     func(*Writer)
}

// Reader reads what a Writer wrote. Strings and bytes are copies.
type Reader struct {
	b   []byte
	err error
}

// NewReader reads b.
func NewReader(b []byte) *Reader { return &Reader{b: b} }

// Fail records the first error.
func (r *Reader) Fail(what string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s", ErrMalformed, what)
	}
	r.b = nil
}

// Err is the first error.
func (r *Reader) Err() error { return r.err }

// End is the first error, also when something is left to read.
func (r *Reader) End() error {
	if r.err == nil && len(r.b) > 0 {
		r.Fail("bytes at the end")
	}
	return r.err
}

// Left is how many bytes were not read yet.
func (r *Reader) Left() int { return len(r.b) }

// Peek is all that is left, which are the Reader's bytes and stay to be read.
func (r *Reader) Peek() []byte { return r.b }

// Uint reads a number.
func (r *Reader) Uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.Fail("a number")
		return 0
	}
	r.b = r.b[n:]
	return v
}

// Int reads a signed number.
func (r *Reader) Int() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.Fail("a number")
		return 0
	}
	r.b = r.b[n:]
	return v
}

// Count reads a number of items of at least one byte each.
func (r *Reader) Count() int {
	v := r.Uint()
	if v > uint64(len(r.b)) {
		r.Fail("a count")
		return 0
	}
	return int(v)
}

// Below reads a number smaller than n.
func (r *Reader) Below(n int) int {
	v := r.Uint()
	if v >= uint64(n) {
		r.Fail("a position")
		return 0
	}
	return int(v)
}

// Float reads a float.
func (r *Reader) Float() float64 {
	var b [8]byte
	r.Raw(b[:])
	return math.Float64frombits(binary.LittleEndian.Uint64(b[:]))
}

// Raw fills dst.
func (r *Reader) Raw(dst []byte) {
	if len(r.b) < len(dst) {
		r.Fail("bytes")
		return
	}
	copy(dst, r.b)
	r.b = r.b[len(dst):]
}

// Bytes reads bytes with their length.
func (r *Reader) Bytes() []byte {
	n := r.Count()
	v := append([]byte(nil), r.b[:n]...)
	r.b = r.b[n:]
	return v
}

// Take is the next n bytes, which are the Reader's.
func (r *Reader) Take(n int) []byte {
	if n > len(r.b) {
		r.Fail("bytes")
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

// Rest is all that is left, which are the bytes the Reader was given.
func (r *Reader) Rest() []byte {
	v := slices.Clip(r.b)
	r.b = nil
	return v
}

// String reads a string.
func (r *Reader) String() string {
	n := r.Count()
	v := string(r.b[:n])
	r.b = r.b[n:]
	return v
}

// Bool reads a bool.
func (r *Reader) Bool() bool {
	var b [1]byte
	r.Raw(b[:])
	if b[0] > 1 {
		r.Fail("a yes or no")
	}
	return b[0] == 1
}
