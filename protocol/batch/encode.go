package batch

import (
	"cmp"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"

	"github.com/fieldpost/fieldpost/protocol/report"
	"google.golang.org/protobuf/encoding/protowire"
)

// Field numbers of Envelope in batch.proto.
const (
	fHeader    = 1
	fBody      = 2
	fSignature = 3
)

// domain keeps a batch's signature from being taken for any other.
const domain = "fieldpost/batch/v1\x00"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Encoder freezes batches. The zero value is ready; keeping one saves its buffers and
// tables from being made anew: 0.3 MB after an hourly batch, several after the largest.
// Not safe for concurrent use.
type Encoder struct {
	cols   columns
	zip    deflater
	sorted []report.Cell
	raw    []byte
	body   []byte
	header []byte
	signed []byte
}

// Freeze is Encoder.Freeze for one batch.
func Freeze(h Header, cells []report.Cell, key ed25519.PrivateKey) ([]byte, error) {
	return new(Encoder).Freeze(h, cells, key)
}

// Freeze encodes, compresses and signs cells, in any order, each window of a series once.
// Version, Cells, RawLen and RawCRC of the header are set here. The bytes are the
// caller's. Errors have a Code; with ErrTooLarge the caller freezes fewer cells.
func (e *Encoder) Freeze(h Header, cells []report.Cell, key ed25519.PrivateKey) ([]byte, error) {
	if len(key) != ed25519.PrivateKeySize {
		return nil, errors.New("freezing a batch: not an Ed25519 private key")
	}
	if err := e.pack(cells, h.Created); err != nil {
		return nil, err
	}
	h.Version, h.Cells, h.RawLen = Version, uint32(len(cells)), uint32(len(e.raw))
	h.RawCRC = crc32.Checksum(e.raw, castagnoli)
	if err := h.check(); err != nil {
		return nil, err
	}
	e.header = h.append(e.header[:0])
	e.signed = signedBytes(e.signed[:0], e.header, e.body)
	wire := appendEnvelope(make([]byte, 0, envelopeSize(len(e.header), len(e.body))), e.header, e.body, ed25519.Sign(key, e.signed))
	if len(wire) > MaxWire {
		return nil, fail(ErrTooLarge, "%d bytes, at most %d", len(wire), MaxWire)
	}
	return wire, nil
}

// pack fills e.raw and e.body.
func (e *Encoder) pack(cells []report.Cell, created int64) error {
	if len(cells) > MaxCells {
		return fail(ErrTooLarge, "%d cells, at most %d", len(cells), MaxCells)
	}
	if !slices.IsSortedFunc(cells, compareCells) {
		e.sorted = append(e.sorted[:0], cells...)
		slices.SortFunc(e.sorted, compareCells)
		cells = e.sorted
	}
	if err := checkCells(cells, created); err != nil {
		return err
	}
	var err error
	if e.raw, err = e.cols.append(e.raw[:0], cells); err != nil {
		return err
	}
	if len(e.raw) > MaxRaw {
		return fail(ErrTooLarge, "%d bytes of columns, at most %d", len(e.raw), MaxRaw)
	}
	if e.body, err = e.zip.deflate(e.body[:0], e.raw); err != nil {
		return err
	}
	if len(e.raw) > freeRaw+MaxRatio*len(e.body) {
		return fail(ErrTooLarge, "%d bytes of columns shrink to %d: too much alike", len(e.raw), len(e.body))
	}
	return nil
}

// Fit is how many of the first cells go into one batch of at most max bytes (MaxWire if
// max is 0 or more than that), found by trying; 0 only for no cells, a max too small for
// one cell, or cells that Freeze would refuse for another reason than size.
func (e *Encoder) Fit(cells []report.Cell, max int) int {
	if max <= 0 || max > MaxWire {
		max = MaxWire
	}
	room := max - envelopeSize(MaxHeader, 0)
	n := min(len(cells), MaxCells)
	for n > 0 {
		err := e.pack(cells[:n], maxCreated)
		size := 2 * room
		switch {
		case err == nil && len(e.body) <= room:
			return n
		case err == nil:
			size = len(e.body)
		case CodeOf(err) != ErrTooLarge:
			return 0
		}
		n = min(n-1, int(float64(n)*float64(room)/float64(size)*0.95))
	}
	return 0
}

func compareCells(a, b report.Cell) int {
	return cmp.Or(a.Series.Compare(b.Series), cmp.Compare(a.Start, b.Start))
}

// checkCells checks order and each cell by itself, for both directions.
func checkCells(cells []report.Cell, created int64) error {
	for i := range cells {
		c := &cells[i]
		if i > 0 && compareCells(cells[i-1], *c) >= 0 {
			return fail(ErrOrder, "cell %d: window %d of %+v comes again or too late", i, c.Start, c.Series)
		}
		if err := c.Check(); err != nil {
			return fail(ErrCell, "cell %d: %v", i, err)
		}
		switch {
		case c.Breakdown == 0 && (c.V1 != 0 || c.V2 != 0):
			return fail(ErrCell, "cell %d: a total with values", i)
		case len(c.Blob) > MaxBlob:
			return fail(ErrTooLarge, "blob of %d bytes, at most %d", len(c.Blob), MaxBlob)
		case !plausible(c.Grain, c.Start, created):
			return fail(ErrWindow, "cell %d: %s window %d begins after the batch was frozen", i, c.Grain, c.Start)
		}
	}
	return nil
}

func signedBytes(b, header, body []byte) []byte {
	b = append(b, domain...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(header)))
	b = append(b, header...)
	return append(b, body...)
}

func envelopeSize(header, body int) int {
	return 3 + protowire.SizeBytes(header) + protowire.SizeBytes(body) + protowire.SizeBytes(ed25519.SignatureSize)
}

func appendEnvelope(b, header, body, sig []byte) []byte {
	b = protowire.AppendBytes(protowire.AppendTag(b, fHeader, protowire.BytesType), header)
	b = protowire.AppendBytes(protowire.AppendTag(b, fBody, protowire.BytesType), body)
	return protowire.AppendBytes(protowire.AppendTag(b, fSignature, protowire.BytesType), sig)
}
