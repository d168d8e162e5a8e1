package wire

import (
	"bytes"
	"math"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// write is the message with these fields.
func write(fields []Field) (b []byte) {
	for _, f := range fields {
		b = protowire.AppendTag(b, f.Number, f.Kind)
		switch f.Kind {
		case protowire.VarintType:
			b = protowire.AppendVarint(b, f.Value)
		case protowire.Fixed64Type:
			b = protowire.AppendFixed64(b, f.Value)
		case protowire.Fixed32Type:
			b = protowire.AppendFixed32(b, uint32(f.Value))
		case protowire.BytesType:
			b = protowire.AppendBytes(b, f.Bytes)
		}
	}
	return b
}

func read(b []byte) (out []Field, ok bool) {
	ok = Each(b, func(f Field) bool {
		out = append(out, f)
		return true
	})
	return out, ok
}

func same(a, b Field) bool {
	return a.Number == b.Number && a.Kind == b.Kind && a.Value == b.Value && bytes.Equal(a.Bytes, b.Bytes)
}

var every = []Field{
	{Number: 1, Kind: protowire.VarintType, Value: math.MaxUint64},
	{Number: 2, Kind: protowire.Fixed64Type, Value: math.Float64bits(-1.5)},
	{Number: 3, Kind: protowire.Fixed32Type, Value: math.MaxUint32},
	{Number: 1<<29 - 1, Kind: protowire.BytesType, Bytes: []byte("text")},
	{Number: 1, Kind: protowire.BytesType, Bytes: []byte{}},
}

func TestEveryFieldIsGivenInOrder(t *testing.T) {
	b := write(every)
	got, ok := read(b)
	if !ok || !slices.EqualFunc(got, every, same) {
		t.Fatalf("%v %+v", ok, got)
	}
	if !got[3].IsBytes(1<<29-1) || got[3].IsVarint(1<<29-1) || got[3].IsFixed(1<<29-1) || got[3].IsBytes(1) ||
		!got[0].IsVarint(1) || !got[1].IsFixed(2) || got[2].IsFixed(3) || got[1].Double() != -1.5 {
		t.Error("a field is taken for another")
	}
	calls := 0
	if Each(b, func(Field) bool { calls++; return calls < 2 }) || calls != 2 {
		t.Errorf("%d fields were given after it was said to stop at the second", calls)
	}
	if _, ok := read(nil); !ok {
		t.Error("the empty message is one")
	}
}

// A message that was cut anywhere inside a field, a group, a field 0 and a kind nobody knows are none.
func TestWhatIsNoMessageIsRefused(t *testing.T) {
	b := write(every)
	whole := map[int]bool{0: true}
	for n := range every {
		whole[len(write(every[:n+1]))] = true
	}
	for n := range len(b) {
		if _, ok := read(b[:n]); ok != whole[n] {
			t.Errorf("cut after %d of %d bytes: read %v", n, len(b), ok)
		}
	}
	group := protowire.AppendTag(protowire.AppendTag(nil, 1, protowire.StartGroupType), 1, protowire.EndGroupType)
	for name, b := range map[string][]byte{"a group": group, "its end": group[1:], "field 0": {0x00, 0x01}, "kind 6": {0x0e}, "kind 7": {0x0f},
		"a varint of 11 bytes": append([]byte{0x08}, bytes.Repeat([]byte{0xff}, 11)...), "a length beyond the end": {0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f}} {
		if _, ok := read(b); ok {
			t.Errorf("%s is read", name)
		}
	}
}

func TestNumbersPackedAndNot(t *testing.T) {
	packed := Field{Kind: protowire.BytesType, Bytes: protowire.AppendVarint(protowire.AppendVarint(nil, 7), 300)}
	if got, ok := packed.Numbers([]uint64{1}, protowire.VarintType, 10); !ok || !slices.Equal(got, []uint64{1, 7, 300}) {
		t.Errorf("%v %v", got, ok)
	}
	fixed := Field{Kind: protowire.BytesType, Bytes: protowire.AppendFixed64(nil, 9)}
	if got, ok := fixed.Numbers(nil, protowire.Fixed64Type, 10); !ok || !slices.Equal(got, []uint64{9}) {
		t.Errorf("%v %v", got, ok)
	}
	single := Field{Kind: protowire.VarintType, Value: 5}
	if got, ok := single.Numbers(nil, protowire.VarintType, 10); !ok || !slices.Equal(got, []uint64{5}) {
		t.Errorf("%v %v", got, ok)
	}
	if _, ok := single.Numbers(nil, protowire.Fixed64Type, 10); ok {
		t.Error("a varint is taken for 64 bits")
	}
	if _, ok := (Field{Kind: protowire.BytesType, Bytes: fixed.Bytes[:7]}).Numbers(nil, protowire.Fixed64Type, 10); ok {
		t.Error("seven bytes are taken for 64 bits")
	}
	many := Field{Kind: protowire.BytesType, Bytes: make([]byte, 1000)}
	if got, ok := many.Numbers(nil, protowire.VarintType, 10); !ok || len(got) != 11 {
		t.Errorf("of a thousand numbers %d were kept where 10 are too many by one", len(got))
	}
}

// The library's own walk of a message judges what is one; what was read and written again is read the same.
func FuzzEach(f *testing.F) {
	f.Add(write(every))
	f.Add([]byte{0x0b, 0x0c})
	f.Add([]byte{0x08, 0x80, 0x00}) // a varint longer than it has to be
	f.Fuzz(func(t *testing.T, b []byte) {
		want := true
		for rest := b; len(rest) > 0; {
			_, kind, n := protowire.ConsumeField(rest)
			if n < 0 || kind == protowire.StartGroupType {
				want = false
				break
			}
			rest = rest[n:]
		}
		fields, ok := read(b)
		if ok != want {
			t.Fatalf("read %v, the library says %v", ok, want)
		}
		again, fine := read(write(fields))
		if !fine || !slices.EqualFunc(again, fields, same) {
			t.Fatalf("%+v was written and read as %+v", fields, again)
		}
	})
}
