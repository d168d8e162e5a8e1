package ledger

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"time"

	"github.com/fieldpost/fieldpost/protocol/batch"
	"github.com/fieldpost/fieldpost/protocol/durable"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Filter picks entries; the zero value picks all.
type Filter struct {
	Kind      Kind
	From, To  int64 // unix seconds, both included; 0: open
	Epoch     exchange.ID
	WithBatch bool   // fill Wire
	Newest    int    // only the newest so many; 0: all
	After     uint64 // only entries with a higher number
}

func (f *Filter) match(s *slot) bool {
	return (f.Kind == "" || s.kind == f.Kind) && s.no > f.After && (f.From == 0 || s.time >= f.From) &&
		(f.To == 0 || s.time <= f.To) && (f.Epoch == exchange.ID{} || s.epoch == f.Epoch)
}

// find is the place of an entry in the index; l.mu is held.
func (l *Ledger) find(no uint64) (int, bool) {
	return slices.BinarySearchFunc(l.index, no, func(s slot, no uint64) int { return cmp.Compare(s.no, no) })
}

var errStop = errors.New("stop")

// Entry reads one entry with its batch.
func (l *Ledger) Entry(no uint64) (Entry, error) {
	var e Entry
	found := false
	err := l.log.Read(no, func(n uint64, payload []byte) error {
		if n == no {
			var err error
			if e, err = decode(n, payload, true); err != nil {
				return err
			}
			found = true
		}
		return errStop
	})
	switch {
	case errors.Is(err, durable.ErrTrimmed), err == nil && !found, errors.Is(err, errStop) && !found:
		return e, fmt.Errorf("reading ledger entry %d: %w", no, fs.ErrNotExist)
	case err != nil && !errors.Is(err, errStop):
		return e, err
	}
	return e, nil
}

// Entries yields the entries that match, oldest first. The first error ends it.
func (l *Ledger) Entries(f Filter) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		l.mu.Lock()
		var want []uint64
		for i := range l.index {
			if f.match(&l.index[i]) {
				want = append(want, l.index[i].no)
			}
		}
		l.mu.Unlock()
		if f.Newest > 0 && len(want) > f.Newest {
			want = want[len(want)-f.Newest:]
		}
		if len(want) == 0 {
			return
		}
		at, stopped := 0, false
		// An entry that was trimmed meanwhile is passed over, like one that never was.
		err := l.log.Read(max(want[0], l.log.First()), func(no uint64, payload []byte) error {
			for at < len(want) && want[at] < no {
				at++
			}
			if at == len(want) {
				return errStop
			}
			if want[at] != no {
				return nil
			}
			e, err := decode(no, payload, f.WithBatch)
			if err != nil {
				return err
			}
			if !yield(e, nil) {
				stopped = true
				return errStop
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStop) && !stopped {
			yield(Entry{}, err)
		}
	}
}

// Sent is a figure that left, and the batch it left in.
type Sent struct {
	Figure  report.Figure
	Epoch   exchange.ID
	Seq     uint64
	Time    int64 // of the receipt, unix seconds
	Outcome exchange.Outcome
}

// Resolve gives a cell its names through the catalog with the hash.
type Resolve func(catalog exchange.Hash, cell report.Cell) (report.Figure, error)

// Figures yields all figures that ever left, from the very bytes that were sent: first by
// batch, then in the batch's order. Batches that were never handed to the network (settled
// here, without the collector) are not among them.
func (l *Ledger) Figures(resolve Resolve) iter.Seq2[Sent, error] {
	return func(yield func(Sent, error) bool) {
		for e, err := range l.Entries(Filter{Kind: Batch, WithBatch: true}) {
			if err != nil {
				yield(Sent{}, err)
				return
			}
			if e.Outcome == "" {
				continue
			}
			b, err := batch.Open(e.Wire, l.cfg.Agent)
			if err != nil {
				yield(Sent{}, fmt.Errorf("opening batch %s/%d of ledger entry %d: %w", e.Epoch, e.Seq, e.No, err))
				return
			}
			for _, c := range b.Cells {
				fig, err := resolve(b.Header.Catalog, c)
				if err != nil {
					yield(Sent{}, fmt.Errorf("naming a figure of batch %s/%d: %w", e.Epoch, e.Seq, err))
					return
				}
				if !yield(Sent{Figure: fig, Epoch: e.Epoch, Seq: e.Seq, Time: e.Time, Outcome: e.Outcome}, nil) {
					return
				}
			}
		}
	}
}

// Last is when the newest entry of a kind was made; zero when there is none.
func (l *Ledger) Last(kind Kind) (t time.Time) {
	for e, err := range l.Entries(Filter{Kind: kind, Newest: 1}) {
		if err == nil {
			t = time.Unix(e.Time, 0)
		}
	}
	return t
}
