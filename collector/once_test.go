package collector

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/collector/store/sqlite"
	"github.com/fieldpost/fieldpost/collector/stream"
	"github.com/fieldpost/fieldpost/collector/writer"
	"github.com/fieldpost/fieldpost/protocol/batch"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// faults fails one call in n, before or after it did its work.
type faults struct {
	mu   sync.Mutex // guards what follows
	r    *rand.Rand
	n    int
	hits int
}

func (f *faults) hit() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	hit := f.n > 0 && f.r.IntN(f.n) == 0
	if hit {
		f.hits++
	}
	return hit
}

func (f *faults) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.hits
}

func (f *faults) stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n = 0
}

var errFault = errors.New("a fault that was asked for")

// faultyStore loses transactions before their commit, and answers after it.
type faultyStore struct {
	*sqlite.Store
	f *faults
}

func (s faultyStore) Apply(ctx context.Context, b []store.Batch) ([]store.Result, error) {
	if s.f.hit() {
		return nil, errFault
	}
	r, err := s.Store.Apply(ctx, b)
	if err == nil && s.f.hit() {
		return nil, errFault
	}
	return r, err
}

// faultySource loses acknowledgements, as a crash between commit and acknowledgement does.
type faultySource struct {
	writer.Source
	f *faults
}

func (s faultySource) Fetch(ctx context.Context, most int, wait time.Duration) ([]writer.Delivery, error) {
	ds, err := s.Source.Fetch(ctx, most, min(wait, 50*time.Millisecond))
	for i := range ds {
		ds[i] = faultyDelivery{ds[i], s.f}
	}
	return ds, err
}

type faultyDelivery struct {
	writer.Delivery
	f *faults
}

func (d faultyDelivery) Ack() error {
	if d.f.hit() {
		return nil // the process died here; the message comes again
	}
	return d.Delivery.Ack()
}

// TestS15_onceWhateverFailsBetweenPublishCommitAndAck: batches of four epochs go through a
// stream and a store that fail at every seam, with a restart of both in the middle; at the
// end each cell is there once and the roll-ups equal the cells.
func TestS15_onceWhateverFailsBetweenPublishCommitAndAck(t *testing.T) {
	const sites, each, perBatch = 4, 40, 20
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	f := &faults{r: rand.New(rand.NewPCG(seed, 1)), n: 3}
	dir, ctx := t.TempDir(), t.Context()
	db := must[*sqlite.Store](t)(sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(dir, "db")}))
	cat := must[*catalog.Catalog](t)(catalog.Parse([]byte(testCatalog)))
	check(t, db.AddCatalog(ctx, store.Catalog{Hash: cat.Hash, Name: cat.Name, Version: 1, Raw: cat.Raw, Added: longAgo}))
	open := func() *stream.Stream {
		return must[*stream.Stream](t)(stream.Open(ctx, stream.Config{Dir: filepath.Join(dir, "stream"), AckWait: 300 * time.Millisecond}))
	}
	st := open()
	var messages [sites][]stream.Message
	for i := range sites {
		messages[i] = frozen(t, db, cat, fmt.Sprintf("account%d", i), each, perBatch)
	}
	run := func(part func(i int) []stream.Message) {
		wctx, stop := context.WithCancel(ctx)
		var wg sync.WaitGroup
		w := writer.New(writer.Config{Source: faultySource{fromStream{st}, f}, Store: faultyStore{db, f}, Agents: db, Catalogs: db, Most: 4, Retry: time.Millisecond})
		wg.Go(func() { _ = w.Run(wctx) })
		var pub sync.WaitGroup
		for i := range sites {
			pub.Go(func() { publishAll(t, st, part(i)) })
		}
		pub.Wait()
		if part(0)[0].Seq > 1 { // the second half: everything must arrive now
			for end := time.Now().Add(20 * time.Second); f.count() < 20 && time.Now().Before(end); { // a slow machine publishes before the writer has met enough
				time.Sleep(5 * time.Millisecond)
			}
			f.stop()
			for i := range sites {
				waitMark(t, db, messages[i][each-1])
			}
		}
		stop()
		wg.Wait()
	}
	run(func(i int) []stream.Message { return messages[i][:each/2] })
	check(t, st.Close())
	check(t, db.Close())
	st = open()
	db = must[*sqlite.Store](t)(sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(dir, "db")}))
	t.Cleanup(func() { check(t, errors.Join(st.Close(), db.Close())) })
	run(func(i int) []stream.Message { return messages[i][each/2:] })
	if f.hits < 20 {
		t.Fatalf("only %d faults happened", f.hits)
	}
	o := must[store.Overview](t)(db.Overview(ctx))
	if o.Batches != sites*each || o.Cells != sites*each*perBatch || o.Aside != 0 || o.Quarantined != 0 || o.Losses != 0 {
		t.Fatalf("after %d faults: %+v", f.hits, o)
	}
	var sum float64
	for _, p := range must[[]store.Period](t)(db.Periods(ctx, store.PeriodQuery{Fleet: true, Measure: "requests"})) {
		sum += p.Interval.Lo
	}
	if want := float64(sites * each * perBatch * 3); sum != want {
		t.Fatalf("the roll-ups hold %v, the cells %v", sum, want)
	}
}

// frozen enrols a site and freezes its batches.
func frozen(t *testing.T, db *sqlite.Store, cat *catalog.Catalog, account string, n, cells int) (out []stream.Message) {
	t.Helper()
	key := newKey(t, account)
	pub := key.Public().(ed25519.PublicKey)
	tok := store.Token{ID: exchange.ID(exchange.AgentID(pub)), Key: pub, Account: account, Installation: "main", Environment: store.Production, MaxUses: 1, Created: longAgo, Expires: longAgo.Add(time.Hour)}
	check(t, db.AddToken(t.Context(), tok))
	a := must[store.Agent](t)(db.Join(t.Context(), tok.ID, pub, longAgo))
	var prev [32]byte
	for seq := range n {
		h := batch.Header{Agent: a.ID, Epoch: exchange.ID{1}, Seq: uint64(seq + 1), Prev: prev, Catalog: cat.Hash, Consent: [32]byte{1}, Created: time.Now().Unix(), Zone: "UTC"}
		if seq == 0 {
			h.Open = &batch.Opening{Reason: batch.ReasonNew}
		}
		var cs []report.Cell
		for c := range cells {
			cs = append(cs, cell(requests, report.Hour, hour(seq*cells+c), report.Exact, 3, 3))
		}
		wire := must[[]byte](t)(batch.Freeze(h, cs, key))
		prev = batch.Hash(wire)
		out = append(out, stream.Message{Agent: a.ID, Epoch: h.Epoch, Seq: h.Seq, Hash: prev, Received: longAgo, Wire: wire})
	}
	return out
}

// publishAll publishes in order, as ingest does: behind the epoch's last message.
func publishAll(t *testing.T, st *stream.Stream, ms []stream.Message) {
	for _, m := range ms {
		for {
			last, err := st.Last(t.Context(), m.Agent, m.Epoch)
			if err == nil {
				_, err = st.Publish(t.Context(), m, last.At)
			}
			if err == nil {
				break
			}
			if !errors.Is(err, stream.ErrOrder) {
				t.Error(err)
				return
			}
		}
	}
}

func waitMark(t *testing.T, db *sqlite.Store, m stream.Message) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		seq, _, err := db.Mark(t.Context(), m.Agent, m.Epoch)
		check(t, err)
		if seq == m.Seq {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("stored through %d, not %d", seq, m.Seq)
		}
	}
}

func TestPoisonIsQuarantinedAndBlocksNobody(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	db := must[*sqlite.Store](t)(sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(dir, "db")}))
	st := must[*stream.Stream](t)(stream.Open(ctx, stream.Config{Dir: filepath.Join(dir, "stream")}))
	t.Cleanup(func() { check(t, errors.Join(st.Close(), db.Close())) })
	cat := must[*catalog.Catalog](t)(catalog.Parse([]byte(testCatalog)))
	check(t, db.AddCatalog(ctx, store.Catalog{Hash: cat.Hash, Name: cat.Name, Version: 1, Raw: cat.Raw, Added: longAgo}))
	ms, others := frozen(t, db, cat, "acme", 3, 5), frozen(t, db, cat, "bolt", 3, 5)
	ms[1].Wire = append([]byte{}, ms[1].Wire...)
	ms[1].Wire[len(ms[1].Wire)/2] ^= 1 // a bit flipped on the stream's disk
	publishAll(t, st, ms)
	publishAll(t, st, others)
	w := writer.New(writer.Config{Source: fromStream{st}, Store: db, Agents: db, Catalogs: db})
	for range 3 {
		check(t, w.Step(ctx))
		if n := must[uint64](t)(st.Depth(ctx)); n == 0 {
			break
		}
	}
	waitMark(t, db, ms[2])
	waitMark(t, db, others[2])
	q := must[[]store.Quarantined](t)(db.Quarantine(ctx, store.TroubleQuery{}))
	if len(q) != 1 || q[0].Code != store.CodePoison || q[0].Seq != 2 {
		t.Fatalf("%+v", q)
	}
	if o := must[store.Overview](t)(db.Overview(ctx)); o.Cells != 25 {
		t.Fatalf("%d cells", o.Cells)
	}
}
