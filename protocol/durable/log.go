package durable

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"slices"
	"sync"

	"github.com/fieldpost/fieldpost/protocol/durable/internal/frame"
)

// Errors of the log; match them with errors.Is.
var (
	// ErrFull: the records would pass Options.MaxBytes, or the disk is full.
	// errors.As finds a *FullError with the room needed. TrimBefore, or
	// somebody making room on the disk, ends it.
	ErrFull = errors.New("log is full")
	// ErrBusy: more than Options.MaxPending bytes wait for the disk. Retry.
	ErrBusy = errors.New("log is busy")
	// ErrUnhealthy: the disk failed twice in a row; what was acknowledged is
	// readable, nothing is accepted until the log is opened again.
	ErrUnhealthy = errors.New("log is unhealthy until it is opened again")
	// ErrTrimmed: the record asked for is before First.
	ErrTrimmed = errors.New("record is trimmed")
	// ErrAhead: the record asked for is behind Next: a position from elsewhere
	// knows more than the log. See Options.MinNext.
	ErrAhead = errors.New("record is not written yet")
	// ErrClosed: the log was closed.
	ErrClosed = errors.New("log is closed")
	// ErrNewerFormat: the log was written by a newer version of this package.
	ErrNewerFormat = frame.ErrNewerFormat
)

// FullError says what was missing.
type FullError struct {
	Need int64 // bytes the records take in the log
	Room int64 // bytes that were left for them
	Err  error // the disk's own error, if it was the disk that is full
}

func (e *FullError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%v: the disk has no room for %d bytes: %v", ErrFull, e.Need, e.Err)
	}
	return fmt.Sprintf("%v: %d bytes needed, %d left", ErrFull, e.Need, e.Room)
}

// Is makes errors.Is(err, ErrFull) true.
func (e *FullError) Is(target error) bool { return target == ErrFull }

func (e *FullError) Unwrap() error { return e.Err }

// Options of a log; the zero value of each field means its default.
type Options struct {
	FS FS // default OS()
	// SegmentBytes is the size of a segment file; at most a quarter of
	// MaxBytes, so that trimming gives room back in steps. Default 16 MiB:
	// 1,280 files at 20 GB, 16 MiB to scan at a start.
	SegmentBytes int64
	// MaxBytes caps the sizes of the log's files together, reserved room and
	// kept damage (at most an eighth) included, never exceeded by a byte.
	// Default 1 GiB.
	MaxBytes int64
	// MaxRecord caps one payload. Default 4 MiB, or what fits a segment.
	MaxRecord int
	// MaxPending caps the payload bytes of appends that wait for the disk.
	// Default 32 MiB: 64 bodies of 500 KB.
	MaxPending int64
	// MinNext, if larger than the number recovery would go on with, is the
	// number the next record gets. Whoever keeps a position elsewhere (a
	// checkpoint) gives it here, so that a log that lost its end never reuses
	// a number that was already processed.
	MinNext uint64
	Logger  *slog.Logger // default: silent
}

const (
	defaultSegmentBytes = 16 << 20
	defaultMaxBytes     = 1 << 30
	defaultMaxRecord    = 4 << 20
	defaultMaxPending   = 32 << 20
	// groupBytes ends a group commit: 1 MiB takes about as long to write as a
	// sync, so larger groups gain little and cost memory that stays.
	groupBytes = 1 << 20
	// minSegmentBytes holds a header and one small record.
	minSegmentBytes = frame.DataStart + 1024
)

func (o Options) withDefaults() (Options, error) {
	if o.FS == nil {
		o.FS = OS()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = defaultMaxBytes
	}
	if o.SegmentBytes == 0 {
		o.SegmentBytes = defaultSegmentBytes
	}
	o.SegmentBytes = min(o.SegmentBytes, o.MaxBytes/4)
	if o.SegmentBytes < minSegmentBytes {
		return o, fmt.Errorf("checking options: segments of %d bytes under a cap of %d, at least %d under %d",
			o.SegmentBytes, o.MaxBytes, minSegmentBytes, 4*minSegmentBytes)
	}
	fits := int(o.SegmentBytes - frame.DataStart - frame.HeaderSize - frame.Align)
	if o.MaxRecord == 0 {
		o.MaxRecord = min(defaultMaxRecord, fits)
	}
	if o.MaxRecord > fits {
		return o, fmt.Errorf("checking options: records of %d bytes do not fit segments of %d", o.MaxRecord, o.SegmentBytes)
	}
	if o.MaxPending == 0 {
		o.MaxPending = defaultMaxPending
	}
	return o, nil
}

// Log is an append-only sequence of records numbered from 1. Safe for
// concurrent use.
type Log struct {
	dir string
	o   Options

	// The committer goroutine alone uses these.
	active *activeSegment   // nil: the next commit needs a new segment
	buf    []byte           // frames of the group being written
	litter map[string]int64 // files that could not be made nor removed, and the room they take

	encoding sync.Mutex // held from taking a group until its payloads are copied
	trimming sync.Mutex // one TrimBefore, DropKept or keep at a time
	windows  sync.Pool  // of *frame.Window, for Read
	buffers  sync.Pool  // of *[]byte, for buf

	wake    chan struct{} // capacity 1: there is something pending
	closing chan struct{}
	stopped chan struct{} // the committer has ended

	mu           sync.Mutex // guards everything below
	closed       bool
	segs         []*segment // ascending by first
	next         uint64
	used         int64 // bytes of all files, including those being made or removed
	pending      []*request
	rotations    []*rotation // asked for, not begun
	pendingBytes int64
	waiters      chan struct{} // closed and replaced at a commit; nil without waiters
	unhealthy    error
	full         *FullError // of the last commit, nil once one succeeded
	stats        Stats
	lost         map[uint64]bool  // first number of each gap that was counted
	bad          map[string]int64 // files of kept damage and their size
	seen         map[string]bool  // damage that was counted, by the name of its file
	hints        [4]hint
	hintTurn     int
}

// request is one Append.
type request struct {
	payloads [][]byte
	crcs     []uint32
	raw      int64 // bytes of payload
	size     int64 // bytes in a segment
	first    uint64
	err      error
	done     chan struct{} // closed when first or err is set
}

// Append writes the payloads as consecutive records and returns the number of
// the first when all of them are on disk. Payloads are not used after it
// returns. If ctx ends before the write began nothing was written; if it ends
// later the error is ctx's and the outcome is unknown. Several payloads are one
// write but not one transaction: a crash can keep a part of those that were
// not acknowledged.
func (l *Log) Append(ctx context.Context, payloads ...[]byte) (first uint64, err error) {
	if len(payloads) == 0 {
		return 0, errors.New("appending: no payload")
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	r := &request{payloads: payloads, crcs: make([]uint32, len(payloads)), done: make(chan struct{})}
	for i, p := range payloads {
		if len(p) > l.o.MaxRecord {
			return 0, fmt.Errorf("appending a record of %d bytes, limit %d: %w", len(p), l.o.MaxRecord, ErrTooLarge)
		}
		r.raw += int64(len(p))
		r.size += frame.Size(len(p))
		r.crcs[i] = crc32.Checksum(p, frame.Table())
	}
	if r.size > l.o.SegmentBytes-frame.DataStart {
		return 0, fmt.Errorf("appending %d bytes at once to segments of %d: %w", r.size, l.o.SegmentBytes, ErrTooLarge)
	}
	if err := l.enqueue(r); err != nil {
		return 0, err
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		if l.withdraw(r) {
			return 0, ctx.Err()
		}
		select {
		case <-r.done: // it was just decided
		default:
			return 0, fmt.Errorf("appending, outcome unknown: %w", ctx.Err())
		}
	}
	return r.first, r.err
}

func (l *Log) enqueue(r *request) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return ErrClosed
	case l.unhealthy != nil:
		return fmt.Errorf("%w: %w", ErrUnhealthy, l.unhealthy)
	case len(l.pending) > 0 && l.pendingBytes+r.raw > l.o.MaxPending:
		return fmt.Errorf("%w: %d bytes wait for the disk", ErrBusy, l.pendingBytes)
	}
	l.pending = append(l.pending, r)
	l.pendingBytes += r.raw
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return nil
}

// withdraw takes r back if the committer has not begun with it. If it has,
// withdraw returns when r's payloads are no longer in use.
func (l *Log) withdraw(r *request) bool {
	l.mu.Lock()
	i := slices.Index(l.pending, r)
	if i >= 0 {
		l.pending = slices.Delete(l.pending, i, i+1)
		l.pendingBytes -= r.raw
	}
	l.mu.Unlock()
	if i >= 0 {
		return true
	}
	l.encoding.Lock()
	l.encoding.Unlock() //nolint:staticcheck // only to wait for the copy
	return false
}

// First returns the number of the oldest record still in the log (= Next when
// it is empty).
func (l *Log) First() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.firstLocked()
}

func (l *Log) firstLocked() uint64 {
	if len(l.segs) == 0 {
		return l.next
	}
	return l.segs[0].first
}

// Next returns the number the next record will get.
func (l *Log) Next() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next
}

// Bytes returns the size of all files of the log, reserved room included.
func (l *Log) Bytes() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.used
}

// Wait returns nil once record no is committed.
func (l *Log) Wait(ctx context.Context, no uint64) error {
	for {
		l.mu.Lock()
		if no < l.next {
			l.mu.Unlock()
			return nil
		}
		if l.closed {
			l.mu.Unlock()
			return ErrClosed
		}
		if l.waiters == nil {
			l.waiters = make(chan struct{})
		}
		ch := l.waiters
		l.mu.Unlock()
		select {
		case <-ch:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (l *Log) wakeWaitersLocked() {
	if l.waiters != nil {
		close(l.waiters)
		l.waiters = nil
	}
}

// Close commits the appends under way, refuses further ones and closes the
// files. Closing twice is harmless.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		<-l.stopped
		return nil
	}
	l.closed = true
	l.wakeWaitersLocked()
	l.mu.Unlock()
	close(l.closing)
	<-l.stopped
	if l.active == nil {
		return nil
	}
	err := l.active.file.Close() // everything in it is synced
	l.active = nil
	if err != nil {
		return fmt.Errorf("closing the log in %s: %w", l.dir, err)
	}
	return nil
}
