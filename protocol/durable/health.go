package durable

import (
	"fmt"
	"path/filepath"

	"github.com/fieldpost/fieldpost/protocol/durable/internal/frame"
)

// Stats counts since Open; sizes and Quarantined are what is there now.
type Stats struct {
	First, Next      uint64 // records First…Next−1 are in the log
	Segments         int
	Bytes, MaxBytes  int64  // on disk, reserved room included; its cap
	Records          uint64 // appended and acknowledged
	Commits          uint64 // synced writes; Records ÷ Commits is the grouping
	TornBytes        int64  // of an unfinished write found by Open
	SkippedRecords   uint64 // acknowledged records lost to damage
	DamagedBytes     int64  // in which they were
	SuspectSegments  int    // ended by a failed write or sync
	Quarantined      int    // files of damaged bytes kept aside
	QuarantinedBytes int64
	NotKept          int64 // damaged bytes for which there was no room aside
	Dropped          int   // files of damaged bytes removed by DropKept
}

// Stats returns the counters.
func (l *Log) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.stats
	s.First, s.Next = l.firstLocked(), l.next
	s.Segments = len(l.segs)
	s.Bytes, s.MaxBytes = l.used, l.o.MaxBytes
	s.Quarantined = len(l.bad)
	for _, n := range l.bad {
		s.QuarantinedBytes += n
	}
	return s
}

// Warning is one thing the owner of the log should know.
type Warning struct {
	Code   string // stable, one of those below
	Cause  string
	Remedy string
}

// Codes of warnings.
const (
	WarnUnhealthy = "log_unhealthy"       // nothing is accepted
	WarnFull      = "log_full"            // the last append did not fit
	WarnSuspect   = "log_suspect_segment" // the disk failed a write, it was repeated elsewhere
	WarnDamaged   = "log_damaged"         // records were lost
	WarnKept      = "log_quarantine"      // damaged bytes lie aside
)

// Health returns what is wrong now, worst first; empty means healthy.
func (l *Log) Health() []Warning {
	s := l.Stats()
	l.mu.Lock()
	unhealthy, full := l.unhealthy, l.full
	l.mu.Unlock()
	var w []Warning
	if unhealthy != nil {
		w = append(w, Warning{WarnUnhealthy, unhealthy.Error(),
			"Check the disk and the rights on " + l.dir + ", then restart; what was accepted is kept."})
	}
	if full != nil {
		w = append(w, Warning{WarnFull, full.Error(),
			"It frees itself as records are processed; make room on the disk or raise the cap if it stays."})
	}
	if s.SkippedRecords > 0 || s.DamagedBytes > 0 {
		w = append(w, Warning{WarnDamaged,
			fmt.Sprintf("%d records in %d damaged bytes could not be read", s.SkippedRecords, s.DamagedBytes),
			"Check the disk's health; everything else in the log is intact."})
	}
	if s.SuspectSegments > 0 {
		w = append(w, Warning{WarnSuspect,
			fmt.Sprintf("%d writes failed; what was accepted was written again to another file", s.SuspectSegments),
			"Check the disk's health."})
	}
	if s.Quarantined > 0 {
		w = append(w, Warning{WarnKept,
			fmt.Sprintf("%d files with %d damaged or torn bytes are kept in %s", s.Quarantined, s.QuarantinedBytes, l.dir),
			"Nothing needs to be done; the .bad files may be removed once nobody wants to look into them."})
	}
	return w
}

// lose counts n records from number first as lost, once.
func (l *Log) lose(first, n uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n == 0 || l.lost[first] {
		return
	}
	l.lost[first] = true
	l.stats.SkippedRecords += n
	l.o.Logger.Error("log records lost to damage", "dir", l.dir, "first", first, "records", n)
}

// damaged counts a damaged stretch of a segment once and keeps a copy.
func (l *Log) damaged(f File, first uint64, from, to int64) {
	name := badName(first, from)
	l.mu.Lock()
	seen := l.seen[name]
	if !seen {
		l.seen[name] = true
		l.stats.DamagedBytes += to - from
	}
	l.mu.Unlock()
	if !seen {
		l.keep(f, first, from, to)
	}
}

func badName(first uint64, off int64) string {
	return fmt.Sprintf("%020d-%d%s", first, off, badSuffix)
}

// keep copies a stretch of a segment aside, for a person to look at. It is an
// extra: failing or having no room is counted and does not stop anything.
func (l *Log) keep(f File, first uint64, from, to int64) {
	name := badName(first, from)
	l.trimming.Lock()
	defer l.trimming.Unlock()
	l.mu.Lock()
	_, have := l.bad[name]
	l.mu.Unlock()
	if have {
		return // found by an earlier start
	}
	b := make([]byte, to-from)
	if n, _ := f.ReadAt(b, from); frame.AllZero(b[:n]) {
		return // sectors that were never written
	}
	if !l.reserveBad(name, int64(len(b)), false) {
		return
	}
	if err := WriteFile(l.o.FS, filepath.Join(l.dir, name), b, 0o600); err != nil {
		l.o.Logger.Warn("keeping damaged bytes aside", "dir", l.dir, "error", err)
		gone := l.unlink(filepath.Join(l.dir, name)) == nil
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.bad, name)
		l.stats.NotKept += int64(len(b))
		if gone {
			l.used -= int64(len(b))
		}
	}
}

// reserveBad takes n bytes for a file of kept damage. All of them together get
// at most an eighth of the cap: a dying disk must not fill the log with its
// debris. counted says that the bytes are part of used already.
func (l *Log) reserveBad(name string, n int64, counted bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	total := n
	for _, size := range l.bad {
		total += size
	}
	if total > l.o.MaxBytes/8 || !counted && l.used+n > l.o.MaxBytes {
		l.stats.NotKept += n
		return false
	}
	l.bad[name] = n
	if !counted {
		l.used += n
	}
	return true
}
