package ask

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/agent/control"
)

// site answers queries after a second of the bubble's clock.
type site struct {
	control.Reader
	mu          sync.Mutex
	asked       []control.Query
	now, widest int
	err         error
	takes       time.Duration
}

func (s *site) Query(ctx context.Context, q control.Query) ([]json.RawMessage, error) {
	s.mu.Lock()
	s.asked = append(s.asked, q)
	n := len(s.asked)
	s.now++
	s.widest = max(s.widest, s.now)
	s.mu.Unlock()
	defer func() { s.mu.Lock(); s.now--; s.mu.Unlock() }()
	select {
	case <-time.After(s.takes):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if s.err != nil {
		return nil, s.err
	}
	return []json.RawMessage{json.RawMessage(`{"start":"2026-01-05","value":` + strconv.Itoa(n) + `,"closed":true}`)}, nil
}

func got(a *Answer) string {
	if !a.Ready() || a.Err != nil || len(a.Lines) != 1 {
		return ""
	}
	return string(a.Lines[0].Value)
}

func TestAnswersAreKeptRenewedAndForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &site{takes: time.Second}
		ctx, cancel := context.WithCancel(t.Context())
		a := New(s)
		a.During(ctx)
		q := control.Query{Measure: "people", Grain: "week", Exact: true}
		first, again := a.Ask(q), a.Ask(q)
		if first != again {
			t.Error("the same question is asked twice at once")
		}
		Await(ctx, time.Now().Add(100*time.Millisecond), first)
		if first.Ready() {
			t.Error("it was there before its time")
		}
		Await(ctx, time.Now().Add(time.Minute), first)
		if got(first) != "1" {
			t.Fatalf("got %q, %v", got(first), first.Err)
		}
		time.Sleep(fresh + time.Second)
		if old := a.Ask(q); got(old) != "1" {
			t.Error("an older answer is not shown while a new one comes")
		}
		a.Ask(q)
		time.Sleep(2 * time.Second)
		if got(a.Ask(q)) != "2" {
			t.Error("the answer was not renewed, or twice")
		}
		time.Sleep(stale + time.Second)
		if a.Ask(q).Ready() {
			t.Error("a stale answer is shown")
		}
		time.Sleep(2 * time.Second)
		a.Forget()
		if a.Ask(q).Ready() {
			t.Error("an answer is shown after a decision")
		}
		cancel()
		a.Close()
		if x := a.Ask(control.Query{Measure: "late"}); x.Err == nil {
			t.Error("it asks after its end")
		}
		for _, q := range s.asked {
			if q.Exact {
				t.Error("it asked for exact figures")
			}
		}
	})
}

func TestFewAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &site{takes: time.Second}
		a := New(s)
		var all []*Answer
		for i := range 30 {
			all = append(all, a.Ask(control.Query{Measure: strconv.Itoa(i)}))
		}
		Await(t.Context(), time.Now().Add(time.Minute), all...)
		if s.widest != askAtOnce {
			t.Errorf("%d at once", s.widest)
		}
		a.Close()
	})
}

func TestAnErrorIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &site{takes: time.Second, err: errors.New("broken")}
		a := New(s)
		x := a.Ask(control.Query{Measure: "m"})
		Await(t.Context(), time.Now().Add(time.Minute), x)
		if x.Err == nil {
			t.Fatal("no error")
		}
		s.err = nil
		time.Sleep(fresh + time.Second)
		x = a.Ask(control.Query{Measure: "m"})
		Await(t.Context(), time.Now().Add(time.Minute), x)
		if got(x) != "2" {
			t.Errorf("got %q, %v", got(x), x.Err)
		}
		a.Close()
	})
}

func TestAHangingQueryEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := New(&site{takes: time.Hour})
		x := a.Ask(control.Query{Measure: "m"})
		Await(t.Context(), time.Now().Add(time.Minute), x)
		if !x.Ready() || !errors.Is(x.Err, context.DeadlineExceeded) {
			t.Errorf("ready %v, %v", x.Ready(), x.Err)
		}
		a.Close()
	})
}
