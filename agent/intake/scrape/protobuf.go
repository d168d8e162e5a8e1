package scrape

import (
	"bytes"
	"errors"
	"math"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

var errProtobuf = errors.New("the page is not a run of MetricFamily messages")

// field is one field of a message as it stands on the wire.
type field struct {
	number protowire.Number
	kind   protowire.Type
	value  uint64
	bytes  []byte
}

// each calls fn for the fields of a message; it is false when the bytes are not one or fn says so.
func each(b []byte, fn func(f field) bool) bool {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return false
		}
		b = b[n:]
		f := field{number: number, kind: kind}
		switch kind {
		case protowire.VarintType:
			f.value, n = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			f.value, n = protowire.ConsumeFixed64(b)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(number, kind, b)
		}
		if n < 0 {
			return false
		}
		if b = b[n:]; !fn(f) {
			return false
		}
	}
	return true
}

func (f field) is(number protowire.Number, kind protowire.Type) bool {
	return f.number == number && f.kind == kind
}

func (f field) double() float64 { return math.Float64frombits(f.value) }

// families reads delimited io.prometheus.client.MetricFamily messages.
type families struct {
	p   *page
	err error

	family []byte
	kind   kind
	labels []label
	parts  []reading // of one Metric
}

func (f *families) read(b []byte) error {
	for len(b) > 0 {
		one, n := protowire.ConsumeBytes(b) // a length, then as many bytes
		if n < 0 || !f.oneFamily(one) {
			if f.err != nil {
				return f.err
			}
			return errProtobuf
		}
		b = b[n:]
	}
	return nil
}

func (f *families) oneFamily(b []byte) bool {
	f.family, f.kind = nil, counter // the type's default value
	ok := each(b, func(x field) bool {
		switch {
		case x.is(1, protowire.BytesType):
			f.family = x.bytes
		case x.is(3, protowire.VarintType):
			f.kind = protoKind(x.value)
		}
		return true
	})
	if !ok || len(f.family) == 0 || !utf8.Valid(f.family) {
		return false
	}
	return each(b, func(x field) bool { return !x.is(4, protowire.BytesType) || f.metric(x.bytes) })
}

func protoKind(v uint64) kind {
	switch v {
	case 0:
		return counter
	case 1:
		return gauge
	case 2:
		return summary
	case 4:
		return histogram
	case 5:
		return gaugeHistogram
	}
	return untyped
}

// metric reads one Metric and hands its parts over.
func (f *families) metric(b []byte) bool {
	f.labels, f.parts = f.labels[:0], f.parts[:0]
	var at int64
	ok := each(b, func(x field) bool {
		if x.is(6, protowire.VarintType) {
			ms := int64(x.value)
			if ms > farthest || ms < -farthest {
				return false
			}
			at = ms * 1e6
			return true
		}
		if x.kind != protowire.BytesType {
			return true
		}
		switch x.number {
		case 1:
			return f.label(x.bytes)
		case 2, 5:
			return f.value(x.bytes, 0)
		case 3:
			return f.value(x.bytes, 3)
		case 4:
			return f.summary(x.bytes)
		case 7:
			return f.histogram(x.bytes)
		}
		return true
	})
	for i := 0; ok && i < len(f.parts); i++ {
		r := &f.parts[i]
		r.name, r.kind, r.labels, r.at = f.family, f.kind, f.labels, at
		if f.err = f.p.add(r); f.err != nil {
			return false
		}
	}
	return ok
}

func (f *families) part(p part, v float64) { f.parts = append(f.parts, reading{part: p, value: v}) }

func (f *families) label(b []byte) bool {
	var l label
	ok := each(b, func(x field) bool {
		switch {
		case x.is(1, protowire.BytesType):
			l.name = x.bytes
		case x.is(2, protowire.BytesType):
			l.value = x.bytes
		}
		return true
	})
	for i := range f.labels {
		ok = ok && !bytes.Equal(f.labels[i].name, l.name)
	}
	if len(f.labels) <= maxLabels {
		f.labels = append(f.labels, l)
	}
	return ok && utf8.Valid(l.name) && utf8.Valid(l.value)
}

// value reads a Gauge, Untyped or Counter; began is the field of the time it was created at.
func (f *families) value(b []byte, began protowire.Number) bool {
	v := 0.0
	ok := each(b, func(x field) bool {
		switch {
		case x.is(1, protowire.Fixed64Type):
			v = x.double()
		case began != 0 && x.is(began, protowire.BytesType):
			return f.created(x.bytes)
		}
		return true
	})
	f.part(whole, v)
	return ok
}

// created reads a Timestamp.
func (f *families) created(b []byte) bool {
	var s, ns int64
	ok := each(b, func(x field) bool {
		switch {
		case x.is(1, protowire.VarintType):
			s = int64(x.value)
		case x.is(2, protowire.VarintType):
			ns = int64(x.value)
		}
		return true
	})
	f.part(created, float64(s)+float64(ns)/1e9)
	return ok
}

func (f *families) summary(b []byte) bool {
	var n, total float64
	ok := each(b, func(x field) bool {
		switch {
		case x.is(1, protowire.VarintType):
			n = float64(x.value)
		case x.is(2, protowire.Fixed64Type):
			total = x.double()
		case x.is(4, protowire.BytesType):
			return f.created(x.bytes)
		}
		return true
	})
	f.part(count, n)
	f.part(sum, total)
	return ok
}

// histogram reads the classic part, and the sum and count of a native one.
func (f *families) histogram(b []byte) bool {
	var n, total float64
	ok := each(b, func(x field) bool {
		switch {
		case x.is(1, protowire.VarintType):
			n = float64(x.value)
		case x.is(4, protowire.Fixed64Type) && x.double() > 0:
			n = x.double()
		case x.is(2, protowire.Fixed64Type):
			total = x.double()
		case x.is(3, protowire.BytesType):
			return f.bucket(x.bytes)
		case x.is(15, protowire.BytesType):
			return f.created(x.bytes)
		}
		return true
	})
	f.part(count, n)
	f.part(sum, total)
	return ok
}

func (f *families) bucket(b []byte) bool {
	if len(f.parts) > maxFigures {
		f.err = errFigures
		return false
	}
	r := reading{part: bucket}
	ok := each(b, func(x field) bool {
		switch {
		case x.is(1, protowire.VarintType):
			r.value = float64(x.value)
		case x.is(4, protowire.Fixed64Type) && x.double() > 0:
			r.value = x.double()
		case x.is(2, protowire.Fixed64Type):
			r.upper = x.double()
		}
		return true
	})
	f.parts = append(f.parts, r)
	return ok
}
