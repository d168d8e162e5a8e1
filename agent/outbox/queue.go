package outbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/fieldpost/fieldpost/protocol/batch"
	"github.com/fieldpost/fieldpost/protocol/durable"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// Reasons of batches that the outbox itself sets aside.
const (
	ReasonDamaged   = "damaged_at_rest"    // its file cannot be read any more
	ReasonMoved     = "moved_to_new_epoch" // its cells went into another batch
	ReasonWithdrawn = "consent_withdrawn"  // some of its cells may not leave any more; the rest moved
)

// maxResend is how many batches a collector can ask for again at once: eleven years of hourly
// ones.
const maxResend = 100_000

// Next is the batch whose turn it is: within an epoch the oldest, among the epochs in turn,
// the newest first. It is the same until it is settled or rewound. It was marked as sent
// before it is returned.
func (o *Outbox) Next(ctx context.Context) (wire []byte, ok bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		if err := o.closeEpochs(ctx); err != nil {
			return nil, false, err
		}
		e := o.nextEpoch()
		if e == nil {
			return nil, false, nil
		}
		wire, err := o.next(ctx, e)
		if err != nil || wire != nil {
			return wire, wire != nil, err
		}
	}
}

// nextEpoch is the epoch whose turn it is; nil when nothing waits.
func (o *Outbox) nextEpoch() *epoch {
	var wait []*epoch
	for _, e := range slices.Backward(o.epochs) {
		if len(e.waiting)+len(e.resend) > 0 {
			wait = append(wait, e)
		}
	}
	if len(wait) == 0 {
		return nil
	}
	return wait[o.turn%len(wait)]
}

// next reads the oldest batch of e. It is nil when there was none to read after all; then
// something was set aside and the caller looks again.
func (o *Outbox) next(ctx context.Context, e *epoch) ([]byte, error) {
	if len(e.resend) > 0 {
		wire, err := o.cfg.Archive.Batch(e.ID, e.resend[0])
		if errors.Is(err, fs.ErrNotExist) {
			e.resend = nil // it was trimmed meanwhile: the gap cannot be filled
			o.want(batch.ReasonRestore)
			return nil, nil
		}
		return wire, err
	}
	w := &e.waiting[0]
	wire, err := durable.ReadFile(o.cfg.FS, o.path(e, *w), batch.MaxWire)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		o.lost++
		e.waiting = e.waiting[1:]
		o.want(batch.ReasonRestore)
		return nil, nil
	case err != nil && !errors.Is(err, durable.ErrTooLarge):
		return nil, fmt.Errorf("reading a waiting batch: %w", err)
	}
	if b, err := batch.Open(wire, o.pub); err != nil || b.Header.Epoch != batch.ID(e.ID) || b.Header.Seq != w.seq {
		return nil, o.setDamagedAside(ctx, e, wire)
	}
	if !w.sent {
		to := *w
		to.sent = true
		if err := durable.Rename(o.cfg.FS, o.path(e, *w), o.path(e, to)); err != nil {
			return nil, fmt.Errorf("marking a batch as sent: %w", err)
		}
		w.sent = true
	}
	return wire, nil
}

// setDamagedAside moves the first waiting batch of e to the archive. The collector will
// never see its seq, so the epoch is closed.
func (o *Outbox) setDamagedAside(ctx context.Context, e *epoch, wire []byte) error {
	seq := e.waiting[0].seq
	if err := o.cfg.Archive.SetAside(ctx, e.ID, seq, wire, ReasonDamaged); err != nil {
		return fmt.Errorf("setting a damaged batch aside: %w", err)
	}
	o.cfg.Logger.Warn("batch_damaged", "epoch", e.ID.String(), "seq", seq)
	o.want(batch.ReasonRestore)
	return o.remove(e, seq)
}

// Acknowledge moves a batch with its receipt to the archive.
func (o *Outbox) Acknowledge(ctx context.Context, wire []byte, s exchange.SignedReceipt) error {
	return o.settle(ctx, wire, s)
}

// Quarantine moves a refused batch with its receipt to the archive. Its seq is consumed at
// the collector, so the epoch goes on.
func (o *Outbox) Quarantine(ctx context.Context, wire []byte, s exchange.SignedReceipt) error {
	return o.settle(ctx, wire, s)
}

func (o *Outbox) settle(ctx context.Context, wire []byte, s exchange.SignedReceipt) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	e := o.byID(s.Receipt.Epoch)
	if e == nil || s.Receipt.Hash != batch.Hash(wire) {
		return fmt.Errorf("settling batch %s/%d: %w", s.Receipt.Epoch, s.Receipt.Seq, exchange.ErrReceipt)
	}
	o.turn++
	if len(e.resend) > 0 && e.resend[0] == s.Receipt.Seq {
		e.resend = e.resend[1:] // it is in the archive since the first time
		return nil
	}
	if err := o.cfg.Archive.Settle(ctx, wire, s); err != nil {
		return err
	}
	if err := o.remove(e, s.Receipt.Seq); err != nil {
		return fmt.Errorf("removing a settled batch: %w", err)
	}
	return nil
}

// Rewind goes on with the seq the receipt expects. Batches that were acknowledged before
// come from the archive again: the collector lost its newest data. Where the collector has
// more than we froze, or another batch under our seq, or asks for one that is gone, the
// epoch is closed and what waits moves to a new one.
func (o *Outbox) Rewind(_ context.Context, wire []byte, s exchange.SignedReceipt) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	r := s.Receipt
	e := o.byID(r.Epoch)
	if e == nil || r.Hash != batch.Hash(wire) {
		return fmt.Errorf("rewinding epoch %s: %w", r.Epoch, exchange.ErrReceipt)
	}
	e.resend = nil
	switch {
	case r.Expected > e.LastSeq+1:
		e.Overtaken = max(e.Overtaken, r.Expected-1)
		o.want(batch.ReasonRestore)
		return nil
	case r.Code == exchange.CodeFork || r.Expected > r.Seq:
		o.want(batch.ReasonFork)
		return nil
	}
	first := e.LastSeq + 1
	if len(e.waiting) > 0 {
		first = e.waiting[0].seq
	}
	if first > r.Expected && first-r.Expected > maxResend {
		o.want(batch.ReasonRestore)
		return nil
	}
	for seq := r.Expected; seq < first; seq++ {
		switch _, err := o.cfg.Archive.Batch(e.ID, seq); {
		case errors.Is(err, fs.ErrNotExist):
			e.resend = nil
			o.want(batch.ReasonRestore)
			return nil
		case err != nil:
			return fmt.Errorf("rewinding epoch %s: %w", r.Epoch, err)
		}
		e.resend = append(e.resend, seq)
	}
	return nil
}
