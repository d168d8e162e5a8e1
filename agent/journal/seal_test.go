package journal_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fieldpost/fieldpost/agent/journal"
	"github.com/fieldpost/fieldpost/protocol/durable"
)

// mask stands for the vault's cipher (stages do not import each other, tests included): it hides the content, uses room
// before and after, and opens only what it sealed for the number.
type mask struct{ key byte }

func (mask) Room() (int, int) { return 3, 5 }

func (m mask) sum(no uint64, b []byte) uint32 {
	return crc32.ChecksumIEEE(append(binary.BigEndian.AppendUint64([]byte{m.key}, no), b...))
}

func (m mask) Seal(no uint64, f []byte) {
	copy(f, "\xf1M!")
	body := f[3 : len(f)-5]
	for i := range body {
		body[i] ^= m.key
	}
	binary.BigEndian.PutUint32(f[len(f)-4:], m.sum(no, body))
}

func (m mask) Open(no uint64, dst, f []byte) ([]byte, error) {
	if len(f) < 8 || string(f[:3]) != "\xf1M!" || binary.BigEndian.Uint32(f[len(f)-4:]) != m.sum(no, f[3:len(f)-5]) {
		return dst, errors.New("does not open")
	}
	for _, c := range f[3 : len(f)-5] {
		dst = append(dst, c^m.key)
	}
	return dst, nil
}

// disk is everything that lies in a folder.
func disk(t *testing.T, dir string) []byte {
	t.Helper()
	var all []byte
	if err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		all = append(all, b...)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestCanarySealedRecordsAreReadBackAndLieNowhereOpen(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, journal.Config{Seal: mask{0x5a}, SegmentBytes: 16 << 10, MaxBytes: 1 << 20})
	var tickets []journal.Ticket
	for i := range 400 { // many in one group: each is sealed in place, between its neighbours
		tk, err := j.Enqueue(one(int64(i+1), fmt.Sprintf("canary-%d-%s", i, strings.Repeat("q", i%97))))
		if err != nil {
			t.Fatal(err)
		}
		tickets = append(tickets, tk)
	}
	for i, tk := range tickets {
		if no, err := tk.Wait(context.Background()); err != nil || no != uint64(i+1) {
			t.Fatal(no, err)
		}
	}
	check := func(j *journal.Journal) {
		t.Helper()
		got, next := all(t, j, 0)
		if len(got) != 400 || next != 401 || j.LastReceived() != 400 {
			t.Fatalf("%d records, next %d, last received %d", len(got), next, j.LastReceived())
		}
		for i, r := range got {
			if want := fmt.Sprintf("canary-%d-%s", i, strings.Repeat("q", i%97)); r.user != want || r.no != uint64(i+1) {
				t.Fatalf("record %d: %+v", i+1, r)
			}
		}
	}
	check(j)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(disk(t, dir), []byte("canary")) {
		t.Error("a name lies open")
	}
	check(open(t, dir, journal.Config{Seal: mask{0x5a}, SegmentBytes: 16 << 10, MaxBytes: 1 << 20}))
}

// Somebody who can write to the disk and knows the log's format swaps two records, puts in one of another site and
// one that was never sealed: each costs itself only.
func TestAttackMovedAndForeignRecordsCostOnlyThemselves(t *testing.T) {
	source := t.TempDir()
	j := open(t, source, journal.Config{Seal: mask{1}})
	for i := range 6 {
		if _, err := j.Append(context.Background(), one(int64(i+1), fmt.Sprint("u", i+1))); err != nil {
			t.Fatal(err)
		}
	}
	_ = j.Close()
	payloads := raw(t, source)
	foreign := t.TempDir()
	j = open(t, foreign, journal.Config{Seal: mask{2}})
	for i := range 4 {
		if _, err := j.Append(context.Background(), one(int64(i+1), "other")); err != nil {
			t.Fatal(err)
		}
	}
	_ = j.Close()
	payloads[1], payloads[2] = payloads[2], payloads[1]
	payloads[3] = raw(t, foreign)[3]
	open1 := t.TempDir()
	j = open(t, open1, journal.Config{})
	if _, err := j.Append(context.Background(), one(5, "planted")); err != nil {
		t.Fatal(err)
	}
	_ = j.Close()
	payloads[4] = raw(t, open1)[0]

	dir := t.TempDir()
	log, err := durable.Open(dir, durable.Options{SegmentBytes: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.Append(context.Background(), payloads...); err != nil {
		t.Fatal(err)
	}
	_ = log.Close()
	j = open(t, dir, journal.Config{Seal: mask{1}})
	got, next := all(t, j, 0)
	if fmt.Sprint(got) != "[{1 1 u1} {6 6 u6}]" || next != 7 {
		t.Errorf("read %v, next %d", got, next)
	}
	if n := j.Stats().Undecodable; n != 4 {
		t.Errorf("%d records are counted as unreadable, want 4", n)
	}
	if w := j.Health(); len(w) != 1 || w[0].Code != journal.WarnUnreadable {
		t.Errorf("health says %+v", w)
	}
	_ = j.Close()
	// With Open, for a state of before, the one that was never sealed is read; the others are not.
	j = open(t, dir, journal.Config{Seal: mask{1}, Open: true})
	if got, _ := all(t, j, 0); fmt.Sprint(got) != "[{1 1 u1} {5 5 planted} {6 6 u6}]" {
		t.Errorf("a journal of before is read as %v", got)
	}
}

func raw(t *testing.T, dir string) (payloads [][]byte) {
	t.Helper()
	log, err := durable.Open(dir, durable.Options{SegmentBytes: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if err := log.Read(0, func(_ uint64, p []byte) error { payloads = append(payloads, bytes.Clone(p)); return nil }); err != nil {
		t.Fatal(err)
	}
	return payloads
}

func TestAJournalOfBeforeIsReadBesideSealedRecordsUntilItIsPurged(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, journal.Config{})
	for i := range 3 {
		if _, err := j.Append(context.Background(), one(int64(i+1), fmt.Sprint("canary", i+1))); err != nil {
			t.Fatal(err)
		}
	}
	_ = j.Close()
	j = open(t, dir, journal.Config{Seal: mask{9}, Open: true})
	if j.LastReceived() != 3 {
		t.Errorf("last received %d", j.LastReceived())
	}
	if err := j.Cut(context.Background()); err != nil {
		t.Fatal(err)
	}
	no, err := j.Append(context.Background(), one(4, "new"))
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := all(t, j, 0); fmt.Sprint(got) != "[{1 1 canary1} {2 2 canary2} {3 3 canary3} {4 4 new}]" {
		t.Errorf("both kinds are read as %v", got)
	}
	// Damage of before is kept beside the segments; it goes as well.
	if err := os.WriteFile(filepath.Join(dir, "x.bad"), []byte("canary"), 0o600); err != nil {
		t.Fatal(err)
	}
	_ = j.Close()
	j = open(t, dir, journal.Config{Seal: mask{9}, Open: true})
	if err := j.Purge(no); err != nil {
		t.Fatal(err)
	}
	if got, _ := all(t, j, 0); fmt.Sprint(got) != "[{4 4 new}]" || j.First() != 4 {
		t.Errorf("after the purge: %v from %d", got, j.First())
	}
	if bytes.Contains(disk(t, dir), []byte("canary")) {
		t.Error("something of before lies here still")
	}
}
