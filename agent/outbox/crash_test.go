package outbox

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/fieldpost/fieldpost/protocol/batch"
	"github.com/fieldpost/fieldpost/protocol/durable"
	"github.com/fieldpost/fieldpost/protocol/durable/durabletest"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/protocoltest"
)

// site is an agent reduced to what the outbox needs: a journal of n windows that is never
// lost, and a checkpoint that holds the position in it and the shelf.
type site struct {
	fs   durable.FS
	o    *Outbox
	next int // window that the fold closes next
}

// start recovers and replays the journal up to window `journal`.
func start(fsys durable.FS, journal int) (*site, error) {
	s := &site{fs: fsys}
	var saved []byte
	b, err := durable.ReadFile(fsys, ckpt, 1<<20)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	default:
		s.next, saved = int(binary.BigEndian.Uint32(b)), b[4:]
	}
	cfg, err := config(fsys)
	if err != nil {
		return nil, err
	}
	if s.o, err = Open(cfg, saved); err != nil {
		return nil, err
	}
	s.close(journal)
	s.o.Replayed()
	return s, nil
}

func (s *site) close(until int) {
	for ; s.next < until; s.next++ {
		s.o.Put(origin, protocoltest.Windows(s.next, 1))
	}
}

func (s *site) checkpoint() error {
	return durable.WriteFile(s.fs, ckpt, append(binary.BigEndian.AppendUint32(nil, uint32(s.next)), s.o.Save()...), 0o600)
}

// life is what a site goes through; it stops at the first error.
func (s *site) life(ctx context.Context, v func(wire []byte) exchange.SignedReceipt, journal func(int)) error {
	put := func(until int) { journal(until); s.close(until) }
	freeze := func() error { _, err := s.o.Freeze(ctx, created); return err }
	send := func() error {
		wire, ok, err := s.o.Next(ctx)
		if err != nil || !ok {
			return err
		}
		r := v(wire)
		if r.Receipt.Outcome == exchange.OutOfTurn {
			return s.o.Rewind(ctx, wire, r)
		}
		return s.o.Acknowledge(ctx, wire, r)
	}
	steps := []func() error{
		func() error { put(2); return nil }, s.checkpoint,
		func() error { put(4); return nil }, freeze, send, // frozen and sent before the checkpoint
		func() error { put(5); return nil }, freeze, s.checkpoint,
		func() error { s.o.OpenEpoch(batch.ReasonOutage); put(6); return nil }, freeze, send, s.checkpoint,
		func() error { put(7); return nil }, freeze, send, send,
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// Every state a power failure can leave at every step of a site's life: afterwards all
// windows arrive, each once, and the accounting adds up.
func TestPowerFailureAtEveryStep(t *testing.T) {
	fsys := newFS()
	type event struct {
		ops     int
		wire    []byte // the vendor received it
		journal int    // or the journal grew
	}
	var events []event
	live := newVendor()
	s, err := start(fsys, 0)
	must(t, err)
	must(t, s.life(t.Context(), func(wire []byte) exchange.SignedReceipt {
		events = append(events, event{ops: fsys.Ops(), wire: wire})
		return live.receive(wire, s.o.pub)
	}, func(n int) { events = append(events, event{ops: fsys.Ops(), journal: n}) }))

	states := 0
	err = fsys.Crashes(durabletest.CrashOptions{PerPrefix: 6}, func(c durabletest.Crash) error {
		states++
		v, journal := newVendor(), 0
		for _, e := range events {
			if e.ops > c.Prefix {
				break
			}
			if e.wire != nil {
				v.receive(e.wire, s.o.pub)
			} else {
				journal = e.journal
			}
		}
		return finish(t.Context(), c.FS, v, journal)
	})
	must(t, err)
	if states < 300 {
		t.Fatalf("only %d states were tried", states)
	}
	t.Logf("%d states", states)
}

// finish restarts a site and lets it run to its end: the promises.
func finish(ctx context.Context, fsys durable.FS, v *vendor, journal int) error {
	s, err := start(fsys, journal)
	if err != nil {
		return err
	}
	if err := addsUp(s.o, fsys); err != nil {
		return fmt.Errorf("after the start: %w", err)
	}
	s.close(8)
	if _, err := s.o.Freeze(ctx, created); err != nil {
		return err
	}
	if err := s.checkpoint(); err != nil {
		return err
	}
	if err := v.drain(ctx, s.o); err != nil {
		return err
	}
	if err := v.arrived(8); err != nil {
		return err
	}
	if len(v.epochs) > 2 {
		return fmt.Errorf("%d epochs", len(v.epochs))
	}
	if c := s.o.Counts(); c.Missing != 0 || c.Waiting != 0 {
		return fmt.Errorf("counts %+v", c)
	}
	return addsUp(s.o, fsys)
}

// The same while what waits moves to a new epoch because the old one was closed.
func TestPowerFailureWhileAnEpochIsClosed(t *testing.T) {
	fsys := newFS()
	s, err := start(fsys, 0)
	must(t, err)
	must(t, s.checkpoint())
	for i := range 3 {
		s.close(i + 1)
		if _, err := s.o.Freeze(t.Context(), created); err != nil {
			t.Fatal(err)
		}
	}
	must(t, s.checkpoint())
	from := fsys.Ops()
	// The collector has another batch under seq 1: a fork.
	spoil := func() *vendor {
		v := newVendor()
		v.epochs[s.o.current().ID] = []exchange.Hash{{9}}
		return v
	}
	old := s.o.current().ID
	v := spoil()
	var got []struct {
		ops  int
		wire []byte
	}
	for {
		wire, ok, err := s.o.Next(t.Context())
		must(t, err)
		if !ok {
			break
		}
		got = append(got, struct {
			ops  int
			wire []byte
		}{fsys.Ops(), wire})
		r := v.receive(wire, s.o.pub)
		if r.Receipt.Outcome == exchange.OutOfTurn {
			must(t, s.o.Rewind(t.Context(), wire, r))
		} else {
			must(t, s.o.Acknowledge(t.Context(), wire, r))
		}
	}
	must(t, v.arrived(3))
	err = fsys.Crashes(durabletest.CrashOptions{From: from, PerPrefix: 6}, func(c durabletest.Crash) error {
		v := newVendor()
		v.epochs[old] = []exchange.Hash{{9}}
		for _, g := range got {
			if g.ops <= c.Prefix {
				v.receive(g.wire, s.o.pub)
			}
		}
		return finish(t.Context(), c.FS, v, 3)
	})
	must(t, err)
}

// A crash, and another one in the middle of the replay that follows, after a checkpoint was
// written there: windows that the first life froze still do not come twice.
func TestCrashInTheMiddleOfAReplay(t *testing.T) {
	for stop := range 7 {
		fsys := newFS()
		v := newVendor()
		s, err := start(fsys, 0)
		must(t, err)
		must(t, s.checkpoint())
		s.close(3)
		if _, err := s.o.Freeze(t.Context(), created); err != nil {
			t.Fatal(err)
		}
		must(t, v.drain(t.Context(), s.o))
		s.close(6)
		if _, err := s.o.Freeze(t.Context(), created); err != nil {
			t.Fatal(err)
		}
		// Killed. The next life replays `+"`stop`"+` windows, writes a checkpoint and is killed too.
		s = &site{fs: fsys}
		b, err := durable.ReadFile(fsys, ckpt, 1<<20)
		must(t, err)
		cfg, err := config(fsys)
		must(t, err)
		s.o, err = Open(cfg, b[4:])
		must(t, err)
		s.close(stop)
		must(t, s.checkpoint())
		if err := finish(t.Context(), fsys, v, 6); err != nil {
			t.Fatalf("killed after %d windows: %v", stop, err)
		}
	}
}

// Every single operation of the disk fails once, and then every one from there on until the
// site is started again: nothing is lost and nothing doubled.
func TestEveryDiskOperationFailsOnce(t *testing.T) {
	for _, forever := range []bool{false, true} {
		for n := 1; ; n++ {
			fsys := newFS()
			v, journal := newVendor(), 0
			fsys.Fail(n, forever, durabletest.ErrInjected)
			s, err := start(fsys, 0)
			if err == nil {
				err = s.life(t.Context(), func(wire []byte) exchange.SignedReceipt { return v.receive(wire, s.o.pub) }, func(n int) { journal = n })
			}
			calls := fsys.Calls()
			fsys.Fail(0, false, nil)
			if err := finish(t.Context(), fsys.Clone(), v, journal); err != nil {
				t.Fatalf("operation %d failed (for ever: %v): %v", n, forever, err)
			}
			if err == nil && calls < n {
				break
			}
		}
	}
}
