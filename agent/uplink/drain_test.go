package uplink

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"
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
	waiting []string
	acked   []string
	aside   []string
	rewinds int
	err     error // of Next
	settle  error // of what settles
}

func (q *fakeQueue) Next(context.Context) ([]byte, bool, error) {
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
	if q.settle != nil {
		return q.settle
	}
	q.pop(wire)
	q.acked = append(q.acked, string(wire))
	return nil
}

func (q *fakeQueue) Quarantine(_ context.Context, wire []byte, _ Signed) error {
	q.pop(wire)
	q.aside = append(q.aside, string(wire))
	return nil
}

func (q *fakeQueue) Rewind(context.Context, []byte, Signed) error { q.rewinds++; return nil }

// fakeSender answers the nth sending with what the test says.
type fakeSender struct {
	answer func(n int, wire string) Verdict
	sent   int
}

func (s *fakeSender) Send(ctx context.Context, wire []byte) (Verdict, error) {
	s.sent++
	return s.answer(s.sent, string(wire)), ctx.Err()
}

func ok(int, string) Verdict { return Verdict{Action: Acknowledge} }

func TestWaitsSpreadAFleet(t *testing.T) {
	for n := 1; n < 20; n++ {
		lo, hi := backoff(n, func() float64 { return 0 }), backoff(n, func() float64 { return 0.999999 })
		if hi-lo < lo/2 || hi > 15*time.Minute || lo < time.Second {
			t.Fatalf("failure %d: waits from %s to %s", n, lo, hi)
		}
	}
}

func TestDrainQuarantinesAndGoesOn(t *testing.T) {
	q := &fakeQueue{waiting: []string{"a", "b", "c"}}
	s := &fakeSender{answer: func(_ int, w string) Verdict {
		if w == "b" {
			return Verdict{Action: Quarantine, Code: "batch_cell", Receipt: exchange.Receipt{Outcome: exchange.Refused}}
		}
		return Verdict{Action: Acknowledge}
	}}
	if n, err := Drain(t.Context(), s, q); n != 2 || err != nil || strings.Join(q.acked, "") != "ac" || strings.Join(q.aside, "") != "b" {
		t.Fatalf("sent %d, %v; acknowledged %v, aside %v", n, err, q.acked, q.aside)
	}
}

// A collector that answers 409 for ever is a quarrel: it is not asked in a tight circle.
func TestDrainRewindsAreBounded(t *testing.T) {
	q := &fakeQueue{waiting: []string{"a"}}
	s := &fakeSender{answer: func(int, string) Verdict { return Verdict{Action: Resync, Code: "out_of_seq"} }}
	var e *Error
	if n, err := Drain(t.Context(), s, q); n != 0 || !errors.As(err, &e) || e.Verdict.Code != "out_of_seq" {
		t.Fatalf("sent %d, %v", n, err)
	}
	if q.rewinds != maxRewinds || s.sent != maxRewinds+1 || len(q.waiting) != 1 {
		t.Fatalf("%d rewinds, %d tries, %d wait", q.rewinds, s.sent, len(q.waiting))
	}
	// Progress in between starts the count anew.
	s = &fakeSender{answer: func(n int, _ string) Verdict {
		if n%maxRewinds == 0 {
			return Verdict{Action: Acknowledge}
		}
		return Verdict{Action: Resync}
	}}
	q = &fakeQueue{waiting: []string{"a", "b", "c"}}
	if n, err := Drain(t.Context(), s, q); n != 3 || err != nil {
		t.Fatalf("sent %d, %v", n, err)
	}
}

// What cannot be read or settled stops the draining; nothing is sent past it.
func TestDrainStopsWhereTheOutboxFails(t *testing.T) {
	fire := errors.New("disk on fire")
	s := &fakeSender{answer: ok}
	if n, err := Drain(t.Context(), s, &fakeQueue{err: fire}); n != 0 || !errors.Is(err, fire) || s.sent != 0 {
		t.Fatalf("sent %d, %v", n, err)
	}
	q := &fakeQueue{waiting: []string{"a", "b"}, settle: fire}
	if n, err := Drain(t.Context(), s, q); n != 0 || !errors.Is(err, fire) || s.sent != 1 || len(q.waiting) != 2 {
		t.Fatalf("sent %d, %v", n, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if n, err := Drain(ctx, s, &fakeQueue{waiting: []string{"a"}}); n != 0 || !errors.Is(err, context.Canceled) {
		t.Fatalf("sent %d, %v", n, err)
	}
}

func TestDrain(t *testing.T) {
	q := &fakeQueue{waiting: []string{"a", "b", "c"}}
	n, err := Drain(t.Context(), &fakeSender{answer: ok}, q)
	if n != 3 || err != nil || len(q.waiting) != 0 {
		t.Fatalf("sent %d, %v", n, err)
	}
	q.waiting = []string{"d", "e"}
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
