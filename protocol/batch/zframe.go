package batch

import (
	"bytes"
	"io"

	"github.com/fieldpost/fieldpost/protocol/batch/internal/intcol"
	"github.com/klauspost/compress/zstd"
)

// deflater makes the body's one frame. Its options are fixed, so one version of the
// library gives the same bytes for the same columns everywhere.
type deflater struct{ enc *zstd.Encoder }

func (d *deflater) deflate(dst, raw []byte) ([]byte, error) {
	if d.enc == nil {
		enc, err := zstd.NewWriter(nil,
			// Slower levels gain nothing on columns that are packed already, and take 1 to 5 MB.
			zstd.WithEncoderLevel(zstd.SpeedFastest),
			zstd.WithWindowSize(MaxRaw),
			zstd.WithEncoderConcurrency(1),
			zstd.WithLowerEncoderMem(true),
			zstd.WithEncoderCRC(false), // the header has one over the same bytes
			zstd.WithZeroFrames(true),
			zstd.WithSingleSegment(true), // always states the content's size
		)
		if err != nil {
			return nil, err
		}
		d.enc = enc
	}
	return d.enc.EncodeAll(raw, dst), nil
}

// inflater opens one frame under limits that do not depend on what the frame says.
type inflater struct {
	dec *zstd.Decoder
	in  bytes.Reader
	buf []byte
}

// inflate returns the frame's content, valid until the next call.
func (d *inflater) inflate(body []byte, rawLen int) ([]byte, error) {
	if rawLen > freeRaw+MaxRatio*len(body) {
		return nil, fail(ErrBomb, "%d bytes declared for a body of %d", rawLen, len(body))
	}
	if err := checkFrame(body, rawLen); err != nil {
		return nil, err
	}
	if d.dec == nil {
		dec, err := zstd.NewReader(nil,
			zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(MaxRaw),
			zstd.WithDecoderMaxMemory(MaxRaw),
		)
		if err != nil {
			return nil, err
		}
		d.dec = dec
	}
	d.in.Reset(body)
	if err := d.dec.Reset(&d.in); err != nil {
		return nil, fail(ErrBomb, "opening the frame: %v", err)
	}
	// Not the decoder's limits but this buffer's length is what bounds the output: a
	// streaming decoder does not honour its memory limit.
	d.buf = intcol.Sized(d.buf, rawLen+1)
	n, err := io.ReadFull(d.dec, d.buf)
	if n != rawLen || err != io.ErrUnexpectedEOF && err != io.EOF {
		return nil, fail(ErrBomb, "declared %d bytes, inflated %d: %v", rawLen, n, err)
	}
	return d.buf[:n], nil
}

// checkFrame walks the frame's skeleton: one frame of one segment without dictionary or
// checksum that states the expected size, blocks up to the last, nothing behind it.
func checkFrame(body []byte, rawLen int) error {
	var h zstd.Header
	rest, err := h.DecodeAndStrip(body)
	switch {
	case err != nil:
		return fail(ErrMalformed, "body: %v", err)
	case h.Skippable || h.DictionaryID != 0 || h.HasCheckSum || !h.SingleSegment || !h.HasFCS:
		return fail(ErrMalformed, "body is not one plain zstd segment")
	case h.FrameContentSize != uint64(rawLen):
		return fail(ErrBomb, "frame of %d bytes, header says %d", h.FrameContentSize, rawLen)
	}
	for last := false; !last; {
		if len(rest) < 3 {
			return fail(ErrMalformed, "body is cut short")
		}
		block := int(rest[0]) | int(rest[1])<<8 | int(rest[2])<<16
		last = block&1 == 1
		size := block >> 3
		if block>>1&3 == 1 { // one byte, repeated size times
			size = 1
		}
		if len(rest)-3 < size {
			return fail(ErrMalformed, "body is cut short")
		}
		rest = rest[3+size:]
	}
	if len(rest) > 0 {
		return fail(ErrMalformed, "%d bytes behind the frame", len(rest))
	}
	return nil
}
