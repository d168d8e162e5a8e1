package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sort"

	"github.com/fieldpost/fieldpost/protocol/durable/internal/frame"
)

// view is what Read needs of one segment, copied under the mutex.
type view struct {
	*segment
	salt   uint64
	limit  int64
	before uint64 // the first number that is not this segment's
	known  bool   // limit is the end of committed frames
}

// hint remembers where a record stands, so that a reader that comes back for
// the next records does not walk the segment again.
type hint struct {
	no    uint64
	first uint64 // the segment
	off   int64
}

// Read calls fn for every record from number from that was committed when Read
// was called, in order. from 0 means First. payload is valid only during fn;
// an error of fn ends Read and is returned as it is. Records lost to damage
// are passed over and counted. A from before First is ErrTrimmed, one behind
// Next ErrAhead.
func (l *Log) Read(from uint64, fn func(no uint64, payload []byte) error) error {
	l.mu.Lock()
	target := l.next
	if from == 0 {
		from = l.firstLocked()
	}
	l.mu.Unlock()
	if from > target {
		return fmt.Errorf("reading from record %d of a log that goes on with %d: %w", from, target, ErrAhead)
	}
	for from < target {
		v, err := l.view(from, target)
		if err != nil {
			return err
		}
		if err := l.readSegment(v, from, fn); err != nil {
			return err
		}
		from = v.before
	}
	return nil
}

// view finds the segment that holds record no.
func (l *Log) view(no, target uint64) (view, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := sort.Search(len(l.segs), func(i int) bool { return l.segs[i].first > no }) - 1
	if i < 0 {
		return view{}, fmt.Errorf("reading from record %d of a log that begins with %d: %w", no, l.firstLocked(), ErrTrimmed)
	}
	s := l.segs[i]
	v := view{segment: s, salt: s.salt, limit: s.size, before: target}
	if i+1 < len(l.segs) {
		v.before = min(target, l.segs[i+1].first)
	}
	if s.end >= 0 {
		v.limit, v.known = s.end, true
	}
	return v, nil
}

// errStop carries an error of the caller's function past those of the disk.
type errStop struct{ error }

func (l *Log) readSegment(v view, from uint64, fn func(uint64, []byte) error) (err error) {
	f, err := l.o.FS.OpenFile(v.path, os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading segment %s: %w", v.path, ErrTrimmed)
	}
	if err != nil {
		return fmt.Errorf("reading segment %s: %w", v.path, err)
	}
	w := l.windows.Get().(*frame.Window)
	defer func() {
		l.release(w)
		if cerr := f.Close(); err == nil && cerr != nil {
			err = fmt.Errorf("closing segment %s: %w", v.path, cerr)
		}
	}()
	w.R, w.Buf, w.End, w.Salvage = f, w.Buf[:0], v.limit, true
	err = l.readFrames(w, f, v, from, fn)
	if stop, ok := err.(errStop); ok {
		return stop.error
	}
	if err != nil {
		return fmt.Errorf("reading segment %s: %w", v.path, err)
	}
	return nil
}

func (l *Log) readFrames(w *frame.Window, f File, v view, from uint64, fn func(uint64, []byte) error) error {
	ok, err := l.readHeader(w, &v)
	if err != nil || !ok {
		return err
	}
	sc := frame.Scanner{W: w, Salt: v.salt, Off: frame.DataStart, Limit: v.limit, Expect: v.first, Before: v.before, Skip: from}
	if h, ok := l.hintFor(v.first, from); ok {
		sc.Off, sc.Expect = h.off, h.no
	}
	expect := sc.Expect
	for {
		ev, err := sc.Next()
		if err != nil {
			return err
		}
		switch ev.Kind {
		case frame.Damage:
			l.damaged(f, v.first, ev.From, ev.To)
		case frame.End:
			if v.before > expect {
				l.lose(expect, v.before-expect)
			}
			return nil
		case frame.Record, frame.Void:
			if ev.Frame.No > expect {
				l.lose(expect, ev.Frame.No-expect)
			}
			expect = ev.Frame.No + max(1, ev.Frame.Void)
			if ev.Kind == frame.Void || ev.Frame.No < from {
				continue
			}
			if err := fn(ev.Frame.No, ev.Payload); err != nil {
				l.remember(hint{no: ev.Frame.No, first: v.first, off: ev.From})
				return errStop{err}
			}
		}
		if expect >= v.before {
			// Complete. What follows is newer than this Read, or the remains
			// of a commit that failed here and was written elsewhere.
			l.remember(hint{no: expect, first: v.first, off: sc.Off})
			return nil
		}
	}
}

// readHeader fills in the salt. A segment without a valid header costs its
// records, not the reader's progress.
func (l *Log) readHeader(w *frame.Window, v *view) (ok bool, err error) {
	if v.salt != 0 {
		return true, nil
	}
	b, err := w.Peek(0, frame.DataStart)
	if err != nil {
		return false, err
	}
	h, err := frame.DecodeSegmentHeader(b, v.first)
	if errors.Is(err, frame.ErrNoHeader) {
		l.mu.Lock()
		if !v.lost {
			v.lost = true
			l.stats.DamagedBytes += v.size
			l.o.Logger.Error("log segment has no valid header", "segment", v.path)
		}
		l.mu.Unlock()
		l.lose(v.first, v.before-v.first)
		return false, nil
	}
	if err != nil {
		return false, err
	}
	v.salt = h.Salt
	l.mu.Lock()
	v.segment.salt = h.Salt
	l.mu.Unlock()
	return true, nil
}

// release gives a window back, unless a large record made it large.
func (l *Log) release(w *frame.Window) {
	w.R, w.End, w.Salvage = nil, 0, false
	if cap(w.Buf) <= frame.WindowSize {
		l.windows.Put(w)
	}
}

// hintFor returns the best known place at or before record no in a segment.
func (l *Log) hintFor(first, no uint64) (best hint, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, h := range l.hints {
		if h.first == first && h.off > 0 && h.no <= no && h.no > best.no {
			best, ok = h, true
		}
	}
	return best, ok
}

// remember keeps h in place of an older hint of the same reader, guessed by
// the segment, or of the oldest.
func (l *Log) remember(h hint) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hints[l.hintTurn] = h
	l.hintTurn = (l.hintTurn + 1) % len(l.hints)
}
