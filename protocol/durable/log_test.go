package durable_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/fieldpost/fieldpost/protocol/durable"
	"github.com/fieldpost/fieldpost/protocol/durable/durabletest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const dir = "/state/log"

// small makes segments that a handful of records fills.
func small(fsys durable.FS) durable.Options {
	return durable.Options{FS: fsys, SegmentBytes: 2048, MaxBytes: 64 << 10}
}

func mustOpen(t testing.TB, dir string, o durable.Options) *durable.Log {
	t.Helper()
	l, err := durable.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func mustAppend(t testing.TB, l *durable.Log, payloads ...[]byte) uint64 {
	t.Helper()
	no, err := l.Append(context.Background(), payloads...)
	if err != nil {
		t.Fatal(err)
	}
	return no
}

// payload makes a record that names its index and is different for each.
func payload(i, size int) []byte {
	p := fmt.Appendf(nil, "record %d ", i)
	for len(p) < size {
		p = append(p, byte(len(p)*7+i*31))
	}
	return p
}

type record struct {
	no   uint64
	data string
}

func readAll(l *durable.Log) ([]record, error) {
	var out []record
	err := l.Read(0, func(no uint64, p []byte) error {
		out = append(out, record{no, string(p)})
		return nil
	})
	return out, err
}

func mustRead(t testing.TB, l *durable.Log) []record {
	t.Helper()
	r, err := readAll(l)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRecordsSurviveReopeningOnTheRealDisk(t *testing.T) {
	d := filepath.Join(t.TempDir(), "a", "log")
	o := durable.Options{SegmentBytes: 64 << 10, MaxBytes: 1 << 20}
	want := map[uint64]string{}
	for round := range 4 {
		l, err := durable.Open(d, o)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 10 {
			p := payload(round*100+i, 1+i*1700)
			want[mustAppend(t, l, p)] = string(p)
		}
		got := mustRead(t, l)
		if len(got) != len(want) {
			t.Fatalf("round %d: %d records, want %d", round, len(got), len(want))
		}
		for i, r := range got {
			if r.no != uint64(i+1) || want[r.no] != r.data {
				t.Fatalf("round %d: record %d has number %d and %d bytes", round, i, r.no, len(r.data))
			}
		}
		if w := l.Health(); len(w) != 0 {
			t.Fatalf("unhealthy: %+v", w)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	names, err := filepath.Glob(filepath.Join(d, "*"))
	if err != nil || len(names) < 3 {
		t.Fatalf("files %v, %v", names, err)
	}
	var total int64
	for _, n := range names {
		if !strings.HasSuffix(n, ".seg") || len(filepath.Base(n)) != 24 {
			t.Errorf("unexpected file %s", n)
		}
		st, err := os.Stat(n)
		if err != nil {
			t.Fatal(err)
		}
		total += st.Size()
	}
	l := mustOpen(t, d, o)
	if l.Bytes() != total {
		t.Errorf("Bytes() = %d, files have %d", l.Bytes(), total)
	}
}

func TestEmptyAndMultiplePayloads(t *testing.T) {
	l := mustOpen(t, dir, small(durabletest.New()))
	if no := mustAppend(t, l, []byte{}, []byte("b"), nil); no != 1 {
		t.Fatalf("first is %d", no)
	}
	if no := mustAppend(t, l, []byte("d")); no != 4 {
		t.Fatalf("next is %d", no)
	}
	got := mustRead(t, l)
	want := []record{{1, ""}, {2, "b"}, {3, ""}, {4, "d"}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("got %v", got)
	}
	if _, err := l.Append(context.Background()); err == nil {
		t.Error("an append of nothing succeeded")
	}
	if _, err := l.Append(context.Background(), make([]byte, 1<<20)); !errors.Is(err, durable.ErrTooLarge) {
		t.Errorf("too large record: %v", err)
	}
	if _, err := l.Append(context.Background(), make([]byte, 900), make([]byte, 900)); !errors.Is(err, durable.ErrTooLarge) {
		t.Errorf("too large group: %v", err)
	}
}

func TestReadFromAnyNumberAndAfterTrim(t *testing.T) {
	l := mustOpen(t, dir, small(durabletest.New()))
	for i := range 40 {
		mustAppend(t, l, payload(i+1, 200))
	}
	for round := range 2 { // the second time with hints
		for from := uint64(1); from <= 41; from++ {
			next := from
			err := l.Read(from, func(no uint64, p []byte) error {
				if no != next || !bytes.Equal(p, payload(int(no), 200)) {
					return fmt.Errorf("round %d from %d: record %d, want %d", round, from, no, next)
				}
				next++
				return nil
			})
			if err != nil || next != 41 {
				t.Fatalf("from %d: up to %d, %v", from, next, err)
			}
		}
	}
	if err := l.Read(42, nil); !errors.Is(err, durable.ErrAhead) {
		t.Errorf("reading ahead: %v", err)
	}
	stop := errors.New("stop")
	if err := l.Read(7, func(uint64, []byte) error { return stop }); err != stop {
		t.Errorf("the caller's error came back as %v", err)
	}
	before := l.Bytes()
	if err := l.TrimBefore(20); err != nil {
		t.Fatal(err)
	}
	first := l.First()
	if first == 1 || first > 20 || l.Bytes() >= before {
		t.Fatalf("first %d, %d of %d bytes", first, l.Bytes(), before)
	}
	if err := l.Read(first-1, nil); !errors.Is(err, durable.ErrTrimmed) {
		t.Errorf("reading a trimmed record: %v", err)
	}
	if got := mustRead(t, l); got[0].no != first || len(got) != int(41-first) {
		t.Errorf("%d records from %d", len(got), got[0].no)
	}
	if err := l.TrimBefore(1000); err != nil {
		t.Fatal(err)
	}
	if l.Next() != 41 || l.First() > 40 {
		t.Errorf("after trimming all: first %d next %d", l.First(), l.Next())
	}
}

// A Read that ends at a number behind which more was committed meanwhile must
// go on there, not at the end of what is written.
func TestReadingOnAfterAppendsDuringARead(t *testing.T) {
	l := mustOpen(t, dir, small(durabletest.New()))
	for i := range 6 {
		mustAppend(t, l, payload(i+1, 200)) // two segments
	}
	next, more := uint64(1), true
	follow := func(no uint64, p []byte) error {
		if no != next || !bytes.Equal(p, payload(int(no), 200)) {
			return fmt.Errorf("record %d, want %d", no, next)
		}
		next++
		if more {
			more = false
			mustAppend(t, l, payload(7, 200))
		}
		return nil
	}
	for range 2 {
		if err := l.Read(next, follow); err != nil {
			t.Fatal(err)
		}
	}
	if next != 8 {
		t.Fatalf("next is %d", next)
	}
}

func TestCapIsNeverPassedAndTrimmingEndsIt(t *testing.T) {
	for _, size := range []int{0, 1, 100, 333, 900} {
		fsys := durabletest.New()
		o := durable.Options{FS: fsys, SegmentBytes: 3000, MaxBytes: 20011}
		l := mustOpen(t, dir, o)
		done := 0
		for round := range 5 {
			var err error
			for err == nil {
				if _, err = l.Append(context.Background(), payload(done, size)); err == nil {
					done++
				}
			}
			var full *durable.FullError
			if !errors.Is(err, durable.ErrFull) || !errors.As(err, &full) || full.Need <= full.Room {
				t.Fatalf("size %d round %d: %v", size, round, err)
			}
			if w := l.Health(); len(w) != 1 || w[0].Code != durable.WarnFull {
				t.Fatalf("health of a full log: %+v", w)
			}
			if peak := fsys.Peak(); peak > o.MaxBytes || peak < o.MaxBytes*3/4 {
				t.Fatalf("size %d: peak %d of %d\n%s", size, peak, o.MaxBytes, fsys.Dump())
			}
			if got := mustRead(t, l); got[len(got)-1].no != uint64(done) {
				t.Fatalf("last record is %d of %d", got[len(got)-1].no, done)
			}
			if err := l.TrimBefore(l.Next()); err != nil {
				t.Fatal(err)
			}
			mustAppend(t, l, payload(done, size))
			done++
			if w := l.Health(); len(w) != 0 {
				t.Fatalf("health after trimming: %+v", w)
			}
		}
	}
}

func TestAppendersShareSyncsAndKeepTheirOrder(t *testing.T) {
	l := mustOpen(t, t.TempDir(), durable.Options{SegmentBytes: 256 << 10, MaxBytes: 16 << 20})
	const workers, each = 16, 60
	var wg sync.WaitGroup
	var mu sync.Mutex
	want := map[uint64]string{}
	stop := make(chan struct{})
	readerDone := make(chan error, 1)
	go func() { // a reader that follows
		next := uint64(1)
		for {
			err := l.Read(next, func(no uint64, _ []byte) error {
				if no != next {
					return fmt.Errorf("read %d, want %d", no, next)
				}
				next++
				return nil
			})
			if err != nil {
				readerDone <- err
				return
			}
			select {
			case <-stop:
				if next == l.Next() {
					readerDone <- nil
					return
				}
			default:
			}
		}
	}()
	for w := range workers {
		wg.Go(func() {
			last := uint64(0)
			for i := range each {
				a, b := payload(w*1000+i, 50+i*13), payload(w*1000+i+500, 20)
				no, err := l.Append(context.Background(), a, b)
				if err != nil {
					t.Error(err)
					return
				}
				if no <= last {
					t.Errorf("worker %d: %d after %d", w, no, last)
				}
				last = no
				mu.Lock()
				want[no], want[no+1] = string(a), string(b)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	close(stop)
	if err := <-readerDone; err != nil {
		t.Error(err)
	}
	got := mustRead(t, l)
	if len(got) != workers*each*2 {
		t.Fatalf("%d records", len(got))
	}
	for _, r := range got {
		if want[r.no] != r.data {
			t.Fatalf("record %d differs", r.no)
		}
	}
	if s := l.Stats(); s.Records != workers*each*2 || s.Commits >= workers*each {
		t.Errorf("%d records in %d commits: nothing was shared", s.Records, s.Commits)
	}
}

// heldFS stops every file sync until it is let go.
type heldFS struct {
	durable.FS
	syncing chan struct{} // receives when a sync begins, once armed
	release chan struct{}
	armed   bool
}

type heldFile struct {
	durable.File
	fs *heldFS
}

func (h *heldFS) OpenFile(name string, flag int, perm os.FileMode) (durable.File, error) {
	f, err := h.FS.OpenFile(name, flag, perm)
	return heldFile{f, h}, err
}

func (f heldFile) Sync() error {
	if f.fs.armed {
		f.fs.syncing <- struct{}{}
		<-f.fs.release
	}
	return f.File.Sync()
}

func TestRequestsDuringASyncShareTheNextOne(t *testing.T) {
	h := &heldFS{FS: durabletest.New(), syncing: make(chan struct{}), release: make(chan struct{})}
	l := mustOpen(t, dir, durable.Options{FS: h, MaxPending: 100})
	mustAppend(t, l, []byte("first"))
	h.armed = true
	synctestAppend := func(ctx context.Context, p []byte) chan error {
		ch := make(chan error, 1)
		go func() { _, err := l.Append(ctx, p); ch <- err }()
		return ch
	}
	ctx := context.Background()
	var got []chan error
	got = append(got, synctestAppend(ctx, []byte("second")))
	<-h.syncing
	// While that sync runs: three that share the next, one too many, one that
	// gives up before its turn, and one whose write is under way.
	for range 3 {
		got = append(got, synctestAppend(ctx, make([]byte, 30)))
	}
	waitPending(t, l, 90)
	if err := <-synctestAppend(ctx, make([]byte, 30)); !errors.Is(err, durable.ErrBusy) {
		t.Errorf("queue limit: %v", err)
	}
	cctx, cancel := context.WithCancel(ctx)
	gone := synctestAppend(cctx, []byte("withdrawn"))
	waitPending(t, l, 99)
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("withdrawn: %v", err)
	}
	h.release <- struct{}{}
	<-h.syncing
	h.release <- struct{}{}
	for _, ch := range got {
		if err := <-ch; err != nil {
			t.Error(err)
		}
	}
	h.armed = false
	if s := l.Stats(); s.Records != 5 || s.Commits != 3 {
		t.Errorf("%d records in %d commits, want 5 in 3", s.Records, s.Commits)
	}
	for _, r := range mustRead(t, l) {
		if r.data == "withdrawn" {
			t.Error("a withdrawn record was written")
		}
	}
}

func TestWaitAndClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := durable.Open(dir, small(durabletest.New()))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		got := make(chan error, 3)
		go func() { got <- l.Wait(ctx, 2) }()
		go func() { got <- l.Wait(ctx, 9) }()
		synctest.Wait()
		mustAppend(t, l, []byte("a"))
		synctest.Wait()
		if len(got) != 0 {
			t.Fatal("Wait returned early")
		}
		mustAppend(t, l, []byte("b"))
		synctest.Wait()
		if len(got) != 1 || <-got != nil {
			t.Fatal("Wait did not return when its record was there")
		}
		cancel()
		if err := <-got; !errors.Is(err, context.Canceled) {
			t.Fatalf("cancelled Wait: %v", err)
		}
		go func() { got <- l.Wait(context.Background(), 9) }()
		synctest.Wait()
		if err := errors.Join(l.Close(), l.Close()); err != nil {
			t.Fatal(err)
		}
		if err := <-got; !errors.Is(err, durable.ErrClosed) {
			t.Fatalf("Wait on a closed log: %v", err)
		}
		if _, err := l.Append(t.Context(), []byte("c")); !errors.Is(err, durable.ErrClosed) {
			t.Fatalf("Append to a closed log: %v", err)
		}
	})
}

func TestMinNextNeverReusesANumber(t *testing.T) {
	fsys := durabletest.New()
	l := mustOpen(t, dir, small(fsys))
	mustAppend(t, l, []byte("1"), []byte("2"))
	l.Close()
	o := small(fsys)
	o.MinNext = 10
	l = mustOpen(t, dir, o)
	if no := mustAppend(t, l, []byte("10")); no != 10 {
		t.Fatalf("next is %d", no)
	}
	l.Close()
	l = mustOpen(t, dir, small(fsys))
	if got := fmt.Sprint(mustRead(t, l)); got != "[{1 1} {2 2} {10 10}]" {
		t.Fatal(got)
	}
	if s := l.Stats(); s.SkippedRecords != 7 || len(l.Health()) == 0 {
		t.Errorf("%+v", s)
	}
}

func TestANewerFormatIsRefusedUntouched(t *testing.T) {
	fsys := durabletest.New()
	l := mustOpen(t, dir, small(fsys))
	mustAppend(t, l, []byte("x"))
	l.Close()
	fsys = fsys.Clone()
	if err := fsys.Change(filepath.Join(dir, "00000000000000000001.seg"), newerFormat); err != nil {
		t.Fatal(err)
	}
	if _, err := durable.Open(dir, small(fsys)); !errors.Is(err, durable.ErrNewerFormat) {
		t.Fatalf("opening a newer log: %v", err)
	}
	for _, line := range fsys.Log() {
		if !strings.HasPrefix(line, "sync") {
			t.Errorf("it did: %s", line)
		}
	}
}
