package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fieldpost/fieldpost/protocol/batch"
	"github.com/fieldpost/fieldpost/protocol/durable"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// maxCut is how many cells are tried in one batch first. Real batches take 2 to 4 bytes a
// cell, so that this many nearly always fit; when they do not, half are tried.
const maxCut = 60_000

// Freeze cuts everything on the shelf into batches, as many as MaxFrozen has room for, and
// returns how many it made. Each is on disk before the next is cut; an error leaves what was
// not frozen on the shelf.
func (o *Outbox) Freeze(ctx context.Context, now time.Time) (made int, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.closeEpochs(ctx); err != nil {
		return 0, err
	}
	if len(o.shelf.groups) == 0 {
		return 0, nil
	}
	if err := o.ready(now.Unix()); err != nil {
		return 0, err
	}
	before := o.frozen
	for len(o.shelf.groups) > 0 && err == nil && ctx.Err() == nil && o.waitingBytes()+batch.MaxWire <= o.cfg.MaxFrozen {
		g := o.shelf.groups[0]
		g.oldestFirst()
		cells, at := g.due(now.Unix())
		var n int
		if n, err = o.cut(g.origin, cells, at); n > 0 {
			o.shelf.drop(g, n)
		}
	}
	made = int(o.frozen - before)
	if made > 0 || err != nil {
		err = errors.Join(err, o.writeHead())
	}
	return made, errors.Join(err, ctx.Err())
}

// ready makes sure that there is an epoch to freeze into.
func (o *Outbox) ready(now int64) error {
	e := o.current()
	if e != nil && o.pending == 0 {
		return nil
	}
	reason := o.pending
	if reason == 0 || reason == batch.ReasonOutage && e == nil {
		reason = batch.ReasonNew
	}
	if len(o.epochs) == 0 {
		reason = batch.ReasonNew
	} else if reason == batch.ReasonNew {
		reason = batch.ReasonRestore // there were epochs before, even if they are not ours to go on with
	}
	n := &epoch{ID: o.cfg.NewID(), Reason: reason.String(), Opened: now}
	if err := durable.MkdirAll(o.cfg.FS, o.dir(n), 0o700); err != nil {
		return fmt.Errorf("opening an epoch: %w", err)
	}
	o.epochs = append(o.epochs, n)
	if err := o.writeHead(); err != nil {
		o.epochs = o.epochs[:len(o.epochs)-1]
		return fmt.Errorf("opening an epoch: %w", err)
	}
	o.pending = 0
	return nil
}

// header is what the next batch of the current epoch begins with.
func (o *Outbox) header(from Origin, created int64) batch.Header {
	e := o.current()
	h := batch.Header{
		Agent: o.id, Epoch: e.ID, Seq: e.LastSeq + 1, Prev: e.LastHash,
		Catalog: from.Catalog, Consent: from.Consent, Created: created,
		Simulated: from.Simulated, Zone: from.Zone, Tzdata: from.Tzdata,
	}
	if h.Seq == 1 {
		h.Open = &batch.Opening{Reason: reasonOf(e.Reason)}
		if prev := o.before(e); prev != nil {
			h.Open.PrevEpoch, h.Open.LastSeq = prev.ID, prev.LastSeq
			h.Open.LastHash = prev.LastHash
			if prev.LastHash == (exchange.Hash{}) {
				h.Open.LastSeq = 0
			}
		}
	}
	return h
}

// before is the epoch that came before e.
func (o *Outbox) before(e *epoch) *epoch {
	for i, x := range o.epochs {
		if x == e && i > 0 {
			return o.epochs[i-1]
		}
	}
	return nil
}

func reasonOf(s string) batch.Reason {
	for _, r := range []batch.Reason{batch.ReasonNew, batch.ReasonOutage, batch.ReasonRestore, batch.ReasonFork} {
		if r.String() == s {
			return r
		}
	}
	return batch.ReasonRestore
}

// cut freezes as many of the first cells as one batch holds into the current epoch and
// returns how many are done with. A cell that no batch can hold is done with too, counted.
func (o *Outbox) cut(from Origin, cells []report.Cell, created int64) (done int, err error) {
	for n := min(len(cells), maxCut); ; n = (n + 1) / 2 {
		wire, err := o.enc.Freeze(o.header(from, created), cells[:n], o.cfg.Key)
		switch code := batch.CodeOf(err); {
		case err == nil:
			if err := o.add(wire); err != nil {
				return 0, err
			}
			return n, nil
		case code != batch.ErrTooLarge && code != batch.ErrCell && code != batch.ErrWindow && code != batch.ErrOrder:
			return 0, fmt.Errorf("freezing a batch: %w", err)
		case n == 1:
			// One bad cell must not keep the others here.
			o.shelf.counts.Unfit++
			o.cfg.Logger.Warn("cell_unfit", "code", string(code), "measure", cells[0].Measure, "grain", cells[0].Grain.String(), "start", cells[0].Start)
			return 1, nil
		}
	}
}

// add writes a frozen batch as the next of the current epoch.
func (o *Outbox) add(wire []byte) error {
	e := o.current()
	w := waiting{seq: e.LastSeq + 1, size: int64(len(wire))}
	if err := durable.WriteFile(o.cfg.FS, o.path(e, w), wire, 0o600); err != nil {
		return fmt.Errorf("keeping a frozen batch: %w", err)
	}
	e.LastSeq, e.LastHash = w.seq, batch.Hash(wire)
	e.waiting = append(e.waiting, w)
	o.frozen++
	return nil
}

func (o *Outbox) waitingBytes() (n int64) {
	for _, e := range o.epochs {
		for _, w := range e.waiting {
			n += w.size
		}
	}
	return n
}
