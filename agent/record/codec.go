package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Limits of what Decode accepts: a record is one request, at most 500 KB of JSON or 4 MiB of OTLP.
const (
	maxItems  = 1 << 20
	maxString = 1 << 20
)

// ErrMalformed is wrapped by every error of Decode.
var ErrMalformed = errors.New("record is malformed")

const version = 1

// Append encodes r at the end of dst.
func Append(dst []byte, r *Record) []byte {
	w := writer{b: append(dst, version, byte(r.Kind))}
	w.int(r.Received)
	w.b = append(w.b, r.Catalog[:]...)
	w.bytes(r.Data)
	w.uint(uint64(len(r.Events)))
	for i := range r.Events {
		w.event(&r.Events[i], r.Received)
	}
	w.uint(uint64(len(r.Samples)))
	for i := range r.Samples {
		w.sample(&r.Samples[i], r.Received)
	}
	w.uint(uint64(len(r.Results)))
	for i := range r.Results {
		x := &r.Results[i]
		w.uint(uint64(x.Probe))
		w.int(x.Time - r.Received)
		w.int(x.Interval)
		w.flags(x.Up, x.Maintenance, false, false)
		w.int(x.Duration)
	}
	w.values(r.Facts)
	w.counts(r.RefusedEvents)
	w.counts(r.RefusedSamples)
	w.uint(r.Skewed)
	w.uint(r.ClockBack)
	return w.b
}

// Decode reads a record into r, reusing its slices; strings and slices do not alias b.
func Decode(b []byte, r *Record) error {
	if len(b) < 2 || b[0] != version {
		return fmt.Errorf("%w: version", ErrMalformed)
	}
	d := reader{b: b[2:]}
	*r = Record{Kind: Kind(b[1]), Events: r.Events[:0], Samples: r.Samples[:0], Results: r.Results[:0], Facts: r.Facts[:0], Data: r.Data[:0]}
	r.Received = d.int()
	d.copy(r.Catalog[:])
	r.Data = append(r.Data, d.bytes()...)
	for n := d.count(); n > 0 && d.err == nil; n-- {
		r.Events = append(r.Events, d.event(r.Received))
	}
	for n := d.count(); n > 0 && d.err == nil; n-- {
		r.Samples = append(r.Samples, d.sample(r.Received))
	}
	for n := d.count(); n > 0 && d.err == nil; n-- {
		var x Result
		x.Probe = d.uint16()
		x.Time = d.int() + r.Received
		x.Interval = d.int()
		f := d.byte()
		x.Up, x.Maintenance = f&1 != 0, f&2 != 0
		x.Duration = d.int()
		r.Results = append(r.Results, x)
	}
	for n := d.count(); n > 0 && d.err == nil; n-- {
		r.Facts = append(r.Facts, d.value())
	}
	r.RefusedEvents = d.counts()
	r.RefusedSamples = d.counts()
	r.Skewed = d.uint()
	r.ClockBack = d.uint()
	if d.err == nil && len(d.b) != 0 {
		d.fail("bytes at the end")
	}
	return d.err
}

type writer struct{ b []byte }

func (w *writer) uint(v uint64) { w.b = binary.AppendUvarint(w.b, v) }
func (w *writer) int(v int64)   { w.b = binary.AppendVarint(w.b, v) }
func (w *writer) bytes(v []byte) {
	w.uint(uint64(len(v)))
	w.b = append(w.b, v...)
}
func (w *writer) string(v string) {
	w.uint(uint64(len(v)))
	w.b = append(w.b, v...)
}
func (w *writer) float(v float64) { w.b = binary.LittleEndian.AppendUint64(w.b, math.Float64bits(v)) }
func (w *writer) flags(a, b, c, d bool) {
	var f byte
	for i, on := range [...]bool{a, b, c, d} {
		if on {
			f |= 1 << i
		}
	}
	w.b = append(w.b, f)
}
func (w *writer) counts(c Counts) {
	n := 0
	for i, v := range c {
		if v != 0 {
			n = i + 1
		}
	}
	w.uint(uint64(n))
	for _, v := range c[:n] {
		w.uint(v)
	}
}

func (w *writer) event(e *Event, received int64) {
	w.b = append(w.b, byte(e.Type))
	w.uint(uint64(e.Def))
	w.int(e.Time - received)
	w.string(e.User)
	w.flags(e.HasID, e.Previous != "", e.CreatedAt != 0, false)
	if e.HasID {
		w.b = append(w.b, e.MessageID[:]...)
	}
	if e.Previous != "" {
		w.string(e.Previous)
	}
	if e.CreatedAt != 0 {
		w.int(e.CreatedAt)
	}
	w.values(e.Properties)
}

func (w *writer) values(vs []Value) {
	w.uint(uint64(len(vs)))
	for _, v := range vs {
		w.uint(uint64(v.Property))
		w.uint(uint64(v.Index))
		w.int(v.Number.Mantissa)
		w.b = append(w.b, v.Number.Exponent)
	}
}

func (w *writer) sample(s *Sample, received int64) {
	w.uint(uint64(s.Metric))
	w.uint(uint64(len(s.Attributes)))
	for _, a := range s.Attributes {
		w.uint(uint64(a))
	}
	w.b = append(w.b, s.Stream[:]...)
	w.int(s.Time - received)
	w.int(s.Start)
	w.flags(s.Delta, false, false, false)
	w.float(s.Value)
	w.uint(s.Count)
	w.float(s.Sum)
	w.uint(uint64(len(s.Buckets)))
	for _, n := range s.Buckets {
		w.uint(n)
	}
}

type reader struct {
	b   []byte
	err error
}

func (d *reader) fail(what string) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s", ErrMalformed, what)
	}
	d.b = nil
}

func (d *reader) uint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail("a number")
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *reader) int() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail("a number")
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *reader) uint16() uint16 {
	v := d.uint()
	if v > math.MaxUint16 {
		d.fail("a position")
	}
	return uint16(v)
}

// count reads a number of items; each takes at least a byte, which bounds what is allocated.
func (d *reader) count() int {
	v := d.uint()
	if v > maxItems || v > uint64(len(d.b)) {
		d.fail("a count")
		return 0
	}
	return int(v)
}

func (d *reader) byte() byte {
	if len(d.b) == 0 {
		d.fail("a byte")
		return 0
	}
	v := d.b[0]
	d.b = d.b[1:]
	return v
}

func (d *reader) copy(dst []byte) {
	if len(d.b) < len(dst) {
		d.fail("an id")
		return
	}
	copy(dst, d.b)
	d.b = d.b[len(dst):]
}

func (d *reader) bytes() []byte {
	n := d.uint()
	if n > maxString || n > uint64(len(d.b)) {
		d.fail("a string")
		return nil
	}
	v := d.b[:n]
	d.b = d.b[n:]
	return v
}

func (d *reader) float() float64 {
	var b [8]byte
	d.copy(b[:])
	return math.Float64frombits(binary.LittleEndian.Uint64(b[:]))
}

func (d *reader) counts() (c Counts) {
	n := d.uint()
	if n > Reasons {
		d.fail("counts")
		return c
	}
	for i := range int(n) {
		c[i] = d.uint()
	}
	return c
}

func (d *reader) event(received int64) (e Event) {
	e.Type = Type(d.byte())
	e.Def = d.uint16()
	e.Time = d.int() + received
	e.User = string(d.bytes())
	f := d.byte()
	if e.HasID = f&1 != 0; e.HasID {
		d.copy(e.MessageID[:])
	}
	if f&2 != 0 {
		e.Previous = string(d.bytes())
	}
	if f&4 != 0 {
		e.CreatedAt = d.int()
	}
	if n := d.count(); n > 0 {
		e.Properties = make([]Value, 0, n)
		for ; n > 0 && d.err == nil; n-- {
			e.Properties = append(e.Properties, d.value())
		}
	}
	return e
}

func (d *reader) value() Value {
	v := Value{Property: d.uint16(), Index: d.uint16()}
	v.Number = Decimal{Mantissa: d.int(), Exponent: d.byte()}
	return v
}

func (d *reader) sample(received int64) (s Sample) {
	s.Metric = d.uint16()
	for n := d.count(); n > 0 && d.err == nil; n-- {
		s.Attributes = append(s.Attributes, d.uint16())
	}
	d.copy(s.Stream[:])
	s.Time = d.int() + received
	s.Start = d.int()
	s.Delta = d.byte()&1 != 0
	s.Value = d.float()
	s.Count = d.uint()
	s.Sum = d.float()
	for n := d.count(); n > 0 && d.err == nil; n-- {
		s.Buckets = append(s.Buckets, d.uint())
	}
	return s
}
