package ingest

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/batch"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

func TestOpeningIsBoundedByProcessors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBounds(0)
		var now, most atomic.Int64
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				done, err := b.open(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				most.Store(max(most.Load(), now.Add(1)))
				time.Sleep(time.Millisecond)
				now.Add(-1)
				done()
			})
		}
		wg.Wait()
		if n := int(most.Load()); n != runtime.GOMAXPROCS(0) {
			t.Fatalf("%d batches were opened at once", n)
		}
		for range cap(b.opening) {
			if _, err := b.open(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := b.open(ctx); store.ProblemOf(err).Status != http.StatusServiceUnavailable {
			t.Fatalf("no place in time: %v", err)
		}
	})
}

// A shard that hangs answers those who wait when their time is over, all at once.
func TestWaitingForATurnEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrder(Config{})
		s, err := o.lock(t.Context(), exchange.ID{1})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				if _, err := o.lock(ctx, exchange.ID{1, 2}); store.ProblemOf(err).Code != store.CodeBusy {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if d := time.Since(began); d != 20*time.Second {
			t.Fatalf("fifty waited %s", d)
		}
		s.unlock()
		if _, err := o.lock(t.Context(), exchange.ID{1, 3}); err != nil {
			t.Fatal(err)
		}
	})
}

func TestOneAgentsBounds(t *testing.T) {
	b, now := newBounds(1000), time.Unix(1e9, 0)
	hostile, other := exchange.ID{1}, exchange.ID{2}
	leave, _ := b.enter(hostile, batch.MaxCells, now)
	if leave == nil {
		t.Fatal("the largest batch can never be sent")
	}
	leave()
	leave, wait := b.enter(hostile, batch.MaxCells, now)
	if leave != nil || wait < 90*time.Second || wait > 110*time.Second {
		t.Fatalf("a second one right away: wait %s", wait)
	}
	if leave, _ = b.enter(hostile, batch.MaxCells, now.Add(wait)); leave == nil {
		t.Fatal("refused after the wait it was told")
	}
	for range atOnce {
		if leave, _ = b.enter(other, 10, now); leave == nil {
			t.Fatal("another agent is let down")
		}
	}
	if _, wait = b.enter(other, 10, now); wait != time.Second {
		t.Fatalf("%d at once: wait %s", atOnce+1, wait)
	}
	leave()
	if leave, _ = b.enter(other, 10, now); leave == nil {
		t.Fatal("a place given back is not given out")
	}
	if l, _ := newBounds(-1).enter(other, batch.MaxCells, now); l == nil {
		t.Fatal("no limit limits")
	}
}

func TestSendersAreForgotten(t *testing.T) {
	b, now := newBounds(1000), time.Unix(1e9, 0)
	id := func(n int) exchange.ID { return exchange.ID{byte(n), byte(n >> 8), byte(n >> 16), 1} }
	if leave, _ := b.enter(id(0), batch.MaxCells, now); leave == nil {
		t.Fatal("not let in")
	}
	for n := 1; n <= 3*maxSenders; n++ {
		leave, _ := b.enter(id(n), 1, now)
		if leave == nil {
			t.Fatal("not let in")
		}
		leave()
		if len(b.senders) > maxSenders {
			t.Fatalf("%d senders are remembered", len(b.senders))
		}
	}
	if s := b.senders[id(0)]; s == nil || s.now != 1 {
		t.Fatal("one that has a batch in hand was forgotten")
	}
}

type slow struct {
	r *bytes.Reader
	n int
}

func (s slow) Read(p []byte) (int, error) { return s.r.Read(p[:min(s.n, len(p))]) }

func TestBodiesHoldTheRoomTheyFill(t *testing.T) {
	h := New(Config{})
	all := h.bound.room
	for _, size := range []int{0, 1, 2000, free - 1, free, free + 1, 100_000, batch.MaxWire} {
		for _, announced := range []int64{-1, int64(size)} {
			text := bytes.Repeat([]byte{7}, size)
			a := &arrival{}
			if err := h.body(slow{bytes.NewReader(text), 1000}, announced, a); err != nil || !bytes.Equal(a.body, text) {
				t.Fatalf("%d bytes: %d came, %v", size, len(a.body), err)
			}
			if a.room > 2*size || size > 2*free && a.room < size-free || h.bound.room != all-a.room {
				t.Fatalf("%d bytes hold %d of the room", size, a.room)
			}
			h.bound.shrink(a.room)
		}
	}
	a := &arrival{} // much announced, little sent
	if err := h.body(strings.NewReader("x"), batch.MaxWire, a); err != nil || a.room != 0 || cap(a.body) > free {
		t.Fatalf("%d bytes for one", cap(a.body))
	}
	h.bound.room = 3 * free
	a = &arrival{}
	if err := h.body(bytes.NewReader(make([]byte, 100_000)), 100_000, a); !errors.Is(err, errNoRoom) {
		t.Fatalf("beyond the room: %v", err)
	}
	h.bound.shrink(a.room)
	if h.bound.room != 3*free {
		t.Fatalf("%d of the room came back", h.bound.room)
	}
}
