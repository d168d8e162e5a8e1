package writer

import (
	"context"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// held is a message that was delivered again and again.
type held struct {
	m       Message
	follows bool
}

func (h held) Message() (Message, error)             { return h.m, nil }
func (h held) Follows(context.Context) (bool, error) { return h.follows, nil }
func (h held) Ack() error                            { return nil }
func (h held) Again(time.Duration) error             { return nil }

type source []Delivery

func (s source) Fetch(context.Context, int, time.Duration) ([]Delivery, error) { return s, nil }

// gapStore notes what it is to store and lacks what is before it.
type gapStore struct {
	store.Writer
	got []store.Batch
}

func (g *gapStore) Apply(_ context.Context, batches []store.Batch) ([]store.Result, error) {
	g.got = append(g.got, batches...)
	return make([]store.Result, len(batches)), nil
}

func TestABatchOnTheStreamIsNotLostHoweverSlowItIs(t *testing.T) {
	for _, c := range []struct {
		tries   uint64
		follows bool
		lost    bool
	}{{lostAfter, false, false}, {lostAfter + 1, true, false}, {lostAfter + 1, false, true}} {
		s := &gapStore{}
		m := Message{Agent: exchange.ID{1}, Epoch: exchange.ID{2}, Seq: 4, Refused: "consent_not_covered", Tries: c.tries}
		w := New(Config{Source: source{held{m, c.follows}}, Store: s})
		if err := w.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(s.got) != 1 || (s.got[0].Lost != "") != c.lost {
			t.Errorf("delivered %d times, an earlier one on the stream: %v: %+v", c.tries, c.follows, s.got)
		}
	}
}
