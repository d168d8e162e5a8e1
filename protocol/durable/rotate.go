package durable

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"
)

// rotation is one Rotate.
type rotation struct {
	err  error
	done chan struct{} // closed when err is set
}

// Rotate ends the newest segment and opens another, so that TrimBefore can take
// the records that are there now without waiting for the segment to fill: the
// way to let go of records by age. It does so as soon as the new segment holds
// a record. Without a record in the newest segment there is nothing to do.
//
// Appends that wait at the same time may go to either. ErrFull: there is no room
// for another segment. No error of Rotate costs a record or stops the log: the
// next append opens the segment that is missing. If ctx ends the rotation may
// still happen.
func (l *Log) Rotate(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r := &rotation{done: make(chan struct{})}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return ErrClosed
	}
	l.rotations = append(l.rotations, r)
	select {
	case l.wake <- struct{}{}:
	default:
	}
	l.mu.Unlock()
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// rotateNext carries out the rotations that were asked for, as one. Only the
// committer calls it.
func (l *Log) rotateNext() {
	l.mu.Lock()
	asked := l.rotations
	l.rotations = nil
	n := len(l.segs)
	empty := n == 0 || l.segs[n-1].first == l.next
	err := l.unhealthy
	l.mu.Unlock()
	if len(asked) == 0 {
		return
	}
	switch {
	case err != nil:
		err = fmt.Errorf("%w: %w", ErrUnhealthy, err)
	case !empty:
		// Room for a single byte is enough to ask for: if the next record
		// needs more, its append takes the empty segment back for a larger one.
		if err = l.rotate(1); err != nil {
			err = fmt.Errorf("rotating the log in %s: %w", l.dir, err)
		}
	}
	for _, r := range asked {
		r.err = err
		close(r.done)
	}
}

// DropKept removes the files of kept damage for which old, given when each was
// last written, is true. They hold records as well: whoever must not keep those
// for ever calls it now and then. How many went is in Stats.Dropped.
func (l *Log) DropKept(old func(written time.Time) bool) error {
	l.trimming.Lock()
	defer l.trimming.Unlock()
	l.mu.Lock()
	closed := l.closed
	names := make([]string, 0, len(l.bad))
	for name := range l.bad {
		names = append(names, name)
	}
	l.mu.Unlock()
	if closed {
		return ErrClosed
	}
	slices.Sort(names)
	for _, name := range names {
		path := filepath.Join(l.dir, name)
		info, err := l.o.FS.Lstat(path)
		if err == nil && !old(info.ModTime()) {
			continue
		}
		if err == nil || errors.Is(err, fs.ErrNotExist) { // somebody may have removed it
			err = l.unlink(path)
		}
		if err != nil {
			return fmt.Errorf("dropping kept damage: %w", err)
		}
		l.mu.Lock()
		l.used -= l.bad[name]
		delete(l.bad, name)
		l.stats.Dropped++
		l.mu.Unlock()
	}
	return nil
}
