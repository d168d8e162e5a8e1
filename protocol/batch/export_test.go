package batch

import (
	"crypto/ed25519"
	"hash/crc32"

	"github.com/fieldpost/fieldpost/protocol/report"
)

// Seal signs whatever it is given, as a hostile agent can.
func Seal(header, body []byte, key ed25519.PrivateKey) []byte {
	return appendEnvelope(nil, header, body, ed25519.Sign(key, signedBytes(nil, header, body)))
}

// HeaderBytes encodes a header without checking it.
func HeaderBytes(h Header) []byte { return h.append(nil) }

// Columns is the column block of ordered cells, which need not pass their checks.
func Columns(cells []report.Cell) ([]byte, error) { return new(columns).append(nil, cells) }

// Deflate is the frame Freeze would make.
func Deflate(raw []byte) ([]byte, error) { return new(deflater).deflate(nil, raw) }

// DecodeColumns reads a block and reports whether it is canonical.
func DecodeColumns(raw []byte, n int) (cells []report.Cell, canonical bool, err error) {
	var c columns
	if cells, err = c.decode(raw, n); err != nil {
		return nil, false, err
	}
	if err = checkCells(cells, maxCreated); err != nil {
		return nil, false, err
	}
	again, err := c.append(nil, cells)
	return cells, string(again) == string(raw), err
}

func CRC(raw []byte) uint32 { return crc32.Checksum(raw, castagnoli) }

func Ordinal(g report.Grain, start int64) (int64, bool) { return ordinal(g, start) }
func StartOf(g report.Grain, n int64) int64             { return startOf(g, n) }
