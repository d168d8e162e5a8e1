package durable_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/fieldpost/fieldpost/protocol/durable"
	"github.com/fieldpost/fieldpost/protocol/durable/durabletest"
)

// damageLog makes a closed log of two segments, the newest with several groups.
func damageLog(t testing.TB) (fsys *durabletest.FS, want []record, segs []string) {
	fsys = durabletest.New()
	l := mustOpen(t, dir, small(fsys))
	i := 0
	for _, sizes := range [][]int{{100}, {333, 20}, {90}, {200, 150}, {50, 60}, {0, 9, 70}, {120}} {
		var group [][]byte
		for _, n := range sizes {
			i++
			group = append(group, payload(i, n))
		}
		first := mustAppend(t, l, group...)
		for j, p := range group {
			want = append(want, record{first + uint64(j), string(p)})
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(fsys.Dump(), "\n") {
		if strings.HasSuffix(line, ".seg") {
			segs = append(segs, line[strings.LastIndexByte(line, ' ')+1:])
		}
	}
	if len(segs) != 2 {
		t.Fatalf("segments %v", segs)
	}
	return fsys.Clone(), want, segs
}

// recovered opens a damaged log and returns what is left; the log must take
// records, and show the same and the new one when opened again.
func recovered(t testing.TB, fsys *durabletest.FS, want []record) (got []record, s durable.Stats) {
	t.Helper()
	l, err := durable.Open(dir, small(fsys))
	if err != nil {
		t.Fatal(err)
	}
	got = mustRead(t, l)
	s = l.Stats()
	i := 0
	for _, r := range got {
		for i < len(want) && want[i] != r {
			i++
		}
		if i == len(want) {
			t.Fatalf("record %d (%.20q) was never written, or out of order", r.no, r.data)
		}
	}
	no := mustAppend(t, l, []byte("new"))
	if again := mustRead(t, l); l.Stats().SkippedRecords != s.SkippedRecords || len(again) != len(got)+1 {
		t.Fatalf("reading twice counts %d and %d lost", s.SkippedRecords, l.Stats().SkippedRecords)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l, err = durable.Open(dir, small(fsys))
	if err != nil {
		t.Fatal(err)
	}
	if again := mustRead(t, l); !slices.Equal(again, append(got, record{no, "new"})) {
		t.Fatalf("opened again: %v, want %v and %d", again, got, no)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return got, s
}

func TestAFlippedByteCostsOneRecordAtMost(t *testing.T) {
	fsys, want, segs := damageLog(t)
	for si, seg := range segs {
		info, err := fsys.Lstat(seg)
		if err != nil {
			t.Fatal(err)
		}
		lostSome := 0
		for off := range int(info.Size()) {
			for _, mask := range []byte{1 << (off % 8), 0xff} {
				c := fsys.Clone()
				flip := func(b []byte) []byte { b[off] ^= mask; return b }
				if err := c.Change(seg, flip); err != nil {
					t.Fatal(err)
				}
				got, s := recovered(t, c, want)
				if len(got) < len(want)-1 {
					t.Fatalf("segment %d byte %d: %d of %d records left", si, off, len(got), len(want))
				}
				if len(got) == len(want) {
					continue
				}
				lostSome++
				if off < 1024 {
					t.Fatalf("segment %d byte %d of the header cost a record", si, off)
				}
				if s.SkippedRecords+uint64(s.TornBytes) == 0 || s.Quarantined != 1 {
					t.Fatalf("segment %d byte %d: a record is gone and not accounted for: %+v", si, off, s)
				}
				if si == 0 && s.SkippedRecords != 1 {
					t.Fatalf("segment %d byte %d: %d lost, want 1", si, off, s.SkippedRecords)
				}
			}
		}
		if lostSome == 0 {
			t.Errorf("segment %d: no flip cost anything: the test damages nothing", si)
		}
	}
}

func TestATruncatedSegmentKeepsWhatIsBeforeTheCut(t *testing.T) {
	fsys, want, segs := damageLog(t)
	for si, seg := range segs {
		info, err := fsys.Lstat(seg)
		if err != nil {
			t.Fatal(err)
		}
		kept := -1
		for size := range int(info.Size()) + 1 {
			c := fsys.Clone()
			if err := c.Change(seg, func(b []byte) []byte { return b[:size] }); err != nil {
				t.Fatal(err)
			}
			got, s := recovered(t, c, want)
			if len(got) < kept {
				t.Fatalf("segment %d cut at %d: %d records, with less %d", si, size, len(got), kept)
			}
			kept = len(got)
			if si == 0 && uint64(len(want)-len(got)) != s.SkippedRecords {
				t.Fatalf("segment %d cut at %d: %d of %d records, %d counted lost", si, size, len(got), len(want), s.SkippedRecords)
			}
		}
		if kept != len(want) {
			t.Errorf("segment %d whole: %d of %d", si, kept, len(want))
		}
	}
}

func TestDamageIsKeptAsideAlsoWhenTheSegmentIsTrimmed(t *testing.T) {
	fsys, want, segs := damageLog(t)
	if err := fsys.Change(segs[0], func(b []byte) []byte { b[1024+28+5] ^= 4; return b }); err != nil {
		t.Fatal(err)
	}
	l := mustOpen(t, dir, small(fsys))
	if got := mustRead(t, l); len(got) != len(want)-1 || got[0] != want[1] {
		t.Fatalf("%d records", len(got))
	}
	if w := l.Health(); len(w) != 2 || w[0].Code != durable.WarnDamaged || w[1].Code != durable.WarnKept {
		t.Errorf("health %+v", w)
	}
	if err := l.TrimBefore(l.Next()); err != nil {
		t.Fatal(err)
	}
	b, err := durable.ReadFile(fsys, filepath.Join(dir, "00000000000000000001-1024.bad"), 1<<20)
	if err != nil || len(b) != 128 {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	b[28+5] ^= 4
	if string(b[28:]) != want[0].data {
		t.Errorf("kept %q", b[28:])
	}
}

func TestASegmentWithoutHeaderCostsOnlyItself(t *testing.T) {
	for si := range 2 {
		fsys, want, segs := damageLog(t)
		wipe := func(b []byte) []byte { clear(b[:1024]); return b }
		if err := fsys.Change(segs[si], wipe); err != nil {
			t.Fatal(err)
		}
		got, s := recovered(t, fsys, want)
		if len(got) == 0 || s.DamagedBytes < 1024 {
			t.Errorf("segment %d: %d records left, %+v", si, len(got), s)
		}
		l := mustOpen(t, dir, small(fsys))
		mustRead(t, l)
		for i := range 40 {
			mustAppend(t, l, payload(i, 400))
		}
		if err := l.TrimBefore(l.Next()); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(fsys.Dump(), ".seg.bad") {
			t.Errorf("segment %d was not kept:\n%s", si, fsys.Dump())
		}
	}
}

// A payload can hold the bytes of another log, header and all.
func TestARecordInsideAPayloadIsNotFoundByResync(t *testing.T) {
	fsys := durabletest.New()
	l := mustOpen(t, dir, small(fsys))
	mustAppend(t, l, nil, []byte("forged"))
	l.Close()
	inner, err := durable.ReadFile(fsys, filepath.Join(dir, "00000000000000000001.seg"), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	fsys = durabletest.New()
	l = mustOpen(t, dir, small(fsys))
	// Put so that the inner frame stands at the offset it was made for, 1056,
	// and has the number that is looked for.
	carrier := append(make([]byte, 4), inner[1056:1096]...)
	mustAppend(t, l, carrier, []byte("after"))
	l.Close()
	for off := 1024; off < 1052; off++ {
		c := fsys.Clone()
		err := c.Change(filepath.Join(dir, "00000000000000000001.seg"), func(b []byte) []byte { b[off] ^= 0x10; return b })
		if err != nil {
			t.Fatal(err)
		}
		l, err := durable.Open(dir, small(c))
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(mustRead(t, l)); got != "[{2 after}]" {
			t.Fatalf("byte %d: %s", off, got)
		}
		l.Close()
	}
}

// FuzzRecover overwrites a part of a log by anything. Opening never fails,
// what it shows was written, and it takes new records.
func FuzzRecover(f *testing.F) {
	f.Add(0, uint16(1030), []byte("xxxx"), false)
	f.Add(1, uint16(1024), make([]byte, 300), true)
	f.Add(1, uint16(0), make([]byte, 2000), false)
	base, want, segs := damageLog(f)
	f.Fuzz(func(t *testing.T, seg int, at uint16, junk []byte, cut bool) {
		fsys := base.Clone()
		err := fsys.Change(segs[uint(seg)%2], func(b []byte) []byte {
			off := min(int(at), len(b))
			n := copy(b[off:], junk)
			if cut {
				b = b[:off+n]
			}
			return b
		})
		if err != nil {
			t.Fatal(err)
		}
		recovered(t, fsys, want)
	})
}

func TestAnAlmostFullLogRecoversWithinItsCap(t *testing.T) {
	fsys := durabletest.New()
	o := durable.Options{FS: fsys, SegmentBytes: 2048, MaxBytes: 8192}
	l := mustOpen(t, dir, o)
	n := 0
	for {
		if _, err := l.Append(context.Background(), payload(n, 300)); err != nil {
			break
		}
		n++
	}
	l.Close()
	c := fsys.Clone()
	last := ""
	for _, line := range strings.Split(strings.TrimSpace(c.Dump()), "\n") {
		last = line[strings.LastIndexByte(line, ' ')+1:]
	}
	if err := c.Change(last, func(b []byte) []byte { b[1024+40] ^= 1; return b }); err != nil {
		t.Fatal(err)
	}
	o.FS = c
	l = mustOpen(t, dir, o)
	if got := mustRead(t, l); len(got) < n-1 {
		t.Errorf("%d of %d records", len(got), n)
	}
	if l.Bytes() > o.MaxBytes {
		t.Errorf("%d bytes", l.Bytes())
	}
	if s := l.Stats(); s.Quarantined != 0 || s.NotKept == 0 {
		t.Errorf("nothing could be kept aside, and it says %+v", s)
	}
}

// badSector refuses to read a range of one file.
type badSector struct {
	durable.FS
	name     string
	from, to int64
	all      bool // refuse every read
}

type badFile struct {
	durable.File
	b *badSector
}

func (b *badSector) OpenFile(name string, flag int, perm os.FileMode) (durable.File, error) {
	f, err := b.FS.OpenFile(name, flag, perm)
	if err != nil || name != b.name {
		return f, err
	}
	return badFile{f, b}, nil
}

func (f badFile) ReadAt(p []byte, off int64) (int, error) {
	if f.b.all || off < f.b.to && off+int64(len(p)) > f.b.from {
		return 0, syscall.EIO
	}
	return f.File.ReadAt(p, off)
}

func TestABadSectorCostsItsRecords(t *testing.T) {
	fsys := durabletest.New()
	b := &badSector{FS: fsys, name: filepath.Join(dir, "00000000000000000001.seg"), from: 8192, to: 8704}
	o := durable.Options{FS: b, SegmentBytes: 64 << 10, MaxBytes: 1 << 20}
	l := mustOpen(t, dir, o)
	for i := range 200 {
		mustAppend(t, l, payload(i+1, 1000))
	}
	got := mustRead(t, l)
	s := l.Stats()
	// The disk is asked by 4 KiB: up to six records of 1 KiB are in a piece.
	if lost := 200 - len(got); lost < 1 || lost > 6 || s.SkippedRecords != uint64(lost) || s.DamagedBytes == 0 {
		t.Errorf("%d records left, %+v", len(got), s)
	}
	for _, r := range got {
		if r.data != string(payload(int(r.no), 1000)) {
			t.Fatalf("record %d differs", r.no)
		}
	}
	b.all = true
	if _, err := readAll(l); !errors.Is(err, syscall.EIO) {
		t.Errorf("nothing readable: %v", err)
	}
}
