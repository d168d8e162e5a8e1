package durable

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// window reads a file through one sliding buffer.
type window struct {
	r    io.ReaderAt
	buf  []byte
	off  int64 // of buf[0] in the file
	size int   // wanted length of buf
	// salvage: what the disk cannot read, tried twice, reads as zeroes, so
	// that a bad sector costs its records and not all that follow.
	salvage bool
}

// windowSize is read at once: large enough that a disk streams, small enough
// that several readers do not count in the agent's 15 MB.
const windowSize = 128 << 10

// peek returns the n bytes at off, fewer only at the end of the file. They are
// valid until the next call.
func (w *window) peek(off int64, n int) ([]byte, error) {
	if at := off - w.off; at >= 0 && at+int64(n) <= int64(len(w.buf)) {
		return w.buf[at : at+int64(n)], nil
	}
	want := max(w.size, n)
	if cap(w.buf) < want {
		w.buf = make([]byte, want)
	}
	w.buf = w.buf[:want]
	got, err := w.r.ReadAt(w.buf, off)
	if err != nil && !errors.Is(err, io.EOF) && w.salvage {
		got, err = w.readPieces(off, err)
	}
	w.buf, w.off = w.buf[:got], off
	if err != nil && !errors.Is(err, io.EOF) {
		w.buf = w.buf[:0]
		return nil, fmt.Errorf("reading at %d: %w", off, err)
	}
	return w.buf[:min(n, got)], nil
}

// readPieces fills buf piece by piece around what cannot be read. If nothing
// can, that is not a bad sector, and the error stands.
func (w *window) readPieces(off int64, cause error) (got int, err error) {
	const piece = 4096
	readable := false
	for got < len(w.buf) {
		b := w.buf[got:min(got+piece, len(w.buf))]
		n, err := w.r.ReadAt(b, off+int64(got))
		if err != nil && !errors.Is(err, io.EOF) {
			n, err = w.r.ReadAt(b, off+int64(got))
		}
		if err != nil && !errors.Is(err, io.EOF) {
			clear(b)
			got += len(b)
			continue
		}
		got += n
		readable = readable || n > 0
		if err != nil {
			break
		}
	}
	if !readable {
		return 0, cause
	}
	return got, nil
}

// scanner walks the frames of one segment. It yields the records that are
// whole, in order, and the stretches between them that are not.
type scanner struct {
	w      *window
	salt   uint64
	off    int64  // of the next frame
	limit  int64  // end of what may be read
	expect uint64 // lowest number the next record can have
	before uint64 // numbers from here on belong to a later segment
	skip   uint64 // records below are passed over by their header, unchecked
}

type eventKind int

const (
	evRecord eventKind = iota
	evVoid             // frame.void records from frame.no on were never acknowledged
	evDamage           // [from,to) is no record
	evEnd              // only zeroes from `from` on
)

type event struct {
	kind     eventKind
	from, to int64
	frame    frame
	payload  []byte // valid until the next call
}

// next returns the next event. After evEnd it returns evEnd again.
func (s *scanner) next() (event, error) {
	b, err := s.w.peek(s.off, int(min(frameHeader, max(0, s.limit-s.off))))
	if err != nil {
		return event{}, err
	}
	if f, ok := s.header(b, s.off); ok {
		return s.record(f)
	}
	from := s.off
	found, nonZero, err := s.search(from)
	if err != nil {
		return event{}, err
	}
	switch {
	case found >= 0:
		s.off = found
		return event{kind: evDamage, from: from, to: found}, nil
	case nonZero > from:
		s.off = s.limit
		return event{kind: evDamage, from: from, to: nonZero}, nil
	}
	return event{kind: evEnd, from: from, to: s.limit}, nil
}

// header parses and judges a header: it must be one that this segment can have
// at this point.
func (s *scanner) header(b []byte, off int64) (frame, bool) {
	f, ok := parseHeader(b, s.salt, off)
	ok = ok && f.no >= s.expect && off+frameSize(f.length) <= s.limit
	return f, ok
}

func (s *scanner) record(f frame) (event, error) {
	ev := event{kind: evRecord, from: s.off, to: s.off + frameSize(f.length), frame: f}
	if f.no >= s.before {
		// Written here by a commit that failed and was written again to the
		// segment that follows: nothing from here on counts.
		s.off = s.limit
		return event{kind: evEnd, from: ev.from, to: s.limit}, nil
	}
	if f.void > 0 {
		ev.kind = evVoid
		s.off, s.expect = ev.to, f.no+f.void
		return ev, nil
	}
	if f.no >= s.skip {
		b, err := s.w.peek(ev.from+frameHeader, f.length)
		if err != nil {
			return event{}, err
		}
		ev.payload = b[:len(b):len(b)]
		if len(b) < f.length || crc32.Checksum(b, castagnoli()) != f.payloadCRC {
			ev.kind, ev.payload = evDamage, nil
		}
	}
	s.off = ev.to
	s.expect = f.no + 1
	return ev, nil
}

// search looks behind from for the next valid header. found is −1 if there is
// none; nonZero is then the end of the last byte that is not zero.
func (s *scanner) search(from int64) (found, nonZero int64, err error) {
	var magic [4]byte
	binary.LittleEndian.PutUint32(magic[:], frameMagic)
	nonZero = from
	for off := from; off < s.limit; {
		n := int(min(int64(s.w.size), s.limit-off))
		b, err := s.w.peek(off, n)
		if err != nil {
			return 0, 0, err
		}
		if t := bytes.TrimRight(b, "\x00"); len(t) > 0 {
			nonZero = off + int64(len(t))
		}
		for at := 0; at < len(b); {
			i := bytes.Index(b[at:], magic[:])
			if i < 0 {
				break
			}
			at += i
			pos := off + int64(at)
			if pos > from && pos%frameAlign == 0 {
				if at+frameHeader > len(b) && pos+frameHeader <= s.limit {
					break // the header goes over the edge: the next round has it whole
				}
				if _, ok := s.header(b[at:], pos); ok {
					return pos, nonZero, nil
				}
			}
			at++
		}
		if len(b) < n || off+int64(n) >= s.limit {
			break
		}
		off += int64(n) - frameHeader // overlap by one header
	}
	return -1, nonZero, nil
}
