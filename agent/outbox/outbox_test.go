package outbox

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/fieldpost/fieldpost/protocol/batch"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/protocoltest"
	"github.com/fieldpost/fieldpost/protocol/report"
)

func TestFreezeChainsWithinTheEpoch(t *testing.T) {
	fsys := newFS()
	o, v := fresh(t, fsys, nil), newVendor()
	var prev [32]byte
	var epoch batch.ID
	for i := range 4 {
		put(t, o, protocoltest.Windows(i*3, 3))
		if n := freeze(t, o); n != 1 {
			t.Fatalf("%d batches", n)
		}
		wire, ok, err := o.Next(t.Context())
		if err != nil || !ok {
			t.Fatal("nothing waits", err)
		}
		again, _, _ := o.Next(t.Context())
		if !bytes.Equal(wire, again) {
			t.Fatal("the bytes changed between two tries")
		}
		b, err := batch.Open(wire, o.pub)
		must(t, err)
		h := b.Header
		if i == 0 {
			epoch = h.Epoch
			if h.Open == nil || h.Open.Reason != batch.ReasonNew {
				t.Fatalf("the first batch opens with %+v", h.Open)
			}
		}
		if h.Seq != uint64(i+1) || h.Prev != prev || h.Epoch != epoch || h.Created != created.Unix() || originOf(&h) != origin || len(b.Cells) != 3 {
			t.Fatalf("header %+v", h)
		}
		prev = b.Hash
		must(t, v.drain(t.Context(), o))
	}
	must(t, v.arrived(12))
	must(t, addsUp(o, fsys))
	if n := freeze(t, o); n != 0 {
		t.Fatalf("%d batches of an empty shelf", n)
	}
}

func TestOriginsDoNotMix(t *testing.T) {
	o := fresh(t, newFS(), nil)
	origins := []Origin{origin, origin, origin, origin}
	origins[1].Catalog[5]++
	origins[2].Consent[5]++
	origins[3].Zone = "UTC"
	for i, from := range origins {
		if n := o.Put(from, protocoltest.Windows(i*2, 2)); n != 2 {
			t.Fatalf("%d kept", n)
		}
	}
	if n := freeze(t, o); n != 4 {
		t.Fatalf("%d batches for four origins", n)
	}
	if n := o.Put(origins[1], protocoltest.Windows(0, 2)); n != 2 {
		t.Fatal("without Define another catalog's windows are others")
	}
}

func TestStatesAreVisibleInTheNames(t *testing.T) {
	fsys := newFS()
	o, v := fresh(t, fsys, nil), newVendor()
	for i := range 3 {
		put(t, o, protocoltest.Windows(i, 1))
		freeze(t, o)
	}
	if got := names(t, fsys); got != "1.batch 2.batch 3.batch" {
		t.Fatal(got)
	}
	if _, err := v.step(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if _, _, err := o.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := names(t, fsys); got != "2.sent 3.batch" {
		t.Fatal(got)
	}
	if c := o.Counts(); c.Waiting != 2 || c.Sent != 1 || c.Frozen != 3 || c.Bytes == 0 {
		t.Fatalf("counts %+v", c)
	}
}

func TestTooLargeIsCutAlongTime(t *testing.T) {
	fsys := newFS()
	o, v := fresh(t, fsys, nil), newVendor()
	r := rand.New(rand.NewPCG(1, 2))
	var cells []report.Cell
	for i := range 66_000 { // of 8 bytes that do not compress: 530 KB
		c := report.Cell{Series: report.Series{Measure: uint16(i % 30), Field: report.Last, Grain: report.FiveMinutes}, Start: int64(1_700_000_100 + i/30*300), Form: report.Exact}
		c.Lo = r.Float64()
		c.Hi = c.Lo
		cells = append(cells, c)
	}
	put(t, o, cells)
	n := freeze(t, o)
	if n < 2 || n > 8 {
		t.Fatalf("%d batches", n)
	}
	last := int64(0)
	for range n {
		wire, ok, err := o.Next(t.Context())
		if err != nil || !ok {
			t.Fatal(err)
		}
		if len(wire) > batch.MaxWire {
			t.Fatalf("%d bytes", len(wire))
		}
		b, err := batch.Open(wire, o.pub)
		must(t, err)
		lo, hi := b.Cells[0].Start, b.Cells[0].Start
		for _, c := range b.Cells {
			lo, hi = min(lo, c.Start), max(hi, c.Start)
		}
		if lo < last {
			t.Fatalf("a batch begins at %d, the one before ended at %d", lo, last)
		}
		last = hi
		if _, err := v.step(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	if len(v.windows) != len(cells) || v.doubled != 0 {
		t.Fatalf("%d windows arrived, %d doubled", len(v.windows), v.doubled)
	}
}

// One cell that no batch can hold must not keep the others at the site.
func TestUnfitCellCostsItselfAlone(t *testing.T) {
	o, v := fresh(t, newFS(), nil), newVendor()
	cells := protocoltest.Windows(0, 20)
	bad := slices.Clone(cells[7:9])
	bad[0].Series.Measure, bad[0].Start = 9, bad[0].Start+1 // between two hours
	bad[1].Series.Measure, bad[1].Hi = 9, bad[1].Lo+1       // exact with an interval
	put(t, o, cells[:9])
	put(t, o, bad)
	put(t, o, cells[9:])
	freeze(t, o)
	must(t, v.drain(t.Context(), o))
	must(t, v.arrived(20))
	if c := o.Counts(); c.Unfit != 2 || c.Shelf != 0 || c.ShelfBytes != 0 {
		t.Fatalf("counts %+v", c)
	}
}

// The clock ran a year ahead and was set back: what was measured then is not thrown away
// here, and does not sit in one batch with what the collector will take.
func TestClockSetBackLosesNothing(t *testing.T) {
	o, v := fresh(t, newFS(), nil), newVendor()
	ahead := protocoltest.Windows(10, 5)
	for i := range ahead {
		ahead[i].Start += 3 * 365 * 86400 * 10
	}
	put(t, o, protocoltest.Windows(0, 10))
	put(t, o, ahead)
	if n := freeze(t, o); n != 2 {
		t.Fatalf("%d batches", n)
	}
	wire, _, err := o.Next(t.Context())
	must(t, err)
	if b, err := batch.Open(wire, o.pub); err != nil || len(b.Cells) != 10 || b.Header.Created != created.Unix() {
		t.Fatalf("the first batch holds %d cells, %v", len(b.Cells), err)
	}
	must(t, v.drain(t.Context(), o))
	if c := o.Counts(); c.Unfit != 0 || len(v.windows) != 15 {
		t.Fatalf("counts %+v, %d windows arrived", c, len(v.windows))
	}
}

func TestShelfRefusesWhatItHolds(t *testing.T) {
	o := fresh(t, newFS(), nil)
	cells := protocoltest.Windows(0, 5)
	put(t, o, cells)
	other := slices.Clone(cells)
	for i := range other {
		other[i].Lo, other[i].Hi = 7, 7
	}
	if n := o.Put(origin, other); n != 0 || o.Counts().Duplicates != 5 {
		t.Fatalf("%d kept, counts %+v", n, o.Counts())
	}
	changed := origin
	changed.Consent[0]++
	if n := o.Put(changed, cells); n != 0 {
		t.Fatal("another consent made a window new")
	}
}

// A newer catalog that leaves a measure as it was does not make its windows new.
func TestShelfKnowsAMeasureUnderANewCatalog(t *testing.T) {
	cfg := mustConfig(t, newFS())
	cfg.Define = func(c exchange.Hash, m uint16) (exchange.Hash, bool) {
		return exchange.Hash{byte(m) + c[0]}, m < 100 // measure m of catalog 1 is m-1 of catalog 2
	}
	o, err := Open(cfg, nil)
	must(t, err)
	o.Replayed()
	at := func(m uint16) []report.Cell {
		c := protocoltest.Windows(0, 1)
		c[0].Measure = m
		return c
	}
	newer := origin
	newer.Catalog[0]++
	if o.Put(origin, at(5)) != 1 || o.Put(newer, at(4)) != 0 || o.Put(newer, at(5)) != 1 {
		t.Fatalf("counts %+v", o.Counts())
	}
	if o.Put(origin, at(200)) != 1 || o.Put(newer, at(200)) != 1 {
		t.Fatal("a measure without definition is known by its catalog")
	}
}

func TestShelfIsBoundedAndSaysSo(t *testing.T) {
	cfg := mustConfig(t, newFS())
	cfg.MaxShelf = 10 * cellBytes
	o, err := Open(cfg, nil)
	must(t, err)
	if n := o.Put(origin, protocoltest.Windows(0, 15)); n != 10 {
		t.Fatalf("%d kept", n)
	}
	c := o.Counts()
	if c.OverLimit != 5 || c.ShelfBytes != c.MaxShelf || c.Shelf != 10 {
		t.Fatalf("counts %+v", c)
	}
	o, err = Open(cfg, o.Save())
	must(t, err)
	if c := o.Counts(); c.OverLimit != 5 || c.Shelf != 10 {
		t.Fatalf("after a restart: %+v", c)
	}
}

func TestFilesAreBoundedAndTheRestStays(t *testing.T) {
	cfg := mustConfig(t, newFS())
	cfg.MaxFrozen = 2 * batch.MaxWire
	o, err := Open(cfg, nil)
	must(t, err)
	r := rand.New(rand.NewPCG(3, 4))
	var cells []report.Cell
	for i := range 80_000 {
		v := r.Float64()
		cells = append(cells, report.Cell{Series: report.Series{Field: report.Last, Grain: report.FiveMinutes}, Start: int64(1_700_000_100 + i*300), Form: report.Exact, Lo: v, Hi: v})
	}
	put(t, o, cells)
	freeze(t, o)
	c := o.Counts()
	if c.Bytes > cfg.MaxFrozen || c.Shelf == 0 || c.Waiting == 0 {
		t.Fatalf("%d bytes of at most %d in %d files, %d cells on the shelf", c.Bytes, cfg.MaxFrozen, c.Waiting, c.Shelf)
	}
	v := newVendor()
	for range 100 {
		must(t, v.drain(t.Context(), o))
		if freeze(t, o) == 0 {
			break
		}
	}
	if len(v.windows) != len(cells) || v.doubled != 0 {
		t.Fatalf("%d of %d arrived, %d doubled", len(v.windows), len(cells), v.doubled)
	}
}

func TestSaveAndLoad(t *testing.T) {
	o := fresh(t, newFS(), nil)
	blob := report.Cell{Series: report.Series{Measure: 3, Field: report.Buckets, Grain: report.Hour, Breakdown: 1, V1: 2, V2: 65535}, Start: 3600, Form: report.Exact, Blob: []byte{1, 2, 3}}
	held := report.Cell{Series: report.Series{Measure: 65535, Field: report.Value, Grain: report.Week}, Start: -3, Form: report.Suppressed}
	sim := origin
	sim.Simulated, sim.Tzdata = true, ""
	put(t, o, append(protocoltest.Windows(0, 3), blob, held))
	o.Put(sim, protocoltest.Windows(5, 2))
	saved := o.Save()
	o2 := fresh(t, newFS(), saved)
	list := func(o *Outbox) (out []string) {
		o.Shelved(func(from Origin, c report.Cell) bool {
			out = append(out, fmt.Sprintf("%+v %+v", from, c))
			return true
		})
		return out
	}
	if a, b := list(o), list(o2); len(a) != 7 || !slices.Equal(a, b) {
		t.Fatalf("saved %v, loaded %v", a, b)
	}
	if !bytes.Equal(saved, o2.Save()) {
		t.Fatal("saving again gives other bytes")
	}
	for i := range saved {
		bad := slices.Clone(saved)
		bad[i] ^= 0x10
		if _, err := Open(mustConfig(t, newFS()), bad); err == nil {
			t.Fatalf("a flipped bit at %d was not noticed", i)
		}
	}
	if _, err := Open(mustConfig(t, newFS()), saved[:len(saved)-3]); err == nil {
		t.Fatal("a cut-off shelf was not noticed")
	}
}

func FuzzLoadShelf(f *testing.F) {
	o := fresh(f, newFS(), nil)
	o.Put(origin, protocoltest.Windows(0, 3))
	saved := o.Save()
	f.Add(saved[:len(saved)-4])
	f.Fuzz(func(t *testing.T, b []byte) {
		// With a sum that fits, so that the reader itself is reached.
		sum := checksum(b)
		o, err := Open(mustConfig(t, newFS()), append(slices.Clone(b), byte(sum>>24), byte(sum>>16), byte(sum>>8), byte(sum)))
		if err == nil {
			o.Save()
		}
	})
}
