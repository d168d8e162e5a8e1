package otlp

import (
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/fieldpost/fieldpost/agent/intake/wire"
)

// point is one data point of any kind, as it was sent.
type point struct {
	raw            []byte
	attributeField protowire.Number
	attributes     int
	badText        bool

	start, time uint64
	flags       uint64
	valued      bool // a gauge or sum has its value
	value       float64
	count       uint64
	sum         float64
	counts      []uint64 // histogram; exponential: positive, then negative from split on
	bounds      []uint64 // histogram: bits of float64

	scale                          int64
	zeroCount                      uint64
	zeroThreshold                  float64
	positiveOffset, negativeOffset int64
	split                          int
	malformedBuckets, negativeSeen bool
}

// read takes the fields of a point of the kind that stands in Metric's field of that number.
func (p *point) read(sent protowire.Number, b []byte) bool {
	p.raw, p.attributeField = b, 7
	one := p.number
	switch sent {
	case histogram:
		p.attributeField, one = 9, p.explicit
	case exponential:
		p.attributeField, one = 1, p.exponential
	}
	return wire.Each(b, func(f wire.Field) bool {
		switch {
		case f.IsBytes(p.attributeField):
			p.attributes++
			return p.checkText(f.Bytes)
		case f.IsFixed(2):
			p.start = f.Value
		case f.IsFixed(3):
			p.time = f.Value
		default:
			return one(f)
		}
		return true
	})
}

// checkText looks at a KeyValue's texts.
func (p *point) checkText(b []byte) bool {
	return wire.Each(b, func(f wire.Field) bool {
		switch {
		case f.IsBytes(1):
			p.badText = p.badText || !validText(f.Bytes)
		case f.IsBytes(2):
			return wire.Each(f.Bytes, func(f wire.Field) bool {
				if f.IsBytes(1) {
					p.badText = p.badText || !validText(f.Bytes)
				}
				return true
			})
		}
		return true
	})
}

func (p *point) number(f wire.Field) bool {
	switch {
	case f.IsFixed(4):
		p.value, p.valued = f.Double(), true
	case f.IsFixed(6):
		p.value, p.valued = float64(int64(f.Value)), true
	case f.IsVarint(8):
		p.flags = f.Value
	}
	return true
}

func (p *point) explicit(f wire.Field) (ok bool) {
	ok = true
	switch {
	case f.IsFixed(4):
		p.count = f.Value
	case f.IsFixed(5):
		p.sum = f.Double()
	case f.Number == 6:
		p.counts, ok = f.Numbers(p.counts, protowire.Fixed64Type, maxBuckets)
	case f.Number == 7:
		p.bounds, ok = f.Numbers(p.bounds, protowire.Fixed64Type, maxBuckets)
	case f.IsVarint(10):
		p.flags = f.Value
	}
	return ok
}

func (p *point) exponential(f wire.Field) (ok bool) {
	switch {
	case f.IsFixed(4):
		p.count = f.Value
	case f.IsFixed(5):
		p.sum = f.Double()
	case f.IsVarint(6):
		p.scale = protowire.DecodeZigZag(f.Value)
	case f.IsFixed(7):
		p.zeroCount = f.Value
	case f.IsBytes(8):
		if p.negativeSeen || p.split > 0 { // the reader keeps the positive ones in front
			p.malformedBuckets = true
			return true
		}
		p.positiveOffset, ok = p.bucketRange(f.Bytes)
		p.split = len(p.counts)
		return ok
	case f.IsBytes(9):
		p.negativeSeen = true
		p.negativeOffset, ok = p.bucketRange(f.Bytes)
		return ok
	case f.IsVarint(10):
		p.flags = f.Value
	case f.IsFixed(14):
		p.zeroThreshold = f.Double()
	}
	return true
}

// bucketRange reads the Buckets message and appends its counts.
func (p *point) bucketRange(b []byte) (offset int64, ok bool) {
	ok = wire.Each(b, func(f wire.Field) (ok bool) {
		ok = true
		switch {
		case f.IsVarint(1):
			offset = protowire.DecodeZigZag(f.Value)
		case f.Number == 2:
			p.counts, ok = f.Numbers(p.counts, protowire.VarintType, maxBuckets)
		}
		return ok
	})
	return offset, ok
}

// shape says what makes a point malformed.
func (p *point) shape(sent protowire.Number) string {
	switch sent {
	case gauge, sum:
		if !p.valued {
			return "a point has no value"
		}
		return ""
	case histogram:
		rising := true
		for i, b := range p.bounds {
			f := math.Float64frombits(b)
			rising = rising && !math.IsNaN(f) && (i == 0 || f > math.Float64frombits(p.bounds[i-1]))
		}
		if !rising || len(p.counts) != 0 && len(p.counts) != len(p.bounds)+1 || len(p.counts) == 0 && len(p.bounds) != 0 {
			return "a histogram's buckets do not fit its bounds"
		}
		if len(p.counts) == 0 {
			return ""
		}
	case exponential:
		const far = 1 << 40 // beyond any float64 at the finest scale
		if p.malformedBuckets || p.scale < -20 || p.scale > 30 || math.IsNaN(p.zeroThreshold) || p.zeroThreshold < 0 ||
			max(p.positiveOffset, -p.positiveOffset, p.negativeOffset, -p.negativeOffset) > far {
			return "an exponential histogram's buckets make no sense"
		}
	default:
		return ""
	}
	total := p.zeroCount
	for _, n := range p.counts {
		if total+n < total {
			return "a histogram's counts overflow"
		}
		total += n
	}
	if total != p.count {
		return "a histogram's buckets do not add up to its count"
	}
	return ""
}

// merge adds the buckets of a point to those of the catalog's bounds.
func (r *reader) merge(m *metric, p *point) {
	from := len(r.buckets)
	for range len(m.def.Bounds) + 1 {
		r.buckets = append(r.buckets, 0)
	}
	to := r.buckets[from:]
	add := func(upper float64, n uint64) {
		i, _ := slices.BinarySearch(m.def.Bounds, upper)
		to[i] += n
	}
	switch {
	case m.sent == exponential:
		// Bucket i holds (base^i, base^(i+1)], base = 2^(2^-scale); negative ones mirror it.
		power := func(i int64) float64 { return math.Exp2(math.Ldexp(float64(i), -int(p.scale))) }
		for i, n := range p.counts {
			if i < p.split {
				add(power(p.positiveOffset+int64(i)+1), n)
			} else {
				add(-power(p.negativeOffset+int64(i-p.split)), n)
			}
		}
		add(p.zeroThreshold, p.zeroCount)
	case len(p.counts) == 0:
		to[len(to)-1] = p.count
	default:
		for i, n := range p.counts {
			if i < len(p.bounds) {
				add(math.Float64frombits(p.bounds[i]), n)
			} else {
				to[len(to)-1] += n
			}
		}
	}
}
