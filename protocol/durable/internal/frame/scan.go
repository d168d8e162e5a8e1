package frame

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// Window reads a file through one sliding buffer.
type Window struct {
	R    io.ReaderAt
	Buf  []byte
	off  int64 // of buf[0] in the file
	Size int   // wanted length of buf
	End  int64 // of what is of interest in the file, 0: not known; a short rest takes a short buf
	// Salvage: what the disk cannot read, tried twice, reads as zeroes, so
	// that a bad sector costs its records and not all that follow.
	Salvage bool
}

// WindowSize is read at once: large enough that a disk streams, small enough
// that several readers do not count in the agent's 15 MB.
const WindowSize = 128 << 10

// piece is the unit of buffers, and of what a bad sector costs.
const piece = 4096

// Peek returns the n bytes at off, fewer only at the end of the file. They are
// valid until the next call.
func (w *Window) Peek(off int64, n int) ([]byte, error) {
	if at := off - w.off; at >= 0 && at+int64(n) <= int64(len(w.Buf)) {
		return w.Buf[at : at+int64(n)], nil
	}
	want := w.Size
	if w.End > off {
		want = int(min(int64(want), (w.End-off+piece-1)/piece*piece))
	}
	want = max(want, n)
	if cap(w.Buf) < want {
		w.Buf = make([]byte, want)
	}
	w.Buf = w.Buf[:want]
	got, err := w.R.ReadAt(w.Buf, off)
	if err != nil && !errors.Is(err, io.EOF) && w.Salvage {
		got, err = w.readPieces(off, err)
	}
	w.Buf, w.off = w.Buf[:got], off
	if err != nil && !errors.Is(err, io.EOF) {
		w.Buf = w.Buf[:0]
		return nil, fmt.Errorf("reading at %d: %w", off, err)
	}
	return w.Buf[:min(n, got)], nil
}

// readPieces fills buf piece by piece around what cannot be read. If nothing
// can, that is not a bad sector, and the error stands.
func (w *Window) readPieces(off int64, cause error) (got int, err error) {
	readable := false
	for got < len(w.Buf) {
		b := w.Buf[got:min(got+piece, len(w.Buf))]
		n, err := w.R.ReadAt(b, off+int64(got))
		if err != nil && !errors.Is(err, io.EOF) {
			n, err = w.R.ReadAt(b, off+int64(got))
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

// Scanner walks the frames of one segment. It yields the records that are
// whole, in order, and the stretches between them that are not.
type Scanner struct {
	W      *Window
	Salt   uint64
	Off    int64  // of the next frame
	Limit  int64  // end of what may be read
	Expect uint64 // lowest number the next record can have
	Before uint64 // numbers from here on belong to a later segment
	Skip   uint64 // records below are passed over by their header, unchecked
}

// EventKind says what a Scanner found.
type EventKind int

const (
	Record EventKind = iota
	Void             // Frame.Void records from Frame.No on were never acknowledged
	Damage           // [From,To) is no record
	End              // only zeroes from From on
)

// Event is a stretch of a segment.
type Event struct {
	Kind     EventKind
	From, To int64
	Frame    Frame
	Payload  []byte // valid until the next call
}

// Next returns the next event. After End it returns End again.
func (s *Scanner) Next() (Event, error) {
	b, err := s.W.Peek(s.Off, int(min(HeaderSize, max(0, s.Limit-s.Off))))
	if err != nil {
		return Event{}, err
	}
	if f, ok := s.header(b, s.Off); ok {
		return s.record(f)
	}
	from := s.Off
	found, nonZero, err := s.search(from)
	if err != nil {
		return Event{}, err
	}
	switch {
	case found >= 0:
		s.Off = found
		return Event{Kind: Damage, From: from, To: found}, nil
	case nonZero > from:
		s.Off = s.Limit
		return Event{Kind: Damage, From: from, To: nonZero}, nil
	}
	return Event{Kind: End, From: from, To: s.Limit}, nil
}

// header parses and judges a header: it must be one that this segment can have
// at this point.
func (s *Scanner) header(b []byte, off int64) (Frame, bool) {
	f, ok := parseHeader(b, s.Salt, off)
	ok = ok && f.No >= s.Expect && off+Size(f.Length) <= s.Limit
	return f, ok
}

func (s *Scanner) record(f Frame) (Event, error) {
	ev := Event{Kind: Record, From: s.Off, To: s.Off + Size(f.Length), Frame: f}
	if f.No >= s.Before {
		// Written here by a commit that failed and was written again to the
		// segment that follows: nothing from here on counts.
		s.Off = s.Limit
		return Event{Kind: End, From: ev.From, To: s.Limit}, nil
	}
	if f.Void > 0 {
		ev.Kind = Void
		s.Off, s.Expect = ev.To, f.No+f.Void
		return ev, nil
	}
	if f.No >= s.Skip {
		b, err := s.W.Peek(ev.From+HeaderSize, f.Length)
		if err != nil {
			return Event{}, err
		}
		ev.Payload = b[:len(b):len(b)]
		if len(b) < f.Length || crc32.Checksum(b, Table()) != f.PayloadCRC {
			ev.Kind, ev.Payload = Damage, nil
		}
	}
	s.Off = ev.To
	s.Expect = f.No + 1
	return ev, nil
}

// search looks behind from for the next valid header. found is −1 if there is
// none; nonZero is then the end of the last byte that is not zero.
func (s *Scanner) search(from int64) (found, nonZero int64, err error) {
	var magic [4]byte
	binary.LittleEndian.PutUint32(magic[:], frameMagic)
	nonZero = from
	for off := from; off < s.Limit; {
		n := int(min(int64(s.W.Size), s.Limit-off))
		b, err := s.W.Peek(off, n)
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
			if pos > from && pos%Align == 0 {
				if at+HeaderSize > len(b) && pos+HeaderSize <= s.Limit {
					break // the header goes over the edge: the next round has it whole
				}
				if _, ok := s.header(b[at:], pos); ok {
					return pos, nonZero, nil
				}
			}
			at++
		}
		if len(b) < n || off+int64(n) >= s.Limit {
			break
		}
		off += int64(n) - HeaderSize // overlap by one header
	}
	return -1, nonZero, nil
}
