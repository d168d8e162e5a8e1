package batch_test

import (
	"crypto/ed25519"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/fieldpost/fieldpost/protocol/batch"
	"github.com/fieldpost/fieldpost/protocol/report"
	"github.com/google/go-cmp/cmp"
)

func testKey() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(make([]byte, 32)) }

func testHeader() batch.Header {
	return batch.Header{
		Agent: batch.ID{1}, Epoch: batch.ID{2}, Seq: 7, Prev: [32]byte{3}, Catalog: [32]byte{4}, Consent: [32]byte{5},
		Created: 1_795_000_000, Zone: "Europe/Berlin", Tzdata: "2026a",
	}
}

func TestRoundTripMixed(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var cells []report.Cell
	for m := range 6 {
		for _, g := range []report.Grain{1, 2, 3, 4, 5, 6, 7, 8, 9} {
			for b := range 3 {
				for f := report.Value; f <= report.Valid; f++ {
					s := report.Series{Measure: uint16(m * 3), Field: f, Grain: g, Breakdown: uint8(b)}
					if b > 0 {
						s.V1, s.V2 = uint16(r.IntN(3)), uint16(r.IntN(3))
					}
					c := report.Cell{Series: s, Start: 0, Form: report.Form(r.IntN(7))}
					switch g {
					case report.FiveMinutes, report.Hour, report.Change:
						c.Start = 1_794_996_000
					case report.Week:
						c.Start = 4 + 7*int64(r.IntN(2000))
					case report.Block4w:
						c.Start = 4 + 28*int64(r.IntN(500))
					case report.Block12w:
						c.Start = 4 + 84*int64(r.IntN(100))
					case report.Month:
						c.Start = 31
					default:
						c.Start = int64(r.IntN(20000))
					}
					switch {
					case !c.Form.HasNumbers():
					case f.IsBlob():
						c.Form, c.Blob = report.Exact, make([]byte, 1+r.IntN(20))
					case c.Form == report.Exact || c.Form == report.Noised:
						c.Lo = []float64{0, -1, 3.25, 1e300, 0.1, math.Pi, 5e-324, float64(r.IntN(1000)), 1 << 53, -12345.678}[r.IntN(10)]
						c.Hi = c.Lo
					default:
						c.Lo = float64(r.IntN(3))
						c.Hi = []float64{c.Lo, c.Lo + 5.5, math.Inf(1)}[r.IntN(3)]
					}
					cells = append(cells, c)
				}
			}
		}
	}
	key := testKey()
	wire, err := batch.Freeze(testHeader(), cells, key)
	if err != nil {
		t.Fatal(err)
	}
	got, err := batch.Open(wire, key.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(cells, func(a, b report.Cell) int {
		if n := a.Series.Compare(b.Series); n != 0 {
			return n
		}
		return int(a.Start - b.Start)
	})
	if d := cmp.Diff(cells, got.Cells); d != "" {
		t.Fatal(d)
	}
	again, err := batch.Freeze(got.Header, got.Cells, key)
	if err != nil || !slices.Equal(again, wire) {
		t.Fatalf("frozen again: %v, other bytes", err)
	}
	t.Logf("%d cells, %d bytes", len(cells), len(wire))
}

func TestNoCells(t *testing.T) {
	key := testKey()
	h := testHeader()
	h.Seq, h.Prev, h.Open = 1, [32]byte{}, &batch.Opening{Reason: batch.ReasonNew}
	wire, err := batch.Freeze(h, nil, key)
	if err != nil {
		t.Fatal(err)
	}
	got, err := batch.Open(wire, key.Public().(ed25519.PublicKey))
	if err != nil || len(got.Cells) != 0 || got.Header.Open == nil {
		t.Fatal(got, err)
	}
}
