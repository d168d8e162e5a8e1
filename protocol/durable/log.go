package durable

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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
	// ErrClosed: the log was closed.
	ErrClosed = errors.New("log is closed")
	// ErrNewerFormat: the log was written by a newer version of this package.
	ErrNewerFormat = errors.New("log was written by a newer version")
)

// FullError says what was missing.
type FullError struct {
	Need int64 // bytes the records take in the log
	Room int64 // bytes that were left for them
	Err  error // the disk's own error, if it was the disk that is full
}

func (e *FullError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%v: disk has no room for %d bytes: %v", ErrFull, e.Need, e.Err)
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
	// MaxBytes caps the sum of all file sizes in the log's directory, never
	// exceeded by a byte. Default 1 GiB.
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

// Stats counts since Open; Quarantined* and sizes are what is there now.
type Stats struct {
	First, Next      uint64 // records First…Next-1 are in the log
	Segments         int
	Bytes, MaxBytes  int64  // on disk, its cap
	Records          uint64 // appended and acknowledged
	Commits          uint64 // writes that were synced; Records/Commits is the grouping
	TornBytes        int64  // dropped at the end by Open: a write no one was told about
	SkippedRecords   uint64 // lost to damage
	DamagedBytes     int64  // in which they were
	SuspectSegments  int    // sealed after a failed write or sync
	Quarantined      int    // files of damaged bytes kept aside
	QuarantinedBytes int64
	NotKept          int64 // damaged bytes there was no room to keep aside
}

// Warning is one thing the owner of the log should know.
type Warning struct {
	Code   string // stable: log_full, log_unhealthy, log_suspect, log_damaged, log_torn
	Cause  string
	Remedy string
}

// Log is an append-only sequence of records numbered from 1. Safe for
// concurrent use.
type Log struct{}

// Open recovers and opens the log in dir, creating it if need be. The caller
// holds Lock on dir or on a directory above it.
func Open(dir string, o Options) (*Log, error) { return nil, errors.ErrUnsupported }

// Append writes the payloads as consecutive records and returns the number of
// the first when all of them are on disk. Payloads are not kept after it
// returns. If ctx ends first the error is ctx's and the outcome is unknown.
func (l *Log) Append(ctx context.Context, payloads ...[]byte) (first uint64, err error) {
	return 0, errors.ErrUnsupported
}

// Read calls fn for every record from number from that was committed when Read
// was called, in order. from 0 means First. payload is valid only during fn;
// an error of fn ends Read and is returned as it is. Records lost to damage
// are passed over and counted. from before First is ErrTrimmed.
func (l *Log) Read(from uint64, fn func(no uint64, payload []byte) error) error {
	return errors.ErrUnsupported
}

// First returns the number of the oldest record still in the log (= Next when
// it is empty).
func (l *Log) First() uint64 { return 0 }

// Next returns the number the next record will get.
func (l *Log) Next() uint64 { return 0 }

// Bytes returns the size of all files of the log.
func (l *Log) Bytes() int64 { return 0 }

// TrimBefore removes the segments all of whose records come before no. The
// newest segment always stays.
func (l *Log) TrimBefore(no uint64) error { return errors.ErrUnsupported }

// Wait returns nil once record no is committed.
func (l *Log) Wait(ctx context.Context, no uint64) error { return errors.ErrUnsupported }

// Stats returns the counters.
func (l *Log) Stats() Stats { return Stats{} }

// Health returns what is wrong now; empty means healthy.
func (l *Log) Health() []Warning { return nil }

// Close waits for the appends under way, refuses further ones and closes the
// files. Closing twice is harmless.
func (l *Log) Close() error { return nil }
