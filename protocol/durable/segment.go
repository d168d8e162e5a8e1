package durable

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/fieldpost/fieldpost/protocol/durable/internal/frame"
	"github.com/fieldpost/fieldpost/protocol/durable/internal/sys"
)

const (
	segSuffix = ".seg"
	badSuffix = ".bad"
)

// segment is what the log knows of a segment file. Fields are guarded by
// Log.mu; first and path never change.
type segment struct {
	first uint64
	path  string
	size  int64  // of the file
	end   int64  // end of the committed frames; −1: not scanned, up to size
	salt  uint64 // 0: header not read yet
	lost  bool   // its header cannot be read
}

// activeSegment is the one that is being written.
type activeSegment struct {
	*segment
	file File
}

func (a *activeSegment) room() int64 {
	if a == nil {
		return 0
	}
	return a.size - a.end // both change only in the committer itself
}

func segmentName(first uint64) string { return fmt.Sprintf("%020d%s", first, segSuffix) }

func parseSegmentName(name string) (first uint64, ok bool) {
	digits, ok := strings.CutSuffix(name, segSuffix)
	if !ok || len(digits) != 20 {
		return 0, false
	}
	first, err := strconv.ParseUint(digits, 10, 64)
	return first, err == nil && first > 0
}

// rotate gives the log a new active segment with room for need bytes. The old
// one is cut to its length first, to get its unused room back. A full disk or
// cap is a *FullError and passes; anything else was tried twice and is final.
func (l *Log) rotate(need int64) error {
	if _, err := l.plan(need, l.active.room()); err != nil {
		return err
	}
	l.seal()
	var err error
	for range 2 {
		l.sweep()
		var size int64
		if err = l.dropEmpty(); err == nil {
			if size, err = l.plan(need, 0); err != nil {
				return err
			}
			err = l.create(size)
		}
		if err == nil {
			return nil
		}
		if sys.NoSpace(err) {
			return &FullError{Need: need, Err: err}
		}
		l.o.Logger.Warn("creating a log segment", "error", err)
	}
	return err
}

// plan returns the size of a new segment, given that back bytes will be free.
func (l *Log) plan(need, back int64) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.segs); n > 0 && l.segs[n-1].first == l.next {
		back = l.segs[n-1].size // dropEmpty removes it whole
	}
	size := min(l.o.SegmentBytes, l.o.MaxBytes-l.used+back)
	if size < frame.DataStart+need {
		return 0, &FullError{Need: need, Room: max(0, size-frame.DataStart)}
	}
	return size, nil
}

// seal ends the active segment. Its records are synced already, so a failure
// here costs only the unused room.
func (l *Log) seal() {
	a := l.active
	if a == nil {
		return
	}
	l.active = nil
	err := a.file.Truncate(a.end)
	if err == nil {
		err = a.file.Sync()
	}
	if err := errors.Join(err, a.file.Close()); err != nil {
		l.o.Logger.Warn("cutting a full log segment", "segment", a.path, "error", err)
		return
	}
	l.mu.Lock()
	l.used -= a.size - a.end
	a.size = a.end
	l.mu.Unlock()
}

// dropEmpty removes a newest segment without committed records: the one to be
// created will have its name.
func (l *Log) dropEmpty() error {
	l.mu.Lock()
	var last *segment
	if n := len(l.segs); n > 0 && l.segs[n-1].first == l.next {
		last = l.segs[n-1]
	}
	l.mu.Unlock()
	if last == nil {
		return nil
	}
	if err := l.unlink(last.path); err != nil {
		return err
	}
	l.mu.Lock()
	l.segs = l.segs[:len(l.segs)-1]
	l.used -= last.size
	l.mu.Unlock()
	return nil
}

// create makes the segment that begins with the next record. It gets its name
// only when header and reserved room are on disk.
func (l *Log) create(size int64) error {
	l.mu.Lock()
	first := l.next
	l.used += size
	l.mu.Unlock()
	path := filepath.Join(l.dir, segmentName(first))
	temp := path + "." + randomHex() + tempSuffix
	h := frame.SegmentHeader{First: first, Salt: frame.NewSalt()}
	f, made, err := makeSegment(l.o.FS, temp, path, h, size)
	if err != nil {
		// Whatever of the two names exists is removed; if that does not work
		// its size stays reserved until it does.
		l.litter[made] += size
		l.sweep()
		return err
	}
	l.forget(path) // replaced by the rename, if it was there
	s := &segment{first: first, path: path, size: size, end: frame.DataStart, salt: h.Salt}
	l.mu.Lock()
	l.segs = append(l.segs, s)
	l.mu.Unlock()
	l.active = &activeSegment{segment: s, file: f}
	return nil
}

// sweep removes what create could not. Only the committer calls it.
func (l *Log) sweep() {
	for path := range l.litter {
		if path == "" || l.unlink(path) == nil {
			l.forget(path)
		}
	}
}

// forget gives back the room of a file that is gone.
func (l *Log) forget(path string) {
	l.mu.Lock()
	l.used -= l.litter[path]
	l.mu.Unlock()
	delete(l.litter, path)
}

// makeSegment returns the open file, or the name under which a part of it
// exists.
func makeSegment(fsys FS, temp, path string, h frame.SegmentHeader, size int64) (f File, made string, err error) {
	f, err = fsys.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, "", fmt.Errorf("creating segment %s: %w", path, err)
	}
	made = temp
	steps := []func() error{
		func() error { return f.Preallocate(size) },
		func() error { _, err := f.WriteAt(h.Encode(), 0); return err },
		f.Sync,
		func() error { return fsys.Rename(temp, path) },
		func() error { made = path; return fsys.SyncDir(filepath.Dir(path)) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, made, errors.Join(fmt.Errorf("creating segment %s: %w", path, err), f.Close())
		}
	}
	return f, path, nil
}

// TrimBefore removes the segments all of whose records come before no, oldest
// first. The newest segment always stays.
func (l *Log) TrimBefore(no uint64) error {
	l.trimming.Lock()
	defer l.trimming.Unlock()
	for {
		l.mu.Lock()
		if l.closed {
			l.mu.Unlock()
			return ErrClosed
		}
		// The newest two: the committer may take back the newest if it is
		// empty, and then the one before it holds the position.
		if len(l.segs) < 2 || l.segs[1].first > no || l.segs[1].first == l.next && len(l.segs) == 2 {
			l.mu.Unlock()
			return nil
		}
		s := l.segs[0]
		lost := s.lost
		l.mu.Unlock()
		if err := l.discard(s, lost); err != nil {
			return fmt.Errorf("trimming the log in %s: %w", l.dir, err)
		}
		l.mu.Lock()
		l.segs = l.segs[1:]
		l.full = nil
		l.mu.Unlock()
	}
}

// discard takes the segment's file away: removed, or kept aside if it could
// not be read and there is room for it.
func (l *Log) discard(s *segment, lost bool) error {
	if lost && l.reserveBad(filepath.Base(s.path)+badSuffix, s.size, true) {
		return Rename(l.o.FS, s.path, s.path+badSuffix)
	}
	if err := l.unlink(s.path); err != nil {
		return err
	}
	l.mu.Lock()
	l.used -= s.size
	l.mu.Unlock()
	return nil
}

// unlink is Remove that can be repeated after it failed half way.
func (l *Log) unlink(path string) error {
	err := Remove(l.o.FS, path)
	if errors.Is(err, os.ErrNotExist) {
		return l.o.FS.SyncDir(l.dir)
	}
	return err
}
