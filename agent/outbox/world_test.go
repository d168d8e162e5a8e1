package outbox

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/fieldpost/fieldpost/protocol/batch"
	"github.com/fieldpost/fieldpost/protocol/durable"
	"github.com/fieldpost/fieldpost/protocol/durable/durabletest"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/protocoltest"
	"github.com/fieldpost/fieldpost/protocol/report"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	boxDir  = "/state/outbox"
	archDir = "/state/archive"
	ckpt    = "/state/checkpoint"
)

// archive is an Archive of plain files on the test's file system, so that a crash takes the
// same from it as from the outbox. Like the ledger it reads them once, when it is opened.
type archive struct {
	fs   durable.FS
	list []archived
}

type archived struct {
	Epoch  exchange.ID
	Seq    uint64
	Reason string
	Wire   []byte
}

func openArchive(fsys durable.FS) (*archive, error) {
	a := &archive{fs: fsys}
	if err := durable.MkdirAll(fsys, archDir, 0o700); err != nil {
		return nil, err
	}
	entries, err := fsys.ReadDir(archDir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if durable.IsTemp(e.Name()) {
			continue
		}
		b, err := durable.ReadFile(fsys, filepath.Join(archDir, e.Name()), 1<<20)
		if err != nil {
			return nil, err
		}
		var r archived
		if err := json.Unmarshal(b, &r); err != nil {
			return nil, err
		}
		a.list = append(a.list, r)
	}
	return a, nil
}

func (a *archive) put(r archived) error {
	if old, ok := a.find(r.Epoch, r.Seq); ok && bytes.Equal(old.Wire, r.Wire) {
		return nil
	}
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := durable.WriteFile(a.fs, filepath.Join(archDir, fmt.Sprintf("%06d", len(a.list))), b, 0o600); err != nil {
		return err
	}
	a.list = append(a.list, r)
	return nil
}

func (a *archive) Settle(_ context.Context, wire []byte, s exchange.SignedReceipt) error {
	reason := s.Receipt.Code
	return a.put(archived{s.Receipt.Epoch, s.Receipt.Seq, reason, wire})
}

func (a *archive) SetAside(_ context.Context, epoch exchange.ID, seq uint64, wire []byte, reason string) error {
	return a.put(archived{epoch, seq, reason, wire})
}

func (a *archive) find(epoch exchange.ID, seq uint64) (archived, bool) {
	for _, r := range a.list {
		if r.Epoch == epoch && r.Seq == seq {
			return r, true
		}
	}
	return archived{}, false
}

func (a *archive) Batch(epoch exchange.ID, seq uint64) ([]byte, error) {
	if r, ok := a.find(epoch, seq); ok {
		return r.Wire, nil
	}
	return nil, fmt.Errorf("batch %s/%d: %w", epoch, seq, fs.ErrNotExist)
}

func (a *archive) Settled() uint64 { return uint64(len(a.list)) }

func (a *archive) Newest() (exchange.ID, uint64, exchange.Hash, bool) {
	if len(a.list) == 0 {
		return exchange.ID{}, 0, exchange.Hash{}, false
	}
	r := a.list[len(a.list)-1]
	return r.Epoch, r.Seq, batch.Hash(r.Wire), true
}

// vendor is a collector's memory: SPEC's rules about seq, and what it counted.
type vendor struct {
	epochs  map[exchange.ID][]exchange.Hash
	opens   []batch.Opening
	windows map[string]float64
	doubled int
	refuse  map[uint64]string // seqs of any epoch to refuse for good
}

func newVendor() *vendor {
	return &vendor{epochs: map[exchange.ID][]exchange.Hash{}, windows: map[string]float64{}}
}

func (v *vendor) receive(wire []byte, pub ed25519.PublicKey) exchange.SignedReceipt {
	b, err := batch.Open(wire, pub)
	if err != nil {
		panic(fmt.Sprint("the vendor got a damaged batch: ", err))
	}
	h := b.Header
	seen := v.epochs[h.Epoch]
	mark := uint64(len(seen))
	r := exchange.Receipt{Outcome: exchange.Accepted, Agent: h.Agent, Epoch: h.Epoch, Seq: h.Seq, Hash: b.Hash, Nonce: exchange.NewNonce()}
	switch {
	case h.Seq <= mark && seen[h.Seq-1] == b.Hash:
	case h.Seq <= mark || h.Seq == mark+1 && mark > 0 && seen[mark-1] != h.Prev:
		r.Outcome, r.Code, r.Expected = exchange.OutOfTurn, exchange.CodeFork, mark+1
	case h.Seq > mark+1:
		r.Outcome, r.Code, r.Expected = exchange.OutOfTurn, "out_of_seq", mark+1
	default:
		v.epochs[h.Epoch] = append(seen, b.Hash)
		if h.Open != nil {
			v.opens = append(v.opens, *h.Open)
		}
		if code := v.refuse[h.Seq]; code != "" {
			r.Outcome, r.Code = exchange.Refused, code
			break
		}
		for _, c := range b.Cells {
			key := protocoltest.CellKey(c)
			if _, twice := v.windows[key]; twice {
				v.doubled++
			}
			v.windows[key] = c.Lo
		}
	}
	return exchange.SignedReceipt{Receipt: r, Answer: exchange.Answer{Status: r.Outcome.Status(), Path: exchange.PathBatches, Nonce: r.Nonce.String()}}
}

// step sends one batch; false when none waits. A fork is allowed only where a test expects
// one.
func (v *vendor) step(ctx context.Context, o *Outbox) (bool, error) {
	wire, ok, err := o.Next(ctx)
	if err != nil || !ok {
		return false, err
	}
	s := v.receive(wire, o.pub)
	switch s.Receipt.Outcome {
	case exchange.Accepted:
		return true, o.Acknowledge(ctx, wire, s)
	case exchange.Refused:
		return true, o.Quarantine(ctx, wire, s)
	default:
		return true, o.Rewind(ctx, wire, s)
	}
}

func (v *vendor) drain(ctx context.Context, o *Outbox) error {
	for range 1000 {
		more, err := v.step(ctx, o)
		if err != nil || !more {
			return err
		}
	}
	return errors.New("draining does not end")
}

var origin = Origin{Catalog: exchange.Hash{1}, Consent: exchange.Hash{2}, Zone: "Europe/Berlin", Tzdata: "2026a"}

// created is when the tests' batches are frozen: after all their windows.
var created = time.Unix(1_900_000_000, 0)

func config(fsys durable.FS) (Config, error) {
	a, err := openArchive(fsys)
	return Config{Dir: boxDir, Key: protocoltest.Key(1), Archive: a, FS: fsys}, err
}

func mustConfig(tb testing.TB, fsys durable.FS) Config {
	tb.Helper()
	cfg, err := config(fsys)
	must(tb, err)
	return cfg
}

// archiveOf reads what was settled.
func archiveOf(tb testing.TB, fsys durable.FS) *archive {
	tb.Helper()
	return mustConfig(tb, fsys).Archive.(*archive)
}

func open(tb testing.TB, fsys durable.FS, saved []byte) *Outbox {
	tb.Helper()
	o, err := Open(mustConfig(tb, fsys), saved)
	must(tb, err)
	return o
}

// fresh is an outbox that has replayed its journal.
func fresh(tb testing.TB, fsys durable.FS, saved []byte) *Outbox {
	tb.Helper()
	o := open(tb, fsys, saved)
	o.Replayed()
	return o
}

func freeze(tb testing.TB, o *Outbox) int {
	tb.Helper()
	n, err := o.Freeze(tb.Context(), created)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

func put(tb testing.TB, o *Outbox, cells []report.Cell) {
	tb.Helper()
	if n := o.Put(origin, cells); n != len(cells) {
		tb.Fatalf("%d of %d cells were kept", n, len(cells))
	}
}

// arrived checks that the vendor counts exactly the first n windows, each once.
func (v *vendor) arrived(n int) error {
	if v.doubled != 0 {
		return fmt.Errorf("%d windows came twice", v.doubled)
	}
	if len(v.windows) != n {
		return fmt.Errorf("%d windows arrived, want %d", len(v.windows), n)
	}
	for _, c := range protocoltest.Windows(0, n) {
		if got, ok := v.windows[protocoltest.CellKey(c)]; !ok || got != c.Lo {
			return fmt.Errorf("window %s is %v, want %v", protocoltest.CellKey(c), got, c.Lo)
		}
	}
	return nil
}

// addsUp checks frozen = acknowledged + waiting + quarantined + missing.
func addsUp(o *Outbox, fsys durable.FS) error {
	c := o.Counts()
	a, err := openArchive(fsys)
	if err != nil {
		return err
	}
	if settled := uint64(len(a.list)); c.Frozen != settled+c.Waiting+c.Missing {
		return fmt.Errorf("frozen %d, but settled %d + waiting %d + missing %d", c.Frozen, settled, c.Waiting, c.Missing)
	}
	return nil
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// names lists the files of the outbox, folders of epochs by their place.
func names(tb testing.TB, fsys durable.FS) string {
	tb.Helper()
	var out []string
	dirs, err := fsys.ReadDir(boxDir)
	must(tb, err)
	for _, d := range dirs {
		if !d.IsDir() {
			continue
		}
		files, err := fsys.ReadDir(filepath.Join(boxDir, d.Name()))
		must(tb, err)
		for _, f := range files {
			out = append(out, strings.TrimLeft(f.Name(), "0"))
		}
	}
	return strings.Join(out, " ")
}

func newFS() *durabletest.FS { return durabletest.New() }
