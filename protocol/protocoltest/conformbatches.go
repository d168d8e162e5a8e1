package protocoltest

import (
	"encoding/json"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/protocol/batch"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

func mustJSON(tb testing.TB, v any) []byte {
	tb.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func conformInOrder(t *testing.T, c Collector) {
	s := c.ready(t)
	var all []report.Cell
	for i := range 5 {
		cells := Windows(i*10, 10)
		r := s.Send(t, s.Freeze(t, cells), exchange.Accepted)
		if r.Queued != uint64(i+1) || r.Stored > r.Queued {
			t.Fatalf("after %d batches the receipt says queued %d, stored %d", i+1, r.Queued, r.Stored)
		}
		all = append(all, cells...)
	}
	c.counts(t, s, all...)
}

func conformReplay(t *testing.T, c Collector) {
	s := c.ready(t)
	var wires [][]byte
	for i := range 3 {
		wires = append(wires, s.Freeze(t, Windows(i, 1)))
		s.Send(t, wires[i], exchange.Accepted)
	}
	for _, w := range wires {
		if r := s.Send(t, w, exchange.Accepted); r.Queued != 3 {
			t.Fatalf("a replay moved the mark to %d", r.Queued)
		}
	}
	r := s.Signed(t, exchange.PathBatches, wires[1])
	again := s.Request(t, http.MethodPost, exchange.PathBatches, wires[1])
	again.Header = r.Header.Clone() // the very same request, nonce and all
	s.receipt(t, s.Do(t, r), wires[1], exchange.Accepted)
	s.receipt(t, s.Do(t, again), wires[1], exchange.Accepted)
	c.counts(t, s, Windows(0, 3)...)
}

func conformGap(t *testing.T, c Collector) {
	s := c.ready(t)
	first, second := s.Freeze(t, Windows(0, 1)), s.Freeze(t, Windows(1, 1))
	if r := s.Send(t, second, exchange.OutOfTurn); r.Expected != 1 {
		t.Fatalf("before anything came, seq %d is expected", r.Expected)
	}
	s.Send(t, first, exchange.Accepted)
	third, fourth := s.Freeze(t, Windows(2, 1)), s.Freeze(t, Windows(3, 1))
	if r := s.Send(t, fourth, exchange.OutOfTurn); r.Expected != 2 || r.Code != "out_of_seq" {
		t.Fatalf("seq 4 after 1 was answered with code %q, expected %d", r.Code, r.Expected)
	}
	for _, w := range [][]byte{second, third, fourth} {
		s.Send(t, w, exchange.Accepted)
	}
	c.counts(t, s, Windows(0, 4)...)
}

func conformFork(t *testing.T, c Collector) {
	s := c.ready(t)
	first := s.Freeze(t, Windows(0, 1))
	s.Send(t, first, exchange.Accepted)
	s.Send(t, s.Freeze(t, Windows(1, 1)), exchange.Accepted)
	fork := s.FreezeAt(t, 2, batch.Hash(first), Windows(5, 1))
	if r := s.Send(t, fork, exchange.OutOfTurn); r.Code != exchange.CodeFork || r.Expected != 3 {
		t.Fatalf("a forked seq was answered with code %q, expected %d", r.Code, r.Expected)
	}
	s.Send(t, s.Freeze(t, Windows(2, 1)), exchange.Accepted)
	c.counts(t, s, Windows(0, 3)...)
}

func conformWrongPrevious(t *testing.T, c Collector) {
	s := c.ready(t)
	s.Send(t, s.Freeze(t, Windows(0, 1)), exchange.Accepted)
	wrong := s.FreezeAt(t, 2, exchange.Hash{1}, Windows(1, 1))
	if r := s.Send(t, wrong, exchange.OutOfTurn); r.Code != exchange.CodeFork || r.Expected != 2 {
		t.Fatalf("a batch that does not follow was answered with code %q, expected %d", r.Code, r.Expected)
	}
	s.Send(t, s.Freeze(t, Windows(1, 1)), exchange.Accepted)
	c.counts(t, s, Windows(0, 2)...)
}

func conformConcurrent(t *testing.T, c Collector) {
	s := c.ready(t)
	var wires [][]byte
	for i := range 8 {
		wires = append(wires, s.Freeze(t, Windows(i, 1)))
	}
	// Every batch from four senders at once, newest first, until all are settled.
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range wires {
				for i := len(wires) - 1; i >= 0; i-- {
					a := s.Do(t, s.Signed(t, exchange.PathBatches, wires[i]))
					if a.Status != 200 && a.Status != 409 {
						t.Errorf("answered %d: %s", a.Status, a.Body)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	for _, w := range wires {
		s.Send(t, w, exchange.Accepted)
	}
	c.counts(t, s, Windows(0, 8)...)
}

func conformWindowOnce(t *testing.T, c Collector) {
	s := c.ready(t)
	s.Send(t, s.Freeze(t, Windows(0, 4)), exchange.Accepted)
	// A new epoch after a restore brings two of the windows again, one with another value.
	prev, last, lastHash := s.epoch, s.seq, s.prev
	again := Windows(2, 4)
	again[0].Lo, again[0].Hi = 9999, 9999
	s.epoch, s.seq, s.prev = exchange.NewNonce(), 1, exchange.Hash{}
	wire, err := batch.Freeze(batch.Header{
		Agent: s.ID(), Epoch: s.epoch, Seq: 1, Catalog: s.cat, Consent: s.stmt.Hash(), Created: s.Now().Unix(), Zone: "UTC",
		Open: &batch.Opening{Reason: batch.ReasonRestore, PrevEpoch: prev, LastSeq: last, LastHash: lastHash},
	}, again, s.Key)
	if err != nil {
		t.Fatal(err)
	}
	s.Send(t, wire, exchange.Accepted)
	c.counts(t, s, Windows(0, 6)...)
}

func conformRefused(t *testing.T, c Collector) {
	s := c.ready(t)
	s.Send(t, s.Freeze(t, Windows(0, 1)), exchange.Accepted)
	foreign := Windows(1, 1)
	foreign[0].Measure = 1 // diagnostics: not consented to
	refused := s.Freeze(t, foreign)
	r := s.Send(t, refused, exchange.Refused)
	if r.Code != "consent_not_covered" || r.Queued < 2 {
		t.Fatalf("refused with code %q, queued_through %d", r.Code, r.Queued)
	}
	s.Send(t, refused, exchange.Refused) // again: the same outcome
	outside := Windows(2, 1)
	outside[0].Measure = 77
	if r := s.Send(t, s.Freeze(t, outside), exchange.Refused); r.Code != "cell_unknown" {
		t.Fatalf("a cell outside the catalog was refused with code %q", r.Code)
	}
	s.Send(t, s.Freeze(t, Windows(3, 1)), exchange.Accepted) // the epoch goes on
	st := s.stmt
	s.stmt = exchange.SignedStatement{Raw: []byte("another")}
	if r := s.Send(t, s.Freeze(t, Windows(4, 1)), exchange.Refused); r.Code != "consent_unknown" {
		t.Fatalf("an unknown statement was refused with code %q", r.Code)
	}
	s.stmt = st
	cat := s.cat
	s.cat = exchange.Hash{9}
	if r := s.Send(t, s.Freeze(t, Windows(5, 1)), exchange.Refused); r.Code != "catalog_unknown" {
		t.Fatalf("an unknown catalog was refused with code %q", r.Code)
	}
	s.cat = cat
	s.Send(t, s.Freeze(t, Windows(6, 1)), exchange.Accepted)
	c.counts(t, s, Windows(0, 1)[0], Windows(3, 1)[0], Windows(6, 1)[0])
}

func conformSkew(t *testing.T, c Collector) {
	s := c.ready(t)
	for i, off := range []time.Duration{-24 * time.Hour, 24 * time.Hour} {
		s.Now = func() time.Time { return time.Now().Add(off) }
		wire := s.Freeze(t, Windows(i, 1))
		s.Send(t, wire, exchange.Accepted)
	}
	c.counts(t, s, Windows(0, 2)...)
}

func conformElsewhere(t *testing.T, c Collector) {
	s, other := c.ready(t), c.ready(t)
	wire := s.Freeze(t, Windows(0, 1))
	for name, spoil := range map[string]func(*http.Request){
		"another path":  func(r *http.Request) { r.Header = s.Signed(t, exchange.PathCheckIn, wire).Header },
		"another body":  func(r *http.Request) { r.Header = s.Signed(t, exchange.PathBatches, []byte("x")).Header },
		"another agent": func(r *http.Request) { r.Header.Set(exchange.HeaderAgent, other.ID().String()) },
		"another nonce": func(r *http.Request) { r.Header.Set(exchange.HeaderNonce, exchange.NewNonce().String()) },
		"another time":  func(r *http.Request) { r.Header.Set(exchange.HeaderTime, "1") },
		"no signature":  func(r *http.Request) { r.Header.Del(exchange.HeaderSignature) },
	} {
		r := s.Signed(t, exchange.PathBatches, wire)
		spoil(r)
		if a := s.Do(t, r); a.Status != 401 {
			t.Errorf("%s: answered %d: %s", name, a.Status, a.Body)
		}
	}
	c.counts(t, s)
	s.Send(t, wire, exchange.Accepted)
	c.counts(t, s, Windows(0, 1)...)
}

func conformAnother(t *testing.T, c Collector) {
	mallory, victim := c.ready(t), c.ready(t)
	wire := victim.Freeze(t, Windows(0, 1))
	// A batch the victim signed, brought by another agent.
	forbidden := func(wire []byte) {
		t.Helper()
		var r exchange.Receipt
		mallory.must(t, mallory.Do(t, mallory.Signed(t, exchange.PathBatches, wire)), 403, &r)
		if r.Outcome != exchange.Forbidden || r.Code != "agent_mismatch" {
			t.Fatalf("refused with outcome %q, code %q", r.Outcome, r.Code)
		}
	}
	forbidden(wire)
	c.counts(t, mallory)
	c.counts(t, victim)
	victim.Send(t, wire, exchange.Accepted) // its seq was not consumed
	// A batch that claims to be the victim's but carries Mallory's signature.
	forged, err := batch.Freeze(batch.Header{
		Agent: victim.ID(), Epoch: victim.epoch, Seq: 2, Prev: batch.Hash(wire), Catalog: victim.cat, Consent: victim.stmt.Hash(),
		Created: victim.Now().Unix(), Zone: "UTC",
	}, Windows(1, 1), mallory.Key)
	if err != nil {
		t.Fatal(err)
	}
	forbidden(forged)
	c.counts(t, victim, Windows(0, 1)...)
}
