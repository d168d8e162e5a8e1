// Package batch freezes closed windows into the signed, compressed unit of delivery and
// opens it again under hard limits.
//
// A batch on the wire is a protobuf message of three fields (batch.proto): the header, the
// body, which is one zstd frame around the columns of all cells, and an Ed25519 signature
// over both. It holds no string of the product: cells are integers relative to the catalog
// the header names by hash. protocol/SPEC.md, section "Batch", is normative.
//
// Invariants:
//
//   - Canonical. The same header, cells and key give the same bytes, and of all encodings
//     of a header or of a column block exactly one is accepted: both are encoded again
//     after decoding and compared. The zstd frame inside need only be a single plain frame;
//     compressors of different versions differ, so its bytes are the sender's, kept as they
//     are.
//   - Verified before inflated: nothing of the body is decoded until the signature holds.
//   - Bounded: every allocation is limited by a constant of this package before it is made.
//   - Frozen: Batch.Wire is what was signed; retries, ledger, stream and export carry it
//     byte for byte, and Batch.Hash is the hash of it.
//
// It keeps nothing on disk. It is the one direct importer of klauspost/compress.
package batch

import (
	"crypto/sha256"

	"github.com/fieldpost/fieldpost/protocol/report"
)

// Version is the protocol's one integer. History:
//
//	1  2026-11  first
const Version = 1

const (
	// MaxWire bounds a whole batch. At 2 to 4 bytes a cell it holds 60,000 to 120,000
	// cells: an hourly batch of 300 cells for a week or more.
	MaxWire = 256 << 10

	// MaxRaw bounds the inflated columns: 100,000 cells of 8 bytes (a full float64 each) are
	// 0.8 MB. It is also the largest zstd window, since the frame is one segment.
	MaxRaw = 1 << 20

	// MaxCells bounds the cells, 72 bytes each in memory: 7.2 MB for the largest batch.
	MaxCells = 100_000

	// MaxBlob bounds one sketch: 2,048 bins with an index and a float64 count are under
	// 32 KiB, twice that for the negative half.
	MaxBlob = 64 << 10

	// MaxHeader bounds the header: all of its fields at their longest are under 400 bytes.
	MaxHeader = 512

	// MaxRatio bounds inflation beyond the first freeRaw bytes. The columns are run-length
	// coded before zstd sees them; real ones shrink by less than 20.
	MaxRatio = 512
	freeRaw  = MaxBlob + 1024
)

// Batch is an opened batch. Nothing in it is shared with the decoder.
type Batch struct {
	Header Header
	Cells  []report.Cell     // in the order of Series.Compare, then Start
	Hash   [sha256.Size]byte // of Wire; what the next batch's Prev carries
	Wire   []byte            // the bytes given to Open, not copied
}

// Hash is the identity of frozen bytes.
func Hash(wire []byte) [sha256.Size]byte { return sha256.Sum256(wire) }
