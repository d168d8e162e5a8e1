// Package wire walks protobuf messages as they stand on the wire, for the doors that read them:
// metrics and logs of OTLP, pages of metrics. It is for readers that want a few fields of many messages
// and keep none of them.
//
// Invariants: nothing is copied, a field's bytes are a part of the message; what is not a message is
// refused, never a panic; a group (which no format read here ever had) is refused; no message inside
// another is looked at before it is asked for. No state, none on disk.
package wire

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Field is one field of a message.
type Field struct {
	Number protowire.Number
	Kind   protowire.Type
	Value  uint64 // of a varint, fixed32 or fixed64
	Bytes  []byte // of what has a length: a part of the message
}

// Each calls fn for the fields of a message in order, until it says false. It is false when fn was, or when
// the bytes are no message; the fields before the fault have then been given to fn.
func Each(b []byte, fn func(f Field) bool) bool {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return false
		}
		b = b[n:]
		f := Field{Number: number, Kind: kind}
		switch kind {
		case protowire.VarintType:
			f.Value, n = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			f.Value, n = protowire.ConsumeFixed64(b)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(b)
			f.Value = uint64(v)
		case protowire.BytesType:
			f.Bytes, n = protowire.ConsumeBytes(b)
		default:
			return false
		}
		if n < 0 {
			return false
		}
		b = b[n:]
		if !fn(f) {
			return false
		}
	}
	return true
}

// IsBytes says that it is that field and has a length: a text, bytes, a message, packed numbers.
func (f Field) IsBytes(number protowire.Number) bool {
	return f.Number == number && f.Kind == protowire.BytesType
}

// IsFixed says that it is that field, of 64 bits.
func (f Field) IsFixed(number protowire.Number) bool {
	return f.Number == number && f.Kind == protowire.Fixed64Type
}

// IsVarint says that it is that field, a varint.
func (f Field) IsVarint(number protowire.Number) bool {
	return f.Number == number && f.Kind == protowire.VarintType
}

// Double is the number of a field of 64 bits.
func (f Field) Double() float64 { return math.Float64frombits(f.Value) }

// Numbers appends a repeated scalar, packed or not, of varints or 64 bits. It stops behind most of them in all,
// so that the reader sees that there are too many and nothing grows without bound.
func (f Field) Numbers(dst []uint64, kind protowire.Type, most int) ([]uint64, bool) {
	if f.Kind == kind {
		return append(dst, f.Value), true
	}
	if f.Kind != protowire.BytesType {
		return dst, false
	}
	for b := f.Bytes; len(b) > 0; {
		var v uint64
		var n int
		if kind == protowire.VarintType {
			v, n = protowire.ConsumeVarint(b)
		} else {
			v, n = protowire.ConsumeFixed64(b)
		}
		if n < 0 {
			return dst, false
		}
		dst, b = append(dst, v), b[n:]
		if len(dst) > most {
			return dst, true
		}
	}
	return dst, true
}
