package durable

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
// records that are missing from number on. Both sums are CRC32C (Castagnoli); headerCRC also covers the
// segment's salt and the frame's offset. So a header proves that it stands
// where this log once wrote it: after damage the next record is found by
// looking for the next valid header, and bytes of a payload that look like a
// record, even those of a copied log, never pass for one.
const (
	formatVersion = 1
	headerCopy    = 512
	dataStart     = 1024
	segHeaderSize = 36
	frameHeader   = 28
	frameAlign    = 8
	frameMagic    = 0x525046F7 // F7 'F' 'P' 'R'
	voidBit       = 1 << 31
)

const segMagic = "FPLOG\r\n\x1a" // shows a transfer in text mode, as PNG's does

// castagnoli returns the table; crc32 makes it once and keeps it.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

type segHeader struct {
	first uint64
	salt  uint64
}

func newSalt() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	return binary.LittleEndian.Uint64(b[:])
}

// encode returns the first dataStart bytes of a segment.
func (h segHeader) encode() []byte {
	b := make([]byte, dataStart)
	copy(b, segMagic)
	binary.LittleEndian.PutUint32(b[8:], formatVersion)
	binary.LittleEndian.PutUint64(b[16:], h.first)
	binary.LittleEndian.PutUint64(b[24:], h.salt)
	binary.LittleEndian.PutUint32(b[32:], crc32.Checksum(b[:32], castagnoli()))
	copy(b[headerCopy:], b[:segHeaderSize])
	return b
}

var errNoHeader = errors.New("no valid segment header")

// decodeSegHeader takes the first of the two copies that is valid.
func decodeSegHeader(b []byte, first uint64) (segHeader, error) {
	for _, at := range []int{0, headerCopy} {
		if len(b) < at+segHeaderSize {
			break
		}
		c := b[at : at+segHeaderSize]
		sum := crc32.Checksum(c[:32], castagnoli())
		if string(c[:8]) != segMagic || binary.LittleEndian.Uint32(c[32:]) != sum {
			continue
		}
		if v := binary.LittleEndian.Uint32(c[8:]); v != formatVersion {
			return segHeader{}, fmt.Errorf("format %d, this version knows %d: %w", v, formatVersion, ErrNewerFormat)
		}
		h := segHeader{first: binary.LittleEndian.Uint64(c[16:]), salt: binary.LittleEndian.Uint64(c[24:])}
		if h.first != first {
			continue // a renamed file: its numbers are not what its name says
		}
		return h, nil
	}
	return segHeader{}, errNoHeader
}

// frameSize is what a payload of n bytes takes in a segment.
func frameSize(n int) int64 {
	return (int64(n) + frameHeader + frameAlign - 1) &^ (frameAlign - 1)
}

// appendFrame adds a frame that sealFrames completes.
func appendFrame(buf, payload []byte, no uint64, index, payloadCRC uint32) []byte {
	le := binary.LittleEndian
	buf = le.AppendUint32(buf, frameMagic)
	buf = le.AppendUint32(buf, uint32(len(payload)))
	buf = le.AppendUint64(buf, no)
	buf = le.AppendUint32(buf, index)
	buf = le.AppendUint32(buf, payloadCRC)
	buf = le.AppendUint32(buf, 0)
	buf = append(buf, payload...)
	for len(buf)%frameAlign != 0 {
		buf = append(buf, 0)
	}
	return buf
}

// putVoid makes the whole of b, at least an empty frame long, one void frame.
func putVoid(b []byte, no, missing uint64, index uint32, salt uint64, offset int64) {
	clear(b)
	binary.LittleEndian.PutUint32(b, frameMagic)
	binary.LittleEndian.PutUint32(b[4:], uint32(len(b)-frameHeader))
	binary.LittleEndian.PutUint64(b[8:], no)
	binary.LittleEndian.PutUint32(b[16:], index|voidBit)
	binary.LittleEndian.PutUint32(b[20:], uint32(missing))
	binary.LittleEndian.PutUint32(b[24:], headerSum(b, salt, offset))
}

// sealFrames sets the header sums for the place the frames are written to.
func sealFrames(buf []byte, salt uint64, offset int64) {
	for at := 0; at < len(buf); {
		h := buf[at : at+frameHeader]
		binary.LittleEndian.PutUint32(h[24:], headerSum(h, salt, offset+int64(at)))
		at += int(frameSize(int(binary.LittleEndian.Uint32(h[4:]))))
	}
}

func headerSum(h []byte, salt uint64, offset int64) uint32 {
	var seed [16]byte
	binary.LittleEndian.PutUint64(seed[:], salt)
	binary.LittleEndian.PutUint64(seed[8:], uint64(offset))
	return crc32.Update(crc32.Checksum(seed[:], castagnoli()), castagnoli(), h[:24])
}

// frame is a decoded frame header.
type frame struct {
	no         uint64
	length     int
	index      uint32
	payloadCRC uint32
	void       uint64 // number of missing records; 0: an ordinary frame
}

// parseHeader returns the frame whose header stands at the start of b, which
// is at offset of a segment with salt; ok is false if none does.
func parseHeader(b []byte, salt uint64, offset int64) (f frame, ok bool) {
	if len(b) < frameHeader || binary.LittleEndian.Uint32(b) != frameMagic {
		return frame{}, false
	}
	if binary.LittleEndian.Uint32(b[24:]) != headerSum(b, salt, offset) {
		return frame{}, false
	}
	f = frame{
		no:         binary.LittleEndian.Uint64(b[8:]),
		length:     int(binary.LittleEndian.Uint32(b[4:])),
		index:      binary.LittleEndian.Uint32(b[16:]),
		payloadCRC: binary.LittleEndian.Uint32(b[20:]),
	}
	if f.index&voidBit != 0 {
		f.index &^= voidBit
		f.void = uint64(f.payloadCRC)
	}
	return f, true
}

func allZero(b []byte) bool { return len(bytes.TrimLeft(b, "\x00")) == 0 }
