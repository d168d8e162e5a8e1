// Package durable is the only code of Fieldpost that renames or fsyncs:
// atomic file replacement (WriteFile), a lock per state directory (Lock) and
// an append log with group commit (Log).
//
// # States on disk
//
//	NAME.HHHHHHHHHHHHHHHH.fptmp     a file being written; garbage after a crash
//	lock                            held by the process whose pid it contains
//	NNNNNNNNNNNNNNNNNNNN.seg        records from number N up to the next segment's
//	NNNNNNNNNNNNNNNNNNNN-OFFSET.bad damaged bytes of segment N, kept for a person to look at
//	NNNNNNNNNNNNNNNNNNNN.seg.bad    a whole segment that cannot be read
//
// The layout of a segment stands in internal/frame.
//
// # Invariants of the log
//
//   - A record is acknowledged after it was written and synced, never before.
//   - Numbers are contiguous from 1 as long as nothing was damaged; a number
//     that was acknowledged is never given to another record while the log
//     keeps its end (Options.MinNext covers the case that it does not).
//   - The files together never pass Options.MaxBytes; room is reserved before
//     it is taken and given back only after the removal is on disk.
//   - Only the newest segment is ever written. A segment appears under its
//     name complete with header and reserved blocks, by rename.
//   - After a failed write or sync nothing is ever written to that segment
//     again: page caches forget what they failed to write, and a second sync
//     would report a success that is none. What was not acknowledged goes from
//     memory to a new segment, whose number cuts off the copies in the old one.
//
// # Crash points and what recovery does
//
//  1. While a temporary file is written, before the rename: the old file
//     stands, the temporary one is removed (CleanTemps, Open).
//  2. After the rename, before the directory is synced: old or new, whole.
//  3. While a segment is created: as 1 and 2; an empty newest segment is used.
//  4. While a group is written: any of its sectors may be missing. The whole
//     records among them are kept (nobody was told about them, nobody was told
//     they failed either); the rest is cut off, counted in TornBytes, kept in
//     a .bad file and zeroed, or made void between two whole records, so that
//     it can never be taken for a record or for damage later.
//  5. After the write, before the sync, and the machine stayed up: the newest
//     group is written again in place and synced before Open returns, since
//     whether it reached the disk cannot be known.
//  6. After a failed write, before the new segment has its name: as 4.
//  7. After that: the new segment's number cuts the old one off.
//  8. While a full segment is cut to its length: a tail of zeroes stays, which
//     is not damage.
//  9. While segments are trimmed: oldest first, each synced, so the rest has
//     no hole.
//  10. While a segment is rotated: as 8, then as 3. Between the two there is no
//     segment with room; the old one is the newest again and the next append
//     makes the new one, as it does for a full segment.
//  11. While kept damage is dropped: each file is there or not.
//
// Damage in the middle (a flipped bit, a lost sector) costs the records it
// touches: a broken payload is passed over by its header, a broken header by
// searching for the next valid one. Both are counted in SkippedRecords, named
// by Health, and copied aside before trimming takes the segment. Read takes a
// sector that the disk refuses twice for damage; Open does not and returns the
// error, since it would go on to overwrite what may be readable later. Open scans
// only the newest segment; older ones are judged when they are read.
package durable
