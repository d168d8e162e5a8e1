package stream

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/protocol/exchange"
)

func open(t *testing.T, dir string, c Config) *Stream {
	t.Helper()
	c.Dir = dir
	s, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func message(agent byte, seq uint64) Message {
	return Message{Agent: exchange.ID{agent}, Epoch: exchange.ID{9}, Seq: seq, Hash: exchange.Hash{agent, byte(seq)}, Received: time.Unix(1000, 5).UTC(), Wire: fmt.Appendf(nil, "batch %d of %d", seq, agent)}
}

func publish(t *testing.T, s *Stream, m Message, after uint64) uint64 {
	t.Helper()
	at, err := s.Publish(t.Context(), m, after)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// fetch takes n messages.
func fetch(t *testing.T, s *Stream, n int) (out []*Delivery) {
	t.Helper()
	for len(out) < n {
		got, err := s.Fetch(t.Context(), n-len(out), 5*time.Second)
		if err != nil || len(got) == 0 {
			t.Fatalf("%d of %d messages came: %v", len(out), n, err)
		}
		out = append(out, got...)
	}
	return out
}

func TestWhatWasAcknowledgedSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Config{AckWait: 200 * time.Millisecond})
	refused := message(1, 2)
	refused.Refused, refused.Why = "consent_not_covered", "line one\r\nInjected: yes"
	last := publish(t, s, message(1, 1), 0)
	last = publish(t, s, refused, last)
	publish(t, s, message(2, 1), 0)
	if got := fetch(t, s, 1); got[0].Seq != 1 || got[0].Done(t.Context()) != nil { // what is not waited for may come again
		t.Fatalf("%+v", got[0])
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, Config{AckWait: 200 * time.Millisecond})
	defer s.Close()
	m, err := s.Last(t.Context(), exchange.ID{1}, exchange.ID{9})
	if err != nil || m != (Mark{Seq: 2, Hash: refused.Hash, Refused: refused.Refused, At: last}) {
		t.Fatalf("%+v: %v", m, err)
	}
	got := fetch(t, s, 2)
	r := got[0].Message
	if got[0].Err != nil || r.Agent != refused.Agent || r.Epoch != refused.Epoch || r.Seq != 2 || r.Hash != refused.Hash || !r.Received.Equal(refused.Received) ||
		r.Refused != refused.Refused || r.Why != refused.Why || !bytes.Equal(r.Wire, refused.Wire) {
		t.Fatalf("%+v: %v", r, got[0].Err)
	}
	for _, d := range got {
		if err := d.Done(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := s.Depth(t.Context()); err != nil || n != 0 {
		t.Fatalf("%d wait: %v", n, err)
	}
	if m, err := s.Last(t.Context(), exchange.ID{1}, exchange.ID{9}); err != nil || m != (Mark{}) {
		t.Fatalf("%+v: %v", m, err)
	}
}

// A killed collector held batch 1; after its restart batch 2 was delivered sixty times before the wait for
// batch 1's acknowledgement was over, and batch 1 was taken for lost.
func TestWhatAKilledProcessHeldComesFirst(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Config{AckWait: time.Hour})
	at := publish(t, s, message(1, 1), 0)
	fetch(t, s, 1)
	publish(t, s, message(1, 2), at)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, Config{AckWait: time.Hour})
	defer s.Close()
	got := fetch(t, s, 2)
	if got[0].Seq != 1 || got[1].Seq != 2 {
		t.Fatalf("batch %d came before %d", got[0].Seq, got[1].Seq)
	}
	for i, want := range []bool{false, true} {
		if follows, err := got[i].Follows(t.Context()); err != nil || follows != want {
			t.Errorf("batch %d: an earlier one is on the stream: %v, %v", i+1, follows, err)
		}
	}
	if err := got[0].Done(t.Context()); err != nil {
		t.Fatal(err)
	}
	if follows, err := got[1].Follows(t.Context()); err != nil || follows {
		t.Errorf("batch 1 is done and batch 2 follows: %v, %v", follows, err)
	}
}

func TestOrderWithinAnEpoch(t *testing.T) {
	s := open(t, t.TempDir(), Config{})
	defer s.Close()
	at := publish(t, s, message(1, 1), 0)
	for _, after := range []uint64{0, at + 1} {
		if _, err := s.Publish(t.Context(), message(1, 2), after); !errors.Is(err, ErrOrder) {
			t.Fatalf("behind %d: %v", after, err)
		}
	}
	publish(t, s, message(2, 1), 0) // another epoch is not in its way
	publish(t, s, message(1, 2), at)
}

func TestAgainAndUnacknowledged(t *testing.T) {
	s := open(t, t.TempDir(), Config{AckWait: 100 * time.Millisecond})
	defer s.Close()
	publish(t, s, message(1, 1), 0)
	publish(t, s, message(2, 1), 0)
	first := fetch(t, s, 2)
	if err := first[0].Again(time.Millisecond); err != nil {
		t.Fatal(err)
	}
	again := fetch(t, s, 2) // one was given back, the other's time ran out
	for _, d := range again {
		if d.Tries != 2 {
			t.Fatalf("delivered %d times", d.Tries)
		}
		if err := d.Done(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := s.Fetch(t.Context(), 10, 150*time.Millisecond); err != nil || len(got) != 0 {
		t.Fatalf("%d came a third time: %v", len(got), err)
	}
}

func TestFullIsSaidAndNothingIsDropped(t *testing.T) {
	s := open(t, t.TempDir(), Config{MaxBytes: 64 << 10})
	defer s.Close()
	n := 0
	for {
		m := message(byte(n), 1)
		m.Wire = make([]byte, 8<<10)
		if _, err := s.Publish(t.Context(), m, 0); errors.Is(err, ErrFull) {
			break
		} else if err != nil || n > 100 {
			t.Fatalf("after %d: %v", n, err)
		}
		n++
	}
	if d, err := s.Depth(t.Context()); err != nil || d != uint64(n) {
		t.Fatalf("%d of %d wait: %v", d, n, err)
	}
}

func TestEveryWriteIsSynced(t *testing.T) {
	s := open(t, t.TempDir(), Config{})
	defer s.Close()
	if c := s.ns.JetStreamConfig(); c == nil || !c.SyncAlways {
		t.Fatal("the stream does not sync before it acknowledges")
	}
	if s.ns.Addr() != nil {
		t.Fatalf("the stream listens on %s", s.ns.Addr())
	}
}
