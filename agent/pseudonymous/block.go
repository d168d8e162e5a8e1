//go:build pseudonymous

package pseudonymous

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"slices"
)

// pseudonym is who a row is about.
type pseudonym [16]byte

func (p pseudonym) String() string { return hex.EncodeToString(p[:]) }

// block is the rows of a block of four weeks. Packed, in the order of the pseudonyms, each is the pseudonym, the first
// block, the position of the trait's value plus one, and of each measure events and days.
type block struct {
	Start    int64    `json:"start"`
	Measures []string `json:"measures"`
	Values   []string `json:"values,omitempty"`
	People   int      `json:"people"`
	Packed   []byte   `json:"packed"`
}

// row is one person's.
type row struct {
	first   int64
	trait   string
	figures []figure // by position in block.Measures
}

type figure struct{ events, days uint64 }

func sorted(people map[pseudonym]*row) []pseudonym {
	return slices.SortedFunc(maps.Keys(people), func(a, b pseudonym) int { return bytes.Compare(a[:], b[:]) })
}

// open unpacks the rows. What does not unpack was not written here: those rows are left out.
func (b *block) open() map[pseudonym]*row {
	people := make(map[pseudonym]*row, b.People)
	in := bytes.NewReader(b.Packed)
	for in.Len() > 0 {
		var id pseudonym
		x := &row{figures: make([]figure, len(b.Measures))}
		if _, err := in.Read(id[:]); err != nil {
			break
		}
		first, err := binary.ReadVarint(in)
		x.first = first
		v, err2 := binary.ReadUvarint(in)
		if err != nil || err2 != nil || v > uint64(len(b.Values)) {
			break
		}
		if v > 0 {
			x.trait = b.Values[v-1]
		}
		for i := range x.figures {
			if x.figures[i].events, err = binary.ReadUvarint(in); err != nil {
				break
			}
			if x.figures[i].days, err = binary.ReadUvarint(in); err != nil {
				break
			}
		}
		if err != nil {
			break
		}
		people[id] = x
	}
	return people
}

// close packs them again.
func (b *block) close(people map[pseudonym]*row) {
	b.Values, b.People = nil, len(people)
	at := map[string]uint64{"": 0}
	for _, x := range people {
		if _, ok := at[x.trait]; !ok {
			b.Values = append(b.Values, x.trait)
			at[x.trait] = 1
		}
	}
	slices.Sort(b.Values)
	for i, v := range b.Values {
		at[v] = uint64(i + 1)
	}
	out := make([]byte, 0, len(people)*(24+4*len(b.Measures)))
	for _, id := range sorted(people) {
		x := people[id]
		out = append(out, id[:]...)
		out = binary.AppendVarint(out, x.first)
		out = binary.AppendUvarint(out, at[x.trait])
		for i := range b.Measures {
			var f figure
			if i < len(x.figures) {
				f = x.figures[i]
			}
			out = binary.AppendUvarint(out, f.events)
			out = binary.AppendUvarint(out, f.days)
		}
	}
	b.Packed = out
}
