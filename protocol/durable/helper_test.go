package durable_test

import (
	"encoding/binary"
	"hash/crc32"
	"runtime"
	"testing"

	"github.com/fieldpost/fieldpost/protocol/durable"
)

func waitPending(t *testing.T, l *durable.Log, n int64) {
	t.Helper()
	for l.PendingBytes() != n {
		runtime.Gosched()
		if t.Context().Err() != nil {
			t.Fatal("gave up")
		}
	}
}

// newerFormat raises the format number in both copies of a segment's header,
// written from the description in internal/frame, not with its code.
func newerFormat(b []byte) []byte {
	for _, at := range []int{0, 512} {
		h := b[at : at+36]
		binary.LittleEndian.PutUint32(h[8:], 2)
		binary.LittleEndian.PutUint32(h[32:], crc32.Checksum(h[:32], crc32.MakeTable(crc32.Castagnoli)))
	}
	return b
}
