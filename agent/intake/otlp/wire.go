package otlp

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// field is one field of a message as it stands on the wire.
type field struct {
	number protowire.Number
	kind   protowire.Type
	value  uint64 // varint, fixed32, fixed64
	bytes  []byte
}

// each calls fn for the fields of a message; it is false when the bytes are not a message.
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
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(b)
			f.value = uint64(v)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(b)
		default: // groups were never part of OTLP
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

func (f field) isBytes(number protowire.Number) bool {
	return f.number == number && f.kind == protowire.BytesType
}

func (f field) isFixed(number protowire.Number) bool {
	return f.number == number && f.kind == protowire.Fixed64Type
}

func (f field) isVarint(number protowire.Number) bool {
	return f.number == number && f.kind == protowire.VarintType
}

func (f field) double() float64 { return math.Float64frombits(f.value) }

// numbers appends a repeated scalar, packed or not.
func (f field) numbers(dst []uint64, kind protowire.Type) ([]uint64, bool) {
	if f.kind == kind {
		return append(dst, f.value), true
	}
	if f.kind != protowire.BytesType {
		return dst, false
	}
	for b := f.bytes; len(b) > 0; {
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
		if len(dst) > maxBuckets+1 { // the reader will see that there are too many
			return dst, true
		}
	}
	return dst, true
}
