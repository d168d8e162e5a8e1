package batch_test

import (
	"bytes"
	"compress/gzip"
	"crypto/ed25519"
	"encoding/binary"
	"math"
	"runtime"
	"slices"
	"testing"

	"github.com/fieldpost/fieldpost/protocol/batch"
	"github.com/fieldpost/fieldpost/protocol/protocoltest"
	"github.com/fieldpost/fieldpost/protocol/report"
	"google.golang.org/protobuf/encoding/protowire"
)

func workload(t testing.TB) (cells []report.Cell, wire []byte) {
	cells = sortCells(protocoltest.Workload(1, 3))
	wire, err := batch.Freeze(protocoltest.Header(1, 5, [32]byte{1}), cells, key)
	if err != nil {
		t.Fatal(err)
	}
	return cells, wire
}

// frame builds a zstd frame by hand: one segment that states size, then RLE blocks of 128 KiB
// until content is reached.
func frame(size uint64, content int) []byte {
	b := []byte{0x28, 0xb5, 0x2f, 0xfd, 0xe0} // single segment, 8 bytes of content size
	b = binary.LittleEndian.AppendUint64(b, size)
	for content > 0 {
		n := min(content, 128<<10)
		content -= n
		head := n<<3 | 1<<1
		if content == 0 {
			head |= 1
		}
		b = append(b, byte(head), byte(head>>8), byte(head>>16), 0)
	}
	return b
}

// sealFrame signs a body with a header that declares rawLen.
func sealFrame(body []byte, rawLen uint32) []byte {
	h := header()
	h.Version, h.Cells, h.RawLen, h.RawCRC = batch.Version, 1, rawLen, 1
	return batch.Seal(batch.HeaderBytes(h), body, key)
}

// spent is how many bytes f allocates.
func spent(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestS18_SignatureOverAnotherBodyHeaderOrKey(t *testing.T) {
	cells, wire := workload(t)
	other := protocoltest.Key(2)
	forged, err := batch.Freeze(protocoltest.Header(1, 5, [32]byte{1}), cells, other)
	if err != nil {
		t.Fatal(err)
	}
	refused(t, forged, batch.ErrSignature)

	// The header of one batch with body and signature of another, and the like.
	next, err := batch.Freeze(protocoltest.Header(1, 6, [32]byte{1}), cells, key)
	if err != nil {
		t.Fatal(err)
	}
	h1, b1, s1 := parts(t, wire)
	h2, b2, s2 := parts(t, next)
	refused(t, join(h2, b1, s1), batch.ErrSignature)
	refused(t, join(h1, b1, s2), batch.ErrSignature)
	if !bytes.Equal(b1, b2) {
		t.Fatal("the same cells have other bodies")
	}
	// A signature over the same bytes cut elsewhere.
	moved := append(slices.Clone(h1), b1[0])
	refused(t, join(moved, b1[1:], s1), batch.ErrMalformed)
	// A plain signature without the domain.
	refused(t, join(h1, b1, ed25519.Sign(key, append(slices.Clone(h1), b1...))), batch.ErrSignature)
}

func TestS22_BombIsNeverInflatedBeyondWhatWasDeclared(t *testing.T) {
	gib := frame(1<<30, 1<<30)
	if len(gib) > 64<<10 {
		t.Fatalf("the bomb has %d bytes", len(gib))
	}
	nested, err := batch.Deflate(gib)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d B → %d B → 1 GiB", len(nested), len(gib))
	var d batch.Decoder
	if _, err := d.Open(sealFrame(frame(1024, 1024), 1024), pub); err == nil {
		t.Fatal("zeros are no columns")
	}
	for name, c := range map[string]struct {
		wire []byte
		want batch.Code
	}{
		"honest about 1 GiB":   {sealFrame(gib, batch.MaxRaw), batch.ErrBomb},
		"lies about its size":  {sealFrame(frame(100, 1<<30), 100), batch.ErrBomb},
		"lies up to the limit": {sealFrame(frame(batch.MaxRaw, 1<<30), batch.MaxRaw), batch.ErrBomb},
		"shorter than it says": {sealFrame(frame(2000, 1000), 2000), batch.ErrBomb},
		"nested":               {mustSealFrame(nested, gib), batch.ErrMalformed},
		"header says 1 GiB":    {sealFrame(gib, 1<<30), batch.ErrTooLarge},
	} {
		var got error
		n := spent(func() { _, got = d.Open(c.wire, pub) })
		if batch.CodeOf(got) != c.want {
			t.Errorf("%s: %v, want %s", name, got, c.want)
		}
		if n > 4<<20 {
			t.Errorf("%s: %d bytes allocated", name, n)
		}
	}
}

func mustSealFrame(body, raw []byte) []byte {
	h := header()
	h.Version, h.Cells, h.RawLen, h.RawCRC = batch.Version, 1, uint32(len(raw)), batch.CRC(raw)
	return batch.Seal(batch.HeaderBytes(h), body, key)
}

func TestS23_HugeWindow(t *testing.T) {
	for name, head := range map[string][]byte{
		"window of 3.75 TB":         {0x28, 0xb5, 0x2f, 0xfd, 0x80, 0xff, 100, 0, 0, 0},
		"window of 2 MiB":           {0x28, 0xb5, 0x2f, 0xfd, 0x80, 0x58, 100, 0, 0, 0},
		"window without a size":     {0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xff},
		"one segment of 1 TiB":      {0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 1, 0, 0},
		"one segment of 2^64−1":     {0x28, 0xb5, 0x2f, 0xfd, 0xe0, 255, 255, 255, 255, 255, 255, 255, 255},
		"reserved bit":              {0x28, 0xb5, 0x2f, 0xfd, 0x28, 100},
		"old magic":                 {0x27, 0xb5, 0x2f, 0xfd, 0x20, 100},
		"reserved type of block":    {0x28, 0xb5, 0x2f, 0xfd, 0x20, 100, 0x27, 0x03, 0},
		"block larger than 128 KiB": {0x28, 0xb5, 0x2f, 0xfd, 0x20, 100, 0x03, 0x00, 0x80, 0},
	} {
		body := append(slices.Clone(head), 1|1<<1|100<<3&0xff, 100>>5, 0, 0)
		var err error
		n := spent(func() { _, err = batch.Open(sealFrame(body, 100), pub) })
		if c := batch.CodeOf(err); c != batch.ErrMalformed && c != batch.ErrBomb {
			t.Errorf("%s: %v", name, err)
		}
		if n > 4<<20 {
			t.Errorf("%s: %d bytes allocated", name, n)
		}
	}
}

func TestS24_RatioBombUnderTheCap(t *testing.T) {
	refused(t, sealFrame(frame(batch.MaxRaw, batch.MaxRaw), batch.MaxRaw), batch.ErrBomb)

	// The format's own amplification, runs, ends at MaxCells.
	var cells []report.Cell
	for i := range int64(batch.MaxCells) {
		cells = append(cells, report.Cell{Series: report.Series{Field: report.Up, Grain: report.FiveMinutes}, Start: 300 * i, Form: report.Exact, Lo: 300, Hi: 300})
	}
	wire, err := batch.Freeze(header(), cells, key)
	if err != nil {
		t.Fatal(err)
	}
	if len(wire) > 400 {
		t.Errorf("%d cells of one run take %d bytes", len(cells), len(wire))
	}
	var b *batch.Batch
	n := spent(func() { b, err = batch.Open(wire, pub) })
	if err != nil || len(b.Cells) != batch.MaxCells {
		t.Fatal(err)
	}
	if n > 32<<20 {
		t.Errorf("%d bytes allocated for the largest batch", n)
	}
	raw, err := batch.Columns(cells)
	if err != nil {
		t.Fatal(err)
	}
	refused(t, mustSeal(t, header(), raw, batch.MaxCells+1), batch.ErrTooLarge)
	refused(t, mustSeal(t, header(), raw, 1000), batch.ErrMalformed)
	refused(t, mustSeal(t, header(), raw, 0), batch.ErrMalformed)
}

func TestS25_UnknownOrStackedEncodings(t *testing.T) {
	cells, wire := workload(t)
	raw, err := batch.Columns(cells)
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := parts(t, wire)
	var zip bytes.Buffer
	w := gzip.NewWriter(&zip)
	w.Write(raw)
	w.Close()
	twice, err := batch.Deflate(body)
	if err != nil {
		t.Fatal(err)
	}
	empty, err := batch.Deflate(nil)
	if err != nil {
		t.Fatal(err)
	}
	skippable := []byte{0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 'x'}
	withFlag := func(flag byte) []byte {
		b := slices.Clone(body)
		b[4] |= flag
		return b
	}
	for name, body := range map[string][]byte{
		"gzip": zip.Bytes(), "not compressed": raw, "zstd twice": twice,
		"two frames": append(slices.Clone(body), body...), "an empty frame behind": append(slices.Clone(body), empty...),
		"a skippable frame before": append(slices.Clone(skippable), body...), "a skippable frame behind": append(slices.Clone(body), skippable...),
		"a byte behind": append(slices.Clone(body), 0), "a byte missing": body[:len(body)-1],
		"claims a checksum": withFlag(4), "claims a dictionary": withFlag(1),
	} {
		h := protocoltest.Header(1, 5, [32]byte{1})
		h.Version, h.Cells, h.RawLen, h.RawCRC = batch.Version, uint32(len(cells)), uint32(len(raw)), batch.CRC(raw)
		_, err := batch.Open(batch.Seal(batch.HeaderBytes(h), body, key), pub)
		if c := batch.CodeOf(err); c != batch.ErrMalformed && c != batch.ErrBomb {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestS26_NothingIsInflatedASecondTime(t *testing.T) {
	bomb := frame(1<<30, 1<<30)
	cell := report.Cell{Series: report.Series{Field: report.Sketch, Grain: report.Day}, Start: 20000, Form: report.Exact, Blob: bomb}
	wire, err := batch.Freeze(header(), []report.Cell{cell}, key)
	if err != nil {
		t.Fatal(err)
	}
	var b *batch.Batch
	n := spent(func() { b, err = batch.Open(wire, pub) })
	if err != nil || !bytes.Equal(b.Cells[0].Blob, bomb) {
		t.Fatalf("the blob is not handed on as it is: %v", err)
	}
	if n > 8<<20 {
		t.Errorf("%d bytes allocated", n)
	}
}

func TestS27_NumbersThatAreNone(t *testing.T) {
	hour := report.Series{Field: report.Value, Grain: report.Hour}
	cell := func(f report.Form, lo, hi float64) report.Cell {
		return report.Cell{Series: hour, Start: 3600, Form: f, Lo: lo, Hi: hi}
	}
	for name, c := range map[string]report.Cell{
		"NaN":              cell(report.Exact, math.NaN(), math.NaN()),
		"infinite":         cell(report.Exact, math.Inf(1), math.Inf(1)),
		"minus infinite":   cell(report.Noised, math.Inf(-1), math.Inf(-1)),
		"band from NaN":    cell(report.Band, math.NaN(), 4),
		"band to NaN":      cell(report.Band, 4, math.NaN()),
		"band upside down": cell(report.Band, 9, 4),
		"band from −∞":     cell(report.Band, math.Inf(-1), 4),
		"band from ∞":      cell(report.Band, math.Inf(1), math.Inf(1)),
	} {
		if _, err := batch.Freeze(header(), []report.Cell{c}, key); batch.CodeOf(err) != batch.ErrCell {
			t.Errorf("%s: frozen with %v", name, err)
		}
		raw, err := batch.Columns([]report.Cell{c})
		if err != nil {
			t.Fatal(err)
		}
		_, err = batch.Open(mustSeal(t, header(), raw, 1), pub)
		if code := batch.CodeOf(err); code != batch.ErrCell && code != batch.ErrMalformed {
			t.Errorf("%s: opened with %v", name, err)
		}
	}
}

func TestS27_FieldsUnknownDoubledUnorderedOrNotMinimal(t *testing.T) {
	cells, wire := workload(t)
	head, body, sig := parts(t, wire)
	raw, err := batch.Columns(cells)
	if err != nil {
		t.Fatal(err)
	}
	unknown := protowire.AppendVarint(protowire.AppendTag(nil, 100, protowire.VarintType), 1)
	group := append(protowire.AppendTag(nil, 99, protowire.StartGroupType), protowire.AppendTag(nil, 99, protowire.EndGroupType)...)
	version := head[:2]
	for name, h := range map[string][]byte{
		"unknown field":      append(slices.Clone(head), unknown...),
		"group":              append(slices.Clone(head), group...),
		"version twice":      append(slices.Clone(version), head...),
		"fields turned":      append(slices.Clone(head[2:]), version...),
		"long version":       append([]byte{head[0], 0x81, 0x00}, head[2:]...),
		"long tag":           append([]byte{head[0] | 0x80, 0x00}, head[1:]...),
		"varint of 11 bytes": append(bytes.Repeat([]byte{0xff}, 11), head...),
		"explicit zero":      slices.Concat(head[:2], []byte{0x12, 0x00}, head[20:]),
		"field 0":            append([]byte{0x00, 0x00}, head...),
		"cut short":          head[:len(head)-1],
		"nothing":            {},
		"too long":           append(slices.Clone(head), make([]byte, batch.MaxHeader)...),
	} {
		t.Run("header "+name, func(t *testing.T) { refused(t, batch.Seal(h, body, key), batch.ErrMalformed) })
	}
	for name, w := range map[string][]byte{
		"unknown field": append(slices.Clone(wire), unknown...),
		"header twice":  append(protowire.AppendBytes([]byte{0x0a}, head), wire...),
		"parts turned":  append(protowire.AppendBytes([]byte{0x12}, body), protowire.AppendBytes([]byte{0x0a}, head)...),
		"no signature":  wire[:len(wire)-66],
		"short one":     join(head, body, sig[:63]),
		"no body":       join(head, nil, sig),
		"long length":   slices.Concat([]byte{0x0a, wire[1] | 0x80, wire[2] | 0x80, 0x00}, wire[3:]),
		"nothing":       nil,
	} {
		t.Run("envelope "+name, func(t *testing.T) { refused(t, w, batch.ErrMalformed) })
	}
	for name, r := range map[string][]byte{
		"unknown column": append(slices.Clone(raw), 0x3a, 1, 0),
		"empty column":   append(slices.Clone(raw), 0x32, 0),
		"behind":         append(slices.Clone(raw), 0),
		"cut short":      raw[:len(raw)-1],
	} {
		t.Run("columns "+name, func(t *testing.T) {
			refused(t, mustSeal(t, protocoltest.Header(1, 5, [32]byte{1}), r, len(cells)), batch.ErrMalformed)
		})
	}
	h := protocoltest.Header(1, 5, [32]byte{1})
	h.Version = 2
	refused(t, batch.Seal(append(batch.HeaderBytes(h), unknown...), body, key), batch.ErrVersion)
	if _, err := batch.Peek(batch.Seal(batch.HeaderBytes(h), body, key)); batch.CodeOf(err) != batch.ErrVersion {
		t.Errorf("peeked at version 2 with %v", err)
	}
}

func TestS28_TooManyCells(t *testing.T) {
	_, wire := workload(t)
	_, body, _ := parts(t, wire)
	h := header()
	h.Version, h.Cells, h.RawLen = batch.Version, 1_000_000, 100
	refused(t, batch.Seal(batch.HeaderBytes(h), body, key), batch.ErrTooLarge)
	refused(t, make([]byte, batch.MaxWire+1), batch.ErrTooLarge)
}

func TestS31_FarPastAndFarFuture(t *testing.T) {
	const created = 1_795_000_000
	for name, c := range map[string]struct {
		grain report.Grain
		start int64
		ok    bool
	}{
		"hour before":             {report.Hour, created/3600*3600 - 3600, true},
		"hour the day after":      {report.Hour, created/3600*3600 + 86400, true},
		"hour a week after":       {report.Hour, created/3600*3600 + 7*86400, false},
		"day of the freeze":       {report.Day, created / 86400, true},
		"day a month after":       {report.Day, created/86400 + 30, false},
		"year 2300":               {report.Day, 120_530, false},
		"the last int64":          {report.Change, math.MaxInt64, false},
		"before 1970":             {report.Day, -1, false},
		"the first int64":         {report.Change, math.MinInt64, false},
		"1970":                    {report.Hour, 0, true},
		"hour beside the grid":    {report.Hour, 3601, false},
		"week from a Sunday":      {report.Week, 10, false},
		"week from a Monday":      {report.Week, 11, true},
		"month from the second":   {report.Month, 32, false},
		"seconds taken for a day": {report.Day, created, false},
	} {
		h := header()
		h.Created = created
		cell := report.Cell{Series: report.Series{Grain: c.grain, Field: report.Value}, Start: c.start, Form: report.Unknown}
		wire, err := batch.Freeze(h, []report.Cell{cell}, key)
		if c.ok != (err == nil) || err != nil && batch.CodeOf(err) != batch.ErrWindow {
			t.Errorf("%s: frozen with %v", name, err)
		}
		if err == nil {
			if _, err := batch.Open(wire, pub); err != nil {
				t.Errorf("%s: opened with %v", name, err)
			}
		} else if raw, err := batch.Columns([]report.Cell{cell}); err == nil { // what an honest agent would not seal
			refused(t, mustSeal(t, h, raw, 1), batch.ErrWindow)
		}
	}
}

// Cut anywhere, or with any one byte changed in any way, a batch is refused.
func TestEveryCutAndEveryFlippedByteIsRefused(t *testing.T) {
	_, wire := workload(t)
	var d batch.Decoder
	for n := range wire {
		if _, err := d.Open(wire[:n], pub); batch.CodeOf(err) == "" {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
	changed := slices.Clone(wire)
	for i := range wire {
		for _, x := range []byte{0x01, 0x80, 0xff} {
			changed[i] ^= x
			if _, err := d.Open(changed, pub); batch.CodeOf(err) == "" {
				t.Fatalf("byte %d xor %#x: %v", i, x, err)
			}
			changed[i] ^= x
		}
	}
	if _, err := d.Open(changed, pub); err != nil {
		t.Fatalf("unchanged again: %v", err)
	}
}

// A signed column block with any one byte changed is refused or holds other cells in their
// one canonical form: no two blocks mean the same.
func TestNoTwoColumnBlocksMeanTheSame(t *testing.T) {
	cells, _ := workload(t)
	raw, err := batch.Columns(cells)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		for _, x := range []byte{0x01, 0x02, 0x10, 0x80, 0xff} {
			changed := slices.Clone(raw)
			changed[i] ^= x
			got, canonical, err := batch.DecodeColumns(changed, len(cells))
			if err == nil && canonical && slices.EqualFunc(got, cells, sameCell) {
				t.Fatalf("byte %d xor %#x means the same", i, x)
			}
		}
	}
}

func sameCell(a, b report.Cell) bool {
	return a.Series == b.Series && a.Start == b.Start && a.Form == b.Form && a.Lo == b.Lo && a.Hi == b.Hi && bytes.Equal(a.Blob, b.Blob)
}

func parts(t testing.TB, wire []byte) (header, body, sig []byte) {
	t.Helper()
	header, body, ok := split(wire)
	if !ok {
		t.Fatal("envelope")
	}
	return header, body, wire[len(wire)-ed25519.SignatureSize:]
}

func split(wire []byte) (header, body []byte, ok bool) {
	var p [2][]byte
	for i := range p {
		if len(wire) == 0 {
			return nil, nil, false
		}
		v, n := protowire.ConsumeBytes(wire[1:])
		if n < 0 {
			return nil, nil, false
		}
		p[i], wire = v, wire[1+n:]
	}
	return p[0], p[1], true
}

func join(header, body, sig []byte) []byte {
	w := protowire.AppendBytes([]byte{0x0a}, header)
	w = protowire.AppendBytes(append(w, 0x12), body)
	return protowire.AppendBytes(append(w, 0x1a), sig)
}
