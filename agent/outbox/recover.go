package outbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/fieldpost/fieldpost/protocol/batch"
	"github.com/fieldpost/fieldpost/protocol/durable"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

const (
	headName    = "head"
	frozenExt   = ".batch"
	sentExt     = ".sent"
	headVersion = 1
	// maxHead bounds the head: 200 bytes an epoch.
	maxHead = 1 << 20
	// keepEpochs is how many epochs without waiting batches the head remembers.
	keepEpochs = 64
)

type headFile struct {
	Version int      `json:"version"`
	Frozen  uint64   `json:"frozen"` // batches ever
	Missing uint64   `json:"missing"`
	Epochs  []*epoch `json:"epochs"`
}

func (o *Outbox) dir(e *epoch) string { return filepath.Join(o.cfg.Dir, e.ID.String()) }

func (o *Outbox) path(e *epoch, w waiting) string {
	ext := frozenExt
	if w.sent {
		ext = sentExt
	}
	return filepath.Join(o.dir(e), fmt.Sprintf("%020d%s", w.seq, ext))
}

// writeHead records the epochs, forgetting old ones that have nothing left to send.
func (o *Outbox) writeHead() error {
	for len(o.epochs) > keepEpochs && len(o.epochs[0].waiting) == 0 {
		o.epochs = o.epochs[1:]
	}
	b, err := json.Marshal(headFile{Version: headVersion, Frozen: o.frozen, Missing: o.lost, Epochs: o.epochs})
	if err != nil {
		return fmt.Errorf("recording the head: %w", err)
	}
	if err := durable.WriteFile(o.cfg.FS, filepath.Join(o.cfg.Dir, headName), b, 0o600); err != nil {
		return fmt.Errorf("recording the head: %w", err)
	}
	return nil
}

// recover reads the head and the files and decides whether the newest epoch can go on.
func (o *Outbox) recover() error {
	if err := durable.CleanTemps(o.cfg.FS, o.cfg.Dir); err != nil {
		return err
	}
	if err := o.readHead(); err != nil {
		return err
	}
	if err := o.readFiles(); err != nil {
		return err
	}
	if e := o.current(); e != nil {
		o.follow(e)
		if e.closes() {
			o.closing = true
		}
	}
	for _, e := range o.epochs[:max(len(o.epochs)-1, 0)] {
		o.closing = o.closing || e.closes()
	}
	if err := o.dropSettled(); err != nil {
		return err
	}
	o.reconcile()
	return nil
}

// reconcile makes the accounting add up where files or the head were taken away or put back:
// batches that nobody has any more are missing, and a head that knows of fewer batches than
// there are is corrected. After a mere crash there is nothing to do but to count the batches
// that were frozen after the head was written.
func (o *Outbox) reconcile() {
	have := o.cfg.Archive.Settled() + o.lost
	for _, e := range o.epochs {
		have += uint64(len(e.waiting))
	}
	if o.frozen > have {
		o.lost += o.frozen - have
		o.cfg.Logger.Warn("batches_missing", "count", o.frozen-have)
	}
	o.frozen = max(o.frozen, have)
}

func (o *Outbox) readHead() error {
	path := filepath.Join(o.cfg.Dir, headName)
	b, err := durable.ReadFile(o.cfg.FS, path, maxHead)
	var h headFile
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	default:
		if err := json.Unmarshal(b, &h); err != nil {
			// Kept for whoever wants to know; without it the files decide.
			if err := durable.Rename(o.cfg.FS, path, path+".damaged"); err != nil {
				return err
			}
			h = headFile{}
		} else if h.Version != headVersion {
			return fmt.Errorf("reading the head: version %d, this agent knows %d", h.Version, headVersion)
		}
	}
	o.frozen, o.lost, o.epochs = h.Frozen, h.Missing, h.Epochs
	// The ledger may know an epoch that the head does not: the head is older, or gone.
	if id, seq, hash, ok := o.cfg.Archive.Newest(); ok && o.byID(id) == nil {
		o.epochs = append(o.epochs, &epoch{ID: id, Reason: "found", LastSeq: seq, LastHash: hash})
		o.want(batch.ReasonRestore)
	}
	return nil
}

// readFiles lists the waiting batches.
func (o *Outbox) readFiles() error {
	dirs, err := o.cfg.FS.ReadDir(o.cfg.Dir)
	if err != nil {
		return err
	}
	for _, d := range dirs {
		id, err := exchange.ParseID(d.Name())
		if !d.IsDir() || err != nil {
			continue // not ours: left alone
		}
		e := o.byID(id)
		known := e != nil
		if !known {
			e = &epoch{ID: id, Reason: "found"}
		}
		if err := o.readDir(e); err != nil {
			return err
		}
		if known || len(e.waiting) == 0 {
			continue
		}
		// An epoch the head does not know: somebody put an older state back, or took the
		// head away. Its batches are moved to a new epoch.
		o.epochs = slices.Insert(o.epochs, max(len(o.epochs)-1, 0), e)
		e.LastSeq = e.waiting[len(e.waiting)-1].seq
		o.want(batch.ReasonRestore)
	}
	return nil
}

func (o *Outbox) readDir(e *epoch) error {
	if err := durable.CleanTemps(o.cfg.FS, o.dir(e)); err != nil {
		return err
	}
	files, err := o.cfg.FS.ReadDir(o.dir(e))
	if err != nil {
		return err
	}
	for _, f := range files {
		w, ok := parseName(f.Name())
		if !ok {
			continue
		}
		info, err := f.Info()
		if err != nil {
			return fmt.Errorf("reading %s: %w", f.Name(), err)
		}
		w.size = info.Size()
		if n := len(e.waiting); n > 0 && e.waiting[n-1].seq == w.seq {
			// Both names: a copy somebody made, or a file system that lost half a rename. The
			// one that was marked last stays.
			if err := durable.Remove(o.cfg.FS, o.path(e, e.waiting[n-1])); err != nil {
				return err
			}
			e.waiting[n-1] = w
			continue
		}
		e.waiting = append(e.waiting, w)
	}
	return nil
}

func parseName(name string) (w waiting, ok bool) {
	base, isFrozen := strings.CutSuffix(name, frozenExt)
	if !isFrozen {
		base, w.sent = strings.CutSuffix(name, sentExt)
	}
	seq, err := strconv.ParseUint(base, 10, 63)
	w.seq = seq
	return w, (isFrozen || w.sent) && err == nil && len(base) == 20 && seq > 0
}

// follow compares the recorded head of the newest epoch with the newest batches. Batches
// beyond the head that link to it were frozen just before a crash. Anything else means that
// files were taken away or put back: the epoch cannot go on.
func (o *Outbox) follow(e *epoch) {
	have := func(seq uint64) (exchange.Hash, exchange.Hash, bool) { // hash, prev
		if wire, err := o.wire(e, seq); err == nil {
			if h, err := batch.Peek(wire); err == nil && h.Epoch == batch.ID(e.ID) && h.Seq == seq {
				return batch.Hash(wire), h.Prev, true
			}
		}
		return exchange.Hash{}, exchange.Hash{}, false
	}
	if e.LastSeq > 0 {
		if hash, _, ok := have(e.LastSeq); !ok || hash != e.LastHash {
			o.want(batch.ReasonRestore)
		}
	}
	for o.pending == 0 {
		hash, prev, ok := have(e.LastSeq + 1)
		if !ok {
			break
		}
		if prev != e.LastHash {
			o.want(batch.ReasonRestore)
			break
		}
		e.LastSeq, e.LastHash = e.LastSeq+1, hash
	}
	if o.anyAfter(e, e.LastSeq) {
		o.want(batch.ReasonRestore)
	}
}

// anyAfter reports whether a file beyond seq waits.
func (o *Outbox) anyAfter(e *epoch, seq uint64) bool {
	n := len(e.waiting)
	return n > 0 && e.waiting[n-1].seq > seq
}

// dropSettled removes files of batches that the archive has.
func (o *Outbox) dropSettled() error {
	for _, e := range o.epochs {
		for _, w := range slices.Clone(e.waiting) {
			settled, err := o.cfg.Archive.Batch(e.ID, w.seq)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return err
			}
			wire, err := durable.ReadFile(o.cfg.FS, o.path(e, w), batch.MaxWire)
			if err != nil {
				return err
			}
			if bytes.Equal(wire, settled) {
				if err := o.remove(e, w.seq); err != nil {
					return err
				}
				continue
			}
			// Another batch of this seq was settled: this one is from another life.
			o.want(batch.ReasonFork)
		}
	}
	return nil
}

// newest is the highest seq of which anything is known.
func (e *epoch) newest() uint64 {
	if n := len(e.waiting); n > 0 {
		return max(e.LastSeq, e.waiting[n-1].seq)
	}
	return e.LastSeq
}

// find is the place of seq among the waiting, or -1.
func (e *epoch) find(seq uint64) int {
	return slices.IndexFunc(e.waiting, func(w waiting) bool { return w.seq == seq })
}

// remove deletes a settled batch's file. It may be gone already.
func (o *Outbox) remove(e *epoch, seq uint64) error {
	i := e.find(seq)
	if i < 0 {
		return nil
	}
	if err := durable.Remove(o.cfg.FS, o.path(e, e.waiting[i])); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	e.waiting = slices.Delete(e.waiting, i, i+1)
	if len(e.waiting) == 0 && e != o.current() {
		// An empty folder of an old epoch. What else lies in it keeps it.
		_ = o.cfg.FS.Remove(o.dir(e))
	}
	return nil
}

// wire is a batch from its file or from the archive.
func (o *Outbox) wire(e *epoch, seq uint64) ([]byte, error) {
	if i := e.find(seq); i >= 0 {
		return durable.ReadFile(o.cfg.FS, o.path(e, e.waiting[i]), batch.MaxWire)
	}
	return o.cfg.Archive.Batch(e.ID, seq)
}

// open reads a batch; nil when it is nowhere or cannot be read any more.
func (o *Outbox) open(e *epoch, seq uint64) (*batch.Batch, error) {
	wire, err := o.wire(e, seq)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, durable.ErrTooLarge):
		return nil, nil
	case err != nil:
		return nil, err
	}
	b, err := batch.Open(wire, o.pub)
	if err != nil {
		return nil, nil // damaged: whoever sends it sets it aside
	}
	return b, nil
}
