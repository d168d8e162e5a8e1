package batch_test

import (
	"cmp"
	"crypto/ed25519"
	"math"
	"slices"
	"testing"

	"github.com/fieldpost/fieldpost/protocol/batch"
	"github.com/fieldpost/fieldpost/protocol/protocoltest"
	"github.com/fieldpost/fieldpost/protocol/report"
	"pgregory.net/rapid"
)

var (
	key = protocoltest.Key(1)
	pub = key.Public().(ed25519.PublicKey)
)

// header is that of a batch late enough for every generated window.
func header() batch.Header {
	h := protocoltest.Header(1, 2, [32]byte{9})
	h.Created = 7_000_000_000
	return h
}

func sortCells(cells []report.Cell) []report.Cell {
	order := func(a, b report.Cell) int { return cmp.Or(a.Series.Compare(b.Series), cmp.Compare(a.Start, b.Start)) }
	slices.SortFunc(cells, order)
	return slices.CompactFunc(cells, func(a, b report.Cell) bool { return order(a, b) == 0 })
}

// genCells makes ordered cells of every form, field and grain: blocks of series that share
// windows, as real ones do, and single ones that share nothing.
func genCells(t *rapid.T) []report.Cell {
	var cells []report.Cell
	for range rapid.IntRange(0, 12).Draw(t, "blocks") {
		g := report.Grain(rapid.IntRange(1, 9).Draw(t, "grain"))
		first := rapid.Int64Range(0, 700).Draw(t, "first")
		windows := rapid.IntRange(1, 40).Draw(t, "windows")
		gap := rapid.Int64Range(1, 3).Draw(t, "gap")
		fields := rapid.SliceOfNDistinct(rapid.IntRange(1, 22), 1, 5, rapid.ID[int]).Draw(t, "fields")
		s := report.Series{
			Measure:   uint16(rapid.SampledFrom([]int{0, 1, 2, 3, 700, 65535}).Draw(t, "measure")),
			Grain:     g,
			Breakdown: uint8(rapid.SampledFrom([]int{0, 0, 1, 2, 255}).Draw(t, "breakdown")),
		}
		if s.Breakdown > 0 {
			s.V1, s.V2 = rapid.Uint16().Draw(t, "v1"), uint16(rapid.IntRange(0, 3).Draw(t, "v2"))
		}
		number := genNumber(t)
		for _, f := range fields {
			s.Field = report.Field(f)
			for w := range windows {
				at := first + int64(w)*gap + int64(w/7)
				cells = append(cells, genCell(t, s, batch.StartOf(g, at), number))
			}
		}
	}
	return sortCells(cells)
}

// genNumber is one kind of number: a series rarely mixes them.
func genNumber(t *rapid.T) *rapid.Generator[float64] {
	return rapid.SampledFrom([]*rapid.Generator[float64]{
		rapid.Just(300.0),
		rapid.Map(rapid.IntRange(-5, 1000), func(n int) float64 { return float64(n) }),
		rapid.Map(rapid.Int64Range(-1<<53, 1<<53), func(n int64) float64 { return float64(n) }),
		rapid.Map(rapid.IntRange(-100000, 100000), func(n int) float64 { return float64(n) / 1000 }),
		rapid.Map(rapid.IntRange(0, 1<<40), func(n int) float64 { return float64(n) / 3600 }),
		rapid.Map(rapid.Float64(), func(v float64) float64 {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return math.MaxFloat64
			}
			return v
		}),
		rapid.SampledFrom([]float64{0, math.Copysign(0, -1), 5e-324, math.MaxFloat64, -math.MaxFloat64, 1 << 53, 1<<53 - 1, 0.1, 1e22, 1e-14, 86399.0 / 86400}),
	}).Draw(t, "kind of number")
}

func genCell(t *rapid.T, s report.Series, start int64, number *rapid.Generator[float64]) report.Cell {
	c := report.Cell{Series: s, Start: start, Form: report.Exact}
	if rapid.IntRange(0, 4).Draw(t, "odd form") == 0 {
		c.Form = report.Form(rapid.IntRange(0, 6).Draw(t, "form"))
	}
	switch {
	case !c.Form.HasNumbers():
	case s.Field.IsBlob():
		c.Form, c.Blob = report.Exact, rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "blob")
		if len(c.Blob) == 0 {
			c.Blob = nil
		}
	case c.Form == report.Exact || c.Form == report.Noised:
		c.Lo = number.Draw(t, "value")
		c.Hi = c.Lo
	default:
		a, b := number.Draw(t, "lo"), number.Draw(t, "hi")
		c.Lo, c.Hi = min(a, b), max(a, b)
		if rapid.IntRange(0, 3).Draw(t, "open top") == 0 {
			c.Hi = math.Inf(1)
		}
	}
	return c
}

// mustSeal signs columns with a header that fits them, hostile or not.
func mustSeal(t testing.TB, h batch.Header, raw []byte, cells int) []byte {
	t.Helper()
	body, err := batch.Deflate(raw)
	if err != nil {
		t.Fatal(err)
	}
	h.Version, h.Cells, h.RawLen, h.RawCRC = batch.Version, uint32(cells), uint32(len(raw)), batch.CRC(raw)
	return batch.Seal(batch.HeaderBytes(h), body, key)
}

func refused(t *testing.T, wire []byte, want batch.Code) {
	t.Helper()
	b, err := batch.Open(wire, pub)
	if got := batch.CodeOf(err); got != want {
		t.Errorf("opened with %v, want %s", err, want)
	}
	if err != nil && b != nil {
		t.Error("a batch came with the error")
	}
}
