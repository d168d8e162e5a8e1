package ledger

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
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

const dir = "/state/ledger"

type world struct {
	fs        durable.FS
	now       time.Time
	max       int64
	agent     ed25519.PrivateKey
	collector ed25519.PrivateKey
	prev      exchange.Hash
	seq       uint64
}

func newWorld(fsys durable.FS) *world {
	return &world{fs: fsys, max: 256 << 10, now: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), agent: protocoltest.Key(1), collector: protocoltest.Key(2)}
}

func (w *world) open(t testing.TB) *Ledger {
	t.Helper()
	l, err := Open(Config{Dir: dir, FS: w.fs, Agent: w.agent.Public().(ed25519.PublicKey), MaxBytes: w.max, Now: func() time.Time { return w.now }})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// freeze makes the next batch of one epoch with n cells.
func (w *world) freeze(t testing.TB, n int) []byte {
	t.Helper()
	h := protocoltest.Header(1, w.seq+1, w.prev)
	h.Created = 1_900_000_000
	wire, err := batch.Freeze(h, protocoltest.Windows(int(w.seq)*n, n), w.agent)
	if err != nil {
		t.Fatal(err)
	}
	w.seq, w.prev = w.seq+1, batch.Hash(wire)
	return wire
}

func (w *world) answer(t testing.TB, wire []byte, o exchange.Outcome, code string) exchange.SignedReceipt {
	t.Helper()
	h, err := batch.Peek(wire)
	if err != nil {
		t.Fatal(err)
	}
	r := exchange.Receipt{Outcome: o, Agent: h.Agent, Epoch: h.Epoch, Seq: h.Seq, Hash: batch.Hash(wire), Nonce: exchange.NewNonce(), Code: code}
	body, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return exchange.SignedReceipt{Receipt: r, Answer: exchange.Answer{
		Status: o.Status(), Path: exchange.PathBatches, Nonce: r.Nonce.String(), Body: body,
		Sig: exchange.SignAnswer(o.Status(), exchange.PathBatches, r.Nonce.String(), body, w.collector),
	}}
}

func (w *world) settle(t testing.TB, l *Ledger, o exchange.Outcome, code string) []byte {
	t.Helper()
	wire := w.freeze(t, 3)
	if err := l.Settle(t.Context(), wire, w.answer(t, wire, o, code)); err != nil {
		t.Fatal(err)
	}
	return wire
}

func epochOf(wire []byte) exchange.ID {
	h, _ := batch.Peek(wire)
	return h.Epoch
}

func TestEveryBatchByteForByteWithItsReceipt(t *testing.T) {
	w := newWorld(durabletest.New())
	l := w.open(t)
	var wires [][]byte
	for i := range 5 {
		o, code := exchange.Accepted, ""
		if i == 2 {
			o, code = exchange.Refused, "batch_cell"
		}
		wires = append(wires, w.settle(t, l, o, code))
	}
	if err := l.Record(t.Context(), Consent, map[string]string{"by": "Erika", "ticket": "CHG-1"}); err != nil {
		t.Fatal(err)
	}
	damaged := w.freeze(t, 3)
	damaged[len(damaged)-1] ^= 1
	if err := l.SetAside(t.Context(), epochOf(wires[0]), 6, damaged, "damaged_at_rest"); err != nil {
		t.Fatal(err)
	}
	check := func(l *Ledger) {
		t.Helper()
		for i, want := range append(wires[:5:5], damaged) {
			got, err := l.Batch(epochOf(wires[0]), uint64(i+1))
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("batch %d is not what was settled: %v", i+1, err)
			}
		}
		c := l.Counts()
		if c.Acknowledged != 4 || c.Quarantined["batch_cell"] != 1 || c.Quarantined["damaged_at_rest"] != 1 || c.Settled() != 6 || c.Cells != 12 {
			t.Fatalf("counts %+v", c)
		}
		for e, err := range l.Entries(Filter{Kind: Batch}) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Outcome != "" && e.Receipt.Verify(w.collector.Public().(ed25519.PublicKey)) != nil {
				t.Fatalf("the receipt of entry %d does not verify", e.No)
			}
		}
		if err := l.Verify(); err != nil {
			t.Fatal(err)
		}
	}
	check(l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal("closing twice:", err)
	}
	l = w.open(t)
	defer l.Close()
	check(l)
	if _, err := l.Batch(epochOf(wires[0]), 99); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("a batch that is not there: %v", err)
	}
	if id, seq, hash, ok := l.Newest(); !ok || id != epochOf(wires[0]) || seq != 6 || hash != batch.Hash(damaged) {
		t.Fatalf("newest is %d", seq)
	}
}

func TestSettlingTwiceKeepsOnce(t *testing.T) {
	w := newWorld(durabletest.New())
	l := w.open(t)
	wire := w.freeze(t, 3)
	for range 3 {
		if err := l.Settle(t.Context(), wire, w.answer(t, wire, exchange.Accepted, "")); err != nil {
			t.Fatal(err)
		}
	}
	l.Close()
	l = w.open(t)
	defer l.Close()
	if err := l.Settle(t.Context(), wire, w.answer(t, wire, exchange.Accepted, "")); err != nil {
		t.Fatal(err)
	}
	if c := l.Counts(); c.Settled() != 1 {
		t.Fatalf("counts %+v", c)
	}
	other := w.freeze(t, 2)
	if err := l.Settle(t.Context(), wire, w.answer(t, other, exchange.Accepted, "")); !errors.Is(err, exchange.ErrReceipt) {
		t.Fatalf("another batch's receipt was taken: %v", err)
	}
}

func TestEntriesFilter(t *testing.T) {
	w := newWorld(durabletest.New())
	l := w.open(t)
	defer l.Close()
	for i := range 10 {
		w.now = w.now.Add(time.Hour)
		kind := CheckIn
		if i%2 == 1 {
			kind = Query
		}
		if err := l.Record(t.Context(), kind, i); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		f    Filter
		want string
	}{
		"all":    {Filter{}, "0 1 2 3 4 5 6 7 8 9"},
		"kind":   {Filter{Kind: Query}, "1 3 5 7 9"},
		"newest": {Filter{Kind: Query, Newest: 2}, "7 9"},
		"after":  {Filter{After: 8}, "8 9"},
		"time":   {Filter{From: w.now.Add(-3 * time.Hour).Unix(), To: w.now.Add(-2 * time.Hour).Unix()}, "6 7"},
		"none":   {Filter{Kind: Batch}, ""},
	} {
		var got []byte
		for e, err := range l.Entries(c.f) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(append(got, ' '), e.Detail...)
		}
		if s := string(bytes.TrimPrefix(got, []byte(" "))); s != c.want {
			t.Errorf("%s: %q, want %q", name, s, c.want)
		}
	}
	n := 0
	for range l.Entries(Filter{}) {
		if n++; n == 3 {
			break
		}
	}
	if err := l.Record(t.Context(), Batch, nil); err == nil {
		t.Error("anybody can write a batch entry")
	}
}

func TestFiguresComeFromTheVeryBytes(t *testing.T) {
	w := newWorld(durabletest.New())
	l := w.open(t)
	defer l.Close()
	w.settle(t, l, exchange.Accepted, "")
	w.settle(t, l, exchange.Refused, "some_code") // it left, too
	aside := w.freeze(t, 3)
	if err := l.SetAside(t.Context(), epochOf(aside), 3, aside, "consent_withdrawn"); err != nil { // this did not
		t.Fatal(err)
	}
	var got []string
	resolve := func(_ exchange.Hash, c report.Cell) (report.Figure, error) {
		return report.Figure{Measure: "requests", Field: c.Field, Grain: c.Grain, Start: c.Start, Form: c.Form, Lo: c.Lo, Hi: c.Hi}, nil
	}
	for s, err := range l.Figures(resolve) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%d/%g/%s", s.Seq, s.Figure.Lo, s.Outcome))
	}
	if want := "[1/100/accepted 1/101/accepted 1/102/accepted 2/103/refused 2/104/refused 2/105/refused]"; fmt.Sprint(got) != want {
		t.Fatalf("figures %v", got)
	}
	boom := errors.New("no such catalog")
	for _, err := range l.Figures(func(exchange.Hash, report.Cell) (report.Figure, error) { return report.Figure{}, boom }) {
		if !errors.Is(err, boom) {
			t.Fatalf("an unknown catalog gives %v", err)
		}
		break
	}
}

func TestExpireKeepsCountsAndVerifies(t *testing.T) {
	fsys := durabletest.New()
	w := newWorld(fsys)
	w.max = 64 << 10 // segments of 16 KiB
	l := w.open(t)
	var first []byte
	for i := range 120 {
		w.now = w.now.Add(24 * time.Hour)
		if wire := w.settle(t, l, exchange.Accepted, ""); i == 0 {
			first = wire
		}
	}
	before := l.Counts()
	had := l.log.Next() - l.log.First()
	w.now = w.now.Add(385 * 24 * time.Hour)
	if err := l.Expire(t.Context()); err != nil {
		t.Fatal(err)
	}
	check := func() {
		t.Helper()
		if c := l.Counts(); c.Acknowledged != 120 || c.Settled() != before.Settled() || c.Cells != before.Cells {
			t.Fatalf("counts %+v, before %+v", c, before)
		}
		if err := l.Verify(); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Batch(epochOf(first), 1); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("the oldest batch: %v", err)
		}
		if _, err := l.Batch(epochOf(first), 120); err != nil {
			t.Fatal(err)
		}
		trims := 0
		for e, err := range l.Entries(Filter{Kind: Trim}) {
			if err != nil || e.Before == 0 {
				t.Fatalf("trim %+v, %v", e, err)
			}
			trims++
		}
		if trims == 0 {
			t.Fatal("that entries went is not written down")
		}
	}
	if left := l.log.Next() - l.log.First(); left >= had {
		t.Fatalf("nothing was trimmed: %d entries", left)
	}
	check()
	l.Close()
	l = w.open(t)
	defer func() { l.Close() }()
	check()
}

func TestDiskCapIsKeptByLettingTheOldestGo(t *testing.T) {
	fsys := durabletest.New()
	w := newWorld(fsys)
	w.max = 64 << 10
	l := w.open(t)
	defer l.Close()
	for range 300 {
		w.settle(t, l, exchange.Accepted, "")
		if n := l.log.Bytes(); n > w.max {
			t.Fatalf("the ledger takes %d bytes, at most %d", n, w.max)
		}
	}
	if c := l.Counts(); c.Acknowledged != 300 {
		t.Fatalf("counts %+v", c)
	}
	if l.log.First() == 1 {
		t.Fatal("nothing was trimmed: the test proves nothing")
	}
	if err := l.Verify(); err != nil {
		t.Fatal(err)
	}
}

// Every state a power failure can leave: what Settle returned nil for is there, once, and
// the ledger verifies.
func TestPowerFailureAtEveryStep(t *testing.T) {
	fsys := durabletest.New()
	w := newWorld(fsys)
	l := w.open(t)
	type step struct {
		ops  int
		wire []byte
	}
	var done []step
	for range 4 {
		wire := w.settle(t, l, exchange.Accepted, "")
		done = append(done, step{fsys.Ops(), wire})
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	err := fsys.Crashes(durabletest.CrashOptions{PerPrefix: 8}, func(c durabletest.Crash) error {
		l, err := Open(Config{Dir: dir, FS: c.FS, MaxBytes: w.max, Agent: w.agent.Public().(ed25519.PublicKey)})
		if err != nil {
			return err
		}
		defer l.Close()
		for _, s := range done {
			if s.ops > c.Prefix {
				break
			}
			if got, err := l.Batch(epochOf(s.wire), seqOf(s.wire)); err != nil || !bytes.Equal(got, s.wire) {
				return fmt.Errorf("batch %d: %v", seqOf(s.wire), err)
			}
		}
		for _, s := range done { // the outbox settles what it still has
			if err := l.Settle(context.Background(), s.wire, w.answer(t, s.wire, exchange.Accepted, "")); err != nil {
				return err
			}
		}
		if n := l.Counts(); n.Acknowledged != 4 || n.Settled() != 4 {
			return fmt.Errorf("counts %+v", n)
		}
		return l.Verify()
	})
	if err != nil {
		t.Fatal(err)
	}
}

func seqOf(wire []byte) uint64 {
	h, _ := batch.Peek(wire)
	return h.Seq
}
