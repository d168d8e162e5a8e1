package dedupe

import (
	"fmt"

	"github.com/fieldpost/fieldpost/agent/measure/dense"
	"github.com/fieldpost/fieldpost/agent/measure/wire"
)

// block is how many ids are saved together, about 800 KB: only the newest block is written again.
const block = 16 * chunkLen

// Sections are the parts of the set that are saved, each by itself.
func (s *Set) Sections() (out []wire.Section) {
	out = append(out, wire.Section{Key: "ids", Write: func(w *wire.Writer) {
		w.Uint(s.first)
		w.Uint(s.next)
	}})
	for b := s.first / block; s.first < s.next && b <= (s.next-1)/block; b++ {
		// What was dropped from a block's beginning since it was written does not matter: Load skips it.
		out = append(out, wire.Section{Key: fmt.Sprintf("ids/%d", b), Versioned: true, Version: min(s.next, (b+1)*block), Dense: true, Write: func(w *wire.Writer) { s.save(w, b) }})
	}
	return out
}

func (s *Set) save(w *wire.Writer, b uint64) {
	from, to := max(s.first, b*block), min(s.next, (b+1)*block)
	w.Uint(from)
	w.Uint(to - from)
	last, times := int64(0), make([]uint64, 0, dense.Most)
	for seq := from; seq < to; seq++ {
		e := s.entry(seq)
		w.Raw(e.id[:])
		times = append(times, uint64(e.time()-last))
		if last = e.time(); len(times) == dense.Most || seq == to-1 {
			dense.Append(w, times) // after the ids they are of
			times = times[:0]
		}
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
	times := make([]uint64, 0, dense.Most)
	for seq < until && r.Err() == nil {
		times = times[:min(dense.Most, until-seq)]
		ids := r.Take(12 * len(times))
		if dense.Read(r, times); r.Err() != nil {
			return
		}
		for i, t := range times {
			if at += int64(t); seq >= first {
				s.add((*[12]byte)(ids[12*i:]), at)
			}
			seq++
		}
	}
}
