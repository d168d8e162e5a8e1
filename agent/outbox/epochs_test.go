package outbox

import (
	"path/filepath"
	"testing"

	"github.com/fieldpost/fieldpost/protocol/batch"
	"github.com/fieldpost/fieldpost/protocol/durable"
	"github.com/fieldpost/fieldpost/protocol/durable/durabletest"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/protocoltest"
	"github.com/fieldpost/fieldpost/protocol/report"
)

func TestEpochIsKeptAcrossRestarts(t *testing.T) {
	fsys := newFS()
	v := newVendor()
	var saved []byte
	for i := range 6 {
		o := fresh(t, fsys, saved)
		put(t, o, protocoltest.Windows(i*2, 2))
		freeze(t, o)
		if i%2 == 1 {
			must(t, v.drain(t.Context(), o))
		}
		must(t, addsUp(o, fsys))
		saved = o.Save()
	}
	must(t, v.arrived(12))
	if len(v.epochs) != 1 || len(v.opens) != 1 {
		t.Fatalf("%d epochs", len(v.epochs))
	}
}

// three lays three batches, of which the first was acknowledged.
func three(t *testing.T) (*durabletest.FS, *vendor) {
	t.Helper()
	fsys := newFS()
	o, v := fresh(t, fsys, nil), newVendor()
	for i := range 3 {
		put(t, o, protocoltest.Windows(i, 1))
		freeze(t, o)
	}
	if _, err := v.step(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	return fsys, v
}

// goOn opens what is left, delivers two more windows and gives the reasons epochs opened for.
func goOn(t *testing.T, fsys *durabletest.FS, v *vendor) *Outbox {
	t.Helper()
	o := open(t, fsys, nil)
	for i := range 5 { // the journal brings everything again
		o.Put(origin, protocoltest.Windows(i, 1))
	}
	o.Replayed()
	freeze(t, o)
	must(t, v.drain(t.Context(), o))
	freeze(t, o)
	must(t, v.drain(t.Context(), o))
	return o
}

func lastReason(v *vendor) batch.Reason { return v.opens[len(v.opens)-1].Reason }

func TestRestoreOpensANewEpoch(t *testing.T) {
	t.Run("the head is gone", func(t *testing.T) {
		fsys, v := three(t)
		must(t, durable.Remove(fsys, filepath.Join(boxDir, headName)))
		must(t, addsUp(goOn(t, fsys, v), fsys))
		must(t, v.arrived(5))
		if lastReason(v) != batch.ReasonRestore {
			t.Fatal(lastReason(v))
		}
	})
	t.Run("the head is damaged", func(t *testing.T) {
		fsys, v := three(t)
		must(t, durable.WriteFile(fsys, filepath.Join(boxDir, headName), []byte("{"), 0o600))
		must(t, addsUp(goOn(t, fsys, v), fsys))
		must(t, v.arrived(5))
		if _, err := fsys.Lstat(filepath.Join(boxDir, headName+".damaged")); err != nil {
			t.Fatal("it was not kept aside:", err)
		}
	})
	t.Run("the newest batch is gone", func(t *testing.T) {
		fsys, v := three(t)
		dirs, _ := fsys.ReadDir(boxDir)
		must(t, durable.Remove(fsys, filepath.Join(boxDir, dirs[0].Name(), "00000000000000000003.batch")))
		o := goOn(t, fsys, v)
		must(t, v.arrived(5)) // here the journal still had its window
		must(t, addsUp(o, fsys))
		if c := o.Counts(); c.Missing != 1 || lastReason(v) != batch.ReasonRestore {
			t.Fatalf("counts %+v, reason %s", c, lastReason(v))
		}
	})
	t.Run("the whole outbox is gone, the ledger is not", func(t *testing.T) {
		fsys, v := three(t)
		dirs, _ := fsys.ReadDir(boxDir)
		for _, d := range dirs {
			if d.IsDir() {
				files, _ := fsys.ReadDir(filepath.Join(boxDir, d.Name()))
				for _, f := range files {
					must(t, fsys.Remove(filepath.Join(boxDir, d.Name(), f.Name())))
				}
			}
			must(t, fsys.Remove(filepath.Join(boxDir, d.Name())))
		}
		must(t, addsUp(goOn(t, fsys, v), fsys))
		must(t, v.arrived(5))
		if lastReason(v) != batch.ReasonRestore {
			t.Fatal(lastReason(v))
		}
	})
}

// A file of another life of the same state stands where the next batch would: it does not
// link to the head, so the epoch is not continued with it.
func TestFileOfAnotherLifeIsNotContinued(t *testing.T) {
	fsys, _ := three(t)
	other := fsys.Clone()
	o := fresh(t, other, nil)
	put(t, o, protocoltest.Windows(8, 1))
	freeze(t, o)
	put(t, o, protocoltest.Windows(9, 1))
	freeze(t, o) // seq 5 of the other life, after its own seq 4

	o = fresh(t, fsys, nil)
	put(t, o, protocoltest.Windows(3, 1))
	freeze(t, o)
	id := o.current().ID
	wire, err := durable.ReadFile(other, filepath.Join(boxDir, id.String(), "00000000000000000005.batch"), 1<<20)
	must(t, err)
	must(t, durable.WriteFile(fsys, filepath.Join(boxDir, id.String(), "00000000000000000005.batch"), wire, 0o600))
	o = fresh(t, fsys, nil)
	put(t, o, protocoltest.Windows(4, 1))
	freeze(t, o)
	if e := o.current(); e.ID == id || e.Reason != batch.ReasonRestore.String() {
		t.Fatalf("the epoch went on: %+v", e)
	}
	must(t, addsUp(o, fsys))
}

// The whole state is an older one: the collector has batches we do not know. What waits goes
// out in a new epoch, and what was sent before the restore is recognised by its window.
func TestRestoredFromBackupGoesOnInANewEpoch(t *testing.T) {
	for _, how := range []string{"told at the check-in", "told by a 409"} {
		t.Run(how, func(t *testing.T) {
			fsys, v := three(t)
			backup := fsys.Clone()
			o := open(t, fsys, nil)
			must(t, v.drain(t.Context(), o)) // 1, 2, 3
			o.Put(origin, protocoltest.Windows(3, 1))
			freeze(t, o)
			must(t, v.drain(t.Context(), o)) // 4, which the backup never saw

			o = fresh(t, backup, nil)
			put(t, o, protocoltest.Windows(4, 1))
			put(t, o, protocoltest.Windows(5, 1))
			if how == "told at the check-in" {
				var th []exchange.Through
				for id, hs := range v.epochs {
					th = append(th, exchange.Through{Epoch: id, Queued: uint64(len(hs))})
				}
				o.Observe(th)
				o.Observe(th)
			}
			freeze(t, o) // 4', another one
			must(t, v.drain(t.Context(), o))
			freeze(t, o)
			must(t, v.drain(t.Context(), o))
			must(t, addsUp(o, backup))
			if len(v.windows) != 6 || len(v.opens) != 2 || lastReason(v) == batch.ReasonNew {
				t.Fatalf("%d windows, epochs opened: %+v", len(v.windows), v.opens)
			}
			put(t, o, protocoltest.Windows(6, 1))
			freeze(t, o)
			must(t, v.drain(t.Context(), o))
			if len(v.epochs) != 2 || len(v.windows) != 7 {
				t.Fatalf("%d epochs, %d windows: the restore was noticed again and again", len(v.epochs), len(v.windows))
			}
		})
	}
}

func TestForkMovesWhatWaits(t *testing.T) {
	fsys, v := three(t)
	for id := range v.epochs { // somebody else froze a seq 2 and 3 in our name
		v.epochs[id] = append(v.epochs[id], exchange.Hash{7}, exchange.Hash{8})
	}
	o := fresh(t, fsys, nil)
	must(t, v.drain(t.Context(), o))
	must(t, v.arrived(3))
	must(t, addsUp(o, fsys))
	if len(v.epochs) != 2 || lastReason(v) != batch.ReasonFork {
		t.Fatalf("%d epochs, reason %s", len(v.epochs), lastReason(v))
	}
	moved := 0
	for _, a := range archiveOf(t, fsys).list {
		if a.Reason == ReasonMoved {
			moved++
		}
	}
	if moved != 2 {
		t.Fatalf("%d batches were set aside as moved", moved)
	}
}

// The collector was restored from a backup and asks for what we had sent: it comes from the
// ledger, byte for byte.
func TestCollectorThatLostItsNewestAsksAgain(t *testing.T) {
	fsys := newFS()
	o, v := fresh(t, fsys, nil), newVendor()
	for i := range 6 {
		put(t, o, protocoltest.Windows(i, 1))
		freeze(t, o)
		must(t, v.drain(t.Context(), o))
	}
	for id, hs := range v.epochs {
		v.epochs[id] = hs[:2]
	}
	v.windows, v.doubled = map[string]float64{}, 0
	for _, c := range protocoltest.Windows(0, 2) {
		v.windows[protocoltest.CellKey(c)] = c.Lo
	}
	put(t, o, protocoltest.Windows(6, 1))
	freeze(t, o)
	must(t, v.drain(t.Context(), o))
	must(t, v.arrived(7))
	must(t, addsUp(o, fsys))
	if len(v.epochs) != 1 {
		t.Fatal("a new epoch was opened for what the ledger could give")
	}
}

func TestDamagedBatchCostsItselfAlone(t *testing.T) {
	fsys, v := three(t)
	fsys = fsys.Clone()
	dirs, _ := fsys.ReadDir(boxDir)
	path := filepath.Join(boxDir, dirs[0].Name(), "00000000000000000002.batch")
	must(t, fsys.Change(path, func(b []byte) []byte { b[len(b)/2] ^= 1; return b }))
	o := fresh(t, fsys, nil)
	must(t, v.drain(t.Context(), o))
	must(t, addsUp(o, fsys))
	if len(v.windows) != 2 || v.doubled != 0 {
		t.Fatalf("%d windows arrived, %d doubled", len(v.windows), v.doubled)
	}
	if a, ok := archiveOf(t, fsys).find(firstEpoch(v), 2); !ok || a.Reason != ReasonDamaged || len(a.Wire) == 0 {
		t.Fatalf("the damaged batch was not kept: %+v", a)
	}
}

func firstEpoch(v *vendor) exchange.ID {
	return v.opens[1].PrevEpoch
}

func TestRefusedBatchConsumesItsSeq(t *testing.T) {
	fsys := newFS()
	o, v := fresh(t, fsys, nil), newVendor()
	v.refuse = map[uint64]string{2: "batch_cell"}
	for i := range 4 {
		put(t, o, protocoltest.Windows(i, 1))
		freeze(t, o)
	}
	must(t, v.drain(t.Context(), o))
	must(t, addsUp(o, fsys))
	if len(v.windows) != 3 || len(v.epochs) != 1 {
		t.Fatalf("%d windows in %d epochs", len(v.windows), len(v.epochs))
	}
}

// After an outage fresh data does not wait for the backlog.
func TestOutageEpochFlowsBesideTheBacklog(t *testing.T) {
	fsys := newFS()
	o, v := fresh(t, fsys, nil), newVendor()
	for i := range 4 {
		put(t, o, protocoltest.Windows(i, 1))
		freeze(t, o)
	}
	o.OpenEpoch(batch.ReasonOutage)
	put(t, o, protocoltest.Windows(4, 1))
	freeze(t, o)
	if _, err := v.step(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if _, ok := v.windows[protocoltest.CellKey(protocoltest.Windows(4, 1)[0])]; !ok {
		t.Fatal("the freshest window waited for the backlog")
	}
	must(t, v.drain(t.Context(), fresh(t, fsys, o.Save())))
	must(t, v.arrived(5))
	if len(v.epochs) != 2 || v.opens[0].Reason != batch.ReasonOutage || v.opens[0].LastSeq != 4 {
		t.Fatalf("opened %+v", v.opens)
	}
}

func TestWithdrawnConsentTakesBackWhatWaits(t *testing.T) {
	fsys := newFS()
	o, v := fresh(t, fsys, nil), newVendor()
	two := func(i int) []report.Cell {
		c := append(protocoltest.Windows(i, 1), protocoltest.Windows(i, 1)...)
		c[1].Measure = 1
		return c
	}
	for i := range 3 {
		put(t, o, two(i))
		freeze(t, o)
	}
	put(t, o, two(3)) // still on the shelf
	keep := func(_ Origin, c report.Cell) bool { return c.Measure == 0 }
	n, err := o.Withdraw(t.Context(), keep)
	if err != nil || n != 4 || o.Counts().Withdrawn != 4 {
		t.Fatalf("%d dropped, %v", n, err)
	}
	freeze(t, o)
	must(t, v.drain(t.Context(), o))
	must(t, v.arrived(4))
	must(t, addsUp(o, fsys))
	if n, err := o.Withdraw(t.Context(), keep); n != 0 || err != nil {
		t.Fatalf("again: %d, %v", n, err)
	}
}
