package journal_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/fieldpost/fieldpost/agent/journal"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/durable"
)

func open(t *testing.T, dir string, c journal.Config) *journal.Journal {
	t.Helper()
	j, err := journal.Open(dir, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j
}

func one(received int64, user string) *record.Record {
	return &record.Record{Kind: record.Request, Received: received, Events: []record.Event{{Type: record.Track, Time: received - 5, User: user}}}
}

type read struct {
	no       uint64
	received int64
	user     string
}

func all(t *testing.T, j *journal.Journal, from uint64) (got []read, next uint64) {
	t.Helper()
	next, err := j.Read(context.Background(), from, func(no uint64, r *record.Record) error {
		got = append(got, read{no, r.Received, r.Events[0].User})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got, next
}

func TestWhatWasAppendedIsReadInOrderAlsoAfterReopening(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, journal.Config{})
	if got, next := all(t, j, 0); len(got) != 0 || next != 1 || j.LastReceived() != 0 {
		t.Fatalf("a new journal holds %v, next %d", got, next)
	}
	for i := range 5 {
		no, err := j.Append(context.Background(), one(int64(i+10), fmt.Sprint("u", i)))
		if err != nil || no != uint64(i+1) {
			t.Fatal(no, err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Append(context.Background(), one(1, "x")); !errors.Is(err, durable.ErrClosed) {
		t.Errorf("append after close: %v", err)
	}
	j = open(t, dir, journal.Config{})
	got, next := all(t, j, 3)
	if fmt.Sprint(got) != "[{3 12 u2} {4 13 u3} {5 14 u4}]" || next != 6 || j.LastReceived() != 14 {
		t.Errorf("got %v, next %d, last %d", got, next, j.LastReceived())
	}
}

func TestReceivedNeverDecreases(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, journal.Config{})
	const clients, each = 16, 50
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for i := range each { // each client's clock goes backwards now and then
				if _, err := j.Append(context.Background(), one(int64(1000+i*10-c%3*7), "u")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	var last int64
	n := 0
	_, err := j.Read(context.Background(), 0, func(no uint64, r *record.Record) error {
		if n++; r.Received < last || no != uint64(n) {
			t.Errorf("record %d was received at %d after %d", no, r.Received, last)
		}
		last = r.Received
		return nil
	})
	if err != nil || n != clients*each {
		t.Fatalf("read %d: %v", n, err)
	}
	if s := j.Stats(); s.Raised == 0 || s.Log.Records != clients*each || s.Log.Commits >= clients*each {
		t.Errorf("stats %+v: nothing raised or nothing shared a write", s)
	}
	_ = j.Close()
	j = open(t, dir, journal.Config{})
	if j.LastReceived() != last {
		t.Errorf("last received is %d after reopening, want %d", j.LastReceived(), last)
	}
}

func TestTicketsAreForManyRecords(t *testing.T) {
	j := open(t, t.TempDir(), journal.Config{})
	var tickets []journal.Ticket
	r := one(1, "u")
	for i := range 1000 {
		r.Received = int64(i)
		ticket, err := j.Enqueue(r)
		if err != nil {
			t.Fatal(err)
		}
		tickets = append(tickets, ticket)
	}
	for i, ticket := range tickets {
		if no, err := ticket.Wait(context.Background()); err != nil || no != uint64(i+1) {
			t.Fatal(i, no, err)
		}
	}
	if c := j.Stats().Log.Commits; c > 500 {
		t.Errorf("1000 records took %d writes", c)
	}
}

func TestTailSeesWhatComesLater(t *testing.T) {
	j := open(t, t.TempDir(), journal.Config{})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	seen := make(chan uint64)
	ended := make(chan error, 1)
	go func() {
		ended <- j.Tail(ctx, 0, func(no uint64, _ *record.Record) error {
			seen <- no
			return nil
		})
	}()
	for i := uint64(1); i <= 3; i++ {
		if _, err := j.Append(context.Background(), one(int64(i), "u")); err != nil {
			t.Fatal(err)
		}
		if no := <-seen; no != i {
			t.Errorf("saw %d, want %d", no, i)
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestRecordThatDoesNotDecodeIsCountedAndPassed(t *testing.T) {
	dir := t.TempDir()
	log, err := durable.Open(dir, durable.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, payload := range [][]byte{record.Append(nil, one(7, "a")), []byte("not a record"), record.Append(nil, one(8, "b")), {99}} {
		if _, err := log.Append(context.Background(), payload); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	j := open(t, dir, journal.Config{})
	if j.LastReceived() != 8 {
		t.Errorf("last received %d: the newest record does not decode, the one before must be found", j.LastReceived())
	}
	got, next := all(t, j, 0)
	if fmt.Sprint(got) != "[{1 7 a} {3 8 b}]" || next != 5 || j.Stats().Undecodable != 2 {
		t.Errorf("got %v, next %d, %+v", got, next, j.Stats())
	}
}

func TestFullUntilTrimmed(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, journal.Config{MaxBytes: 1 << 20, SegmentBytes: 128 << 10})
	big := one(1, string(make([]byte, 10_000)))
	var last uint64
	var err error
	for err == nil {
		var no uint64
		if no, err = j.Append(context.Background(), big); err == nil {
			last = no
		}
	}
	if !errors.Is(err, durable.ErrFull) || last < 50 {
		t.Fatalf("after %d: %v", last, err)
	}
	if n := size(t, dir); n > 1<<20 {
		t.Errorf("%d bytes on disk", n)
	}
	if len(j.Health()) == 0 {
		t.Error("a full journal says that it is healthy")
	}
	if err := j.Trim(last + 1); err != nil {
		t.Fatal(err)
	}
	no, err := j.Append(context.Background(), big)
	if err != nil || no <= last || j.First() == 1 {
		t.Fatal(no, err, j.First())
	}
	if _, err := j.Read(context.Background(), 1, func(uint64, *record.Record) error { return nil }); !errors.Is(err, durable.ErrTrimmed) {
		t.Errorf("reading what was trimmed: %v", err)
	}
}

func TestARecordTooLargeTakesNoOtherWithIt(t *testing.T) {
	j := open(t, t.TempDir(), journal.Config{MaxBytes: 1 << 20})
	small, err := j.Enqueue(one(1, "u"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.Append(context.Background(), one(2, string(make([]byte, 200_000)))); !errors.Is(err, durable.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
	if no, err := small.Wait(context.Background()); no != 1 || err != nil {
		t.Errorf("its neighbour got %d %v", no, err)
	}
	if got, _ := all(t, j, 0); len(got) != 1 {
		t.Errorf("kept %d", len(got))
	}
}

func size(t *testing.T, dir string) (n int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		i, err := d.Info()
		n += i.Size()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestANumberThatWasMeasuredIsNotUsedAgain(t *testing.T) {
	j := open(t, t.TempDir(), journal.Config{MinNext: 100})
	if no, err := j.Append(context.Background(), one(1, "u")); err != nil || no != 100 {
		t.Errorf("%d %v", no, err)
	}
}

func TestAppendStopsWaitingWithItsContext(t *testing.T) {
	j := open(t, t.TempDir(), journal.Config{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	// Either it was quick enough to be told, or it is the context's error.
	if _, err := j.Append(ctx, one(1, "u")); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func BenchmarkAppend(b *testing.B) {
	j, err := journal.Open(b.TempDir(), journal.Config{MaxBytes: 8 << 30})
	if err != nil {
		b.Fatal(err)
	}
	defer j.Close()
	r := &record.Record{Kind: record.Request, Received: 1}
	for range 100 {
		r.Events = append(r.Events, record.Event{Type: record.Track, User: "user-000123", HasID: true, Properties: []record.Value{{Property: 1, Index: 2}}})
	}
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		mine := *r
		for pb.Next() {
			if _, err := j.Append(context.Background(), &mine); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N*100)/b.Elapsed().Seconds(), "events/s")
}

func TestAGroupLargerThanASegmentIsWritten(t *testing.T) {
	j := open(t, t.TempDir(), journal.Config{MaxBytes: 8 << 20, SegmentBytes: 256 << 10})
	big := one(1, string(make([]byte, 50_000)))
	var tickets []journal.Ticket
	for range 60 {
		ticket, err := j.Enqueue(big)
		if err != nil {
			t.Fatal(err)
		}
		tickets = append(tickets, ticket)
	}
	for i, ticket := range tickets {
		if no, err := ticket.Wait(context.Background()); err != nil || no != uint64(i+1) {
			t.Fatal(i, no, err)
		}
	}
	if got, _ := all(t, j, 0); len(got) != 60 {
		t.Errorf("kept %d", len(got))
	}
}
