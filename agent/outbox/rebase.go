package outbox

import (
	"context"
	"errors"
	"fmt"

	"github.com/fieldpost/fieldpost/protocol/batch"
	"github.com/fieldpost/fieldpost/protocol/durable"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// closeEpochs moves the cells of batches that wait in closed epochs into the current one,
// and sets the batches aside. It goes on where a crash interrupted it.
func (o *Outbox) closeEpochs(ctx context.Context) error {
	if !o.closing {
		return nil
	}
	return o.move(ctx, nil)
}

// Withdraw takes back what consent does not cover any more: cells for which keep is false
// leave the shelf, and waiting batches that hold such a cell are set aside, their other
// cells moving to a new epoch. Batches that were handed to the uplink before may have left.
// Call it when a decision narrowed what may leave, and after Open.
func (o *Outbox) Withdraw(ctx context.Context, keep func(Origin, report.Cell) bool) (dropped int, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	had := o.shelf.counts.Withdrawn
	for _, g := range append([]*group(nil), o.shelf.groups...) {
		var stay, go_ []report.Cell
		for _, c := range g.cells {
			if keep(g.origin, c) {
				stay = append(stay, c)
			} else {
				go_ = append(go_, c)
			}
		}
		if len(go_) > 0 {
			g.cells = append(go_, stay...)
			o.shelf.drop(g, len(go_))
			o.shelf.counts.Withdrawn += uint64(len(go_))
		}
	}
	touched, err := o.anyWithdrawn(keep)
	if err == nil && touched {
		o.want(batch.ReasonFork)
		err = o.move(ctx, keep)
	}
	return int(o.shelf.counts.Withdrawn - had), err
}

func (o *Outbox) anyWithdrawn(keep func(Origin, report.Cell) bool) (bool, error) {
	for _, e := range o.epochs {
		for _, w := range e.waiting {
			b, err := o.open(e, w.seq)
			if err != nil {
				return false, err
			}
			if b == nil {
				continue
			}
			for _, c := range b.Cells {
				if !keep(originOf(&b.Header), c) {
					return true, nil
				}
			}
		}
	}
	return false, nil
}

func originOf(h *batch.Header) Origin {
	return Origin{Catalog: h.Catalog, Consent: h.Consent, Zone: h.Zone, Tzdata: h.Tzdata, Simulated: h.Simulated}
}

// closed lists the epochs whose batches have to move: all when a closing one is about to be
// opened, otherwise those before the last one that closed its predecessors.
func (o *Outbox) closed() []*epoch {
	if o.pending == batch.ReasonRestore || o.pending == batch.ReasonFork {
		return o.epochs
	}
	for i := len(o.epochs) - 1; i >= 0; i-- {
		if o.epochs[i].closes() {
			return o.epochs[:i]
		}
	}
	return nil
}

func (o *Outbox) move(ctx context.Context, keep func(Origin, report.Cell) bool) error {
	var from []*epoch
	for _, e := range o.closed() {
		e.resend = nil
		if len(e.waiting) > 0 {
			from = append(from, e)
		}
	}
	if len(from) == 0 {
		o.closing = false // the new epoch opens with the next freeze
		return nil
	}
	// What a step before a crash moved already is in the epochs after the closed ones.
	last := from[len(from)-1]
	held, err := o.since(mark{last.ID, last.newest()}, sameCatalog)
	if err != nil {
		return err
	}
	for _, e := range from {
		for len(e.waiting) > 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := o.moveOne(ctx, e, held, keep); err != nil {
				return err
			}
		}
	}
	o.closing = false
	return nil
}

// moveOne moves the first waiting batch of e: first its cells, then the head, then itself.
func (o *Outbox) moveOne(ctx context.Context, e *epoch, held map[window]struct{}, keep func(Origin, report.Cell) bool) error {
	seq := e.waiting[0].seq
	wire, err := o.wire(e, seq)
	if err != nil && !errors.Is(err, durable.ErrTooLarge) {
		return fmt.Errorf("reading a waiting batch: %w", err)
	}
	reason := ReasonMoved
	b, err := batch.Open(wire, o.pub)
	if err != nil {
		reason = ReasonDamaged
	} else {
		var cells []report.Cell
		for _, c := range b.Cells {
			if keep != nil && !keep(originOf(&b.Header), c) {
				o.shelf.counts.Withdrawn++
				reason = ReasonWithdrawn
				continue
			}
			if _, ok := held[sameCatalog(b.Header.Catalog, &c)]; !ok {
				cells = append(cells, c)
			}
		}
		if err := o.ready(b.Header.Created); err != nil {
			return err
		}
		for len(cells) > 0 {
			n, err := o.cut(originOf(&b.Header), cells, b.Header.Created)
			if err != nil {
				return fmt.Errorf("moving a batch to a new epoch: %w", err)
			}
			cells = cells[n:]
		}
		if err := o.writeHead(); err != nil {
			return err
		}
	}
	if err := o.cfg.Archive.SetAside(ctx, e.ID, seq, wire, reason); err != nil {
		return fmt.Errorf("setting a moved batch aside: %w", err)
	}
	return o.remove(e, seq)
}
