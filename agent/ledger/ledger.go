package ledger

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/fieldpost/fieldpost/protocol/batch"
	"github.com/fieldpost/fieldpost/protocol/durable"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// Config of a Ledger; Dir and Agent are required.
type Config struct {
	Dir       string
	Agent     ed25519.PublicKey // the agent's own: batches are opened with it
	FS        durable.FS        // default durable.OS()
	Retention time.Duration     // default 400 days
	MaxBytes  int64             // disk cap. Default 1 GiB: a batch an hour of 256 KiB for half a year, of 10 KiB for 400 days in a tenth of it
	Now       func() time.Time  // dates entries; virtual in a replay. Default time.Now
	Logger    *slog.Logger      // default: silent
}

// Counts are the ledger's side of the accounting: frozen = acknowledged + outbox +
// quarantined, by reason. They include what was trimmed.
type Counts struct {
	Acknowledged uint64            `json:"acknowledged"`
	Quarantined  map[string]uint64 `json:"quarantined,omitempty"` // by reason
	Cells        uint64            `json:"cells"`                 // acknowledged
}

// Settled is the number of batches the ledger has taken over from the outbox.
func (c Counts) Settled() uint64 {
	n := c.Acknowledged
	for _, q := range c.Quarantined {
		n += q
	}
	return n
}

func (c *Counts) add(s *slot) {
	switch {
	case s.kind != Batch:
	case s.acknowledged:
		c.Acknowledged++
		c.Cells += uint64(s.cells)
	default:
		if c.Quarantined == nil {
			c.Quarantined = map[string]uint64{}
		}
		c.Quarantined[s.reason]++
	}
}

func (c Counts) clone() Counts {
	c.Quarantined = maps.Clone(c.Quarantined)
	return c
}

// slot is an entry in the index: 136 bytes, 1.3 MB for a batch an hour over 400 days.
type slot struct {
	no           uint64
	time         int64
	kind         Kind
	epoch        exchange.ID
	seq          uint64
	batch        exchange.Hash
	cells        int32
	acknowledged bool
	reason       string
}

type place struct {
	epoch exchange.ID
	seq   uint64
}

// Ledger is safe for concurrent use.
type Ledger struct {
	cfg Config
	log *durable.Log

	mu      sync.Mutex // guards all below and the order of appends
	index   []slot
	byPlace map[place]uint64 // entry number
	tail    exchange.Hash    // of the newest entry
	counts  Counts
	trimmed uint64 // entries below may be missing
	gone    Counts // what they counted
	headNo  uint64 // of the head file
	closed  bool
	damaged error // what was wrong at Open; Verify says where
}

// Open reads the ledger. The caller holds the lock of the state. Damage does not keep it
// from opening: what can be read is served, and Verify and Health tell.
func Open(cfg Config) (*Ledger, error) {
	if cfg.FS == nil {
		cfg.FS = durable.OS()
	}
	cfg.Retention = cmp.Or(cfg.Retention, 400*24*time.Hour)
	cfg.MaxBytes = cmp.Or(cfg.MaxBytes, 1<<30)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if err := durable.MkdirAll(cfg.FS, cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("opening the ledger: %w", err)
	}
	l := &Ledger{cfg: cfg, byPlace: map[place]uint64{}}
	if err := durable.CleanTemps(cfg.FS, cfg.Dir); err != nil {
		return nil, fmt.Errorf("opening the ledger: %w", err)
	}
	head, err := l.readHead()
	if errors.Is(err, ErrTampered) {
		l.damaged = err // it proves nothing then; the next one replaces it
	} else if err != nil {
		return nil, fmt.Errorf("opening the ledger: %w", err)
	}
	l.headNo, l.trimmed, l.gone = head.No, head.Before, head.Gone
	l.log, err = durable.Open(filepath.Join(cfg.Dir, "entries"), durable.Options{
		FS: cfg.FS, MaxBytes: cfg.MaxBytes, MinNext: head.No + 1, Logger: cfg.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("opening the ledger: %w", err)
	}
	if err := l.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the ledger: %w", err), l.log.Close())
	}
	return l, nil
}

func (l *Ledger) load() error {
	told := uint64(0)
	err := l.log.Read(0, func(no uint64, payload []byte) error {
		e, err := decode(no, payload, false)
		if err != nil {
			l.damaged = errors.Join(l.damaged, &Finding{No: no, What: "it cannot be read"})
			l.tail = e.Hash
			return nil
		}
		l.remember(&e)
		if e.Kind == Trim {
			told = max(told, e.Before)
		}
		return nil
	})
	if err != nil {
		return err
	}
	l.counts = l.gone.clone()
	for i := range l.index {
		if s := &l.index[i]; s.no >= l.trimmed {
			l.counts.add(s)
		}
	}
	if told < l.trimmed {
		return l.tellTrim(context.Background())
	}
	return nil
}

func (l *Ledger) remember(e *Entry) {
	l.index = append(l.index, slot{
		no: e.No, time: e.Time, kind: e.Kind, epoch: e.Epoch, seq: e.Seq, batch: e.Batch,
		cells: int32(e.Cells), acknowledged: e.Acknowledged(), reason: e.Reason,
	})
	l.tail = e.Hash
	if e.Kind == Batch {
		l.byPlace[place{e.Epoch, e.Seq}] = e.No
	}
}

// Settle keeps a batch for good with the collector's receipt: acknowledged, or refused with
// the receipt's code. It returns when all of it is on disk. Settling the very same batch
// again does nothing.
func (l *Ledger) Settle(ctx context.Context, wire []byte, s exchange.SignedReceipt) error {
	r := s.Receipt
	if r.Hash != batch.Hash(wire) {
		return fmt.Errorf("settling batch %s/%d: %w", r.Epoch, r.Seq, exchange.ErrReceipt)
	}
	m := Meta{Epoch: r.Epoch, Seq: r.Seq, Outcome: r.Outcome, Receipt: &s.Answer}
	if r.Outcome != exchange.Accepted {
		m.Reason = cmp.Or(r.Code, string(r.Outcome))
	}
	return l.settle(ctx, wire, m)
}

// SetAside keeps a batch that will not be sent under this epoch and seq any more, with the
// agent's own reason. wire may be damaged. Idempotent like Settle.
func (l *Ledger) SetAside(ctx context.Context, epoch exchange.ID, seq uint64, wire []byte, reason string) error {
	return l.settle(ctx, wire, Meta{Epoch: epoch, Seq: seq, Reason: reason})
}

func (l *Ledger) settle(ctx context.Context, wire []byte, m Meta) error {
	m.Kind, m.Time, m.Batch, m.Bytes = Batch, l.cfg.Now().Unix(), batch.Hash(wire), len(wire)
	if h, err := batch.Peek(wire); err == nil {
		m.Cells = int(h.Cells)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if no, ok := l.byPlace[place{m.Epoch, m.Seq}]; ok {
		if i, ok := l.find(no); ok && l.index[i].batch == m.Batch {
			return nil
		}
	}
	return l.append(ctx, &m, wire)
}

// Record keeps an entry of any kind but Batch and Trim; detail is written as JSON.
func (l *Ledger) Record(ctx context.Context, kind Kind, detail any) error {
	if kind == Batch || kind == Trim || kind == "" {
		return fmt.Errorf("recording on the ledger: kind %q is written by the ledger itself", kind)
	}
	d, err := json.Marshal(detail)
	if err != nil {
		return fmt.Errorf("recording on the ledger: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.append(ctx, &Meta{Kind: kind, Time: l.cfg.Now().Unix(), Detail: d}, nil)
}

// append writes one entry, making room by trimming the oldest when the cap is reached.
// l.mu is held.
func (l *Ledger) append(ctx context.Context, m *Meta, wire []byte) error {
	// An append whose ctx ends has an unknown outcome, and the chain must not.
	ctx = context.WithoutCancel(ctx)
	for try := 0; ; try++ {
		rec, err := encode(l.tail, m, wire)
		if err != nil {
			return err
		}
		no, err := l.log.Append(ctx, rec)
		if errors.Is(err, durable.ErrFull) && try < 8 {
			if l.makeRoom(ctx) {
				continue
			}
		}
		if err != nil {
			return fmt.Errorf("writing to the ledger: %w", err)
		}
		l.remember(&Entry{No: no, Hash: hashOf(rec), Meta: *m})
		l.counts.add(&l.index[len(l.index)-1])
		if no >= l.headNo+64 {
			if err := l.writeHead(l.trimmed, &l.gone); err != nil {
				// The entry is on disk; only the witness of the tail is old.
				l.cfg.Logger.Warn("ledger_head_not_written", "error", err)
			}
		}
		return nil
	}
}

// Batch is a settled batch, byte for byte; an error that matches fs.ErrNotExist when it is
// not here or was trimmed.
func (l *Ledger) Batch(epoch exchange.ID, seq uint64) ([]byte, error) {
	l.mu.Lock()
	no, ok := l.byPlace[place{epoch, seq}]
	l.mu.Unlock()
	if !ok {
		return nil, fmt.Errorf("reading batch %s/%d: %w", epoch, seq, fs.ErrNotExist)
	}
	e, err := l.Entry(no)
	return e.Wire, err
}

// Counts are the numbers of batches by how they ended.
func (l *Ledger) Counts() Counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counts.clone()
}

// Damage is what was found wrong when the ledger was opened; nil when nothing was.
func (l *Ledger) Damage() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.damaged
}

// Close writes the head and closes the files.
func (l *Ledger) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	return errors.Join(l.writeHead(l.trimmed, &l.gone), l.log.Close())
}

// Settled is how many batches were settled ever, those that were trimmed included.
func (l *Ledger) Settled() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counts.Settled()
}

// Newest is the settled batch that came last, of all epochs.
func (l *Ledger) Newest() (epoch exchange.ID, seq uint64, hash exchange.Hash, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range slices.Backward(l.index) {
		if s.kind == Batch {
			return s.epoch, s.seq, s.batch, true
		}
	}
	return epoch, 0, hash, false
}
