package series

import (
	"errors"
	"math"
	"slices"

	"github.com/DataDog/sketches-go/ddsketch/encoding"
)

// DDSketch (Masson, Rim, Lee: DDSketch, VLDB 2019) with relative accuracy 0.01, logarithmic
// mapping, collapsing the lowest of 2,048 bins. Only the encoding is the library's: its sketch
// brings protobuf's reflection along, a tenth of the agent's program and memory. That the bytes and
// the quantiles are the library's own is tested against it.
const (
	accuracy = 0.01
	gamma    = (1 + accuracy) / (1 - accuracy)
	maxBins  = 2048
	zeroBin  = math.MinInt32
)

// The values a bin exists for: normal floating-point numbers whose bin's bounds are numbers too.
const (
	minIndexable = 0x1p-1022 * gamma
	expOverflow  = 7.094361393031e+02
)

// Bins finds the bin of a value.
type Bins struct{ multiplier, largest float64 }

// NewBins returns the mapping of MEASURES.
func NewBins() *Bins {
	g := float64(gamma)
	return &Bins{multiplier: 1 / math.Log(g), largest: math.Exp(expOverflow) / (2 * g) * (g + 1)}
}

// Of is the bin of v: its index doubled, odd for negative values.
func (b *Bins) Of(v float64) int32 {
	a := math.Abs(v)
	switch {
	case a < minIndexable:
		return zeroBin
	case v < 0:
		return b.index(a)*2 + 1
	}
	return b.index(a) * 2
}

func (b *Bins) index(a float64) int32 {
	i := math.Log(min(a, b.largest)) * b.multiplier
	if i >= 0 {
		return int32(i)
	}
	return int32(i) - 1
}

// value stands for all values of a bin.
func (b *Bins) value(index int32) float64 {
	return math.Exp(float64(index)/b.multiplier) * (1 + (1 - 2/(1+float64(gamma))))
}

// Dist is a distribution: how many, their exact sum, and how many in each bin.
type Dist struct {
	Count uint64
	Sum   Fixed
	Bins  map[int32]uint64
}

// Add counts n values of one bin, which sum to sum.
func (d *Dist) Add(bin int32, n uint64, sum Fixed) {
	if d.Bins == nil {
		d.Bins = make(map[int32]uint64)
	}
	d.Count += n
	d.Bins[bin] += n
	d.Sum = d.Sum.Add(sum)
}

// bin is one bin of one side of zero.
type bin struct {
	index int32
	count float64
}

// side is the bins on one side of zero, ascending.
type side []bin

// Encode is the sketch in DDSketch's own encoding, mapping included. It does not depend on the
// order in which values arrived.
func (d *Dist) Encode() []byte {
	var out []byte
	var positive, negative side
	for k, n := range d.Bins {
		switch {
		case k == zeroBin:
			encoding.EncodeFlag(&out, encoding.FlagZeroCountVarFloat)
			encoding.EncodeVarfloat64(&out, float64(n))
		case k&1 != 0:
			negative = append(negative, bin{(k - 1) / 2, float64(n)})
		default:
			positive = append(positive, bin{k / 2, float64(n)})
		}
	}
	encoding.EncodeFlag(&out, encoding.FlagIndexMappingBaseLogarithmic)
	encoding.EncodeFloat64LE(&out, gamma)
	encoding.EncodeFloat64LE(&out, 0)
	positive.collapse().encode(&out, encoding.FlagTypePositiveStore)
	negative.collapse().encode(&out, encoding.FlagTypeNegativeStore)
	return out
}

// collapse sorts the bins and takes those that are too low together into the lowest there may be.
func (s side) collapse() side {
	if len(s) == 0 {
		return nil
	}
	slices.SortFunc(s, func(a, b bin) int { return int(a.index) - int(b.index) })
	lowest := s[len(s)-1].index - maxBins + 1
	low := bin{index: lowest}
	for len(s) > 0 && s[0].index <= lowest {
		low.count += s[0].count
		s = s[1:]
	}
	if low.count > 0 {
		s = append(side{low}, s...)
	}
	return s
}

// encode chooses the shorter of the two forms: every bin of the range, or those that are not empty.
func (s side) encode(out *[]byte, t encoding.FlagType) {
	if len(s) == 0 {
		return
	}
	first, span := int64(s[0].index), int64(s[len(s)-1].index)-int64(s[0].index)+1
	dense := encoding.Uvarint64Size(uint64(span)) + encoding.Varint64Size(first) + encoding.Varint64Size(1)
	sparse := encoding.Uvarint64Size(uint64(len(s)))
	for i, b := range s {
		n := encoding.Varfloat64Size(b.count)
		dense += n
		sparse += n + encoding.Varint64Size(int64(b.index)-int64(s[max(0, i-1)].index))
	}
	dense += int(span) - len(s) // an empty bin takes a byte
	if dense > sparse {
		encoding.EncodeFlag(out, encoding.NewFlag(t, encoding.BinEncodingIndexDeltasAndCounts))
		encoding.EncodeUvarint64(out, uint64(len(s)))
		before := int64(0)
		for _, b := range s {
			encoding.EncodeVarint64(out, int64(b.index)-before)
			encoding.EncodeVarfloat64(out, b.count)
			before = int64(b.index)
		}
		return
	}
	encoding.EncodeFlag(out, encoding.NewFlag(t, encoding.BinEncodingContiguousCounts))
	encoding.EncodeUvarint64(out, uint64(span))
	encoding.EncodeVarint64(out, first)
	encoding.EncodeVarint64(out, 1)
	for at := s[0].index; len(s) > 0; at++ {
		n := 0.0
		if s[0].index == at {
			n, s = s[0].count, s[1:]
		}
		encoding.EncodeVarfloat64(out, n)
	}
}

// sketch is what Encode has written.
type sketch struct {
	zero               float64
	positive, negative side
}

// Quantiles reads an encoded sketch: the value at each q, lower nearest rank; nil when it
// is empty or no sketch of Encode's.
func Quantiles(blob []byte, qs ...float64) []float64 {
	s, err := decode(blob)
	if err != nil {
		return nil
	}
	negative, positive := s.negative.total(), s.positive.total()
	count := s.zero + negative + positive
	if count == 0 {
		return nil
	}
	b := NewBins()
	out := make([]float64, len(qs))
	for i, q := range qs {
		if q < 0 || q > 1 {
			return nil
		}
		rank := math.Floor(float64(q * (count - 1))) // the lower nearest rank; the conversion forbids fused arithmetic, which differs by machine
		switch {
		case rank < negative:
			out[i] = -b.value(s.negative.at(negative - 1 - rank))
		case rank >= s.zero+negative:
			out[i] = b.value(s.positive.at(rank - s.zero - negative))
		}
	}
	return out
}

func (s side) total() (n float64) {
	for _, b := range s {
		n += b.count
	}
	return n
}

// at is the index of the bin that holds a rank.
func (s side) at(rank float64) (index int32) {
	n := 0.0
	for _, b := range s {
		index = b.index
		if n += b.count; n > max(rank, 0) {
			break
		}
	}
	return index
}

var errNotOurs = errors.New("not a sketch of this mapping")

func decode(b []byte) (s sketch, err error) {
	mapped := false
	for len(b) > 0 && err == nil {
		var f encoding.Flag
		if f, err = encoding.DecodeFlag(&b); err != nil {
			break
		}
		switch {
		case f == encoding.FlagZeroCountVarFloat:
			s.zero, err = encoding.DecodeVarfloat64(&b)
		case f == encoding.FlagIndexMappingBaseLogarithmic:
			mapped, err = decodeMapping(&b)
		case f.Type() == encoding.FlagTypePositiveStore:
			s.positive, err = decodeSide(&b, f.SubFlag())
		case f.Type() == encoding.FlagTypeNegativeStore:
			s.negative, err = decodeSide(&b, f.SubFlag())
		default:
			err = errNotOurs
		}
	}
	if err == nil && !mapped {
		err = errNotOurs
	}
	return s, err
}

func decodeMapping(b *[]byte) (bool, error) {
	g, err := encoding.DecodeFloat64LE(b)
	if err != nil {
		return false, err
	}
	offset, err := encoding.DecodeFloat64LE(b)
	if err == nil && (g != gamma || offset != 0) {
		err = errNotOurs
	}
	return true, err
}

func decodeSide(b *[]byte, form encoding.SubFlag) (side, error) {
	n, err := encoding.DecodeUvarint64(b)
	if err != nil {
		return nil, err
	}
	dense := form == encoding.BinEncodingContiguousCounts
	if n > maxBins || !dense && form != encoding.BinEncodingIndexDeltasAndCounts {
		return nil, errNotOurs
	}
	index, step := int64(0), int64(0)
	if dense {
		if index, err = encoding.DecodeVarint64(b); err != nil {
			return nil, err
		}
		if step, err = encoding.DecodeVarint64(b); err != nil {
			return nil, err
		}
		index -= step
	}
	s := make(side, 0, n)
	for range n {
		if !dense {
			if step, err = encoding.DecodeVarint64(b); err != nil {
				return nil, err
			}
		}
		count, err := encoding.DecodeVarfloat64(b)
		if err != nil {
			return nil, err
		}
		index += step
		if index != int64(int32(index)) || len(s) > 0 && step < 1 || !(count >= 0) {
			return nil, errNotOurs
		}
		s = append(s, bin{int32(index), count})
	}
	return s, nil
}
