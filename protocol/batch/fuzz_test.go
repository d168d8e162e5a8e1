package batch_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/fieldpost/fieldpost/protocol/batch"
	"github.com/fieldpost/fieldpost/protocol/protocoltest"
)

// Whatever opens is a batch that freezes again to the same header and columns.
func FuzzOpen(f *testing.F) {
	vectors, err := protocoltest.Vectors()
	if err != nil {
		f.Fatal(err)
	}
	for _, v := range vectors {
		f.Add(v.Wire, true)
	}
	var d batch.Decoder
	var e batch.Encoder
	f.Fuzz(func(t *testing.T, wire []byte, resign bool) {
		// A fuzzer cannot sign: do it for it, so that what lies behind is reached.
		if resign {
			if header, body, ok := split(wire); ok {
				wire = batch.Seal(header, body, key)
			}
		}
		h, peekErr := batch.Peek(wire)
		b, err := d.Open(wire, pub)
		if err != nil {
			if batch.CodeOf(err) == "" || batch.CodeOf(err).HTTP() < 400 {
				t.Fatalf("without a code: %v", err)
			}
			return
		}
		if peekErr != nil || h.Seq != b.Header.Seq || h.Agent != b.Header.Agent {
			t.Fatalf("opens, but peeks to %+v, %v", h, peekErr)
		}
		again, err := e.Freeze(b.Header, b.Cells, key)
		if err != nil {
			t.Fatalf("opens, but does not freeze: %v", err)
		}
		b2, err := d.Open(again, pub)
		if err != nil || !slices.EqualFunc(b.Cells, b2.Cells, sameCell) {
			t.Fatalf("frozen again it is another batch: %v", err)
		}
		h1, _, _ := split(wire)
		h2, _, _ := split(again)
		if !bytes.Equal(h1, h2) {
			t.Fatal("frozen again it has another header: header and columns are not canonical")
		}
	})
}

// Whatever decodes from a column block has that block as its one encoding, or is refused as
// not canonical; nothing panics or grows beyond its limits.
func FuzzDecodeBody(f *testing.F) {
	vectors, err := protocoltest.Vectors()
	if err != nil {
		f.Fatal(err)
	}
	for _, v := range vectors {
		if raw, err := batch.Columns(v.Cells); err == nil && v.Error == "" {
			f.Add(raw, len(v.Cells))
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte, n int) {
		if n < 0 || n > 5000 {
			return
		}
		cells, canonical, err := batch.DecodeColumns(raw, n)
		if err != nil {
			if batch.CodeOf(err) == "" {
				t.Fatalf("without a code: %v", err)
			}
			return
		}
		if len(cells) != n {
			t.Fatalf("%d cells, %d declared", len(cells), n)
		}
		own, err := batch.Columns(cells)
		if err != nil {
			t.Fatalf("decoded cells do not encode: %v", err)
		}
		if canonical != bytes.Equal(own, raw) {
			t.Fatal("whether it is canonical depends on what was encoded before")
		}
		again, ok, err := batch.DecodeColumns(own, n)
		if err != nil || !ok || !slices.EqualFunc(cells, again, sameCell) {
			t.Fatalf("its own encoding is another: %v", err)
		}
	})
}
