package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/fieldpost/fieldpost/protocol/batch"
	"github.com/fieldpost/fieldpost/protocol/durable"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// ErrTampered is matched by every finding of Verify.
var ErrTampered = errors.New("ledger does not verify")

// Finding says where the ledger is not what was written.
type Finding struct {
	No   uint64 // entry
	What string
}

func (f *Finding) Error() string {
	return fmt.Sprintf("checking the ledger: entry %d: %s", f.No, f.What)
}

// Is makes errors.Is(err, ErrTampered) true.
func (f *Finding) Is(target error) bool { return target == ErrTampered }

type headFile struct {
	No     uint64        `json:"no"`
	Hash   exchange.Hash `json:"hash"`
	Before uint64        `json:"before,omitempty"` // entries below may be missing: they were trimmed
	Gone   Counts        `json:"gone"`             // what they counted
}

func (l *Ledger) headPath() string { return filepath.Join(l.cfg.Dir, "head") }

func (l *Ledger) readHead() (h headFile, err error) {
	b, err := durable.ReadFile(l.cfg.FS, l.headPath(), 1<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return h, nil
	}
	if err != nil {
		return h, err
	}
	if err := json.Unmarshal(b, &h); err != nil {
		return headFile{}, &Finding{No: 0, What: "the head cannot be read"}
	}
	return h, nil
}

// writeHead records the newest entry and what was trimmed; l.mu is held.
func (l *Ledger) writeHead(before uint64, gone *Counts) error {
	h := headFile{Before: before, Gone: *gone, Hash: l.tail}
	if n := len(l.index); n > 0 {
		h.No = l.index[n-1].no
	}
	b, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("writing the ledger's head: %w", err)
	}
	if err := durable.WriteFile(l.cfg.FS, l.headPath(), b, 0o600); err != nil {
		return err
	}
	l.headNo = h.No
	return nil
}

// Verify reads everything again and checks the chain, the head, and that every batch is
// the one its entry names. A nil error means that nothing was altered, removed or
// reordered since it was written; a *Finding says where it was.
func (l *Ledger) Verify() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	head, err := l.readHead()
	if err != nil {
		return err
	}
	// Open made the log go on after the head's number, so that a cut-off tail is a gap.
	first, next := l.log.First(), l.log.Next()
	if first > max(head.Before, 1) {
		return &Finding{No: 1, What: fmt.Sprintf("entries 1 to %d were removed", first-1)}
	}
	want, prev := first, exchange.Hash{}
	err = l.log.Read(first, func(no uint64, payload []byte) error {
		if no != want {
			return &Finding{No: want, What: "it is damaged or missing"}
		}
		e, err := decode(no, payload, true)
		switch {
		case err != nil:
			return &Finding{No: no, What: "it cannot be read"}
		case no == 1 && e.Prev != exchange.Hash{}, no > first && e.Prev != prev:
			return &Finding{No: no, What: "it does not follow the one before it"}
		case e.Kind == Batch && batch.Hash(e.Wire) != e.Batch:
			return &Finding{No: no, What: "its batch is not the one it names"}
		case no == head.No && e.Hash != head.Hash:
			return &Finding{No: no, What: "it is not the one the head names"}
		}
		want, prev = no+1, e.Hash
		return nil
	})
	switch {
	case err != nil:
		return err
	case want != next:
		return &Finding{No: want, What: "it is damaged or missing"}
	case want > first && prev != l.tail:
		return &Finding{No: want - 1, What: "it changed while the agent was running"}
	}
	return nil
}

// Expire removes entries older than the retention. Call it daily.
func (l *Ledger) Expire(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	cutoff := l.cfg.Now().Add(-l.cfg.Retention).Unix()
	before := uint64(0)
	for _, s := range l.index {
		if s.time >= cutoff {
			break
		}
		before = s.no + 1
	}
	if before <= l.trimmed || before == 0 {
		return nil
	}
	return l.trim(ctx, before)
}

// makeRoom removes the oldest eighth because the cap is reached; l.mu is held.
func (l *Ledger) makeRoom(ctx context.Context) bool {
	first, next := l.log.First(), l.log.Next()
	before := first + max((next-first)/8, 1)
	// durable keeps whole segments: go on until one is freed.
	had := l.log.Bytes()
	for before < next {
		if err := l.trim(ctx, before); err != nil {
			return false
		}
		if l.log.Bytes() < had {
			return true
		}
		before += max((next-first)/8, 1)
	}
	return false
}

// trim lets go of entries before `before`: first the head says that they may be missing and
// what they counted, then they go, then an entry tells the date; l.mu is held.
func (l *Ledger) trim(ctx context.Context, before uint64) error {
	if before <= l.trimmed {
		return nil
	}
	gone := l.countsBefore(before)
	if err := l.writeHead(before, &gone); err != nil {
		return fmt.Errorf("trimming the ledger: %w", err)
	}
	l.trimmed, l.gone = before, gone
	if err := l.log.TrimBefore(before); err != nil {
		return fmt.Errorf("trimming the ledger: %w", err)
	}
	l.forget(l.log.First())
	return l.tellTrim(ctx)
}

// tellTrim appends the dated entry of the newest trim. Without room for it, or after a crash
// before it, it is written at the next start.
func (l *Ledger) tellTrim(ctx context.Context) error {
	m := Meta{Kind: Trim, Time: l.cfg.Now().Unix(), Before: l.trimmed}
	rec, err := encode(l.tail, &m, nil)
	if err != nil {
		return err
	}
	no, err := l.log.Append(context.WithoutCancel(ctx), rec)
	if errors.Is(err, durable.ErrFull) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("writing to the ledger: %w", err)
	}
	l.remember(&Entry{No: no, Hash: hashOf(rec), Meta: m})
	return nil
}

// countsBefore is what the entries before count, together with all that went earlier.
func (l *Ledger) countsBefore(before uint64) Counts {
	c := l.gone.clone()
	for i := range l.index {
		if s := &l.index[i]; s.no >= l.trimmed && s.no < before {
			c.add(s)
		}
	}
	return c
}

// forget drops the index of what the log no longer has.
func (l *Ledger) forget(first uint64) {
	n, _ := l.find(first)
	for _, s := range l.index[:n] {
		if p := (place{s.epoch, s.seq}); s.kind == Batch && l.byPlace[p] == s.no {
			delete(l.byPlace, p)
		}
	}
	l.index = slices.Clone(l.index[n:])
}
