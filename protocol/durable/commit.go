package durable

import (
	"errors"
	"fmt"
	"slices"

	"github.com/fieldpost/fieldpost/protocol/durable/internal/frame"
)

// run is the committer: the only goroutine that writes to segments.
func (l *Log) run() {
	defer close(l.stopped)
	for closing := false; !closing; {
		select {
		case <-l.wake:
		case <-l.closing:
			closing = true
		}
		l.rotateNext()
		l.buf = *l.buffers.Get().(*[]byte)
		for l.commitNext() {
		}
		if b := l.buf; cap(b) <= 2*groupBytes {
			l.buffers.Put(&b) // an idle log's goes with the next collections
		}
		l.buf = nil
	}
}

// commitNext writes one group: whatever is pending, as far as it fits the
// active segment and groupBytes. It reports whether there was anything.
func (l *Log) commitNext() bool {
	l.mu.Lock()
	var need int64
	if len(l.pending) > 0 {
		need = l.pending[0].size
	}
	l.mu.Unlock()
	if need == 0 {
		return false
	}
	if l.active.room() < need {
		if err := l.rotate(need); err != nil {
			l.refuse(err, need)
			return true
		}
	}
	group := l.take()
	if len(group) == 0 {
		return true // it was withdrawn meanwhile
	}
	if err := l.write(); err != nil {
		if err = l.rewrite(err); err != nil {
			l.settle(group, err)
			return true
		}
	}
	l.publish(group)
	return true
}

// refuse answers the pending requests that a rotation failure concerns: all of
// them if the log is done for; if it is only full, those that need as much as
// the one that did not fit. Smaller ones may still fit.
func (l *Log) refuse(err error, need int64) {
	var full *FullError
	if !errors.As(err, &full) {
		l.giveUp(err)
		return
	}
	l.mu.Lock()
	l.full = full
	var out, keep []*request
	for _, r := range l.pending {
		if r.size >= need {
			out = append(out, r)
			l.pendingBytes -= r.raw
		} else {
			keep = append(keep, r)
		}
	}
	l.pending = keep
	l.mu.Unlock()
	for _, r := range out {
		r.err = &FullError{Need: r.size, Room: full.Room, Err: full.Err}
		close(r.done)
	}
}

// giveUp makes the log unhealthy and answers everything that waits.
func (l *Log) giveUp(err error) {
	l.o.Logger.Error("log is unhealthy", "dir", l.dir, "error", err)
	l.mu.Lock()
	l.unhealthy = err
	all := l.pending
	l.pending, l.pendingBytes = nil, 0
	l.mu.Unlock()
	for _, r := range all {
		r.err = fmt.Errorf("%w: %w", ErrUnhealthy, err)
		close(r.done)
	}
}

// take removes a group from the queue and copies its frames into l.buf.
func (l *Log) take() []*request {
	l.encoding.Lock()
	defer l.encoding.Unlock()
	l.mu.Lock()
	room, total, n := l.active.room(), int64(0), 0
	for _, r := range l.pending {
		if total+r.size > room || n > 0 && total+r.size > groupBytes {
			break
		}
		total += r.size
		l.pendingBytes -= r.raw
		n++
	}
	group := l.pending[:n:n]
	l.pending = l.pending[n:]
	if len(l.pending) == 0 {
		l.pending = nil
	}
	no := l.next
	l.mu.Unlock()

	l.buf = slices.Grow(l.buf[:0], int(total))
	index := uint32(0)
	for _, r := range group {
		r.first = no
		for i, p := range r.payloads {
			l.buf = frame.Append(l.buf, p, no, index, r.crcs[i])
			no++
			index++
		}
	}
	return group
}

// write puts l.buf at the end of the active segment and syncs it.
func (l *Log) write() error {
	a := l.active
	frame.Seal(l.buf, a.salt, a.end)
	if _, err := a.file.WriteAt(l.buf, a.end); err != nil {
		return fmt.Errorf("writing to segment %s: %w", a.path, err)
	}
	if err := a.file.Sync(); err != nil {
		return fmt.Errorf("syncing segment %s: %w", a.path, err)
	}
	return nil
}

// rewrite is the answer to a failed write: the segment is never written again,
// the group goes to a new one. Failing there too is final, unless it was only
// for want of room.
func (l *Log) rewrite(cause error) error {
	l.retire(cause)
	if err := l.rotate(int64(len(l.buf))); err != nil {
		return errors.Join(cause, err)
	}
	if err := l.write(); err != nil {
		l.retire(err)
		return errors.Join(cause, err)
	}
	return nil
}

// retire drops a suspect active segment. What was committed to it before stays
// readable.
func (l *Log) retire(cause error) {
	a := l.active
	l.active = nil
	_ = a.file.Close()
	l.mu.Lock()
	l.stats.SuspectSegments++
	l.mu.Unlock()
	l.o.Logger.Warn("log segment is suspect", "segment", a.path, "error", cause)
}

// settle answers a group that could not be written.
func (l *Log) settle(group []*request, err error) {
	var full *FullError
	if errors.As(err, &full) {
		l.mu.Lock()
		l.full = full
		l.mu.Unlock()
	} else {
		l.giveUp(err)
		err = fmt.Errorf("%w: %w", ErrUnhealthy, err)
	}
	for _, r := range group {
		r.first, r.err = 0, err
		close(r.done)
	}
}

// publish makes a written group visible and answers it.
func (l *Log) publish(group []*request) {
	n := uint64(0)
	for _, r := range group {
		n += uint64(len(r.payloads))
	}
	l.mu.Lock()
	l.active.end += int64(len(l.buf))
	l.next += n
	l.full = nil
	l.stats.Records += n
	l.stats.Commits++
	l.wakeWaitersLocked()
	l.mu.Unlock()
	for _, r := range group {
		close(r.done)
	}
}
