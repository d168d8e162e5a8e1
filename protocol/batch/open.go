package batch

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"hash/crc32"

	"google.golang.org/protobuf/encoding/protowire"
)

// Peek reads the header of a batch and nothing else: who claims to have sent it, so that
// its key can be looked up. Nothing in it is to be trusted before Open.
func Peek(wire []byte) (Header, error) {
	header, _, _, err := envelope(wire)
	if err != nil {
		return Header{}, err
	}
	return parseHeader(header)
}

// Decoder opens batches. The zero value is ready; keeping one saves its buffers from being
// made anew. Not safe for concurrent use.
type Decoder struct {
	cols   columns
	unzip  inflater
	signed []byte
	again  []byte
}

// Open is Decoder.Open for one batch.
func Open(wire []byte, pub ed25519.PublicKey) (*Batch, error) {
	return new(Decoder).Open(wire, pub)
}

// Open verifies the signature, then inflates and decodes under the limits of this package.
// The batch keeps wire, which must not be changed. Errors have a Code.
func (d *Decoder) Open(wire []byte, pub ed25519.PublicKey) (*Batch, error) {
	if len(pub) != ed25519.PublicKeySize {
		return nil, errors.New("opening a batch: not an Ed25519 public key")
	}
	header, body, sig, err := envelope(wire)
	if err != nil {
		return nil, err
	}
	h, err := parseHeader(header)
	if err != nil {
		return nil, err
	}
	d.signed = signedBytes(d.signed[:0], header, body)
	if !ed25519.Verify(pub, d.signed, sig) {
		return nil, fail(ErrSignature, "batch %d of epoch %x is not signed by its agent's key", h.Seq, h.Epoch)
	}
	raw, err := d.unzip.inflate(body, int(h.RawLen))
	if err != nil {
		return nil, err
	}
	if crc32.Checksum(raw, castagnoli) != h.RawCRC {
		return nil, fail(ErrMalformed, "checksum of the columns")
	}
	b := &Batch{Header: h, Hash: Hash(wire), Wire: wire}
	if b.Cells, err = d.cols.decode(raw, int(h.Cells)); err != nil {
		return nil, err
	}
	if err := checkCells(b.Cells, h.Created); err != nil {
		return nil, err
	}
	if d.again, err = d.cols.append(d.again[:0], b.Cells); err != nil {
		return nil, err
	}
	if !bytes.Equal(d.again, raw) {
		return nil, fail(ErrMalformed, "columns are not in canonical form")
	}
	return b, nil
}

// envelope takes the wire apart, accepting only the canonical form.
func envelope(wire []byte) (header, body, sig []byte, err error) {
	if len(wire) > MaxWire {
		return nil, nil, nil, fail(ErrTooLarge, "%d bytes, at most %d", len(wire), MaxWire)
	}
	err = eachField(wire, func(n protowire.Number, v fieldValue) bool {
		switch n {
		case fHeader:
			header = v.bytes
		case fBody:
			body = v.bytes
		case fSignature:
			sig = v.bytes
		default:
			return false
		}
		return true
	})
	switch {
	case err != nil:
		return nil, nil, nil, err
	case len(header) == 0 || len(header) > MaxHeader || len(body) == 0 || len(sig) != ed25519.SignatureSize,
		envelopeSize(len(header), len(body)) != len(wire):
		return nil, nil, nil, fail(ErrMalformed, "envelope is not in canonical form")
	}
	return header, body, sig, nil
}
