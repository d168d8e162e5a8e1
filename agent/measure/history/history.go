// Package history keeps a fold and its closed windows on disk.
//
// # States on disk
//
//	checkpoint       the journal position, the list of files below, where each section of the fold
//	                 lies in them, and the caller's extra bytes; replaced as one (durable.WriteFile): it
//	                 is the commit point
//	state/N.seg      sections of the fold (measure.Fold.Sections), those that had changed when it was
//	                 written, compressed; never changed itself
//	closed/N.win     closed windows; written once, never changed; eight of a level are
//	                 merged into one of the next, which also drops what is too old to keep
//	*.damaged        files that could not be read, set aside
//
// Every one of them is written by put and read by get, and nowhere else. With a Config.Seal they are
// sealed, each bound to its name; what is inside is the same as without. Sections hold the
// dictionary of users. The checkpoint names the checksum of each file, so that an older one
// that was put back under the same number is known.
//
// # What a checkpoint costs
//
// A sealed day of a measure, a block of the dictionary, a block of ids is written once and then only
// when it changes: in a minute, what the minute changed, not what half a year holds. A file whose
// sections have all been written anew goes; when more than a sixteenth of what the files hold is
// old, the sections still needed of those with the most of it are written again, until it is less.
// After somebody was forgotten everything is written again, so that the name is in no file.
//
// # Crash points
//
//   - Before the checkpoint is replaced: files it does not list may lie in closed/ and state/. The journal is
//     applied again from the old position, gives the same windows, and the next checkpoint writes
//     the same file numbers again; Restore removes what is not listed.
//   - After it: files that were merged may still lie there; Restore removes them.
//   - Files of before there was a Seal are read as they are (Config.Open) and written again, sealed and under
//     new numbers, by the next Checkpoint. Before its commit the old ones are in force, after
//     it those that still lie there are removed by Restore as any other.
//   - A damaged file of closed windows costs its windows, a damaged checkpoint or file of sections costs
//     what was closed and no longer is in the journal. They are set aside and told by Damaged.
//
// Invariants: a window is in exactly one listed file or in the fold; at most eight files of each
// level, so their number grows with the logarithm of time.
package history

import (
	"bytes"
	"cmp"
	"compress/flate"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fieldpost/fieldpost/agent/measure"
	"github.com/fieldpost/fieldpost/agent/measure/pack"
	"github.com/fieldpost/fieldpost/agent/measure/wire"
	"github.com/fieldpost/fieldpost/protocol/durable"
	"github.com/fieldpost/fieldpost/protocol/report"
)

const (
	magicCheckpoint = "fpstate\x03"
	magicClosed     = "fpclose\x02"
	fan             = 8 // files of a level that are merged into one

	damagedSuffix = ".damaged"
)

// ErrNewer: the state was written by a newer program.
var ErrNewer = errors.New("state was written by a newer version")

// ErrOlder: the state was written by an earlier program, in a form this one does not read. It is left as it is.
var ErrOlder = errors.New("state was written by a version that is too old")

// errDamaged: a file is not what was written.
var errDamaged = errors.New("file is damaged")

// Config of a Store.
type Config struct {
	Measure  measure.Config // Past is set by the Store
	FS       durable.FS     // default durable.OS()
	Keep5m   time.Duration  // how long 5m windows are kept; default 8 days: a week and a day to look at it
	KeepHour time.Duration  // default 400 days: a year and the month before
	// Seal seals the files. Without one they lie open, as for tests; the agent gives one.
	Seal Sealer
	// Open says that files of before there was a Seal may still be here.
	Open bool
}

// Store is a fold with its state on disk. Not safe for concurrent use.
type Store struct {
	dir      string
	cfg      Config
	fold     *measure.Fold
	position uint64
	extra    []byte
	files    []file
	next     uint64 // number of the next file
	segments map[uint64]segment
	parts    map[string]part // where each section lies
	forgot   uint64          // how many users the fold had forgotten when everything was written
	damaged  []string
}

// file is one file of closed windows.
type file struct {
	no    uint64
	level uint64
	sum   uint32 // of its content
}

var _ measure.Past = (*Store)(nil)

// Restore opens the store in dir, creating it if need be, at its last checkpoint.
func Restore(dir string, cfg Config) (*Store, error) {
	if cfg.FS == nil {
		cfg.FS = durable.OS()
	}
	cfg.Keep5m = cmp.Or(cfg.Keep5m, 8*24*time.Hour)
	cfg.KeepHour = cmp.Or(cfg.KeepHour, 400*24*time.Hour)
	s := &Store{dir: dir, cfg: cfg, next: 1, segments: map[uint64]segment{}, parts: map[string]part{}}
	s.cfg.Measure.Past = s
	s.fold = measure.New(s.cfg.Measure)
	for _, d := range []string{dir, s.closedDir(), filepath.Join(dir, "state")} {
		if err := durable.MkdirAll(cfg.FS, d, 0o700); err != nil {
			return nil, err
		}
		if err := durable.CleanTemps(cfg.FS, d); err != nil {
			return nil, err
		}
	}
	err := s.readCheckpoint()
	if errors.Is(err, errDamaged) {
		err = s.setAside(checkpointName)
		s.files, s.next, s.position, s.extra = nil, 1, 0, nil
		s.segments, s.parts = map[uint64]segment{}, map[string]part{}
		s.fold = measure.New(s.cfg.Measure)
		if err == nil {
			err = s.setAsideClosed()
		}
	}
	if err != nil {
		return nil, err
	}
	return s, s.clean()
}

const checkpointName = "checkpoint"

func (s *Store) closedDir() string { return filepath.Join(s.dir, "closed") }

// name of a file of closed windows, below the store's folder.
func name(no uint64) string { return fmt.Sprintf("closed/%016d.win", no) }

func (s *Store) path(name string) string { return filepath.Join(s.dir, filepath.FromSlash(name)) }

// Fold is the fold at the checkpoint; apply records after Position to it.
func (s *Store) Fold() *measure.Fold { return s.fold }

// Position is the journal position of the last checkpoint; 0 when there is none.
func (s *Store) Position() uint64 { return s.position }

// Extra is what the caller added to the last checkpoint. Not to be changed.
func (s *Store) Extra() []byte { return s.extra }

// Damaged is the files that were set aside since Restore began.
func (s *Store) Damaged() []string { return slices.Clone(s.damaged) }

func (s *Store) setAside(name string) error {
	s.damaged = append(s.damaged, s.path(name))
	if err := durable.Rename(s.cfg.FS, s.path(name), s.path(name)+damagedSuffix); err != nil {
		return err
	}
	return s.sealDamaged() // it may never have been sealed
}

// setAsideClosed sets all files of closed windows aside: without the checkpoint nobody knows which
// of them count.
func (s *Store) setAsideClosed() error {
	for _, of := range []func(uint64) string{name, segmentName} {
		nos, err := s.onDisk(of)
		if err != nil {
			return err
		}
		for _, no := range nos {
			if err := s.setAside(of(no)); err != nil {
				return err
			}
		}
	}
	return nil
}

// onDisk is the numbers of the files that are called so.
func (s *Store) onDisk(called func(uint64) string) (nos []uint64, err error) {
	dir, suffix := path.Dir(called(0)), path.Ext(called(0))
	entries, err := s.cfg.FS.ReadDir(s.path(dir))
	if err != nil {
		return nil, fmt.Errorf("listing the state: %w", err)
	}
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), suffix); ok {
			if no, err := strconv.ParseUint(name, 10, 64); err == nil {
				nos = append(nos, no)
			}
		}
	}
	return nos, nil
}

// clean removes files that no checkpoint lists and sets damaged ones aside.
func (s *Store) clean() error {
	nos, err := s.onDisk(segmentName)
	if err != nil {
		return err
	}
	for _, no := range nos {
		if _, ok := s.segments[no]; !ok {
			if err := durable.Remove(s.cfg.FS, s.path(segmentName(no))); err != nil {
				return err
			}
		}
	}
	if nos, err = s.onDisk(name); err != nil {
		return err
	}
	for _, no := range nos {
		if !slices.ContainsFunc(s.files, func(f file) bool { return f.no == no }) {
			if err := durable.Remove(s.cfg.FS, s.path(name(no))); err != nil {
				return err
			}
		}
	}
	for _, f := range slices.Clone(s.files) {
		_, err := s.read(f, nil)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			s.damaged = append(s.damaged, s.path(name(f.no)))
		case errors.Is(err, errDamaged):
			err = s.setAside(name(f.no))
			if err != nil {
				return err
			}
		case err != nil:
			return err
		default:
			continue
		}
		s.files = slices.DeleteFunc(s.files, func(x file) bool { return x == f })
	}
	return nil
}

// Checkpoint writes the fold's state, its closed windows, the journal position and extra as one
// step. On an error the store is as it was and the call can be repeated.
func (s *Store) Checkpoint(position uint64, extra []byte) error {
	files, next := slices.Clone(s.files), s.next
	if packs := s.fold.Closed(); len(packs) > 0 {
		f, err := s.write(next, 0, packs)
		if err != nil {
			return err
		}
		files, next = append(files, f), next+1
	}
	files, next, err := s.sealed(files, next)
	if err != nil {
		return err
	}
	if files, next, err = s.merge(files, next); err != nil {
		return err
	}
	parts, segments, next, err := s.writeSections(next)
	if err != nil {
		return err
	}
	w := s.begin(magicCheckpoint)
	w.Uint(position)
	w.Uint(next)
	w.Uint(uint64(len(files)))
	for _, f := range files {
		w.Uint(f.no)
		w.Uint(f.level)
		w.Uint(uint64(f.sum))
	}
	w.Bytes(extra)
	saveTable(w, parts, segments)
	if _, err := s.put(checkpointName, w); err != nil {
		return err
	}
	gone := slices.DeleteFunc(slices.Clone(s.files), func(f file) bool { return slices.Contains(files, f) })
	s.files, s.next, s.position, s.extra = files, next, position, bytes.Clone(extra)
	old := s.segments
	s.parts, s.segments, s.forgot = parts, segments, s.fold.Forgotten()
	s.cfg.Open = false // all are sealed now
	s.fold.DropClosed()
	for _, f := range gone {
		if err := durable.Remove(s.cfg.FS, s.path(name(f.no))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing what was merged: %w", err)
		}
	}
	for no := range old {
		if _, ok := segments[no]; !ok {
			if err := durable.Remove(s.cfg.FS, s.path(segmentName(no))); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("removing what was written anew: %w", err)
			}
		}
	}
	return nil
}

func (s *Store) readCheckpoint() error {
	r, err := s.get(checkpointName, magicCheckpoint)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if r.version < magicCheckpoint[len(magicCheckpoint)-1] {
		return fmt.Errorf("reading %s: %w", checkpointName, ErrOlder)
	}
	s.position = r.Uint()
	s.next = r.Uint()
	for n := r.Count(); n > 0 && r.Err() == nil; n-- {
		s.files = append(s.files, file{r.Uint(), r.Uint(), uint32(r.Uint())})
	}
	s.extra = r.Bytes()
	s.parts, s.segments = loadTable(r.Reader)
	if r.End() != nil {
		return fmt.Errorf("reading the checkpoint: %w", errors.Join(errDamaged, r.Err()))
	}
	return s.readSections()
}

func (s *Store) write(no, level uint64, packs []*measure.Pack) (file, error) {
	small := squeezer{}
	if level > 0 {
		small.level = flate.DefaultCompression
	}
	w := s.begin(magicClosed)
	w.Uint(uint64(len(packs)))
	for _, p := range packs {
		var body, section wire.Writer
		p.Save(&body)
		if err := small.add(&section, body.B, false); err != nil {
			return file{}, err
		}
		w.String(p.Measure)
		w.Uint(uint64(p.Grain))
		w.Bytes(section.B)
	}
	sum, err := s.put(name(no), w)
	return file{no, level, sum}, err
}

// pressed is the next pack of a file of closed windows, as squeezer left it.
func pressed(r *wire.Reader) (id string, g report.Grain, section []byte) {
	return r.String(), report.Grain(r.Below(math.MaxUint8)), r.Take(r.Count())
}

// read is the packs of a file, those of one measure and grain when want says so.
func (s *Store) read(f file, want func(id string, g report.Grain) bool) (packs []*measure.Pack, err error) {
	r, err := s.get(name(f.no), magicClosed)
	if err != nil {
		return nil, err
	}
	if r.sum != f.sum || r.version != magicClosed[len(magicClosed)-1] {
		return nil, fmt.Errorf("reading %s: another file than the checkpoint names: %w", name(f.no), errDamaged)
	}
	var long stretcher
	for n := r.Count(); n > 0 && r.Err() == nil; n-- {
		id, g, section := pressed(r.Reader)
		if r.Err() != nil || (want != nil && !want(id, g)) {
			continue
		}
		body, _ := long.next(section)
		in := wire.NewReader(body)
		p := pack.Load(in)
		if in.End() != nil || p.Measure != id || p.Grain != g {
			r.Fail("closed windows")
		}
		packs = append(packs, p)
	}
	if r.End() != nil {
		return nil, fmt.Errorf("reading %s: %w", name(f.no), errors.Join(errDamaged, r.Err()))
	}
	return packs, nil
}

// merge makes one file of every eight of a level, without what is too old to keep.
func (s *Store) merge(files []file, next uint64) ([]file, uint64, error) {
	for level := uint64(0); ; level++ {
		var of []file
		higher := false
		for _, f := range files {
			higher = higher || f.level > level
			if f.level == level {
				of = append(of, f)
			}
		}
		if len(of) < fan {
			if !higher {
				return files, next, nil
			}
			continue
		}
		packs, err := s.together(of)
		if err != nil {
			return nil, 0, err
		}
		f, err := s.write(next, level+1, packs)
		if err != nil {
			return nil, 0, err
		}
		next++
		files = slices.DeleteFunc(files, func(f file) bool { return slices.Contains(of, f) })
		files = append(files, f)
	}
}

// together is the windows of files, those of one measure and grain in one pack.
func (s *Store) together(of []file) (packs []*measure.Pack, err error) {
	for _, f := range of {
		ps, err := s.read(f, nil)
		if err != nil {
			return nil, err
		}
		for _, p := range ps {
			i, found := slices.BinarySearchFunc(packs, p, pack.Compare)
			if !found {
				packs = slices.Insert(packs, i, &measure.Pack{Measure: p.Measure, Grain: p.Grain})
			}
			oldest := s.Oldest(p.Grain)
			if err := p.Each(func(w measure.Stored) error {
				if w.Closed >= oldest {
					packs[i].Add(&w)
				}
				return nil
			}); err != nil {
				return nil, err
			}
		}
	}
	return slices.DeleteFunc(packs, func(p *measure.Pack) bool { return p.Windows == 0 }), nil
}

// Oldest implements measure.Past: windows that closed before it are not kept.
func (s *Store) Oldest(g report.Grain) int64 {
	switch g {
	case report.FiveMinutes:
		return s.fold.Now() - int64(s.cfg.Keep5m)
	case report.Hour:
		return s.fold.Now() - int64(s.cfg.KeepHour)
	}
	return math.MinInt64
}

// Each implements measure.Past.
func (s *Store) Each(id string, g report.Grain, fn func(measure.Stored) error) error {
	for _, f := range s.files {
		packs, err := s.read(f, func(m string, of report.Grain) bool { return m == id && of == g })
		if err != nil {
			return err
		}
		for _, p := range packs {
			if err := p.Each(fn); err != nil {
				return err
			}
		}
	}
	return nil
}
