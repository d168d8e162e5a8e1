// Package dedupe remembers the newest ids of what was measured or late, so that what is
// sent twice counts once.
//
// Invariants: at most Limit ids, none older than Keep; the oldest goes first; memory grows
// and shrinks with the number held (28 bytes an id: 12 of the id, 8 of its time, 8 of index;
// 28 MB when full, nothing when empty). Ids are 96 bits of a hash: among a million the chance
// of one false duplicate is below 10^-17.
package dedupe

import (
	"encoding/binary"
)

// MEASURES, "Duplicates".
const (
	Limit = 1_000_000
	Keep  = int64(7 * 24 * 3600 * 1e9)
)

const chunkLen = 4096

type entry struct {
	id [12]byte
	at [8]byte // little endian, so that entries pack without padding
}

func (e *entry) time() int64 { return int64(binary.LittleEndian.Uint64(e.at[:])) }

// Set is the ids remembered. The zero value is empty.
type Set struct {
	chunks      []*[chunkLen]entry
	base        uint64   // sequence number of the first entry of chunks[0]
	first, next uint64   // entries first…next-1 are held
	index       []uint32 // open addressing: low bits of a sequence number + 1; 0 empty
	limit       uint64   // Limit unless a test says otherwise
}

// Len is how many ids are held.
func (s *Set) Len() int { return int(s.next - s.first) }

// Seen reports whether id was added within Keep before now.
func (s *Set) Seen(id [16]byte, now int64) bool {
	s.expire(now)
	if len(s.index) == 0 {
		return false
	}
	return s.index[s.find((*[12]byte)(id[:12]))] != 0
}

// Add remembers id, first received at now; it must not be held already.
func (s *Set) Add(id [16]byte, now int64) {
	s.expire(now)
	limit := s.limit
	if limit == 0 {
		limit = Limit
	}
	if s.next-s.first >= limit {
		s.drop()
	}
	s.append((*[12]byte)(id[:12]), now)
	if n := uint64(s.Len()); n*2 > uint64(len(s.index)) {
		s.rebuild(max(64, len(s.index)*2))
	} else {
		s.index[s.find((*[12]byte)(id[:12]))] = uint32(s.next-1) + 1
	}
}

func (s *Set) append(id *[12]byte, now int64) {
	if s.next == s.first {
		s.chunks, s.base = nil, s.next-s.next%chunkLen
	}
	s.add(id, now)
}

// add is append to a set that may be empty but knows its numbers.
func (s *Set) add(id *[12]byte, now int64) {
	at := s.next - s.base
	if at/chunkLen >= uint64(len(s.chunks)) {
		s.chunks = append(s.chunks, new([chunkLen]entry))
	}
	e := s.entry(s.next)
	e.id = *id
	binary.LittleEndian.PutUint64(e.at[:], uint64(now))
	s.next++
}

func (s *Set) entry(seq uint64) *entry {
	at := seq - s.base
	return &s.chunks[at/chunkLen][at%chunkLen]
}

// at is the entry an index cell names: the only held sequence number with these low bits.
func (s *Set) at(cell uint32) *entry {
	low := cell - 1
	return s.entry(s.first + uint64(low-uint32(s.first)))
}

func hash(id *[12]byte) uint64 { return binary.LittleEndian.Uint64(id[:8]) }

// find is the cell of id, or the empty cell where it would go.
func (s *Set) find(id *[12]byte) int {
	mask := uint64(len(s.index) - 1)
	for i := hash(id) & mask; ; i = (i + 1) & mask {
		if c := s.index[i]; c == 0 || s.at(c).id == *id {
			return int(i)
		}
	}
}

func (s *Set) expire(now int64) {
	for s.first < s.next && now-s.entry(s.first).time() > Keep {
		s.drop()
	}
	if n := s.Len(); n == 0 {
		s.chunks, s.index = nil, nil
	} else if n*16 < len(s.index) && len(s.index) > 64 {
		s.rebuild(len(s.index) / 4)
	}
}

// drop forgets the oldest id and closes the gap it leaves in the index (Knuth, TAOCP 6.4,
// algorithm R).
func (s *Set) drop() {
	mask := uint64(len(s.index) - 1)
	i := uint64(s.find(&s.entry(s.first).id))
	s.index[i] = 0
	for j := (i + 1) & mask; s.index[j] != 0; j = (j + 1) & mask {
		home := hash(&s.at(s.index[j]).id) & mask
		if (j-home)&mask >= (j-i)&mask {
			s.index[i], s.index[j] = s.index[j], 0
			i = j
		}
	}
	s.first++
	if s.first-s.base >= chunkLen {
		s.chunks[0] = nil
		s.chunks = s.chunks[1:]
		s.base += chunkLen
	}
}

func (s *Set) rebuild(size int) {
	s.index = make([]uint32, size)
	for seq := s.first; seq < s.next; seq++ {
		s.index[s.find(&s.entry(seq).id)] = uint32(seq) + 1
	}
}
