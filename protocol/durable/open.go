package durable

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/fieldpost/fieldpost/protocol/durable/internal/frame"
)

// Open recovers and opens the log in dir, which is its own, creating it if need
// be. The caller holds Lock on a directory above it, or on dir. It reads the names in dir and
// the newest segment, whatever the size of the log.
func Open(dir string, o Options) (*Log, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("opening the log in %s: %w", dir, err)
	}
	l := &Log{
		dir:     dir,
		o:       o,
		wake:    make(chan struct{}, 1),
		closing: make(chan struct{}),
		stopped: make(chan struct{}),
		next:    1,
		lost:    map[uint64]bool{},
		litter:  map[string]int64{},
		bad:     map[string]int64{},
		seen:    map[string]bool{},
	}
	l.windows.New = func() any { return &frame.Window{Size: frame.WindowSize} }
	l.buffers.New = func() any { return new([]byte) }
	if err := l.recover(); err != nil {
		if l.active != nil {
			err = errors.Join(err, l.active.file.Close())
		}
		return nil, fmt.Errorf("opening the log in %s: %w", dir, err)
	}
	go l.run()
	return l, nil
}

func (l *Log) recover() error {
	if err := MkdirAll(l.o.FS, l.dir, 0o700); err != nil {
		return err
	}
	if err := CleanTemps(l.o.FS, l.dir); err != nil {
		return err
	}
	if err := l.index(); err != nil {
		return err
	}
	// The newest segment may have got its name just before a crash of the
	// process, and what is now appended to it depends on that name.
	if err := l.o.FS.SyncDir(l.dir); err != nil {
		return err
	}
	for len(l.segs) > 0 {
		s := l.segs[len(l.segs)-1]
		err := l.resume(s)
		if err == nil {
			break
		}
		if !errors.Is(err, frame.ErrNoHeader) {
			return fmt.Errorf("recovering segment %s: %w", s.path, err)
		}
		if err := l.setAside(s); err != nil {
			return err
		}
	}
	if l.o.MinNext > l.next {
		l.o.Logger.Warn("log lost its end", "dir", l.dir, "next", l.next, "processed", l.o.MinNext)
		if l.active != nil {
			err := l.active.file.Close()
			l.active = nil
			if err != nil {
				return err
			}
		}
		l.next = l.o.MinNext
	}
	return nil
}

// index builds the list of segments and of kept damage from the names.
func (l *Log) index() error {
	entries, err := l.o.FS.ReadDir(l.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		first, isSeg := parseSegmentName(e.Name())
		isBad := strings.HasSuffix(e.Name(), badSuffix)
		if !e.Type().IsRegular() || !isSeg && !isBad {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		l.used += info.Size()
		if isBad {
			l.bad[e.Name()] = info.Size()
			continue
		}
		// ReadDir sorts by name, and names sort like their numbers.
		l.segs = append(l.segs, &segment{
			first: first, path: filepath.Join(l.dir, e.Name()), size: info.Size(), end: -1,
		})
	}
	return nil
}

// setAside renames a newest segment whose header is gone. Its records are
// lost; how many there were is not known.
func (l *Log) setAside(s *segment) error {
	name := filepath.Base(s.path) + badSuffix
	for i := 2; l.bad[name] > 0; i++ {
		name = fmt.Sprintf("%s.%d%s", filepath.Base(s.path), i, badSuffix)
	}
	if err := Rename(l.o.FS, s.path, filepath.Join(l.dir, name)); err != nil {
		return err
	}
	l.o.Logger.Error("log segment has no valid header, set aside", "segment", s.path)
	l.bad[name] = s.size
	l.stats.DamagedBytes += s.size
	l.next = max(l.next, s.first)
	l.segs = l.segs[:len(l.segs)-1]
	return nil
}

// gap is a stretch without valid records in the segment being recovered.
type gap struct {
	from, to int64
	first, n uint64 // numbers missing because of it
}

// tail is what recovery finds in the newest segment.
type tail struct {
	salt       uint64
	next       uint64
	end        int64 // of the last whole record
	garbage    int64 // end of what is not zero behind it, ≥ end
	groupFirst uint64
	groupFrom  int64 // where the newest group begins
	gaps       []gap
}

// resume makes s the active segment again.
func (l *Log) resume(s *segment) error {
	f, err := l.o.FS.OpenFile(s.path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	t, err := l.scanTail(f, s)
	if err == nil {
		err = l.mend(f, s, t)
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	s.end, s.salt = t.end, t.salt
	l.next = max(l.next, t.next)
	if l.next > t.next {
		return f.Close() // the segment behind it was set aside: it stays as it is
	}
	l.active = &activeSegment{segment: s, file: f}
	return nil
}

func (l *Log) scanTail(f File, s *segment) (tail, error) {
	w := l.windows.Get().(*frame.Window)
	defer l.release(w)
	w.R, w.Buf = f, w.Buf[:0]
	b, err := w.Peek(0, frame.DataStart)
	if err != nil {
		return tail{}, err
	}
	h, err := frame.DecodeSegmentHeader(b, s.first)
	if err != nil {
		return tail{}, err
	}
	t := tail{salt: h.Salt, next: s.first, end: frame.DataStart, groupFrom: frame.DataStart, groupFirst: s.first}
	sc := frame.Scanner{W: w, Salt: h.Salt, Off: frame.DataStart, Limit: s.size, Expect: s.first, Before: ^uint64(0)}
	damageTo := int64(0)
	for {
		ev, err := sc.Next()
		if err != nil {
			return tail{}, err
		}
		switch ev.Kind {
		case frame.Record, frame.Void:
			if ev.From > t.end || ev.Frame.No > t.next {
				t.gaps = append(t.gaps, gap{from: t.end, to: ev.From, first: t.next, n: ev.Frame.No - t.next})
			}
			if g := ev.Frame.No - uint64(ev.Frame.Index); g != t.groupFirst || ev.Frame.Index == 0 {
				t.groupFirst, t.groupFrom = g, ev.From
			}
			t.next, t.end = ev.Frame.No+max(1, ev.Frame.Void), ev.To
		case frame.Damage:
			damageTo = ev.To
		case frame.End:
			t.garbage = max(t.end, damageTo)
			return t, nil
		}
	}
}

// mend puts the newest segment in order: damage is counted and copied aside,
// garbage behind the last record is zeroed, holes are filled, and the newest group, of which
// nobody knows whether it reached the disk, is written again and synced.
func (l *Log) mend(f File, s *segment, t tail) error {
	var holes []gap
	from := t.groupFrom
	for _, g := range t.gaps {
		if g.first >= t.groupFirst && g.n > 0 {
			// Within the newest group: most likely a write that a power
			// failure tore, and no one was told that it was done. A void frame
			// fills the hole, so that it does not look like damage later.
			l.stats.TornBytes += g.to - g.from
			l.keep(f, s.first, g.from, g.to)
			holes = append(holes, g)
			from = min(from, g.from)
			continue
		}
		l.lose(g.first, min(g.n, t.groupFirst-g.first))
		l.damaged(f, s.first, g.from, g.to)
	}
	if t.garbage > t.end {
		l.stats.TornBytes += t.garbage - t.end
		l.o.Logger.Warn("log ends in a torn write", "segment", s.path, "offset", t.end, "bytes", t.garbage-t.end)
		l.keep(f, s.first, t.end, t.garbage)
	}
	again := make([]byte, t.garbage-from) // its end stays zero
	if n := t.end - from; n > 0 {
		if _, err := f.ReadAt(again[:n], from); err != nil {
			return err
		}
	}
	for _, g := range holes {
		frame.PutVoid(again[g.from-from:g.to-from], g.first, g.n, uint32(g.first-t.groupFirst), t.salt, g.from)
	}
	if len(again) > 0 {
		if _, err := f.WriteAt(again, from); err != nil {
			return err
		}
	}
	return f.Sync()
}
