package statsd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/fieldpost/fieldpost/agent/intake"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/durable"
)

// Config of a Server. Vocabulary and Journal must be given; the zero value of each other field means
// its default.
type Config struct {
	// Vocabulary is asked once per datagram.
	Vocabulary func() *intake.Vocabulary
	Journal    intake.Appender
	Clock      *intake.Clock // default: a new one from zero
	// FlushEvery is how long values are added up before they are journaled. Default 10 s, as StatsD
	// itself.
	FlushEvery time.Duration
	Logger     *slog.Logger // default: silent
}

const (
	maxDatagram = 1 << 16
	// socketBuffer is asked of the kernel, which may give less (net.core.rmem_max): 4 MiB hold what
	// 300,000 lines a second bring in a quarter of a second.
	socketBuffer = 4 << 20
	// spacing is the least time between flushes that a flood forces.
	spacing = time.Second
	// maxWaiting bounds the bags that the journal did not take yet, of 3 MB each.
	maxWaiting = 4
	// drain is how long a stop reads on what the kernel holds.
	drain = 100 * time.Millisecond
)

// Stats counts since New. Values = Journaled + Pending + Lost + the sum of Refused.
type Stats struct {
	Datagrams uint64
	Values    uint64
	Journaled uint64        // as part of a sample that is on disk
	Pending   uint64        // not yet
	Lost      uint64        // found no room, or the journal did not take them before the end
	Refused   record.Counts // by the first reason that applied
	Sets      uint64        // of the refused: types s
	Events    uint64        // _e{, not read
	Checks    uint64        // _sc|, not read
	Dropped   uint64        // datagrams that the kernel had no room for, where it tells (Linux)
}

// Server reads one socket.
type Server struct {
	c    Config
	full chan struct{} // holds one token: a bag wants a flush now

	flushing sync.Mutex // one flush at a time; taken before mu

	mu      sync.Mutex // guards all below
	desk    desk
	waiting []*bag // older than the desk's, oldest first
	conn    *net.UDPConn
}

// New is a server that does nothing until Serve.
func New(c Config) *Server {
	if c.Clock == nil {
		c.Clock = intake.NewClock(nil, 0)
	}
	if c.FlushEvery == 0 {
		c.FlushEvery = 10 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Server{c: c, full: make(chan struct{}, 1), desk: desk{bag: newBag(c.Vocabulary()), levels: map[[8]byte]level{}}}
}

// Serve reads conn until ctx ends, then what the kernel still holds, and journals the rest. It closes
// conn.
func (s *Server) Serve(ctx context.Context, conn *net.UDPConn) error {
	defer conn.Close()
	if err := conn.SetReadBuffer(socketBuffer); err != nil {
		s.c.Logger.Debug("asking for a larger socket buffer", "error", err)
	}
	s.mu.Lock()
	s.conn = conn
	s.mu.Unlock()
	stop := context.AfterFunc(ctx, func() {
		_ = conn.SetReadDeadline(time.Now().Add(drain)) // a closed socket ends reading too
	})
	defer stop()
	inner, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { s.beat(inner) })
	s.read(ctx, conn)
	cancel()
	wg.Wait()
	s.last(ctx)
	return nil
}

// read takes datagrams until ctx ends. A socket that cannot be read for a while is no reason to stop the
// agent.
func (s *Server) read(ctx context.Context, conn *net.UDPConn) {
	b := make([]byte, maxDatagram)
	for {
		n, _, err := conn.ReadFromUDPAddrPort(b)
		switch {
		case err == nil:
			s.take(b[:n])
			continue
		case ctx.Err() != nil, errors.Is(err, net.ErrClosed):
			return
		}
		s.c.Logger.Warn("datagram not read", "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(spacing):
		}
	}
}

// take reads one datagram.
func (s *Server) take(b []byte) {
	v := s.c.Vocabulary()
	received, _ := s.c.Clock.Received()
	s.mu.Lock()
	defer s.mu.Unlock()
	turned := v != s.desk.bag.v
	if turned {
		s.change(v)
		s.desk.only(v)
	}
	s.desk.datagram(b, received)
	if turned || s.desk.bag.full() {
		select {
		case s.full <- struct{}{}:
		default:
		}
	}
}

// change begins a bag of another vocabulary. mu is held.
func (s *Server) change(v *intake.Vocabulary) {
	if !s.desk.bag.empty() {
		if len(s.waiting) == maxWaiting {
			s.lose(s.waiting[0])
			s.waiting = slices.Delete(s.waiting, 0, 1)
		}
		s.waiting = append(s.waiting, s.desk.bag)
	}
	s.desk.bag = newBag(v)
}

// lose counts what is in a bag that goes. mu is held.
func (s *Server) lose(b *bag) { s.desk.stats.Lost += b.values }

// beat flushes until ctx ends.
func (s *Server) beat(ctx context.Context) {
	t := time.NewTicker(s.c.FlushEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		case <-s.full:
			s.flush(ctx)
			select { // a flood must not fill the journal
			case <-ctx.Done():
				return
			case <-time.After(spacing):
			}
			continue
		}
		s.flush(ctx)
	}
}

// Flush journals what was added up so far.
func (s *Server) Flush(ctx context.Context) error {
	s.flushing.Lock()
	defer s.flushing.Unlock()
	received, back := s.c.Clock.Received()
	s.mu.Lock()
	s.desk.forget(received)
	if v := s.desk.bag.v; !s.desk.bag.empty() && len(s.waiting) < maxWaiting {
		s.change(v)
	}
	bags := slices.Clone(s.waiting)
	s.mu.Unlock()
	for _, b := range bags {
		rec := record.Record{Received: received}
		if b.record(&rec); back {
			rec.ClockBack = 1
		}
		_, err := s.c.Journal.Append(context.WithoutCancel(ctx), &rec)
		if err != nil && !errors.Is(err, durable.ErrTooLarge) {
			return fmt.Errorf("journaling a flush: %w", err)
		}
		s.settle(b, err)
	}
	return nil
}

// settle lets go of a bag that the journal has, or will never take.
func (s *Server) settle(b *bag, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.waiting, b)
	if i < 0 { // change needed its place meanwhile, and counted it as lost
		s.desk.stats.Lost -= b.values
	} else {
		s.waiting = slices.Delete(s.waiting, i, i+1)
	}
	if err != nil {
		s.lose(b)
	} else {
		s.desk.stats.Journaled += b.values
	}
}

func (s *Server) flush(ctx context.Context) {
	if err := s.Flush(ctx); err != nil {
		s.c.Logger.Warn("statsd values wait for the journal", "error", err, "next_try", s.c.FlushEvery)
	}
}

// last journals what is left when nothing more comes.
func (s *Server) last(ctx context.Context) {
	err := s.Flush(ctx)
	if err == nil {
		err = s.Flush(ctx) // where bags waited, there was no room for the newest before
	}
	if err == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	lost := s.desk.stats.Lost
	for _, b := range append(s.waiting, s.desk.bag) {
		s.lose(b)
	}
	s.waiting, s.desk.bag = nil, newBag(s.c.Vocabulary())
	s.c.Logger.Error("statsd values lost at the end", "values", s.desk.stats.Lost-lost, "error", err)
}

// Stats are the counters now.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.desk.stats
	t.Pending = s.desk.bag.values
	for _, b := range s.waiting {
		t.Pending += b.values
	}
	if s.conn != nil {
		t.Dropped = dropped(s.conn)
	}
	return t
}
