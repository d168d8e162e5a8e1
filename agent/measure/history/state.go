package history

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/fieldpost/fieldpost/agent/measure/wire"
)

const magicState = "fpparts\x03"

// slack is how much old may lie in the files whatever they hold.
const slack = 1 << 20

// segmentName of a file of sections, below the store's folder.
func segmentName(no uint64) string { return fmt.Sprintf("state/%016d.seg", no) }

// segment is one file of sections.
type segment struct {
	sum  uint32 // of its content
	size uint64 // of its sections
}

// part is where a section lies.
type part struct {
	segment, at, size uint64
	version           uint64   // of the section, while this process lives
	hash              [16]byte // of one without versions; zero when not known
}

// writeSections writes the sections that changed, and those of files with too much that is old, to
// a new file.
func (s *Store) writeSections(next uint64) (map[string]part, map[uint64]segment, uint64, error) {
	sections, err := s.fold.Sections()
	if err != nil {
		return nil, nil, 0, err
	}
	w := s.begin(magicState)
	begin := uint64(len(w.B))
	parts := make(map[string]part, len(sections))
	// Everything: nothing of somebody who was forgotten may stay, and nothing unsealed.
	all := s.fold.Forgotten() != s.forgot || (s.cfg.Seal != nil && s.cfg.Open)
	var body wire.Writer
	var small squeezer
	add := func(sec *wire.Section, force bool) error {
		old, have := s.parts[sec.Key]
		if have && sec.Versioned && old.version == sec.Version && !force {
			parts[sec.Key] = old
			return nil
		}
		body.B = body.B[:0]
		sec.Write(&body)
		at := uint64(len(w.B))
		p := part{segment: next, at: at - begin, version: sec.Version}
		if !sec.Versioned {
			sum := sha256.Sum256(body.B)
			p.hash = [16]byte(sum[:16])
			if have && old.hash == p.hash && !force {
				parts[sec.Key] = old
				return nil
			}
		}
		err := small.add(w, body.B, sec.Dense)
		p.size = uint64(len(w.B)) - at
		parts[sec.Key] = p
		return err
	}
	for i := range sections {
		if err := add(&sections[i], all); err != nil {
			return nil, nil, 0, err
		}
	}
	crowded := s.crowded(parts)
	for i := range sections {
		if p := parts[sections[i].Key]; crowded[p.segment] {
			if err := add(&sections[i], true); err != nil {
				return nil, nil, 0, err
			}
		}
	}
	segments := map[uint64]segment{}
	for _, p := range parts {
		if p.segment != next {
			segments[p.segment] = s.segments[p.segment]
		}
	}
	size := uint64(len(w.B)) - begin
	if size == 0 {
		return parts, segments, next, nil
	}
	sum, err := s.put(segmentName(next), w)
	segments[next] = segment{sum, size}
	return parts, segments, next + 1, err
}

// crowded are the files to be given up: those with the largest share of what is old, until that is less
// than a sixteenth of what is needed.
func (s *Store) crowded(parts map[string]part) map[uint64]bool {
	live, needed := map[uint64]uint64{}, uint64(0)
	for _, p := range parts {
		live[p.segment] += p.size
		needed += p.size
	}
	var nos []uint64
	old := uint64(0)
	for no, seg := range s.segments {
		if live[no] > 0 { // the others go anyway
			nos = append(nos, no)
			old += seg.size - live[no]
		}
	}
	share := func(no uint64) float64 { return float64(live[no]) / float64(s.segments[no].size) }
	slices.SortFunc(nos, func(a, b uint64) int {
		switch x, y := share(a), share(b); {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return int(int64(a) - int64(b))
	})
	out := map[uint64]bool{}
	for _, no := range nos {
		if old <= needed/16+slack {
			break
		}
		out[no] = true
		old -= s.segments[no].size - live[no]
	}
	return out
}

func saveTable(w *wire.Writer, parts map[string]part, segments map[uint64]segment) {
	w.Uint(uint64(len(segments)))
	for _, no := range slices.Sorted(maps.Keys(segments)) {
		w.Uint(no)
		w.Uint(uint64(segments[no].sum))
		w.Uint(segments[no].size)
	}
	w.Uint(uint64(len(parts)))
	for _, key := range slices.Sorted(maps.Keys(parts)) {
		w.String(key)
		w.Uint(parts[key].segment)
		w.Uint(parts[key].at)
		w.Uint(parts[key].size)
	}
}

func loadTable(r *wire.Reader) (map[string]part, map[uint64]segment) {
	parts, segments := map[string]part{}, map[uint64]segment{}
	for n := r.Count(); n > 0 && r.Err() == nil; n-- {
		no := r.Uint()
		segments[no] = segment{uint32(r.Uint()), r.Uint()}
	}
	for n := r.Count(); n > 0 && r.Err() == nil; n-- {
		key := r.String()
		p := part{segment: r.Uint(), at: r.Uint(), size: r.Uint()}
		if seg, ok := segments[p.segment]; !ok || p.at > seg.size || p.size > seg.size-p.at {
			r.Fail("a section that lies nowhere")
		}
		parts[key] = p
	}
	return parts, segments
}

// readSections loads the fold from the files of sections.
func (s *Store) readSections() error {
	held := map[uint64]content{}
	for no, seg := range s.segments {
		c, err := s.get(segmentName(no), magicState)
		if errors.Is(err, fs.ErrNotExist) || (err == nil && (c.sum != seg.sum || uint64(c.Left()) != seg.size)) {
			err = errDamaged
		}
		if err != nil {
			return fmt.Errorf("reading %s: %w", segmentName(no), err)
		}
		held[no] = c
	}
	bytesOf := make(map[uint64][]byte, len(held))
	for no, c := range held {
		bytesOf[no] = c.Take(c.Left())
	}
	var long stretcher
	err := s.fold.LoadSections(func(key string) []byte {
		p, ok := s.parts[key]
		if !ok {
			return nil
		}
		section, _ := long.next(bytesOf[p.segment][p.at : p.at+p.size])
		return section
	})
	if err != nil {
		return fmt.Errorf("reading the state: %w", err)
	}
	sections, err := s.fold.Sections()
	for i := range sections {
		if p, ok := s.parts[sections[i].Key]; ok {
			p.version = sections[i].Version
			s.parts[sections[i].Key] = p
		}
	}
	return err
}
