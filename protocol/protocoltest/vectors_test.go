package protocoltest_test

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/json"
	"flag"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/fieldpost/fieldpost/protocol/batch"
	"github.com/fieldpost/fieldpost/protocol/protocoltest"
	"github.com/fieldpost/fieldpost/protocol/report"
	gocmp "github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// Each vector on disk is what the generator makes today and opens to what its JSON says.
func TestVectorsGolden(t *testing.T) {
	dir := filepath.Join("testdata", "vectors")
	made := makeVectors(t)
	if *update {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	for _, v := range made {
		names = append(names, v.Name+".bin", v.Name+".json")
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		// One cell a line, so that a difference can be read.
		text = append(bytes.ReplaceAll(text, []byte(`{"measure"`), []byte("\n"+`{"measure"`)), '\n')
		for file, want := range map[string][]byte{v.Name + ".bin": v.Wire, v.Name + ".json": text} {
			file = filepath.Join(dir, file)
			if *update {
				if err := os.WriteFile(file, want, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s is not what is made today (%v); go test -run Golden -update rewrites it", file, err)
			}
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !slices.Contains(names, f.Name()) {
			t.Errorf("%s belongs to no vector", f.Name())
		}
	}
}

// The vectors as others load them open to what they say, and the good ones freeze again to
// the same bytes.
func TestVectorsOpen(t *testing.T) {
	vectors, err := protocoltest.Vectors()
	if err != nil {
		t.Fatal(err)
	}
	if len(vectors) < 15 {
		t.Fatalf("%d vectors", len(vectors))
	}
	for _, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			b, err := batch.Open(v.Wire, v.Key)
			if batch.CodeOf(err) != v.Error || (v.Error == "") != (err == nil) {
				t.Fatalf("opened with %v, want %q", err, v.Error)
			}
			if err != nil {
				return
			}
			if diff := gocmp.Diff(v.Header, b.Header); diff != "" {
				t.Error(diff)
			}
			if diff := gocmp.Diff(v.Cells, b.Cells); diff != "" {
				t.Error(diff)
			}
			if b.Hash != v.Hash {
				t.Errorf("hash %x, want %x", b.Hash, v.Hash)
			}
			again, err := batch.Freeze(v.Header, v.Cells, protocoltest.Key(1))
			if err != nil || !bytes.Equal(again, v.Wire) {
				t.Errorf("frozen again: other bytes, %v", err)
			}
		})
	}
}

func makeVectors(t *testing.T) []protocoltest.Vector {
	key := protocoltest.Key(1)
	pub := key.Public().(ed25519.PublicKey)
	var all []protocoltest.Vector
	good := func(name, why string, h batch.Header, cells []report.Cell) []byte {
		wire, err := batch.Freeze(h, cells, key)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		b, err := batch.Open(wire, pub)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all = append(all, protocoltest.Vector{Name: name, Why: why, Wire: wire, Key: pub, Header: b.Header, Cells: b.Cells, Hash: b.Hash})
		return wire
	}

	first := good("first-empty", "the first batch of an agent, without cells", protocoltest.Header(1, 1, [32]byte{}), nil)
	hour := good("hour", "a realistic hour", protocoltest.Header(1, 2, batch.Hash(first)), protocoltest.Workload(1, 1))
	good("midnight", "the same site at midnight, with facts", protocoltest.Header(1, 25, batch.Hash(hour)), protocoltest.Workload(1, 24))
	good("monday", "with the week's person cells: a band, the rest suppressed", protocoltest.Header(1, 172, batch.Hash(hour)), protocoltest.Workload(1, 171))

	outage := protocoltest.Header(1, 1, [32]byte{})
	outage.Epoch, outage.Simulated, outage.Tzdata, outage.Zone = batch.ID{15: 1}, true, "", "America/Argentina/Buenos_Aires"
	outage.Open = &batch.Opening{Reason: batch.ReasonOutage, PrevEpoch: protocoltest.Header(1, 2, [32]byte{}).Epoch, LastSeq: 2, LastHash: batch.Hash(hour)}
	good("outage", "a new epoch after an outage, simulated, without the zone data's version", outage, nil)

	late := protocoltest.Header(1, 3, batch.Hash(hour))
	late.Created = 1_800_000_000
	good("forms", "every form, field and grain", late, everyForm())
	good("numbers", "numbers that are hard to keep: decimals, quotients, limits of float64", late, hardNumbers())
	good("bands", "a code book with shared, open and single-valued bands", late, bands())
	good("backlog", "runs with gaps over a backlog of days, weeks, months and blocks", late, backlog())

	all = append(all, badEnvelopes(t, first, hour)...)
	all = append(all, byHand(t, hour)...)
	slices.SortFunc(all, func(a, b protocoltest.Vector) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// badEnvelopes spoil a good batch.
func badEnvelopes(t *testing.T, first, hour []byte) (all []protocoltest.Vector) {
	key := protocoltest.Key(1)
	bad := func(name, why string, wire []byte, code batch.Code) {
		all = append(all, badVector(name, why, wire, code))
	}
	cut := hour[:len(hour)-1]
	bad("bad-cut", "one byte is missing", cut, batch.ErrMalformed)
	bad("bad-trailing", "one byte too many", append(slices.Clone(hour), 0), batch.ErrMalformed)
	flipped := slices.Clone(hour)
	flipped[len(flipped)-1] ^= 1
	bad("bad-signature", "one bit of the signature is wrong", flipped, batch.ErrSignature)
	foreign, err := batch.Freeze(protocoltest.Header(1, 2, batch.Hash(first)), nil, protocoltest.Key(2))
	if err != nil {
		t.Fatal(err)
	}
	bad("bad-key", "signed by another agent", foreign, batch.ErrSignature)

	header, body := parts(t, hour)
	bad("bad-version", "version 2", seal(key, append([]byte{0x08, 2}, header[2:]...), body), batch.ErrVersion)
	bad("bad-unknown-field", "a field that version 1 does not have", seal(key, append(slices.Clone(header), 0x80, 0x01, 1), body), batch.ErrMalformed)
	bad("bad-long-varint", "a varint longer than it need be", seal(key, append([]byte{0x08, 0x81, 0x00}, header[2:]...), body), batch.ErrMalformed)
	bad("bad-two-frames", "a second zstd frame in the body", seal(key, header, append(slices.Clone(body), body...)), batch.ErrMalformed)
	return all
}

func badVector(name, why string, wire []byte, code batch.Code) protocoltest.Vector {
	return protocoltest.Vector{Name: name, Why: why, Wire: wire, Key: protocoltest.Key(1).Public().(ed25519.PublicKey), Error: code}
}

// byHand has columns and frames written by hand from SPEC.md, under the header of a good batch.
func byHand(t *testing.T, hour []byte) []protocoltest.Vector {
	key := protocoltest.Key(1)
	pub := key.Public().(ed25519.PublicKey)
	header, _ := parts(t, hour)

	// A frame of one segment that states 100 bytes and has a block of 128 KiB of zeros.
	bomb := []byte{0x28, 0xb5, 0x2f, 0xfd, 0x20, 100, 0x03, 0x00, 0x10, 0}
	bombed := seal(key, withRaw(header, 1, make([]byte, 100)), bomb)
	// One raw block.
	plain := func(raw []byte) []byte {
		n := len(raw)<<3 | 1
		return append([]byte{0x28, 0xb5, 0x2f, 0xfd, 0x20, byte(len(raw)), byte(n), byte(n >> 8), byte(n >> 16)}, raw...)
	}
	// Series: one group of measure 0, hour, one row with field value. Windows: one list of
	// one run from ordinal 490992. Form exact. Number: 7 of divisor 1.
	columns := []byte{
		0x0a, 8, 1, 0, 0, 0, 0x80, 0x08, 0, 2,
		0x12, 11, 1, 0, 2, 0, 0xe0, 0xf7, 0x3b, 0, 0, 0, 0,
		0x1a, 2, 0, 2,
		0x22, 2, 0, 14,
	}
	bare := seal(key, withRaw(header, 1, columns), plain(columns))
	b, err := batch.Open(bare, pub)
	if err != nil || len(b.Cells) != 1 || b.Cells[0].Lo != 7 || b.Cells[0].Start != 490992*3600 {
		t.Fatalf("columns made by hand: %v", err)
	}
	other := slices.Clone(columns)
	other = append(other[:len(other)-4], 0x22, 3, 2, 14, 0) // the same number as a run of one
	return []protocoltest.Vector{
		badVector("bad-bomb", "inflates to more than it declares", bombed, batch.ErrBomb),
		{Name: "by-hand", Why: "one cell, columns and frame written by hand from SPEC.md", Wire: bare, Key: pub, Header: b.Header, Cells: b.Cells, Hash: b.Hash},
		badVector("bad-other-layout", "a column in a layout that is not the smallest", seal(key, withRaw(header, 1, other), plain(other)), batch.ErrMalformed),
	}
}

// parts, seal and withRaw know the envelope from SPEC.md alone.
func parts(t *testing.T, wire []byte) (header, body []byte) {
	header, n := protowire.ConsumeBytes(wire[1:])
	body, m := protowire.ConsumeBytes(wire[1+n+1:])
	if n < 0 || m < 0 {
		t.Fatal("envelope")
	}
	return header, body
}

func seal(key ed25519.PrivateKey, header, body []byte) []byte {
	signed := append([]byte("fieldpost/batch/v1\x00"), 0, 0, byte(len(header)>>8), byte(len(header)))
	signed = append(append(signed, header...), body...)
	w := protowire.AppendBytes([]byte{0x0a}, header)
	w = protowire.AppendBytes(append(w, 0x12), body)
	return protowire.AppendBytes(append(w, 0x1a), ed25519.Sign(key, signed))
}

// withRaw replaces the three fields at the end of a header that describe the columns.
func withRaw(header []byte, cells int, raw []byte) []byte {
	end := 0
	for at := 0; at < len(header); {
		n, _, l := protowire.ConsumeField(header[at:])
		if n < 13 {
			end = at + l
		}
		at += l
	}
	h := slices.Clone(header[:end])
	h = protowire.AppendVarint(append(h, 0x68), uint64(cells))
	h = protowire.AppendVarint(append(h, 0x70), uint64(len(raw)))
	return binary.LittleEndian.AppendUint32(append(h, 0x7d), crc32.Checksum(raw, crc32.MakeTable(crc32.Castagnoli)))
}

// startIn is the start of the window of grain g that holds 2026-10-14.
func startIn(g report.Grain) int64 {
	const day = 20_740
	if g.Civil() {
		return report.CivilStart(g, day)
	}
	return day * 86400
}

func everyForm() []report.Cell {
	var cells []report.Cell
	for g := report.FiveMinutes; g <= report.Change; g++ {
		for f := report.Value; f < report.Fields; f++ {
			form := report.Form((int(f) + int(g)) % 7)
			c := report.Cell{Series: report.Series{Measure: 1, Field: f, Grain: g, Breakdown: uint8(f % 3)}, Start: startIn(g), Form: form}
			if c.Breakdown > 0 {
				c.V1, c.V2 = uint16(f), uint16(g)
			}
			switch {
			case !form.HasNumbers():
			case f.IsBlob():
				c.Form, c.Blob = report.Exact, []byte{byte(f), byte(g)}
			case form == report.Exact || form == report.Noised:
				c.Lo, c.Hi = float64(f), float64(f)
			default:
				c.Lo, c.Hi = float64(f), float64(f)+4
			}
			cells = append(cells, c)
		}
	}
	return cells
}

func hardNumbers() []report.Cell {
	var cells []report.Cell
	for m, set := range [][]float64{
		{0, 1, -1, 1 << 53, 1<<53 - 1, -(1 << 53), 1<<53 + 2, 1e15, 1e22, 1e300},
		{0.1, 0.25, -3.125, 12.34, 99.99, 1e-12, 1e-13, 123456.789},
		{1.0 / 3600, 1799.0 / 3600, 1.0 / 86400, 86399.0 / 86400, 100.0 / 3600},
		{math.Pi, math.E, math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64, 1.0 / 3},
		{300, 300, 300, 300, 300, 300, 300, 300, 300, 300, 300, 300, 300, 300, 300, 300, 299},
		{5, 4, 5, 4, 5, 4, 5, 4, 5, 4, 5, 4, 5, 4, 5, 4, 5, 4, 5, 4},
		{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536},
		{1000, 1003, 1006, 1009, 1012, 1015, 1018, 1021, 1024, 1027, 1030, 1033, 1036, 1039, 1042, 1045, 1049},
	} {
		for i, v := range set {
			cells = append(cells, report.Cell{
				Series: report.Series{Measure: uint16(m), Field: report.Last, Grain: report.Hour},
				Start:  startIn(report.Hour) + int64(i)*3600, Form: report.Exact, Lo: v, Hi: v,
			})
			cells = append(cells, report.Cell{
				Series: report.Series{Measure: uint16(m), Field: report.Mean, Grain: report.Hour},
				Start:  startIn(report.Hour) + int64(i)*3600, Form: report.Exact, Lo: v * 1.01, Hi: v * 1.01,
			})
		}
	}
	return slices.DeleteFunc(cells, func(c report.Cell) bool { return math.IsInf(c.Lo, 0) })
}

func bands() []report.Cell {
	var cells []report.Cell
	for i, in := range []report.Interval{{Lo: 0, Hi: 4}, {Lo: 5, Hi: 9}, {Lo: 0, Hi: 4}, {Lo: 20, Hi: math.Inf(1)}, {Lo: 20, Hi: 49}, {Lo: 7, Hi: 7}, {Lo: -2.5, Hi: 1.25}} {
		cells = append(cells, report.Cell{
			Series: report.Series{Measure: 3, Field: report.Value, Grain: report.Block4w, Breakdown: 1, V1: uint16(i)},
			Start:  startIn(report.Block4w), Form: report.Band + report.Form(i%3), Lo: in.Lo, Hi: in.Hi,
		})
	}
	return cells
}

func backlog() []report.Cell {
	var cells []report.Cell
	for _, g := range []report.Grain{report.Day, report.Week, report.Rolling28, report.Block4w} {
		step := map[report.Grain]int64{report.Day: 1, report.Week: 7, report.Rolling28: 28, report.Block4w: 28}[g]
		for i := range int64(20) {
			if i%7 == 5 {
				continue
			}
			for v := range uint16(3) {
				cells = append(cells, report.Cell{
					Series: report.Series{Measure: 5, Field: report.Value, Grain: g, Breakdown: 1, V1: v},
					Start:  startIn(g) - i*step, Form: report.Exact, Lo: float64(100*i) + float64(v), Hi: float64(100*i) + float64(v),
				})
			}
		}
	}
	month := startIn(report.Month)
	for i := range 14 {
		cells = append(cells, report.Cell{
			Series: report.Series{Measure: 5, Field: report.Value, Grain: report.Month}, Start: month, Form: report.Suppressed,
		})
		if month = report.CivilStart(report.Month, month-1); i == 4 {
			month = report.CivilStart(report.Month, month-1)
		}
	}
	return cells
}

// The workload is what its comment says: the same each time, about 300 cells, all valid.
func TestWorkload(t *testing.T) {
	total, week := 0, 7*24
	for hour := range week {
		a, b := protocoltest.Workload(7, hour), protocoltest.Workload(7, hour)
		if diff := gocmp.Diff(a, b); diff != "" {
			t.Fatalf("hour %d differs: %s", hour, diff)
		}
		if _, err := batch.Freeze(protocoltest.Header(7, uint64(hour)+1, [32]byte{1}), a, protocoltest.Key(7)); err != nil {
			t.Fatalf("hour %d: %v", hour, err)
		}
		total += len(a)
	}
	if mean := total / week; mean < 250 || mean > 350 {
		t.Errorf("%d cells an hour", mean)
	}
	if gocmp.Equal(protocoltest.Workload(7, 1), protocoltest.Workload(8, 1)) {
		t.Error("two sites report the same")
	}
}
