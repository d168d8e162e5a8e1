package outbox

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/fieldpost/fieldpost/protocol/batch"
	"github.com/fieldpost/fieldpost/protocol/durable"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Archive is where batches go when they are settled: the ledger. Settle and SetAside return
// when the batch is on disk for good and do nothing when they are repeated.
type Archive interface {
	// Settle keeps a batch with the collector's receipt.
	Settle(ctx context.Context, wire []byte, s exchange.SignedReceipt) error
	// SetAside keeps a batch, perhaps damaged, with our own reason.
	SetAside(ctx context.Context, epoch exchange.ID, seq uint64, wire []byte, reason string) error
	// Batch is a settled batch; an error that matches fs.ErrNotExist when it is not there.
	Batch(epoch exchange.ID, seq uint64) ([]byte, error)
	// Settled is how many batches were settled ever, those that were trimmed included.
	Settled() uint64
	// Newest is the settled batch that came last, of all epochs.
	Newest() (epoch exchange.ID, seq uint64, hash exchange.Hash, ok bool)
}

// Config of an Outbox; Dir, Key and Archive are required.
type Config struct {
	Dir     string
	Key     ed25519.PrivateKey // the agent's; signs batches
	Archive Archive
	FS      durable.FS // default durable.OS()

	// MaxShelf bounds the shelf in memory. Default 64 MiB: at 192 bytes a cell, 350,000
	// cells; an installation with 300 cells an hour fills it in seven weeks, one that
	// reports weekly totals in centuries.
	MaxShelf int64
	// MaxFrozen bounds the batch files. Default 64 MiB: 256 of the largest.
	MaxFrozen int64
	// Define gives a measure of a catalog its definition hash, so that a window is known
	// again under a newer catalog. Called only by Open and Put, with the outbox's lock held.
	// Optional: without it, the catalog's own hash is used.
	Define func(catalog exchange.Hash, measure uint16) (def exchange.Hash, ok bool)
	// NewID makes epochs. Default exchange.NewNonce.
	NewID  func() exchange.ID
	Logger *slog.Logger // default: silent
}

func (c *Config) defaults() error {
	if c.Dir == "" || c.Archive == nil || len(c.Key) != ed25519.PrivateKeySize {
		return errors.New("opening the outbox: folder, archive and key must be given")
	}
	if c.FS == nil {
		c.FS = durable.OS()
	}
	c.MaxShelf = cmp.Or(c.MaxShelf, 64<<20)
	c.MaxFrozen = cmp.Or(c.MaxFrozen, 64<<20)
	if c.NewID == nil {
		c.NewID = exchange.NewNonce
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// Outbox is safe for concurrent use.
type Outbox struct {
	cfg Config
	pub ed25519.PublicKey
	id  exchange.ID

	mu     sync.Mutex // guards all below and the files
	shelf  *shelf
	enc    batch.Encoder
	epochs []*epoch // oldest first; the last one is frozen into
	frozen uint64   // batches ever
	lost   uint64   // of them, taken away from outside
	turn   int      // whose turn it is among the epochs that wait

	pending batch.Reason // open a new epoch with this reason before the next freeze; 0: go on
	closing bool         // batches may wait in closed epochs: move them
	mark    mark         // of the loaded checkpoint, until Replayed
	replay  bool         // Replayed was not called yet
}

// epoch is one epoch as the head records it, and its files.
type epoch struct {
	ID       exchange.ID   `json:"id"`
	Reason   string        `json:"reason"`
	Opened   int64         `json:"opened,omitempty"` // unix seconds
	LastSeq  uint64        `json:"last_seq"`
	LastHash exchange.Hash `json:"last_hash,omitzero"`
	// The collector has more than we froze: our state was restored from an older one.
	Foreign   bool   `json:"foreign,omitempty"`   // the whole epoch is not ours to go on with
	Overtaken uint64 `json:"overtaken,omitempty"` // what the collector had of it when we noticed

	waiting []waiting // by seq
	resend  []uint64  // settled ones the collector asked for again
}

// closes reports whether opening e closed all epochs before it.
func (e *epoch) closes() bool {
	return e.Reason == batch.ReasonRestore.String() || e.Reason == batch.ReasonFork.String()
}

type waiting struct {
	seq  uint64
	size int64
	sent bool
}

// mark says how far freezing had come.
type mark struct {
	epoch exchange.ID
	seq   uint64
}

// Counts are the outbox's side of the accounting.
type Counts struct {
	Frozen  uint64 // batches ever
	Waiting uint64 // of them, here
	Missing uint64 // of them, taken away from outside
	Bytes   int64  // of the waiting ones
	Sent    uint64 // waiting ones that may have left

	Shelf      int    // cells
	ShelfBytes int64  //
	MaxShelf   int64  //
	Duplicates uint64 // cells refused since start, because their window was there
	Replayed   uint64 // cells refused since start, because a batch newer than the checkpoint holds them
	OverLimit  uint64 // cells refused ever for want of room
	Unfit      uint64 // cells refused ever because no batch can hold them
	Withdrawn  uint64 // cells dropped ever because consent was withdrawn
}

// Open recovers the outbox. saved is what Save gave with the checkpoint in force, nil when
// there is none. The caller holds the lock of the state and calls Replayed when the journal
// has been folded from the checkpoint to its end.
func Open(cfg Config, saved []byte) (*Outbox, error) {
	if err := cfg.defaults(); err != nil {
		return nil, err
	}
	pub := cfg.Key.Public().(ed25519.PublicKey)
	o := &Outbox{cfg: cfg, pub: pub, id: exchange.AgentID(pub), shelf: newShelf(cfg.MaxShelf, cfg.Define), replay: true}
	if err := durable.MkdirAll(cfg.FS, cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("opening the outbox: %w", err)
	}
	if err := o.recover(); err != nil {
		return nil, fmt.Errorf("opening the outbox: %w", err)
	}
	if err := o.load(saved); err != nil {
		return nil, fmt.Errorf("opening the outbox: %w", err)
	}
	return o, nil
}

// Counts is a snapshot.
func (o *Outbox) Counts() Counts {
	o.mu.Lock()
	defer o.mu.Unlock()
	c := o.shelf.counts
	c.Frozen, c.Missing = o.frozen, o.lost
	c.Shelf, c.ShelfBytes, c.MaxShelf = len(o.shelf.seen), o.shelf.bytes, o.shelf.max
	for _, e := range o.epochs {
		for _, w := range e.waiting {
			c.Waiting++
			c.Bytes += w.size
			if w.sent {
				c.Sent++
			}
		}
	}
	return c
}

// Put lays closed, judged cells on the shelf. Cells whose window is there already, or in a
// batch newer than the checkpoint, are refused and counted, as are those beyond MaxShelf;
// kept is how many stayed. The cells' blobs are not copied.
func (o *Outbox) Put(from Origin, cells []report.Cell) (kept int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range cells {
		if o.shelf.put(from, c) {
			kept++
		}
	}
	return kept
}

// Replayed says that the journal was folded to its end: from now on no cell can come twice.
func (o *Outbox) Replayed() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.replay, o.shelf.taken = false, nil
}

// Shelved calls fn for every cell on the shelf, oldest origin first, until it returns false:
// what would leave next.
func (o *Outbox) Shelved(fn func(Origin, report.Cell) bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, g := range o.shelf.groups {
		for _, c := range g.cells {
			if !fn(g.origin, c) {
				return
			}
		}
	}
}

// OpenEpoch lets the next freeze begin a new epoch, for example after an outage so that
// fresh batches need not wait for the backlog. Epochs that have not frozen a batch yet are
// not replaced.
func (o *Outbox) OpenEpoch(reason batch.Reason) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if e := o.current(); e != nil && e.LastSeq > 0 && o.pending == 0 {
		o.want(reason)
	}
}

// want asks for a new epoch; a reason that closes epochs outranks one that does not.
func (o *Outbox) want(r batch.Reason) {
	if o.pending == 0 || o.pending == batch.ReasonOutage {
		o.pending = r
	}
	if r == batch.ReasonRestore || r == batch.ReasonFork {
		o.closing = true
	}
}

// Observe compares what the collector says has arrived with what was frozen here. Batches we
// never froze are those of a state from which ours was restored: a new epoch opens.
func (o *Outbox) Observe(through []exchange.Through) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, t := range through {
		e := o.byID(t.Epoch)
		switch {
		case t.Queued == 0 || e != nil && e.Foreign:
		case e == nil:
			// Remembered, so that it is noticed once.
			o.epochs = append([]*epoch{{ID: t.Epoch, Reason: "foreign", LastSeq: t.Queued, Foreign: true}}, o.epochs...)
			o.want(batch.ReasonRestore)
		case t.Queued > max(e.LastSeq, e.Overtaken):
			e.Overtaken = t.Queued
			o.want(batch.ReasonRestore)
		}
	}
}

// current is the epoch that is frozen into; nil before the first.
func (o *Outbox) current() *epoch {
	if n := len(o.epochs); n > 0 && !o.epochs[n-1].Foreign {
		return o.epochs[n-1]
	}
	return nil
}

func (o *Outbox) byID(id exchange.ID) *epoch {
	for _, e := range o.epochs {
		if e.ID == id {
			return e
		}
	}
	return nil
}
