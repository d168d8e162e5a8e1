// Package journal keeps what the agent has accepted until it is measured: record.Records in
// an append log (protocol/durable), each on disk before whoever sent it is told so.
//
// Invariants:
//   - Append returns nil only when the record is synced.
//   - Records are read in the order of their numbers, and Received never decreases from one to
//     the next: a record that overtook another on its way here is raised to it.
//   - A record that cannot be opened or decoded, or that the disk damaged, is counted and passed over;
//     it never stops what follows.
//   - With a Config.Seal no byte of a record reaches the disk unsealed, in no file, and each is bound to
//     its number: a record that was moved is one that cannot be opened.
//   - No event stays longer than MaxAge once it is measured (Trim), nor does what was kept of damage;
//     in practice little more than an hour.
//   - The directory never exceeds Config.MaxBytes; when it is full, Append says durable.ErrFull.
//
// States on disk are those of durable.Log in the directory given to Open. After a crash the
// records that were acknowledged are there; of the last group of those that were not, some may be.
package journal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/durable"
)

// Config of a Journal; the zero value of each field means its default.
type Config struct {
	FS durable.FS // default: the operating system's
	// MaxBytes caps the directory. Default 256 MiB: about three million events.
	MaxBytes int64
	// SegmentBytes is the size of a segment file. Default 8 MiB: room comes back in steps of 3 %.
	SegmentBytes int64
	// MinNext is the number after the newest one a checkpoint knows: a journal that lost its end
	// must not use a number again that was measured.
	MinNext uint64
	// Seal seals the records. Without one they lie open, as for tests and benchmarks; the agent gives one.
	Seal Sealer
	// Open says that records of before there was a Seal may still be here; they are read as they are.
	Open   bool
	Now    func() time.Time // default time.Now
	Logger *slog.Logger     // default: silent
}

// Sealer seals records so that each opens only under its own number. Safe for concurrent use.
type Sealer interface {
	// Room is how many bytes sealing takes before and after the content; constant.
	Room() (before, after int)
	// Seal seals in place: frame is the content with the room around it.
	Seal(no uint64, frame []byte)
	// Open appends the content of what Seal made for no to dst; an error for anything else.
	Open(no uint64, dst, sealed []byte) ([]byte, error)
}

// open is a Sealer that does nothing.
type open struct{}

func (open) Room() (int, int)    { return 0, 0 }
func (open) Seal(uint64, []byte) {}
func (open) Open(_ uint64, dst, b []byte) ([]byte, error) {
	return append(dst, b...), nil
}

// maxPending bounds the encoded bytes that wait for the disk while another group is being
// written. 32 MiB is 64 of the largest Segment batches.
const maxPending = 32 << 20

// maxRecord is the largest record: the doors let through what fits. In a journal of small segments it
// is nearly half of one: a group that is nearly full and one more record fit a segment.
const maxRecord = 4 << 20

// Stats counts since Open, beside the log's own.
type Stats struct {
	Log         durable.Stats
	Undecodable uint64 // records passed over by Read: they did not open or could not be decoded
	Raised      uint64 // records whose Received was raised to that of the one before
}

// Journal is the site's truth. Safe for concurrent use.
type Journal struct {
	log   *durable.Log
	limit int // bytes of a record
	seal  Sealer
	plain bool // unsealed records are read too
	now   func() time.Time

	trimming sync.Mutex // one Trim at a time; guards age
	age      aging

	opened sync.Pool // of *[]byte, for what Read opens

	mu       sync.Mutex // guards what follows
	last     int64      // Received of the newest record
	waiting  []*group   // for the disk, oldest first; the last one is being filled
	pending  int        // bytes in waiting
	spare    *group     // one that is on disk: its buffers are filled again
	tooOld   error      // why the last Trim could not let go
	closed   bool
	work     chan struct{} // holds a token while something may be waiting
	finished chan struct{}

	undecodable, raised atomic.Uint64
}

// group is the records that go to disk in one write.
type group struct {
	buf   []byte // records one after the other, each with the room to seal it
	ends  []int
	done  chan struct{} // closed when first and err are set
	first uint64
	err   error
}

// overhead is what the log puts around a record at most.
const overhead = 64

// size is what a group takes in a segment at most.
func (g *group) size() int { return len(g.buf) + len(g.ends)*overhead }

// Open recovers and opens the journal in dir.
func Open(dir string, c Config) (*Journal, error) {
	if c.MaxBytes == 0 {
		c.MaxBytes = 256 << 20
	}
	if c.SegmentBytes == 0 {
		c.SegmentBytes = 8 << 20
	}
	c.SegmentBytes = min(c.SegmentBytes, c.MaxBytes/4)
	limit := int(min(maxRecord, c.SegmentBytes/16*7))
	log, err := durable.Open(dir, durable.Options{FS: c.FS, SegmentBytes: c.SegmentBytes, MaxBytes: c.MaxBytes,
		MaxRecord: limit, MaxPending: 2 * maxPending, MinNext: c.MinNext, Logger: c.Logger})
	if err != nil {
		return nil, fmt.Errorf("opening the journal: %w", err)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Seal == nil {
		c.Seal = open{}
	}
	j := &Journal{log: log, limit: limit, seal: c.Seal, plain: c.Open, now: c.Now, age: aging{first: log.First()}, work: make(chan struct{}, 1), finished: make(chan struct{})}
	if j.last, err = j.lastReceived(); err != nil {
		return nil, errors.Join(fmt.Errorf("reading the end of the journal: %w", err), log.Close())
	}
	go j.write()
	return j, nil
}

// lastReceived looks at the newest record, or, should that be damaged, at all of them.
func (j *Journal) lastReceived() (last int64, err error) {
	first, next := j.log.First(), j.log.Next()
	if first == next {
		return 0, nil
	}
	var r record.Record
	var buf []byte
	for _, from := range []uint64{next - 1, first} {
		err = j.log.Read(from, func(no uint64, payload []byte) error {
			if j.decode(no, payload, &buf, &r) == nil {
				last = max(last, r.Received)
			}
			return nil
		})
		if err != nil || last != 0 {
			return last, err
		}
	}
	return last, nil
}

// decode opens and decodes a payload. buf is memory that is used again.
func (j *Journal) decode(no uint64, payload []byte, buf *[]byte, r *record.Record) error {
	plain, err := j.seal.Open(no, (*buf)[:0], payload)
	switch {
	case err == nil:
		if *buf = plain; cap(plain) > keepBuffer {
			*buf = nil
		}
		return record.Decode(plain, r)
	case j.plain: // no sealed payload decodes: it begins with another byte than every version of a record
		return record.Decode(payload, r)
	}
	return err
}

// LastReceived is the Received of the newest record; 0 when there is none.
func (j *Journal) LastReceived() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.last
}

// Append puts r on disk and returns its number. r.Received is raised to that of the record before
// if it lies behind it; nothing of r is kept. Records that arrive together share one write. If ctx
// ends first the error is ctx's and the record may be kept. Other errors are those of durable:
// ErrFull, ErrBusy, ErrTooLarge, ErrUnhealthy, ErrClosed.
func (j *Journal) Append(ctx context.Context, r *record.Record) (no uint64, err error) {
	t, err := j.Enqueue(r)
	if err != nil {
		return 0, err
	}
	return t.Wait(ctx)
}

// Ticket stands for a record on its way to disk.
type Ticket struct {
	g     *group
	index int
}

// Enqueue is the first half of Append, for who has many records to write: nothing of r is needed
// any more, but it is on disk only when Wait says so. Records go to disk in the order of their
// Enqueue; each ticket has its own outcome. durable.ErrBusy: wait for an earlier ticket first.
func (j *Journal) Enqueue(r *record.Record) (Ticket, error) {
	g, index, err := j.join(r)
	return Ticket{g, index}, err
}

// Wait returns the record's number once it is on disk.
func (t Ticket) Wait(ctx context.Context) (no uint64, err error) {
	select {
	case <-t.g.done:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	if t.g.err != nil {
		return 0, fmt.Errorf("appending to the journal: %w", t.g.err)
	}
	return t.g.first + uint64(t.index), nil
}

// join encodes r into the newest group that waits for the disk, or a new one when a write of that
// size would not fit a segment.
func (j *Journal) join(r *record.Record) (g *group, index int, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.closed:
		return nil, 0, durable.ErrClosed
	case j.pending > maxPending:
		return nil, 0, durable.ErrBusy
	}
	if r.Received < j.last {
		r.Received = j.last
		j.raised.Add(1)
	}
	if n := len(j.waiting); n == 0 || j.waiting[n-1].size() >= j.limit {
		j.waiting = append(j.waiting, j.fresh())
	}
	g = j.waiting[len(j.waiting)-1]
	begin := len(g.buf)
	before, after := j.seal.Room()
	g.buf = record.Append(room(g.buf, before), r)
	g.buf = room(g.buf, after)
	size := len(g.buf) - begin
	if size+overhead > j.limit { // refused alone, so that it does not take others with it
		g.buf = g.buf[:begin]
		return nil, 0, durable.ErrTooLarge
	}
	g.ends = append(g.ends, len(g.buf))
	j.last = r.Received
	j.pending += size
	select {
	case j.work <- struct{}{}:
	default: // the writer knows already
	}
	return g, len(g.ends) - 1, nil
}

// room makes b n bytes longer.
func room(b []byte, n int) []byte { return slices.Grow(b, n)[:len(b)+n] }

// fresh is an empty group, if possible with buffers that were used before.
func (j *Journal) fresh() *group {
	g := &group{done: make(chan struct{})}
	if j.spare != nil {
		g.buf, g.ends, j.spare = j.spare.buf[:0], j.spare.ends[:0], nil
	}
	return g
}

// write takes one group after the other to disk until Close.
func (j *Journal) write() {
	defer close(j.finished)
	var payloads [][]byte
	for range j.work {
		for g := j.take(); g != nil; g = j.take() {
			// Only this goroutine appends, so the numbers are known before. A group that failed was sealed
			// under numbers that the next one gets: the Sealer counts messages, not numbers.
			payloads = payloads[:0]
			from, no := 0, j.log.Next()
			for _, end := range g.ends {
				payloads = append(payloads, g.buf[from:end])
				j.seal.Seal(no+uint64(len(payloads)-1), payloads[len(payloads)-1])
				from = end
			}
			if len(payloads) > 0 {
				g.first, g.err = j.log.Append(context.Background(), payloads...)
			}
			j.give(g)
		}
	}
}

// take removes the oldest waiting group, or returns nil.
func (j *Journal) take() *group {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.waiting) == 0 {
		return nil
	}
	g := j.waiting[0]
	j.waiting = append(j.waiting[:0], j.waiting[1:]...)
	j.pending -= len(g.buf)
	return g
}

// give tells those who wait for g, and keeps its buffers unless a busy time made them large.
func (j *Journal) give(g *group) {
	used := &group{buf: g.buf, ends: g.ends}
	g.buf, g.ends = nil, nil
	close(g.done)
	if cap(used.buf) > keepBuffer {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.spare = used
}

// keepBuffer is what a quiet journal keeps of the buffers a busy one needed.
const keepBuffer = 1 << 20

// Read calls fn for every record from number from that is on disk when Read is called, in order
// (0: from the oldest). The record is fn's only until it returns. An error of fn ends Read and is
// returned as it is. next is the number to go on from. from before the oldest record is
// durable.ErrTrimmed.
func (j *Journal) Read(ctx context.Context, from uint64, fn func(no uint64, r *record.Record) error) (next uint64, err error) {
	next = max(from, j.log.First())
	until := j.log.Next()
	var r record.Record
	buf, _ := j.opened.Get().(*[]byte)
	if buf == nil {
		buf = new([]byte)
	}
	defer j.opened.Put(buf)
	err = j.log.Read(from, func(no uint64, payload []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if j.decode(no, payload, buf, &r) != nil {
			j.undecodable.Add(1)
		} else if err := fn(no, &r); err != nil {
			return err
		}
		next = no + 1
		return nil
	})
	if err == nil { // numbers lost to damage at the end are behind us as well
		next = max(next, until)
	}
	return next, err
}

// Tail reads from number from and then every record as it comes, until ctx ends (its error) or
// fn fails (fn's).
func (j *Journal) Tail(ctx context.Context, from uint64, fn func(no uint64, r *record.Record) error) error {
	for {
		next, err := j.Read(ctx, from, fn)
		if err != nil {
			return err
		}
		if err := j.log.Wait(ctx, next); err != nil {
			return err
		}
		from = next
	}
}

// First is the number of the oldest record, Next the one the next record gets.
func (j *Journal) First() uint64 { return j.log.First() }

// Next is the number the next record gets.
func (j *Journal) Next() uint64 { return j.log.Next() }

// Wait returns nil once record no is on disk.
func (j *Journal) Wait(ctx context.Context, no uint64) error { return j.log.Wait(ctx, no) }

// Stats are the counters now.
func (j *Journal) Stats() Stats {
	return Stats{Log: j.log.Stats(), Undecodable: j.undecodable.Load(), Raised: j.raised.Load()}
}

// Close writes what waits, refuses more and closes the log. Closing twice is harmless.
func (j *Journal) Close() error {
	j.mu.Lock()
	if !j.closed {
		j.closed = true
		close(j.work)
	}
	j.mu.Unlock()
	<-j.finished
	if err := j.log.Close(); err != nil {
		return fmt.Errorf("closing the journal: %w", err)
	}
	return nil
}
