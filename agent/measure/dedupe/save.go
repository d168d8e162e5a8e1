package dedupe

import (
	"fmt"

	"github.com/fieldpost/fieldpost/agent/measure/wire"
)

// block is how many ids are saved together, about 1 MB: only the newest block is written again.
const block = 16 * chunkLen

// Sections are the parts of the set that are saved, each by itself.
func (s *Set) Sections() (out []wire.Section) {
	out = append(out, wire.Section{Key: "ids", Write: func(w *wire.Writer) {
		w.Uint(s.first)
		w.Uint(s.next)
	}})
	for b := s.first / block; s.first < s.next && b <= (s.next-1)/block; b++ {
		// What was dropped from a block's beginning since it was written does not matter: Load skips it.
		out = append(out, wire.Section{Key: fmt.Sprintf("ids/%d", b), Versioned: true, Version: min(s.next, (b+1)*block), Write: func(w *wire.Writer) { s.save(w, b) }})
	}
	return out
}

func (s *Set) save(w *wire.Writer, b uint64) {
	from, to := max(s.first, b*block), min(s.next, (b+1)*block)
	w.Uint(from)
	w.Uint(to - from)
	last := int64(0)
	for seq := from; seq < to; seq++ {
		e := s.entry(seq)
		w.Raw(e.id[:])
		w.Int(e.time() - last)
		last = e.time()
	}
}

// Load replaces the set by a saved one; get gives a section by its key.
func (s *Set) Load(get func(key string) *wire.Reader) error {
	*s = Set{limit: s.limit}
	r := get("ids")
	first, next := r.Uint(), r.Uint()
	if next < first || next-first > Limit {
		r.Fail("more ids than are kept")
	}
	if err := r.End(); err != nil {
		return err
	}
	s.first, s.next, s.base = first, first, first-first%chunkLen
	for b := first / block; first < next && b <= (next-1)/block; b++ {
		r := get(fmt.Sprintf("ids/%d", b))
		s.load(r, first, min(next, (b+1)*block))
		if err := r.End(); err != nil {
			return err
		}
	}
	if s.next != next {
		return fmt.Errorf("%w: ids are missing", wire.ErrMalformed)
	}
	size := 64
	for size < 2*s.Len() {
		size *= 2
	}
	if s.Len() > 0 {
		s.rebuild(size)
	}
	return nil
}

func (s *Set) load(r *wire.Reader, first, until uint64) {
	seq, n := r.Uint(), r.Uint()
	if seq > max(first, s.next) || seq+n != until {
		r.Fail("ids that are not next")
		return
	}
	var at int64
	for ; seq < until && r.Err() == nil; seq++ {
		var id [12]byte
		r.Raw(id[:])
		at += r.Int()
		if seq >= first {
			s.add(&id, at)
		}
	}
}
