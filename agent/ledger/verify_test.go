package ledger

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fieldpost/fieldpost/protocol/durable"
	"github.com/fieldpost/fieldpost/protocol/durable/durabletest"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// rewrite copies a ledger's records into a new one as a forger would, who can write valid
// records of the log but cannot make hashes agree.
func rewrite(t *testing.T, from durable.FS, head bool, change func(records [][]byte) [][]byte) *world {
	t.Helper()
	log, err := durable.Open(filepath.Join(dir, "entries"), durable.Options{FS: from, MaxBytes: 256 << 10})
	if err != nil {
		t.Fatal(err)
	}
	var records [][]byte
	if err := log.Read(0, func(_ uint64, p []byte) error { records = append(records, append([]byte(nil), p...)); return nil }); err != nil {
		t.Fatal(err)
	}
	log.Close()
	to := durabletest.New()
	if err := durable.MkdirAll(to, dir, 0o700); err != nil {
		t.Fatal(err)
	}
	log, err = durable.Open(filepath.Join(dir, "entries"), durable.Options{FS: to, MaxBytes: 256 << 10})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.Append(t.Context(), change(records)...); err != nil {
		t.Fatal(err)
	}
	log.Close()
	if head {
		b, err := durable.ReadFile(from, filepath.Join(dir, "head"), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if err := durable.WriteFile(to, filepath.Join(dir, "head"), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return newWorld(to)
}

func TestVerifyFindsWhatWasTamperedWith(t *testing.T) {
	fsys := durabletest.New()
	w := newWorld(fsys)
	l := w.open(t)
	for range 6 {
		w.settle(t, l, exchange.Accepted, "")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func([][]byte) [][]byte
		where  uint64
	}{
		"nothing": {func(r [][]byte) [][]byte { return r }, 0},
		"altered": {func(r [][]byte) [][]byte {
			r[2] = []byte(strings.Replace(string(r[2]), `"outcome":"accepted"`, `"outcome":"refused_"`, 1))
			return r
		}, 4}, // the next one does not follow it any more
		"batch altered":  {func(r [][]byte) [][]byte { r[2][len(r[2])-1] ^= 1; return r }, 3},
		"newest altered": {func(r [][]byte) [][]byte { r[5][40] ^= 1; return r }, 6},
		"removed":        {func(r [][]byte) [][]byte { return append(r[:2:2], r[3:]...) }, 3},
		"reordered":      {func(r [][]byte) [][]byte { r[1], r[2] = r[2], r[1]; return r }, 2},
		"first removed":  {func(r [][]byte) [][]byte { return r[1:] }, 1},
		"cut off":        {func(r [][]byte) [][]byte { return r[:4] }, 5},
		"inserted":       {func(r [][]byte) [][]byte { return append(r[:3:3], append([][]byte{r[2]}, r[3:]...)...) }, 4},
		"not a record":   {func(r [][]byte) [][]byte { r[3] = []byte("x"); return r }, 4},
	} {
		t.Run(name, func(t *testing.T) {
			l := rewrite(t, fsys, true, c.change).open(t)
			defer l.Close()
			err := l.Verify()
			var f *Finding
			switch {
			case c.where == 0 && err != nil:
				t.Fatal(err)
			case c.where == 0:
			case !errors.Is(err, ErrTampered) || !errors.As(err, &f):
				t.Fatalf("not found: %v", err)
			case f.No != c.where:
				t.Errorf("found at entry %d, want %d: %v", f.No, c.where, err)
			}
		})
	}
}

// Somebody removes the oldest segment: it was not trimmed, so it is told.
func TestRemovedSegmentIsNotATrimmedOne(t *testing.T) {
	fsys := durabletest.New()
	w := newWorld(fsys)
	l := w.open(t)
	for range 250 {
		w.settle(t, l, exchange.Accepted, "")
	}
	if err := l.Verify(); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := fsys.ReadDir(filepath.Join(dir, "entries"))
	if err != nil || len(files) < 2 {
		t.Fatal("the ledger has one segment only", err)
	}
	if err := fsys.Remove(filepath.Join(dir, "entries", files[0].Name())); err != nil {
		t.Fatal(err)
	}
	l = w.open(t)
	defer l.Close()
	if err := l.Verify(); !errors.Is(err, ErrTampered) {
		t.Fatalf("not found: %v", err)
	}
}

// A flipped bit on the disk costs one entry; the others are served and the place is told.
func TestFlippedBitCostsOneEntry(t *testing.T) {
	fsys := durabletest.New()
	w := newWorld(fsys)
	l := w.open(t)
	var wires [][]byte
	for range 5 {
		wires = append(wires, w.settle(t, l, exchange.Accepted, ""))
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := fsys.ReadDir(filepath.Join(dir, "entries"))
	if err != nil {
		t.Fatal(err)
	}
	seg := filepath.Join(dir, "entries", files[0].Name())
	fsys = fsys.Clone()
	w.fs = fsys
	if err := fsys.Change(seg, func(b []byte) []byte {
		i := strings.Index(string(b), string(wires[2][20:60]))
		if i < 0 {
			t.Fatal("the batch is not in the segment")
		}
		b[i] ^= 4
		return b
	}); err != nil {
		t.Fatal(err)
	}
	l = w.open(t)
	defer l.Close()
	for i, wire := range wires {
		_, err := l.Batch(epochOf(wire), uint64(i+1))
		if (err != nil) != (i == 2) {
			t.Errorf("batch %d: %v", i+1, err)
		}
	}
	var f *Finding
	if err := l.Verify(); !errors.As(err, &f) || f.No != 3 {
		t.Fatalf("the damage is not told: %v", err)
	}
	w.settle(t, l, exchange.Accepted, "") // and life goes on
}

func FuzzDecodeEntry(f *testing.F) {
	rec, err := encode(exchange.Hash{1}, &Meta{Kind: Note, Time: 5, Detail: []byte(`"x"`)}, []byte("wire"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(rec)
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := decode(1, b, true)
		if err == nil && len(e.Wire) > len(b) {
			t.Fatal("more came out than went in")
		}
	})
}
