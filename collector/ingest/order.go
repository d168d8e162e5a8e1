package ingest

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// place is where an epoch stands: the highest seq that was accepted or refused for good.
type place struct {
	seq  uint64
	hash exchange.Hash
	code string // of its refusal
	at   uint64 // of its last message on the stream; 0: none is there
	// recent are judgements that may not be stored yet.
	recent map[uint64]judged
}

type judged struct {
	hash exchange.Hash
	code string // of the refusal; "" = accepted
}

type epochKey struct{ agent, epoch exchange.ID }

const (
	shards = 256
	// perShard bounds the places remembered: 256 × 256 epochs of about 300 bytes are 20 MB.
	perShard = 256
	// recents is how many judgements an epoch remembers before it asks the store which of
	// them are settled.
	recents = 64
)

// order keeps one agent's batches one after the other. A shard is locked while a batch is
// judged and published: agents that share one wait for each other, a millisecond each.
type order struct {
	stream   Stream
	marks    store.Writer
	arrivals store.Arrivals
	shard    [shards]shard
}

type shard struct {
	turn   chan struct{} // holds a token while somebody may use places and publish
	places map[epochKey]*place
}

func newOrder(c Config) *order {
	o := &order{stream: c.Stream, marks: c.Marks, arrivals: c.Arrivals}
	for i := range o.shard {
		o.shard[i].turn = make(chan struct{}, 1)
	}
	return o
}

// lock waits for the agent's turn, not longer than ctx: a stream that hangs must not hang those
// who wait for it one after the other.
func (o *order) lock(ctx context.Context, agent exchange.ID) (*shard, error) {
	s := &o.shard[agent[0]]
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, &store.Problem{Code: store.CodeBusy, Message: "the collector judges other batches", Status: http.StatusServiceUnavailable, Err: ctx.Err()}
	}
	if s.places == nil || len(s.places) > perShard {
		s.places = map[epochKey]*place{}
	}
	return s, nil
}

func (s *shard) unlock() { <-s.turn }

// place finds where an epoch stands, from memory, else from stream and store.
func (o *order) place(ctx context.Context, s *shard, k epochKey) (*place, error) {
	if p := s.places[k]; p != nil {
		return p, nil
	}
	p := &place{recent: map[uint64]judged{}}
	if err := o.load(ctx, p, k); err != nil {
		return nil, err
	}
	s.places[k] = p
	return p, nil
}

// load asks the stream first: what it still holds is newer than, or as new as, the store.
// What leaves the stream between the two questions is in the store by then.
func (o *order) load(ctx context.Context, p *place, k epochKey) error {
	m, err := o.stream.Last(ctx, k.agent, k.epoch)
	if err != nil {
		return err
	}
	seq, hash, err := o.marks.Mark(ctx, k.agent, k.epoch)
	if err != nil {
		return err
	}
	if p.at = m.At; m.Seq > seq {
		seq, hash, p.code = m.Seq, m.Hash, m.Refused
	}
	if seq >= p.seq {
		p.seq, p.hash = seq, hash
	}
	return nil
}

// judgement of a seq at or below the mark. unsettled: it is on its way to the store and its
// judgement is not remembered (after a restart); ask again later.
func (o *order) judgement(ctx context.Context, p *place, k epochKey, seq uint64) (j judged, unsettled bool, err error) {
	if j, ok := p.recent[seq]; ok {
		return j, false, nil
	}
	j.hash, j.code, err = o.arrivals.Judged(ctx, k.agent, k.epoch, seq)
	if errors.Is(err, store.ErrNotFound) {
		if seq == p.seq {
			return judged{p.hash, p.code}, false, nil // the stream's own last message
		}
		return j, true, nil
	}
	return j, false, err
}

// moved notes that a batch was published.
func (o *order) moved(ctx context.Context, p *place, k epochKey, seq, at uint64, j judged) error {
	p.seq, p.hash, p.code, p.at = seq, j.hash, j.code, at
	p.recent[seq] = j
	if len(p.recent) <= recents {
		return nil
	}
	stored, _, err := o.marks.Mark(ctx, k.agent, k.epoch)
	if err != nil {
		return fmt.Errorf("looking what is stored: %w", err)
	}
	for s := range p.recent {
		if s <= stored {
			delete(p.recent, s)
		}
	}
	return nil
}
