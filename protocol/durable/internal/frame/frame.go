// Package frame is the format of a log segment on disk, and the scanner that
// finds the whole records in one whatever happened to it. It keeps no state; its
// invariant is that bytes this log did not write at that place are never a record.
package frame

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// A segment file:
//
//	   0  segment header            all integers little endian
//	 512  the same header again, in another sector
//	1024  frames, each beginning at a multiple of 8, without gaps
//	 end  zeroes up to the preallocated size, cut off when the segment is full
//
// The segment header is magic(8) version(4) 0(4) first(8) salt(8) crc(4): the
// first record number and 64 random bits. A frame is
//
//	magic(4) length(4) number(8) index(4) payloadCRC(4) headerCRC(4) payload
//
// padded with zeroes to a multiple of 8. index counts the frames of one group
// commit from 0; with its highest bit set the frame is void: recovery found a
// hole in a group no one was told about, and payloadCRC is the number of
// records that are missing from number on.
//
// Both sums are CRC32C (Castagnoli); headerCRC also covers the segment's salt
// and the frame's offset. So a header proves that it stands where this log
// once wrote it: after damage the next record is found by looking for the next
// valid header, and bytes of a payload that look like a record, even those of
// a copied log, never pass for one.
const (
	formatVersion = 1
	headerCopy    = 512
	DataStart     = 1024 // of the first frame
	segHeaderSize = 36
	HeaderSize    = 28         // of a frame
	Align         = 8          // of frames
	frameMagic    = 0x525046F7 // F7 'F' 'P' 'R'
	voidBit       = 1 << 31
)

const segMagic = "FPLOG\r\n\x1a" // shows a transfer in text mode, as PNG's does

// Table returns the table of CRC32C; crc32 makes it once and keeps it.
func Table() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// SegmentHeader is what the first DataStart bytes of a segment say.
type SegmentHeader struct {
	First uint64 // number of its first record
	Salt  uint64 // random, see above
}

// NewSalt returns the random bits of a new segment.
func NewSalt() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	return binary.LittleEndian.Uint64(b[:])
}

// Encode returns the first DataStart bytes of a segment.
func (h SegmentHeader) Encode() []byte {
	b := make([]byte, DataStart)
	copy(b, segMagic)
	binary.LittleEndian.PutUint32(b[8:], formatVersion)
	binary.LittleEndian.PutUint64(b[16:], h.First)
	binary.LittleEndian.PutUint64(b[24:], h.Salt)
	binary.LittleEndian.PutUint32(b[32:], crc32.Checksum(b[:32], Table()))
	copy(b[headerCopy:], b[:segHeaderSize])
	return b
}

// ErrNoHeader: neither copy of the segment header is valid.
var ErrNoHeader = errors.New("no valid segment header")

// ErrNewerFormat: the segment was written by a newer version.
var ErrNewerFormat = errors.New("log was written by a newer version")

// DecodeSegmentHeader takes the first of the two copies that is valid.
func DecodeSegmentHeader(b []byte, first uint64) (SegmentHeader, error) {
	for _, at := range []int{0, headerCopy} {
		if len(b) < at+segHeaderSize {
			break
		}
		c := b[at : at+segHeaderSize]
		sum := crc32.Checksum(c[:32], Table())
		if string(c[:8]) != segMagic || binary.LittleEndian.Uint32(c[32:]) != sum {
			continue
		}
		if v := binary.LittleEndian.Uint32(c[8:]); v != formatVersion {
			return SegmentHeader{}, fmt.Errorf("format %d, this version knows %d: %w", v, formatVersion, ErrNewerFormat)
		}
		h := SegmentHeader{First: binary.LittleEndian.Uint64(c[16:]), Salt: binary.LittleEndian.Uint64(c[24:])}
		if h.First != first {
			continue // a renamed file: its numbers are not what its name says
		}
		return h, nil
	}
	return SegmentHeader{}, ErrNoHeader
}

// Size is what a payload of n bytes takes in a segment.
func Size(n int) int64 {
	return (int64(n) + HeaderSize + Align - 1) &^ (Align - 1)
}

// Append adds a frame that Seal completes.
func Append(buf, payload []byte, no uint64, index, payloadCRC uint32) []byte {
	le := binary.LittleEndian
	buf = le.AppendUint32(buf, frameMagic)
	buf = le.AppendUint32(buf, uint32(len(payload)))
	buf = le.AppendUint64(buf, no)
	buf = le.AppendUint32(buf, index)
	buf = le.AppendUint32(buf, payloadCRC)
	buf = le.AppendUint32(buf, 0)
	buf = append(buf, payload...)
	for len(buf)%Align != 0 {
		buf = append(buf, 0)
	}
	return buf
}

// PutVoid makes the whole of b, at least an empty frame long, one void frame.
func PutVoid(b []byte, no, missing uint64, index uint32, salt uint64, offset int64) {
	clear(b)
	binary.LittleEndian.PutUint32(b, frameMagic)
	binary.LittleEndian.PutUint32(b[4:], uint32(len(b)-HeaderSize))
	binary.LittleEndian.PutUint64(b[8:], no)
	binary.LittleEndian.PutUint32(b[16:], index|voidBit)
	binary.LittleEndian.PutUint32(b[20:], uint32(missing))
	binary.LittleEndian.PutUint32(b[24:], headerSum(b, salt, offset))
}

// Seal sets the header sums for the place the frames are written to.
func Seal(buf []byte, salt uint64, offset int64) {
	for at := 0; at < len(buf); {
		h := buf[at : at+HeaderSize]
		binary.LittleEndian.PutUint32(h[24:], headerSum(h, salt, offset+int64(at)))
		at += int(Size(int(binary.LittleEndian.Uint32(h[4:]))))
	}
}

func headerSum(h []byte, salt uint64, offset int64) uint32 {
	var seed [16]byte
	binary.LittleEndian.PutUint64(seed[:], salt)
	binary.LittleEndian.PutUint64(seed[8:], uint64(offset))
	return crc32.Update(crc32.Checksum(seed[:], Table()), Table(), h[:24])
}

// Frame is a decoded frame header.
type Frame struct {
	No         uint64
	Length     int
	Index      uint32
	PayloadCRC uint32
	Void       uint64 // number of missing records; 0: an ordinary frame
}

// parseHeader returns the frame whose header stands at the start of b, which
// is at offset of a segment with salt; ok is false if none does.
func parseHeader(b []byte, salt uint64, offset int64) (f Frame, ok bool) {
	if len(b) < HeaderSize || binary.LittleEndian.Uint32(b) != frameMagic {
		return Frame{}, false
	}
	if binary.LittleEndian.Uint32(b[24:]) != headerSum(b, salt, offset) {
		return Frame{}, false
	}
	f = Frame{
		No:         binary.LittleEndian.Uint64(b[8:]),
		Length:     int(binary.LittleEndian.Uint32(b[4:])),
		Index:      binary.LittleEndian.Uint32(b[16:]),
		PayloadCRC: binary.LittleEndian.Uint32(b[20:]),
	}
	if f.Index&voidBit != 0 {
		f.Index &^= voidBit
		f.Void = uint64(f.PayloadCRC)
	}
	return f, true
}

func AllZero(b []byte) bool { return len(bytes.TrimLeft(b, "\x00")) == 0 }
