package uplink

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/protocol/exchange"
)

func mustURL(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// fakeQueue holds one-byte batches in order.
type fakeQueue struct {
	mu      sync.Mutex
	waiting []string
	acked   []string
	aside   []string
	rewinds int
	err     error
}

func (q *fakeQueue) Next(context.Context) ([]byte, bool, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err != nil || len(q.waiting) == 0 {
		return nil, false, q.err
	}
	return []byte(q.waiting[0]), true, nil
}

func (q *fakeQueue) pop(wire []byte) {
	if q.waiting[0] != string(wire) {
		panic("settled out of order")
	}
	q.waiting = q.waiting[1:]
}

func (q *fakeQueue) Acknowledge(_ context.Context, wire []byte, _ Signed) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pop(wire)
	q.acked = append(q.acked, string(wire))
	return nil
}

func (q *fakeQueue) Quarantine(_ context.Context, wire []byte, _ Signed) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pop(wire)
	q.aside = append(q.aside, string(wire))
	return nil
}

func (q *fakeQueue) Rewind(context.Context, []byte, Signed) error { q.rewinds++; return nil }

func (q *fakeQueue) put(s ...string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, s...)
}

// fakeSender answers with what the test says, and notes when it was asked.
type fakeSender struct {
	answer func(n int, wire string) Verdict
	at     []time.Time
	flying int
}

func (s *fakeSender) Send(ctx context.Context, wire []byte) (Verdict, error) {
	s.flying++
	defer func() { s.flying-- }()
	if s.flying > 1 {
		panic("two batches in flight")
	}
	s.at = append(s.at, time.Now())
	time.Sleep(time.Millisecond) // a road takes time; the bubble's clock is not real
	return s.answer(len(s.at), string(wire)), ctx.Err()
}

// run runs a loop in a bubble; stop ends it and waits.
func run(t *testing.T, cfg LoopConfig) (l *Loop, stop func()) {
	t.Helper()
	if cfg.Rand == nil {
		cfg.Rand = func() float64 { return 0.5 }
	}
	l = NewLoop(cfg)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	return l, func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the loop ended with %v", err)
		}
	}
}

func ok(int, string) Verdict { return Verdict{Action: Acknowledge} }

func TestLoopDrainsInOrderAndWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, s := &fakeQueue{waiting: []string{"a", "b", "c"}}, &fakeSender{answer: ok}
		l, stop := run(t, LoopConfig{Sender: s, Queue: q})
		defer stop()
		time.Sleep(time.Second)
		synctest.Wait()
		if got := strings.Join(q.acked, ""); got != "abc" {
			t.Fatalf("acknowledged %q", got)
		}
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if len(s.at) != 3 {
			t.Fatalf("%d sends although nothing waits", len(s.at))
		}
		q.put("d")
		woken := time.Now()
		l.Wake()
		l.Wake()
		time.Sleep(time.Second)
		synctest.Wait()
		if got := strings.Join(q.acked, ""); got != "abcd" || s.at[3].Sub(woken) > time.Millisecond {
			t.Fatalf("acknowledged %q, %s after it was woken", got, s.at[3].Sub(woken))
		}
		if st := l.Status(); st.Sent != 4 || st.Failures != 0 || len(l.Warnings()) != 0 {
			t.Fatalf("status %+v", st)
		}
	})
}

func TestLoopBacksOffToFifteenMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &fakeQueue{waiting: []string{"a"}}
		s := &fakeSender{answer: func(int, string) Verdict {
			return Verdict{Action: Unreachable, Code: "unreachable", Cause: "no connection"}
		}}
		l, stop := run(t, LoopConfig{Sender: s, Queue: q, Rand: func() float64 { return 0.999999 }})
		defer stop()
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		want := 5 * time.Second
		for i := 1; i < len(s.at); i++ {
			gap := s.at[i].Sub(s.at[i-1]) - time.Millisecond
			if gap > want || gap < want/2 {
				t.Fatalf("wait %d was %s, want up to %s", i, gap, want)
			}
			if want *= 2; want > 15*time.Minute {
				want = 15 * time.Minute
			}
		}
		if n := len(s.at); n < 17 || n > 22 {
			t.Fatalf("%d tries in three hours", n)
		}
		w := l.Warnings()
		if len(w) != 1 || w[0].Code != "uplink_unreachable" || w[0].Remedy == "" || !strings.Contains(w[0].Cause, "since 2000-01-01") {
			t.Fatalf("warnings %+v", w)
		}
		// New batches do not make it knock more often.
		before := len(s.at)
		for range 100 {
			l.Wake()
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if n := len(s.at) - before; n > 1 {
			t.Fatalf("%d tries while it should wait", n)
		}
	})
}

func TestLoopJitterSpreadsAFleet(t *testing.T) {
	for n := 1; n < 20; n++ {
		lo, hi := backoff(n, func() float64 { return 0 }), backoff(n, func() float64 { return 0.999999 })
		if hi-lo < lo/2 || hi > 15*time.Minute || lo < time.Second {
			t.Fatalf("failure %d: waits from %s to %s", n, lo, hi)
		}
	}
}

func TestLoopObeysRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &fakeQueue{waiting: []string{"a"}}
		s := &fakeSender{answer: func(n int, _ string) Verdict {
			if n == 1 {
				return Verdict{Action: Wait, After: 20 * time.Minute, Code: "collector_busy"}
			}
			return Verdict{Action: Acknowledge}
		}}
		_, stop := run(t, LoopConfig{Sender: s, Queue: q})
		defer stop()
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(s.at) != 2 {
			t.Fatalf("%d tries", len(s.at))
		}
		if gap := s.at[1].Sub(s.at[0]); gap < 20*time.Minute || gap > 22*time.Minute+time.Second {
			t.Fatalf("came back after %s", gap)
		}
	})
}

func TestLoopPausesAndResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &fakeQueue{waiting: []string{"a", "b"}}
		s := &fakeSender{answer: func(n int, _ string) Verdict {
			if n == 1 {
				return Verdict{Action: Pause, Code: "agent_revoked", Cause: "the agent was revoked"}
			}
			return Verdict{Action: Acknowledge}
		}}
		l, stop := run(t, LoopConfig{Sender: s, Queue: q})
		defer stop()
		for range 48 {
			time.Sleep(time.Hour)
			l.Wake()
		}
		synctest.Wait()
		if len(s.at) != 1 || len(q.waiting) != 2 {
			t.Fatalf("%d sends while paused, %d batches wait", len(s.at), len(q.waiting))
		}
		w := l.Warnings()
		if len(w) != 1 || w[0].Code != "uplink_paused" || !strings.Contains(w[0].Cause, "agent_revoked") {
			t.Fatalf("warnings %+v", w)
		}
		l.Resume()
		time.Sleep(time.Second)
		synctest.Wait()
		if got := strings.Join(q.acked, ""); got != "ab" || len(l.Warnings()) != 0 {
			t.Fatalf("acknowledged %q, warnings %v", got, l.Warnings())
		}
	})
}

func TestLoopQuarantinesAndGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &fakeQueue{waiting: []string{"a", "b", "c"}}
		s := &fakeSender{answer: func(_ int, w string) Verdict {
			if w == "b" {
				return Verdict{Action: Quarantine, Code: "batch_cell", Receipt: exchange.Receipt{Outcome: exchange.Refused}}
			}
			return Verdict{Action: Acknowledge}
		}}
		l, stop := run(t, LoopConfig{Sender: s, Queue: q})
		defer stop()
		time.Sleep(time.Second)
		synctest.Wait()
		if strings.Join(q.acked, "") != "ac" || strings.Join(q.aside, "") != "b" || l.Status().Quarantined != 1 {
			t.Fatalf("acknowledged %v, aside %v", q.acked, q.aside)
		}
	})
}

// A collector that answers 409 for ever is a quarrel: it is not asked in a tight circle.
func TestLoopRewindsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &fakeQueue{waiting: []string{"a"}}
		s := &fakeSender{answer: func(int, string) Verdict { return Verdict{Action: Resync, Code: "out_of_seq"} }}
		_, stop := run(t, LoopConfig{Sender: s, Queue: q})
		defer stop()
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := len(s.at); n > 80 {
			t.Fatalf("%d tries in an hour", n)
		}
		if len(q.waiting) != 1 {
			t.Fatal("the batch is gone")
		}
	})
}

func TestLoopTellsOfAnOutageOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &fakeQueue{waiting: []string{"a", "b"}}
		s := &fakeSender{answer: func(n int, _ string) Verdict {
			if n <= 6 {
				return Verdict{Action: Unreachable, Code: "timeout"}
			}
			return Verdict{Action: Acknowledge}
		}}
		var outages []time.Duration
		_, stop := run(t, LoopConfig{Sender: s, Queue: q, Recovered: func(_ context.Context, d time.Duration) error {
			outages = append(outages, d)
			return nil
		}})
		defer stop()
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(outages) != 1 || outages[0] < time.Minute || len(q.acked) != 2 {
			t.Fatalf("outages %v, acknowledged %v", outages, q.acked)
		}
	})
}

func TestLoopSurvivesAnOutboxThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &fakeQueue{err: errors.New("disk on fire")}
		l, stop := run(t, LoopConfig{Sender: &fakeSender{answer: ok}, Queue: q})
		defer stop()
		time.Sleep(time.Minute)
		synctest.Wait()
		if w := l.Warnings(); len(w) != 1 || w[0].Code != "uplink_queue" {
			t.Fatalf("warnings %+v", w)
		}
		q.mu.Lock()
		q.err, q.waiting = nil, []string{"a"}
		q.mu.Unlock()
		time.Sleep(16 * time.Minute)
		synctest.Wait()
		if len(q.acked) != 1 || len(l.Warnings()) != 0 {
			t.Fatalf("acknowledged %v, warnings %v", q.acked, l.Warnings())
		}
	})
}

func TestDrain(t *testing.T) {
	q := &fakeQueue{waiting: []string{"a", "b", "c"}}
	n, err := Drain(t.Context(), &fakeSender{answer: ok}, q)
	if n != 3 || err != nil || len(q.waiting) != 0 {
		t.Fatalf("sent %d, %v", n, err)
	}
	q.put("d", "e")
	s := &fakeSender{answer: func(n int, _ string) Verdict {
		if n == 2 {
			return Verdict{Action: Wait, Code: "collector_busy", After: time.Hour}
		}
		return Verdict{Action: Acknowledge}
	}}
	var e *Error
	if n, err = Drain(t.Context(), s, q); n != 1 || !errors.As(err, &e) || e.Verdict.Code != "collector_busy" || len(q.waiting) != 1 {
		t.Fatalf("sent %d, %v", n, err)
	}
	s = &fakeSender{answer: func(int, string) Verdict { return Verdict{Action: Pause, Code: "agent_revoked"} }}
	if _, err = Drain(t.Context(), s, q); !errors.Is(err, ErrPaused) {
		t.Fatalf("paused: %v", err)
	}
}

func TestRetryIn(t *testing.T) {
	half := func() float64 { return 0.5 }
	asked := &Error{Verdict: Verdict{Action: Wait, After: 10 * time.Minute}}
	for _, c := range []struct {
		err  error
		n    int
		want time.Duration
	}{
		{errors.New("x"), 0, 3750 * time.Millisecond},
		{errors.New("x"), 1, 3750 * time.Millisecond},
		{&Error{Verdict: Verdict{Action: Unreachable}}, 3, 15 * time.Second},
		{errors.New("x"), 1000, 675 * time.Second},
		{asked, 1000, 10*time.Minute + 30*time.Second},
	} {
		if got := RetryIn(c.err, c.n, half); got != c.want {
			t.Errorf("after %d failures (%v): %s, want %s", c.n, c.err, got, c.want)
		}
	}
	if got := RetryIn(asked, 1, nil); got < 10*time.Minute || got > 11*time.Minute {
		t.Errorf("with real jitter: %s", got)
	}
}
